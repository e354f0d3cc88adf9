"""What is told before an account is changed: what stands in the way, and what others changed since the last run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cloudkite.accounts import preflight, services, settings
from cloudkite.accounts.preflight import Finding, Report
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.show import screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _, counted

if TYPE_CHECKING:
    from cloudkite.engine import Preview


def check(account: Account, target: Target) -> Report:
    """Tell all that stands in the way of setting the account up, before anything is made. Raises UserError for it."""
    from cloudkite import engine

    wanted = settings.check(settings.read(account.settings), account.name)
    found = preflight.look(target, wanted, engine.made(account))
    for finding in found.findings:
        if not finding.stops:
            screen.note(finding.message)
    _refuse(account, [finding for finding in found.findings if finding.stops])
    return found


def check_the_rest(account: Account, target: Target, before: Report, progress: Callable[[str], None]) -> None:
    """In a new project APIs are off by which to ask: with them on, ask again, still before anything else is made."""
    if before.services is not None and not before.complete:
        services.turn_on_first(target, before.services, progress)
        check(account, target)


def _refuse(account: Account, stops: Sequence[Finding]) -> None:
    if len(stops) == 1:
        raise UserError(stops[0].message, stops[0].hint)
    if stops:
        head = counted(
            "{count} thing stands in the way of account {name}",
            "{count} things stand in the way of account {name}",
            len(stops),
            name=account.name,
        )
        lines = [f"  {finding.message}: {finding.hint}" for finding in stops]
        hint = _("uv run invoke up --account {name} looks again").format(name=account.name)
        raise UserError("\n".join([f"{head}:", *lines]), hint)


def tell_drift(preview: Preview) -> None:
    """What others deleted or changed since the last run; the changes put it back."""
    if not preview.drift:
        return
    screen.heading(_("changed by others since the last run; `up` puts it back"))
    rows = [
        (one.kind, one.name, _("deleted") if one.gone else _("changed: {what}").format(what=", ".join(one.details)))
        for one in preview.drift
    ]
    screen.table([_("kind"), _("name"), _("what happened")], rows)
