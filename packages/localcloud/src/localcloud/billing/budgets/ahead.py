"""When spending comes to where something happens, if all goes on as it does now: where a move of the clock stops."""

from __future__ import annotations

from collections.abc import Callable

from localcloud.billing.charges import GRANULE

_PARTS = 64


def reaches(cost: int, rate: int, limit: int, now: float) -> float | None:
    """When a cost that grows by `rate` an hour is `limit` (in nanos); None when it is there already, or never."""
    if cost >= limit or rate <= 0:
        return None
    return now + (limit - cost) / rate * 3600 + GRANULE  # charges come by the half minute


def first(is_so: Callable[[float], bool], now: float, until: float) -> float | None:
    """Shortly after something is so for the first time in an interval."""
    before = now
    for part in range(1, _PARTS + 1):
        moment = now + (until - now) * (part / _PARTS) ** 3  # most closely at first
        if is_so(moment):
            while moment - before > GRANULE:
                middle = (before + moment) / 2
                before, moment = (before, middle) if is_so(middle) else (middle, moment)
            return moment + GRANULE
        before = moment
    return None
