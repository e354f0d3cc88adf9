"""What the local cloud's provider knows of the pulumi_gcp SDK, and how it compares values."""

import json

import pytest

from localcloud.provider import schema, snapshot
from localcloud.provider.functions import FUNCTIONS
from localcloud.provider.plan.differences import differences, kept, top
from localcloud.provider.plan.rules import rules
from localcloud.provider.resources.registry import KINDS
from localcloud.provider.wire import UNKNOWN, bare, dump, hide, load, mark, secret

BUCKET = "gcp:storage/bucket:Bucket"
BUDGET = "gcp:billing/budget:Budget"
REPOSITORY = "gcp:artifactregistry/repository:Repository"


@pytest.mark.slow
def test_the_snapshot_is_of_the_sdk_that_is_installed():
    """`python -m localcloud.provider.snapshot` writes it again."""
    assert json.loads(schema.PATH.read_text(encoding="utf-8")) == snapshot.take(KINDS, FUNCTIONS)


@pytest.mark.parametrize("token", sorted(KINDS))
def test_what_a_kind_says_of_properties_is_of_the_sdk(token):
    kind, shape = KINDS[token], schema.resource(token)
    assert shape is not None
    known = set(shape.inputs)
    plan = rules(token)
    assert plan.force_new <= known
    assert {top(path) for path in plan.unread} <= known
    assert kind.refused <= known
    assert not kind.autoname or kind.autoname in known
    assert {top(path) for path in kind.choices} <= known
    if kind.update is None:  # then every property must replace, or be none that the cloud has
        assert known <= plan.force_new | plan.unread | kind.refused


AMOUNT = {"specifiedAmount": {"units": "1"}}
OPEN = {"location": "US"}
WRONG = [
    (BUCKET, {}, ("location", "is required")),
    (BUCKET, {"location": None}, ("location", "is required")),
    (BUCKET, {"location": 3}, ("location", "is 3; a string is needed")),
    (BUCKET, {**OPEN, "labels": ["x"]}, ("labels", 'is ["x"]; a map is needed')),
    (BUCKET, {**OPEN, "labels": {"a": 1}}, ("labels.a", "is 1; a string is needed")),
    (BUCKET, {**OPEN, "versioning": {"enabled": "yes"}}, ("versioning.enabled", 'is "yes"; a boolean is needed')),
    (BUCKET, {**OPEN, "versioning": True}, ("versioning", "is true; an object is needed")),
    (BUCKET, {**OPEN, "versioning": {}}, ("versioning.enabled", "is required")),
    (
        BUCKET,
        {**OPEN, "versioning": {"enabled": True, "on": 1}},
        ("versioning.on", "isn't a property; known are enabled"),
    ),
    (BUCKET, {**OPEN, "lifecycleRules": {}}, ("lifecycleRules", "is {}; a list is needed")),
    (
        BUCKET,
        {**OPEN, "lifecycleRules": [{"action": {"type": "Burn"}, "condition": {"age": 1}}]},
        (
            "lifecycleRules[0].action.type",
            'is "Burn"; one of Delete, SetStorageClass, AbortIncompleteMultipartUpload is needed',
        ),
    ),
    (
        BUCKET,
        {**OPEN, "lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": 1.5}}]},
        ("lifecycleRules[0].condition.age", "is 1.5; a integer is needed"),
    ),
    (
        BUCKET,
        {**OPEN, "publicAccessPrevention": secret("open")},
        ("publicAccessPrevention", 'is "open"; one of enforced, inherited is needed'),
    ),
    (
        BUDGET,
        {"billingAccount": "x", "amount": AMOUNT, "budgetFilter": {"creditTypesTreatment": "IGNORE"}},
        (
            "budgetFilter.creditTypesTreatment",
            'is "IGNORE"; one of INCLUDE_ALL_CREDITS, EXCLUDE_ALL_CREDITS, INCLUDE_SPECIFIED_CREDITS is needed',
        ),
    ),
    (
        BUDGET,
        {"billingAccount": "x", "amount": AMOUNT, "thresholdRules": [{"thresholdPercent": 1}, {}]},
        ("thresholdRules[1].thresholdPercent", "is required"),
    ),
    (
        REPOSITORY,
        {"repositoryId": "x", "format": "ZIP"},
        ("format", 'is "ZIP"; one of DOCKER, MAVEN, NPM, APT, YUM, PYTHON, KFP, GO, GENERIC is needed'),
    ),
]


@pytest.mark.parametrize(("token", "inputs", "mistake"), WRONG, ids=[m[0] + " " + m[1][:20] for *_, m in WRONG])
def test_what_does_not_fit_is_named(token, inputs, mistake):
    assert schema.mistakes(token, inputs, KINDS[token].choices) == [mistake]


def test_what_is_not_known_yet_fits():
    wanted = {"location": UNKNOWN, "labels": {"a": UNKNOWN}, "versioning": {"enabled": UNKNOWN}, "__defaults": []}
    assert schema.mistakes(BUCKET, wanted, KINDS[BUCKET].choices) == []


def test_a_key_that_is_misspelt_is_told_with_those_that_exist():
    [(path, reason)] = schema.mistakes(BUCKET, {**OPEN, "colour": "red"}, {})
    assert path == "colour"
    assert reason.startswith("isn't a property; known are autoclass, cors,")


def test_what_the_cloud_answers_gets_the_declared_types():
    told = {
        "name": "b",
        "softDeletePolicy": {"retentionDurationSeconds": "604800", "effectiveTime": "now", "strange": 1},
        "projectNumber": 12,
        "versioning": None,
        "etag": "x",
    }
    assert schema.coerce(BUCKET, told) == {
        "name": "b",
        "softDeletePolicy": {"retentionDurationSeconds": 604800, "effectiveTime": "now"},
        "projectNumber": 12,
    }


def test_a_refresh_tells_drift_and_no_defaults():
    inputs = {
        "location": "us-central1",
        "labels": {"a": "1"},
        "softDeletePolicy": {"retentionDurationSeconds": 0},
        "lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": 3}}],
    }
    outputs = {
        "location": "us-central1",
        "storageClass": "STANDARD",
        "labels": {"a": "2", "b": "3"},
        "softDeletePolicy": {"retentionDurationSeconds": 604800, "effectiveTime": "now"},
        "lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": 4, "withState": "ANY"}}],
    }
    assert schema.refreshed(BUCKET, inputs, outputs) == {
        "location": "us-central1",
        "labels": {"a": "2", "b": "3"},
        "softDeletePolicy": {"retentionDurationSeconds": 604800},
        "lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": 4}}],
    }


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("a", "UPDATE")]),
        ({"a": 1}, {}, [("a", "DELETE")]),
        ({}, {"a": 1}, [("a", "ADD")]),
        ({"a": None}, {}, []),
        ({"a": {"b": {"c": 1, "d": 1}}}, {"a": {"b": {"c": 2, "e": 1}}}, None),
        ({"a": [1, 2]}, {"a": [1, 3]}, [("a[1]", "UPDATE")]),
        ({"a": [1, 2]}, {"a": [1]}, [("a", "UPDATE")]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, [("a[0].b", "UPDATE")]),
    ],
)
def test_differences(old, new, found):
    expected = [("a.b.c", "UPDATE"), ("a.b.d", "DELETE"), ("a.b.e", "ADD")] if found is None else found
    assert list(differences(old, new)) == expected


def test_ignored_differences_are_left_out():
    old, new = {"a": {"b": 1, "c": 1}, "d": [1]}, {"a": {"b": 2, "c": 2}, "d": [2]}
    found = list(differences(old, new))
    assert kept(found, ["a.b", "d"]) == [("a.c", "UPDATE")]
    assert kept(found, ["a"]) == [("d[0]", "UPDATE")]


def test_values_go_over_the_wire_unchanged():
    values = {"a": 1, "b": 1.5, "c": "x", "d": [True, None, {"e": []}], "f": {}}
    assert load(dump(values)) == values
    assert isinstance(load(dump({"a": 3}))["a"], int)


def test_secrets_are_hidden_wherever_they_turn_up():
    inputs = {"labels": {"password": secret("hush-hush"), "team": "blue"}, "count": secret(77), "short": secret("ab")}
    outputs = {
        "labels": {"password": "hush-hush", "team": "blue"},
        "effectiveLabels": {"password": "hush-hush"},
        "url": "gs://x?p=hush-hush",
        "count": 77,
        "short": "ab",
        "word": "cab",
        "other": [1, None],
    }
    hidden = hide(outputs, inputs)
    for value in (hidden["labels"]["password"], hidden["effectiveLabels"]["password"], hidden["url"]):
        assert mark(value) is not None
    assert mark(hidden["count"]) is not None
    assert mark(hidden["short"]) is not None
    assert (hidden["word"], hidden["other"], hidden["labels"]["team"]) == ("cab", [1, None], "blue")
    assert bare(hidden) == outputs
    assert bare(inputs) == {"labels": {"password": "hush-hush", "team": "blue"}, "count": 77, "short": "ab"}
    assert hide(outputs, {"labels": {"team": "blue"}}) == outputs
