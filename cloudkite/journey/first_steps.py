"""`new --kind first-steps`: the three programs of a first lesson."""

from __future__ import annotations

import os
from pathlib import Path

from cloudkite.show import screen
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, near
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


def refuse_others(kind: str, others: dict[str, object]) -> None:
    """Raise BadValue for a kind that isn't known, and for data beside this one. `others` are by option."""
    if kind and kind != KIND:
        raise BadValue(_("--kind {kind} isn't known").format(kind=kind), near(kind, [KIND]))
    if kind and (given := [option for option, value in others.items() if value]):
        raise BadValue(
            _("--kind {kind} and {option} exclude each other").format(kind=kind, option=given[0]),
            _("leave {option} out").format(option=given[0]),
        )
