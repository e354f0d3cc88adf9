"""Where things are: the clone, its `.cloudkite` folder, the accounts' settings, the trainers."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSING = ".{kind}-{pid}-"  # begins the name of what is not whole yet, see cloudkite/leftovers.py
CLONE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Workspace:
    """`home` is the clone; `state` what Cloudkite makes (never committed); `accounts` holds Pulumi.<account>.yaml."""

    home: Path
    state: Path
    accounts: Path
    trainers: Path

    @property
    def envs(self) -> Path:
        """Python environments by their pins, shared by all workspaces of this clone."""
        return self.home / ".cloudkite" / "envs"

    @property
    def locks(self) -> Path:
        """Locks of folders that several commands may work on at once, whichever workspace of this clone they use."""
        return self.home / ".cloudkite" / "locks"

    @property
    def localcloud(self) -> Path:
        """The root folder of this workspace's local cloud."""
        return self.state / "localcloud"


def find() -> Workspace:
    """The workspace of this clone; CLOUDKITE_STATE moves what Cloudkite keeps elsewhere."""
    state = Path(os.environ.get("CLOUDKITE_STATE") or CLONE / ".cloudkite").resolve()
    return Workspace(CLONE, state, CLONE / "infra", CLONE / "trainers")


def throw_away(state: Path) -> Workspace:
    """A workspace whose accounts, trainers and local cloud all live under `state`; environments are still shared."""
    state = state.resolve()
    space = Workspace(CLONE, state, state / "infra", state / "trainers")
    for folder in (state, space.accounts, space.trainers):
        private_folder(folder)
    return space


def google_accounts() -> Path:
    """Where accounts on Google keep their state: outside the clone, where `git clean` can't destroy it."""
    import platformdirs

    return Path(platformdirs.user_data_dir("cloudkite", appauthor=False)) / "accounts"


def private_folder(folder: Path) -> Path:
    """Make `folder` readable by its owner only (0700)."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def read_json(path: Path) -> Any:
    """What a JSON file says. Raises OSError, or ValueError for one that is damaged in whatever way."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace `path` by `text`: a reader, or a kill in the middle, sees the old or the new content, never half."""
    private_folder(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=PASSING.format(kind="tmp", pid=os.getpid()))
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
