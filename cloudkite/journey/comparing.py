"""Jobs side by side: what each was given, what it learned from, what came out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cloudkite.accounts import registry
from cloudkite.journey import rates, watching
from cloudkite.journey.reach import connect
from cloudkite.show import amounts, screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from cloudkite.jobs.job import Job
    from cloudkite.jobs.together.comparing import Compared

_NEWEST = 8  # jobs that are compared where none is named


def compare(
    workspace: Workspace, account_name: str, words: Sequence[str], *, trainer: str = "", as_json: bool = False,
    as_csv: bool = False,
) -> None:  # fmt: skip
    """The jobs that `words` mean, or the newest that succeeded, of a trainer. Raises UserError for fewer than two."""
    from cloudkite.jobs import service
    from cloudkite.jobs.together import comparing

    account = registry.load(workspace, account_name or None)
    target = connect(workspace, account)
    if words:
        jobs = watching.meant(workspace, target, words, trainer)
    else:
        jobs = service.recent(target, states=["SUCCEEDED"], trainer=trainer, most=_NEWEST)
    if len(jobs) < 2:
        raise UserError(
            _("two jobs or more can be compared, not {count}").format(count=len(jobs)),
            _("uv run invoke jobs --compare JOB JOB; uv run invoke jobs lists them"),
        )
    with screen.waiting(_("looking at {count} jobs ...").format(count=len(jobs)), live=True):
        found = comparing.compare(target, jobs)
    if as_json:
        screen.as_json([_facts(one) for one in found])
    elif as_csv:
        _csv(found)
    else:
        _show(found, rates.shown(target))


def _facts(one: Compared) -> dict[str, Any]:
    job = one.job
    return {
        "job": job.name, "id": job.id, "trainer": job.trainer, "state": job.state, "created": job.created,
        "machine": _machine(job), "seconds": job.seconds, "cost": job.cost, "currency": job.currency,
        "parameters": dict(one.parameters), "given": sorted(one.given), "data": one.data, "content": one.content,
        "rows": dict(one.rows), "metrics": dict(one.metrics), "lacks": one.lacks,
    }  # fmt: skip


def _csv(found: Sequence[Compared]) -> None:
    """A line a job, for spreadsheets and scripts; amounts and metrics as they are."""
    import csv
    import sys

    parameters = dict.fromkeys(name for one in found for name in one.parameters)
    rows = dict.fromkeys(name for one in found for name in one.rows)
    metrics = dict.fromkeys(name for one in found for name in one.metrics)
    out = csv.writer(sys.stdout, lineterminator="\n")
    kept = ("job", "trainer", "state", "machine", "seconds", "cost", "currency", "content")
    out.writerow([*kept, *parameters, *(f"rows_{name}" for name in rows), *metrics])
    for one in found:
        facts = _facts(one)
        cells = [*(facts[key] for key in kept), *(one.parameters.get(name, "") for name in parameters)]
        cells += [*(one.rows.get(name, "") for name in rows), *(one.metrics.get(name, "") for name in metrics)]
        out.writerow([_harmless(cell) for cell in cells])


def _harmless(cell: Any) -> Any:
    """What others wrote, so that no spreadsheet takes it for a formula."""
    from cloudkite.show.text import visible

    if not isinstance(cell, str):
        return cell
    text = visible(cell, lines=False)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _machine(job: Job) -> str:
    from cloudkite.journey.results import machines

    return machines(job)


def _show(found: Sequence[Compared], rate: Any) -> None:
    """A column a job, what differs on top."""
    from cloudkite.jobs.together import comparing

    jobs = [one.job for one in found]
    rows = [(line.name, *line.cells) for line in comparing.lines(found)]
    about = [
        (_("state"), [job.state for job in jobs]),
        (_("machine"), [_machine(job) for job in jobs]),
        (_("ran"), [amounts.duration(job.seconds) if job.started else "" for job in jobs]),
        (_("cost"), [rate.beside(job.cost) if job.started else "" for job in jobs]),
    ]
    rows += [(name, *cells) for name, cells in about]
    screen.table([_("job"), *(job.name for job in jobs)], [[cell or "-" for cell in row] for row in rows])
    for one in found:
        if one.lacks:
            screen.note(_("{name} has no metrics: {why}").format(name=one.job.name, why=one.lacks))
    rates.say(rate)
