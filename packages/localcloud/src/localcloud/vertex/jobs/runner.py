"""Runs jobs: one task a job, from its place in the queue over all its attempts to its end, over restarts of the server.

Replicas run under supervisors (see supervisor), which go on without the server. What they leave in their
folders is taken up again after a restart, so that a job's end and its log are complete and true.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from localcloud.containers.background import apart
from localcloud.containers.ground import CantPrepare
from localcloud.core.state.disk import is_full
from localcloud.logging.store import Logs
from localcloud.quotas import capacity
from localcloud.vertex.jobs import preparation, queue, retries
from localcloud.vertex.jobs.records import Job, Jobs
from localcloud.vertex.jobs.retries import Again
from localcloud.vertex.jobs.stockouts import Stockouts
from localcloud.vertex.jobs.validation import seconds
from localcloud.vertex.replicas import contract, output
from localcloud.vertex.replicas.outcome import CANCELLED, Outcome, stockout
from localcloud.vertex.replicas.watch import Watch
from localcloud.vertex.settings import Settings
from localcloud.vertex.states import ENDED

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

log = logging.getLogger(__name__)

_UNDER_WAY = ("PENDING", "RUNNING", "CANCELLING")
_DISK_PATIENCE = 1.0  # seconds until a disk that was full is tried again
_TICK = 1.0  # seconds between looks at what waits
_BEGINNING = 5.0  # seconds that a move of the clock waits for a job to begin
_STOP_PATIENCE = 3.0  # seconds beyond the grace for supervisors to write how a replica ended


class Runner:
    """The jobs that run or wait to run. All methods are called in the server's event loop."""

    def __init__(self, cloud: Cloud, jobs: Jobs, stockouts: Stockouts, settings: Settings) -> None:
        self._cloud = cloud
        self._jobs = jobs
        self._stockouts = stockouts
        self._settings = settings
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._told: dict[str, asyncio.Event] = {}  # to end, or to end this attempt
        self._waiting: dict[str, str] = {}  # for which quotas, by job; each is said once
        self._changes: dict[str, asyncio.Event] = {}
        self._slow: set[str] = set()  # jobs whose beginning or end a move of the clock no longer waits for
        self._stopping = False

    async def resume(self) -> None:
        """Take up what ran when the server ended, and what waits."""
        for job in self._jobs.in_state(*_UNDER_WAY):
            self._begin(job)
        self.fill()
        await asyncio.to_thread(self._tidy)
        while not self._stopping:  # quotas are changed, and waits end
            await asyncio.sleep(_TICK)
            try:
                self._expire()
                self.fill()
            except Exception:  # a full disk: the next look is soon
                log.exception("the queue of jobs can't be looked at")

    async def catch_up(self) -> None:
        """Do what is due now that the clock was moved, and return when it has happened."""
        self._expire()
        self.fill()
        over = []
        for job_id, task in self._tasks.items():
            job = self._jobs.find(job_id)
            if job is not None and self._cloud.clock.time() > self._deadline(job):
                self._out_of_time(job_id)
                over.append(task)
        if over:
            await asyncio.wait(over, timeout=self._settings.grace + _STOP_PATIENCE)

    def due(self, _grain: float) -> float | None:
        """When the next job has run, or waited for machines, for as long as it may. Any thread may call."""
        now = self._cloud.clock.time()
        moments = [self._deadline(job) for job in self._jobs.in_state(*_UNDER_WAY) if "startTime" in job.body]
        moments += [until for job in self._jobs.in_state("QUEUED", "PENDING") if (until := queue.waits_until(job))]
        return min((moment for moment in moments if moment > now), default=None)

    async def settle(self) -> None:
        """Let jobs that were just taken from the queue begin, and those that were told to end do so.

        So the time of both counts as it should: from now, or until now.
        """
        ends = time.monotonic() + _BEGINNING
        while time.monotonic() < ends and any(
            "stockouts" not in job.run and job.id not in self._slow for job in self._jobs.in_state("PENDING")
        ):
            await asyncio.sleep(0.02)
        ends = time.monotonic() + self._settings.grace + _STOP_PATIENCE
        while time.monotonic() < ends and any(job.id not in self._slow for job in self._ending()):
            await asyncio.sleep(0.02)
        self._slow = {job.id for job in [*self._jobs.in_state("PENDING"), *self._ending()]}

    def _ending(self) -> list[Job]:
        """What was told to end and has machines until then."""
        under_way = self._jobs.in_state("RUNNING", "CANCELLING")
        return [job for job in under_way if job.state == "CANCELLING" or job.run.get("ending")]

    def _tidy(self) -> None:
        """Release what the last server had no time to release."""
        for folder in preparation.job_folder(self._cloud, "*").parent.glob("*"):
            job = self._jobs.find(folder.name)
            if job is None or job.state in ENDED:
                preparation.release(self._cloud, folder.name)

    async def stop(self) -> None:
        """Cancel what runs; what waits in the queue stays there."""
        self._stopping = True
        for job in self._jobs.in_state(*_UNDER_WAY):
            if job.id not in self._tasks:  # a stop right after the start: what the last server left
                self._begin(job)
        for job_id in list(self._tasks):
            job = self._jobs.find(job_id)
            if job is not None and job.state not in ENDED:
                self.say(job, "The local cloud was stopped: the job is cancelled.", "WARNING")
                self.cancel(job)
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._settings.grace + _STOP_PATIENCE)
            for task in late:  # the next start takes them up again
                task.cancel()

    def fill(self) -> None:
        """Start jobs from the queue while there is room, in its order; others overtake who waits for a quota."""
        if self._stopping or len(self._tasks) >= self._settings.parallel:
            return
        queued = self._jobs.in_state("QUEUED")
        if not queued:
            return
        room = self._settings.parallel - len(self._tasks)
        running = self._jobs.in_state(*_UNDER_WAY)
        choice = queue.choose(queued, running, room, lambda key, amount: capacity.exceeds(self._cloud, key, amount))
        for job in queued:
            names = choice.short.get(job.id)
            if names and self._waiting.get(job.id) != names:
                self._waiting[job.id] = names
                self.say(job, f"The job is queued until there is enough quota left: {names}.")
        for job in choice.start:
            self._waiting.pop(job.id, None)
            self._set(job, "PENDING")
            self._begin(job)

    def _expire(self) -> None:
        """End FLEX_START jobs that have waited for longer than they want to."""
        for job in self._jobs.in_state("QUEUED", "PENDING"):
            until = queue.waits_until(job)
            if until is not None and self._cloud.clock.time() > until:
                self._tell(job, stockout(job.region))

    def cancel(self, job: Job) -> None:
        """Ask a job to end; one that waits in the queue has ended at once."""
        if job.state == "QUEUED":
            self._end(job, Outcome("CANCELLED", CANCELLED))
            return
        self._set(job, "CANCELLING")
        self._told[job.id].set()

    def refuse(self, job: Job, why: str) -> None:
        """Let a job that waits in the queue fail."""
        self._tell(job, {"code": 9, "message": why})

    def preempt(self, job: Job) -> None:
        """Take the machines away from a job that runs; it starts again if it may."""
        self._tell(job, "preempted")

    def _tell(self, job: Job, ending: str | dict[str, Any]) -> None:
        """Tell a job to end for a reason (see Job.run)."""
        if job.run.get("ending") in (None, "preempted"):
            job.run["ending"] = ending
            if job.state == "QUEUED":
                self._end(job, retries.stopped(job))
                return
            self._jobs.save(job)
        if told := self._told.get(job.id):
            told.set()

    def _deadline(self, job: Job) -> float:
        """When its timeout is over, in seconds of the cloud's clock; it counts from its first start."""
        if "startTime" in job.body:
            started = datetime.fromisoformat(job.body["startTime"]).timestamp()
        else:
            started = self._cloud.clock.time()
        return started + seconds(retries.timeout(job))

    def _out_of_time(self, job_id: str) -> None:
        job = self._get(job_id)
        if job.state != "CANCELLING":
            self._tell(job, "timeout")

    async def end_all(self, project: str, why: str) -> None:
        """Let all jobs of a project fail, and return when they have ended."""
        ending = []
        for job in self._jobs.in_state("QUEUED", *_UNDER_WAY):
            if job.project == project:
                self.say(job, why, "ERROR")
                if task := self._tasks.get(job.id):
                    ending.append(task)
                self._tell(job, {"code": 9, "message": why})
        if ending:
            await asyncio.wait(ending, timeout=self._settings.grace + _STOP_PATIENCE)

    async def news(self, job_id: str) -> None:
        """Until something about a job that has not ended changes."""
        changed = self._changes.setdefault(job_id, asyncio.Event())
        await changed.wait()

    def say(self, job: Job, text: str, severity: str = "INFO") -> None:
        """Write a line of the service's own into the job's log. Any thread may call."""
        ahead = int(self._cloud.clock.ahead.total_seconds() * 1e9)
        self._cloud.of(Logs).write([output.service_entry(job, text, severity, time.time_ns() + ahead)])

    def _begin(self, job: Job) -> None:
        told = self._told[job.id] = asyncio.Event()
        if job.state == "CANCELLING" or job.run.get("ending"):
            told.set()
        self._tasks[job.id] = asyncio.ensure_future(self._run(job.id, told))

    async def _run(self, job_id: str, told: asyncio.Event) -> None:
        try:
            while not isinstance(decided := await self._attempt(job_id, told), Outcome):
                self._again(job_id, decided, told)
            ended = decided
        except CantPrepare as error:
            ended = Outcome("FAILED", {"code": 3, "message": str(error)})
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("job %s failed by a defect of the local cloud", job_id)
            message = f"Internal error occurred for the current attempt. {error} See server.log."
            ended = Outcome("FAILED", {"code": 13, "message": message})
        while not await self._finished(job_id, ended):
            await asyncio.sleep(_DISK_PATIENCE)
        self._tasks.pop(job_id)
        self._told.pop(job_id)
        self.fill()

    async def _attempt(self, job_id: str, told: asyncio.Event) -> Outcome | Again:
        job = self._get(job_id)
        if "replicas" not in job.run:
            refused = await self._supplied(job, told) or await self._prepare(job, told)
            if refused is not None:
                return refused
            job = self._get(job_id)
        watch = Watch(
            self._cloud,
            self._jobs,
            job,
            told,
            self._settings.grace,
            self._deadline(job),
            lambda: self._out_of_time(job_id),
            lambda text: self.say(job, text, "WARNING"),
        )
        exits = await watch.to_the_end()
        return retries.decide(self._get(job_id), exits)

    def _again(self, job_id: str, again: Again, told: asyncio.Event) -> None:
        """Note that a job starts anew, in one step: a server that is killed before it has run does the rest."""
        job = self._get(job_id)
        made = {**job.run.get("retries", {}), again.kind: job.run.get("retries", {}).get(again.kind, 0) + 1}
        number = job.attempt + 1
        limit = retries.LIMITS[again.kind]
        for name in ("replicas", "began", "restarts", "ending", "stockouts"):
            job.run.pop(name, None)
        job.run |= {"retries": made, "attempt": number}
        self._set(job, "PENDING")
        told.clear()
        words = f"{again.why} The job starts again: attempt {number} (retry {made[again.kind]} of {limit})."
        self.say(job, words, "WARNING")

    async def _supplied(self, job: Job, told: asyncio.Event) -> Outcome | None:
        """Wait for machines that are out of stock; an outcome when the job is not going to get them."""
        while (out := self._stockouts.hit(job.region, job.body["jobSpec"])) and not told.is_set():
            job = self._get(job.id)
            tried, most = job.run.get("stockouts", 0) + 1, retries.stockout_attempts(job)
            endless = retries.scheduling(job).get("strategy") in retries.FLEX
            job.run["stockouts"] = tried
            self._jobs.save(job)
            often = "" if endless else f" (attempt {tried} of {most})"
            self.say(job, f"{stockout(job.region)['message']} Waiting for {out}{often}.", "WARNING")
            if tried >= most and not endless:
                return Outcome("FAILED", stockout(job.region))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(told.wait(), self._settings.patience)
        return retries.stopped(self._get(job.id)) if told.is_set() else None

    async def _prepare(self, job: Job, told: asyncio.Event) -> Outcome | None:
        """Everything before RUNNING; an outcome when the job was told to end meanwhile. Raises CantPrepare."""
        attempt = f" (attempt {job.attempt})" if job.attempt > 1 else ""
        self.say(job, f"Waiting for job to be provisioned.{attempt}")
        if not attempt and contract.uses_gcs_mount(contract.replicas(job.body["jobSpec"])):
            words = "The job names a path under /gcs, which the local cloud does not emulate: use gs:// instead."
            self.say(job, words, "WARNING")

        def say(text: str, severity: str) -> None:
            self.say(job, text, severity)

        building = apart(lambda: preparation.interpreters(self._cloud, job, say))
        if not await _unless(told, building):
            return retries.stopped(self._get(job.id))  # the build goes on, for the next job that needs it
        left = max(self._deadline(job) - self._cloud.clock.time(), 0)
        names = await asyncio.to_thread(
            preparation.lay_out, self._cloud, job, building.result(), self._settings.grace, left
        )
        job = self._get(job.id)
        if told.is_set():
            return retries.stopped(job)
        job.run["replicas"] = names
        job.run["began"] = self._cloud.clock.stamp()
        job.body.setdefault("startTime", job.run["began"])
        self._set(job, "RUNNING")
        self.say(job, f"Waiting for training program to start.{attempt}")
        return None

    async def _finished(self, job_id: str, ended: Outcome) -> bool:
        """False when the disk is too full to note how the job ended."""
        try:
            await self._finish(job_id, ended)
        except Exception as error:
            if not is_full(error):
                raise
            return False
        return True

    async def _finish(self, job_id: str, ended: Outcome) -> None:
        job = self._get(job_id)
        severity, words = {
            "SUCCEEDED": ("INFO", "Job completed successfully."),
            "CANCELLED": ("INFO", "Job cancelled."),
        }.get(ended.state, ("ERROR", f"Job failed. {(ended.error or {}).get('message', '')}"))
        self.say(job, words, severity)
        self._end(job, ended)
        await asyncio.to_thread(preparation.release, self._cloud, job.id)

    def _end(self, job: Job, ended: Outcome) -> None:
        if ended.error:
            job.body["error"] = ended.error
        self._waiting.pop(job.id, None)
        job.body["endTime"] = self._cloud.clock.stamp()
        self._set(job, ended.state)

    def _set(self, job: Job, state: str) -> None:
        job.body["state"] = f"JOB_STATE_{state}"
        job.body["updateTime"] = self._cloud.clock.stamp()
        self._jobs.save(job)
        if changed := self._changes.pop(job.id, None):
            changed.set()

    def _get(self, job_id: str) -> Job:
        job = self._jobs.find(job_id)
        assert job is not None, "a job that runs is not deleted"
        return job


async def _unless(cancelled: asyncio.Event, work: asyncio.Future[Any]) -> bool:
    """Wait for `work`; False when `cancelled` is set first."""
    waiting = asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait([waiting, work], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    return work.done()
