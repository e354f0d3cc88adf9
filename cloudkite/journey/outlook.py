"""What is told of an account without changing it: what stands in the way of `up`, what others changed, its quotas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cloudkite.accounts import registry, settings
from cloudkite.accounts.asked import preflight, services
from cloudkite.accounts.asked.preflight import Finding, Report
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.journey.reach import connect
from cloudkite.show import amounts, screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from cloudkite.engine import Preview


def check(account: Account, target: Target, tell: Callable[[str], object] = screen.note) -> Report:
    """Tell all that stands in the way of setting the account up, before anything is made. Raises UserError for it."""
    from cloudkite import engine

    wanted = settings.check(settings.read(account.settings), account.name)
    found = preflight.look(target, wanted, engine.made(account))
    for finding in found.findings:
        if not finding.stops:
            tell(finding.message)
    _refuse(account, [finding for finding in found.findings if finding.stops])
    return found


def check_the_rest(
    account: Account,
    target: Target,
    before: Report,
    progress: Callable[[str], None],
    tell: Callable[[str], object] = screen.note,
) -> None:
    """In a new project APIs are off by which to ask: with them on, ask again, still before anything else is made."""
    if before.services is not None and not before.complete:
        services.turn_on_first(target, before.services, progress)
        check(account, target, tell)


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


def show_quotas(workspace: Workspace, name: str, *, everything: bool = False, as_json: bool = False) -> None:
    """A line for each quota of training jobs, and what a job could have now."""
    from catalog.accelerators import accelerator
    from cloudkite.money import standing
    from cloudkite.money.standing import Fit

    account = registry.load(workspace, name or None)
    wanted = settings.check(settings.read(account.settings), account.name)
    rows, fits = standing.read(connect(workspace, account), wanted)
    shown = [row for row in rows if everything or row.matters]
    if as_json:
        screen.as_json({"quotas": shown, "fits": fits})
        return
    screen.table(
        [_("quota"), _("region"), _("asked"), _("granted"), _("pending"), _("used"), _("by itself"), _("more?")],
        [
            (
                row.title,
                row.region,
                _number(row.asked),
                _number(row.granted),
                _number(row.pending),
                row.used,
                _number(row.reset),
                _("may be asked for") if row.eligible else row.reason,
            )
            for row in shown
        ],
        right=[2, 3, 4, 5, 6],
    )
    if len(shown) < len(rows):
        screen.say(_("quotas that are 0: {count} more; --all shows them").format(count=len(rows) - len(shown)))

    def written(fit: Fit) -> str:
        chips = f" + {fit.count} {accelerator(fit.accelerator).short}" if fit.accelerator else ""
        spot = _(", Spot") if fit.spot else ""
        price = amounts.money(fit.hourly, fit.currency)
        said = _("{machine} for {price} an hour, before tax (prices of {date})")
        return said.format(machine=f"{fit.machine}{chips}{spot}", price=price, date=fit.as_of)

    if not any(fit.accelerator for fit in fits):
        screen.say(_("no GPU or TPU fits now"))
    for fit in fits:
        screen.say(_("fits now: {what}").format(what=written(fit)))


def _number(value: int | None) -> str:
    return "" if value is None else _("unlimited") if value == -1 else str(value)
