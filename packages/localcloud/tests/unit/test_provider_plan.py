"""What the provider would change: the state, as a read of Google leaves it, against what a program says."""

import re
from pathlib import Path

import pytest

from localcloud.provider import schema
from localcloud.provider.plan import table
from localcloud.provider.plan.differences import top
from localcloud.provider.plan.rules import rules
from localcloud.provider.resources.registry import KINDS
from localcloud.provider.wire import UNKNOWN

PAGE = Path(__file__).parents[4] / "docs" / "google.md"
BUCKET, BUDGET = "gcp:storage/bucket:Bucket", "gcp:billing/budget:Budget"
CHANNEL = "gcp:monitoring/notificationChannel:NotificationChannel"
QUOTA, REPOSITORY = "gcp:cloudquota/sQuotaPreference:SQuotaPreference", "gcp:artifactregistry/repository:Repository"


def changes(token, state, news, labels=None):
    return sorted(rules(token).changes(state, news, labels or {}))


QUOTAS = {
    "name": "q", "parent": "projects/p", "service": "s", "quotaId": "Q", "dimensions": {"region": "r"},
    "quotaConfig": {"preferredValue": "1", "grantedValue": "1", "traceId": "t"},
    "ignoreSafetyChecks": "QUOTA_SAFETY_CHECK_UNSPECIFIED",
}  # fmt: skip
ASKED = {name: QUOTAS[name] for name in ("name", "parent", "service", "quotaId", "dimensions")}
ASKED["quotaConfig"] = {"preferredValue": "1"}
POLICIES = [{"id": "a", "action": "KEEP"}, {"id": "b", "action": "DELETE", "condition": {"tagState": "ANY"}}]


@pytest.mark.parametrize(
    ("token", "state", "news", "found"),
    [
        (QUOTA, QUOTAS, ASKED, []),
        # Adopted: nothing tells who is to be written to, and why.
        (
            QUOTA,
            QUOTAS,
            {**ASKED, "contactEmail": "a@b.c", "justification": "x"},
            [("contactEmail", "ADD"), ("justification", "ADD")],
        ),
        (QUOTA, {**QUOTAS, "contactEmail": "a@b.c"}, {**ASKED, "contactEmail": "a@b.c"}, []),
        (QUOTA, {**QUOTAS, "contactEmail": "a@b.c"}, ASKED, [("contactEmail", "DELETE")]),
        (QUOTA, QUOTAS, {**ASKED, "quotaConfig": {"preferredValue": "4"}}, [("quotaConfig.preferredValue", "UPDATE")]),
        (
            QUOTA,
            {k: v for k, v in QUOTAS.items() if k != "ignoreSafetyChecks"},
            ASKED,
            [("ignoreSafetyChecks", "ADD")],
        ),
        (
            QUOTA,
            {**QUOTAS, "quotaConfig": {"preferredValue": ""}},
            {**ASKED, "quotaConfig": {"preferredValue": "0"}},
            [],
        ),
        (BUCKET, {"location": "US-CENTRAL1", "storageClass": "STANDARD"}, {"location": "us-central1"}, []),
        (BUCKET, {"location": "US"}, {"location": "EU"}, [("location", "UPDATE")]),
        (BUCKET, {"location": "US", "storageClass": "NEARLINE"}, {"location": "US"}, [("storageClass", "UPDATE")]),
        (BUCKET, {"location": "US", "versioning": {"enabled": True}}, {"location": "US"}, []),  # nothing is said of it
        (
            BUCKET,
            {"location": "US", "versioning": {"enabled": True}},
            {"location": "US", "versioning": {"enabled": False}},
            [("versioning.enabled", "DELETE")],
        ),
        (BUCKET, {"location": "US", "requesterPays": True}, {"location": "US"}, [("requesterPays", "DELETE")]),
        (BUCKET, {"location": "US", "forceDestroy": False}, {"location": "US"}, []),
        (BUCKET, {"location": "US"}, {"location": "US", "forceDestroy": True}, [("forceDestroy", "ADD")]),  # imported
        (BUCKET, {"location": "US"}, {"location": UNKNOWN}, [("location", "UPDATE")]),
        (REPOSITORY, {"cleanupPolicies": POLICIES}, {"cleanupPolicies": POLICIES[::-1]}, []),
        (REPOSITORY, {"cleanupPolicies": POLICIES}, {"cleanupPolicies": POLICIES[:1]}, [("cleanupPolicies", "UPDATE")]),
        (
            BUDGET,
            {"thresholdRules": [{"thresholdPercent": 0.5, "spendBasis": "CURRENT_SPEND"}, {"thresholdPercent": 1}]},
            {"thresholdRules": [{"thresholdPercent": 1}, {"thresholdPercent": 0.5}]},
            [("thresholdRules[0].thresholdPercent", "UPDATE"), ("thresholdRules[1].thresholdPercent", "UPDATE")],
        ),
        (BUDGET, {"amount": {"specifiedAmount": {"units": "1", "currencyCode": "KRW"}}},
         {"amount": {"specifiedAmount": {"units": "1"}}}, []),
        (BUDGET, {"displayName": "a"}, {}, [("displayName", "DELETE")]),
        (CHANNEL, {"type": "email", "enabled": False}, {"type": "email"}, [("enabled", "ADD")]),
    ],
)  # fmt: skip
def test_what_differs(token, state, news, found):
    assert changes(token, state, news) == found


def test_labels_are_those_of_the_program_and_of_the_provider():
    there = {"team": "blue", "managed-by": "us", "of-others": "x"}
    state = rules(BUCKET).made({"location": "US", "effectiveLabels": there}, {"labels": {"team": "blue"}},
                               {"managed-by": "us"})  # fmt: skip
    assert state["labels"] == {"team": "blue"}
    assert state["pulumiLabels"] == {"team": "blue", "managed-by": "us"}
    news = {"location": "US", "labels": {"team": "blue"}}
    assert changes(BUCKET, state, news, {"managed-by": "us"}) == []
    assert changes(BUCKET, state, news) == [("pulumiLabels", "UPDATE")]
    drifted = rules(BUCKET).read({"location": "US", "effectiveLabels": {"team": "red", "managed-by": "us"}}, state)
    assert changes(BUCKET, drifted, news, {"managed-by": "us"}) == [
        ("labels.team", "UPDATE"),
        ("pulumiLabels", "UPDATE"),
    ]
    imported = rules(BUCKET).read({"location": "US", "effectiveLabels": there}, {})
    assert imported["labels"] == imported["pulumiLabels"] == {}


def test_a_read_keeps_what_google_never_tells_and_nothing_else():
    before = {**QUOTAS, "contactEmail": "a@b.c", "quotaConfig": {"preferredValue": "1", "annotations": {"x": "y"}}}
    found = {"quotaConfig": {"preferredValue": "2"}, "contactEmail": "told@by.the.api"}
    state = rules(QUOTA).read(found, before)
    assert state["contactEmail"] == "a@b.c"
    assert state["quotaConfig"] == {"preferredValue": "2", "annotations": {"x": "y"}}
    assert "service" not in state  # the read overwrites: what is gone in the cloud is gone in the state
    imported = rules(QUOTA).read(found, {})
    assert "contactEmail" not in imported


def test_a_budget_that_tells_somebody_must_say_whom():
    [(path, wrong)] = rules(BUDGET).missing({"allUpdatesRule": {"enableProjectLevelRecipients": True}})
    assert (path, wrong) == ("allUpdatesRule", "needs one of monitoringNotificationChannels, pubsubTopic")
    assert not list(rules(BUDGET).missing({"allUpdatesRule": {"pubsubTopic": UNKNOWN}}))
    assert not list(rules(BUDGET).missing({}))


@pytest.mark.parametrize("row", table.ROWS, ids=lambda row: f"{row.kind} {row.paths.split()[0]} {row.rule[:6]}")
def test_each_row_is_of_a_kind_and_told_in_the_docs(row):
    headings = re.findall(r"^#+ (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert row.anchor in anchors
    if row.kind != "*":
        shape = schema.resource(f"gcp:{row.kind}")
        assert f"gcp:{row.kind}" in KINDS and shape is not None
        assert {top(path.replace("[]", "")) for path in row.paths.split()} <= set(shape.inputs)
