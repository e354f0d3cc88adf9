"""Some rows out of all, each as likely as any other: enough for quantiles and comparisons, in bounded memory."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

from cloudkite.data import number

MOST = 10_000  # rows
_FIELDS = 2_000_000  # of all columns together: 5,000 columns have fewer rows


class Sample:
    """Rows of the columns `names`, chosen by Li's algorithm L (1994), the same ones in each run."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._at = {name: i for i, name in enumerate(self.names)}
        self.rows: list[tuple[str, ...]] = []
        self.seen = 0
        self._most = max(100, min(MOST, _FIELDS // max(1, len(self.names))))
        self._random = random.Random(0)  # noqa: S311  # which rows are looked at is no secret
        self._share = 1.0
        self._next = self._most - 1  # the row that is taken next, once there are enough

    def take(self, columns: Mapping[str, Sequence[str]], count: int) -> None:
        """The fields of a chunk of `count` rows."""
        ordered = [columns[name] for name in self.names]
        start = len(self.rows)
        filling = range(min(self._most - start, count))
        self.rows += [tuple(column[i] for column in ordered) for i in filling]
        if start < self._most <= start + count:
            self._skip()
        while self._next < self.seen + count and len(self.rows) == self._most:
            i = self._next - self.seen
            self.rows[self._random.randrange(self._most)] = tuple(column[i] for column in ordered)
            self._skip()
        self.seen += count

    def _skip(self) -> None:
        self._share *= math.exp(math.log(1 - self._random.random()) / self._most)
        self._next += math.floor(math.log(1 - self._random.random()) / math.log1p(-self._share)) + 1

    def column(self, name: str) -> list[str]:
        """The fields of one column."""
        at = self._at[name]
        return [row[at] for row in self.rows]

    def numbers(self, name: str) -> list[float]:
        """The numbers among them, sorted."""
        return sorted(value for text in self.column(name) if text and (value := number.read(text)) is not None)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted numbers lie, between the two nearest."""
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
