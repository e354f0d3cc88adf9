"""Everything looked over at once: this machine, the account, its cloud; what is wrong has one step that fixes it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cloudkite.accounts import registry
from cloudkite.accounts.registry import Account
from cloudkite.show import screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from cloudkite.check.looks import Look


def doctor(workspace: Workspace, name: str = "", *, fix: bool = False, as_json: bool = False) -> None:
    """Look, show, and with `fix` run what is safe, then look again. Raises UserError for what is wrong."""
    found = _look(workspace, name)
    fixed, failed = _fix(found, as_json) if fix else ([], {})
    if fixed:
        found = _look(workspace, name)
    wrong = [one for one in found if one.verdict == "wrong"]
    if as_json:
        rows = [
            {"name": one.name, "verdict": one.verdict, "said": one.said, "fix": one.fix, "safe": one.mend is not None}
            for one in found
        ]
        screen.as_json({"ok": not wrong, "looks": rows, "fixed": fixed, "failed": failed})
    else:
        _show(found)
    for what, why in failed.items():
        screen.warn(f"{what}: {why}")
    if not wrong:
        return
    safe = [one.name for one in wrong if one.mend is not None]
    said = counted("{count} thing is wrong", "{count} things are wrong", len(wrong))
    if safe and not fix:
        raise UserError(said, _("--fix fixes these, at no cost: {names}").format(names=", ".join(safe)))
    raise UserError(said, wrong[0].fix if len(wrong) == 1 else _("the fix of each stands beside it; begin at the top"))


def _look(workspace: Workspace, name: str) -> list[Look]:
    """All looks, in an order of their own: this machine first."""
    from cloudkite.accounts import checkup
    from cloudkite.accounts import target as targets
    from cloudkite.check import looks

    account, broken = _account(workspace, name)

    def of_account() -> Iterable[Look]:
        if account is None:
            return [broken] if broken else []
        return checkup.look(account, functools.partial(targets.connect, workspace, account))

    google = account is not None and account.costs_money
    asked: list[Callable[[], Iterable[Look]]] = [*looks.of_machine(workspace, google), of_account]
    with screen.waiting(_("looking ..."), live=True), ThreadPoolExecutor(len(asked)) as beside:
        return [one for part in beside.map(lambda ask: list(ask()), asked) for one in part]


def _account(workspace: Workspace, name: str) -> tuple[Account | None, Look | None]:
    """The account, or what is wrong with it; neither where there is none to look at."""
    from cloudkite.check import looks

    if not name and not registry.names(workspace):
        return None, looks.unknown("account", _("there is none: uv run invoke start"))
    try:
        return registry.load(workspace, name or None), None
    except UserError as problem:
        return None, looks.wrong("account", problem.message, problem.hint or "uv run invoke account.list")


def _show(found: list[Look]) -> None:
    words = {"ok": _("ok"), "wrong": _("WRONG"), "unknown": _("not looked at")}
    rows = [(words[one.verdict], one.name, one.said, one.fix) for one in found]
    screen.table(["", _("what"), _("found"), _("fix")], rows)


def _fix(found: list[Look], quiet: bool) -> tuple[list[str], dict[str, str]]:
    """Run the safe fixes: what costs nothing and deletes nothing. Gives what was done, and what could not be."""
    done, failed = [], {}
    tell = screen.note if quiet else screen.say
    for one in found:
        if one.verdict != "wrong" or one.mend is None:
            continue
        tell(_("fixing {name}: {said}").format(name=one.name, said=one.said))
        try:
            with screen.waiting(_("fixing {name} ...").format(name=one.name)) as progress:
                one.mend(progress)
            done.append(one.name)
        except UserError as problem:
            failed[one.name] = problem.message
    return done, failed
