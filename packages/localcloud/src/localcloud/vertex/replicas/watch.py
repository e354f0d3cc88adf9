"""Follows the replicas of one job: starts their supervisors, carries their output to the log, learns how they end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.containers import followed
from localcloud.containers.followed import Followed
from localcloud.containers.spool import Line
from localcloud.containers.supervised import LOST, Exit
from localcloud.logging.store import Logs
from localcloud.vertex.jobs import preparation, retries
from localcloud.vertex.jobs.records import Job, Jobs
from localcloud.vertex.replicas import output
from localcloud.vertex.replicas.outcome import PRIMARY, settled

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_LATE = 0.5  # seconds beyond the timeout that replicas have to end by themselves


class _Replica(Followed):
    """One replica, which may be started again."""

    def __init__(self, name: str, folder: Path, start: int) -> None:
        super().__init__(folder)
        self.name = name
        self.start = start  # how often it was started again in this attempt
        self.ready = False  # whether its folder is that of this start


class Watch:
    """Follows the replicas of one attempt until all have ended; when `stop` is set it tells them to end.

    `deadline` is in seconds of the cloud's clock; past it `late` is called, which should set `stop`.
    """

    def __init__(
        self,
        cloud: Cloud,
        jobs: Jobs,
        job: Job,
        stop: asyncio.Event,
        grace: float,
        deadline: float,
        late: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._cloud = cloud
        self._jobs = jobs
        self._job = job
        self._told = stop
        self._grace = grace
        self._deadline = deadline
        self._late = late
        self._say = say
        folder = preparation.job_folder(cloud, job.id)
        started = job.run.get("restarts", {})
        self._replicas = [_Replica(name, folder / name, started.get(name, 0)) for name in job.run["replicas"]]
        self._stopped_at: float | None = None

    async def to_the_end(self) -> dict[str, Exit]:
        """How each replica ended, by its name. When it comes back, their whole output is in the log."""
        began = time.monotonic()
        try:
            while True:
                moved = await asyncio.to_thread(followed.unless_full, self._look)
                if self._stopped_at is None and not self._told.is_set():
                    if self._cloud.clock.time() > self._deadline + _LATE:
                        self._late()
                    await self._restart()
                exits = {replica.name: replica.exit for replica in self._replicas if replica.exit}
                if len(exits) == len(self._replicas):
                    return exits
                if self._stopped_at is None and (self._told.is_set() or settled(exits)):
                    self._stop()
                await followed.pause(moved, began)
        except asyncio.CancelledError:  # the server ends; the next one takes up
            raise
        except BaseException:  # a defect here must leave nothing running
            self._stop()
            raise
        finally:
            for replica in self._replicas:
                replica.reap()

    async def _restart(self) -> None:
        """Start workers again that ended and may; the others go on."""
        for replica in self._replicas:
            ended = replica.exit
            if ended is None or self._primary_ended():
                continue
            job = self._jobs.find(self._job.id)
            if job is None or not retries.in_place(job, replica.name, ended):
                continue
            replica.start += 1
            job.run["restarts"] = {**job.run.get("restarts", {}), replica.name: replica.start}
            self._jobs.save(job)
            how = "was lost" if ended.reason == LOST else f"ended with status {ended.code}"
            often = f"{replica.start} of {retries.WORKER_RESTARTS}"
            self._say(f"The replica {replica.name} {how}. It starts again (restart {often}).")
            replica.exit = replica.process = None
            replica.ready = False

    def _primary_ended(self) -> bool:
        return any(replica.name == PRIMARY and replica.exit for replica in self._replicas)

    def _make_ready(self, replica: _Replica) -> None:
        left = max(self._deadline - self._cloud.clock.time(), 0)
        preparation.start_again(replica.folder, replica.start, left)

    def _stop(self) -> None:
        self._stopped_at = time.monotonic()
        for replica in self._replicas:
            replica.stop()

    def _look(self) -> bool:
        """One look at each replica; whether there was anything new."""
        moved = False
        for replica in self._replicas:
            if replica.exit is not None:
                continue
            if replica.start and not replica.ready:
                if self._stopped_at is not None:
                    replica.exit = Exit("cancelled", 143, time.time_ns())
                    continue
                self._make_ready(replica)
                replica.ready = True
            moved |= replica.look(partial(self._carry, replica), self._stopped_at, self._grace)
        return moved

    def _carry(self, replica: _Replica) -> bool:
        """Write what is new in the output to the log; then remember how far. Twice the same is kept once there."""
        start = self._mark(replica)
        key = replica.name + start
        ahead = int(self._cloud.clock.ahead.total_seconds() * 1e9)

        def take(lines: list[Line]) -> None:
            self._cloud.of(Logs).write(output.entries(lines, self._job, replica.name, start, ahead))
            self._jobs.set_offset(self._job.id, key, lines[-1].end)

        return followed.carry(replica.folder, self._jobs.offset(self._job.id, key), take)

    def _mark(self, replica: _Replica) -> str:
        """Tells a replica's starts apart; "" is the first, as it always was."""
        return f"@{self._job.attempt}.{replica.start}" if self._job.attempt > 1 or replica.start else ""
