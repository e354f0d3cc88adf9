"""A trainer brought up to date with the template: what would happen, a question, what happened."""

from __future__ import annotations

from cloudkite.show import amounts, screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _, counted
from cloudkite.trainers import folders, updating
from cloudkite.workspace import Workspace


def update(workspace: Workspace, name: str, *, yes: bool = False, as_json: bool = False) -> None:
    """Show what the template of now would change, ask, and do it. Without --yes and a terminal it only looks."""
    trainer = folders.find(workspace, name)
    with screen.waiting(_("comparing {name} with the template ...").format(name=trainer.name)):
        found = updating.look(workspace, trainer)
    if as_json:
        screen.as_json(
            {"trainer": trainer.name, "before": found.before, "now": found.now, "base": found.base,
             "files": [{"file": one.path, "what": one.what, "why": one.why} for one in found.changes]}
        )  # fmt: skip
    else:
        _show(found)
    if found.before == found.now and not found.writes:
        return
    if not yes:
        if not screen.can_ask():
            raise UserError(_("nothing was changed"), _("--yes does what is listed"))
        if not screen.confirm(_("change {name} like this?").format(name=trainer.name)):
            raise UserError(_("nothing was changed"), _("run the same command again when you want it"))
    kept = updating.apply(workspace, trainer, found)
    if as_json:
        return
    if kept:
        screen.note(_("the files as they were: {folder}").format(folder=amounts.short(kept)))
    for one in found.writes:
        if one.what == "conflict":
            screen.warn(
                _("{path} is as you left it; beside it {new} has both sides: take what you want, delete it").format(
                    path=one.path, new=one.path + updating.CONFLICT
                )
            )
    screen.say(_("next: {command}").format(command=f"uv run invoke check {folders.typed(workspace, trainer)}"))


def _show(found: updating.Update) -> None:
    if not found.changes:
        screen.say(_("compared with the template of now, {version}: nothing to change").format(version=found.now))
        return
    said = {
        "new": _("new"), "updated": _("updated"), "merged": _("merged: your changes and the template's"),
        "conflict": _("conflict: you and the template changed the same lines"), "removed": _("removed"),
        "yours": _("left as it is"),
    }  # fmt: skip
    if not found.base:
        screen.warn(_("the template from which it was made isn't in this clone's history: what is yours isn't known"))
    rows = [(one.path, one.why or said[one.what]) for one in found.changes]
    screen.table([_("file"), _("what happens")], rows)
    screen.note(_("trainer/data.py and data/ are yours, and are not compared"))
    count = len(found.writes)
    screen.say(counted("{count} file would change", "{count} files would change", count))
