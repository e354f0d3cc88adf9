"""Tuning jobs and their trials as they are kept: each is a durable document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localcloud.vertex import driven
from localcloud.vertex.driven import Driven

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
_TRIAL = "vertex-trial"  # kind of document


@dataclass
class TuningJob(Driven):
    """`error` is why it is going to fail once the trials that still run have ended; `body` is without its trials."""

    error: Body | None = None


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


class Records(driven.Records[TuningJob]):
    """All tuning jobs of a cloud, and their trials."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud, "vertex-tuning-job", "hyperparameterTuningJobs", TuningJob)

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
        super().delete(name)
        for trial in self.trials(name):
            self._documents.delete(trial.body["name"])
