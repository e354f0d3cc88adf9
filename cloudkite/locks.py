"""A lock that one process holds on a file; the operating system frees it when the process dies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace, private_file, private_folder

GOES_ON = _("wait for it, or end it and run the same command again: it goes on where that one stopped")


class Held(Exception):
    """Another process holds the lock; `pid` is its number, None when it did not say."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"held by process {pid}")
        self.pid = pid


@contextmanager
def exclusive(path: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of `path` (made if missing) in the body; raises Held after `patience` seconds."""
    from filelock import FileLock, Timeout  # in here: it takes 60 ms, and commands that change nothing need no lock

    private_folder(path.parent)
    # Not of one thread: a generator may end in another. The file stays: a lock on one that is gone would be two locks.
    lock = FileLock(path, timeout=patience, thread_local=False, poll_interval=0.1, preserve_lock_file=True, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise Held(_holder(path)) from None
    try:
        # Beside the lock, for on Windows nobody else can read a locked file.
        with private_file(_note(path)) as note:
            note.write(str(os.getpid()).encode())
        yield
    finally:
        _note(path).unlink(missing_ok=True)
        lock.release()


@contextmanager
def folder(
    workspace: Workspace, verb: str, path: Path, told: Callable[[str], str], hint: str, patience: float = 0.0
) -> Iterator[None]:
    """Hold a folder against other commands that do the same to it: two would mix what they write.

    Raises UserError after `patience` seconds; `told` makes its message of the other process' number.
    """
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    try:
        with exclusive(workspace.locks / f"{verb}-{digest}.lock", patience):
            yield
    except Held as other:
        raise UserError(told(str(other.pid or "?")), hint) from None


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".pid")


def _holder(path: Path) -> int | None:
    try:
        return int(_note(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
