"""A learner's cap: what is left of it, what is said when it doesn't hold a job, and the days of the term."""

from __future__ import annotations

import dataclasses
import datetime
from decimal import Decimal

import pytest

from cloudkite.accounts.membership import Membership
from cloudkite.money import caps, gate
from cloudkite.money.costs import Money, Spending
from cloudkite.show.errors import UserError
from tests.jobs import plan

KIM = Membership("kim", "ml-1", "shared", "ml-1", Decimal(5), "term", datetime.date(2026, 9, 1),
                 datetime.date(2026, 12, 18))  # fmt: skip
NOW = datetime.datetime(2026, 11, 24, 15, tzinfo=datetime.UTC)
ASK = "ask your teacher for a higher cap, or train on this machine: --account local"


def spending(spent="0", committed="0"):
    return Spending("2026-11", Money(Decimal(spent), "USD"), Money(Decimal(committed), "USD"), (), 0)


@pytest.mark.parametrize(
    ("cap", "spent", "committed", "reserved", "left"),
    [
        ("5", "0", "0", "0", "4.8190"),
        ("5", "3", "1", "0.5", "0.3190"),
        ("0.181", "0", "0", "0", "0.0000"),
    ],
)
def test_what_the_cap_has_left(cap, spent, committed, reserved, left):
    learner = dataclasses.replace(KIM, cap=Decimal(cap))
    found = caps.fit(plan(), learner, spending(spent, committed), gate.what_fits, Decimal(reserved))
    assert found == Decimal(left)


TERM = "this job may cost 0.18 USD, and of kim's cap of {cap} USD for the term only {free} are free "
MONTH = TERM.replace("the term", "this month")


@pytest.mark.parametrize(
    ("changes", "spent", "committed", "reserved", "said", "hint"),
    [
        ({}, "4.90", "0", "0", TERM.format(cap="5.00", free="0.10") + "(4.90 spent, 0.00 held for running jobs)",
         "--limit 33m fits"),
        ({"period": "month"}, "2", "2.9", "0.1", MONTH.format(cap="5.00", free="0.00")
         + "(2.00 spent, 3.00 held for running jobs)", ASK),
        ({"cap": Decimal("0.01")}, "0", "0", "0", TERM.format(cap="0.01", free="0.01")
         + "(0.00 spent, 0.00 held for running jobs)", ASK),
    ],
)  # fmt: skip
def test_over_the_cap_says_what_would_fit(changes, spent, committed, reserved, said, hint):
    with pytest.raises(UserError) as caught:
        caps.fit(
            plan(), dataclasses.replace(KIM, **changes), spending(spent, committed), gate.what_fits, Decimal(reserved)
        )
    assert (caught.value.message, caught.value.hint) == (said, hint)


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2026-08-31", "class ml-1 begins on 2026-09-01"),
        ("2026-12-19", "class ml-1 ended on 2026-12-18"),
    ],
)
def test_outside_of_the_term_nothing_starts(day, said):
    with pytest.raises(UserError) as caught:
        caps.in_term(KIM, datetime.date.fromisoformat(day))
    assert caught.value.message == said
    assert "--account local trains on this machine" in caught.value.hint


@pytest.mark.parametrize("day", ["2026-09-01", "2026-12-18"])
def test_the_first_and_the_last_day_count(day):
    caps.in_term(KIM, datetime.date.fromisoformat(day))


def test_when_that_which_a_cap_is_for_began():
    assert caps.begins(KIM.starts, "term", NOW) == datetime.datetime(2026, 9, 1, tzinfo=datetime.UTC)
    assert f"{caps.begins(KIM.starts, 'month', NOW):%Y-%m-%d}" == "2026-11-01"
    late = datetime.date(2026, 11, 20)  # a class that began in the middle of a month
    assert f"{caps.begins(late, 'month', NOW):%Y-%m-%d}" == "2026-11-20"
