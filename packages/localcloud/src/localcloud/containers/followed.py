"""Follows a process under a supervisor: its output is carried on, its end learned, and a lost one given up.

The process outlives this server: after a kill the next one takes it up where it was.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localcloud.containers import processes, spool, supervised
from localcloud.containers.supervised import LOST, Exit
from localcloud.core.state.disk import is_full

_QUICK, _SLOW = 0.05, 0.2  # seconds between looks: while processes are young or talk, and while they are silent
_YOUNG = 5.0  # seconds
_CHECK = 1.0  # seconds between looks at whether a supervisor still lives
_STUCK = 10.0  # seconds beyond the grace after which a supervisor that does not end its process is given up

Carry = Callable[[], bool]


@dataclass
class Followed:
    """One process by the folder of its supervisor; `exit` is how it ended, None while it hasn't."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    exit: Exit | None = None
    checked: float = 0.0

    def look(self, carry: Carry, stopped_at: float | None, grace: float) -> bool:
        """One look; whether there was anything new. `carry` takes what is new in the output and says the same of it.

        `stopped_at` is when it was told to end, by time.monotonic; None while it was not.
        """
        ended = supervised.ended(self.folder)  # before the output, which is complete then
        moved = carry()
        if ended is not None:
            self.exit = ended
            return True
        if time.monotonic() - self.checked > _CHECK:
            self.checked = time.monotonic()
            self._check(carry, stopped_at is not None and time.monotonic() - stopped_at > grace + _STUCK)
        return moved

    def stop(self) -> None:
        """Have its supervisor end it."""
        if self.exit is None:
            (self.folder / "stop").touch()

    def reap(self) -> None:
        """Let go of a supervisor that has ended."""
        if self.process:
            self.process.poll()

    def _check(self, carry: Carry, stuck: bool) -> None:
        """Start the supervisor if it never was; learn that it is dead, or stuck."""
        started = (self.folder / "started.json").exists()
        if supervised.alive(self.folder) and not stuck:
            return
        if not started and self.process is None:
            self.process = supervised.spawn(self.folder)
        elif not started and self.process is not None and self.process.poll() is None and not stuck:
            return  # still importing
        elif not (self.folder / "exit.json").exists():  # else it ended just now
            self._lose(carry)

    def _lose(self, carry: Carry) -> None:
        if self.process is not None:
            self.process.kill()
        # By the mark alone: after a restart of the machine another process may have the leader's id.
        processes.kill(processes.family(str(self.folder)))
        carry()
        self.exit = Exit(LOST, 137, time.time_ns())


def carry(folder: Path, offset: int, take: Callable[[list[spool.Line]], None]) -> bool:
    """Hand what is in a process' output behind `offset` to `take`, which keeps how far that was; whether any was."""
    moved = False
    while lines := list(spool.read(folder / "output", offset)):
        take(lines)
        offset = lines[-1].end
        moved = True
    return moved


def unless_full(look: Carry) -> bool:
    """A look. While the disk is full what runs goes on: its output waits in its file until there is room."""
    try:
        return look()
    except Exception as error:
        if not is_full(error):
            raise
        return False


async def pause(moved: bool, began: float) -> None:
    """Wait for the next look; `began` is when the first was, by time.monotonic."""
    await asyncio.sleep(_QUICK if moved or time.monotonic() - began < _YOUNG else _SLOW)
