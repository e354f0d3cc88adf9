"""What an account can have of it today: what its budget has left, and what its quotas grant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from catalog.quotas import Need
from cloudkite.accounts.asked.preferences import UNLIMITED
from cloudkite.accounts.target import Target
from cloudkite.money import costs, currency, quota
from cloudkite.money.currency import Rate
from cloudkite.money.quota import Reading
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

_AT_ONCE = 8  # requests
_LONGEST = 100 * 24 * 3600  # seconds; more is no figure that helps


@dataclass(frozen=True)
class Means:
    """`budget` and what is `left` of it, of a month or of a trial, in the currency of `rate`; None: not known.

    `limits` are the granted quotas by title, None for one that could not be read; `notes` tell what wasn't looked at.
    """

    budget: Decimal | None = None
    left: Decimal | None = None
    trial: bool = False
    rate: Rate | None = None
    limits: Mapping[str, int | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def seconds(self, hourly: Decimal | None) -> float | None:
        """How long what costs so much an hour can run on what is left; None where that isn't known."""
        if hourly is None or self.left is None or self.rate is None:
            return None
        dollars = max(self.rate.dollars(self.left), Decimal(0))
        return float(min(dollars * 3600 / hourly, Decimal(_LONGEST))) if hourly > 0 else float(_LONGEST)

    def allowance(self, needs: Iterable[Need]) -> Allowance:
        """What the quotas grant of what one job needs."""
        found = [_allowance(need, self.limits.get(need.meter.title)) for need in needs]
        return max(found, key=lambda one: _ORDER.index(one.word), default=Allowance("unknown"))


@dataclass(frozen=True)
class Allowance:
    """Whether quotas grant a job: "none" is a quota of 0, "short" one that is too small, "unknown" where none is known.

    `needed` and `limit` are of the quota `title`, the first that is too small; a quota that isn't known never hides it.
    """

    word: Literal["unknown", "granted", "short", "none"]
    title: str = ""
    needed: int = 0
    limit: int | None = None


_ORDER = ("granted", "unknown", "short", "none")


def _allowance(need: Need, limit: int | None) -> Allowance:
    if limit is None:
        return Allowance("unknown", need.meter.title, need.amount)
    word = "granted" if limit == UNLIMITED or limit >= need.amount else "short" if limit > 0 else "none"
    return Allowance(word, need.meter.title, need.amount, limit)


def look(target: Target, needs: Iterable[Need]) -> Means:
    """Ask for the spending, the rate and the quotas at once. What can't be read is a note, and raises nothing."""
    try:
        target.session()  # made once, before threads ask for it
    except UserError as problem:
        return Means(notes=(_unlooked(problem.message),))
    wanted = list({need.meter.title: Need(need.meter, 1) for need in needs}.values())
    with ThreadPoolExecutor(_AT_ONCE) as beside:
        spending = beside.submit(_spending, target)
        rating = beside.submit(currency.of_account, target)
        asked = [beside.submit(quota.read, target, [need]) for need in wanted]
    (spent, problem), (rate, why) = spending.result(), rating.result()
    readings: list[Reading] = [reading for one in asked for reading in one.result()]
    notes = [problem] if problem else []
    account = target.account
    if account.budget is None:
        notes.append(_("account {name} has no budget").format(name=account.name))
    elif rate is None:
        notes.append(
            _("the budget wasn't compared: its currency isn't known until `up` has read it")
            if account.currency is None
            else _("the budget wasn't compared: {why}").format(why=why)
        )
    elif rate.note:
        notes.append(rate.note)
    budget = None if account.budget is None else Decimal(str(account.budget))
    left = None
    if budget is not None and spent is not None and rate is not None:
        left = budget - rate.of(spent.spent.amount + spent.committed.amount)
    limits = {reading.title: reading.limit for reading in readings}
    return Means(budget, left, account.period == "trial", rate, limits, (*notes, *_unread(readings)))


def _spending(target: Target) -> tuple[costs.Spending | None, str]:
    try:
        return costs.spent(target), ""
    except UserError as problem:
        return None, _("what is left of the budget isn't known: {why}").format(why=problem.message.partition("\n")[0])


def _unlooked(why: str) -> str:
    return _("budget and quotas weren't looked at: {why}").format(why=why.partition("\n")[0])


def _unread(readings: list[Reading]) -> list[str]:
    """Why no quota could be read; where some could, the others' cells say that they are unknown."""
    if not readings or any(one.limit is not None for one in readings):
        return []
    return [_("the quotas aren't known: {why}").format(why=readings[0].problem)]
