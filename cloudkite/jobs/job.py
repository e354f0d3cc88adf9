"""What a training job is, wherever it runs: as the service that has it tells it."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from urllib.parse import quote

from cloudkite.jobs.body import STARTED_BY
from cloudkite.show.errors import UserError

_CONSOLE = "https://console.cloud.google.com"
VERTEX, RUN = "vertex", "run"  # where jobs run: custom training of Vertex AI, Cloud Run jobs
STATES = ("QUEUED", "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLING", "CANCELLED", "PAUSED", "EXPIRED",
          "UPDATING", "PARTIALLY_SUCCEEDED")  # fmt: skip
ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"})
ACTIVE = ("QUEUED", "PENDING", "RUNNING", "CANCELLING")


@dataclass(frozen=True)
class Wanted:
    """Which jobs are looked for: all where a field is empty. `name` is a whole one, `since` the earliest creation.

    `everything` also means those that Cloudkite did not make.
    """

    everything: bool = False
    states: Collection[str] = ()
    trainer: str = ""
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    since: datetime.datetime | None = None

    def fits(self, job: Job, managed: str) -> bool:
        """Whether a job is one of them; `managed` is the value of the label that says whose it is."""
        return (
            (self.everything or job.labels.get("managed-by") == managed)
            and (not self.states or job.state in self.states)
            and self.trainer in ("", job.trainer)
            and self.name in ("", job.name)
            and all(job.labels.get(key) == value for key, value in self.labels.items())
            and (self.since is None or job.created >= self.since)
        )


@dataclass(frozen=True)
class Job:
    """One job as the service told it. `name` is its display name; `state` Google's without JOB_STATE_.

    `seconds` it ran until now, `cost` of those and `worst_case` in `currency`; both None when the price of its machine
    is not known. `hourly` is the price of all replicas, `price_date` its date. `console` and `console_logs` are pages
    of Google's console, "" for a job on a local cloud. `place` is where it runs: VERTEX or RUN. `arguments` are the
    trainer's.
    """

    id: str
    name: str
    resource: str
    trainer: str
    state: str
    region: str
    machine: str
    accelerator: str
    count: int
    replicas: int
    spot: bool
    limit_seconds: int
    restarts: int
    created: datetime.datetime
    started: datetime.datetime | None
    ended: datetime.datetime | None
    error: str
    output: str
    seconds: float
    hourly: Decimal | None
    cost: Decimal | None
    worst_case: Decimal | None
    currency: str
    price_date: str
    labels: dict[str, str] = field(default_factory=dict)
    console: str = ""
    console_logs: str = ""
    place: str = VERTEX
    arguments: tuple[str, ...] = ()

    @property
    def started_by(self) -> str:
        """Who submitted it, as its label says: "" where it has none."""
        return self.labels.get(STARTED_BY, "")

    @property
    def active(self) -> bool:
        """Whether it may still cost something."""
        return self.state not in ENDED


def in_console(job: Job, project: str, page: str, query: str) -> Job:
    """The same with its two pages of Google's console: `page` of its service, and the log of what `query` finds.

    A bound on the time is in the query itself: the console would look at the last hour alone.
    """
    project = quote(project, safe="")
    since = f"{job.created - datetime.timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
    found = quote(f'{query} timestamp>="{since}"', safe="")
    return replace(
        job,
        console=f"{_CONSOLE}/{page}?project={project}",
        console_logs=f"{_CONSOLE}/logs/query;query={found}?project={project}",
    )


class Unsure(UserError):
    """A submission that failed, though the service may have taken the job."""


def moment(text: str) -> datetime.datetime:
    """Google's RFC 3339 in UTC, with up to nine decimals of which Python keeps six."""
    whole, _dot, fraction = text.rstrip("Z").partition(".")
    return datetime.datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")


def arguments_of(words: Sequence[str]) -> tuple[str, ...]:
    """The trainer's own among what the container is given: see body.py."""
    return tuple(words[words.index("--") + 1 :]) if "--" in words else ()


def maybe(text: str | None) -> datetime.datetime | None:
    """The same, None for no text."""
    return moment(text) if text else None
