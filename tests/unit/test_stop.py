"""The function that stops in stages, alone: what it takes for a budget's message, and when a period is over."""

import base64
import json
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO

import pytest

from infra import stops
from infra.stop import foreign, messages, stages
from infra.stop.messages import Notice, Unreadable

ATTRIBUTES = {"billingAccountId": "012345-6789AB-CDEF01", "budgetId": "b-1", "schemaVersion": "1.0"}
DATA = {
    "budgetDisplayName": "cloudkite mine (my-project)",
    "alertThresholdExceeded": 0.9,
    "costAmount": 9.3,
    "costIntervalStart": "2026-11-01T07:00:00Z",
    "budgetAmount": 10,
    "budgetAmountType": "SPECIFIED_AMOUNT",
    "currencyCode": "USD",
}


def event(data=DATA, attributes=ATTRIBUTES, raw=None):
    text = json.dumps(data).encode() if raw is None else raw
    return {"message": {"data": base64.b64encode(text).decode(), "attributes": attributes}, "subscription": "s"}


def test_a_message_of_the_schema_is_read_exactly():
    notice = messages.read(event())
    assert notice == Notice(
        "billingAccounts/012345-6789AB-CDEF01/budgets/b-1",
        datetime(2026, 11, 1, 7, tzinfo=UTC),
        Decimal("9.3"),
        Decimal(10),
        "USD",
    )
    assert notice.percent == 93


UNREADABLE = [
    (None, "it has no message"),
    ("text", "it has no message"),
    ({"message": "text"}, "it has no message"),
    (event(attributes={}), "its attributes name no budget"),
    ({"message": {"attributes": None}}, "its attributes name no budget"),
    (event(attributes={**ATTRIBUTES, "schemaVersion": "2.0"}), "its schema is '2.0', not 1.0"),
    ({"message": {"data": "%", "attributes": ATTRIBUTES}}, "its data can't be read: "),
    (event(raw=b"{"), "its data can't be read: "),
    (event(raw=b"\xff"), "its data can't be read: "),
    (event(raw=b"[]"), "its data aren't a JSON object"),
    (event({**DATA, "budgetAmount": None}), "its budgetAmount is None"),
    (event({**DATA, "budgetAmount": 0}), "its budgetAmount is 0"),
    (event({**DATA, "budgetAmount": True}), "its budgetAmount is True"),
    (event({**DATA, "costAmount": "9.3"}), "its costAmount is '9.3'"),
    (event(raw=json.dumps({**DATA, "costAmount": float("nan")}).encode()), "its costAmount is nan"),
    (event({**DATA, "costIntervalStart": "November"}), "its costIntervalStart is 'November'"),
    (event({**DATA, "costIntervalStart": None}), "its costIntervalStart is None"),
]


@pytest.mark.parametrize(("data", "words"), UNREADABLE)
def test_what_is_no_message_of_a_budget_says_why(data, words):
    with pytest.raises(Unreadable) as told:
        messages.read(data)
    assert str(told.value).startswith(words)


@pytest.mark.parametrize(
    ("begins", "period", "ends"),
    [
        ("2026-11-01T07:00:00+00:00", "month", "2026-12-01T08:00:00+00:00"),  # summer time ends in between
        ("2026-12-01T08:00:00+00:00", "month", "2027-01-01T08:00:00+00:00"),
        ("2027-03-01T08:00:00+00:00", "month", "2027-04-01T07:00:00+00:00"),
        ("2026-11-10T08:00:00+00:00", "trial", "2027-02-09T08:00:00+00:00"),
    ],
)
def test_a_period_ends_by_pacific_time(begins, period, ends):
    found = stages._ends(datetime.fromisoformat(begins), period)
    assert found == datetime.fromisoformat(ends)


def test_what_is_sent_is_what_the_framework_reads_and_the_package_beside_it():
    files = stops.files_of(stops.SOURCE)
    assert {"main.py", "requirements.txt", "stop/__init__.py", "stop/stages.py", "stop/messages.py"} <= set(files)
    assert "stop/main.py" not in files
    data = BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            compile(text, name, "exec") if name.endswith(".py") else None
            archive.writestr(name, text)
    for line in files["requirements.txt"].splitlines():
        assert "==" in line


@pytest.mark.parametrize(
    ("asset", "known"),
    [
        ({"assetType": "storage.googleapis.com/Bucket", "name": "//storage.googleapis.com/x"}, False),
        ({"assetType": "storage.googleapis.com/Bucket", "name": "//s/x", "labels": {"managed-by": "cloudkite"}}, True),
        ({"assetType": "storage.googleapis.com/Bucket", "name": "//s/x", "labels": {"managed-by": "other"}}, False),
        ({"assetType": "storage.googleapis.com/Bucket", "name": "//s/gcf-v2-sources-1-us-central1"}, True),
        ({"assetType": "compute.googleapis.com/Network", "name": "//c/default"}, True),
        ({"assetType": "compute.googleapis.com/Instance", "name": "//c/vm"}, False),
        ({"assetType": "aiplatform.googleapis.com/CustomJob", "name": "//a/1", "state": "JOB_STATE_SUCCEEDED"}, True),
        ({"assetType": "aiplatform.googleapis.com/CustomJob", "name": "//a/1", "state": "JOB_STATE_RUNNING"}, False),
        ({"assetType": "pubsub.googleapis.com/Topic", "name": "//p/cloudkite-budget"}, True),
        ({"assetType": "sqladmin.googleapis.com/Instance", "name": "//sql/db"}, False),
        ({}, False),  # what it does not know is foreign
    ],
)
def test_what_is_foreign(asset, known):
    assert foreign._is_known(asset, ("cloudkite-stop", "cloudkite-budget")) is known
