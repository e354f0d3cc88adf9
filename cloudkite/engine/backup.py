"""Copies of an account's state: one beside it, one in the account's models bucket, and few of the engine's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cloudkite.accounts.target import Target
from cloudkite.engine import failures, state
from cloudkite.engine.folder import Folder
from cloudkite.show.errors import from_google
from cloudkite.show.text import _
from cloudkite.workspace import write_atomically
from infra.outputs import Outputs

_KEPT = 5  # runs whose history stays: each is a copy of the whole state, and nothing here reads it


def keep(folder: Folder, target: Target | None = None, outputs: Mapping[str, Any] | None = None) -> str:
    """Copy the state; gives "" or a warning, for what a run did is done, with or without the copy."""
    try:
        _copy(folder)
        if target and outputs:
            _upload(folder, target, Outputs.read(outputs).buckets["models"])
    except Exception as problem:  # whatever it is, the account is set up
        said = from_google(problem).message.strip().splitlines()[:1] or [type(problem).__name__]
        return _("the state of account {name} could not be copied: {problem}").format(
            name=folder.account.name, problem=said[0]
        )
    return ""


def _copy(folder: Folder) -> None:
    """Copy the state beside itself; what is not whole never replaces a copy that is."""
    text = folder.checkpoint.read_text(encoding="utf-8")
    state.parse(text)
    write_atomically(folder.last_good, text, 0o600)


def restore(folder: Folder, progress: Callable[[str], Any]) -> None:
    """Put the newest whole copy in the place of a state that is cut off; without a copy all is taken over anew.

    A disk that was full leaves such a state: the engine moves into its place what it could write.
    """
    try:
        state.read(folder)
        return
    except failures.Corrupt as problem:
        message = problem.message
    copies = {path: text for path in (folder.before, folder.last_good) if (text := _whole(path)) is not None}
    newest = max(copies, key=lambda path: path.stat().st_mtime_ns, default=None)
    folder.checkpoint.replace(folder.torn)
    if newest is None:
        progress(
            _("{problem}; it is in {aside} now, and what exists is taken over").format(
                problem=message, aside=folder.torn
            )
        )
        return
    write_atomically(folder.checkpoint, copies[newest], 0o600)
    progress(
        _(
            "{problem}; it is in {aside} now, and the copy {copy} in its place: what exists besides is taken over"
        ).format(problem=message, aside=folder.torn, copy=newest)
    )


def _whole(path: Path) -> str | None:
    """A copy's text; None where there is none, or none that is whole."""
    try:
        text = path.read_text(encoding="utf-8")
        state.parse(text)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return text


def prune(folder: Folder) -> None:
    """Delete the engine's history but for the last few runs; their names begin with their time."""
    for kind in ("history", "checkpoint"):
        for old in sorted(folder.history.glob(f"*.{kind}.json"))[:-_KEPT]:
            old.unlink(missing_ok=True)


KEPT = ".cloudkite/state/"  # where the copies are in the bucket


def _upload(folder: Folder, target: Target, bucket: str) -> None:
    """The settings beside the state: with both, the account can be brought to another computer."""
    account = folder.account
    found = target.storage().bucket(bucket.removeprefix("gs://"))
    for path, name, kind in (
        (account.settings, f"{account.name}.yaml", "application/yaml"),
        (folder.checkpoint, f"{account.name}.json", "application/json"),
    ):
        blob = found.blob(f"{KEPT}{name}")
        blob.metadata = {"account": account.name, "project": account.project, "target": account.target}
        blob.upload_from_filename(str(path), content_type=kind, timeout=30)
