"""What one thing cost, and which of them go together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from cloudkite.accounts.membership import LEARNER
from cloudkite.jobs.body import JOB, MANAGED, STARTED_BY
from cloudkite.jobs.job import Job

TRAINER, TUNING = "trainer", "tuning"  # labels
# Kinds of rows. What is FREE takes off from others, so its amount is below 0.
JOBS, TRIES, PREDICTIONS, ENDPOINTS = "job", "tuning", "batch prediction", "endpoint"
STORAGE, IMAGES, OTHER, FREE = "storage", "images", "other", "free"
KINDS = (JOBS, TRIES, PREDICTIONS, ENDPOINTS, STORAGE, IMAGES, OTHER, FREE)
BY = (TRAINER, "job", TUNING, "learner", "person")


@dataclass(frozen=True)
class Row:
    """What one thing cost in a period, in USD; None where no price, or no length of time, is known.

    `hourly` is what it costs in an hour now, 0 for what ended. `ends` is when that ends at the latest, None where
    nothing ends it. `why` says what was counted. `ref` is what its API calls it, `job` the job if it is one.
    """

    kind: str
    name: str
    amount: Decimal | None
    hourly: Decimal | None = Decimal(0)
    ends: datetime | None = None
    why: str = ""
    ref: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    job: Job | None = None

    @property
    def ours(self) -> bool:
        """Whether Cloudkite made it; what is free belongs to nobody."""
        return self.kind == FREE or self.labels.get("managed-by") == MANAGED

    @property
    def trainer(self) -> str:
        return self.labels.get(TRAINER, "")

    @property
    def tuning(self) -> str:
        """The study that it is a part of, "" for none."""
        return self.labels.get(TUNING, "")

    @property
    def learner(self) -> str:
        return self.labels.get(LEARNER, "")

    @property
    def person(self) -> str:
        """Who started it, as the label says."""
        return self.labels.get(STARTED_BY, "")

    @property
    def unique(self) -> str:
        """By what a bill tells this job from others, "" where it can't."""
        return self.labels.get(JOB, "")


@dataclass(frozen=True)
class Sum:
    """Rows that go together: the known amounts' sum in USD, of how many things, and how many have no known amount."""

    kind: str
    name: str
    amount: Decimal
    count: int
    unknown: int
    ours: bool


def total(rows: Iterable[Row]) -> Decimal:
    """The sum of what is known."""
    return sum((row.amount for row in rows if row.amount is not None), Decimal(0))


def group(rows: Iterable[Row], by: str) -> list[Sum]:
    """Sums by trainer, tuning, learner or person, the dearest first.

    What has none of those is a line by its kind, and what Cloudkite did not make another.
    """
    found: dict[tuple[str, str, bool], list[Row]] = {}
    for row in rows:
        name = getattr(row, by)
        found.setdefault((by if name else row.kind, name, row.ours), []).append(row)
    made = [
        Sum(kind, name, total(some), len(some), sum(row.amount is None for row in some), ours)
        for (kind, name, ours), some in found.items()
    ]
    return sorted(made, key=lambda one: (one.kind == FREE, not one.ours, -one.amount, one.kind, one.name))
