"""Jobs that are watched together: followed, waited for, or shown in a table that changes in its place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cloudkite.accounts import registry
from cloudkite.accounts.target import Target
from cloudkite.journey import alerts
from cloudkite.journey.reach import connect
from cloudkite.show import amounts, lines, screen
from cloudkite.show.errors import FAILED, INTERRUPTED, UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from cloudkite.jobs.job import Job

_FOLLOWED = 5.0  # seconds between two looks at jobs that are followed, at most
_WATCHED = 30.0  # the same for the table


def wait(
    workspace: Workspace,
    account_name: str,
    words: Sequence[str],
    *,
    trainer: str = "",
    limit: str = "",
    notify: bool = False,
    as_json: bool = False,
) -> None:
    """Wait until the jobs have ended that `words` mean, or all that run. Raises UserError unless all succeeded."""
    from cloudkite.money import limits

    seconds = limits.parse_duration(limit, "--limit") if limit else None
    account = registry.load(workspace, account_name or None)
    target = connect(workspace, account)
    jobs = meant(workspace, target, words, trainer)
    if not jobs:
        if as_json:
            screen.as_json([])
        else:
            screen.say(_("no job runs"))
        return
    ended = follow(target, jobs, seconds=seconds, notify=alerts.check(notify), quiet=as_json, progress=not as_json)
    if ended is None:
        raise UserError(_("interrupted; the jobs go on"), _("uv run invoke wait goes on waiting"), INTERRUPTED)
    if as_json:
        screen.as_json(ended)
    elif len(ended) > 1:
        summary(ended)
    if left := [job for job in ended if job.active]:
        said = counted(
            "{count} job still goes on after {time}: {names}",
            "{count} jobs still go on after {time}: {names}",
            len(left),
            time=limit,
            names=_names(left),
        )
        raise UserError(said, _("uv run invoke wait goes on waiting"), FAILED)
    refuse_failed(ended)


def meant(workspace: Workspace, target: Target, words: Sequence[str], trainer: str) -> list[Job]:
    """The jobs that words mean, each once; without a word all that go on, of the trainer if one is given."""
    from cloudkite.jobs import choosing, service
    from cloudkite.trainers import folders

    if not words:
        return [job for job in service.running(target) if trainer in ("", job.trainer)]
    known = folders.names(workspace)
    found = [choosing.choose(target, word, choosing.ANY, known) for word in words]
    return list({job.id: job for job in found if trainer in ("", job.trainer)}.values())


def follow(
    target: Target,
    jobs: Sequence[Job],
    *,
    progress: bool = False,
    seconds: float | None = None,
    notify: bool = False,
    quiet: bool = False,
) -> list[Job] | None:
    """A line a job until all have ended, or `seconds` have passed; None for a Ctrl-C, which leaves them running."""
    from cloudkite.jobs import logs
    from cloudkite.jobs.together import following

    told: set[str] = set()
    now: Sequence[Job] = jobs
    live = screen.console(error=True).is_terminal
    if live and not quiet:
        screen.note(_("Ctrl-C stops following; the jobs go on"))
    labels = _labels(jobs)
    try:
        with _rows([] if quiet else list(labels.values())) as (tell, ended):
            found = following.looks(target, jobs, progress=progress and live, longest=_FOLLOWED, seconds=seconds)
            for look in found:
                now = look.jobs
                for job in look.jobs:
                    if job.active:
                        status = logs.status(job, look.progress.get(job.id))
                        tell(labels[job.id], f"{status}; {look.problem}" if look.problem else status)
                    elif job.id not in told:
                        told.add(job.id)
                        ended(labels[job.id], _end_of(job))
                        if notify and job.state == "FAILED":
                            alerts.failed(job)
    except KeyboardInterrupt:
        if not quiet:
            screen.say(_("the jobs go on; uv run invoke wait, uv run invoke jobs"))
        return None
    return list(now)


def _labels(jobs: Sequence[Job]) -> dict[str, str]:
    """What each job is called in its line, by its id: its name, with the id where another has the same."""
    names = [job.name for job in jobs]
    return {job.id: job.name if names.count(job.name) == 1 else f"{job.name} ({job.id})" for job in jobs}


@contextmanager
def _rows(names: Sequence[str]) -> Iterator[tuple[lines.Tell, lines.Tell]]:
    """Live lines on a terminal; else a plain line on standard output for each end, and nothing without names."""
    if not names:
        yield lambda _name, _text: None, lambda _name, _text: None
    elif screen.console(error=True).is_terminal:
        with lines.lines(names) as both:
            yield both
    else:
        yield lambda _name, _text: None, lambda name, text: screen.say(f"{name}: {text}")


def _end_of(job: Job) -> str:
    """How it ended, in a line."""
    said = _("{state} after {time}, {cost}").format(
        state=job.state, time=amounts.duration(job.seconds), cost=amounts.money(job.cost, job.currency, 4)
    )
    first = job.error.strip().splitlines()[0] if job.error.strip() else ""
    return f"{said}: {first[:160]}" if first and job.state != "SUCCEEDED" else said


def summary(jobs: Sequence[Job]) -> None:
    """One line on all of them: how many ended how, and what all cost."""
    states = [job.state for job in jobs]
    parts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    known = [job.cost for job in jobs if job.cost is not None]
    cost = amounts.money(sum(known, Decimal(0)), jobs[0].currency, 4)
    unknown = "" if len(known) == len(jobs) else _(", some at a price that is not known")
    screen.say(
        _("{count} jobs: {states}; {cost}{unknown}").format(count=len(jobs), states=parts, cost=cost, unknown=unknown)
    )


def refuse_failed(jobs: Sequence[Job], also: UserError | None = None) -> None:
    """Raise UserError unless all have succeeded; `also` is why others were not even submitted."""
    failed = [job for job in jobs if not job.active and job.state != "SUCCEEDED"]
    if not failed:
        return
    said = counted(
        "{count} of {all} jobs did not succeed: {names}",
        "{count} of {all} jobs did not succeed: {names}",
        len(failed),
        all=len(jobs),
        names=_names(failed),
    )
    if also:
        said = _("{said}; others were not submitted: {why}").format(said=said, why=also.message)
    raise UserError(said, _("uv run invoke logs --job {id}").format(id=failed[0].id), FAILED)


def _names(jobs: Sequence[Job]) -> str:
    return ", ".join(job.name for job in jobs[:5]) + (", ..." if len(jobs) > 5 else "")


# --- the table


def watch(
    look: Callable[[], Sequence[Job]], shown: Callable[[Sequence[Job]], dict[str, Any]], *, notify: bool = False
) -> None:
    """The jobs that `look` gives, in a table that changes in its place, until Ctrl-C; lines of changes in a pipe.

    `shown` gives what `screen.table` takes. It looks ever more seldom while nothing changes. Raises UserError when
    the service has not answered for minutes.
    """
    from cloudkite.accounts.api import Passing
    from cloudkite.jobs.together import following

    notify = alerts.check(notify)
    before: dict[str, Job] = {}
    changed = heard = time.monotonic()
    try:
        with _shown() as show:
            while True:
                try:
                    jobs = look()
                    heard = time.monotonic()
                except Passing as failed:
                    if time.monotonic() - heard > following.OUTAGE:
                        raise
                    screen.note(_("no answer ({why}); trying again").format(why=failed.message))
                    time.sleep(following.pause(time.monotonic() - heard, _WATCHED))
                    continue
                news = [job for job in jobs if (old := before.get(job.id)) is None or old.state != job.state]
                for job in news if notify and before else ():
                    if job.state == "FAILED" and job.id in before:
                        alerts.failed(job)
                if news:
                    changed = heard
                show(jobs, news if before else [job for job in jobs if job.active], shown)
                before = {job.id: job for job in jobs}
                time.sleep(following.pause(time.monotonic() - changed, _WATCHED))
    except KeyboardInterrupt:
        return


@contextmanager
def _shown() -> Iterator[Callable[..., None]]:
    """What shows the jobs: all in place on a terminal, else those that are news, a line each."""
    if screen.console().is_terminal:
        with lines.table() as update:
            yield lambda jobs, _news, shown: update(**shown(jobs))
        return

    def say(_jobs: Sequence[Job], news: Sequence[Job], _shown: Any) -> None:
        from cloudkite.jobs import logs

        for job in reversed(news):
            text = logs.status(job, None) if job.active else _end_of(job)
            screen.say(f"{time.strftime('%H:%M:%S')} {job.name}: {text}")

    yield say
