"""Runs one attempt of a task: its folder, its process under a supervisor, its output carried to the log, its end.

The process outlives this server: after a kill the next one takes it up where it was.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.containers import followed, ground
from localcloud.containers.followed import Followed
from localcloud.containers.ground import Interpreter
from localcloud.containers.spool import Line
from localcloud.containers.supervised import Exit
from localcloud.core.state.files import private_folder, write_privately
from localcloud.identity.metadata import Metadata
from localcloud.logging.store import Logs
from localcloud.run.executions import told
from localcloud.run.executions.records import Execution, Executions, Task

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud


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
        self._process = Followed(place(cloud, one, task))
        self._key = f"{one.body['uid']}/{task.index}.{task.attempt}"
        self._stopped_at: float | None = None
        self.late = False

    async def to_the_end(self) -> Exit:
        """How it ended. When it comes back, its whole output is in the log."""
        began = time.monotonic()
        try:
            while True:
                moved = await asyncio.to_thread(followed.unless_full, self._look)
                if self._process.exit is not None:
                    return self._process.exit
                self.late = self.late or self._cloud.clock.time() > self.deadline
                if self._stopped_at is None and (self._told.is_set() or self.late):
                    self._stop()
                await followed.pause(moved, began)
        except asyncio.CancelledError:  # the server ends; the next one takes up
            raise
        except BaseException:  # a defect here must leave nothing running
            self._stop()
            raise
        finally:
            self._process.reap()

    def _stop(self) -> None:
        self._stopped_at = time.monotonic()
        self._process.stop()

    def _look(self) -> bool:
        """One look; whether there was anything new."""
        moved = self._process.look(self._carry, self._stopped_at, self._grace)
        if self._process.exit is not None:
            self._kept.forget_offset(self._key)
        return moved

    def _carry(self) -> bool:
        """Write what is new in the output to the log; then remember how far. Twice the same is kept once there."""
        ahead = int(self._cloud.clock.ahead.total_seconds() * 1e9)

        def take(lines: list[Line]) -> None:
            self._cloud.of(Logs).write(told.entries(lines, self._one, self._task, ahead))
            self._kept.set_offset(self._key, lines[-1].end)

        return followed.carry(self._process.folder, self._kept.offset(self._key), take)
