"""An account's month: what it cost, what goes on costing, what it comes to by the month's end, how much of the budget.

Nothing is kept for it: what the services list is the ledger.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from catalog.book import read
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.money import costs, currency
from cloudkite.money.currency import Rate
from cloudkite.money.spent import bill as bills
from cloudkite.money.spent import charge, look, months, rows
from cloudkite.money.spent.bill import Bill, Compared
from cloudkite.money.spent.look import Seen
from cloudkite.money.spent.months import Month
from cloudkite.money.spent.rows import Row
from cloudkite.show.text import _

_EARLY = 24 * 3600  # seconds of a month before which it has no pace


@dataclass(frozen=True)
class Forecast:
    """What the month comes to in USD, if nothing new begins: `spent`, what `runs` until its limit or the month's end,
    what is `stored` and rests as it is now. `pace` is beside it: what more would come if jobs went on to be submitted
    as in the month so far; None in its first day. `unknown` counts what goes on at no known price.
    """

    spent: Decimal
    runs: Decimal
    stored: Decimal
    pace: Decimal | None
    unknown: int

    @property
    def total(self) -> Decimal:
        return self.spent + self.runs + self.stored


@dataclass(frozen=True)
class Costs:
    """A month of an account. Amounts in USD; `rate` is that of the account's currency, None where it isn't known, and
    `rate_problem` tells why. `whole` is all since the trial began, None without one. `bill` is the bill's own figures.
    """

    account: str
    month: Month
    seen: Seen
    rows: tuple[Row, ...]
    forecast: Forecast | None
    budget: Decimal | None
    period: str
    rate: Rate | None
    rate_problem: str
    price_dates: tuple[str, ...]
    whole: Decimal | None
    trial_started: datetime.date | None
    bill: Bill | None
    notes: tuple[str, ...]

    @property
    def total(self) -> Decimal:
        return rows.total(self.rows)

    @property
    def hourly(self) -> Decimal:
        """What goes on costing in an hour, as far as it is known."""
        return sum((row.hourly for row in self.rows if row.hourly is not None), Decimal(0))

    @property
    def used(self) -> Decimal:
        """What counts against the budget: of the month, or of the trial."""
        return self.whole if self.period == "trial" and self.whole is not None else self.total


def read_costs(target: Target, month: str = "", *, everywhere: bool = False) -> Costs:
    """The costs of this month, or of the one called `month`; those of the bill where it is exported.

    Raises UserError where the jobs can't be read, BadValue for what is no month.
    """
    account, now = target.account, target.now()
    wanted = months.parse(month, now) if month else months.of(now)
    trial = costs.trial_start(account.trial_started) if account.trial_started else None
    since = min(wanted.begins, trial) if trial else wanted.begins
    seen = look.look(target, since, everywhere=everywhere)
    found = charge.charge(seen, wanted)
    rate, problem = currency.of_account(target)
    return Costs(
        account=account.name,
        month=wanted,
        seen=seen,
        rows=tuple(found),
        forecast=forecast(seen, wanted, found) if now < wanted.ends else None,
        budget=None if account.budget is None else Decimal(str(account.budget)),
        period=account.period,
        rate=rate,
        rate_problem=problem,
        price_dates=_dates(seen),
        whole=_whole(seen, trial) if trial else None,
        trial_started=account.trial_started,
        bill=bills.read(target, account.billing_export, wanted) if account.billing_export else None,
        notes=tuple(_notes(account, seen, wanted)),
    )


def compare(found: Costs, by: str) -> list[Compared]:
    """What the bill says beside the price book, both until where the export goes; nothing without one."""
    bill = found.bill
    if bill is None or bill.until is None:
        return []
    rate = currency.DOLLAR if bill.currency == currency.PRICES else found.rate
    known = rate.per_dollar if rate is not None and rate.currency == bill.currency else None
    return bills.compare(bill, charge.charge(found.seen, found.month, bill.until), by, known)


def _whole(seen: Seen, began: datetime.datetime) -> Decimal:
    """All since a trial began. It was the billing account's first day, so the first month's rest holds nothing."""
    return sum((rows.total(charge.charge(seen, one)) for one in months.since(began, seen.now)), Decimal(0))


def forecast(seen: Seen, month: Month, found: Sequence[Row]) -> Forecast:
    """Pure arithmetic on what was seen in a month that goes on."""
    spent, runs, stored, unknown = rows.total(found), Decimal(0), Decimal(0), 0
    left = Decimal(int((month.ends - seen.now).total_seconds()))
    ahead = [
        replace(one, times=((seen.now, min(one.ends or month.ends, month.ends)),)) for one in seen.machines if one.going
    ]
    for one in ahead:
        unknown += one.hourly is None
        seconds = max(Decimal(int((one.times[0][1] - seen.now).total_seconds())), Decimal(0))
        runs += (one.hourly or 0) * seconds / 3600
    free = [charge.free_run(some, month.begins, month.ends) for some in (seen.machines, [*seen.machines, *ahead])]
    runs -= free[1] - free[0]
    now, then = [], []
    for one in seen.kept:
        each, sofar = charge.gib_month(one), charge.gib_months(one, month, seen.now)
        more = Decimal(charge.level(one)) / 2**30 * left / month.seconds
        unknown += each is None and more > 0
        stored += (each or 0) * more
        now.append((one, sofar))
        then.append((one, sofar + more))
    stored -= charge.free_storage(then) - charge.free_storage(now)
    resting = [row for row in found if row.kind in (rows.IMAGES, rows.OTHER)]
    stored += sum((row.hourly * left / 3600 for row in resting if row.hourly is not None), Decimal(0))
    unknown += sum(row.hourly is None for row in resting)
    return Forecast(spent, runs, stored, _pace(seen, month, found), unknown)


def _pace(seen: Seen, month: Month, found: Sequence[Row]) -> Decimal | None:
    """What jobs would come to in the rest of the month at the pace of the month so far."""
    gone = Decimal(int((seen.now - month.begins).total_seconds()))
    if gone < _EARLY:
        return None
    jobs = rows.total(row for row in found if row.kind in (rows.JOBS, rows.TRIES, rows.PREDICTIONS))
    return jobs / gone * (month.seconds - gone)


def _dates(seen: Seen) -> tuple[str, ...]:
    """The dates of the prices that were used, the oldest first."""
    dates = {one.price_date for one in seen.machines if one.price_date}
    return tuple(sorted(dates | {read("resources.json")["as_of"]}))


def _notes(account: Account, seen: Seen, month: Month) -> list[str]:
    """What these figures don't hold."""
    said = [
        _("not in it: network, operations on buckets, logs and messages, taxes, what was deleted before its end")
        + (
            ""
            if len(seen.regions) > 1
            else _("; machines outside of {region}: --everywhere").format(region=account.region)
        ),
        _("free amounts are the billing account's: other projects of it may have used them"),
    ]
    if seen.now >= month.ends:
        said.append(
            _(
                "of a past month only what is still there, or is still listed, is known: what was deleted since is "
                "missing, storage, images, endpoints and Cloud Run jobs above all; a billing export has it all "
                "(docs/money.md)"
            )
        )
    return said
