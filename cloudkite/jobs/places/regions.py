"""A job in another region of the account: what its data cost on the way, and which region is the cheapest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import ROUND_UP, Decimal

from catalog import prices
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.jobs import submit
from cloudkite.jobs.plans import Plan, Wishes
from cloudkite.money import limits, quota
from cloudkite.show import amounts
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.trainers.folders import Trainer

_GIB = 1 << 30


def choose(target: Target, trainer: Trainer, wishes: Wishes) -> Plan:
    """The plan in the cheapest of the account's regions that has the quota, with the way of its data in the price.

    What was looked at is in its notes. Raises BadValue where the account has no other region, or no bucket in one;
    UserError where no region has what the job needs, with each region's reason.
    """
    account = target.account
    _refuse_none(account, wishes)
    fitting: list[Plan] = []
    reasons: dict[str, str] = {}
    for region in (account.region, *account.also):
        try:
            fitting.append(_priced(submit.plan(account, trainer, wishes, region), wishes))
        except BadValue as refused:
            reasons[region] = refused.message
    target.session()  # made once, before threads ask for it
    with ThreadPoolExecutor(4) as pool:
        readings = list(pool.map(lambda plan: quota.read(target, plan.needs(), plan.region), fitting))
    for plan, read in zip(list(fitting), readings, strict=True):
        if refusal := quota.refuse(read, account.tier, plan.region):
            reasons[plan.region] = refusal.message
            fitting.remove(plan)
    if not fitting:
        raise UserError(
            _("no region of account {name} has what the job needs: {reasons}").format(
                name=account.name, reasons="; ".join(f"{region}: {why}" for region, why in reasons.items())
            ),
            _("take another machine, or ask for the quota: uv run invoke quota"),
        )
    chosen = min(fitting, key=lambda plan: plan.worst_case)
    return dataclasses.replace(chosen, notes=(*chosen.notes, *_looked_at(chosen, fitting, reasons)))


def _refuse_none(account: Account, wishes: Wishes) -> None:
    if wishes.on != "vertex":
        raise BadValue(_("--also is for Vertex AI"), _("leave --also out, or --on run"))
    if not account.also:
        raise BadValue(
            _("account {name} has no other region").format(name=account.name),
            _("add cloudkite:alsoIn: [us-west1] to {path}, then uv run invoke up").format(path=account.settings),
        )
    made = account.outputs().buckets
    for region in account.also:
        if f"models-{region}" not in made:
            raise BadValue(
                _("account {name} has no bucket in {region} yet").format(name=account.name, region=region),
                _("uv run invoke up --account {name} makes it").format(name=account.name),
            )


def _priced(plan: Plan, wishes: Wishes) -> Plan:
    """The plan with the way of its data from the account's region. Raises BadValue where --max-cost is too little."""
    cost, note = transfer(plan)
    if note:
        plan = dataclasses.replace(plan, notes=(*plan.notes, note))
    if not cost:
        return plan
    seconds = plan.limit_seconds
    if plan.max_cost is not None and plan.worst_case + cost > plan.max_cost:
        hourly = plan.price.amount or Decimal(0)
        seconds = limits.affordable(hourly, plan.max_cost - cost, plan.restarts)
        if not seconds or (wishes.limit and seconds < plan.limit_seconds):
            raise BadValue(
                _("with {cost} for the way of its data it may cost more than --max-cost").format(
                    cost=amounts.money(cost, plan.price.currency, 4)
                )
            )
    worst = limits.worst_case(plan.price.amount or Decimal(0), seconds, plan.restarts)
    return dataclasses.replace(plan, limit_seconds=seconds, transfer=cost, worst_case=worst + cost)


def transfer(plan: Plan) -> tuple[Decimal, str]:
    """(what the data cost that each of the job's machines reads from the account's region, what to tell of it).

    A machine that starts again reads them again. Models stay in the job's region.
    """
    home, there = plan.account.region, plan.region
    if home == there:
        return Decimal(0), ""
    price = prices.between(home, there)
    each = price.amount or Decimal(0)
    size = sum(file.stat().st_size for file in plan.data)
    if plan.earlier:
        size += sum((plan.earlier.folder / name).stat().st_size for name in plan.earlier.files)
    times = plan.workers * (1 + plan.restarts)
    cost = (each * size * times / _GIB).quantize(Decimal("0.0001"), ROUND_UP)
    said = _("it reads {size} from {home}: at most {cost} for the way, at {each} a GiB (estimate of {date})")
    if not plan.data:
        said = _("what it reads from buckets in {home} costs {each} a GiB (estimate of {date}), which isn't counted")
    return cost, said.format(
        size=amounts.size(size),
        home=home,
        cost=amounts.money(cost, price.currency, 4),
        each=amounts.money(each, price.currency),
        date=price.as_of,
    )


def _looked_at(chosen: Plan, fitting: Sequence[Plan], reasons: Mapping[str, str]) -> list[str]:
    """A note for each region that was not chosen: its price, or why it can't be."""
    found = [
        _("{region} would cost at most {worst}").format(
            region=plan.region, worst=amounts.money(plan.worst_case, plan.price.currency, 4)
        )
        for plan in fitting
        if plan is not chosen
    ]
    return found + [f"{region}: {why}" for region, why in reasons.items()]
