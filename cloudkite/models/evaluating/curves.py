"""The learning curves of a run, each epoch once, from logs that several processes wrote one after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Curves:
    """`values` maps each metric to its values by part ("train", "validation"): {epoch from 1 on: value}. `seconds` were
    spent in `processes`; `why` says what is lacking where there are none."""

    values: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    seconds: float = 0.0
    processes: int = 0
    why: str = ""

    @property
    def epochs(self) -> int:
        """The last epoch."""
        return max((e for parts in self.values.values() for points in parts.values() for e in points), default=0)


def of(events: Mapping[str, Sequence[Mapping[str, Any]]], epoch: int, step: int | None) -> Curves:
    """The curves of the run that ended at `step`, with so many steps an `epoch`; of the newest for None.

    Each process wrote a file. One that was killed is followed by another, which goes on from a checkpoint: an epoch may
    be in both, and that of the later one counts. A file that begins with the first epoch begins a run.
    """
    values: dict[str, dict[str, dict[int, float]]] = {}
    seconds, processes = 0.0, 0
    for part, files in events.items():
        runs: list[list[Mapping[str, Any]]] = []
        for one in filter(lambda one: one["points"], files):
            if not runs or min(s for s, _n, _v in one["points"]) <= epoch:
                runs.append([])
            runs[-1].append(one)
        fitting = [run for run in runs if _fits(run, epoch, step)]
        if not fitting:
            continue
        for one in fitting[-1]:
            for at, name, value in one["points"]:
                values.setdefault(name, {}).setdefault(part, {})[max(round(at / epoch), 1)] = value
        if part == "train":
            processes = len(fitting[-1])
            seconds = sum(one["ended"] - one["begun"] for one in fitting[-1])
    return Curves(values, seconds, processes)


def _fits(run: Sequence[Mapping[str, Any]], epoch: int, step: int | None) -> bool:
    """Whether these files are of a run with such epochs that ended at `step`, maybe before the end of an epoch."""
    steps = [at for one in run for at, _name, _value in one["points"]]
    whole = all(at % epoch == 0 for at in steps)
    return whole and (step is None or max(steps) <= step < max(steps) + epoch)


def steps_an_epoch(events: Mapping[str, Sequence[Mapping[str, Any]]]) -> int:
    """How many steps an epoch of the newest process has, where nothing else tells: each epoch ends at a multiple."""
    files = [one for part in events.values() for one in part if one["points"]]
    if not files:
        return 1
    newest = {step for step, _name, _value in max(files, key=lambda one: one["begun"])["points"]}
    every = {step for one in files for step, _name, _value in one["points"]}
    return math.gcd(*(newest if len(newest) > 1 else every)) or 1
