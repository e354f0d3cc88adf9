"""Budgets against costs, in one process with a clock of its own: filters, periods, credits, forecasts."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from localcloud.apis import assemble
from localcloud.billing import store
from localcloud.billing.meter import Billing
from localcloud.core.asked.usage import Pool, Span
from localcloud.core.clock import Clock
from localcloud.core.cloud import Cloud
from localcloud.core.ports import Ports
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects
from localcloud.pubsub.store import PubSub
from localcloud.storage.store import Storage

ACCOUNT = "billingAccounts/012345-6789AB-CDEF01"
HOUR, DAY = 3600, 86_400
TOPIC, SUBSCRIPTION = "projects/test-project/topics/told", "projects/test-project/subscriptions/told"


class Fixed(Clock):
    """Stands still at noon of 10 November 2026 in UTC until it is moved."""

    def time(self) -> float:
        return 1_794_312_000 + self.ahead.total_seconds()

    def now(self) -> Any:
        return datetime.fromtimestamp(self.time(), UTC)


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """One with a project, a topic, and a subscription that hears all."""
    made = assemble(tmp_path, tmp_path / "envs", Ports(1, 2, 3, 4, 5), Fixed())
    for project in ("test-project", "other-project"):
        made.of(Projects).create(project, payer=ACCOUNT)
    made.of(Billing).accounts.open(ACCOUNT, "", "USD")
    made.of(Projects).enable("test-project", "pubsub.googleapis.com", "billingbudgets.googleapis.com")
    made.of(PubSub).create_topic(TOPIC)
    made.of(PubSub).create_subscription(SUBSCRIPTION, {"topic": TOPIC, "messageRetentionDuration": "2678400s"})
    return made


def use(cloud: Cloud, hours: int, **changes: Any) -> None:
    """A machine of 0.2185 dollars an hour, from so many hours ago until now."""
    now = int(cloud.clock.time())
    span = Span(
        f"job-{now}-{sorted(changes.items())}", "training", "test-project", ACCOUNT, "us-central1",
        (Pool("n1-standard-4", 1),), {}, now - hours * HOUR, now,
    )  # fmt: skip
    cloud.of(Billing).ledger.note(replace(span, **changes))


def budget(cloud: Cloud, amount: Any = None, rules: Any = None, **filters: Any) -> dict[str, Any]:
    body = {
        "displayName": "b",
        "amount": amount or {"specifiedAmount": {"units": "1"}},
        "budgetFilter": filters,
        "thresholdRules": rules or [{"thresholdPercent": 0.5}, {"thresholdPercent": 1}],
        "notificationsRule": {"pubsubTopic": TOPIC},
    }
    return store.create_budget(cloud, ACCOUNT, body)


def heard(cloud: Cloud) -> list[dict[str, Any]]:
    """What the topic told since the last time, and when it was `published`, in seconds."""
    cloud.of(Billing)._settle()
    found = cloud.of(PubSub).pull(SUBSCRIPTION, 1000)
    if found:
        cloud.of(PubSub).acknowledge(SUBSCRIPTION, [one.ack_id for one in found])
    return [
        json.loads(base64.b64decode(str(one.message["data"])))
        | {"published": datetime.fromisoformat(str(one.message["publishTime"])).timestamp()}
        for one in found
    ]


def forward(cloud: Cloud, seconds: int) -> None:
    asyncio.run(cloud.clock.forward(timedelta(seconds=seconds)))


@pytest.mark.parametrize(
    ("filters", "changes", "counted"),
    [
        ({}, {}, True),
        ({"projects": ["projects/test-project"]}, {}, True),
        ({"projects": ["projects/other-project"]}, {}, False),
        ({"projects": ["projects/other-project"]}, {"project": "other-project"}, True),
        ({"services": ["services/C7E2-9256-1C43"]}, {}, True),
        ({"services": ["services/95FF-2EF5-5EA1"]}, {}, False),
        ({"labels": {"team": {"values": ["a", "b"]}}}, {"labels": {"team": "b"}}, True),
        ({"labels": {"team": {"values": ["a"]}}}, {"labels": {"team": "b"}}, False),
        ({}, {"payer": "billingAccounts/AAAAAA-000000-000001"}, False),
        ({"calendarPeriod": "MONTH"}, {"started": 1_793_000_000, "ended": 1_793_036_000}, False),  # in October
        ({"calendarPeriod": "QUARTER"}, {"started": 1_793_000_000, "ended": 1_793_036_000}, True),
        ({"customPeriod": {"startDate": {"year": 2026, "month": 11, "day": 9}}}, {}, True),
        (
            {"customPeriod": {"startDate": {"year": 2026, "month": 11, "day": 10}}},
            {"started": 1_794_200_000, "ended": 1_794_203_600},
            False,
        ),
    ],
)
def test_what_a_budget_counts(cloud: Cloud, filters: Any, changes: Any, counted: bool) -> None:
    budget(cloud, **filters)
    use(cloud, 1, **changes)
    [told] = heard(cloud)
    assert (told["costAmount"] > 0) is counted
    assert told["currencyCode"] == "USD"


def test_each_threshold_is_told_once_and_the_highest_is_named(cloud: Cloud) -> None:
    budget(cloud)
    use(cloud, 1)
    assert [one.get("alertThresholdExceeded") for one in heard(cloud)] == [None]
    use(cloud, 2, labels={"n": "2"})
    assert [one["alertThresholdExceeded"] for one in heard(cloud)] == [0.5]
    assert heard(cloud) == []
    use(cloud, 3, labels={"n": "3"})
    assert [one["alertThresholdExceeded"] for one in heard(cloud)] == [1]
    assert [mail["subject"] for mail in cloud.of(Billing).ledger.mail()] == [
        "b has reached 50% of 1.00", "b has reached 100% of 1.00"
    ]  # fmt: skip


def test_a_jump_tells_of_each_threshold_when_it_is_reached_and_begins_each_month_anew(cloud: Cloud) -> None:
    budget(cloud, {"specifiedAmount": {"units": "50"}})
    heard(cloud)
    begun = cloud.clock.time()
    use(cloud, 0, ended=None)
    forward(cloud, 22 * DAY)
    told = heard(cloud)
    november = [one for one in told if one["costIntervalStart"] == "2026-11-01T07:00:00Z"]
    reached = {one.get("alertThresholdExceeded"): one for one in reversed(november)}
    for share in (0.5, 1.0):
        assert reached[share]["costAmount"] == pytest.approx(50 * share, abs=0.005)  # within a minute of it
        hours = 50 * share / 0.21849885
        assert reached[share]["published"] - begun == pytest.approx(hours * HOUR, abs=60)
    assert [one["costAmount"] for one in november] == sorted(one["costAmount"] for one in november)
    december = [one for one in told if one["costIntervalStart"] == "2026-12-01T08:00:00Z"]
    assert december == told[len(november) :]
    assert (december[0]["costAmount"], "alertThresholdExceeded" in december[-1]) == (pytest.approx(0, abs=0.005), False)
    assert 40 < len(told) < 60
    assert [mail["time"][:10] for mail in cloud.of(Billing).ledger.mail()] == ["2026-11-15", "2026-11-20"]


def test_a_jump_stops_for_nothing_where_nothing_costs(cloud: Cloud) -> None:
    budget(cloud)
    use(cloud, 1)
    heard(cloud)
    forward(cloud, 20 * DAY)
    assert len(heard(cloud)) == 1


def test_a_trial_ends_in_the_middle_of_a_jump_when_its_credit_is_used_up(cloud: Cloud) -> None:
    cloud.of(Billing).create_trial("trial-project")
    account = cloud.of(Projects).get("trial-project")["billingAccount"]
    use(cloud, 0, ended=None, project="trial-project", payer=account)
    forward(cloud, 80 * DAY)
    trial = cloud.of(Billing).accounts.trial("trial-project")
    assert trial and trial.closed
    assert (trial.closed - trial.started) / HOUR == pytest.approx(300 / 0.21849885, abs=0.02)


def test_last_months_cost_may_be_the_amount(cloud: Cloud) -> None:
    use(cloud, 1, started=1_793_000_000, ended=1_793_000_000 + 10 * HOUR)
    budget(cloud, {"lastPeriodAmount": {}})
    use(cloud, 6)
    [told] = heard(cloud)
    assert (told["budgetAmountType"], told["alertThresholdExceeded"]) == ("LAST_PERIODS_COST", 0.5)
    assert told["budgetAmount"] == pytest.approx(2.185, abs=0.01)


def test_a_forecast_exceeds_before_the_cost_does(cloud: Cloud) -> None:
    budget(cloud, rules=[{"thresholdPercent": 1, "spendBasis": "FORECASTED_SPEND"}, {"thresholdPercent": 1}])
    use(cloud, 1)
    [told] = heard(cloud)
    assert told["forecastThresholdExceeded"] == 1
    assert "alertThresholdExceeded" not in told


@pytest.mark.parametrize(
    ("filters", "net"),
    [
        ({}, True),
        ({"creditTypesTreatment": "EXCLUDE_ALL_CREDITS"}, False),
        ({"creditTypesTreatment": "INCLUDE_SPECIFIED_CREDITS", "creditTypes": ["PROMOTION"]}, True),
        ({"creditTypesTreatment": "INCLUDE_SPECIFIED_CREDITS", "creditTypes": ["DISCOUNT"]}, False),
    ],
)
def test_a_trials_credit_hides_costs_from_a_budget_that_includes_it(cloud: Cloud, filters: Any, net: bool) -> None:
    cloud.of(Billing).create_trial("trial-project")
    budget(cloud, projects=["projects/trial-project"], **filters)
    assert cloud.of(Projects).get("trial-project")["billingAccount"] == ACCOUNT  # the one that the budget named
    use(cloud, 3, project="trial-project")
    [told] = heard(cloud)
    assert told["costAmount"] == (0 if net else pytest.approx(0.6555, abs=0.001))
    assert cloud.of(Billing).trials()["trial-project"]["credit_left"].startswith("299.34")


def test_a_trials_credit_pays_all_through_a_jump(cloud: Cloud) -> None:
    cloud.of(Billing).create_trial("trial-project")
    budget(cloud, {"specifiedAmount": {"units": "1"}}, projects=["projects/trial-project"])
    use(cloud, 0, ended=None, project="trial-project")
    forward(cloud, 20 * DAY)
    told = heard(cloud)
    assert {one["costAmount"] for one in told} == {0}
    assert len(told) < 60


def test_an_object_of_a_colder_class_that_goes_early_is_charged_for_the_rest_of_its_least_time(cloud: Cloud) -> None:
    bucket = {
        "location": "us-central1",
        "storageClass": "NEARLINE",
        "softDeletePolicy": {"retentionDurationSeconds": "0"},
    }
    for name in ("early-cold", "early-enough"):
        cloud.of(Storage).create_bucket("test-project", {"name": name, **bucket})
        cloud.of(Storage).put_object(name, "x", bytes(1 << 20))
    forward(cloud, 10 * DAY)
    cloud.of(Storage).delete_object("early-cold", "x")
    cloud.of(Billing).sample()
    forward(cloud, 20 * DAY)
    cloud.of(Storage).delete_object("early-enough", "x")
    cloud.of(Billing).sample()
    amounts: dict[tuple[str, bool], float] = defaultdict(float)
    for line in cloud.of(Billing).lines():
        amounts[line.resource, "Early Deletion" in line.sku] += float(line.amount) * 1024
    month = pytest.approx(1, abs=0.05)  # of a mebibyte; November has 30 days, December 31
    assert amounts["buckets/early-cold", True] * 3 / 2 == month
    assert amounts["buckets/early-cold", False] * 3 == month
    assert amounts["buckets/early-enough", False] == month
    assert ("buckets/early-enough", True) not in amounts


def test_who_may_no_longer_publish_is_not_heard(cloud: Cloud) -> None:
    budget(cloud)
    cloud.of(Iam).set_policy(TOPIC, {"bindings": []})
    assert heard(cloud) == []


OWN_PERIOD = {"customPeriod": {"startDate": {"year": 2026, "month": 11, "day": 9}}}
WRONG: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda body: body["notificationsRule"].update(pubsubTopic="projects/test-project/topics/none"), "pubsub_topic"),
    (lambda body: body["notificationsRule"].update(pubsubTopic="here"), "pubsub_topic"),
    (lambda body: body["notificationsRule"].update(schemaVersion="2.0"), "schema_version 2.0 is unknown"),
    (lambda body: body.update(budgetFilter=OWN_PERIOD, amount={"lastPeriodAmount": {}}), "last_period_amount can't be"),
    (lambda body: body.update(budgetFilter=OWN_PERIOD | {"calendarPeriod": "MONTH"}), "either calendar_period or"),
    (
        lambda body: body.update(
            budgetFilter=OWN_PERIOD, thresholdRules=[{"thresholdPercent": 1, "spendBasis": "FORECASTED_SPEND"}]
        ),
        "FORECASTED_SPEND can't be set in combination with budget_filter.custom_period",
    ),
]


@pytest.mark.parametrize(("spoil", "words"), WRONG)
def test_budgets_that_can_not_be(cloud: Cloud, spoil: Any, words: str) -> None:
    from localcloud.core.errors import ApiError

    body = {"amount": {"specifiedAmount": {"units": "1"}}, "notificationsRule": {"pubsubTopic": TOPIC}}
    spoil(body)
    with pytest.raises(ApiError) as refused:
        store.create_budget(cloud, ACCOUNT, body)
    assert (refused.value.code, words in refused.value.message) == (400, True)
