"""Child processes that leave nothing behind: ended with all that they started, also after Ctrl-C."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TOO_LONG = 124  # the exit code of a child that was ended because its time was over, as `timeout` has it


def run(command: Sequence[str], cwd: Path, environment: Mapping[str, str], log: Path, seconds: float) -> int:
    """Run a command with all its output in the file `log`; its exit code, negative for a signal.

    After `seconds` it is ended and the code is 124.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        child = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            return TOO_LONG
        finally:
            end(child)


def end(child: subprocess.Popen[bytes]) -> None:
    """End a child and all its descendants, and wait until they are gone."""
    import psutil

    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        if child.poll() is None:
            parent = psutil.Process(child.pid)
            family = [parent, *parent.children(recursive=True)]
    for one in family:
        with contextlib.suppress(psutil.Error):
            one.kill()
    child.wait()
