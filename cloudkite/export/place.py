"""The folder of an export: whole or not there, and nothing in it that a person made is ever lost."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from cloudkite import leftovers
from cloudkite.export import manifest
from cloudkite.show import amounts
from cloudkite.show.errors import UserError
from cloudkite.show.text import _


def check(folder: Path) -> dict[str, Any] | None:
    """The export.json of an earlier export in `folder`, None where nothing is there.

    Raises UserError where something else is in the way, or a file that was changed since, which would be lost.
    """
    _recover(folder)
    if not os.path.lexists(folder):
        return None
    before = manifest.read(folder) if folder.is_dir() and not folder.is_symlink() else None
    if before is None:
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            return None
        raise UserError(
            _("{path} was not made by an export, and is not replaced").format(path=amounts.short(folder)),
            _("choose another --output"),
        )
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    found.pop(manifest.NAME)
    own = [name for name, path in found.items() if before["files"].get(name) != digest(path)]
    if own:
        raise UserError(
            _("{path} has what you changed or added: {names}").format(
                path=amounts.short(folder), names=", ".join(sorted(own)[:5])
            ),
            _("move it away, or choose another --output"),
        )
    return before


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put(made: Path, folder: Path) -> None:
    """Put what was made into its place, whole; what was there goes when the new one is there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for kind in ("new", "old"):  # `_recover` has been here
        for left in _left(folder, kind):
            shutil.rmtree(left, ignore_errors=True)
    new, old = (folder.with_name(leftovers.prefix(kind) + folder.name) for kind in ("new", "old"))
    shutil.copytree(made, new)
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _recover(folder: Path) -> None:
    """Put back what a killed export had moved aside."""
    if not os.path.lexists(folder) and (left := _left(folder, "old")):
        left[0].rename(folder)


def _left(folder: Path, kind: str) -> list[Path]:
    """What killed exports left beside the folder."""
    found = folder.parent.glob(f".{kind}-*-{glob.escape(folder.name)}") if folder.parent.is_dir() else ()
    return [path for path in found if leftovers.is_left(path.name)]
