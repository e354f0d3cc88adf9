"""What a job wrote: its log entries in order, followed until the job has ended and its log has run dry."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from cloudkite.accounts.api import Passing, call
from cloudkite.accounts.target import Target
from cloudkite.jobs import service
from cloudkite.jobs.job import RUN, TUNING, Job
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

_OVERLAP = datetime.timedelta(seconds=60)  # entries arrive late and out of order; they are told apart by insertId
_PAGE = 1000
_TRY = "ml.googleapis.com/trial_id"  # the label of what a try of a tuning job wrote
_OUTAGE = 300  # seconds that the service may stay silent while a job is followed


@dataclass(frozen=True)
class Line:
    """One log entry. `task` is the replica ("workerpool0-0") or "service"; `fields` what a JSON line said.

    `attempt` is the number of the try that wrote it, "" for what no try of a tuning job wrote.
    """

    time: datetime.datetime
    severity: str
    task: str
    text: str
    fields: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    attempt: str = ""

    @property
    def shown(self) -> str:
        """The text, with the number of its try in front: those that run at once write among each other."""
        return _("try {number}: {text}").format(number=self.attempt, text=self.text) if self.attempt else self.text


@dataclass(frozen=True)
class Progress:
    """How far a job is. `cost` until now in `currency`, None when the price is unknown; `seconds_left` a guess."""

    epoch: int
    epochs: int
    cost: Decimal | None
    currency: str
    seconds_left: float | None


@dataclass(frozen=True)
class Event(Line):
    """One step of following a job: a new line, or `text` "" when only the `status` to show in its place is new."""

    status: str = ""
    progress: Progress | None = None


def read(target: Target, job: Job | str, since: datetime.datetime | None = None, only: str = "") -> Iterator[Line]:
    """The job's log in order of time, all pages. `job` may be its id; `only` is a filter in the service's language."""
    job = _job(target, job)
    if job.place == RUN:  # what the containers and the service wrote, without the audit log
        terms = [
            'resource.type="cloud_run_job"',
            f'resource.labels.job_name="{job.id}"',
            'logName:"run.googleapis.com"',
        ]
    else:
        terms = ['resource.type="ml_job"', f'resource.labels.job_id="{job.id}"']
    # Without a bound the service looks at the last day only (entries.list), and a job may be older.
    terms.append(f'timestamp>="{(since or job.created - _OVERLAP).astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%S.%fZ}"')
    terms += [only] if only else []
    body = {
        "resourceNames": [f"projects/{target.account.project}"],
        "filter": " AND ".join(terms),
        "orderBy": "timestamp asc",
        "pageSize": _PAGE,
    }
    doing = _("read the log of {name}").format(name=job.name)
    while True:
        answer = call(target, "POST", "https://logging.googleapis.com/v2/entries:list", doing, body=body, again=True)
        for entry in answer.get("entries", []):
            yield parse(entry)
        if not answer.get("nextPageToken"):
            return
        body = {**body, "pageToken": answer["nextPageToken"]}


def parse(entry: dict[str, Any]) -> Line:
    """A LogEntry's JSON as a Line. A structured line's `message` is its text."""
    fields = entry.get("jsonPayload") or {}
    said = fields.get("message", entry.get("textPayload", ""))
    stamp = entry.get("timestamp") or entry.get("receiveTimestamp") or "1970-01-01T00:00:00Z"
    return Line(
        time=service.moment(stamp),
        severity=entry.get("severity", "DEFAULT"),
        task=_task(entry),
        text=str(said).rstrip("\n"),
        fields=fields,
        id=entry.get("insertId", ""),
        attempt=str(entry.get("labels", {}).get(_TRY, "")),
    )


def _task(entry: dict[str, Any]) -> str:
    """Who wrote an entry: a replica, a task of a Cloud Run job, or the service itself."""
    resource = entry.get("resource", {})
    if resource.get("type") != "cloud_run_job":
        return resource.get("labels", {}).get("task_name", "")
    if not entry.get("logName", "").endswith(("%2Fstdout", "%2Fstderr")):
        return "service"
    return f"task{entry.get('labels', {}).get('run.googleapis.com/task_index', '0')}"


def follow(target: Target, job: Job | str) -> Iterator[Event]:
    """Lines as they come, with the job's state, until it has ended and nothing new arrives. `job` may be its id.

    Looks often while young, then ever more seldom, so that a minute never holds more than about 45 of the 60 reads
    that a project may make (https://cloud.google.com/logging/quotas). Raises UserError after minutes without an answer.
    """
    job = _job(target, job)
    began = time.monotonic()
    seen: set[str] = set()
    newest: datetime.datetime | None = None
    progress: Progress | None = None
    quiet_since = 0.0
    heard = began
    while True:
        fresh = 0
        try:
            job = service.get(target, job)  # before the log: what an ended job wrote is then surely asked for
            for line in read(target, job, newest - _OVERLAP if newest else None):
                key = line.id or f"{line.time}{line.text}"
                if key in seen:
                    continue
                seen.add(key)
                fresh += 1
                newest = max(newest or line.time, line.time)
                progress = progress_of(line, job) or progress
                yield Event(**vars(line), status=status(job, progress), progress=progress)
        except Passing as failed:
            if time.monotonic() - heard > _OUTAGE:
                hint = _("the job goes on without this command; then: uv run invoke logs --follow --job {id}")
                raise UserError(failed.message, hint.format(id=job.id)) from None
            said = _("no answer ({why}); the job goes on, trying again").format(why=failed.message)
            yield Event(datetime.datetime.now(datetime.UTC), "DEFAULT", "", "", status=said, progress=progress)
            time.sleep(pause(time.monotonic() - heard))
            continue
        now = heard = time.monotonic()
        if fresh or job.active:
            quiet_since = now
        if not job.active and now - quiet_since >= _patience(job):
            return
        yield Event(
            datetime.datetime.now(datetime.UTC), "DEFAULT", "", "", status=status(job, progress), progress=progress
        )
        time.sleep(pause(now - began) if job.active else 0.3)


def _job(target: Target, job: Job | str) -> Job:
    return service.get(target, job) if isinstance(job, str) else job


def pause(age: float) -> float:
    """Seconds until the next look, for a job followed for `age` seconds."""
    return min(max(0.08 * age, 0.3), 5.0)


def _patience(job: Job) -> float:
    """How long a log must be silent after the job's end: long jobs' last lines take longer to be indexed."""
    return min(max(0.05 * job.seconds, 0.3), 10.0)


def progress_of(line: Line, job: Job, now: datetime.datetime | None = None) -> Progress | None:
    """The progress that a trainer's line tells ({"epoch": 3, "epochs": 20}), None for other lines and for tries."""
    if job.place == TUNING:
        return None
    epoch, epochs = line.fields.get("epoch"), line.fields.get("epochs")
    if not isinstance(epoch, int | float) or not isinstance(epochs, int | float) or not 0 < epoch <= epochs:
        return None
    left = None
    if job.started:
        left = max(((now or line.time) - job.started).total_seconds(), 0.0) * (epochs - epoch) / epoch
    return Progress(int(epoch), int(epochs), job.cost, job.currency, left)


_WORDS = {
    "QUEUED": _("waiting in the queue"),
    "PENDING": _("waiting for a machine"),
    "RUNNING": _("running"),
    "CANCELLING": _("being cancelled"),
}


def status(job: Job, progress: Progress | None) -> str:
    """One line on a job: what it is doing, for how long, how far, what it has cost."""
    now = datetime.datetime.now(datetime.UTC)
    since = job.started or job.created
    words = _WORDS.get(job.state, job.state.lower().replace("_", " "))
    parts = [f"{words} {_duration(job.seconds if job.started else (now - since).total_seconds())}"]
    if job.tries:
        parts.append(tries(job))
    if progress:
        parts.append(_("epoch {epoch}/{epochs}").format(epoch=progress.epoch, epochs=progress.epochs))
        if progress.seconds_left is not None and job.active:
            parts.append(_("about {time} left").format(time=_duration(progress.seconds_left)))
    if job.cost is not None and job.started:
        parts.append(f"{job.cost:.4f} {job.currency}")
    return ", ".join(parts)


def tries(job: Job) -> str:
    """How far a tuning job is: 3 of 12 tries done, 2 running."""
    counts = job.tries
    ended = sum(counts.get(state, 0) for state in ("done", "pruned"))
    parts = [_("{count} of {most} tries done").format(count=ended, most=counts["all"])]
    for state, words in (("running", _("{count} running")), ("failed", _("{count} failed"))):
        if counts.get(state):
            parts.append(words.format(count=counts[state]))
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    from cloudkite.show.amounts import duration

    return duration(max(seconds, 0.0))
