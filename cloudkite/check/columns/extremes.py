"""Numbers that stand apart from all others: stand-ins for missing ones such as -999, and values such as 1e30."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence

from cloudkite.check.columns.sample import quantile
from cloudkite.check.findings import WARNING, Findings
from cloudkite.show.text import _, counted

ENOUGH = 20  # numbers below which none stands apart
_KEPT = 8  # different values that are kept at each end
_FAR, _GAP = 10, 10  # times the usual spread from the middle, and times the distance of the next value
_NINES = {float(sign + "9" * digits) for digits in range(2, 10) for sign in ("", "-")}
# What programs write where nothing was measured: whole types' limits, and fill values of maps and weather files.
_LIMITS = {-32768.0, 32767.0, 65535.0, -2147483648.0, 2147483647.0, 1e20, -1e20, -3.4028234663852886e38, -9999.9}
STAND_INS = _NINES | _LIMITS | {-1.0, -9.0, 0.0, -8888.0, 8888.0, -999.9, 999.9}
_SURE = 500  # a stand-in as large as this is told where it is there once, a smaller one must be repeated

End = dict[float, tuple[int, str]]  # value -> rows that have it, and where the first of them is


class Extremes:
    """The lowest and the highest values of a column, with their rows, while its file streams by in chunks."""

    def __init__(self) -> None:
        self.lows: End = {}
        self.highs: End = {}

    def take(self, numbers: Sequence[float], low: float, high: float, find: Callable[[float], str]) -> None:
        """A chunk's numbers, the lowest and the highest; `find` tells where the first one of that value is."""
        below = len(self.lows) < _KEPT or low <= max(self.lows)
        above = len(self.highs) < _KEPT or high >= min(self.highs)
        if not (below or above):
            return
        counts = Counter(numbers)
        if below:
            self.lows = _merged(self.lows, counts, heapq.nsmallest(_KEPT, counts), heapq.nsmallest, find)
        if above:
            self.highs = _merged(self.highs, counts, heapq.nlargest(_KEPT, counts), heapq.nlargest, find)

    def finish(self, name: str, sample: Sequence[float], findings: Findings) -> None:
        """Tell what stands apart, by `sample`, sorted numbers of the column."""
        if len(sample) < ENOUGH:
            return
        gone = self._stand_ins(name, sample, findings)
        rest = [value for value in sample if value not in gone]
        if len(rest) >= ENOUGH:
            self._outliers(name, rest, gone, findings)

    def _stand_ins(self, name: str, sample: Sequence[float], findings: Findings) -> set[float]:
        gone: set[float] = set()
        for end, ordered in ((self.lows, sorted(self.lows)), (self.highs, sorted(self.highs, reverse=True))):
            suspects: list[float] = []
            for value in ordered:
                if value not in STAND_INS or value in gone:
                    break
                suspects.append(value)
            for i, value in enumerate(suspects):  # the outermost first: those further in count among the others
                rest = _without(sample, [*gone, *suspects[: i + 1]])
                count, place = end[value]
                if _apart(value, count, rest):
                    gone.add(value)
                    said = _(
                        "{name}: {value:.15g} ({count:,}x, first in {place}) stands apart from the others"
                        " ({low:.6g} to {high:.6g}): if it means that nothing is known, leave those fields empty"
                    )
                    low, high = quantile(rest, 0.01), quantile(rest, 0.99)
                    text = said.format(name=name, value=value, count=count, place=place, low=low, high=high)
                    findings.add(WARNING, text)
        return gone

    def _outliers(self, name: str, rest: list[float], gone: set[float], findings: Findings) -> None:
        middle, spread = quantile(rest, 0.5), quantile(rest, 0.95) - quantile(rest, 0.05)
        spread = spread or quantile(rest, 0.99) - quantile(rest, 0.01)
        if not spread:
            return
        for end, inner in ((self.lows, rest[len(rest) // 100]), (self.highs, rest[-1 - len(rest) // 100])):
            kept = sorted((v for v in end if v not in gone), key=lambda value: -abs(value - middle))
            distances = [abs(value - middle) for value in kept]
            after = [*distances[1:], abs(inner - middle)][: len(kept)]
            last = max(
                (
                    i
                    for i, far in enumerate(distances)
                    if far > _FAR * spread and far >= _GAP * max(after[i], spread / 2)
                ),
                default=-1,
            )
            others = _without(rest, kept[: last + 1])
            for value in kept[: last + 1]:
                count, place = end[value]
                said = counted(
                    "{place}:{name}: {value:.15g} is far outside of the others ({low:.6g} to {high:.6g})",
                    "{place}:{name}: {value:.15g} ({count}x) is far outside of the others ({low:.6g} to {high:.6g})",
                    count, place=place, name=name, value=value, low=quantile(others, 0.01), high=quantile(others, 0.99),
                )  # fmt: skip
                advice = _("correct it or leave the field empty: one such number moves the mean of all")
                findings.repeat(WARNING, said, ("outlier", name), advice)


def _merged(
    end: End,
    counts: Counter[float],
    values: list[float],
    best: Callable[..., list[float]],
    find: Callable[[float], str],
) -> End:
    """The outermost values of all so far, once a chunk's own `values` are counted."""
    kept = best(_KEPT, {*end, *values})
    made: End = {}
    for value in kept:
        before, place = end.get(value, (0, ""))
        made[value] = (before + counts[value], place or find(value))
    return made


def _without(ordered: Sequence[float], values: Sequence[float]) -> list[float]:
    rest = list(ordered)
    for value in values:
        del rest[bisect_left(rest, value) : bisect_right(rest, value)]
    return rest


def _apart(value: float, count: int, rest: list[float]) -> bool:
    """Whether a value that may stand for a missing one can hardly be one of the others."""
    if len(rest) < ENOUGH // 2 or len(set(rest)) < 3 or (count < 2 and abs(value) < _SURE):
        return False
    first, quarter, middle, three, last = (quantile(rest, share) for share in (0.01, 0.25, 0.5, 0.75, 0.99))
    spread = quantile(rest, 0.95) - quantile(rest, 0.05)
    if value == 0:  # no blood pressure is 0, but many counts are
        return first >= 0.2 * middle > 0 and quarter - 3 * (three - quarter) > 0 and rest[0] > 0
    if -10 < value < 0:
        return rest[0] >= 0 and len(set(rest)) > 3
    return (first - value if value < middle else value - last) > spread
