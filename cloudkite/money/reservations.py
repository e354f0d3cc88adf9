"""What is about to be spent: closes the moment between the look at the budget and the job that the service lists.

A list in the staging bucket, which all who submit jobs to the account can write. It is only ever replaced in the form
in which it was read (a precondition on its generation), so of two who reserve at the same moment one sees the other's.
"""

from __future__ import annotations

import datetime
import email.utils
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from cloudkite.accounts.api import send
from cloudkite.accounts.membership import FOLDER
from cloudkite.accounts.target import Target
from cloudkite.jobs import staging
from cloudkite.jobs.plans import Plan
from cloudkite.jobs.service import Unsure
from cloudkite.money import caps, costs, currency, gate
from cloudkite.money.costs import Money
from cloudkite.money.currency import Rate
from cloudkite.show.errors import UserError, from_google
from cloudkite.show.text import _

NAME = ".cloudkite/reservations.json"
_LIFE = 600  # seconds; a job that was sent is listed long before
_TRIES = 12
_PAUSE = 1.0  # seconds; an object may be replaced once a second: https://cloud.google.com/storage/quotas
_MOST = 1000  # reservations; more are not ours
_BASE = "https://storage.googleapis.com"


@dataclass(frozen=True)
class Reservation:
    """The worst case of a job that is about to be submitted; `until` is in seconds of Cloud Storage's clock.

    `job` is its output folder, which no other has.
    """

    job: str
    who: str
    amount: str
    currency: str
    until: float


@dataclass(frozen=True)
class _List:
    """The reservations as they were read: their `generation` (0: there is no list), and the time there."""

    held: tuple[Reservation, ...]
    generation: int
    now: float


@contextmanager
def reserved(target: Target, plan: Plan, job: str) -> Iterator[None]:
    """Hold the worst case of `plan` for the job with that output, which the body submits.

    Raises UserError when it no longer fits.
    What was reserved is given back when the body fails for certain; else it counts until the service lists the job, or
    until it expires. An account without a budget that can be compared has nothing to reserve.
    """
    account = plan.account
    capped = account.learner is not None and account.learner.cap is not None
    rate = currency.of_account(target)[0] if account.budget is not None else None
    if rate is None and not capped:
        yield
        return
    bucket = staging.apart(account.outputs().buckets["staging"])[0]
    _change(target, bucket, lambda found: _add(target, plan, job, found, rate))
    try:
        yield
    except Unsure:
        raise
    except UserError:  # refused, and so there is no job
        _give_back(target, bucket, job)
        raise


def _add(target: Target, plan: Plan, job: str, found: _List, rate: Rate | None) -> tuple[Reservation, ...] | None:
    """The list with the job's reservation in it; None when it is there already. Raises UserError."""
    if any(one.job == job for one in found.held):  # the answer to an earlier try was lost
        return None
    spending = costs.spent(target)
    listed = {row.job.output for row in spending.rows}
    open_ones = tuple(one for one in found.held if one.until > found.now and one.job not in listed)
    amount = sum((Decimal(one.amount) for one in open_ones if one.currency == plan.price.currency), Decimal(0))
    if amount:
        held = Money(spending.committed.amount + amount, spending.committed.currency)
        spending = replace(spending, committed=held)
    if (learner := plan.account.learner) and learner.cap is not None:
        same = f"/{FOLDER}/{learner.name}/"
        begun = sum((Decimal(one.amount) for one in open_ones if same in one.job), Decimal(0))
        caps.fit(plan, learner, caps.spent(target, learner, target.now()), gate.what_fits, begun)
    try:
        gate.fit(plan, spending, rate)
    except UserError as refused:
        if not amount:
            raise
        who = ", ".join(sorted({one.who for one in open_ones}))
        raise UserError(
            _("{message}; {amount:.2f} {currency} of it are for jobs that {who} is submitting now").format(
                message=refused.message, amount=amount, currency=plan.price.currency, who=who
            ),
            refused.hint,
        ) from None
    mine = Reservation(job, target.identity, str(plan.worst_case), plan.price.currency, found.now + _LIFE)
    return (*open_ones, mine)


def _give_back(target: Target, bucket: str, job: str) -> None:
    """Take a reservation out again; where that fails it expires."""

    def without(found: _List) -> tuple[Reservation, ...] | None:
        left = tuple(one for one in found.held if one.job != job)
        return None if left == found.held else left

    try:
        _change(target, bucket, without)
    except UserError:
        return


def _change(target: Target, bucket: str, change: Any) -> None:
    """Replace the list by what `change` makes of it, as often as others were quicker. Raises UserError."""
    for number in range(_TRIES):
        found = _read(target, bucket)
        wanted = change(found)
        if wanted is None:
            return
        text = json.dumps([asdict(one) for one in wanted])
        answer = send(
            target,
            "POST",
            f"{_BASE}/upload/storage/v1/b/{bucket}/o",
            _DOING,
            again=True,  # the precondition makes a second upload harmless
            params={"uploadType": "media", "name": NAME, "ifGenerationMatch": str(found.generation)},
            data=text.encode(),
            headers={"Content-Type": "application/json"},
        )
        if answer.ok:
            return
        if answer.status_code not in (412, 429):
            raise from_google(answer, _DOING)
        time.sleep(_PAUSE * random.uniform(0.2, 1) * min(number + 1, 4))  # noqa: S311  so that two don't meet again
    raise UserError(
        _("the budget could not be reserved: others submit jobs to account {name} without a pause").format(
            name=target.account.name
        ),
        _("run the same command again"),
    )


_DOING = _("reserve the budget")


def _read(target: Target, bucket: str) -> _List:
    place = f"{_BASE}/storage/v1/b/{bucket}/o/{quote(NAME, safe='')}"
    answer = send(target, "GET", place, _DOING, again=True, params={"alt": "media"})
    if answer.status_code == 404 and "object" in answer.text:
        return _List((), 0, _time_of(answer))
    if not answer.ok:
        raise from_google(answer, _DOING)
    return _List(_parsed(answer.text), int(answer.headers["X-Goog-Generation"]), _time_of(answer))


def _parsed(text: str) -> tuple[Reservation, ...]:
    """What the list says; whoever may write it may have written anything, and what is none is left out."""
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    found = []
    for row in rows[:_MOST] if isinstance(rows, list) else ():
        try:
            one = Reservation(
                str(row["job"]), str(row["who"])[:200], str(row["amount"]), str(row["currency"]), float(row["until"])
            )
            if 0 < Decimal(one.amount) < 1_000_000_000:
                found.append(one)
        except (KeyError, TypeError, ValueError, InvalidOperation):
            continue
    return tuple(found)


def _time_of(answer: Any) -> float:
    """Cloud Storage's own time, which is the same for all computers; this one's where the answer has none."""
    try:
        return email.utils.parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return datetime.datetime.now(datetime.UTC).timestamp()
