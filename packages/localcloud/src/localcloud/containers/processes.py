"""Finds and ends everything that a replica started, also what its parents no longer know."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable

import psutil

_SET_CHILD_SUBREAPER = 36  # include/uapi/linux/prctl.h
MARK = "LOCALCLOUD_REPLICA"  # environment variable that a replica's processes inherit: the folder of the replica
DOOR = "metadata.localcloud.invalid"  # in a replica's variables until it starts: host and port that tell who it is


def adopt_orphans() -> None:
    """From now on, what this process' descendants leave behind become its children (Linux), also what hides.

    A process with an empty environment and a session of its own is known by nothing else:
    https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def family(folder: str, leader: int | None = None) -> list[psutil.Process]:
    """All live processes of the replica in `folder`, by the mark in their environment.

    A supervisor names the `leader` that it started: then also those of the leader's session, and its own descendants.
    """
    own = os.getpid()
    below = {child.pid for child in psutil.Process().children(recursive=True)} if leader is not None else set()
    return [
        process
        for process in psutil.process_iter()
        if process.pid != own and (process.pid in below or _belongs(process, folder, leader))
    ]


def _belongs(process: psutil.Process, folder: str, leader: int | None) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if leader is not None and sys.platform != "win32" and leader in (process.pid, os.getsid(process.pid)):
            return True
        return process.environ().get(MARK) == folder
    except (psutil.Error, OSError):  # it ended meanwhile, or is another user's
        return False


def kill(processes: Iterable[psutil.Process]) -> None:
    """End processes at once; those that are gone already are no error."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def ask_to_end(leader: int) -> None:
    """Tell the process group of `leader` to end (SIGTERM), as Google does before it takes the machine away."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            os.kill(leader, signal.CTRL_BREAK_EVENT)
        else:
            os.killpg(leader, signal.SIGTERM)
