"""Tuning jobs and their trials as they are kept: each is a durable document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localcloud.vertex.states import ENDED

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

Body = dict[str, Any]
COLLECTION = "hyperparameterTuningJobs"
_JOB, _TRIAL = "vertex-tuning-job", "vertex-trial"  # kinds of documents


@dataclass
class TuningJob:
    """`body`: Google's HyperparameterTuningJob in JSON, without its trials. `project` is the project's id.

    `account` is the e-mail that trials act as; `sequence` orders jobs by their age; `error` is why the job is going to
    fail once the trials that still run have ended.
    """

    body: Body
    project: str
    account: str
    sequence: int
    error: Body | None = None

    @property
    def name(self) -> str:
        return self.body["name"]

    @property
    def id(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def state(self) -> str:
        """Without JOB_STATE_."""
        return self.body["state"].removeprefix("JOB_STATE_")


@dataclass
class Trial:
    """`body`: Google's Trial in JSON. `job` is the id of the custom job that runs it, chosen before it is launched.

    `began` is when that started to run (real time, seconds since the epoch; 0: not yet), `seen` marks lines of the
    metric file that are in the measurements.
    """

    body: Body
    job: str
    began: float = 0.0
    seen: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.body["id"]

    @property
    def state(self) -> str:
        return self.body["state"]

    @property
    def active(self) -> bool:
        return self.state in ("REQUESTED", "ACTIVE", "STOPPING")


class Records:
    """All methods may be called from any thread. What they give are copies: `save` keeps a change."""

    def __init__(self, cloud: Cloud) -> None:
        self._documents = cloud.documents

    def save(self, job: TuningJob) -> None:
        """Keep a job, new or not."""
        self._documents.put(job.name, _JOB, vars(job))

    def find(self, name: str) -> TuningJob | None:
        """The job "projects/NUMBER/locations/R/hyperparameterTuningJobs/ID", or None."""
        found = self._documents.find(name)
        return TuningJob(**found) if found else None

    def below(self, place: str) -> list[TuningJob]:
        """All jobs of "projects/NUMBER/locations/R", newest first."""
        found = [TuningJob(**body) for body in self._documents.list(_JOB, f"{place}/{COLLECTION}/")]
        return sorted(found, key=lambda job: -job.sequence)

    def unfinished(self) -> list[TuningJob]:
        """All jobs that have not ended, oldest first."""
        found = [TuningJob(**body) for body in self._documents.list(_JOB)]
        return sorted((job for job in found if job.state not in ENDED), key=lambda job: job.sequence)

    def count(self) -> int:
        """How many jobs there are."""
        return self._documents.counts().get(_JOB, 0)

    def trials(self, name: str) -> list[Trial]:
        """A job's trials in their order."""
        found = [Trial(**body) for body in self._documents.list(_TRIAL, f"{name}/trials/")]
        return sorted(found, key=lambda trial: int(trial.id))

    def add_trial(self, trial: Trial) -> None:
        """Keep a new trial. Raises 409 when its id is taken."""
        self._documents.create(trial.body["name"], _TRIAL, vars(trial))

    def save_trial(self, trial: Trial) -> None:
        """Keep a change of a trial."""
        self._documents.put(trial.body["name"], _TRIAL, vars(trial))

    def delete(self, name: str) -> None:
        """Forget a job and its trials."""
        self._documents.delete(name)
        for trial in self.trials(name):
            self._documents.delete(trial.body["name"])
