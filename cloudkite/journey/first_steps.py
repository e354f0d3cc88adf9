"""`new --kind first-steps`: the three programs of a first lesson."""

from __future__ import annotations

import os
from pathlib import Path

from cloudkite.show import screen
from cloudkite.show.text import _
from cloudkite.trainers import making
from cloudkite.workspace import Workspace

KIND = "first-steps"


def new(workspace: Workspace, name: str, output: str = "") -> None:
    """Make the trainer, and say how to begin."""
    folder = making.first_steps(workspace, name, Path(output) if output else None)
    place = os.path.relpath(folder)
    screen.say(_("made {folder}").format(folder=place))
    screen.say(_("read {file}").format(file=Path(place, "README.md")))
    screen.say(_("next: {command}").format(command=f"cd {place} && uv run python -m trainer.multiply"))
