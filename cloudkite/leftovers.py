"""What is made under a passing name until it is whole, and swept by a later command if its maker was killed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from cloudkite.workspace import PASSING, Workspace, google_accounts

_PASSING = re.compile("\\" + PASSING.format(kind="[a-z]+", pid=r"(\d+)") + ".+")


def prefix(kind: str) -> str:
    """How the name of something begins that is there only while this process works on it."""
    return PASSING.format(kind=kind, pid=os.getpid())


def passing(name: str) -> int:
    """The process whose passing name that is; 0 for another name."""
    found = _PASSING.fullmatch(name)
    return int(found[1]) if found else 0


def is_left(name: str) -> bool:
    """Whether that is a passing name whose maker is dead."""
    maker = passing(name)
    return bool(maker) and not _alive(maker)


def sweep(workspace: Workspace) -> list[Path]:
    """Remove from the folders of a workspace what killed commands left; gives the places."""
    return [path for folder in _folders(workspace) for path in sweep_folder(folder)]


def sweep_folder(folder: Path) -> list[Path]:
    """Remove what is directly in `folder`, has a passing name, and whose maker is dead."""
    try:
        found = [entry.name for entry in os.scandir(folder) if entry.name.startswith(".")]
    except OSError:  # not there, or not ours to read
        return []
    gone = []
    for name in found:
        if is_left(name):
            path = folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            gone.append(path)
    return gone


def _folders(workspace: Workspace) -> Iterator[Path]:
    """Where commands write under passing names."""
    yield from (workspace.state, workspace.accounts, workspace.trainers)
    yield from (workspace.state / "settings", workspace.state / "checks")
    accounts = (workspace.state / "accounts", google_accounts())
    for above in (*accounts, workspace.state / "wheels"):
        inside = sorted(above.iterdir()) if above.is_dir() else []
        yield from inside
        yield from (one / "work" for one in inside if above in accounts)


def _alive(pid: int) -> bool:
    """Whether a process has that number, and has not just ended; it may be another than the maker, by chance."""
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
