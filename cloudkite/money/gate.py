"""The gate before anything that costs: price, budget, quota, consent. Nothing starts that could exceed the budget.

What it promises: jobs started by Cloudkite, at their worst case, stay within the account's budget, of the month or of
the trial, in whichever currency that is. Storage, network and tax are not in it, and jobs that other tools start are
not seen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from catalog import run
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.jobs.job import RUN, TUNING, VERTEX
from cloudkite.jobs.plans import Plan
from cloudkite.money import caps, costs, currency, limits, prices, quota
from cloudkite.money.costs import Spending
from cloudkite.money.currency import Rate
from cloudkite.money.quota import Reading
from cloudkite.show import amounts
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, counted

_ENOUGH_MEMORY = 8  # GB; the service's own agents take up to 40 % (documentation of shapes)


@dataclass(frozen=True)
class Verdict:
    """A job that may start: what is left of the budget after it (None: not compared), what to tell beside it.

    `left` is in the account's currency, `rate` that currency's; None where it isn't known.
    """

    spending: Spending
    left: Decimal | None
    readings: tuple[Reading, ...]
    notes: tuple[str, ...]
    rate: Rate | None = None


def judge(target: Target, plan: Plan) -> Verdict:
    """Read the spending, the quotas and the rate, at once, and let the job pass or raise UserError."""
    target.session()  # made once, before threads ask for it
    with ThreadPoolExecutor(2) as beside:
        reading = beside.submit(quota.read, target, plan.needs(), plan.region)
        rating = beside.submit(currency.of_account, target)
        spending = costs.spent(target)
    readings, (rate, why) = reading.result(), rating.result()
    refusal = quota.refuse(readings, plan.account.tier, plan.region, elsewhere(plan), plan.parallel)
    if refusal:
        raise elsewhere_too(plan, refusal)
    left, notes = fit(plan, spending, rate, why)
    notes += caps.check(target, plan, what_fits)
    return Verdict(spending, left, tuple(readings), (*notes, *quota.unread(readings)), rate)


def elsewhere(plan: Plan) -> str:
    """The option by which a job runs on Cloud Run instead of Vertex AI; "" where it can't: for GPUs, for workers."""
    alone = not (plan.accelerator or plan.machine.tpu) and plan.workers == 1
    return "--on run" if plan.place == VERTEX and alone and plan.region in run.regions() else ""


def elsewhere_too(plan: Plan, refusal: UserError) -> UserError:
    """The refusal of a quota, with the account's other regions, where the job was to be in the account's own."""
    if not plan.account.also or plan.region != plan.account.region or plan.place != VERTEX:
        return refusal
    also = _("{hint}; or --also looks in {regions}")
    return UserError(refusal.message, also.format(hint=refusal.hint, regions=", ".join(plan.account.also)))


def fit(
    plan: Plan, spending: Spending, rate: Rate | None = None, unreadable: str = ""
) -> tuple[Decimal | None, list[str]]:
    """(what the budget has left after the job, in its currency, notes): pure arithmetic.

    The budget must hold what was spent in its period, the worst case of what runs and that of this job. A budget in
    a currency that is unknown, or of which there is no `rate` (`unreadable` says why), is not compared: then
    --max-cost must be given. Raises UserError.
    """
    account, price = plan.account, plan.price
    notes = []
    if spending.unknown:
        notes.append(
            counted(
                "{count} job of this month has no known price and isn't counted",
                "{count} jobs of this month have no known price and aren't counted",
                spending.unknown,
            )
        )
    if account.budget is None:
        return None, [*notes, _("account {name} has no budget: only the time limit holds").format(name=account.name)]
    if account.currency == price.currency:
        rate = currency.DOLLAR
    if rate is None or account.currency is None:
        return None, [*notes, _other_currency(plan, unreadable)]
    if rate.note:
        notes.append(rate.note)
    budget = Decimal(str(account.budget))
    used = rate.of(spending.spent.amount + spending.committed.amount)
    left = budget - used - rate.of(plan.worst_case)
    if left < 0:
        raise UserError(_too_much(plan, spending, rate, budget - used), what_fits(plan, rate.dollars(budget - used)))
    return left, notes


def _too_much(plan: Plan, spending: Spending, rate: Rate, free: Decimal) -> str:
    """What the job may cost beside what is free, all in the budget's currency, with the rate behind it."""

    def plain(amount: Decimal) -> str:
        return amounts.plain(amount, rate.currency)

    said = (
        _(
            "this job may cost {worst} {currency}, and of the trial's budget of {budget} {currency} only {free} are "
            "free ({spent} spent, {running} held for running jobs)"
        )
        if spending.trial
        else _(
            "this job may cost {worst} {currency}, and of the month's budget of {budget} {currency} only {free} are "
            "free ({spent} spent, {running} held for running jobs)"
        )
    ).format(
        worst=plain(rate.of(plan.worst_case)),
        currency=rate.currency,
        budget=plain(Decimal(str(plan.account.budget))),
        free=plain(max(free, Decimal(0))),
        spent=plain(rate.of(spending.spent.amount)),
        running=plain(rate.of(spending.committed.amount)),
    )
    told = rate.told()
    return _("{said}, at {rate}").format(said=said, rate=told) if told else said


def _other_currency(plan: Plan, unreadable: str) -> str:
    """The note for a budget that can't be compared; refuses when the person set no bound of their own."""
    account, of_prices = plan.account, plan.price.currency
    hint = _("say what this job may cost in {currency}: --max-cost 1").format(currency=of_prices)
    if account.currency is None:
        said = _(
            "the budget of {name} is in a currency that is unknown until `up` has read it, prices are in {currency}: "
            "they are not compared"
        ).format(name=account.name, currency=of_prices)
        hint = _("uv run invoke up --account {name} reads it; or {instead}").format(name=account.name, instead=hint)
    else:
        said = _("the budget of {name} is in {own}, prices are in {currency}: they are not compared").format(
            name=account.name, own=account.currency, currency=of_prices
        )
        said += f" ({unreadable})" if unreadable else ""
    if plan.max_cost is None:
        raise BadValue(said, hint)
    return said


def what_fits(plan: Plan, free: Decimal, otherwise: str = "") -> str:
    """The hint for a job that does not fit `free`: fewer tries or a shorter limit, a cheaper machine, else waiting."""
    hourly = plan.price.amount or Decimal(0)
    fewer = min(limits.tries_within(hourly, plan.limit_seconds, plan.restarts, free), plan.tries - 1)
    if fewer:
        return _("{count} of {tries} tries fit what is left of the budget: --tries {count}").format(
            count=fewer, tries=plan.tries
        )
    hourly *= plan.tries
    option = "--try-limit" if plan.place == TUNING else "--limit"
    seconds = limits.affordable(hourly, free, plan.restarts)
    if seconds:
        return _("{option} {limit} fits").format(option=option, limit=limits.written(seconds))
    if plan.place == RUN:
        for cpus in reversed(run.cpu_counts()):
            shape = run.Shape(cpus, min(run.memory_range(cpus)[1], Decimal(2 * cpus)))
            seconds = limits.affordable(run.hourly(shape, plan.region).amount or Decimal(0), free, 0)
            if seconds:
                shorter = limits.written(min(seconds, plan.limit_seconds))
                return _("--machine {machine} --limit {limit} fits").format(machine=shape.name, limit=shorter)
    for row in prices.listing(plan.region) if plan.place != RUN else ():
        price = row.on_demand.amount
        seconds = limits.affordable(price * plan.tries, free, 0) if price is not None else 0
        if seconds and not row.accelerator and (row.memory_gb or 0) >= _ENOUGH_MEMORY:
            shorter = limits.written(min(seconds, plan.limit_seconds))
            said = _("--machine {machine} {option} {limit} fits")
            return said.format(machine=row.machine, option=option, limit=shorter)
    if not otherwise and plan.account.period == "trial":
        return _("wait for running jobs to end, or raise the budget in the account's settings")
    return otherwise or _(
        "wait for running jobs to end or for the next month, or raise the budget in the account's settings"
    )


class Consent(Enum):
    """What a job needs before it may start."""

    NOT_NEEDED = "not needed"
    GIVEN = "given"
    ASK = "ask"
    NEEDS_YES = "needs --yes and --max-cost"
    NEEDS_MAX_COST = "needs --max-cost"


def consent_needed(costs_money: bool, terminal: bool, yes: bool, max_cost: bool) -> Consent:
    """Who decides: nobody where nothing costs, a person at a terminal, else --yes together with --max-cost."""
    if not costs_money:
        return Consent.NOT_NEEDED
    if terminal:
        return Consent.GIVEN if yes else Consent.ASK
    if not yes:
        return Consent.NEEDS_YES
    return Consent.GIVEN if max_cost else Consent.NEEDS_MAX_COST


def consent(
    account: Account,
    plan: Plan,
    *,
    yes: bool,
    ask: Callable[[str], bool],
    rate: Rate | None = None,
    together: Decimal | None = None,
    count: int = 1,
) -> None:
    """Ask where a person must decide, in dollars and by the `rate`; `together` is the worst case of `count` jobs.

    Raises UserError when the answer is no, BadValue when nobody can answer.
    """
    worst = plan.worst_case if together is None else together
    needed = consent_needed(account.costs_money, sys.stdin.isatty(), yes, plan.max_cost is not None)
    if needed in (Consent.NEEDS_YES, Consent.NEEDS_MAX_COST):
        raise BadValue(
            _("no terminal to ask for consent to {worst:.2f} {currency}").format(
                worst=worst, currency=plan.price.currency
            ),
            _("without a terminal, add --yes --max-cost {worst}").format(worst=limits.cents(worst)),
        )
    if needed is Consent.ASK:
        most = (rate or currency.DOLLAR).beside(worst)
        question = (
            counted("start {count} try, for at most {worst}?", "start {count} tries, for at most {worst} in all?",
                    plan.tries, worst=most)
            if plan.place == TUNING
            else counted("start it, for at most {worst}?", "start these {count}, for at most {worst} together?",
                         count, worst=most)
        )  # fmt: skip
        if not ask(question):
            raise UserError(_("nothing was started"))
