"""`new --wrap`: a person's program, what was done to it and what they must look at, a question, the trainer."""

from __future__ import annotations

import os
from pathlib import Path

from cloudkite.show import screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.trainers import making
from cloudkite.trainers.wrapping import wrap
from cloudkite.workspace import Workspace

_DIFF = 120  # lines of it that are shown


def new(
    workspace: Workspace, name: str, path: str, requirements: str = "", output: str = "", *, yes: bool = False
) -> None:
    """Look at the program in the file `path`, show the changes, ask where somebody can answer, and make the trainer."""
    making.check_name(name)
    place = Path(output) if output else None
    making.check_free((place or workspace.trainers).resolve() / name)
    file = Path(requirements).expanduser() if requirements else None
    wrapped = wrap.look(Path(path).expanduser(), file)
    _show(wrapped)
    if not yes and screen.can_ask() and not screen.confirm(_("make the trainer {name} of it?").format(name=name)):
        raise UserError(_("nothing was made"), _("change the program, then wrap it again"))
    folder = wrap.make(workspace, name, wrapped, place)
    screen.say(_("made {folder}").format(folder=os.path.relpath(folder)))
    shown = os.path.relpath(folder) if output else name
    screen.say(_("next: {command}").format(command=f"uv run invoke check {shown}"))


def refuse_others(path: str, requirements: str, others: dict[str, object]) -> None:
    """Raise BadValue for options that say how data are read, and for --requirements alone. `others` are by option."""
    if requirements and not path:
        raise BadValue(_("--requirements is for a program"), _("add --wrap lesson.ipynb"))
    if path and (given := [option for option, value in others.items() if value]):
        raise BadValue(
            _("--wrap and {option} exclude each other").format(option=given[0]), _("a program reads its data by itself")
        )


def _show(wrapped: wrap.Wrapped) -> None:
    diff = wrapped.diff
    if diff:
        screen.heading(counted("{count} line changed", "{count} lines changed", wrapped.changed))
        for line in diff[:_DIFF]:
            screen.say(line)
        if len(diff) > _DIFF:
            screen.say(_("and {count} more lines").format(count=len(diff) - _DIFF))
    for title, found in ((_("what was done"), wrapped.done), (_("look at this yourself"), wrapped.look)):
        if found:
            screen.heading(title)
            for place, text in found:
                screen.say(f"  {place}: {text}")
    if wrapped.pins:
        screen.heading(_("pins, besides TensorFlow and Keras"))
        screen.say(f"  {', '.join(wrapped.pins)}")
    if wrapped.files:
        screen.heading(counted("{count} file copied into data/", "{count} files copied into data/", len(wrapped.files)))
        names = [place for _path, place in wrapped.files]
        screen.say(f"  {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}")
