"""Budgets that notify: thresholds, a kill switch, filters, and Google's own clients."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from clouds.charged import DAY, MINE, PUBSUB, SLEEP, VERTEX, Place

pytestmark = pytest.mark.slow


def _subscribed(place: Place) -> tuple[str, str]:
    topic, subscription = "projects/test-project/topics/budget", f"{PUBSUB}/projects/test-project/subscriptions/budget"
    assert place.session.put(f"{PUBSUB}/{topic}", json={}).ok
    assert place.session.put(subscription, json={"topic": topic}).ok
    return topic, subscription


def _messages(place: Place, subscription: str) -> list[dict[str, Any]]:
    """All that waits, acknowledged."""
    answer = place.session.post(f"{subscription}:pull", json={"maxMessages": 100, "returnImmediately": True})
    found = answer.json().get("receivedMessages", [])
    if found:
        place.session.post(f"{subscription}:acknowledge", json={"ackIds": [one["ackId"] for one in found]})
    return [one["message"] for one in found]


def _budget(place: Place, topic: str, units: str, **filters: Any) -> dict[str, Any]:
    body = {
        "displayName": "classroom",
        "amount": {"specifiedAmount": {"currencyCode": "USD", "units": units}},
        "budgetFilter": {
            "projects": ["projects/test-project"],
            "creditTypesTreatment": "EXCLUDE_ALL_CREDITS",
            "calendarPeriod": "YEAR",
            **filters,
        },
        "thresholdRules": [
            {"thresholdPercent": 0.5},
            {"thresholdPercent": 1.0},
            {"thresholdPercent": 1.0, "spendBasis": "FORECASTED_SPEND"},
        ],
        "notificationsRule": {"pubsubTopic": topic, "schemaVersion": "1.0"},
    }
    answer = place.session.post(f"https://billingbudgets.googleapis.com/v1/{MINE}/budgets", json=body)
    assert answer.ok, answer.text
    return answer.json()


def test_a_budget_notifies_a_topic_and_the_kill_switch_stops_all(place: Place) -> None:
    topic, subscription = _subscribed(place)
    budget = _budget(place, topic, "3")
    policy = place.session.get(f"{PUBSUB}/{topic}:getIamPolicy").json()
    assert policy["bindings"] == [
        {
            "role": "roles/pubsub.publisher",
            "members": ["serviceAccount:billing-budget-alert@system.gserviceaccount.com"],
        }
    ]
    place.forward(1)
    [quiet] = _messages(place, subscription)
    assert quiet["attributes"] == {
        "billingAccountId": "012345-6789AB-CDEF01",
        "budgetId": budget["name"].rpartition("/")[2],
        "schemaVersion": "1.0",
    }
    told = json.loads(base64.b64decode(quiet["data"]))
    assert set(told) == {
        "budgetDisplayName", "costAmount", "costIntervalStart", "budgetAmount", "budgetAmountType", "currencyCode"
    }  # fmt: skip
    assert (told["costAmount"], told["budgetAmount"], told["budgetAmountType"]) == (0, 3, "SPECIFIED_AMOUNT")
    assert told["costIntervalStart"].endswith("-01-01T08:00:00Z")
    job = place.run(SLEEP)
    place.forward(7 * 3600)  # 1.72 dollars
    messages = _messages(place, subscription)
    heard = [json.loads(base64.b64decode(one["data"])) for one in messages]
    half = next(one for one in heard if "alertThresholdExceeded" in one)
    assert half["alertThresholdExceeded"] == 0.5
    assert 1.5 < half["costAmount"] < 1.51
    assert next(one for one in heard if "forecastThresholdExceeded" in one)["costAmount"] < half["costAmount"]
    times = [datetime.fromisoformat(one["publishTime"]).timestamp() for one in messages]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert len(gaps) > 18 and max(gaps) < 20 * 60 + 90  # about every 20 minutes, whatever the thresholds
    assert place.bill()["mail"][0]["to"] == "billing administrators of 012345-6789AB-CDEF01"
    place.forward(7 * 3600)
    over = [json.loads(base64.b64decode(one["data"])) for one in _messages(place, subscription)][-1]
    assert over["alertThresholdExceeded"] == 1.0
    assert over["costAmount"] > over["budgetAmount"]
    # A budget alone stops nothing; this is what the documented subscriber does.
    assert place.session.get(f"{VERTEX}/{job['name']}").json()["state"] == "JOB_STATE_RUNNING"
    stop = """
    import json, os
    import google.auth
    from google.auth.transport.requests import AuthorizedSession
    session = AuthorizedSession(google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])[0])
    url = "https://cloudbilling.googleapis.com/v1/projects/test-project/billingInfo"
    assert session.put(url, json={"billingAccountName": ""}).json()["billingEnabled"] is False
    """
    place.cloud.run(stop)
    place.link(MINE)
    place.wait(job["name"], "FAILED")


KILL_SWITCH = """
import json
import google.auth
from google.auth.transport.requests import AuthorizedSession
from google.cloud import pubsub_v1

session = AuthorizedSession(google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])[0])
url = "https://cloudbilling.googleapis.com/v1/projects/test-project/billingInfo"

def hear(message):
    told = json.loads(message.data)
    if told["costAmount"] > told["budgetAmount"] and session.get(url).json()["billingEnabled"]:
        assert session.put(url, json={"billingAccountName": ""}).ok
    print(told["costAmount"], flush=True)
    message.ack()

pubsub_v1.SubscriberClient().subscribe("projects/test-project/subscriptions/budget", hear).result()
"""


def test_in_a_long_jump_a_kill_switch_acts_when_the_budget_is_reached(place: Place) -> None:
    topic, _ = _subscribed(place)
    _budget(place, topic, "3")
    listening = subprocess.Popen(
        [sys.executable, "-c", KILL_SWITCH],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **place.cloud.environment},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert listening.stdout
    try:
        place.forward(1)
        assert float(listening.stdout.readline()) == 0  # it hears
        limited = place.run(SLEEP, timeout="14400s")
        job = place.run(SLEEP)
        place.forward(30 * DAY)
        last = next(cost for cost in map(float, listening.stdout) if cost > 3)
        assert last < 3.01
        assert place.link(MINE).ok
        ended = place.wait(limited["name"], "FAILED")
        assert (_hours(ended), ended["error"]["code"]) == (pytest.approx(4, abs=0.01), 4)
        ended = place.wait(job["name"], "FAILED")
        assert ended["error"]["message"] == "The billing account of the project was unlinked."
        assert _hours(ended) == pytest.approx(8.23, abs=0.05)  # 0.2453 dollars an hour, with the disk
        assert 3 < Decimal(place.bill()["cost"]) < Decimal("3.02")
    finally:
        listening.kill()
        listening.communicate()


def _hours(job: dict[str, Any]) -> float:
    return (datetime.fromisoformat(job["endTime"]) - datetime.fromisoformat(job["startTime"])).total_seconds() / 3600


def test_a_budget_counts_what_its_filter_names(place: Place) -> None:
    topic, subscription = _subscribed(place)
    _budget(place, topic, "1", labels={"team": {"values": ["blue"]}})
    place.run(SLEEP, team="red")
    place.forward(24 * 3600)
    told = [json.loads(base64.b64decode(one["data"])) for one in _messages(place, subscription)]
    assert {one["costAmount"] for one in told} == {0}
    place.run(SLEEP, team="blue")
    place.forward(24 * 3600)
    told = [json.loads(base64.b64decode(one["data"])) for one in _messages(place, subscription)]
    assert told[-1]["alertThresholdExceeded"] == 1.0


def test_the_real_clients_make_a_budget_and_hear_of_it(place: Place) -> None:
    script = f"""
    from google.api_core import exceptions
    from google.cloud import pubsub_v1
    from google.cloud.billing import budgets_v1
    topic = "projects/test-project/topics/real"
    subscription = "projects/test-project/subscriptions/real"
    pubsub_v1.PublisherClient().create_topic(name=topic)
    pubsub_v1.SubscriberClient().create_subscription(name=subscription, topic=topic)
    client = budgets_v1.BudgetServiceClient()
    budget = budgets_v1.Budget(
        display_name="real",
        amount={{"specified_amount": {{"currency_code": "USD", "units": 5}}}},
        threshold_rules=[{{"threshold_percent": 0.9}}],
        notifications_rule={{"pubsub_topic": topic, "schema_version": "1.0"}},
    )
    made = client.create_budget(parent="{MINE}", budget=budget)
    assert made.notifications_rule.pubsub_topic == topic
    budget.notifications_rule.pubsub_topic = topic + "-missing"
    try:
        client.create_budget(parent="{MINE}", budget=budget)
    except exceptions.InvalidArgument as error:
        assert "Resource not found (resource=real-missing)" in str(error)
    else:
        raise AssertionError
    """
    place.cloud.run(script)
    place.forward(1)
    hear = """
    import json
    from google.cloud import pubsub_v1
    subscriber = pubsub_v1.SubscriberClient()
    got = subscriber.pull(subscription="projects/test-project/subscriptions/real", max_messages=1).received_messages
    assert json.loads(got[0].message.data)["budgetDisplayName"] == "real"
    assert got[0].message.attributes["schemaVersion"] == "1.0"
    """
    place.cloud.run(hear)
