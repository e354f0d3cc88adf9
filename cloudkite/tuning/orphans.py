"""The processes of tries whose command was killed: noted while they run, and ended by the next command.

A command notes its tries in workspace.state/tuning/<pid>.json before and after it starts each; a process is known by
its number and the moment at which it started, or, where the command died between the two, by its own command line.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite.workspace import Workspace, private_folder, read_json, write_atomically

if TYPE_CHECKING:
    import psutil

_SAME = 2.0  # seconds by which two readings of when a process started may differ
_GRACE = 10.0  # seconds in which a trainer that is told to end saves what it has


class Note:
    """What this command has running: the output folder of each try, and its process once it has one."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = private_folder(workspace.state / "tuning") / f"{os.getpid()}.json"
        self._tries: dict[str, tuple[int, float] | None] = {}

    def about_to_start(self, output: Path) -> None:
        """Before there is a process."""
        self._write({**self._tries, str(output): None})

    def started(self, output: Path, pid: int) -> None:
        """There is one."""
        self._write({**self._tries, str(output): (pid, _since(pid))})

    def ended(self, output: Path) -> None:
        """It is gone."""
        self._write({place: known for place, known in self._tries.items() if place != str(output)})

    def _write(self, tries: dict[str, tuple[int, float] | None]) -> None:
        self._tries = tries
        if tries:
            write_atomically(self._path, json.dumps({"started": _since(os.getpid()), "tries": tries}))
        else:
            self._path.unlink(missing_ok=True)


def sweep(workspace: Workspace) -> list[str]:
    """End the tries of commands that are dead, and give their output folders."""
    folder, found = workspace.state / "tuning", []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            note: dict[str, Any] = read_json(path)
            alive = abs(_since(int(path.stem)) - note["started"]) < _SAME
            tries = dict(note["tries"])
        except (OSError, ValueError, TypeError, KeyError):
            alive, tries = False, {}
        if not alive:
            found += _end(tries)
            path.unlink(missing_ok=True)
    return found


def _end(tries: Mapping[str, tuple[int, float] | None]) -> list[str]:
    """End the processes of these tries that still run, each with all that it has started."""
    import psutil

    running: dict[str, psutil.Process] = {}
    for output, known in tries.items():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(known[0]) if known else _by_command_line(output)
            if process and (known is None or abs(process.create_time() - known[1]) < _SAME):
                running[output] = process
    family: list[psutil.Process] = []
    for process in running.values():
        with contextlib.suppress(psutil.Error):
            family += [process, *process.children(recursive=True)]
            process.terminate()
    psutil.wait_procs(list(running.values()), _GRACE)
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(family, _GRACE)
    return list(running)


def _by_command_line(output: str) -> psutil.Process | None:
    """The process of this person that runs a trainer for this very folder."""
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if "trainer.task" in words and output in words and process.username() == psutil.Process().username():
                return process
    return None


def _since(pid: int) -> float:
    """When a process started, in seconds since 1970; 0 where there is none that runs."""
    import psutil

    try:
        process = psutil.Process(pid)
        return 0.0 if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return 0.0
