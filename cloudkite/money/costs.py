"""What the account's jobs cost this month, or since a trial began: the jobs that the service lists x the price book.

Nothing is kept beside them.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from decimal import Decimal

from cloudkite.accounts.target import Target
from cloudkite.jobs import service
from cloudkite.jobs.service import Job
from cloudkite.money import limits
from cloudkite.money.spent import months


@dataclass(frozen=True)
class Money:
    """An amount in a currency."""

    amount: Decimal
    currency: str


@dataclass(frozen=True)
class JobCost:
    """A job and its part of the month's cost; None when the price of its machine is not known."""

    job: Job
    amount: Decimal | None


@dataclass(frozen=True)
class Spending:
    """The budget's period so far: a month, or with `trial` all since that began.

    `spent` is what jobs that ended cost, `committed` the most that those which have not can cost.

    `unknown` counts jobs whose price is not known: they are in neither sum.
    """

    month: str
    spent: Money
    committed: Money
    rows: tuple[JobCost, ...]
    unknown: int
    trial: bool = False


def spent(target: Target, now: datetime.datetime | None = None, *, trial: bool | None = None) -> Spending:
    """The spending of the budget's period on jobs that Cloudkite started; `trial`: of the trial, whatever that is."""
    now = now or target.now()
    account = target.account
    whole = account.trial_started if (account.period == "trial" if trial is None else trial) else None
    start = trial_start(whole) if whole else month_start(now)
    since = start - datetime.timedelta(seconds=limits.LONGEST)  # a job may have begun in the month before
    found = service.search(target, since=since)
    made = tally([job for job in found if job.active or (job.ended or now) > start], start)
    return replace(made, trial=whole is not None)


def trial_start(day: datetime.date) -> datetime.datetime:
    """When the costs of a trial that began on `day` begin to count, as those of its budget do (infra/budget.py).

    Budgets' days begin at midnight of Pacific time, where the day of whoever started the trial was perhaps the one
    before. So it is counted from then on: before a trial there is nothing to count.
    https://docs.cloud.google.com/billing/docs/reference/budget/rest/v1/billingAccounts.budgets#customperiod
    """
    before = datetime.datetime.combine(day - datetime.timedelta(days=1), datetime.time(), datetime.UTC)
    return before + datetime.timedelta(hours=8)  # in summer an hour late


def month_start(now: datetime.datetime) -> datetime.datetime:
    """When the billing month of `now` began."""
    return months.of(now).begins


def tally(found: list[Job], start: datetime.datetime) -> Spending:
    """The sums over jobs of the month that began at `start`."""
    ended, committed, unknown, rows = Decimal(0), Decimal(0), 0, []
    for job in found:
        amount = _part(job, start)
        rows.append(JobCost(job, amount))
        if job.active and job.worst_case is not None:
            committed += job.worst_case
        elif not job.active and amount is not None:
            ended += amount
        else:
            unknown += 1
    currency = found[0].currency if found else "USD"
    return Spending(months.of(start).name, Money(ended, currency), Money(committed, currency), tuple(rows), unknown)


def _part(job: Job, start: datetime.datetime) -> Decimal | None:
    """The job's cost since `start`: all of it, unless it began before."""
    if job.cost is None or job.started is None or job.started >= start or not job.seconds:
        return job.cost
    before = Decimal((start - job.started).total_seconds() / job.seconds)
    return (job.cost * (1 - min(before, Decimal(1)))).quantize(Decimal("0.0001"))
