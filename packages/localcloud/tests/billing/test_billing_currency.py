"""Accounts in won, yen and euro: thresholds are reached by charges at the rate of the price list, and told in it."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from localcloud.apis import assemble
from localcloud.billing import currency, store
from localcloud.billing.meter import Billing
from localcloud.billing.pricelist import skus
from localcloud.commands import money
from localcloud.core.asked.usage import Pool, Span
from localcloud.core.clock import Clock
from localcloud.core.cloud import Cloud
from localcloud.core.ports import Ports
from localcloud.projects.store import Projects
from localcloud.pubsub.store import PubSub

ACCOUNT, PROJECT = "billingAccounts/012345-6789AB-CDEF01", "test-project"
TOPIC, SUBSCRIPTION = f"projects/{PROJECT}/topics/told", f"projects/{PROJECT}/subscriptions/told"
HOUR = Decimal("0.218498850")  # of n1-standard-4, in dollars


class Fixed(Clock):
    """Stands still at noon of 10 November 2026 in UTC until it is moved."""

    def time(self) -> float:
        return 1_794_312_000 + self.ahead.total_seconds()

    def now(self) -> Any:
        return datetime.fromtimestamp(self.time(), UTC)


def cloud_in(folder: Path, code: str) -> Cloud:
    made = assemble(folder, folder / "envs", Ports(1, 2, 3, 4, 5), Fixed())
    made.of(Projects).create(PROJECT, payer=ACCOUNT)
    made.of(Billing).accounts.open(ACCOUNT, PROJECT, code)
    made.of(Projects).enable(PROJECT, "pubsub.googleapis.com", "billingbudgets.googleapis.com")
    made.of(PubSub).create_topic(TOPIC)
    made.of(PubSub).create_subscription(SUBSCRIPTION, {"topic": TOPIC, "messageRetentionDuration": "2678400s"})
    return made


def machine(cloud: Cloud) -> None:
    """It runs from now on."""
    now = int(cloud.clock.time())
    span = Span("job", "training", PROJECT, ACCOUNT, "us-central1", (Pool("n1-standard-4", 1),), {}, now)
    cloud.of(Billing).ledger.note(span)


def budget(cloud: Cloud, amount: dict[str, Any]) -> None:
    rules = [{"thresholdPercent": part} for part in (0.5, 0.8, 0.9, 1.0)]
    body = {"displayName": "b", "amount": amount, "budgetFilter": {"calendarPeriod": "YEAR"}, "thresholdRules": rules,
            "notificationsRule": {"pubsubTopic": TOPIC}}  # fmt: skip
    store.create_budget(cloud, ACCOUNT, body)


def heard(cloud: Cloud) -> list[dict[str, Any]]:
    found = cloud.of(PubSub).pull(SUBSCRIPTION, 1000)
    if found:
        cloud.of(PubSub).acknowledge(SUBSCRIPTION, [one.ack_id for one in found])
    return [json.loads(base64.b64decode(str(one.message["data"]))) for one in found]


def crossings(cloud: Cloud) -> dict[float, float]:
    """Each threshold that was told, and what had been spent when it was told first."""
    found: dict[float, float] = {}
    for told in heard(cloud):
        if "alertThresholdExceeded" in told:
            found.setdefault(told["alertThresholdExceeded"], told["costAmount"])
    return found


@pytest.mark.parametrize(
    ("code", "units", "nanos", "mailed"),
    [
        ("KRW", 7000, 0, "b has reached 50% of 7,000 KRW"),
        ("JPY", 800, 0, "b has reached 50% of 800 JPY"),
        ("EUR", 4, 500_000_000, "b has reached 50% of 4.50 EUR"),
        ("USD", 5, 0, "b has reached 50% of 5.00"),
    ],
)
def test_thresholds_are_reached_by_charges_in_the_accounts_currency(
    tmp_path: Path, code: str, units: int, nanos: int, mailed: str
) -> None:
    cloud = cloud_in(tmp_path, code)
    amount = {"currencyCode": code, "units": str(units)} | ({"nanos": nanos} if nanos else {})
    budget(cloud, {"specifiedAmount": amount})
    machine(cloud)
    asyncio.run(cloud.clock.forward(timedelta(hours=30)))  # 6.55 dollars
    whole = units + nanos / 1e9
    found = crossings(cloud)
    assert list(found) == [0.5, 0.8, 0.9, 1.0]
    half_minute = float(HOUR * currency.rate(code).per_dollar / 120)
    for part, cost in found.items():  # each as soon as the charges reach it
        assert whole * part <= cost <= whole * part + 3 * half_minute
    assert cloud.of(Billing).bill()["mail"][0]["subject"] == mailed


def test_a_notification_names_the_currency_and_the_amount_to_the_last_digit(tmp_path: Path) -> None:
    cloud = cloud_in(tmp_path, "KRW")
    budget(cloud, {"specifiedAmount": {"currencyCode": "KRW", "units": "7001"}})
    machine(cloud)
    asyncio.run(cloud.clock.forward(timedelta(hours=1)))
    told = heard(cloud)[-1]
    assert (told["currencyCode"], told["budgetAmount"]) == ("KRW", 7001)
    assert told["costAmount"] == pytest.approx(float(HOUR) * 1335.266738, rel=0.02)


def test_a_budget_of_what_the_last_period_cost_is_in_the_currency_too(tmp_path: Path) -> None:
    cloud = cloud_in(tmp_path, "KRW")
    started = int(cloud.clock.time()) - 40 * 86_400  # on 1 October
    span = Span(
        "old", "training", PROJECT, ACCOUNT, "us-central1", (Pool("n1-standard-4", 1),), {}, started, started + 36000
    )
    cloud.of(Billing).ledger.note(span)
    body = {"amount": {"lastPeriodAmount": {}}, "budgetFilter": {"calendarPeriod": "MONTH"},
            "notificationsRule": {"pubsubTopic": TOPIC}}  # fmt: skip
    store.create_budget(cloud, ACCOUNT, body)
    asyncio.run(cloud.clock.forward(timedelta(seconds=1)))
    [told] = heard(cloud)
    assert told["budgetAmount"] == pytest.approx(2918, abs=1)  # 2.185 dollars


def test_the_bill_says_what_is_to_be_paid_and_by_which_rate(tmp_path: Path) -> None:
    cloud = cloud_in(tmp_path, "KRW")
    machine(cloud)
    asyncio.run(cloud.clock.forward(timedelta(hours=10)))
    bill = cloud.of(Billing).bill()
    assert bill["other_currencies"] == [
        {"currency": "KRW", "per_dollar": "1335.266738", "as_of": "2026-10-30", "total": "2,918 KRW"}
    ]
    assert "total 2,918 KRW for who is billed in KRW (1 USD = 1,335.27 KRW of 2026-10-30)" in money.table(bill)


def test_a_currency_without_a_rate_counts_as_dollars_and_the_bill_says_so(tmp_path: Path) -> None:
    cloud = cloud_in(tmp_path, "VND")
    machine(cloud)
    budget(cloud, {"specifiedAmount": {"currencyCode": "VND", "units": "1"}})
    asyncio.run(cloud.clock.forward(timedelta(hours=10)))
    assert 0.5 in crossings(cloud)
    words = "an account counts in VND: amounts are dollars all the same, for no rate is known"
    assert words in money.table(cloud.of(Billing).bill())


def test_a_trials_credit_is_told_in_the_currency_too(tmp_path: Path) -> None:
    cloud = assemble(tmp_path, tmp_path / "envs", Ports(1, 2, 3, 4, 5), Fixed())
    billing = cloud.of(Billing)
    billing.create_trial(PROJECT)
    billing.open_account(PROJECT, ACCOUNT, "KRW")
    assert cloud.of(Projects).get(PROJECT)["billingAccount"] == ACCOUNT
    words = money.trial_words((PROJECT, billing.trials()[PROJECT]))
    assert words == f"{PROJECT}: trial open, 300.00 USD (400,580 KRW) of credit and 90 days left"


def test_every_price_of_the_list_is_by_the_same_rate() -> None:
    dollars, won = (skus.skus("95FF-2EF5-5EA1", "now", code) for code in ("", "KRW"))
    for one, other in zip(dollars, won, strict=True):
        [first], [second] = one["pricingInfo"], other["pricingInfo"]
        assert (first["currencyConversionRate"], second["currencyConversionRate"]) == (1.0, 1335.266738)
        rates = (info["pricingExpression"]["tieredRates"][-1]["unitPrice"] for info in (first, second))
        price, converted = (int(money["units"]) * 10**9 + money["nanos"] for money in rates)
        assert converted == round(price * Decimal("1335.266738"))
