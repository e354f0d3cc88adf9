"""`parity`: where an account's cloud answers otherwise than the local cloud does."""

from __future__ import annotations

import dataclasses
import json

from cloudkite.accounts import registry
from cloudkite.accounts.asked import contract
from cloudkite.journey.reach import connect
from cloudkite.journey.setup import acting_as
from cloudkite.show import screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace, write_atomically


def parity(workspace: Workspace, name: str, against: str, *, yes: bool = False, as_json: bool = False) -> None:
    """Ask both accounts the same, tell and write down where they differ; exit code 1 when they do."""
    account, other = registry.load(workspace, name or None), registry.load(workspace, against)
    target, there = connect(workspace, account), connect(workspace, other)
    for each in (target, there):
        screen.note(acting_as(each.account, each))
    screen.note(
        _(
            "{count} requests to each: reads, refusals, and a bucket with one byte that is made and removed; "
            "at most 0.001 USD on Google, and no machine is started"
        ).format(count=len(contract.QUESTIONS))
    )
    paid = [each.account.name for each in (target, there) if each.account.costs_money]
    if paid and not yes and not screen.confirm(_("ask account {name}?").format(name=", ".join(paid))):
        raise UserError(_("nothing was asked"))
    with screen.waiting(_("asking ..."), live=True) as tell:
        answers = contract.ask(target, tell), contract.ask(there, tell)
    found = contract.compare(*answers)
    path = workspace.state / "parity.json"
    rows = [dataclasses.asdict(one) for one in found]
    write_atomically(path, json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    if as_json:
        screen.as_json(rows)
    for one in () if as_json else found:
        screen.say(f"{one.question}: {one.about}")
        screen.say(f"  {account.target:<6} {account.name}: {_shown(one.here)}")
        screen.say(f"  {other.target:<6} {other.name}: {_shown(one.there)}")
    if found:
        raise UserError(
            _("the answers are not the same; differences: {count}").format(count=len(found)),
            _("all of them, without anything personal, are in {path}: send it along with a report").format(path=path),
        )
    screen.note(_("no differences"))


def _shown(value: object) -> str:
    return _("nothing") if value is None else str(value) if not isinstance(value, dict) else json.dumps(value)
