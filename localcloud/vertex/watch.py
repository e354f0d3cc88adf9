"""Follows the replicas of one job: starts their supervisors, carries their output to the log, learns how they end."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud import locks
from localcloud.disk import is_full
from localcloud.vertex import output, preparation, processes, spool
from localcloud.vertex.jobs import Job, Jobs
from localcloud.vertex.outcome import LOST, Exit, settled

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

_QUICK, _SLOW = 0.05, 0.2  # seconds between looks: while replicas are young or talk, and while they are silent
_YOUNG = 5.0  # seconds
_CHECK = 1.0  # seconds between looks at whether a supervisor still lives
_STUCK = 10.0  # seconds beyond the grace after which a supervisor that does not end its replica is given up
_PACKAGE = Path(__file__).resolve().parents[2]


@dataclass
class _Replica:
    name: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    exit: Exit | None = None
    checked: float = 0.0


class Watch:
    """Follows the replicas until all have ended; when `cancelled` is set it tells them to end."""

    def __init__(self, cloud: Cloud, jobs: Jobs, job: Job, cancelled: asyncio.Event, grace: float) -> None:
        self._cloud = cloud
        self._jobs = jobs
        self._job = job
        self._cancelled = cancelled
        self._grace = grace
        folder = preparation.job_folder(cloud, job.id)
        self._replicas = [_Replica(name, folder / name) for name in job.run["replicas"]]
        self._stopped_at: float | None = None

    async def to_the_end(self) -> dict[str, Exit]:
        """How each replica ended, by its name. When it comes back, their whole output is in the log."""
        began = time.monotonic()
        try:
            while True:
                moved = await asyncio.to_thread(self._look_unless_full)
                exits = {replica.name: replica.exit for replica in self._replicas if replica.exit}
                if len(exits) == len(self._replicas):
                    return exits
                if self._stopped_at is None and (self._cancelled.is_set() or settled(exits)):
                    self._stop()
                await asyncio.sleep(_QUICK if moved or time.monotonic() - began < _YOUNG else _SLOW)
        except asyncio.CancelledError:  # the server ends; the next one takes up
            raise
        except BaseException:  # a defect here must leave nothing running
            self._stop()
            raise
        finally:
            for replica in self._replicas:
                if replica.process:
                    replica.process.poll()

    def _stop(self) -> None:
        self._stopped_at = time.monotonic()
        for replica in self._replicas:
            if replica.exit is None:
                (replica.folder / "stop").touch()

    def _look_unless_full(self) -> bool:
        """A look. While the disk is full the job goes on: its output waits in its file until there is room."""
        try:
            return self._look()
        except Exception as error:
            if not is_full(error):
                raise
            return False

    def _look(self) -> bool:
        """One look at each replica; whether there was anything new."""
        moved = False
        for replica in self._replicas:
            if replica.exit is not None:
                continue
            record = _read(replica.folder / "exit.json")  # before the output, which is complete then
            moved |= self._carry(replica)
            if record is not None:
                replica.exit = Exit(**record)
                moved = True
            elif time.monotonic() - replica.checked > _CHECK:
                replica.checked = time.monotonic()
                self._check(replica)
        return moved

    def _carry(self, replica: _Replica) -> bool:
        """Write what is new in the output to the log; then remember how far. Twice the same is kept once there."""
        moved = False
        offset = self._jobs.offset(self._job.id, replica.name)
        while lines := list(spool.read(replica.folder / "output", offset)):
            self._cloud.logging.write(output.entries(lines, self._job, replica.name))
            offset = lines[-1].end
            self._jobs.set_offset(self._job.id, replica.name, offset)
            moved = True
        return moved

    def _check(self, replica: _Replica) -> None:
        """Start the supervisor if it never was; learn that it is dead, or stuck."""
        started = _read(replica.folder / "started.json")
        stuck = self._stopped_at is not None and time.monotonic() - self._stopped_at > self._grace + _STUCK
        if alive(replica.folder) and not stuck:
            return
        if started is None and replica.process is None:
            replica.process = spawn(replica.folder)
        elif started is None and replica.process is not None and replica.process.poll() is None and not stuck:
            return  # still importing
        elif not (replica.folder / "exit.json").exists():  # else it ended just now
            self._lose(replica)

    def _lose(self, replica: _Replica) -> None:
        if replica.process is not None:
            replica.process.kill()
        # By the mark alone: after a restart of the machine another process may have the leader's id.
        processes.kill(processes.family(str(replica.folder)))
        self._carry(replica)
        replica.exit = Exit(LOST, 137, time.time_ns())


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def alive(folder: Path) -> bool:
    """Whether a supervisor holds the lock of the folder."""
    try:
        with locks.held(folder / "alive"):
            return False
    except locks.Busy:
        return True


def spawn(folder: Path) -> subprocess.Popen[bytes]:
    """Start a supervisor that outlives this process."""
    environment = {"PYTHONPATH": str(_PACKAGE), "PATH": os.defpath}
    if sys.platform == "win32":
        environment |= {name: os.environ[name] for name in ("SYSTEMROOT", "PATH") if name in os.environ}
    with (folder / "supervisor.log").open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "localcloud.vertex.supervisor", str(folder)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0,
        )
