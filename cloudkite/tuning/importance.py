"""Which parameter moved the metric, where the tries show it: the share of the ranks' variance between groups, and how
often chance alone does as well."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from cloudkite.tuning import space as spaces
from cloudkite.tuning.space import Parameter
from cloudkite.tuning.study import Study

LEAST = 10  # whole tries below which nothing is told
SURE = 0.05  # chance below which a share is taken for real, over all parameters together
_SHUFFLES = 2000
_GROUPS = 3  # of a parameter's numbers, from small to large


@dataclass(frozen=True)
class Share:
    """A parameter's share, 0 to 1, and how often shuffled metrics gave as much. `shown`: not by chance."""

    name: str
    share: float
    chance: float
    shown: bool


def of(study: Study) -> tuple[Share, ...]:
    """The parameters, what moved most first; none with fewer than LEAST tries that ended well."""
    done = [one for one in study.own if one.state == "done" and one.metric is not None]
    if len(done) < LEAST:
        return ()
    found = []
    for parameter in study.space.parameters:
        has = [one for one in done if parameter.name in spaces.effective(one.values)]
        groups = _groups(parameter, [one.values[parameter.name] for one in has])
        if len(has) >= LEAST and len(set(groups)) > 1:
            ranks = _ranks([one.metric or 0.0 for one in has])
            found.append((parameter.name, *_beside_chance(groups, ranks)))
    # Several are looked at: with five of them, one in four would seem sure by chance alone.
    told = [Share(name, share, chance, chance * len(found) <= SURE) for name, share, chance in found]
    return tuple(sorted(told, key=lambda one: -one.share))


def _groups(parameter: Parameter, values: Sequence[spaces.Value]) -> list[int]:
    """The group of each value: one for each choice, or a third of the numbers."""
    if parameter.kind == "choice":
        return [parameter.choices.index(value) for value in values]
    order = _ranks([float(value) for value in values])
    return [min(_GROUPS - 1, int(rank * _GROUPS / len(values))) for rank in order]


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 0 on; equal values share theirs."""
    ordered = sorted(values)
    first = {value: ordered.index(value) for value in set(values)}
    return [first[value] + (ordered.count(value) - 1) / 2 for value in values]


def _beside_chance(groups: Sequence[int], ranks: Sequence[float]) -> tuple[float, float]:
    """The share, and how often a shuffle has one as large."""
    share, shuffled, chance = _share(groups, ranks), list(ranks), random.Random(0)  # noqa: S311
    as_large = 0
    for _round in range(_SHUFFLES):
        chance.shuffle(shuffled)
        as_large += _share(groups, shuffled) >= share - 1e-12
    return share, (as_large + 1) / (_SHUFFLES + 1)


def _share(groups: Sequence[int], ranks: Sequence[float]) -> float:
    """Variance between groups / all variance."""
    mean = sum(ranks) / len(ranks)
    whole = sum((rank - mean) ** 2 for rank in ranks)
    sums: dict[int, tuple[float, int]] = {}
    for group, rank in zip(groups, ranks, strict=True):
        total, count = sums.get(group, (0.0, 0))
        sums[group] = total + rank, count + 1
    between = sum(count * (total / count - mean) ** 2 for total, count in sums.values())
    return between / whole if whole else 0.0
