"""Word of a job that failed, on this desktop, while a command watches it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cloudkite.jobs.job import Job
from cloudkite.show import screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _


def check(wanted: bool) -> bool:
    """Whether to tell: what was wished, unless this system has no tool for it, which is said."""
    from cloudkite import desktop

    if wanted and not desktop.available():
        screen.note(_("--notify: this system has no notify-send, osascript or PowerShell to show a message with"))
        return False
    return wanted


def failed(job: Job) -> None:
    """Tell of one job."""
    _tell(job.name, job.error or _("it ended as {state}").format(state=job.state))


@contextmanager
def when_failed(wanted: bool, name: str) -> Iterator[None]:
    """Tell of the job where what is done here ends with its failure."""
    wanted = check(wanted)
    try:
        yield
    except UserError as problem:
        if wanted:
            _tell(name, problem.message)
        raise


def _tell(name: str, why: str) -> None:
    from cloudkite import desktop

    desktop.tell(_("job {name} failed").format(name=name), why.splitlines()[0][:200] if why else "")
