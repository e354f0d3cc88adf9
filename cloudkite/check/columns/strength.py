"""How much one column alone tells of the label: a first look at what a model may learn from."""

from __future__ import annotations

import bisect
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence

from cloudkite.check.columns.sample import quantile
from cloudkite.data import number

_PARTS = 10  # of a column of numbers, each with as many rows
_RARE = 5  # rows of a word, below which it counts among the others


def parts(values: Sequence[str], numbers: bool) -> list[str]:
    """The part of the column that each row is in: a tenth of the numbers, a word, a blank."""
    if not numbers:
        counts = Counter(values)
        return [text if counts[text] >= _RARE else "\0" for text in values]
    read = [number.read(text) if text else None for text in values]
    known = sorted(value for value in read if value is not None)
    edges = sorted({quantile(known, i / _PARTS) for i in range(1, _PARTS)}) if known else []
    return ["" if value is None else str(bisect.bisect_right(edges, value)) for value in read]


def of_classes(values: Sequence[str], labels: Sequence[str], numbers: bool) -> float:
    """The share of what is to know of the label's classes that one column tells, 0 to 1: mutual information by the
    label's entropy, less what chance makes of it (Miller and Madow)."""
    found, total = parts(values, numbers), len(labels)
    both, left, right = Counter(zip(found, labels, strict=True)), Counter(found), Counter(labels)
    if len(right) < 2:
        return 0.0
    told = sum(n / total * math.log(n * total / (left[x] * right[y])) for (x, y), n in both.items())
    told -= (len(left) - 1) * (len(right) - 1) / (2 * total)
    entropy = -sum(n / total * math.log(n / total) for n in right.values())
    return min(1.0, max(0.0, told / entropy))


def of_number(values: Sequence[str], labels: Sequence[str], numbers: bool) -> float:
    """The share of the label's variance that one column tells, 0 to 1, less what chance makes of it."""
    pairs = [
        (part, value)
        for part, text in zip(parts(values, numbers), labels, strict=True)
        if (value := number.read(text)) is not None
    ]
    groups: dict[str, list[float]] = defaultdict(list)
    for part, value in pairs:
        groups[part].append(value)
    if len(pairs) <= len(groups) or len(groups) < 2:
        return 0.0
    mean = statistics.fmean(value for _part, value in pairs)
    total = sum((value - mean) ** 2 for _part, value in pairs)
    within = sum(sum((value - statistics.fmean(some)) ** 2 for value in some) for some in groups.values())
    if not total:
        return 0.0
    return max(0.0, 1 - within / total * (len(pairs) - 1) / (len(pairs) - len(groups)))
