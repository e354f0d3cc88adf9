"""Tuning jobs as the API has them: created, read, listed, cancelled, deleted."""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import TYPE_CHECKING, Any

from localcloud.errors import ApiError
from localcloud.vertex import listing, operations, states
from localcloud.vertex.place import Call
from localcloud.vertex.states import ENDED
from localcloud.vertex.tuning import validation
from localcloud.vertex.tuning.driver import Driver
from localcloud.vertex.tuning.records import COLLECTION, Records, TuningJob
from localcloud.vertex.tuning.suggester import Suggester

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

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
_STOP_PATIENCE = 14.0  # seconds for trials to end when the server does


class Tuning:
    """Methods are called in the server's event loop; requests and answers are Google's JSON."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._records = Records(cloud)
        self._suggester = Suggester(cloud.folder("vertex") / "suggest.log")
        self._tasks: dict[str, asyncio.Task[None]] = {}
        cloud.on_start(self._resume)
        cloud.on_stop(self._stop)
        cloud.billing.on_unpaid(self._unpaid)
        cloud.count("tuning jobs", self._records.count)

    async def _resume(self) -> None:
        """Take up what ran when the server ended."""
        for job in self._records.unfinished():
            self._drive(job.name)

    async def _stop(self) -> None:
        """Cancel those that run, as custom jobs are; one that waits in the queue goes on with the next start."""
        for name, task in self._tasks.items():
            job = self._records.find(name)
            if job is not None and self._runs(job):
                self._cancel(job)
            else:
                task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=_STOP_PATIENCE)
            for task in late:  # the next start takes them up again
                task.cancel()
        await self._suggester.close()

    def _runs(self, job: TuningJob) -> bool:
        jobs = (self._cloud.vertex.find_job(trial.job) for trial in self._records.trials(job.name) if trial.active)
        return any(one is not None and one.state not in ("QUEUED", *ENDED) for one in jobs)

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
        spec = given["trialJobSpec"]
        account = self._cloud.vertex.admit(call, spec)
        now = self._cloud.clock.stamp()
        body = {
            "name": f"{call.place.name}/{COLLECTION}/{self._cloud.vertex.new_id()}",
            **{field: given[field] for field in _GIVEN if field in given},
            "state": "JOB_STATE_PENDING",
            "createTime": now,
            "updateTime": now,
        }
        self._records.save(TuningJob(body, call.place.project_id, account, time.time_ns()))
        self._drive(body["name"])
        return body

    def get(self, call: Call, request: Body) -> Body:
        """A job with its trials. Raises 404."""
        return self._whole(self._job(call, request.get("name", "")))

    def list(self, call: Call, request: Body) -> Body:
        """A page of a place's jobs, newest first. Raises 400 for a filter that can't be understood."""
        jobs = [(job.sequence, self._whole(job)) for job in self._records.below(call.place.name)]
        found, token = listing.page(jobs, request)
        return {"hyperparameterTuningJobs": found} | ({"nextPageToken": token} if token else {})

    def cancel(self, call: Call, request: Body) -> Body:
        """Ask a job to end, and its trials with it. Raises 404, 400 for one that has ended."""
        job = self._job(call, request.get("name", ""))
        states.check_cancel("HyperparameterTuningJob", job.body["state"])
        self._cancel(job)
        return {}

    def delete(self, call: Call, request: Body) -> Body:
        """Forget a job that has ended; gives a finished operation. Raises 404, 400 for one that has not ended."""
        job = self._job(call, request.get("name", ""))
        states.check_delete("HyperparameterTuningJob", job.body["state"])
        for trial in self._records.trials(job.name):
            self._cloud.vertex.forget_job(trial.job)
        self._records.delete(job.name)
        return operations.deleted(self._cloud, call.place.name)

    def _job(self, call: Call, name: str) -> TuningJob:
        job = self._records.find(f"{call.place.name}/{COLLECTION}/{call.resource(COLLECTION, name)}")
        if job is None:
            raise ApiError(404, "The HyperparameterTuningJob does not exist.")
        return job

    def _whole(self, job: TuningJob) -> Body:
        trials = [trial.body for trial in self._records.trials(job.name)]
        return job.body | ({"trials": trials} if trials else {})

    def _cancel(self, job: TuningJob) -> None:
        job.body |= {"state": "JOB_STATE_CANCELLING", "updateTime": self._cloud.clock.stamp()}
        self._records.save(job)

    def _drive(self, name: str) -> None:
        driver = Driver(self._cloud, self._records, self._suggester, name)
        self._tasks[name] = asyncio.ensure_future(self._run(driver, name))

    async def _run(self, driver: Driver, name: str) -> None:
        await driver.run()
        self._tasks.pop(name)
        if not self._tasks:
            await self._suggester.close()
        folder = self._cloud.folder("vertex") / "trials" / name.rpartition("/")[2]
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
