"""What measured runs tell of the next one: which are comparable, seconds of an epoch by machine, the price of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

# Options by which a run may differ from another and still do the same work in an epoch, but for the number of its rows.
_SAME_WORK = frozenset(
    "ask before continue data epochs output rate require-gpu save-every seed steps test validation widen".split()
)
_NEWEST = 5  # runs on a machine that count; what was measured long ago was perhaps of other code
_SAME_ROWS = 0.01  # a difference in rows that needs no scaling
_STEP = 30  # seconds; time is billed in such steps
_HOUR = 3600


@dataclass(frozen=True)
class Setup:
    """What a run had to run on: `count` accelerators on each of `workers` machines.

    Whether they were Spot machines is left out: these are the same machines.
    """

    place: str
    machine: str
    accelerator: str = ""
    count: int = 0
    workers: int = 1


@dataclass(frozen=True)
class Run:
    """One run that was measured: seconds of an epoch, and of all else that it took: start, export, end.

    `epochs` were run, on `rows` rows, None where the run doesn't say. `given` are the options that it was given and
    that change the work of an epoch; `used` all of these, as it says itself, or the same where it says nothing.
    """

    job: str
    created: str
    setup: Setup
    spot: bool
    epochs: int
    epoch_seconds: float
    rest_seconds: float
    rows: int | None
    given: Mapping[str, str]
    used: Mapping[str, str]


@dataclass(frozen=True)
class Speed:
    """What runs on one set-up have in common: medians, and the jobs that they are of, the newest first.

    `scaled` is whether an epoch had another number of rows, and its seconds were taken to grow with them.
    """

    setup: Setup
    epoch_seconds: float
    rest_seconds: float
    jobs: tuple[str, ...]
    scaled: bool = False

    def seconds(self, epochs: int) -> float:
        """How long a run of so many epochs takes."""
        return self.rest_seconds + epochs * self.epoch_seconds

    def price(self, hourly: Decimal, epochs: int) -> Decimal:
        """What that costs at so much an hour of the whole job, by the half minute begun."""
        billed = math.ceil(self.seconds(epochs) / _STEP) * _STEP
        return hourly * billed / _HOUR


@dataclass(frozen=True)
class Measurements:
    """All runs of a trainer that were measured, the newest first. `unread` jobs have yet to be read."""

    runs: tuple[Run, ...] = ()
    unread: int = 0

    def like(self, given: Mapping[str, str]) -> tuple[Run, ...]:
        """The runs that did the same work in an epoch as a run with the options `given` would: see `options`."""
        newest = next((run for run in self.runs if _fits(run, given)), None)
        return self.same(newest) if newest else ()

    def same(self, as_one: Run) -> tuple[Run, ...]:
        """The runs that did the same work in an epoch as that one."""
        return tuple(run for run in self.runs if run.used == as_one.used)


def options(arguments: Sequence[str]) -> dict[str, str]:
    """The options among a trainer's arguments that change the work of an epoch: {"units": "64"}; "" for a flag."""
    return {name: value for name, value in _all(arguments).items() if name not in _SAME_WORK}


def relevant(said: Mapping[str, object]) -> dict[str, str]:
    """The same of the options that a run says it used; those without a value are left out."""
    named = {name.replace("_", "-"): value for name, value in said.items()}
    return {
        name: "" if value is True else str(value)
        for name, value in named.items()
        if name not in _SAME_WORK and value not in (None, False)
    }


def epochs(arguments: Sequence[str]) -> int | None:
    """The value of --epochs among a trainer's arguments."""
    value = _all(arguments).get("epochs", "")
    return int(value) if value.isdecimal() and int(value) else None


def _all(arguments: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for word in arguments:
        if word.startswith("--"):
            name, _equals, value = word[2:].partition("=")
            found[name] = value
        elif name:
            found[name], name = word, ""
    return found


def _fits(run: Run, given: Mapping[str, str]) -> bool:
    """Whether a run had all that is given, and nothing given that isn't: its default is not known."""
    return set(run.given) <= set(given) and all(run.used.get(name) == value for name, value in given.items())


def speeds(runs: Sequence[Run]) -> list[Speed]:
    """The speed on each set-up, from runs that did the same work, the newest first; for as many rows as that had."""
    rows = next((run.rows for run in runs if run.rows), None)
    by_setup: dict[Setup, list[Run]] = {}
    for run in runs:
        by_setup.setdefault(run.setup, []).append(run)
    found = []
    for setup, some in by_setup.items():
        alike = [run for run in some if not _other_rows(run, rows)]
        chosen = (alike or some)[:_NEWEST]
        epoch = median(run.epoch_seconds * _factor(run, rows) for run in chosen)
        rest = median(run.rest_seconds for run in chosen)
        found.append(Speed(setup, epoch, rest, tuple(run.job for run in chosen), scaled=not alike))
    return found


def _other_rows(run: Run, rows: int | None) -> bool:
    return abs(_factor(run, rows) - 1) > _SAME_ROWS


def _factor(run: Run, rows: int | None) -> float:
    return rows / run.rows if rows and run.rows else 1.0
