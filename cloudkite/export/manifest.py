"""What an export says of itself, export.json, by which a later one tells whether it can take its place in an app."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import read_json

NAME = "export.json"
FORMAT = 1


@dataclass(frozen=True)
class Fit:
    """How a new export stands to an earlier one: `same` are the answers' weights, `changes` what an app must follow."""

    same: bool
    changes: tuple[str, ...]

    def told(self) -> str:
        """In one sentence."""
        if self.changes:
            return _("the app must change: {changes}").format(changes="; ".join(self.changes))
        if self.same:
            return _("the same model as before: nothing to do")
        return _("same inputs, same answers' form: replace the file")


def digest(value: Any) -> str:
    """SHA-256 of what JSON can hold, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def signature(about: Mapping[str, Any]) -> dict[str, Any]:
    """What an app relies on: the columns with their kinds, the words and rules it applies itself, and the answers.

    Words of categories are the model's own on Android and on the page, and numbers on iOS, so they are told apart.
    """
    kinds, known = about["columns"], about["statistics"]
    host = {name: known[name]["words"] for name, kind in kinds.items() if kind in ("text", "letters")}
    coded = {name: known[name]["words"] for name, kind in kinds.items() if kind == "category"}
    return {
        "label": about["label"],
        "classes": about["classes"],
        "columns": dict(kinds),
        "host": {name: digest(words) for name, words in host.items()},
        "coded": {name: digest(words) for name, words in coded.items()},
    }


def read(folder: Path) -> dict[str, Any] | None:
    """The export.json of a folder; None where there is none. Raises UserError for one that no export wrote."""
    path = folder / NAME
    try:
        found = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UserError(_("{path} can't be read: {error}").format(path=path, error=error), _OTHER) from None
    said = found.get("signature") if isinstance(found, dict) else None
    shapes = {"label": str, "columns": dict, "host": dict, "coded": dict}
    fits = isinstance(said, dict) and all(isinstance(said.get(key), kind) for key, kind in shapes.items())
    if not fits or found.get("format") != FORMAT or not isinstance(found.get("files"), dict):
        raise UserError(_("{path} is not what this export writes").format(path=path), _OTHER)
    return found


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Fit:
    """What is new in `after`. An order of columns doesn't matter, as each has a name; that of classes does."""
    old, new, changes = before["signature"], after["signature"], []
    if old["label"] != new["label"]:
        changes.append(_("{new} is predicted, not {old}").format(new=new["label"], old=old["label"]))
    if old["classes"] != new["classes"]:
        said = _("other classes: {new}, before: {old}")
        changes.append(said.format(new=_classes(new["classes"]), old=_classes(old["classes"])))
    for name in new["columns"].keys() - old["columns"].keys():
        changes.append(_("new column {name}").format(name=name))
    for name in old["columns"].keys() - new["columns"].keys():
        changes.append(_("column {name} is gone").format(name=name))
    for name in old["columns"].keys() & new["columns"].keys():
        kinds = [_kind(one["columns"][name]) for one in (old, new)]
        if kinds[0] != kinds[1]:
            changes.append(_("{name} is {new}, before: {old}").format(name=name, old=kinds[0], new=kinds[1]))
        elif old["host"].get(name) != new["host"].get(name):
            changes.append(_("{name}: other words in preparation.json").format(name=name))
        elif old["coded"].get(name) != new["coded"].get(name):
            changes.append(_("{name}: on iOS, other places in preparation.json").format(name=name))
    same = all(before.get(key) == after.get(key) for key in ("weights", "preparation"))
    return Fit(same and not changes, tuple(sorted(changes)))


def _classes(names: Any) -> str:
    return ", ".join(map(str, names)) if names else _("a number")


def _kind(kind: Any) -> str:
    return kind if isinstance(kind, str) else " x ".join(map(str, kind))


_OTHER = _("choose another --output, or move that folder away")
