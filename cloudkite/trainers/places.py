"""Remembers where trainers outside of trainers/ are, so that a job's model comes to the trainer that it was made with.

A job carries the trainer's name alone, and several may have the same; so each job that was submitted here has a note of
its folder, and each name one of the folder that was last used. A folder that was moved is passed over.
"""

from __future__ import annotations

import json
from pathlib import Path

from cloudkite import names
from cloudkite.trainers.folders import PACKAGE, Trainer
from cloudkite.workspace import Workspace, private_folder, read_json, write_atomically


def remember(workspace: Workspace, trainer: Trainer, job: str = "") -> None:
    """Note the trainer's folder, for a job by its name; what is in trainers/ is found without a note."""
    folder = trainer.folder.resolve()
    known = [("jobs", job)] if job else []
    if folder.parent != workspace.trainers.resolve():
        known.append(("trainers", trainer.name))
    for kind, name in known:
        note = _note(workspace, kind, name)
        if _read(note) != folder:
            private_folder(note.parent)
            write_atomically(note, json.dumps({"folder": str(folder)}) + "\n")


def folder_of(workspace: Workspace, trainer: str, job: str) -> Path:
    """The folder of the trainer that a job was made with; one in trainers/ where nothing else is known."""
    usual = workspace.trainers / names.component(trainer)
    submitted, last = (_read(_note(workspace, kind, name)) for kind, name in (("jobs", job), ("trainers", trainer)))
    # One that was submitted from elsewhere, and has been moved, is not that in trainers/.
    outside = submitted is not None and submitted != usual.resolve()
    order = [submitted, last, usual] if outside else [usual, last]
    return next((place for place in order if place and _is_trainer(place)), usual)


def _note(workspace: Workspace, kind: str, name: str) -> Path:
    return workspace.state / "places" / kind / f"{names.component(name)}.json"


def _read(note: Path) -> Path | None:
    try:
        return Path(read_json(note)["folder"])
    except (OSError, ValueError, TypeError, KeyError):  # damaged, it tells no more than if it weren't there
        return None


def _is_trainer(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() and (folder / PACKAGE / "task.py").is_file()
