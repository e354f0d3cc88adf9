"""A new trainer: what its data look like, a question, the folder."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from cloudkite.data.table import Table, Wishes
from cloudkite.journey import first_steps
from cloudkite.journey.questions import numbered
from cloudkite.show import screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, near
from cloudkite.trainers import making
from cloudkite.trainers.making import Data
from cloudkite.workspace import Workspace

_KINDS = {**making.KINDS, first_steps.KIND: _("nothing yet: three tiny programs of a first lesson")}
_COLUMNS = 60  # that are shown one by one
_WIDTH = 24  # letters of a field
_SIZE = 4096  # pixels of a side


def new(
    workspace: Workspace,
    name: str,
    data: str,
    label: str,
    output: str,
    wishes: Wishes,
    *,
    kind: str = "",
    model: str = "",
    yes: bool = False,
) -> None:
    """Look at the data, show what was found, ask where somebody can answer, and make the trainer."""
    _check("--kind", kind, _KINDS)
    _check("--model", model, making.MODELS)
    if kind and data:
        raise BadValue(
            _("--kind and --data exclude each other"), _("the data decide what is learned: leave --kind out")
        )
    place = Path(output) if output else None
    path = Path(data).expanduser() if data else None
    with screen.waiting(_("reading {path} ...").format(path=data), live=True):
        found = making.look(workspace, name, path, label or None, place, wishes)
    if found:
        _show(found)
        if not yes and screen.can_ask() and not screen.confirm(_("make the trainer {name} of it?").format(name=name)):
            raise UserError(_("nothing was made"), _("--as 'COLUMN=KIND' reads a column in another way"))
    if not found and not kind and not yes and screen.can_ask():
        kind = _ask_kind()
    if kind == first_steps.KIND and model:
        raise BadValue(_("--kind {kind} and --model exclude each other").format(kind=kind), _("leave --model out"))
    if kind == first_steps.KIND:
        return first_steps.new(workspace, name, output)
    folder = making.make(workspace, name, found, place, kind=kind, model=model)
    screen.say(_("made {folder}").format(folder=os.path.relpath(folder)))
    shown = os.path.relpath(folder) if output else name
    screen.say(_("next: {command}").format(command=f"uv run invoke check {shown}"))


def _check(option: str, value: str, known: Collection[str]) -> None:
    if value and value not in known:
        raise BadValue(
            _("{option} must be one of {names}, not {value}").format(
                option=option, names=", ".join(known), value=repr(value)
            ),
            near(value, list(known)),
        )


def _ask_kind() -> str:
    """What a trainer without a person's data is to learn."""
    names = list(_KINDS)
    rows = [(number, kind, learns) for number, (kind, learns) in enumerate(_KINDS.items(), 1)]
    screen.table(["", _("kind"), _("what it learns")], rows)
    while (kind := numbered(screen.ask(_("which kind?"), names[0]), names)) not in names:
        screen.note(_("type a number from 1 to {most}, or a kind").format(most=len(names)))
    return kind


def _show(found: Data) -> None:
    """Three rows, the columns with what they are taken for, and all that was done to them."""
    if isinstance(found, Table) and found.first:
        names = [name for name in found.first[0] if name[0] != "\0"]
        kept = names[:8] + ([found.label] if found.label not in names[:8] else [])
        more = ["..."] if len(kept) < len(names) else []
        screen.table([*kept, *more], [[*(_short(row[name]) for name in kept), *more] for row in found.first])
        screen.say("")
    shown = found.shown[:_COLUMNS]
    screen.table([_("column"), _("kind"), _("example"), _("note")], shown, spare=[2])
    if len(found.shown) > len(shown):
        screen.say(_("and {count} more columns").format(count=len(found.shown) - len(shown)))
    screen.say("")
    for note in found.notes:
        screen.note(note)


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def kinds(given: list[str]) -> dict[str, str]:
    """What `--as COLUMN=KIND` says of columns. Raises BadValue."""
    made = {}
    for one in given:
        name, equals, kind = one.rpartition("=")
        if not equals or not name:
            raise BadValue(
                _("--as {value} must be COLUMN=KIND").format(value=repr(one)), _("for example --as 'price=german'")
            )
        made[name] = kind.strip().lower()
    return made


def size(given: str) -> tuple[int, int] | None:
    """Height and width of `--size 64` or `--size 48x64`. Raises BadValue."""
    if not given:
        return None
    parts = given.lower().replace("×", "x").split("x")
    if len(parts) > 2 or not all(part.strip().isdecimal() and 0 < int(part) <= _SIZE for part in parts):
        raise BadValue(
            _("--size {value} must be 1 to {most} pixels, or HEIGHTxWIDTH").format(value=given, most=_SIZE),
            _("for example --size 64, or --size 48x64"),
        )
    return int(parts[0]), int(parts[-1])
