"""`invoke new`: a trainer from the template."""

from __future__ import annotations

import os
from pathlib import Path

from invoke.context import Context

from cloudkite.commands import command
from cloudkite.show.text import _


@command(
    positional=["name"],
    help={
        "name": "the trainer's name, its folder in trainers/",
        "data": "a CSV file with a header; the columns are read from it",
        "label": "the column to predict",
        "output": "another folder than trainers/ to put it in",
    },
)
def new(c: Context, name: str, data: str = "", label: str = "", output: str = "") -> None:
    """Make a trainer: on the Palmer penguins, or on your own CSV with --data and --label."""
    from cloudkite import workspace
    from cloudkite.journey.reach import look_at_machine
    from cloudkite.show import screen
    from cloudkite.trainers import making

    space = workspace.find()
    look_at_machine(space, stops=False)
    made = making.new(space, name, Path(data) if data else None, label or None, Path(output) if output else None)
    for note in made.notes:
        screen.note(note)
    screen.say(_("made {folder}").format(folder=os.path.relpath(made.folder)))
    shown = os.path.relpath(made.folder) if output else name
    screen.say(_("next: {command}").format(command=f"uv run invoke check {shown}"))
