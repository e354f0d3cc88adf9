"""File locks that end with their process, however it ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Busy(Exception):
    """Another process has the lock."""


@contextmanager
def held(path: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of `path`; waits up to `patience` seconds for it. Raises Busy."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        ends = time.monotonic() + patience
        while not _take(handle):
            if time.monotonic() >= ends:
                raise Busy(str(path))
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)  # which lets go of the lock


def taken(path: Path) -> bool:
    """Whether a process has the lock."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _take(handle)
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
