"""Many jobs looked at together, with few requests: their states in one list, their progress in one look at the log."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cloudkite.accounts.api import Passing, call
from cloudkite.accounts.target import Target
from cloudkite.jobs import logs, service
from cloudkite.jobs.job import RUN, Job
from cloudkite.jobs.logs import Progress
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

OUTAGE = 600  # seconds that the service may stay silent while jobs are waited for
_ENTRIES = 200  # of the log, the newest first
_LOG_EVERY = 5.0  # seconds; a project may read its log 60 times a minute: https://cloud.google.com/logging/quotas
_SHORT, _OF_QUIET = 0.5, 0.1  # seconds of a pause, and its part of the time in which nothing changed


@dataclass(frozen=True)
class Look:
    """The jobs as they are now, in their order. `problem` says why they could not be looked at, "" where they were."""

    jobs: tuple[Job, ...]
    progress: Mapping[str, Progress] = field(default_factory=dict)
    problem: str = ""

    @property
    def ended(self) -> bool:
        """Whether none of them goes on."""
        return not any(job.active for job in self.jobs)


def looks(
    target: Target, jobs: Sequence[Job], *, progress: bool = False, longest: float = 15.0, seconds: float | None = None
) -> Iterator[Look]:
    """Looks at the jobs until all have ended, or `seconds` have passed; with the `progress` that trainers tell.

    The pauses between them grow up to `longest` seconds while nothing changes. The network may be gone for minutes.
    Raises UserError after that, and for what does not pass.
    """
    began = heard = changed = time.monotonic()
    now, known, log_read = tuple(jobs), dict[str, Progress](), 0.0
    while True:
        problem = ""
        try:
            found = states(target, now)
            if progress and time.monotonic() - log_read >= _LOG_EVERY and any(job.started for job in found):
                known = {**known, **progress_of(target, found)}
                log_read = time.monotonic()
            heard = time.monotonic()
            if [job.state for job in found] != [job.state for job in now]:
                changed = heard
            now = tuple(found)
        except Passing as failed:
            if time.monotonic() - heard > OUTAGE:
                raise UserError(failed.message, _("the jobs go on without this command: uv run invoke wait")) from None
            problem = failed.message
        look = Look(now, known, problem)
        yield look
        late = seconds is not None and time.monotonic() - began >= seconds
        if look.ended or late:
            return
        rest = pause(time.monotonic() - changed, longest)
        if seconds is not None:
            rest = max(min(rest, began + seconds - time.monotonic()), 0.0)
        time.sleep(rest)


def pause(quiet: float, longest: float) -> float:
    """Seconds until the next look, when nothing has changed for `quiet` seconds."""
    return min(max(_OF_QUIET * quiet, _SHORT), longest)


def states(target: Target, jobs: Sequence[Job]) -> list[Job]:
    """The jobs as the services tell them now, in the same order; those that have ended are not asked for again."""
    open_ones = [job for job in jobs if job.active]
    if not open_ones:
        return list(jobs)
    found: dict[str, Job] = {}
    if len(open_ones) > 1:
        since = min(job.created for job in open_ones)
        listed = service.search(target, everything=True, since=since)
        wanted = {job.id for job in open_ones}
        for job in listed:
            if job.id in wanted:
                found[job.id] = job
            if len(found) == len(wanted):
                break
    return [found.get(job.id) or (service.get(target, job.id) if job.active else job) for job in jobs]


def progress_of(target: Target, jobs: Sequence[Job]) -> dict[str, Progress]:
    """How far each job is by its trainer's newest line, by the job's id; one request for all."""
    open_ones = [job for job in jobs if job.active and job.started]
    if not open_ones:
        return {}
    terms = []
    for label, ids in (
        ("job_name", [job.id for job in open_ones if job.place == RUN]),
        ("job_id", [job.id for job in open_ones if job.place != RUN]),
    ):
        if ids:
            quoted = " OR ".join(f'"{one}"' for one in ids)
            terms.append(f"resource.labels.{label}=({quoted})")
    since = min(job.created for job in open_ones).astimezone(datetime.UTC)
    body = {
        "resourceNames": [f"projects/{target.account.project}"],
        "filter": f'({" OR ".join(terms)}) AND jsonPayload.epoch>0 AND timestamp>="{since:%Y-%m-%dT%H:%M:%SZ}"',
        "orderBy": "timestamp desc",
        "pageSize": _ENTRIES,
    }
    doing = _("read the log")
    answer = call(target, "POST", "https://logging.googleapis.com/v2/entries:list", doing, body=body, again=True)
    by_id = {job.id: job for job in open_ones}
    found: dict[str, Progress] = {}
    for entry in answer.get("entries", []):
        labels = entry.get("resource", {}).get("labels", {})
        job = by_id.get(labels.get("job_id") or labels.get("job_name", ""))
        if job and job.id not in found and (told := logs.progress_of(logs.parse(entry), job)):
            found[job.id] = told
    return found
