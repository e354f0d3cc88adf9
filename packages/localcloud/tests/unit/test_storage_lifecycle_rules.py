"""Lifecycle rules: which can be, and of which objects they hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.core.errors import ApiError
from localcloud.storage import lifecycle
from localcloud.storage.lifecycle import DELETE, SET_CLASS, Step
from localcloud.storage.records import NONCURRENT, ObjectRecord, timestamp

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


def ago(days: float) -> str:
    return timestamp(NOW - timedelta(days=days))


OBJECT = ObjectRecord(
    bucket="b",
    name="logs/x.txt",
    generation=1,
    metageneration=1,
    state="live",
    size=1,
    blob="",
    crc32c=0,
    md5=b"",
    components=0,
    storage_class="STANDARD",
    created=ago(10),
    updated=ago(10),
)
OLD = replace(OBJECT, state=NONCURRENT, deleted=ago(5))


def one(condition: dict[str, Any], action: str = DELETE, storage_class: str = "") -> dict[str, Any]:
    kind = {"type": action} | ({"storageClass": storage_class} if storage_class else {})
    return {"action": kind, "condition": condition}


def step(record: ObjectRecord, *rules: dict[str, Any], newer: int = 0) -> Step | None:
    kept = lifecycle.checked({"rule": list(rules)})
    return lifecycle.step(lifecycle.rules({"lifecycle": kept}), record, newer, NOW)


@pytest.mark.parametrize(
    ("condition", "record", "newer", "holds"),
    [
        ({"age": 10}, OBJECT, 0, True),
        ({"age": 11}, OBJECT, 0, False),
        ({"age": 0}, OBJECT, 0, True),
        ({"age": "10"}, OBJECT, 0, True),  # some clients send numbers as texts
        ({"age": 10.0}, OBJECT, 0, True),
        ({"age": 10}, replace(OBJECT, created=timestamp(NOW - timedelta(days=10) + timedelta(seconds=1))), 0, False),
        ({"createdBefore": "2026-06-21"}, OBJECT, 0, True),
        ({"createdBefore": "2026-06-20"}, OBJECT, 0, False),
        ({"isLive": True}, OBJECT, 0, True),
        ({"isLive": True}, OLD, 1, False),
        ({"isLive": False}, OLD, 1, True),
        ({"isLive": False}, OBJECT, 0, False),
        ({"numNewerVersions": 1}, OLD, 1, True),
        ({"numNewerVersions": 2}, OLD, 1, False),
        ({"numNewerVersions": 1}, OBJECT, 0, False),
        ({"matchesStorageClass": ["standard", "NEARLINE"]}, OBJECT, 0, True),
        ({"matchesStorageClass": ["ARCHIVE"]}, OBJECT, 0, False),
        ({"matchesPrefix": ["a/", "logs/"]}, OBJECT, 0, True),
        ({"matchesPrefix": ["ogs/"]}, OBJECT, 0, False),
        ({"matchesSuffix": [".txt"]}, OBJECT, 0, True),
        ({"matchesSuffix": [".tx"]}, OBJECT, 0, False),
        ({"daysSinceNoncurrentTime": 5}, OLD, 1, True),
        ({"daysSinceNoncurrentTime": 6}, OLD, 1, False),
        ({"daysSinceNoncurrentTime": 0}, OBJECT, 0, False),  # it is not noncurrent
        ({"noncurrentTimeBefore": "2026-06-26"}, OLD, 1, True),
        ({"noncurrentTimeBefore": "2026-06-25"}, OLD, 1, False),
        ({"noncurrentTimeBefore": "2099-01-01"}, OBJECT, 0, False),
        ({"daysSinceCustomTime": 3}, replace(OBJECT, settings={"customTime": "2026-06-27T12:00:00Z"}), 0, True),
        ({"daysSinceCustomTime": 3}, replace(OBJECT, settings={"customTime": "2026-06-27T12:00:01Z"}), 0, False),
        ({"daysSinceCustomTime": 0}, OBJECT, 0, False),  # it has none
        ({"customTimeBefore": "2026-06-28"}, replace(OBJECT, settings={"customTime": "2026-06-27T23:59:59Z"}), 0, True),
        (
            {"customTimeBefore": "2026-06-27"},
            replace(OBJECT, settings={"customTime": "2026-06-27T00:00:00Z"}),
            0,
            False,
        ),
        ({"age": 10, "matchesPrefix": ["logs/"]}, OBJECT, 0, True),
        ({"age": 10, "matchesPrefix": ["data/"]}, OBJECT, 0, False),  # all conditions must hold
        ({"age": 10, "matchesSuffix": []}, OBJECT, 0, True),  # an empty list says nothing
    ],
)
def test_conditions(condition: dict[str, Any], record: ObjectRecord, newer: int, holds: bool) -> None:
    assert step(record, one(condition), newer=newer) == (Step(DELETE) if holds else None)


def test_to_delete_wins_over_a_class_and_the_coldest_class_over_others() -> None:
    nearline, archive = (one({"age": 1}, SET_CLASS, kind) for kind in ("NEARLINE", "ARCHIVE"))
    assert step(OBJECT, nearline, archive) == step(OBJECT, archive, nearline) == Step(SET_CLASS, "ARCHIVE")
    assert step(OBJECT, archive, one({"age": 2}), nearline) == Step(DELETE)
    assert step(OBJECT, archive, one({"age": 99}), nearline) == Step(SET_CLASS, "ARCHIVE")


@pytest.mark.parametrize(
    ("present", "wanted", "becomes"),
    [
        ("STANDARD", "NEARLINE", True),
        ("MULTI_REGIONAL", "COLDLINE", True),
        ("NEARLINE", "ARCHIVE", True),
        ("COLDLINE", "NEARLINE", False),
        ("ARCHIVE", "STANDARD", False),
        ("NEARLINE", "NEARLINE", False),
        ("STANDARD", "MULTI_REGIONAL", False),
        ("DURABLE_REDUCED_AVAILABILITY", "STANDARD", True),
    ],
)
def test_a_class_changes_to_a_colder_one_only(present: str, wanted: str, becomes: bool) -> None:
    found = step(replace(OBJECT, storage_class=present), one({"age": 1}, SET_CLASS, wanted))
    assert found == (Step(SET_CLASS, wanted) if becomes else None)


def test_an_upload_in_parts() -> None:
    kept = lifecycle.checked({"rule": [one({"age": 2, "matchesPrefix": ["x"]}, lifecycle.ABORT)]})
    (rule,) = lifecycle.rules({"lifecycle": kept})
    assert rule.holds_of_upload("x1", NOW - timedelta(days=2), NOW)
    assert not rule.holds_of_upload("x1", NOW - timedelta(days=1), NOW)
    assert not rule.holds_of_upload("y1", NOW - timedelta(days=2), NOW)
    assert step(replace(OBJECT, name="x1"), one({"age": 2}, lifecycle.ABORT)) is None  # it is for no object


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({}, "Invalid argument."),
        ({"action": {}, "condition": {"age": 1}}, "Invalid argument."),
        (one({"age": 1}, "Shred"), "Invalid value for: Shred is not a valid value"),
        (one({"age": 1}, SET_CLASS), "Lifecycle storage class rules must specify the destination storage class."),
        (
            one({"age": 1}, SET_CLASS, "HOT"),
            "Unknown storage class 'HOT' is not a valid option for SET_STORAGE_CLASS actions.",
        ),
        (one({"age": 1}, DELETE, "NEARLINE"), "Storage class can only be specified for SET_STORAGE_CLASS actions"),
        (one({}), "Lifecycle rules must have a condition."),
        ({"action": {"type": DELETE}}, "Lifecycle rules must have a condition."),
        (one({"matchesPrefix": []}), "Lifecycle rules must have a condition."),
        (one({"age": -1}), "Lifecycle age condition must be greater than or equal to 0, but was -1"),
        (one({"age": 1.5}), "Parse Error: Invalid value for TYPE_INT32 field: '1.5'."),
        (one({"age": True}), "Parse Error: Invalid value for TYPE_INT32 field: 'True'."),
        (one({"age": 2**31}), "Parse Error: Invalid value for TYPE_INT32 field: '2147483648'."),
        (one({"createdBefore": "yesterday"}), 'Invalid value for: Invalid format: "yesterday"'),
        (one({"createdBefore": "2026-02-30"}), 'Invalid value for: Invalid format: "2026-02-30"'),
        (one({"isLive": "true"}), "Invalid argument."),
        (one({"matchesStorageClass": ["HOT"]}), 'Invalid storage class "HOT"'),
        (
            one({"matchesPrefix": [""]}),
            "Lifecycle matchesPrefix cannot contain a string that is empty or longer than 1024.",
        ),
        (
            one({"matchesPrefix": [f"p{n}" for n in range(1001)]}),
            "Lifecycle matches_suffix and matches_prefix cannot specify more than 1000 rules per config.",
        ),
        (
            one({"age": 1, "isLive": True}, lifecycle.ABORT),
            "Lifecycle age_days, matches_prefix, and matches_suffix conditions are the only ones allowed for a "
            "ABORT_INCOMPLETE_MULTIPART_UPLOAD rule.",
        ),
    ],
)
def test_rules_that_can_not_be(rule: dict[str, Any], text: str) -> None:
    with pytest.raises(ApiError) as refused:
        lifecycle.checked({"rule": [rule]})
    assert (refused.value.code, refused.value.reason, refused.value.message) == (400, "invalid", text)


def test_conditions_that_are_not_emulated_say_so() -> None:
    with pytest.raises(
        ApiError, match="not emulated by the local cloud: the lifecycle condition matchesPattern"
    ) as refused:
        lifecycle.checked({"rule": [one({"matchesPattern": "x"})]})
    assert refused.value.code == 501


def test_rules_are_kept_as_google_keeps_them() -> None:
    assert lifecycle.checked({"rule": []}) is None and lifecycle.checked({}) is None
    kept = lifecycle.checked({"rule": [one({"age": "3", "isLive": None}, SET_CLASS, "nearline")]})
    assert kept == {"rule": [{"action": {"storageClass": "NEARLINE", "type": SET_CLASS}, "condition": {"age": 3}}]}
    with pytest.raises(ApiError, match="more than 100 rules"):
        lifecycle.checked({"rule": [one({"age": 1})] * 101})
