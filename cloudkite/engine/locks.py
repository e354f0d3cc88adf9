"""A lock that one process holds on a file; the operating system frees it when the process dies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cloudkite.workspace import private_folder


class Held(Exception):
    """Another process holds the lock; `pid` is its number, None when it did not say."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"held by process {pid}")
        self.pid = pid


@contextmanager
def exclusive(path: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of `path` (made if missing) in the body; raises Held after `patience` seconds."""
    private_folder(path.parent)
    deadline = time.monotonic() + patience
    with path.open("a+", encoding="utf-8") as file:
        while not _try(file):
            if time.monotonic() >= deadline:
                raise Held(_holder(path))
            time.sleep(0.1)
        try:
            # Beside the lock, for on Windows nobody else can read a locked file.
            _note(path).write_text(str(os.getpid()), encoding="utf-8")
            yield
        finally:
            _note(path).unlink(missing_ok=True)
            _release(file)


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".pid")


def _holder(path: Path) -> int | None:
    try:
        return int(_note(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


if sys.platform == "win32":
    import msvcrt

    def _try(file: IO[str]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _release(file: IO[str]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try(file: IO[str]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _release(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
