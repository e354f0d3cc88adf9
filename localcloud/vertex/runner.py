"""Runs jobs: one task a job, from its place in the queue to its end, over restarts of the server.

Replicas run under supervisors (localcloud.vertex.supervisor), which go on without the server. What they leave in their
folders is taken up again after a restart, so that a job's end and its log are complete and true.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from localcloud.disk import is_full
from localcloud.vertex import contract, output, preparation
from localcloud.vertex.jobs import ENDED, Job, Jobs
from localcloud.vertex.outcome import CANCELLED, Outcome, outcome
from localcloud.vertex.settings import Settings
from localcloud.vertex.watch import Watch

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

log = logging.getLogger(__name__)
T = TypeVar("T")

_UNDER_WAY = ("PENDING", "RUNNING", "CANCELLING")
_DISK_PATIENCE = 1.0  # seconds until a disk that was full is tried again
_STOP_PATIENCE = 3.0  # seconds beyond the grace for supervisors to write how a replica ended


class Runner:
    """The jobs that run or wait to run. All methods are called in the server's event loop."""

    def __init__(self, cloud: Cloud, jobs: Jobs, settings: Settings) -> None:
        self._cloud = cloud
        self._jobs = jobs
        self._settings = settings
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancelled: dict[str, asyncio.Event] = {}
        self._changes: dict[str, asyncio.Event] = {}
        self._stopping = False

    async def resume(self) -> None:
        """Take up what ran when the server ended, and what waits."""
        for job in self._jobs.in_state(*_UNDER_WAY):
            self._begin(job)
        self.fill()
        await asyncio.to_thread(self._tidy)

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
        """Start jobs from the queue, in its order, while there is room."""
        if self._stopping:
            return
        for job in self._jobs.in_state("QUEUED"):
            if len(self._tasks) >= self._settings.parallel:
                return
            self._set(job, "PENDING")
            self._begin(job)

    def cancel(self, job: Job) -> None:
        """Ask a job to end; one that waits in the queue has ended at once."""
        if job.state == "QUEUED":
            self._end(job, Outcome("CANCELLED", CANCELLED))
            return
        self._set(job, "CANCELLING")
        self._cancelled[job.id].set()

    async def end_all(self, project: str, why: str) -> None:
        """Cancel all jobs of a project, and return when they have ended."""
        ending = []
        for job in self._jobs.in_state("QUEUED", *_UNDER_WAY):
            if job.project == project and (job.state == "QUEUED" or job.id in self._tasks):
                self.say(job, why, "ERROR")
                if task := self._tasks.get(job.id):
                    ending.append(task)
                self.cancel(job)
        if ending:
            await asyncio.wait(ending, timeout=self._settings.grace + _STOP_PATIENCE)

    async def news(self, job_id: str) -> None:
        """Until something about a job that has not ended changes."""
        changed = self._changes.setdefault(job_id, asyncio.Event())
        await changed.wait()

    def say(self, job: Job, text: str, severity: str = "INFO") -> None:
        """Write a line of the service's own into the job's log. Any thread may call."""
        self._cloud.logging.write([output.service_entry(job, text, severity, time.time_ns())])

    def _begin(self, job: Job) -> None:
        cancelled = self._cancelled[job.id] = asyncio.Event()
        if job.state == "CANCELLING":
            cancelled.set()
        self._tasks[job.id] = asyncio.ensure_future(self._run(job.id, cancelled))

    async def _run(self, job_id: str, cancelled: asyncio.Event) -> None:
        try:
            ended = await self._through(job_id, cancelled)
        except preparation.CantPrepare as error:
            ended = Outcome("FAILED", {"code": 3, "message": str(error)})
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("job %s failed by a defect of the local cloud", job_id)
            message = f"Internal error occurred for the current attempt. {error} See server.log."
            ended = Outcome("FAILED", {"code": 13, "message": message})
        self._tasks.pop(job_id)
        self._cancelled.pop(job_id)
        while not await self._finished(job_id, ended):
            await asyncio.sleep(_DISK_PATIENCE)
        self.fill()

    async def _through(self, job_id: str, cancelled: asyncio.Event) -> Outcome:
        job = self._get(job_id)
        if "replicas" not in job.run:
            if not await self._prepare(job, cancelled):
                return Outcome("CANCELLED", CANCELLED)
            job = self._get(job_id)
        watch = Watch(self._cloud, self._jobs, job, cancelled, self._settings.grace)
        exits = await watch.to_the_end()
        job = self._get(job_id)
        timeout = job.body["jobSpec"].get("scheduling", {}).get("timeout", preparation.DEFAULT_TIMEOUT)
        return outcome(exits, cancelled.is_set(), job.id, job.number, timeout)

    async def _prepare(self, job: Job, cancelled: asyncio.Event) -> bool:
        """Everything before RUNNING; False when the job was cancelled meanwhile. Raises CantPrepare."""
        if cancelled.is_set():
            return False
        self.say(job, "Waiting for job to be provisioned.")
        if contract.uses_gcs_mount(contract.replicas(job.body["jobSpec"])):
            words = "The job names a path under /gcs, which the local cloud does not emulate: use gs:// instead."
            self.say(job, words, "WARNING")

        def say(text: str, severity: str) -> None:
            self.say(job, text, severity)

        building = _apart(lambda: preparation.interpreters(self._cloud, job, say))
        if not await _unless(cancelled, building):
            return False  # the build goes on, for the next job that needs it
        found = building.result()
        names = await asyncio.to_thread(preparation.lay_out, self._cloud, job, found, self._settings.grace)
        if cancelled.is_set():
            return False
        job = self._get(job.id)
        job.run["replicas"] = names
        job.body["startTime"] = self._cloud.clock.stamp()
        self._set(job, "RUNNING")
        self.say(job, "Waiting for training program to start.")
        return True

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


def _apart(work: Callable[[], T]) -> asyncio.Future[T]:
    """Do `work` in a thread that the end of the server does not wait for, as it would for one of the loop's own."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting any more

    def tell(set_it: Callable[[Any], None], what: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if future.done() else set_it(what))

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            tell(future.set_exception, error)
        else:
            tell(future.set_result, result)

    threading.Thread(target=run, daemon=True, name="environment").start()
    return future


async def _unless(cancelled: asyncio.Event, work: asyncio.Future[Any]) -> bool:
    """Wait for `work`; False when `cancelled` is set first."""
    waiting = asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait([waiting, work], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    return work.done()
