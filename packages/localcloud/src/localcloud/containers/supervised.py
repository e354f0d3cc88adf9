"""Starts supervisors (see supervisor), and reads what they left of how a process ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.core.state import locks
from localcloud.core.state.kept import parsed, text, whole

LOST = "lost"  # reason of a replica whose supervisor died: the machine was restarted, or somebody killed it
_PACKAGE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Exit:
    """How a replica ended: see supervisor for `reason` and `code`; `ended` in nanoseconds."""

    reason: str
    code: int
    ended: int
    tail: str = ""


def ended(folder: Path) -> Exit | None:
    """How a replica ended, None when it hasn't; where the record of it is damaged, it is lost."""
    try:
        return parsed((folder / "exit.json").read_bytes(), _exit)
    except FileNotFoundError:
        return None
    except ValueError:
        return Exit(LOST, 137, time.time_ns())


def _exit(kept: Any) -> Exit:
    return Exit(text(kept["reason"]), whole(kept["code"], 0, 1 << 32), whole(kept["ended"], 0, 1 << 63), kept["tail"])


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
            [sys.executable, "-P", "-m", "localcloud.containers.supervisor", str(folder)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0,
        )
