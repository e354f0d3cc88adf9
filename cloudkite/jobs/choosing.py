"""Which job a person means: by its name or id, by the start of one, or by its trainer. One rule for all commands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from cloudkite.accounts.target import Target
from cloudkite.jobs import service
from cloudkite.jobs.service import Job
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _

_WHOLE_ID = 15  # an id has more digits than this
_SHOWN = 5  # jobs named in a message
_LOOKED_THROUGH = 200  # of the newest jobs, for a part of a name


@dataclass(frozen=True)
class Purpose:
    """What a job is wanted for, so that a trainer's name means the newest that `fits`; `none` says there is none."""

    fits: Callable[[Job], bool]
    none: str


ANY = Purpose(lambda _job: True, _("trainer {name} has no job yet"))
FETCH = Purpose(lambda job: job.state == "SUCCEEDED", _("no job of {name} has succeeded yet"))
CANCEL = Purpose(lambda job: job.active, _("no job of {name} is queued or running"))


def choose(target: Target, text: str = "", purpose: Purpose = ANY, trainers: Collection[str] = ()) -> Job:
    """The job that `text` means; the newest when it is "".

    A whole name or id comes first, then a trainer's name, then the start of a name or id, or the end of a name.
    `trainers` are known here and may have no job. Raises UserError when there is none, BadValue for more than one.
    """
    if not text:
        newest = service.recent(target, most=1)
        if not newest:
            raise UserError(_("no jobs yet"), _("uv run invoke train NAME"))
        return newest[0]
    if text.isdecimal() and len(text) > _WHOLE_ID:  # a whole id needs no list
        return service.get(target, text)
    if named := called(target, text):
        return _only(named, text)
    trained = service.search(target, trainer=text, page=20)
    if (first := next(trained, None)) or text in trainers:
        return _fitting(first, trained, text, purpose)
    recent = service.recent(target, most=_LOOKED_THROUGH)
    if whole := [job for job in recent if job.id == text]:
        return whole[0]
    parts = [j for j in recent if j.id.startswith(text) or j.name.startswith(text) or j.name.endswith(text)]
    if not parts:
        raise UserError(_("no job matches {text}").format(text=text), _("uv run invoke jobs"))
    return _only(parts, text)


def called(target: Target, name: str) -> list[Job]:
    """The jobs of that very name, newest first; more than one only if somebody else made them."""
    return list(islice(service.search(target, name=name, page=20), 20))


def refuse_taken(target: Target, name: str) -> None:
    """Raise BadValue when a job has that name: a name is to mean one job, however long ago it ended."""
    there = called(target, name)
    if not there:
        return
    free = next(n for k in range(2, 1000) if not called(target, n := f"{name}-{k}"))
    said = _("a job is called {name} already: {state}, of {date}")
    raise BadValue(
        said.format(name=name, state=there[0].state, date=f"{there[0].created:%Y-%m-%d %H:%M}"),
        _("--name {free}").format(free=free),
    )


def _fitting(first: Job | None, more: Iterator[Job], name: str, purpose: Purpose) -> Job:
    for job in chain([first] if first else [], islice(more, _LOOKED_THROUGH)):
        if purpose.fits(job):
            return job
    hint = _("uv run invoke jobs --trainer {name}") if first else _("uv run invoke train {name}")
    raise UserError(purpose.none.format(name=name), hint.format(name=name))


def _only(found: list[Job], text: str) -> Job:
    if len(found) == 1:
        return found[0]
    shown = ", ".join(f"{j.name} ({j.id}, {j.state})" for j in found[:_SHOWN])
    raise BadValue(
        _("{text} may be any of {count} jobs: {jobs}").format(
            text=text, count=len(found), jobs=shown + (", ..." if len(found) > _SHOWN else "")
        ),
        _("give the id, or more of the name"),
    )
