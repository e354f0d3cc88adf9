"""A study: what was tried, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Try:
    """One try. `state` is waiting, running, done, pruned, failed or killed; `output` a folder or gs:// address."""

    number: int
    values: dict[str, float | int | str]
    state: str
    metric: float | None
    seconds: float
    cost: Decimal | None
    why: str
    output: str
