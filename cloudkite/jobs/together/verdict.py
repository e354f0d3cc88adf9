"""The gate for many jobs: the budget must hold the sum of what they may cost, the quotas each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from catalog.quotas import Need
from cloudkite.accounts.target import Target
from cloudkite.jobs.plans import Plan
from cloudkite.jobs.together import members
from cloudkite.money import caps, costs, currency, gate, limits, quota
from cloudkite.money.costs import Money, Spending
from cloudkite.money.gate import Verdict
from cloudkite.money.quota import UNLIMITED, Reading
from cloudkite.show.errors import UserError
from cloudkite.show.text import _, counted


def judge(target: Target, plans: Sequence[Plan]) -> Verdict:
    """Read the spending, the quotas and the rate once, and let all jobs pass, or raise UserError.

    `left` is what the budget has after all of them.
    """
    target.session()  # made once, before threads ask for it
    regions = {plan.region: [one for one in plans if one.region == plan.region] for plan in plans}
    with ThreadPoolExecutor(2) as beside:
        rating = beside.submit(currency.of_account, target)
        reading = {region: beside.submit(quota.read, target, _most(some), region) for region, some in regions.items()}
        spending = costs.spent(target)
    readings = {region: one.result() for region, one in reading.items()}
    rate, why = rating.result()
    for region, some in regions.items():
        if refusal := quota.refuse(readings[region], some[0].account.tier, region, gate.elsewhere(some[0])):
            raise gate.elsewhere_too(some[0], refusal)
    left, notes, number = None, [], 0
    try:
        for number, plan in enumerate(plans):
            left, notes = gate.fit(plan, _after(spending, plans[:number]), rate, why)
        for number, plan in enumerate(plans):
            caps.check(target, _grown(plan, members.total(plans[:number])), gate.what_fits)
    except UserError as refused:
        if not number:
            raise
        raise _too_many(plans, number, refused) from None
    notes += [note for region, some in regions.items() for note in _waiting(some, readings[region])]
    read = tuple(one for found in readings.values() for one in found)
    return Verdict(spending, left, read, (*notes, *quota.unread(read)), rate)


def _after(spending: Spending, earlier: Sequence[Plan]) -> Spending:
    """The spending once those were submitted."""
    held = spending.committed.amount + members.total(earlier)
    return dataclasses.replace(spending, committed=Money(held, spending.committed.currency))


def _grown(plan: Plan, amount: Decimal) -> Plan:
    """The plan as if the others' worst cases were its own."""
    return dataclasses.replace(plan, worst_case=plan.worst_case + amount)


def _too_many(plans: Sequence[Plan], fitting: int, refused: UserError) -> UserError:
    """The refusal of them all, with how many of them fit, and the limit by which all do."""
    said = counted(
        "these {all} jobs may cost {total:.2f} {currency} together, and what is free holds only the first {count}",
        "these {all} jobs may cost {total:.2f} {currency} together, and what is free holds only the first {count}",
        fitting,
        all=len(plans),
        total=members.total(plans),
        currency=plans[0].price.currency,
    )
    affordable = members.total(plans[:fitting])
    hourly = sum((members.each(plan) for plan in plans), Decimal(0))
    seconds = limits.affordable(hourly, affordable, 0)
    if not seconds:
        return UserError(said, refused.hint)
    hint = _("--limit {limit} fits for all of them; or start fewer").format(limit=limits.written(seconds))
    return UserError(said, hint)


def _most(plans: Sequence[Plan]) -> list[Need]:
    """The most that a single job takes of each quota: those that don't fit beside each other wait in the queue."""
    found: dict[str, Need] = {}
    for need in (one for plan in plans for one in plan.needs()):
        known = found.get(need.meter.title)
        if known is None or need.amount > known.amount:
            found[need.meter.title] = need
    return list(found.values())


def _waiting(plans: Sequence[Plan], readings: Sequence[Reading]) -> list[str]:
    """A note where the quotas don't let all run at once."""
    for reading in readings:
        if reading.limit in (None, UNLIMITED):
            continue
        taken, at_once = 0, 0
        for need in (n for plan in plans for n in plan.needs() if n.meter.title == reading.title):
            taken += need.amount
            at_once += taken <= (reading.limit or 0)
        if taken > (reading.limit or 0):
            said = counted(
                "the quota of {title}, {limit}, lets {count} of them run at once: the others wait, which costs nothing",
                "the quota of {title}, {limit}, lets {count} of them run at once: the others wait, which costs nothing",
                at_once,
                title=reading.title,
                limit=reading.limit,
            )
            return [said]
    return []
