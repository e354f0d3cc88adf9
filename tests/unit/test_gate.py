"""The gate: who must agree, what the budget allows, what is said when it does not."""

import dataclasses
from decimal import Decimal
from itertools import product

import pytest

from cloudkite.money import gate
from cloudkite.money.costs import Money, Spending
from cloudkite.money.currency import Rate
from cloudkite.money.gate import Consent
from cloudkite.show.errors import BadValue, UserError
from tests.jobs import account, plan


def spending(spent="0", committed="0", unknown=0):
    return Spending("2026-11", Money(Decimal(spent), "USD"), Money(Decimal(committed), "USD"), (), unknown)


def planned(budget=10.0, currency="USD", target="google", **wishes):
    made = plan(**wishes)
    return dataclasses.replace(made, account=account(budget=budget, currency=currency, target=target))


TRUTH = {
    # (costs money, at a terminal, --yes, --max-cost)
    (True, True, True, True): Consent.GIVEN,
    (True, True, True, False): Consent.GIVEN,
    (True, True, False, True): Consent.ASK,
    (True, True, False, False): Consent.ASK,
    (True, False, True, True): Consent.GIVEN,
    (True, False, True, False): Consent.NEEDS_MAX_COST,
    (True, False, False, True): Consent.NEEDS_YES,
    (True, False, False, False): Consent.NEEDS_YES,
    **{(False, *rest): Consent.NOT_NEEDED for rest in product((True, False), repeat=3)},
}


@pytest.mark.parametrize("case", list(product((True, False), repeat=4)))
def test_who_must_agree(case):
    assert gate.consent_needed(*case) is TRUTH[case]


def never(question):
    raise AssertionError(f"asked: {question}")


@pytest.mark.parametrize("yes, max_cost", [(False, ""), (False, "1"), (True, "")])
def test_without_a_terminal_a_job_that_costs_needs_yes_and_max_cost(monkeypatch, yes, max_cost):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    made = planned(machine="n1-standard-4", limit="1h", max_cost=max_cost)
    with pytest.raises(BadValue) as caught:
        gate.consent(made.account, made, yes=yes, ask=never)
    assert caught.value.message == "no terminal to ask for consent to 0.25 USD"
    assert caught.value.hint == "without a terminal, add --yes --max-cost 0.25"


def test_the_amount_in_the_hint_is_enough():
    made = planned(machine="n1-standard-8", limit="1h")
    again = planned(machine="n1-standard-8", limit="1h", max_cost=str(gate.limits.cents(made.worst_case)))
    assert again.max_cost >= again.worst_case


def test_a_terminal_asks_and_no_means_no(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    made, asked = planned(), []
    with pytest.raises(UserError, match="nothing was started"):
        gate.consent(made.account, made, yes=False, ask=lambda q: bool(asked.append(q)))
    assert asked == ["start it, for at most 0.18 USD?"]
    gate.consent(made.account, made, yes=False, ask=lambda _q: True)
    gate.consent(made.account, made, yes=True, ask=never)


def test_where_nothing_costs_nobody_is_asked():
    made = planned(target="local")
    gate.consent(made.account, made, yes=False, ask=never)


@pytest.mark.parametrize(
    "budget, spent, committed, left",
    [
        (10.0, "0", "0", "9.8190"),
        (10.0, "3", "2", "4.8190"),
        (0.181, "0", "0", "0.0000"),
        (1e6, "0", "0", "999999.8190"),
    ],
)
def test_what_the_budget_has_left(budget, spent, committed, left):
    assert gate.fit(planned(budget=budget), spending(spent, committed))[0] == Decimal(left)


@pytest.mark.parametrize(
    "budget, spent, committed, wishes, message, hint",
    [
        (10.0, "9.9", "0", {"limit": "2h"},
         "this job may cost 0.36 USD, and of the month's budget of 10.00 USD only 0.10 are free (9.90 spent, 0.00 held "
         "for running jobs)", "--limit 33m fits"),
        (10.0, "0", "9.98", {"gpu": "t4"},
         "this job may cost 0.65 USD, and of the month's budget of 10.00 USD only 0.02 are free (0.00 spent, 9.98 held "
         "for running jobs)", "--machine e2-highmem-2 --limit 9m fits"),
        (10.0, "12", "0", {},
         "this job may cost 0.18 USD, and of the month's budget of 10.00 USD only 0.00 are free (12.00 spent, 0.00 "
         "held for running jobs)",
         "wait for running jobs to end or for the next month, or raise the budget in the account's settings"),
        (10.0, "0", "0", {"gpu": "h100"},
         "this job may cost 12.65 USD, and of the month's budget of 10.00 USD only 10.00 are free (0.00 spent, 0.00 "
         "held for running jobs)", "--limit 47m fits"),
        (0.0, "0", "0", {},
         "this job may cost 0.18 USD, and of the month's budget of 0.00 USD only 0.00 are free (0.00 spent, 0.00 held "
         "for running jobs)",
         "wait for running jobs to end or for the next month, or raise the budget in the account's settings"),
    ],
)  # fmt: skip
def test_over_budget_says_what_would_fit(budget, spent, committed, wishes, message, hint):
    with pytest.raises(UserError) as caught:
        gate.fit(planned(budget=budget, **wishes), spending(spent, committed))
    assert caught.value.message == message
    assert caught.value.hint == hint
    assert caught.value.code == 1


def test_what_is_said_to_fit_does_fit():
    shorter = planned(limit="33m")
    left, _notes = gate.fit(shorter, spending("9.9"))
    assert left >= 0


def test_spot_counts_every_restart():
    once, often = planned(gpu="t4"), planned(gpu="t4", spot=True)
    assert often.price.amount < once.price.amount
    assert often.worst_case == gate.limits.worst_case(often.price.amount, 3600, 6)


@pytest.mark.parametrize(
    "currency, per_dollar, budget, left",
    [
        ("KRW", "1380", 7000, "6750.220"),
        ("JPY", "157.25", 1000, "971.53775"),
        ("EUR", "0.895095", 10.5, "10.337987805"),
        ("USD", "1", 10, "9.8190"),
    ],
)
def test_a_budget_is_compared_in_its_own_currency(currency, per_dollar, budget, left):
    rate = Rate(currency, Decimal(per_dollar), "2026-11-29")
    found, notes = gate.fit(planned(budget=budget, currency=currency), spending(), rate)
    assert found == Decimal(left)
    assert notes == []


TOLD = [
    ("KRW", "1380", 7000,
     "this job may cost 250 KRW, and of the month's budget of 7,000 KRW only 100 are free (5,520 spent, 1,380 held for "
     "running jobs), at 1 USD = 1,380 KRW of 2026-11-29"),
    ("JPY", "157.25", 800,
     "this job may cost 28 JPY, and of the month's budget of 800 JPY only 14 are free (629 spent, 157 held for running "
     "jobs), at 1 USD = 157.25 JPY of 2026-11-29"),
    ("EUR", "0.895095", 4.5,
     "this job may cost 0.16 EUR, and of the month's budget of 4.50 EUR only 0.02 are free (3.58 spent, 0.90 held for "
     "running jobs), at 1 USD = 0.895095 EUR of 2026-11-29"),
]  # fmt: skip


@pytest.mark.parametrize("currency, per_dollar, budget, message", TOLD)
def test_over_a_budget_in_another_currency_says_so_in_it_and_by_which_rate(currency, per_dollar, budget, message):
    rate = Rate(currency, Decimal(per_dollar), "2026-11-29")
    with pytest.raises(UserError) as caught:
        gate.fit(planned(budget=budget, currency=currency), spending("4", "1"), rate)
    assert caught.value.message == message
    assert caught.value.hint.endswith(" fits")


def test_what_fits_a_budget_in_won_does_fit():
    rate = Rate("KRW", Decimal(1380), "2026-11-29")
    with pytest.raises(UserError) as caught:
        gate.fit(planned(budget=7000, currency="KRW"), spending("4.95"), rate)
    limit = caught.value.hint.split()[1]
    left, _notes = gate.fit(planned(budget=7000, currency="KRW", limit=limit), spending("4.95"), rate)
    assert left >= 0


def test_the_budget_of_a_trial_is_called_so():
    made = planned(budget=10)
    made = dataclasses.replace(made, account=dataclasses.replace(made.account, period="trial"))
    month = dataclasses.replace(spending("12"), trial=True)
    with pytest.raises(UserError) as caught:
        gate.fit(made, month)
    assert caught.value.message == (
        "this job may cost 0.18 USD, and of the trial's budget of 10.00 USD only 0.00 are free (12.00 spent, 0.00 held "
        "for running jobs)"
    )
    assert caught.value.hint == "wait for running jobs to end, or raise the budget in the account's settings"


def test_a_rate_of_another_day_is_told():
    old = Rate("KRW", Decimal(1380), "2026-11-26", "the rate of KRW is that of 2026-11-26: why")
    _left, notes = gate.fit(planned(budget=7000, currency="KRW"), spending(), old)
    assert notes == ["the rate of KRW is that of 2026-11-26: why"]


def test_consent_is_asked_for_in_both_currencies(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    made, asked = planned(), []
    rate = Rate("KRW", Decimal(1380), "2026-11-29")
    with pytest.raises(UserError, match="nothing was started"):
        gate.consent(made.account, made, yes=False, ask=lambda q: bool(asked.append(q)), rate=rate)
    assert asked == ["start it, for at most 0.18 USD (250 KRW)?"]


def test_a_budget_whose_rate_can_not_be_read_is_not_compared():
    with pytest.raises(BadValue) as caught:
        gate.fit(planned(budget=15000, currency="KRW"), spending(), None, "read the rate of KRW: no network")
    assert caught.value.message == (
        "the budget of home is in KRW, prices are in USD: they are not compared (read the rate of KRW: no network)"
    )
    assert caught.value.hint == "say what this job may cost in USD: --max-cost 1"
    left, notes = gate.fit(planned(budget=15000, currency="KRW", max_cost="1"), spending())
    assert left is None
    assert notes == ["the budget of home is in KRW, prices are in USD: they are not compared"]


def test_a_budget_in_an_unknown_currency_is_not_compared():
    said = (
        "the budget of home is in a currency that is unknown until `up` has read it, prices are in USD: "
        "they are not compared"
    )
    with pytest.raises(BadValue) as caught:
        gate.fit(planned(budget=50000, currency=None), spending())
    assert caught.value.message == said
    assert caught.value.hint == (
        "uv run invoke up --account home reads it; or say what this job may cost in USD: --max-cost 1"
    )
    left, notes = gate.fit(planned(budget=50000, currency=None, max_cost="1"), spending())
    assert left is None
    assert notes == [said]


def test_without_a_budget_it_says_that_only_the_limit_holds():
    left, notes = gate.fit(planned(budget=None), spending(unknown=2))
    assert left is None
    assert notes == [
        "2 jobs of this month have no known price and aren't counted",
        "account home has no budget: only the time limit holds",
    ]
