"""What the project is made of: its packages' exact versions, and what is known against them."""

from __future__ import annotations

import dataclasses

from cloudkite import advisories, pins
from cloudkite.show import screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _, counted
from cloudkite.trainers import updating
from cloudkite.workspace import CLONE, Workspace


def pin(upgrade: bool = False) -> None:
    """Resolve anew, write the constraints and the templates' versions, and tell what changed."""
    with screen.waiting(_("resolving ...")):
        gone, new = pins.renew(CLONE, upgrade)
    for line in gone:
        screen.say(f"- {line}")
    for line in new:
        screen.say(f"+ {line}")
    screen.say(
        counted(
            "{count} package is pinned in pyproject.toml",
            "{count} packages are pinned in pyproject.toml",
            len(pins.kept(CLONE)),
        )
    )
    for template in updating.templates(CLONE):
        if updating.stamp(template):
            screen.say(_("template/{name} has version {version} now").format(
                name=template.name, version=updating.version(template)))  # fmt: skip


def audit(workspace: Workspace, *, as_json: bool = False) -> None:
    """Look for advisories about every pin. Raises UserError when there are some, or when it could not look."""
    wanted = sorted({*pins.kept(workspace.home), *pins.of_trainers(workspace.home), *pins.of_tools(workspace.home)})
    try:
        with screen.waiting(
            counted("asking about {count} package ...", "asking about {count} packages ...", len(wanted))
        ) as tell:
            found = advisories.look(advisories.tool(workspace, tell), wanted)
    except advisories.CouldNotLook as error:
        if as_json:
            screen.as_json({"looked": 0, "error": error.message, "advisories": [], "unknown": []})
        raise
    if as_json:
        screen.as_json({**dataclasses.asdict(found), "unknown": [list(one) for one in found.unknown]})
    else:
        _show(found)
    if found.advisories:
        count = len(found.advisories)
        said = counted("{count} known vulnerability", "{count} known vulnerabilities", count)
        raise UserError(said, _("raise the version in pyproject.toml, then: uv run invoke pin"))

    if found.unknown:
        raise UserError(
            counted(
                "{count} package could not be looked up", "{count} packages could not be looked up", len(found.unknown)
            ),
            _("they are named above; ask another index of advisories about them"),
        )


def _show(found: advisories.Audit) -> None:
    for name, why in found.unknown:
        screen.note(_("not known: {name}: {why}").format(name=name, why=why))
    if found.advisories:
        screen.table(
            [_("package"), _("version"), _("advisory"), _("fixed in"), _("what")],
            [(one.package, one.version, " ".join((one.id, *one.aliases)), ", ".join(one.fixed), one.summary[:80])
             for one in found.advisories],
        )  # fmt: skip
    else:
        screen.say(
            counted(
                "no vulnerability is known of {count} package",
                "no vulnerability is known of {count} packages",
                found.looked,
            )
        )
