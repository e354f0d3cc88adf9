"""Runs one attempt of a task: its folder, its process under a supervisor, its output carried to the log, its end.

The process outlives this server: after a kill the next one takes it up where it was.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.containers import ground, processes, spool, supervised
from localcloud.containers.ground import Interpreter
from localcloud.containers.supervised import LOST, Exit
from localcloud.core.state.disk import is_full
from localcloud.core.state.files import private_folder, write_privately
from localcloud.identity.metadata import Metadata
from localcloud.logging.store import Logs
from localcloud.run.executions import told
from localcloud.run.executions.records import Execution, Executions, Task

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_QUICK, _SLOW = 0.05, 0.2  # seconds between looks: while it is young or talks, and while it is silent
_YOUNG = 5.0  # seconds
_CHECK = 1.0  # seconds between looks at whether the supervisor still lives
_STUCK = 10.0  # seconds beyond the grace after which a supervisor that does not end its process is given up


def folder(cloud: Cloud, uid: str) -> Path:
    """Where the attempts of an execution have their folders, by its uid."""
    return cloud.folder("run") / "executions" / uid


def place(cloud: Cloud, one: Execution, task: Task) -> Path:
    """The folder of the attempt of a task that runs."""
    return folder(cloud, one.body["uid"]) / f"{task.index}.{task.attempt}"


def lay_out(cloud: Cloud, one: Execution, task: Task, found: Interpreter, grace: float, seconds: float) -> None:
    """Make the folder of an attempt with its `spec.json`; one that a killed server left is made anew."""
    own = private_folder(folder(cloud, one.body["uid"]))
    at = place(cloud, one, task)
    shutil.rmtree(at, ignore_errors=True)
    private_folder(at)
    variables = ground.base(at, found.python)
    variables |= ground.identity(cloud, one.account, one.project, owner(one), own)
    variables |= {
        "CLOUD_RUN_JOB": one.job,
        "CLOUD_RUN_EXECUTION": one.id,
        "CLOUD_RUN_TASK_INDEX": str(task.index),
        "CLOUD_RUN_TASK_COUNT": str(one.body["taskCount"]),
        "CLOUD_RUN_TASK_ATTEMPT": str(task.attempt),
    }
    container = one.container
    variables |= {each["name"]: each.get("value", "") for each in container.get("env", [])}
    words = [*(container.get("command") or found.entrypoint), *container.get("args", [])] or ["python"]
    written = {
        "command": words,
        "environment": variables,
        "workingFolder": str(private_folder(at / "work")),
        "timeoutSeconds": seconds,
        "graceSeconds": grace,
        "root": str(cloud.root),
        "start": 0,
    }
    write_privately(at / "spec.json", json.dumps(written))


def owner(one: Execution) -> str:
    """By what name an execution's account is known to the metadata server."""
    return f"run-{one.body['uid']}"


def release(cloud: Cloud, uid: str) -> None:
    """Take back an execution's key and secret, and forget its folder; nothing happens when that was done before."""
    cloud.of(Metadata).release(f"run-{uid}")
    ground.forget_key(cloud, folder(cloud, uid))
    shutil.rmtree(folder(cloud, uid), ignore_errors=True)


class Attempt:
    """Follows the attempt of a task that runs. `stop`, when set, ends it; past `deadline` it is out of time.

    `deadline` is in seconds of the cloud's clock.
    """

    def __init__(
        self,
        cloud: Cloud,
        kept: Executions,
        one: Execution,
        task: Task,
        stop: asyncio.Event,
        grace: float,
        deadline: float,
    ) -> None:
        self._cloud = cloud
        self._kept = kept
        self._one = one
        self._task = task
        self._told = stop
        self._grace = grace
        self.deadline = deadline
        self._folder = place(cloud, one, task)
        self._key = f"{one.body['uid']}/{task.index}.{task.attempt}"
        self._process: subprocess.Popen[bytes] | None = None
        self._exit: Exit | None = None
        self._checked = 0.0
        self._stopped_at: float | None = None
        self.late = False

    async def to_the_end(self) -> Exit:
        """How it ended. When it comes back, its whole output is in the log."""
        began = time.monotonic()
        try:
            while True:
                moved = await asyncio.to_thread(self._look_unless_full)
                if self._exit is not None:
                    return self._exit
                self.late = self.late or self._cloud.clock.time() > self.deadline
                if self._stopped_at is None and (self._told.is_set() or self.late):
                    self._stop()
                await asyncio.sleep(_QUICK if moved or time.monotonic() - began < _YOUNG else _SLOW)
        except asyncio.CancelledError:  # the server ends; the next one takes up
            raise
        except BaseException:  # a defect here must leave nothing running
            self._stop()
            raise
        finally:
            if self._process:
                self._process.poll()

    def _stop(self) -> None:
        self._stopped_at = time.monotonic()
        (self._folder / "stop").touch()

    def _look_unless_full(self) -> bool:
        """A look. While the disk is full the task goes on: its output waits in its file until there is room."""
        try:
            return self._look()
        except Exception as error:
            if not is_full(error):
                raise
            return False

    def _look(self) -> bool:
        """One look; whether there was anything new."""
        ended = supervised.ended(self._folder)  # before the output, which is complete then
        moved = self._carry()
        if ended is not None:
            self._exit = ended
            self._kept.forget_offset(self._key)
            return True
        if time.monotonic() - self._checked > _CHECK:
            self._checked = time.monotonic()
            self._check()
        return moved

    def _carry(self) -> bool:
        """Write what is new in the output to the log; then remember how far. Twice the same is kept once there."""
        moved = False
        offset = self._kept.offset(self._key)
        ahead = int(self._cloud.clock.ahead.total_seconds() * 1e9)
        while lines := list(spool.read(self._folder / "output", offset)):
            self._cloud.of(Logs).write(told.entries(lines, self._one, self._task, ahead))
            offset = lines[-1].end
            self._kept.set_offset(self._key, offset)
            moved = True
        return moved

    def _check(self) -> None:
        """Start the supervisor if it never was; learn that it is dead, or stuck."""
        started = (self._folder / "started.json").exists()
        stuck = self._stopped_at is not None and time.monotonic() - self._stopped_at > self._grace + _STUCK
        if supervised.alive(self._folder) and not stuck:
            return
        if not started and self._process is None:
            self._process = supervised.spawn(self._folder)
        elif not started and self._process is not None and self._process.poll() is None and not stuck:
            return  # still importing
        elif not (self._folder / "exit.json").exists():  # else it ended just now
            if self._process is not None:
                self._process.kill()
            processes.kill(processes.family(str(self._folder)))
            self._carry()
            self._exit = Exit(LOST, 137, time.time_ns())
