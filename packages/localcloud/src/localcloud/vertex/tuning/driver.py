"""Runs one tuning job: makes its trials, follows them, stops those without hope, and says how the job ended.

All it knows is in the records, which it reads anew at each look: a server that was killed goes on where it was.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import itertools
import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.core.state.disk import is_full
from localcloud.vertex.jobs.records import Job, Tuned
from localcloud.vertex.jobs.store import CustomJobs
from localcloud.vertex.replicas.outcome import CANCELLED
from localcloud.vertex.states import ENDED
from localcloud.vertex.tuning import measurements, space, stopping
from localcloud.vertex.tuning.records import Records, Trial, TuningJob
from localcloud.vertex.tuning.suggester import Suggester

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

log = logging.getLogger(__name__)
Body = dict[str, Any]

_TICK = 0.2  # seconds between looks
_DISK_PATIENCE = 1.0  # seconds until a disk that was full is tried again
_MOST_DEFECTS = 3  # looks in a row that may fail by a defect of this program
_STARTUP = 10  # trials before suggestions learn, at most; a fourth of a small study's


class Driver:
    """All methods are called in the server's event loop."""

    def __init__(self, cloud: Cloud, records: Records, suggester: Suggester, name: str) -> None:
        self._cloud = cloud
        self._records = records
        self._suggester = suggester
        self._name = name

    async def run(self) -> None:
        """To the job's end."""
        defects = 0
        while True:
            wait = _TICK
            try:
                if await self._look():
                    return
                defects = 0
            except Exception as error:
                if is_full(error):
                    wait = _DISK_PATIENCE
                else:
                    log.exception("tuning job %s failed by a defect of the local cloud", self._name)
                    defects += 1
                    self._give_up({"code": 13, "message": f"Internal error occurred. {error} See server.log."})
                    if defects > _MOST_DEFECTS:
                        self._end(self._records.get(self._name))
                        return
            await asyncio.sleep(wait)

    async def _look(self) -> bool:
        """One look at all trials, and what follows from it; whether the job has ended."""
        job, trials = self._records.get(self._name), self._records.trials(self._name)
        for trial in trials:
            if trial.active:
                await self._follow(job, trial, trials)
        if job.state == "PENDING" and any(trial.began for trial in trials):
            self._records.change(job, "RUNNING", startTime=self._cloud.clock.stamp())
        active = [trial for trial in trials if trial.active]
        if job.error is None and (error := _too_many_failed(job, trials)):
            self._give_up(error)
            job = self._records.get(self._name)
        if job.error is not None or job.state == "CANCELLING":
            for trial in active:
                self._cloud.of(CustomJobs).stop_job(trial.job)
            if active:
                return False
            self._end(job)
            return True
        if len(active) < int(job.body["parallelTrialCount"]) and await self._another(job, trials):
            return False
        if active:
            return False
        self._end(self._records.get(self._name))
        return True

    async def _another(self, job: TuningJob, trials: Sequence[Trial]) -> bool:
        """Make the next trial; False when there is none any more."""
        if len(trials) >= int(job.body["maxTrialCount"]):
            return False
        number = len(trials) + 1
        parameters = await self._suggest(job, trials, number)
        if parameters is None:
            return False
        job = self._records.get(self._name)  # it may have been cancelled meanwhile
        if job.state != "CANCELLING" and job.error is None:
            name, trial_id = f"{self._name}/trials/{number}", str(number)
            body = {"name": name, "id": trial_id, "state": "REQUESTED", "parameters": parameters}
            self._records.add_trial(Trial(body, self._cloud.of(CustomJobs).new_id()))
        return True

    async def _suggest(self, job: TuningJob, trials: Sequence[Trial], number: int) -> list[Body] | None:
        """None when the grid is exhausted."""
        study = job.body["studySpec"]
        if study.get("algorithm") == "GRID_SEARCH":
            points = space.grid(space.parameters(study["parameters"]))
            point = next(itertools.islice(points, number - 1, None), None)
            return None if point is None else space.as_body(point)
        metrics = [metric["metricId"] for metric in study["metrics"]]
        request = {
            "parameters": study["parameters"],
            "goals": [metric["goal"] for metric in study["metrics"]],
            "algorithm": study.get("algorithm", ""),
            "seed": int(hashlib.sha256(f"{self._name}/{number}".encode()).hexdigest()[:8], 16),
            "startup": min(_STARTUP, max(1, int(job.body["maxTrialCount"]) // 4)),
            "trials": [{"parameters": t.body["parameters"], "values": _values(t, metrics)} for t in trials],
        }
        return await self._suggester.ask(request)

    async def _follow(self, job: TuningJob, trial: Trial, trials: Sequence[Trial]) -> None:
        """Launch the trial if it never was; read what it reports; learn how it ended; stop it if it has no hope."""
        running = self._cloud.of(CustomJobs).find_job(trial.job)
        if running is None:
            running = self._launch(job, trial)
        if trial.state == "REQUESTED":
            trial.body |= {
                "state": "ACTIVE",
                "startTime": self._cloud.clock.stamp(),
                "customJob": running.body["name"],
            }
            self._records.save_trial(trial)
        if running.state not in ("QUEUED", "PENDING") and not trial.began:
            trial.began = time.time()
            self._records.save_trial(trial)
        study = job.body["studySpec"]
        metrics = [metric["metricId"] for metric in study["metrics"]]
        found = await asyncio.to_thread(measurements.lines, self._metrics_of(job, trial) / "workerpool0-0" / "metrics")
        moved = measurements.take(trial.body, trial.seen, found, metrics, trial.began, time.time())
        if running.state in ENDED:
            self._conclude(job, trial, running)
            return
        if moved and trial.state == "ACTIVE":
            done = [other.body for other in trials if other.state == "SUCCEEDED"]
            if stopping.hopeless(trial.body, done, study):
                trial.body["state"] = "STOPPING"
        if moved:
            self._records.save_trial(trial)
        if trial.state == "STOPPING":
            self._cloud.of(CustomJobs).stop_job(trial.job)

    def _metrics_of(self, job: TuningJob, trial: Trial) -> Path:
        return self._cloud.folder("vertex") / "trials" / job.id / trial.id

    def _launch(self, job: TuningJob, trial: Trial) -> Job:
        spec = copy.deepcopy(job.body["trialJobSpec"])
        added = space.arguments(trial.body["parameters"])
        for pool in spec["workerPoolSpecs"]:
            for task in ("containerSpec", "pythonPackageSpec"):
                if task in pool:
                    pool[task]["args"] = [*pool[task].get("args", []), *added]
        if base := spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "").rstrip("/"):
            spec["baseOutputDirectory"] = {"outputUriPrefix": f"{base}/{trial.id}"}
        body = {"displayName": f"{job.body['displayName']}-trial-{trial.id}", "jobSpec": spec}
        tuned = Tuned(job.id, trial.id, str(self._metrics_of(job, trial)))
        return self._cloud.of(CustomJobs).launch(trial.job, job.project, job.place, body, job.account, tuned)

    def _conclude(self, job: TuningJob, trial: Trial, ended: Job) -> None:
        """A trial whose job has ended: it counts when it did what it should, or was stopped by the study's rule."""
        study = job.body["studySpec"]
        counts = measurements.final(trial.body, study["metrics"], study.get("measurementSelectionType", ""))
        good = ended.state == "SUCCEEDED" or trial.state == "STOPPING"
        trial.body["endTime"] = self._cloud.clock.stamp()
        if counts is not None:
            trial.body["finalMeasurement"] = counts
        if good and counts is not None:
            trial.body["state"] = "SUCCEEDED"
        else:
            names = ", ".join(f"`{metric['metricId']}`" for metric in study["metrics"])
            missing = f"The trial reported no measurement of {names}."
            trial.body["state"] = "INFEASIBLE"
            trial.body["infeasibleReason"] = missing if good else ended.body.get("error", {}).get("message", "")
        self._records.save_trial(trial)
        shutil.rmtree(self._metrics_of(job, trial), ignore_errors=True)

    def _give_up(self, error: Body) -> None:
        job = self._records.get(self._name)
        job.error = job.error or error
        self._records.save(job)

    def _end(self, job: TuningJob) -> None:
        if job.state == "CANCELLING":
            state, error = "CANCELLED", CANCELLED
        else:
            state, error = ("FAILED", job.error) if job.error else ("SUCCEEDED", None)
        self._records.change(job, state, endTime=self._cloud.clock.stamp(), **({"error": error} if error else {}))


def _values(trial: Trial, metrics: Sequence[str]) -> list[float] | None:
    """What the trial was worth: None while it runs, [] when it failed."""
    if trial.active:
        return None
    if trial.state != "SUCCEEDED":
        return []
    final = {row["metricId"]: row["value"] for row in trial.body["finalMeasurement"]["metrics"]}
    return [final[name] for name in metrics]


def _too_many_failed(job: TuningJob, trials: Sequence[Trial]) -> Body | None:
    """Why the job fails. Without a limit of the job's own: when a trial failed before any succeeded.

    The rule and the words are those of the older AI Platform; Vertex AI's are not published.
    """
    failed = [trial for trial in trials if trial.state == "INFEASIBLE"]
    most = int(job.body.get("maxFailedTrialCount", 0))
    if not failed or (most and len(failed) < most):
        return None
    if not most and any(trial.state == "SUCCEEDED" for trial in trials):
        return None
    last = max(failed, key=lambda trial: trial.body["endTime"])
    given = ", ".join(argument.removeprefix("--") for argument in space.arguments(last.body["parameters"]))
    first = (
        f"{len(failed)} Trials failed, as many as max_failed_trial_count allows; the last one was Trial #{last.id}."
        if most
        else f"Hyperparameter Tuning Trial #{last.id} Failed before any other successful trials were completed."
    )
    words = (
        f"{first} The failed trial had parameters: {given}, . "
        f"The trial's error message was: {last.body['infeasibleReason']}"
    )
    return {"code": 3, "message": words}
