"""File locks that end with their process, however it ends.

filelock locks a descriptor here and not, as its FileLock does, a path: that would make a missing folder again, which
was just removed with the cloud in it. It is imported when first needed, for that takes 60 ms.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Busy(Exception):
    """Another process has the lock."""


@contextmanager
def held(path: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of `path`; waits up to `patience` seconds for it. Raises Busy."""
    from filelock import lock_descriptor

    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        ends = time.monotonic() + patience
        while not lock_descriptor(handle, blocking=False):
            if time.monotonic() >= ends:
                raise Busy(str(path))
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)  # which lets go of the lock


def taken(path: Path) -> bool:
    """Whether a process has the lock."""
    from filelock import lock_descriptor

    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not lock_descriptor(handle, blocking=False)
    finally:
        os.close(handle)
