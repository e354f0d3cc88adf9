"""Where things are: the clone, its `.cloudkite` folder, the accounts' settings, the trainers."""

from __future__ import annotations

import json
import os
import shlex
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from cloudkite.show.errors import UserError
from cloudkite.show.text import _

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
        """Python environments by their pins, shared by all clones and workspaces of this person."""
        return cache() / "envs"

    @property
    def locks(self) -> Path:
        """Locks of folders that several commands may work on at once, whichever workspace of this clone they use."""
        return self.home / ".cloudkite" / "locks"

    @property
    def localcloud(self) -> Path:
        """The root folder of this workspace's local cloud."""
        return self.state / "localcloud"


def find() -> Workspace:
    """The workspace of this clone; CLOUDKITE_STATE moves what Cloudkite keeps elsewhere.

    Raises UserError when that folder isn't the person's own.
    """
    given = Path(os.environ.get("CLOUDKITE_STATE") or CLONE / ".cloudkite")
    refuse_foreign(given)
    return Workspace(CLONE, given.resolve(), CLONE / "infra", CLONE / "trainers")


def throw_away(state: Path) -> Workspace:
    """A workspace whose accounts, trainers and local cloud all live under `state`; environments are still shared."""
    state = state.resolve()
    space = Workspace(CLONE, state, state / "infra", state / "trainers")
    for folder in (state, space.accounts, space.trainers):
        private_folder(folder)
    return space


def cache() -> Path:
    """What is large, the same for every clone, and can be made again: in the user's cache; CLOUDKITE_CACHE moves it.

    Raises UserError when it isn't the person's own: what is in there is run.
    """
    return _moved("CLOUDKITE_CACHE") or _own(user_folder("cache"))


def tools() -> Path:
    """The folder of programs that Cloudkite installs, in the user's data; CLOUDKITE_TOOLS moves it.

    Raises UserError when it isn't the person's own: what is in there is run.
    """
    return _moved("CLOUDKITE_TOOLS") or _own(_own(user_folder("data")) / "tools")


def user_folder(kind: Literal["cache", "data"]) -> Path:
    """Where this system keeps what a program caches for its user, or their data."""
    import platformdirs

    where = platformdirs.user_cache_dir if kind == "cache" else platformdirs.user_data_dir
    return Path(where("cloudkite", appauthor=False))


def _moved(variable: str) -> Path | None:
    given = os.environ.get(variable)
    return _own(Path(given)).resolve() if given else None


def _own(folder: Path) -> Path:
    refuse_foreign(folder)
    return folder


def google_accounts() -> Path:
    """Where accounts on Google keep their state: outside the clone, where `git clean` can't destroy it."""
    return user_folder("data") / "accounts"


def private_folder(folder: Path) -> Path:
    """Make `folder` (and its parents) if needed; only its owner may enter it (0700), whatever the umask.

    Raises UserError when what is there isn't the person's own: see `refuse_foreign`.
    """
    for place in folder.parents:
        if place.name == ".cloudkite":
            refuse_foreign(place)
    make_folder(folder)
    refuse_foreign(folder)
    if os.name == "posix" and stat.S_IMODE(folder.stat().st_mode) != 0o700:
        folder.chmod(0o700)
    return folder


def read_json(path: Path) -> Any:
    """What a JSON file says. Raises OSError, or ValueError for one that is damaged in whatever way."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def make_folder(folder: Path) -> None:
    """Make `folder` and the parents that it lacks, each for its owner only; what is there stays as it is."""
    for place in (*reversed(folder.parents), folder):
        if not place.exists():
            place.mkdir(mode=0o700, exist_ok=True)


def refuse_foreign(folder: Path) -> None:
    """Raise UserError when others may write to `folder`, own it, or made the symbolic link that it is.

    What stands in such a folder may be theirs: programs that run as this person, state that is believed. In a shared
    folder such as /tmp anyone can be the first to make a name. On Windows the access lists of the parents decide.
    """
    if os.name != "posix" or not os.path.lexists(folder):
        return
    itself, leads_to = folder.lstat(), folder.stat() if folder.exists() else None
    hint = _("look at what is in it; then remove it, or set another: CLOUDKITE_STATE, CLOUDKITE_TOOLS, CLOUDKITE_CACHE")
    if stat.S_ISLNK(itself.st_mode) and itself.st_uid not in (os.getuid(), 0):
        raise UserError(_("{path} is a symbolic link that another user made").format(path=folder), hint)
    if leads_to is None:
        raise UserError(_("{path} is a symbolic link that leads nowhere").format(path=folder), hint)
    if leads_to.st_uid != os.getuid():
        raise UserError(_("{path} belongs to another user").format(path=folder), hint)
    if leads_to.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UserError(
            _("other users may write to {path}").format(path=folder),
            _("look at what is in it; then: chmod go-w {path}").format(path=shlex.quote(str(folder))),
        )


def private_file(path: Path) -> IO[bytes]:
    """Open `path` to write it anew; one that is made only its owner can read (0600), whatever the umask."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace `path` by `text`: a reader, or a kill in the middle, sees the old or the new content, never half."""
    make_folder(path.parent)
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
