"""What a trainer's data are like, column by column: for a person who looks at them before training."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cloudkite.check.columns import strength
from cloudkite.check.columns.dates import Dates
from cloudkite.check.columns.numbers import Numbers
from cloudkite.check.columns.sample import quantile
from cloudkite.check.columns.words import Words
from cloudkite.check.data import DataReport, Table
from cloudkite.check.findings import Finding
from cloudkite.data import number
from cloudkite.data.declared import ARRAY, NUMBER, Declared

BARS = 10  # of a histogram
COMMON = 5  # words that are shown
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class ColumnReport:
    """One column. `low` and `high` are of all rows; `distinct`, `mean`, `deviation`, `quantiles` (at 5, 25, 50, 75 and
    95 %), `common` and `histogram` (equal parts from `low` to `high`, or the outermost without what stands apart) of
    `sampled` rows. `tells`: the share of the label that this column alone explains, None where that isn't known.
    """

    name: str
    header: str
    kind: str
    rows: int
    blanks: int
    distinct: int
    sampled: int
    low: float | str | None = None
    high: float | str | None = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: tuple[float, ...] = ()
    common: tuple[tuple[str, int], ...] = ()
    histogram: tuple[int, ...] = ()
    words: float | None = None  # in a text, on average
    tells: float | None = None


@dataclass(frozen=True)
class Report:
    """All columns of the declared ones, the label, and what the check found. `classes`: rows of each, none for a label
    that is a number; `base_rate`: the share of the commonest, or the label's standard deviation, which is what a model
    that knows nothing is wrong by."""

    trainer: str
    files: tuple[str, ...]
    rows: int
    verdict: str
    label: ColumnReport | None
    classes: dict[str, int]
    base_rate: float | None
    columns: tuple[ColumnReport, ...]
    findings: tuple[Finding, ...]


def make(trainer: str, declared: Declared, files: Sequence[str], found: DataReport) -> Report:
    """The report on what was read."""
    table = found.table
    columns, label = [], None
    if table and table.sample.rows:
        labels = table.sample.column(declared.label)
        columns = [_column(table, name, labels) for name in declared.columns]
        label = _label(table, labels)
    counts = {name: found.classes[name] for name in declared.classes if found.classes[name]}
    base = max(counts.values()) / sum(counts.values()) if counts else label.deviation if label else None
    return Report(
        trainer=trainer,
        files=tuple(files),
        rows=found.rows,
        verdict=found.findings.verdict,
        label=label,
        classes=counts,
        base_rate=base,
        columns=tuple(columns),
        findings=tuple(found.findings.all()),
    )


def _column(table: Table, name: str, labels: Sequence[str]) -> ColumnReport:
    declared, column, values = table.declared, table.columns[name], table.sample.column(name)
    kind = declared.columns[name]
    filled = [text for text in values if text]
    counts = Counter(filled)
    more: dict[str, object] = {}
    if isinstance(column, Numbers):
        more = _numbers(column, table.sample.numbers(name))
    elif isinstance(column, Dates):
        more = {"low": column.low or None, "high": column.high or None}
    elif isinstance(column, Words):
        counts = Counter({word: count for word, count in column.counts.items() if word})
        more = {"common": tuple(counts.most_common(COMMON))}
    elif kind != ARRAY and filled:
        more = {"words": statistics.fmean(len(text.split()) for text in filled)}
    return ColumnReport(
        name=name,
        header=declared.headers.get(name, name),
        kind=kind,
        rows=column.rows,
        blanks=column.blanks,
        distinct=len(counts),
        sampled=len(values),
        tells=_tells(table, name, values, labels),
        **more,  # pyright: ignore[reportArgumentType]
    )


def _numbers(column: Numbers, ordered: Sequence[float]) -> dict[str, object]:
    if not ordered:
        return {}
    # The bars are about the bulk: one 1e30 would make all others one bar.
    low, high = (quantile(ordered, 0.01), quantile(ordered, 0.99)) if len(ordered) > BARS else (ordered[0], ordered[-1])
    bars = [0] * BARS
    for value in ordered:
        if low <= value <= high:
            bars[min(BARS - 1, int((value - low) / ((high - low) or 1) * BARS))] += 1
    return {
        "low": column.low,
        "high": column.high,
        "mean": statistics.fmean(ordered),
        "deviation": statistics.pstdev(ordered),
        "quantiles": tuple(quantile(ordered, share) for share in _QUANTILES),
        "histogram": tuple(bars),
    }


def _tells(table: Table, name: str, values: Sequence[str], labels: Sequence[str]) -> float | None:
    """What one column tells of the label, where both are known and the column is one of few values or of numbers."""
    column = table.columns[name]
    if not isinstance(column, Numbers | Words) or not any(labels):
        return None
    kind = table.declared.columns[name] == NUMBER
    measure = strength.of_classes if table.declared.classes else strength.of_number
    return round(measure(values, labels, kind), 4)


def _label(table: Table, labels: Sequence[str]) -> ColumnReport | None:
    declared = table.declared
    if not any(labels):
        return None
    numbers = sorted(v for text in labels if text and (v := number.read(text)) is not None)
    kind = "class" if declared.classes else NUMBER
    more = {} if declared.classes else _numbers(table.answers, numbers)
    blanks = labels.count("")
    return ColumnReport(
        declared.label, declared.label, kind, table.report.rows, blanks, len({*labels} - {""}), len(labels),
        **more,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
