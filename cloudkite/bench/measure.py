"""Timing of whole processes and of calls: pairs in turn, medians, spread."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Run = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the report. `ours` and `peer` are medians in `unit`; `ratio` the median of ours/peer by pairs."""

    name: str
    unit: str
    ours: float
    spread: tuple[float, float]
    peer_name: str = ""
    peer: float | None = None
    ratio: float | None = None
    target: str = ""
    runs: int = 0
    note: str = ""
    samples: list[float] = field(default_factory=list, repr=False)


def seconds(run: Run) -> float:
    """Wall-clock seconds of one run."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def paired(name: str, ours: Run, peer: Run | None, *, runs: int = 5, warm: int = 1, target: str, peer_name: str) -> Row:
    """Time two runs in turn, A B A B ..., after `warm` uncounted ones: so the ratio holds when the speed drifts."""
    mine: list[float] = []
    theirs: list[float] = []
    for i in range(warm + runs):
        a = seconds(ours)
        b = seconds(peer) if peer else None
        if i >= warm:
            mine.append(a)
            if b is not None:
                theirs.append(b)
    return Row(
        name=name,
        unit="s",
        ours=statistics.median(mine),
        spread=(min(mine), max(mine)),
        peer_name=peer_name if theirs else "",
        peer=statistics.median(theirs) if theirs else None,
        ratio=statistics.median(a / b for a, b in zip(mine, theirs, strict=True)) if theirs else None,
        target=target,
        runs=runs,
        samples=mine,
    )


def process(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Run:
    """A run of a whole process; a failure of it is an error of the measurement."""

    def run() -> None:
        done = subprocess.run(
            list(command), env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, encoding="utf-8",
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)[:200]} ended with {done.returncode}:\n{done.stderr[-2000:]}")

    return run
