"""Tuning jobs as the API has them."""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.usage import Usage
from localcloud.vertex.driven import Driving
from localcloud.vertex.jobs.store import CustomJobs
from localcloud.vertex.place import Call
from localcloud.vertex.states import ENDED
from localcloud.vertex.tuning import validation
from localcloud.vertex.tuning.driver import Driver
from localcloud.vertex.tuning.records import Records, TuningJob
from localcloud.vertex.tuning.suggester import Suggester

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]

_GIVEN = (
    "displayName",
    "studySpec",
    "maxTrialCount",
    "parallelTrialCount",
    "maxFailedTrialCount",
    "trialJobSpec",
    "labels",
)
_SETTLING = 5.0  # seconds


class Tuning(Driving[TuningJob]):
    """The jobs of trials go with a tuning job that is deleted."""

    def __init__(self, cloud: Cloud) -> None:
        self._records = Records(cloud)
        self._suggester = Suggester(cloud.folder("vertex") / "suggest.log")
        self._slow: set[str] = set()  # jobs that a move of the clock no longer waits for
        super().__init__(cloud, "HyperparameterTuningJob", self._records)
        cloud.of(Usage).on_unpaid(self._unpaid)
        cloud.count("tuning jobs", self._records.count)

    async def _stop(self) -> None:
        await super()._stop()
        await self._suggester.close()

    async def settle(self) -> None:
        """Until each job has taken up the ends of its trials and launched the next: a clock that moves waits for it."""
        ends = time.monotonic() + _SETTLING
        while time.monotonic() < ends and any(self._between(name) for name in self._tasks if name not in self._slow):
            await asyncio.sleep(0.05)
        self._slow = {name for name in self._tasks if self._between(name)}

    def _between(self, name: str) -> bool:
        job, trials = self._records.find(name), self._records.trials(name)
        if job is None or job.state in ENDED:
            return False
        active = [trial for trial in trials if trial.active]
        more = int(job.body["maxTrialCount"]) - (len(trials) - len(active))
        jobs = [self._cloud.of(CustomJobs).find_job(trial.job) for trial in active]
        fewer = len(active) < min(int(job.body["parallelTrialCount"]), more)
        return fewer or not active or any(one is None or one.state in ENDED for one in jobs)

    def _stops(self, one: TuningJob) -> bool:
        """Those that run are cancelled, as custom jobs are."""
        jobs = (
            self._cloud.of(CustomJobs).find_job(trial.job) for trial in self._records.trials(one.name) if trial.active
        )
        runs = any(job is not None and job.state not in ("QUEUED", *ENDED) for job in jobs)
        if runs:
            self._records.change(one, "CANCELLING")
        return runs

    async def _unpaid(self, project: str, why: str) -> None:
        """Let all jobs of a project (by id) fail; the trials that run are ended as all jobs are."""
        for job in self._records.unfinished():
            if job.project == project:
                job.error = {"code": 9, "message": why}
                self._records.save(job)

    def create(self, call: Call, request: Body) -> Body:
        """A new job. Raises 400, 403, 429 as Google does."""
        given = request.get("hyperparameterTuningJob", {})
        validation.check(given, call.place.location)
        account = self._cloud.of(CustomJobs).admit(call, given["trialJobSpec"])
        body = self._new(call, given, _GIVEN, "JOB_STATE_PENDING")
        self._records.save(TuningJob(body, call.place.project_id, account, time.time_ns()))
        self._begin(body["name"])
        return body

    def delete(self, call: Call, request: Body) -> Body:
        """Raises 404, 400 for one that has not ended."""
        trials = self._records.trials(self._find(call, request).name)
        done = super().delete(call, request)
        for trial in trials:
            self._cloud.of(CustomJobs).forget_job(trial.job)
        return done

    def _shown(self, one: TuningJob) -> Body:
        """With its trials."""
        trials = [trial.body for trial in self._records.trials(one.name)]
        return one.body | ({"trials": trials} if trials else {})

    async def _drive(self, name: str) -> None:
        await Driver(self._cloud, self._records, self._suggester, name).run()
        if len(self._tasks) == 1:  # this one
            await self._suggester.close()
        folder = self._cloud.folder("vertex") / "trials" / name.rpartition("/")[2]
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
