"""Runs executions: one task of the server for each, from its start over all attempts of its tasks to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING

from localcloud.containers import ground
from localcloud.containers.background import apart
from localcloud.containers.ground import CantPrepare, Interpreter
from localcloud.containers.supervised import Exit
from localcloud.core.asked.usage import Usage
from localcloud.core.state.disk import is_full
from localcloud.logging.store import Logs
from localcloud.run import operations, validation
from localcloud.run.executions import attempts, capacity, told, usage
from localcloud.run.executions.attempts import Attempt
from localcloud.run.executions.records import (
    CANCELLED,
    FAILED,
    OVER,
    RUNNING,
    SUCCEEDED,
    WAITING,
    Execution,
    Executions,
    Task,
)
from localcloud.run.executions.settings import Settings

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

log = logging.getLogger(__name__)
_ROOM = 0.1  # seconds between looks whether there is room for one more task
_BEGINNING = 5.0  # seconds that a move of the clock waits for executions to begin
_STOP_PATIENCE = 3.0  # seconds beyond the grace for supervisors to write how a process ended
_DISK_PATIENCE = 1.0  # seconds until a disk that was full is tried again
_LATE = 0.5  # seconds beyond the timeout that a process has to end by itself
_SIGNALS = 128
# google.rpc.Code of the operation that ran an execution: cancelled, or failed to meet what was asked.
_CANCELLED, _FAILED = 1, 9


class Runner:
    """The executions that run or wait to run. All methods are called in the server's event loop."""

    def __init__(self, cloud: Cloud, kept: Executions, settings: Settings) -> None:
        self._cloud = cloud
        self._kept = kept
        self._settings = settings
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._told: dict[str, asyncio.Event] = {}
        self._running: dict[tuple[str, int], Attempt] = {}
        self._slow: set[str] = set()
        self._stopping = False

    async def resume(self) -> None:
        """Take up what had not ended when the server did."""
        for one in self._kept.unfinished():
            if one.name not in self._tasks:
                self.begin(one)
        await asyncio.to_thread(self._tidy)

    def _tidy(self) -> None:
        """Release what the last server had no time to release."""
        going = {one.body["uid"] for one in self._kept.unfinished()}
        for folder in attempts.folder(self._cloud, "*").parent.glob("*"):
            if folder.name not in going:
                attempts.release(self._cloud, folder.name)

    def begin(self, one: Execution) -> None:
        """Let an execution run as soon as there is room."""
        event = self._told[one.name] = asyncio.Event()
        if one.ending:
            event.set()
        self._tasks[one.name] = asyncio.ensure_future(self._run(one.name, event))

    def end(self, one: Execution, why: str, delete: bool = False) -> None:
        """Tell an execution to end ("cancelled", or words for its author), and perhaps to be forgotten then."""
        one = self._kept.get(one.name)
        one.ending = one.ending or why
        one.deleted = one.deleted or delete
        told.refresh(one, self._cloud.clock.stamp())
        self._kept.save(one)
        operations.change(self._cloud, one.operation, one.body)
        if event := self._told.get(one.name):
            event.set()

    async def end_all(self, project: str, why: str) -> None:
        """Let all executions of a project fail, and return when they have ended."""
        ending = []
        for one in self._kept.unfinished():
            if one.project == project:
                self.end(one, why)
                if task := self._tasks.get(one.name):
                    ending.append(task)
        if ending:
            await asyncio.wait(ending, timeout=self._settings.grace + _STOP_PATIENCE)

    async def stop(self) -> None:
        """Cancel what runs; what has not begun begins with the next start."""
        self._stopping = True
        for one in self._kept.unfinished():
            if any(task.began for task in one.tasks):
                if one.name not in self._tasks:  # a stop right after the start
                    self.begin(one)
                self.end(one, "The local cloud was stopped: the execution was cancelled.")
            elif task := self._tasks.get(one.name):
                task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=self._settings.grace + _STOP_PATIENCE)
            for task in late:  # the next start takes them up again
                task.cancel()

    # By the clock

    async def catch_up(self) -> None:
        """Wait for the end of what is out of time now that the clock was moved."""
        now = self._cloud.clock.time()
        ends = time.monotonic() + self._settings.grace + _STOP_PATIENCE
        over = {key for key, attempt in self._running.items() if attempt.deadline < now}
        while over & self._running.keys() and time.monotonic() < ends:
            await asyncio.sleep(0.02)

    def due(self, _grain: float) -> float | None:
        """When the next attempt has run for as long as it may. Any thread may call."""
        now = self._cloud.clock.time()
        return min((one.deadline for one in [*self._running.values()] if one.deadline > now), default=None)

    async def settle(self) -> None:
        """Let executions that may begin do so, so that their time counts from now, and those told to end do so, too."""
        for patience, ending in ((_BEGINNING, False), (self._settings.grace + _STOP_PATIENCE, True)):
            ends = time.monotonic() + patience
            while time.monotonic() < ends and any(
                name not in self._slow and (one.ending if ending else not one.tasks[0].began)
                for name in [*self._tasks]
                if (one := self._kept.find(name)) is not None and not one.over
            ):
                await asyncio.sleep(0.02)
        self._slow = {
            name
            for name in self._tasks
            if (one := self._kept.find(name)) is None or one.ending or not one.tasks[0].began
        }

    # One execution

    async def _run(self, name: str, event: asyncio.Event) -> None:
        try:
            found = await self._stand_in(name, event)
            one = self._kept.get(name)
            room = asyncio.Semaphore(int(one.body.get("parallelism") or 0) or len(one.tasks))
            await asyncio.gather(
                *(self._task(name, task.index, event, found, room) for task in one.tasks if task.state not in OVER)
            )
        except CantPrepare as error:
            self._fail(name, str(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("execution %s failed by a defect of the local cloud", name)
            self._fail(name, f"Internal error: {error} See server.log.")
        while not await self._finished(name):
            await asyncio.sleep(_DISK_PATIENCE)
        self._tasks.pop(name, None)
        self._told.pop(name, None)

    async def _stand_in(self, name: str, event: asyncio.Event) -> Interpreter | None:
        """What stands in for the image, built if needed; None when it was told to end before. Raises CantPrepare."""
        one = self._kept.get(name)
        container = one.container
        more = next(
            (v.get("value", "") for v in container.get("env", []) if v["name"] == "LOCALCLOUD_REQUIREMENTS"), ""
        )

        def say(text: str, severity: str) -> None:
            self._say(one, one.tasks[0], text, severity)

        building = apart(lambda: ground.interpreter(self._cloud, plain(container["image"]), more, say))
        waiting = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait([waiting, building], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        return building.result() if building.done() else None

    async def _task(
        self, name: str, index: int, event: asyncio.Event, found: Interpreter | None, room: asyncio.Semaphore
    ) -> None:
        async with room:
            while True:
                task = self._kept.get(name).tasks[index]
                if task.state != RUNNING:
                    if found is None or not await self._has_room(name, event):
                        self._change(name, index, state=CANCELLED, ended=self._cloud.clock.stamp())
                        return
                    await self._start(name, index, found)
                if self._over(name, index, await self._follow(name, index, event), event):
                    return

    async def _has_room(self, name: str, event: asyncio.Event) -> bool:
        """Wait until one more task may run: on this machine, and by the project's quota. False when told to end."""
        while not event.is_set():
            one = self._kept.get(name)
            running = [(other, task) for other in self._kept.unfinished() for task in other.tasks]
            busy = sum(task.state == RUNNING for _, task in running)
            if busy < self._settings.parallel and capacity.fits(self._cloud, one, running):
                return True
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(event.wait(), _ROOM)
        return False

    async def _start(self, name: str, index: int, found: Interpreter) -> None:
        """Lay out the next attempt, and say in one step that it runs: a server that is killed then starts it."""
        one = self._kept.get(name)
        task = one.tasks[index]
        task.attempt += 1
        # Claimed before anything is awaited, so that no other task takes the same room.
        stamp = self._cloud.clock.stamp()
        seconds = validation.timeout(one.body["template"])
        attempts.lay_out(self._cloud, one, task, found, self._settings.grace, seconds)
        self._change(
            name, index, state=RUNNING, attempt=task.attempt, began=stamp, started=task.started or stamp, ended="",
            exit_code=0, term_signal=0, message="",
        )  # fmt: skip

    async def _follow(self, name: str, index: int, event: asyncio.Event) -> tuple[Exit, bool]:
        """(how the attempt ended, whether it was out of time)."""
        one = self._kept.get(name)
        task = one.tasks[index]
        deadline = datetime.fromisoformat(task.began).timestamp() + validation.timeout(one.body["template"])
        attempt = Attempt(self._cloud, self._kept, one, task, event, self._settings.grace, deadline + _LATE)
        self._running[name, index] = attempt
        try:
            return await attempt.to_the_end(), attempt.late
        finally:
            self._running.pop((name, index), None)

    def _over(self, name: str, index: int, how: tuple[Exit, bool], event: asyncio.Event) -> bool:
        """Note how an attempt ended; False when the task is tried again."""
        ended, late = how
        one = self._kept.get(name)
        task = one.tasks[index]
        stamp = self._cloud.clock.stamp()
        if ended.reason == "exited" and ended.code == 0:
            self._say(one, task, "Container called exit(0).", "INFO")
            self._change(name, index, state=SUCCEEDED, ended=stamp)
            return True
        if event.is_set() and not late and ended.reason != "timeout":
            self._change(name, index, state=CANCELLED, ended=stamp, term_signal=15)
            return True
        out_of_time = late or ended.reason == "timeout"
        signal = ended.code - _SIGNALS if ended.code > _SIGNALS else 0
        if out_of_time:
            said, message = told.TIMED_OUT, told.TIMED_OUT
            task.exit_code, task.term_signal = 0, 0
        elif ended.reason == "memory":
            said, message = "Container terminated on signal 9.", "Memory limit exceeded."
            task.term_signal = 9
        elif ended.reason == "unstartable":
            said = message = f"Application failed to start: {ended.tail}"
            task.exit_code = ended.code
        elif signal:
            said, message = f"Container terminated on signal {signal}.", told.exit_message(ended.code)
            task.term_signal = signal
        else:
            said, message = f"Container called exit({ended.code}).", told.exit_message(ended.code)
            task.exit_code = ended.code
        self._say(one, task, said, "WARNING")
        again = task.attempt < int(one.body["template"]["maxRetries"]) and not event.is_set()
        self._change(
            name, index, state=WAITING if again else FAILED, ended=stamp, message=message, exit_code=task.exit_code,
            term_signal=task.term_signal,
        )  # fmt: skip
        return not again

    def _change(self, name: str, index: int, **changes: str | int) -> None:
        """Keep what is new about a task, in one step with what the execution says of it."""
        one = self._kept.get(name)
        task = one.tasks[index]
        for field, value in changes.items():
            setattr(task, field, value)
        usage.note(self._cloud.of(Usage), one, task)
        if not all(each.state in OVER for each in one.tasks):
            told.refresh(one, self._cloud.clock.stamp())
            self._kept.save(one)
            operations.change(self._cloud, one.operation, one.body)
        else:  # its end is told when all is in the log
            self._kept.save(one)

    def _fail(self, name: str, why: str) -> None:
        """Let an execution fail that could not begin, or met a defect."""
        one = self._kept.get(name)
        one.ending = one.ending or why
        for task in one.tasks:
            if task.state not in OVER:
                task.state, task.message, task.ended = FAILED, why, self._cloud.clock.stamp()
                usage.note(self._cloud.of(Usage), one, task)
        self._kept.save(one)

    async def _finished(self, name: str) -> bool:
        """False when the disk is too full to note how the execution ended."""
        try:
            await self._finish(name)
        except Exception as error:
            if not is_full(error):
                raise
            return False
        return True

    async def _finish(self, name: str) -> None:
        one = self._kept.get(name)
        told.refresh(one, self._cloud.clock.stamp())
        state, message, _reason = told.outcome(one)
        code = 0 if state == "SUCCEEDED" else _CANCELLED if one.ending == "cancelled" else _FAILED
        ahead = int(self._cloud.clock.ahead.total_seconds() * 1e9)
        said = told.summary(one) if not one.ending else message
        self._cloud.of(Logs).write([told.audit_entry(one, said, code, time.time_ns() + ahead)])
        if one.deleted:
            self._kept.delete(name)
        else:
            self._kept.save(one)
        error = {"code": code, "message": message} if code else None
        operations.change(self._cloud, one.operation, one.body, done=True, error=error)
        await asyncio.to_thread(attempts.release, self._cloud, one.body["uid"])

    def _say(self, one: Execution, task: Task, text: str, severity: str) -> None:
        """Write a line of the service's own into the log. Any thread may call."""
        ahead = int(self._cloud.clock.ahead.total_seconds() * 1e9)
        self._cloud.of(Logs).write([told.system_entry(one, task, text, severity, time.time_ns() + ahead)])


def plain(image: str) -> str:
    """An image of Docker Hub as the catalogue names it: without its host, and without what official images stand in."""
    return image.removeprefix("docker.io/").removeprefix("library/")
