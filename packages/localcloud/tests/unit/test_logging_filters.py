"""The filter language of Cloud Logging: what matches, what does not, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.core.errors import ApiError
from localcloud.core.filters import parse
from localcloud.logging.entries import nanoseconds, timestamp
from localcloud.logging.filtering.matching import matcher

ENTRY: dict[str, Any] = {
    "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
    "resource": {"type": "ml_job", "labels": {"job_id": "123", "task_name": "workerpool0-0"}},
    "timestamp": "2026-11-24T10:00:00.5Z",
    "severity": "WARNING",
    "insertId": "a1",
    "labels": {"ml.googleapis.com/job_id": "123", "plain": "Yes"},
    "jsonPayload": {
        "message": "Epoch 3/20 loss=0.21",
        "epoch": 3,
        "done": False,
        "tags": ["red", "blue"],
        "a": {"b": "c"},
    },
}

MATCHING = [
    "",
    "-- nothing but a comment",
    'resource.type="ml_job"',
    "resource.type=ml_job",
    "resource.type=ML_JOB",
    'resource.labels.job_id="123" AND severity>=INFO',
    'resource.labels.job_id="123" severity>=INFO',
    'resource.labels.job_id="123"\nseverity>=INFO -- and so on',
    "severity>=WARNING",
    "severity=warning",
    "severity<ERROR",
    "severity>200",
    "severity!=ERROR",
    "severity=(ERROR OR WARNING)",
    "NOT severity=ERROR",
    "-severity=ERROR",
    'timestamp>="2026-11-24T10:00:00Z"',
    'timestamp>="2026-11-24T10:00:00Z" timestamp<"2026-11-24T10:00:01Z"',
    "timestamp>=2026-11-24",
    'timestamp>="2026-11-24"',
    'timestamp="2026-11-24T12:00:00.5+02:00"',
    'logName="projects/p/logs/cloudaudit.googleapis.com%2Factivity"',
    'logName="projects/p/logs/cloudaudit.googleapis.com/activity"',
    'log_name:"activity"',
    'log_id("cloudaudit.googleapis.com/activity")',
    'labels."ml.googleapis.com/job_id"="123"',
    "labels.ml.googleapis.com/job_id=123",
    "labels.plain=yes",
    "labels:plain",
    "labels.plain:*",
    "jsonPayload.epoch=3",
    "jsonPayload.epoch>2.5",
    "jsonPayload.epoch<=3",
    "jsonPayload.done=false",
    "jsonPayload.tags=blue",
    'jsonPayload.tags:("red" AND "blu")',
    "jsonPayload.a.b=C",
    'jsonPayload.message:"LOSS"',
    'jsonPayload.message=~"loss=0\\.[0-9]+"',
    'jsonPayload.message=~"^Epoch \\d+/20"',
    'jsonPayload.message!~"accuracy"',
    "epoch",
    '"epoch 3"',
    "blue AND red",
    "missing OR epoch",
    "NOT missing",
    "NOT jsonPayload.missing=1",
    # OR binds tighter than AND: (missing OR epoch) AND (red OR missing)
    "missing OR epoch AND red OR missing",
    "(missing AND epoch) OR red",
    'SEARCH("epoch loss")',
    "sample(insertId, 1)",
]
OTHER = [
    'resource.type="gce_instance"',
    "severity>=ERROR",
    "severity=DEFAULT",
    "NOT severity>=INFO",
    'timestamp<"2026-11-24T10:00:00Z"',
    "jsonPayload.missing=1",
    "jsonPayload.missing!=1",
    "jsonPayload.missing:*",
    "jsonPayload.epoch>3",
    "jsonPayload.done=true",
    "jsonPayload.tags=green",
    'jsonPayload.message=~"LOSS"',
    "labels:absent",
    "epoch AND missing",
    "missing OR (epoch AND missing)",
    "-epoch",
    'log_id("activity")',
    "sample(insertId, 0)",
    'jsonPayload.message:("loss" AND "accuracy")',
    'jsonPayload.message:(NOT "loss")',
]
REFUSED = [
    ("severity>=", "line 1, column 11, token 'end of filter'"),
    ("(severity>=INFO", "line 1, column 16, token 'end of filter'"),
    ("severity>=INFO)", "line 1, column 15, token ')'"),
    ("severity>=INFO AND", "line 1, column 19, token 'end of filter'"),
    ("severity>=INFO\nAND AND x", "line 2, column 5, token 'AND'"),
    ("OR x", "line 1, column 1, token 'OR'"),
    ('textPayload="open', "line 1, column 13"),
    ("severity>=LOUD", "Unrecognized severity 'LOUD'"),
    ("timestamp>=yesterday", "Invalid timestamp"),
    ("timestamp>=2026-13-01", "Invalid timestamp"),
    ("nonsense.field=1", "Field not found: 'nonsense.field'"),
    ('jsonPayload.message=~"("', "invalid regular expression"),
    ("a = = b", "column 5"),
    ("= b", "column 1, token '='"),
    ("jsonPayload.=1", "column 13"),
    ('hash(jsonPayload.ip, "x")', "unknown function 'hash' at line 1, column 1"),
    ("sample(insertId, 2)", "a fraction from 0 to 1"),
    ("(" * 200 + "x" + ")" * 200, "too many nested parentheses"),
    ("x" * 20_001, "Filter is too long"),
]


@pytest.mark.parametrize("text", MATCHING)
def test_matches(text: str) -> None:
    assert matcher(parse(text), text)(ENTRY)


@pytest.mark.parametrize("text", OTHER)
def test_does_not_match(text: str) -> None:
    assert not matcher(parse(text), text)(ENTRY)


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(ApiError) as refused:
        matcher(parse(text), text)
    assert refused.value.code == 400
    assert refused.value.status == "INVALID_ARGUMENT"
    assert said in refused.value.message


def test_an_entry_without_severity_has_the_default_one() -> None:
    entry = {name: value for name, value in ENTRY.items() if name != "severity"}
    assert matcher(parse("severity=DEFAULT"), "")(entry)
    assert matcher(parse("severity<DEBUG"), "")(entry)


@pytest.mark.parametrize(
    ("stamp", "written"),
    [
        ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"),
        ("2026-11-24T10:00:00.100Z", "2026-11-24T10:00:00.100Z"),
        ("2026-11-24T10:00:00.123456789Z", "2026-11-24T10:00:00.123456789Z"),
        ("2026-11-24T10:00:00.000001+01:30", "2026-11-24T08:30:00.000001Z"),
        ("2026-11-24", "2026-11-24T00:00:00Z"),
    ],
)
def test_instants_keep_every_nanosecond(stamp: str, written: str) -> None:
    assert timestamp(nanoseconds(stamp)) == written


@pytest.mark.parametrize("stamp", ["", "now", "2026-02-30", "2026-11-24T25:00:00Z", "2026-11-24T10:00:00.1234567890Z"])
def test_what_is_no_instant(stamp: str) -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        nanoseconds(stamp)
