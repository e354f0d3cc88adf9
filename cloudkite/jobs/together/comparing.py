"""What jobs were given and what came out, side by side: read from the jobs themselves and from a file each left."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from cloudkite.accounts.target import Target
from cloudkite.jobs import facts
from cloudkite.jobs.job import Job
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

_AT_ONCE = 8
_HASH = re.compile(r"/([0-9a-f]{64})(?:/|$)")


@dataclass(frozen=True)
class Compared:
    """A job with what tells it from others. `parameters` are the trainer's, by the option's name without dashes.

    `given` names those that were typed. `data` is where the data lie, `content` the hash of their content, "" where it
    isn't known. `lacks` says why there are no metrics, "" where there are.
    """

    job: Job
    parameters: Mapping[str, str]
    given: frozenset[str]
    data: str
    content: str
    rows: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    lacks: str = ""


def compare(target: Target, jobs: Sequence[Job]) -> list[Compared]:
    """Each job with its parameters, data and metrics; one small file is read for each job that has succeeded."""
    target.session()  # made once, before threads ask for it
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda job: _compared(target, job), jobs))


def _compared(target: Target, job: Job) -> Compared:
    given = options(job.arguments)
    data = given.pop("data", "")
    hashed = _HASH.search(data)
    left, lacks = _facts(target, job)
    run, rows, metrics = (left.get(key, {}) for key in ("run", "rows", "metrics"))
    used = run.get("options") if isinstance(run.get("options"), dict) else {}
    known = {name.replace("_", "-"): written(value) for name, value in used.items() if isinstance(value, _PLAIN)}
    if left and not metrics:
        lacks = _("its trainer told no metrics")
    return Compared(
        job=job,
        parameters={**known, **given},
        given=frozenset(given),
        data=data,
        content=hashed[1] if hashed else "",
        rows={name: value for name, value in rows.items() if type(value) is int},
        metrics={name: float(value) for name, value in metrics.items() if _is_number(value)},
        lacks=lacks,
    )


_PLAIN = (str, int, float, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def options(words: Sequence[str]) -> dict[str, str]:
    """`--epochs 20 --deep --rate=0.1` by name: a switch has the value "yes"; words of no option are "arguments"."""
    found: dict[str, str] = {}
    rest: list[str] = []
    name = ""
    for word in words:
        if word.startswith("--") and len(word) > 2:
            if name:
                found[name] = "yes"
            name, equals, value = word[2:].partition("=")
            if equals:
                found[name], name = value, ""
        elif name:
            found[name], name = word, ""
        else:
            rest.append(word)
    if name:
        found[name] = "yes"
    return {**found, **({"arguments": " ".join(rest)} if rest else {})}


def _facts(target: Target, job: Job) -> tuple[dict[str, Any], str]:
    """(what the trainer left beside the model, why that is nothing)."""
    if job.active:
        return {}, _("it has not ended")
    if job.state != "SUCCEEDED":
        return {}, _("it left no model")
    try:
        return facts.read(target, job.output), ""
    except UserError as problem:
        return {}, problem.message


@dataclass(frozen=True)
class Line:
    """One thing about all jobs: its `kind` ("job", "parameter", "data", "metric"), and a cell a job, "" for unknown."""

    kind: str
    name: str
    cells: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether not all jobs have the same."""
        return len(set(self.cells)) > 1


def lines(found: Sequence[Compared]) -> list[Line]:
    """All about the jobs, line by line: what differs first within parameters and data, then what is the same.

    Metrics come between them, always: they are what one compares for.
    """
    about = [*_parameters(found), *_data(found)]
    metrics = [
        Line("metric", name, tuple(number(one.metrics.get(name)) for one in found))
        for name in _names(one.metrics for one in found)
    ]
    return [
        *(line for line in about if line.differs),
        *metrics,
        *(line for line in about if not line.differs),
    ]


def _parameters(found: Sequence[Compared]) -> Iterator[Line]:
    for name in _names(one.parameters for one in found):
        yield Line("parameter", name, tuple(one.parameters.get(name, "") for one in found))


def _data(found: Sequence[Compared]) -> Iterator[Line]:
    if any(one.data for one in found):
        yield Line("data", "data", tuple(one.content[:12] or one.data for one in found))
    for name in _names(one.rows for one in found):
        yield Line("data", f"rows, {name}", tuple(f"{n:,}" if (n := one.rows.get(name)) else "" for one in found))


def _names(tables: Any) -> list[str]:
    return list(dict.fromkeys(name for one in tables for name in one))


def written(value: Any) -> str:
    """A parameter's value as one would type it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def number(value: float | None) -> str:
    """A metric in a table; "" for none."""
    return "" if value is None else f"{value:.4g}"
