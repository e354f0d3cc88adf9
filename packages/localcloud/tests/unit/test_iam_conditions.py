"""Conditions on grants: what they mean, and which are refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from localcloud.core.errors import ApiError
from localcloud.iam.cel import conditions

NAME = "projects/_/buckets/data/objects/invoices/order-17/a.csv"
TYPE = "storage.googleapis.com/Object"
NOON = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)  # a Sunday


def holds(expression: str) -> bool:
    return conditions.holds({"expression": expression}, NAME, "storage.googleapis.com", TYPE, NOON)


TRUE = [
    "true",
    'resource.name.startsWith("projects/_/buckets/data/")',
    "resource.name.endsWith('.csv')",
    'resource.type == "storage.googleapis.com/Object" && resource.service == "storage.googleapis.com"',
    'resource.type != "storage.googleapis.com/Object" || resource.name.endsWith(".csv")',
    # && binds tighter than ||
    "true || false && false",
    "!(true || false) == false",
    "!false && !!true",
    'resource.name.extract("order-{id}/") == "17"',
    'resource.name.extract("/objects/{rest}") == "invoices/order-17/a.csv"',
    'resource.name.extract("nothing-{id}/") == ""',
    'resource.name.extract("order-{id}/") in ["16", "17"]',
    'request.time < timestamp("2026-03-01T12:30:00.5Z")',
    'request.time >= timestamp("2026-03-01T14:30:00+02:00")',
    'request.time > date("2026-03-01")',
    'request.time < timestamp("2026-03-01T11:30:00Z") + duration("1h30m")',
    'request.time - timestamp("2026-03-01T12:00:00Z") == duration("30m")',
    'request.time.getHours("Europe/Berlin") == 13',
    'request.time.getHours("-02:00") == 10',
    "request.time.getDayOfWeek() == 0 && request.time.getMonth() == 2 && request.time.getDayOfMonth() == 0",
    "request.time.getFullYear() in [2025, 2026]",
    'resource.name.contains("order") ? true : false',
    "size(resource.type) == 29 && -1 < 0",
    'resource.name == "x" || resource.name.endsWith(r".csv")',
    '"a\\"b" == \'a"b\'',
    # what can't be known on one side does not matter when the other settles it
    "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['roles/viewer']) || true",
]
FALSE = [
    "false",
    'resource.name.startsWith("projects/_/buckets/other/")',
    'request.time < timestamp("2026-03-01T12:30:00Z")',
    "true && false || false",
    "(true || false) && false",
    'resource.name.extract("order-{id}/") in []',
    # fails safe
    "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['roles/viewer'])",
    "!api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['roles/viewer'])",
    "resource.matchTag('1/env', 'prod')",
    "request.time.getHours('Mars/Olympus') > 0",
]


@pytest.mark.parametrize("expression", TRUE)
def test_true(expression: str) -> None:
    assert holds(expression)


@pytest.mark.parametrize("expression", FALSE)
def test_false(expression: str) -> None:
    assert not holds(expression)


BAD = [
    "",
    "1",
    "resource.name",
    "true &&",
    "true and true",
    "(true",
    "true)",
    "resource.nam == 'x'",
    "nothing == 'x'",
    "resource.name == 1",
    "resource.name < true",
    "resource.name.matches('.*')",
    "resource.name.startsWith(1)",
    "request.time < '2026-01-01T00:00:00Z'",
    "request.time < timestamp('tomorrow')",
    "request.time < timestamp('2026-01-01T00:00:00Z') + duration('soon')",
    "true == 'unfinished",
    "__import__('os').system('true') == 0",
    "resource.name in 'x'",
    "'a\\q' == 'a'",
    "# == 1",
    "(" * 200 + "true" + ")" * 200,
    "!" * 3 + "1",
]


@pytest.mark.parametrize("expression", BAD)
def test_what_is_no_condition_is_refused_and_holds_for_nothing(expression: str) -> None:
    with pytest.raises(ApiError, match="Condition expression compilation failed") as refused:
        conditions.check({"title": "t", "expression": expression}, "roles/storage.objectViewer", ["user:a@b.c"])
    assert refused.value.code == 400
    assert not holds(expression)


@pytest.mark.parametrize(
    ("condition", "role", "member", "words"),
    [
        ({"expression": "true"}, "roles/storage.admin", "user:a@b.c", "title must be non-empty"),
        ({"expression": "true", "title": "x" * 101}, "roles/storage.admin", "user:a@b.c", "at most 100 bytes"),
        ({"expression": "true", "title": "t"}, "roles/owner", "user:a@b.c", "basic role"),
        ({"expression": "true", "title": "t"}, "roles/storage.objectViewer", "allUsers", "allUsers"),
        ({"expression": "||".join(["true"] * 14), "title": "t"}, "roles/storage.admin", "user:a@b.c", "12 logical"),
        ({"expression": 1, "title": "t"}, "roles/storage.admin", "user:a@b.c", "Invalid value"),
        ("true", "roles/storage.admin", "user:a@b.c", "Invalid value"),
    ],
)
def test_what_may_not_have_a_condition(condition: object, role: str, member: str, words: str) -> None:
    with pytest.raises(ApiError, match=words) as refused:
        conditions.check(condition, role, [member])
    assert refused.value.code == 400
