"""New data beside the data that was learnt from: numbers that have moved, words that nobody knew, blanks that grew.

Numbers are compared by their distribution: Kolmogorov and Smirnov's distance says whether a difference can be chance,
the population stability index (PSI) whether it is large: 0.1 is usually called some, 0.25 much.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloudkite.check.columns.repeats import share_of
from cloudkite.check.columns.sample import quantile
from cloudkite.check.findings import NOTE, WARNING, Findings
from cloudkite.show import amounts
from cloudkite.show.text import _

SOME, MUCH = 0.1, 0.25  # PSI
_CHANCE = 1.95  # of Kolmogorov's distribution: one comparison in a thousand is as far off by chance
_NORMAL = 3.09  # what a normal number is below in 999 of 1,000 cases
_ENOUGH = 20  # rows, with fewer nothing is said of a distribution
_PARTS = 10
_LEAST = 1e-4  # a share that is none counts as this one
_MOVED = 0.5  # standard deviations that a mean may move, where only mean and deviation are known
_RARE = 0.01  # rows out of the known


@dataclass(frozen=True)
class Known:
    """What is known of a column of the data that was learnt from; what isn't known is None, or empty."""

    numbers: Sequence[float] = ()  # sorted, some of them
    mean: float | None = None
    deviation: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    words: Mapping[str, int] | None = None  # how many rows have it; 1 where only the word is known
    counts: bool = False  # words has numbers of rows
    blanks: float | None = None  # their share


def of_statistics(about: Mapping[str, object]) -> Known:
    """What a model's trainer.json tells of one column."""
    words = about.get("words")
    if isinstance(words, list):
        return Known(words=dict.fromkeys(map(str, words), 1))
    mean, variance, low, high = (about.get(key) for key in ("mean", "variance", "low", "high"))
    if not all(isinstance(value, int | float) for value in (mean, variance)):
        return Known()
    assert isinstance(mean, int | float) and isinstance(variance, int | float)
    return Known(
        mean=float(mean),
        deviation=math.sqrt(max(0.0, variance)),
        low=float(low) if isinstance(low, int | float) else -math.inf,
        high=float(high) if isinstance(high, int | float) else math.inf,
    )


def numbers(name: str, known: Known, new: Sequence[float], findings: Findings) -> None:
    """Tell how the sorted numbers `new` of a column differ from those `known`."""
    if len(new) < _ENOUGH:
        return
    if len(known.numbers) >= _ENOUGH:
        distance, index = kolmogorov_smirnov(known.numbers, new), stability(*_binned(known.numbers, new))
        chance = _CHANCE * math.sqrt((len(known.numbers) + len(new)) / (len(known.numbers) * len(new)))
        if distance > chance and index >= SOME:
            said = _(
                "{name}: other numbers than those learnt from: half are {new[0]} to {new[1]}, and were"
                " {old[0]} to {old[1]} (PSI {index:.2f})"
            )
            quarters = [[amounts.number(quantile(some, q)) for q in (0.25, 0.75)] for some in (new, known.numbers)]
            text = said.format(name=name, new=quarters[0], old=quarters[1], index=index)
            findings.add(WARNING if index >= MUCH else NOTE, text)
        return
    if known.mean is None:
        return
    mean = sum(new) / len(new)
    spread = math.sqrt(sum((value - mean) ** 2 for value in new) / len(new))
    error = max(spread, known.deviation) / math.sqrt(len(new))
    if abs(mean - known.mean) > max(_MOVED * known.deviation, 4 * error):
        said = _("{name}: a mean of {new}; of the rows learnt from it was {old}, give or take {spread}")
        told = {"new": mean, "old": known.mean, "spread": known.deviation}
        shown = {what: amounts.number(value) for what, value in told.items()}
        findings.add(WARNING, said.format(name=name, **shown))
    outside = sum(not known.low <= value <= known.high for value in new) / len(new)
    if outside > _RARE:
        said = _("{name}: {share} of the numbers are outside of what was learnt from ({low} to {high})")
        low, high = amounts.number(known.low), amounts.number(known.high)
        findings.add(WARNING, said.format(name=name, share=share_of(outside), low=low, high=high))


def words(name: str, known: Known, new: Mapping[str, int], findings: Findings) -> None:
    """Tell how the words `new` (with their rows) of a column differ from those `known`."""
    rows, old = sum(new.values()), known.words
    if not rows or old is None:
        return
    strange = {word: count for word, count in new.items() if word and word not in old}
    if strange:
        share = sum(strange.values()) / rows
        shown = ", ".join(repr(word) for word, _count in Counter(strange).most_common(3))
        said = _("{name}: {share} of the rows have a word that was not learnt from: {words}")
        text = said.format(name=name, share=share_of(share), words=shown + (", ..." if len(strange) > 3 else ""))
        findings.add(WARNING if share >= _RARE else NOTE, text)
    shared = {word: count for word, count in new.items() if word in old}
    total, rows = sum(old.values()), sum(shared.values())
    if known.counts and len(old) > 1 and min(rows, total) >= _ENOUGH:
        common = [word for word, _count in Counter(old).most_common(_PARTS - 1)]
        first, second = ([some.get(word, 0) for word in common] for some in (old, shared))
        if rest := total - sum(first):
            first.append(rest)
            second.append(rows - sum(second))
        index = stability(first, second)
        if index >= max(SOME, chance_of(len(first) - 1) * (1 / rows + 1 / total)):
            said = _(
                "{name}: other shares than those learnt from, e.g. {word!r} {new}, and was {old} (PSI {index:.2f})"
            )
            most = max(common, key=lambda word: abs(shared.get(word, 0) / rows - old[word] / total))
            shares = {"new": share_of(shared.get(most, 0) / rows), "old": share_of(old[most] / total)}
            text = said.format(name=name, word=most, index=index, **shares)
            findings.add(WARNING if index >= MUCH else NOTE, text)


def chance_of(freedom: int) -> float:
    """What a chi-squared number is below in 999 of 1,000 cases, after Wilson and Hilferty (1931): the PSI of two
    samples of one distribution, times their harmonic size, is nearly one."""
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + _NORMAL * math.sqrt(spread)) ** 3


def blanks(name: str, known: Known, share: float, rows: int, findings: Findings) -> None:
    """Tell that fields are blank which were not."""
    if known.blanks is None or rows < _ENOUGH:
        return
    if share > known.blanks + max(0.1, 3 * math.sqrt(max(known.blanks, 0.01) / rows)):
        said = _("{name}: {new} of the fields are blank, and {old} of those learnt from")
        findings.add(
            WARNING, said.format(name=name, new=share_of(share), old=share_of(known.blanks) if known.blanks else "0%")
        )


def kolmogorov_smirnov(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest distance between two distributions, by sorted numbers of each; 0 to 1."""
    return max(
        abs(bisect.bisect_right(one, value) / len(one) - bisect.bisect_right(other, value) / len(other))
        for value in {*one, *other}
    )


def stability(old: Sequence[float], new: Sequence[float]) -> float:
    """The population stability index of two counts over the same parts."""
    total = 0.0
    for before, after in zip(old, new, strict=True):
        p, q = max(before / sum(old), _LEAST), max(after / sum(new), _LEAST)
        total += (q - p) * math.log(q / p)
    return total


def _binned(old: Sequence[float], new: Sequence[float]) -> tuple[list[int], list[int]]:
    """How many of each lie in parts that hold a tenth of the old ones."""
    edges = sorted({quantile(old, i / _PARTS) for i in range(1, _PARTS)})
    made = []
    for some in (old, new):
        below = [bisect.bisect_right(some, edge) for edge in edges]
        made.append([b - a for a, b in zip([0, *below], [*below, len(some)], strict=True)])
    return made[0], made[1]
