"""What a trainer's options are tried with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """One option without its dashes. `kind` is "real", "whole" or "choice"; `log` spreads tries over magnitudes."""

    name: str
    kind: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[float | int | str, ...] = ()


@dataclass(frozen=True)
class Space:
    """The metric, whether it is to "maximize" or to "minimize", and what is tried."""

    metric: str
    goal: str
    parameters: tuple[Parameter, ...]
