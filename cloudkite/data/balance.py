"""Classes that are far from even, for which accuracy says little: `new` and the check tell it alike."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cloudkite.show.text import _

LOPSIDED = 0.9  # the share of the commonest class from which a model that knows only that looks good


def lopsided(counts: Mapping[str, int]) -> str:
    """What the rows of each class mean for accuracy, in words; "" where they are even enough."""
    total = sum(counts.values())
    if len(counts) < 2 or not total:
        return ""
    name, most = max(counts.items(), key=lambda pair: pair[1])
    if most < LOPSIDED * total:
        return ""
    said = _("{share} of the rows are {name!r}: a model that always says so has that accuracy; look at the recall")
    return said.format(share=f"{math.floor(1000 * most / total) / 10:g}%", name=name)
