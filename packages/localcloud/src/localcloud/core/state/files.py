"""Folders and files that only their owner can read, and that are never half written."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


class Foreign(Exception):
    """A folder or file that belongs to another user of this machine: who may have put anything there."""

    hint = "choose a folder of your own, or find out who made it and why"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} belongs to another user of this machine")


def private_folder(folder: Path) -> Path:
    """Make `folder` (and its parents) if needed; only its owner may enter it (0700). Raises Foreign for another's."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True, mode=0o700)
    check_own(folder)
    folder.chmod(0o700)  # one that was there before, or was made under another umask
    return folder


def check_own(path: Path) -> None:
    """Raises Foreign for what belongs to another user, or is a link that another user made; root may do all anyway."""
    if sys.platform != "win32" and any(stat.st_uid not in _trusted() for stat in (path.lstat(), path.stat())):
        raise Foreign(path)


def _trusted() -> set[int]:
    return set() if sys.platform == "win32" else {os.geteuid(), 0}


def check_all_own(root: Path) -> None:
    """Raises Foreign when something in `root`, or in one of the folders in it, belongs to another user."""
    if sys.platform == "win32":
        return
    trusted = _trusted()
    check_own(root)
    for folder in [root, *(path for path in root.iterdir() if path.is_dir())]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.stat(follow_symlinks=False).st_uid not in trusted:
                    raise Foreign(Path(entry.path))


def write_privately(path: Path, content: str | bytes) -> Path:
    """Replace `path` (0600) in one step: after a kill the old or the new content is there, never a part."""
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path
