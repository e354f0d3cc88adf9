"""How an account stands with its quotas, shown."""

from __future__ import annotations

from cloudkite.accounts import registry, settings
from cloudkite.journey.reach import connect
from cloudkite.show import amounts, screen
from cloudkite.show.text import _
from cloudkite.workspace import Workspace


def show(workspace: Workspace, name: str, *, everything: bool = False, as_json: bool = False) -> None:
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
