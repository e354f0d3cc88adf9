"""Measures of a model, from what was counted of its answers to rows that it had never seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Z = 1.959963984540054  # of the normal distribution, for an interval that holds 95 times in 100
WIDEST = 0.3  # an interval of a share that is wider than this tells too little


@dataclass(frozen=True)
class Share:
    """`right` of `of` rows, and the interval that the true share is in 95 times in 100."""

    right: int
    of: int

    @property
    def value(self) -> float | None:
        """None where there is no row."""
        return self.right / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval: E. B. Wilson (1927), JASA 22(158), 209-212, https://doi.org/10.2307/2276774."""
        if not self.of:
            return 0.0, 1.0
        n, p = self.of, self.right / self.of
        middle = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
        return max(middle - half, 0.0), min(middle + half, 1.0)

    @property
    def tells(self) -> bool:
        """Whether the interval is narrow enough to tell anything."""
        low, high = self.interval
        return high - low <= WIDEST

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {"right": self.right, "of": self.of, "share": self.value, "interval": self.interval, "tells": self.tells}


def fewest(share: float) -> int:
    """How many rows tell something, where such a share of them is right."""
    return next(n for n in range(1, 10_000) if n * share == int(n * share) and Share(int(n * share), n).tells)


@dataclass(frozen=True)
class Beside:
    """A headline number, and what a model that knows nothing has. `more` is better, or less."""

    name: str
    value: float | None
    baseline: float | None
    more: bool = True


@dataclass(frozen=True)
class Class:
    """One class: how many rows of it were known, and how many of those that were taken for it are it."""

    name: str
    recall: Share
    precision: Share


@dataclass(frozen=True)
class Bin:
    """Rows whose answers were about as sure: `sure` is how sure on average, `right` how many are right."""

    low: float
    high: float
    sure: float | None
    right: Share


@dataclass(frozen=True)
class Group:
    """The rows that have one value in a column; `classes` has those of each class, if they were counted."""

    value: str
    all: Share
    classes: Mapping[str, Share]


@dataclass(frozen=True)
class Classified:
    """What came of a label with classes. `table` has rows by [label][answer]; `commonest` is always answered by the
    model that knows nothing."""

    rows: int
    headlines: tuple[Beside, ...]
    accuracy: Share
    commonest: str
    table: tuple[tuple[int, ...], ...]
    classes: tuple[Class, ...]
    bins: tuple[Bin, ...]
    calibration_error: float


@dataclass(frozen=True)
class Spread:
    """The errors of some rows: mean absolute one with its interval (by the normal distribution), root of the mean of
    squares, and mean."""

    rows: int
    mae: float
    rmse: float
    bias: float
    interval: tuple[float, float]

    @property
    def tells(self) -> bool:
        """Whether the interval is narrow enough: no wider than the error itself, of ten rows or more."""
        low, high = self.interval
        return self.rows >= 10 and high - low <= self.mae


@dataclass(frozen=True)
class Estimated:
    """What came of a label that is a number; the model that knows nothing answers `mean`, that of the rows learnt from.

    `pairs` are true and predicted numbers of at most some thousand rows, chosen by chance.
    """

    rows: int
    headlines: tuple[Beside, ...]
    errors: Spread
    mean: float
    pairs: tuple[tuple[float, float], ...]


def classified(counted: Mapping[str, Any], classes: Sequence[str]) -> Classified:
    """The measures of a label with classes. A class that has no row counts in none of the averages over classes."""
    table = counted["table"]
    total, there = counted["rows"], [i for i, row in enumerate(table) if sum(row)]
    right = sum(table[i][i] for i in range(len(classes)))
    most = max(range(len(classes)), key=lambda i: sum(table[i]))
    each = tuple(
        Class(name, Share(table[i][i], sum(table[i])), Share(table[i][i], sum(row[i] for row in table)))
        for i, name in enumerate(classes)
    )
    shares = [sum(table[i]) / total for i in there]
    balanced = sum(each[i].recall.value or 0.0 for i in there) / len(there)
    f1 = sum(_f1(each[i]) for i in there) / len(there)
    # Of always the commonest class: its recall is 1, its precision its share, the others' are 0.
    most_share = sum(table[most]) / total
    f1_baseline = 2 * most_share / (1 + most_share) / len(there)
    edges = len(counted["bins"])
    bins = tuple(
        Bin(i / edges, (i + 1) / edges, sure / n if n else None, Share(round(good), round(n)))
        for i, (n, sure, good) in enumerate(counted["bins"])
    )
    return Classified(
        rows=total,
        headlines=(
            Beside("accuracy", right / total, most_share),
            Beside("balanced_accuracy", balanced, 1 / len(there)),
            Beside("f1", f1, f1_baseline),
            Beside("log_loss", counted["loss"] / total, -sum(p * math.log(p) for p in shares), more=False),
        ),
        accuracy=Share(right, total),
        commonest=classes[most],
        table=tuple(tuple(row) for row in table),
        classes=each,
        bins=bins,
        calibration_error=sum(abs((b.right.value or 0.0) - (b.sure or 0.0)) * b.right.of for b in bins) / total,
    )


def _f1(one: Class) -> float:
    both = one.recall.of + one.precision.of
    return 2 * one.recall.right / both if both else 0.0


def groups_of_classes(values: Mapping[str, Any], classes: Sequence[str]) -> list[Group]:
    """The groups of one column, from rows and right ones of each class (or of all classes together)."""
    found = []
    for value, counts in values.items():
        each = {name: Share(right, n) for name, (n, right) in zip(classes, counts, strict=False) if n}
        every = Share(sum(right for _n, right in counts), sum(n for n, _right in counts))
        found.append(Group(value, every, each if len(counts) == len(classes) else {}))
    return found


def spread(sums: Sequence[float]) -> Spread:
    """From the sums of rows, |error|, error² and error."""
    n, absolute, squares, error = sums[:4]
    mae = absolute / n
    deviation = math.sqrt(max(squares / n - mae**2, 0.0) * n / (n - 1)) if n > 1 else math.inf
    half = Z * deviation / math.sqrt(n)
    return Spread(round(n), mae, math.sqrt(squares / n), error / n, (max(mae - half, 0.0), mae + half))


def estimated(counted: Mapping[str, Any], mean: float) -> Estimated:
    """The measures of a label that is a number. R² is told beside the mean of these rows, as usual."""
    n, _absolute, squares, _error, apart, apart_squares, apart_sum = counted["sums"]
    errors = spread(counted["sums"])
    total = apart_squares - apart_sum**2 / n
    return Estimated(
        rows=counted["rows"],
        headlines=(
            Beside("mae", errors.mae, apart / n, more=False),
            Beside("rmse", errors.rmse, math.sqrt(apart_squares / n), more=False),
            Beside("r2", 1 - squares / total if total > 0 else None, 0.0),
        ),
        errors=errors,
        mean=mean,
        pairs=tuple((label, answer) for label, answer in counted["pairs"]),
    )
