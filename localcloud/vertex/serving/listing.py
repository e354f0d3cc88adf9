"""Pages of models, versions, endpoints and batch prediction jobs: filter, order, page.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.models/list
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.errors import ApiError
from localcloud.vertex.listing import matcher

Body = dict[str, Any]

_DEFAULT_PAGE, _LARGEST_PAGE = 100, 1000
_ORDERS = ("displayName", "createTime", "updateTime")


def page(rows: Sequence[Body], request: Mapping[str, Any]) -> tuple[list[Body], str]:
    """Those of `rows` that the request asks for, newest first unless it says otherwise, and the next page's token.

    A token names the last row given, so that new ones shift nothing. Raises 400.
    """
    size, token = int(request.get("pageSize", 0)), request.get("pageToken", "")
    if size < 0:
        raise ApiError(400, "Page size must be non-negative.")
    size = min(size or _DEFAULT_PAGE, _LARGEST_PAGE)
    field, falling = _order(request.get("orderBy", ""))
    text = request.get("filter", "")
    matches = matcher(text)
    try:
        found = [row for row in rows if matches(row)]
    except KeyError as error:
        raise ApiError(400, f"Invalid filter '{text}': the field {error} can't be filtered by.") from None
    keyed = sorted((([row.get(field, ""), row["name"], row.get("versionId", "")], row) for row in found), key=_first)
    if falling:
        keyed.reverse()
    where = [request.get("parent", request.get("name", "")), text, request.get("orderBy", "")]
    signature = hashlib.sha256(json.dumps(where).encode()).hexdigest()[:16]
    if token:
        last = _read(token, signature)
        keyed = [one for one in keyed if (one[0] < last if falling else one[0] > last)]
    more = keyed[size:]
    keyed = keyed[:size]
    following = base64.urlsafe_b64encode(json.dumps([signature, keyed[-1][0]]).encode()).decode() if more else ""
    return [row for _, row in keyed], following


def _first(one: tuple[list[str], Body]) -> list[str]:
    return one[0]


def _order(text: str) -> tuple[str, bool]:
    """(field, whether it falls)."""
    if not text.strip():
        return "createTime", True
    name, *direction = text.split(",")[0].split()
    field = camel(name)
    if field not in _ORDERS or direction not in ([], ["asc"], ["desc"]):
        raise ApiError(400, f"Invalid order_by '{text}'.")
    return field, direction == ["desc"]


def _read(token: str, signature: str) -> list[str]:
    try:
        signed, last = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError):
        signed, last = "", []
    if signed != signature:
        raise ApiError(400, "Page token is invalid.")
    return last


def camel(name: str) -> str:
    """display_name or displayName as JSON spells it."""
    return re.sub(r"_([a-z])", lambda m: m[1].upper(), name)
