"""A study: what was tried of a space, and what came of it; kept in a file, so that it goes on after any end.

It stands in the trainer's folder, tuning/<name>/study.json, whole at every moment; what the tries of an engine here
left stands beside it, in tries/.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol

from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.trainers.folders import Trainer
from cloudkite.tuning import space as spaces
from cloudkite.tuning.space import Space, Value
from cloudkite.workspace import private_folder, read_json, write_atomically

FOLDER, FILE, TRIES = "tuning", "study.json", "tries"
LINEAR = 0  # the number of the try that is to be beaten: a linear model as it comes
State = Literal["waiting", "running", "done", "pruned", "failed", "killed"]
_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")  # also a label of jobs on Google


@dataclass(frozen=True)
class Try:
    """One try. `metric` is the last that was told, of a done one that of its model; `why` says what became of it;
    `output` is its folder, or gs://. `history` has (step, metric) in order, `test` the metric on the rows kept for the
    last look, `interval` where the metric would be on all such rows, 95 times in 100; `starts`: how often it was begun.
    """

    number: int
    values: Mapping[str, Value]
    state: State = "waiting"
    metric: float | None = None
    seconds: float = 0.0
    cost: Decimal | None = None
    why: str = ""
    output: str = ""
    history: tuple[tuple[int, float], ...] = ()
    test: float | None = None
    interval: tuple[float, float] | None = None
    starts: int = 0

    @property
    def ended(self) -> bool:
        """Whether it is not tried again."""
        return self.state in ("done", "pruned", "failed")


@dataclass(frozen=True)
class Wishes:
    """What a person asked for. `tries` in all, `parallel` at once (0: as many as fit), seconds for the whole study
    (None: no limit) and for each try; `patience` tries without a better one end it (0: never); `arguments` are given to
    every try."""

    tries: int = 12
    parallel: int = 0
    limit_seconds: int | None = None
    try_seconds: int = 3600
    patience: int = 0
    seed: int = 0
    max_cost: str = ""
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """All that is known of a study. `mark` is the fingerprint of code and data; `state` "running" until it ended as it
    should ("done"), by itself too early ("failed"), or was stopped ("stopped": it can go on); `facts` are what the
    trainer told: held-out rows, baselines."""

    name: str
    trainer: str
    engine: str
    space: Space
    wishes: Wishes
    mark: str
    created: str
    state: Literal["running", "done", "stopped", "failed"] = "running"
    why: str = ""
    seconds: float = 0.0  # while somebody worked on it
    repeats: int = 0  # suggestions that were tried already
    tries: tuple[Try, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def own(self) -> tuple[Try, ...]:
        """The tries without the linear baseline."""
        return tuple(one for one in self.tries if one.number != LINEAR)

    @property
    def linear(self) -> Try | None:
        """The linear baseline."""
        return next((one for one in self.tries if one.number == LINEAR), None)

    @property
    def ranked(self) -> tuple[Try, ...]:
        """The best first; then those without a result of their own, in order."""
        sign = -1 if self.space.goal == "maximize" else 1
        done = sorted((one for one in self.own if _counts(one)), key=lambda one: (sign * (one.metric or 0), one.number))
        return (*done, *(one for one in self.own if not _counts(one)))

    @property
    def best(self) -> Try | None:
        """The best of the tries that ended well; None while there is none."""
        first = self.ranked[:1]
        return first[0] if first and _counts(first[0]) else None

    @property
    def winner(self) -> Try | None:
        """What is worth training in full: the best, or the linear model where the best doesn't beat it."""
        best, linear = self.best, self.linear
        if linear and _counts(linear) and (best is None or not self.space.better(best.metric or 0, linear.metric or 0)):
            return linear
        return best

    def given(self, number: int) -> Try | None:
        """The try of that number."""
        return next((one for one in self.tries if one.number == number), None)

    def with_try(self, one: Try) -> Study:
        """The study with this try in the place of the one of its number."""
        tries = {other.number: other for other in self.tries} | {one.number: one}
        return replace(self, tries=tuple(tries[number] for number in sorted(tries)))

    @property
    def complete(self) -> bool:
        """Whether as many tries have ended as were asked for."""
        ended = sum(one.ended for one in self.own)
        return ended >= self.wishes.tries and all(one.ended for one in self.tries)


def _counts(one: Try) -> bool:
    return one.state == "done" and one.metric is not None and math.isfinite(one.metric)


class Engine(Protocol):
    """What carries a study's tries out: processes here, or a service.

    `watch` begins or goes on with the study and gives it whenever something has changed, until it has ended. It keeps
    `study.json` up to date. Who closes the iterator leaves the rest to `stop`, which ends what runs and gives the study
    as it then is; an engine whose tries go on without this process may leave them alone.
    """

    name: str

    def watch(self, study: Study) -> Iterator[Study]:
        """Begin, or go on; the states of the study."""
        ...

    def stop(self, study: Study) -> Study:
        """End what runs."""
        ...


# --- on disk


def folder(trainer: Trainer, name: str) -> Path:
    """Where a study of a trainer stands."""
    return trainer.folder / FOLDER / name


def check_name(name: str) -> None:
    """Raise BadValue unless `name` can be a folder and a label of jobs."""
    if not _NAME.fullmatch(name):
        raise BadValue(
            _("{name!r} isn't a valid name for a study").format(name=name),
            _("lowercase letters, digits, - and _, at most 63"),
        )


def save(trainer: Trainer, study: Study) -> None:
    """Write the study down, whole or not at all. What stands there is nothing for a repository."""
    own = private_folder(folder(trainer, study.name))
    if not (own.parent / ".gitignore").exists():
        write_atomically(own.parent / ".gitignore", "*\n")
    write_atomically(own / FILE, json.dumps(facts(study), ensure_ascii=False, indent=1) + "\n")


def facts(study: Study) -> dict[str, Any]:
    """All of it in JSON."""
    told = dataclasses.asdict(replace(study, tries=()))
    own = [dataclasses.asdict(one) | {"cost": None if one.cost is None else str(one.cost)} for one in study.tries]
    return told | {"space": study.space.facts(), "tries": own}


def load(trainer: Trainer, name: str) -> Study | None:
    """The study of that name; None where there is none. Raises UserError for one that can't be read."""
    path = folder(trainer, name) / FILE
    try:
        raw: dict[str, Any] = read_json(path)
        wishes = raw["wishes"]
        return Study(
            **{
                **raw,
                "space": spaces.of_facts(raw["space"]),
                "wishes": Wishes(**{**wishes, "arguments": tuple(wishes["arguments"])}),
                "tries": tuple(map(_try, raw["tries"])),
            }
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            _("{path} can't be read: {error}").format(path=path, error=error),
            _("remove that folder, or give another --name"),
        ) from None


def _try(raw: Mapping[str, Any]) -> Try:
    cost, interval, history = (
        raw["cost"],
        raw["interval"],
        tuple((int(step), float(value)) for step, value in raw["history"]),
    )
    return Try(**{**raw, "cost": None if cost is None else Decimal(cost), "history": history,
                  "interval": interval and tuple(interval)})  # fmt: skip


def names(trainer: Trainer) -> list[str]:
    """The trainer's studies, the newest first."""
    found = [path.parent for path in (trainer.folder / FOLDER).glob(f"*/{FILE}")]
    dated = [(study.created, study.name) for one in found if (study := _readable(trainer, one.name))]
    return [name for _created, name in sorted(dated, reverse=True)]


def _readable(trainer: Trainer, name: str) -> Study | None:
    try:
        return load(trainer, name)
    except UserError:
        return None


@dataclass(frozen=True)
class Begun:
    """A study to work on, and what is to be said of where it comes from."""

    study: Study
    goes_on: bool
    note: str = ""


def begin(
    trainer: Trainer, engine: str, space: Space, wishes: Wishes, mark: str, name: str = "",
    now: datetime.datetime | None = None,
) -> Begun:  # fmt: skip
    """The study that goes on, or a new one: that of the given name, else the newest, if its code, data, space, engine
    and arguments are those of now; it has at least as many tries as were asked for then. Raises BadValue for the name.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    if name:
        check_name(name)
    note = ""
    for found in filter(None, (load(trainer, known) for known in ([name] if name else names(trainer)))):
        changed = _changed(found, engine, space, wishes, mark)
        if not changed:
            return Begun(replace(found, wishes=replace(wishes, tries=max(found.wishes.tries, wishes.tries))), True)
        if not note and (name or not found.complete):
            said = _("study {name} was begun with other {changed}: this is a new one")
            note = said.format(name=found.name, changed=", ".join(changed))
    return Begun(
        Study(_free(trainer, name or f"{now:%Y%m%d-%H%M%S}"), trainer.name, engine, space, wishes, mark,
              now.isoformat(timespec="milliseconds")),
        False,
        note,
    )  # fmt: skip


def _changed(study: Study, engine: str, space: Space, wishes: Wishes, mark: str) -> list[str]:
    """What is another than it was; in words."""
    then_and_now = {
        _("code or data"): (study.mark, mark),
        "tuning.toml": (study.space, space),
        _("engine"): (study.engine, engine),
        _("arguments"): (study.wishes.arguments, wishes.arguments),
        _("seed"): (study.wishes.seed, wishes.seed),
    }
    return [what for what, (then, now) in then_and_now.items() if then != now]


def _free(trainer: Trainer, name: str) -> str:
    """The name, or the first of name-2, name-3 ... that no study has."""
    number, free = 1, name
    while folder(trainer, free).exists():
        number += 1
        free = f"{name[:58]}-{number}"
    return free
