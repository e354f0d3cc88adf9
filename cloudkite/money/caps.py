"""What one learner of a class may spend, beside the budget of the account that all of them share.

It holds for jobs that are submitted by these commands: who calls Google's API themselves can leave the label out.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from decimal import Decimal

from cloudkite.accounts.membership import LEARNER, Membership
from cloudkite.accounts.target import Target
from cloudkite.jobs import service
from cloudkite.jobs.plans import Plan
from cloudkite.jobs.service import Job
from cloudkite.money import costs, limits
from cloudkite.money.costs import Spending
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

CURRENCY = "USD"  # of caps: that of the price list, so that no rate is needed


def check(target: Target, plan: Plan, fits: Callable[[Plan, Decimal, str], str]) -> list[str]:
    """Notes on what the learner has left; none for an account that is nobody's in a class.

    `fits` gives the hint for a job that is too dear. Raises UserError for one that the cap does not hold, and outside
    of the term.
    """
    learner = plan.account.learner
    if learner is None:
        return []
    now = target.now()
    in_term(learner, now.date())
    if learner.cap is None:
        return []
    left = fit(plan, learner, spent(target, learner, now), fits)
    said = _("of {name}'s cap of {cap:.2f} USD {period} {left:.2f} USD are left after this job")
    return [said.format(name=learner.name, cap=learner.cap, period=period(learner), left=left)]


def in_term(learner: Membership, today: datetime.date) -> None:
    """Raise UserError before the first day of the class, and after its last."""
    if today > learner.ends:
        raise UserError(
            _("class {name} ended on {date}").format(name=learner.of, date=learner.ends),
            _("uv run invoke fetch brings your models here; --account local trains on this machine"),
        )
    if today < learner.starts:
        raise UserError(
            _("class {name} begins on {date}").format(name=learner.of, date=learner.starts),
            _("--account local trains on this machine"),
        )


def spent(target: Target, learner: Membership, now: datetime.datetime) -> Spending:
    """What the learner's jobs cost in this month, or in the term."""
    start = begins(learner.starts, learner.period, now)
    since = start - datetime.timedelta(seconds=limits.LONGEST)
    found = service.search(target, since=since, labels={LEARNER: learner.name})
    return costs.tally(counted(found, start, now), start)


def begins(starts: datetime.date, per: str, now: datetime.datetime) -> datetime.datetime:
    """When that which a cap is for began."""
    month, term = costs.month_start(now), datetime.datetime.combine(starts, datetime.time(), datetime.UTC)
    return term if per == "term" else max(month, term)


def counted(found: Iterable[Job], start: datetime.datetime, now: datetime.datetime) -> list[Job]:
    """Those that cost something since then, or may."""
    return [job for job in found if job.active or (job.ended or now) > start]


def fit(
    plan: Plan,
    learner: Membership,
    spending: Spending,
    fits: Callable[[Plan, Decimal, str], str],
    reserved: Decimal = Decimal(0),
) -> Decimal:
    """What the cap has left after the job. Raises UserError when that is less than nothing: pure arithmetic.

    `reserved` is for jobs of the same learner that are being submitted now.
    """
    assert learner.cap is not None
    running = spending.committed.amount + reserved
    free = learner.cap - spending.spent.amount - running
    if free < plan.worst_case:
        raise UserError(
            _(
                "this job may cost {worst:.2f} {currency}, and of {name}'s cap of {cap:.2f} USD {period} only "
                "{free:.2f} are free ({spent:.2f} spent, {running:.2f} held for running jobs)"
            ).format(
                worst=plan.worst_case,
                currency=plan.price.currency,
                name=learner.name,
                cap=learner.cap,
                period=period(learner),
                free=max(free, Decimal(0)),
                spent=spending.spent.amount,
                running=running,
            ),
            fits(plan, free, _("ask your teacher for a higher cap, or train on this machine: --account local")),
        )
    return free - plan.worst_case


def period(learner: Membership) -> str:
    """What the cap is for, in a sentence."""
    return _("for the term") if learner.period == "term" else _("for this month")
