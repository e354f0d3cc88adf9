"""Conditions on grants: what may be one, and whether it holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from localcloud.core.errors import ApiError
from localcloud.iam.cel.language import compiled
from localcloud.iam.cel.operations import BadExpression, Compiled

# https://cloud.google.com/iam/docs/conditions-attribute-reference, those that every service has.
_ATTRIBUTES = {
    "resource.name": "string",
    "resource.service": "string",
    "resource.type": "string",
    "request.time": "timestamp",
}
# https://cloud.google.com/iam/quotas, and the reference of google.type.Expr in IAM policies.
_TITLE, _DESCRIPTION, _OPERATORS = 100, 256, 12


def holds(condition: Mapping[str, Any], name: str, service: str, kind: str, now: datetime) -> bool:
    """Whether a condition of a binding is true for a resource at a time; one that can't be understood is not."""
    try:
        expression = _compiled(condition.get("expression", ""))
        return bool(
            expression.run(
                {"resource.name": name, "resource.service": service, "resource.type": kind, "request.time": now}
            )
        )
    except BadExpression:
        return False


def check(condition: Any, role: str, members: list[str]) -> None:
    """Raises 400 for a condition that Google refuses, also for the role or the members that have it."""
    if not isinstance(condition, Mapping) or not isinstance(condition.get("expression", ""), str):
        raise ApiError(400, "Invalid value at 'policy.bindings.condition'.")
    if not condition.get("title"):
        raise ApiError(400, "Condition title must be non-empty.")
    if len(condition["title"]) > _TITLE or len(condition.get("description") or "") > _DESCRIPTION:
        raise ApiError(400, f"A condition's title has at most {_TITLE} bytes, its description {_DESCRIPTION}.")
    if role in ("roles/owner", "roles/editor", "roles/viewer"):
        raise ApiError(400, f"Conditions can't be set on the basic role {role}.")
    if {"allUsers", "allAuthenticatedUsers"}.intersection(members):
        raise ApiError(400, "Conditions can't be set on bindings with allUsers or allAuthenticatedUsers.")
    text = condition.get("expression", "")
    if len(re.findall(r"&&|\|\||!(?!=)", text)) > _OPERATORS:
        raise ApiError(400, f"A condition has at most {_OPERATORS} logical operators.")
    try:
        _compiled(text)
    except BadExpression as error:
        words = f"Condition expression compilation failed. Error message: 'ERROR: <expression>: {error}'"
        raise ApiError(400, words) from None


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Compiled:
    return compiled(text, _ATTRIBUTES)
