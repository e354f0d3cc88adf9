"""Spend caps over REST: what a budget with one must say, and what it does when its amount is reached."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clouds.charged import DAY, MINE, SLEEP, Place, refusal

pytestmark = pytest.mark.slow
BUDGETS = f"https://billingbudgets.googleapis.com/v1/{MINE}/budgets"


def cap(units: str = "3", **more: Any) -> dict[str, Any]:
    return {
        "displayName": "a cap",
        "budgetFilter": {
            "projects": ["projects/test-project"],
            "services": ["services/C7E2-9256-1C43"],
            "creditTypesTreatment": "EXCLUDE_ALL_CREDITS",
            "calendarPeriod": "MONTH",
        },
        "amount": {"specifiedAmount": {"units": units}},
        "thresholdRules": [{"thresholdPercent": part} for part in (0.5, 0.8, 1.0)],
        "notificationsRule": {"enableProjectLevelRecipients": True},
        "ownershipScope": "ALL_USERS",
        "spendCap": {"inputState": "CONFIGURED"},
    } | more


def changed(part: str, **fields: Any) -> dict[str, Any]:
    body = cap()
    body[part] = body[part] | fields
    return body


REFUSED = [
    (changed("budgetFilter", projects=[]), "exactly one project"),
    (changed("budgetFilter", services=[]), "exactly one service that is eligible"),
    (changed("budgetFilter", services=["services/95FF-2EF5-5EA1"]), "exactly one service that is eligible"),
    (changed("budgetFilter", creditTypesTreatment="INCLUDE_ALL_CREDITS"), "must be EXCLUDE_ALL_CREDITS"),
    (changed("budgetFilter", calendarPeriod="YEAR"), "by calendar_period MONTH"),
    (changed("budgetFilter", labels={"a": ["b"]}), "by calendar_period MONTH"),
    (cap(amount={"lastPeriodAmount": {}}), "must be specified_amount"),
    (cap(thresholdRules=[{"thresholdPercent": 1.0}]), "must be 0.5, 0.8 and 1.0"),
    (cap(notificationsRule={}), "must enable project level recipients"),
    (changed("notificationsRule", disableDefaultIamRecipients=True), "must enable project level recipients"),
    (cap(ownershipScope="BILLING_ACCOUNT"), "must be ALL_USERS"),
    (cap(spendCap={"inputState": "ENFORCED"}), "input_state ENFORCED is not valid for a cap that is new"),
    (cap(spendCap={"inputState": "AWAITING_NEXT_PERIOD"}), "is not valid for a cap that is new"),
]


def test_what_a_cap_must_say(place: Place) -> None:
    for body, words in REFUSED:
        code, status, message = refusal(place.session.post(BUDGETS, json=body))
        assert (code, status) == (400, "INVALID_ARGUMENT")
        assert words in message
    made = place.session.post(BUDGETS, json=cap()).json()
    assert made["spendCap"] == {"inputState": "CONFIGURED", "outputState": "CONFIGURED", "reconciling": False}
    assert made["amount"]["specifiedAmount"] == {"currencyCode": "USD", "units": "3"}
    again = refusal(place.session.post(BUDGETS, json=cap("5")))
    assert again == (400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
    assert place.session.delete(f"https://billingbudgets.googleapis.com/v1/{made['name']}").ok
    assert place.session.post(BUDGETS, json=cap("5")).ok


def test_a_cap_pauses_what_would_begin_and_is_lifted_by_hand_or_by_the_month(place: Place) -> None:
    name = place.session.post(BUDGETS, json=cap()).json()["name"]
    url = f"https://billingbudgets.googleapis.com/v1/{name}"

    def state() -> str:
        return place.session.get(url).json()["spendCap"]["outputState"]

    job = place.run(SLEEP, machine="n1-standard-16")
    place.forward(2 * 3600)
    assert state() == "CONFIGURED"
    place.forward(3 * 3600)
    assert state() == "ENFORCED"
    # What runs goes on, and is to be looked at and ended; what would begin is refused.
    assert place.wait(job["name"], "RUNNING")
    spec = json.loads(json.dumps(job["jobSpec"]))
    answer = place.session.post(place.jobs, json={"displayName": "more", "jobSpec": spec})
    code, status, message = refusal(answer)
    assert (code, status) == (429, "RESOURCE_EXHAUSTED")
    assert message.startswith("Your project has exceeded its monthly spending cap.")
    answer = place.session.patch(f"{url}?updateMask=displayName", json={"displayName": "other"})
    assert refusal(answer)[:2] == (400, "FAILED_PRECONDITION")
    lift = {"spendCap": {"inputState": "AWAITING_NEXT_PERIOD"}}
    assert place.session.patch(f"{url}?updateMask=spendCap.inputState", json=lift).ok
    assert state() == "AWAITING_NEXT_PERIOD"
    place.run("pass")
    place.forward(3600)
    assert state() == "AWAITING_NEXT_PERIOD"  # lifted is lifted, for the rest of the month
    assert place.session.post(f"https://us-central1-aiplatform.googleapis.com/v1/{job['name']}:cancel", json={}).ok
    place.wait(job["name"], "CANCELLED")
    place.forward(32 * DAY)
    assert state() == "CONFIGURED"
    place.run("pass")
