"""Folders and files that only their owner can read, and that are never half written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def private_folder(folder: Path) -> Path:
    """Make `folder` (and its parents) if needed; only its owner may enter it (0700)."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)  # one that was there before, or was made under another umask
    return folder


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
