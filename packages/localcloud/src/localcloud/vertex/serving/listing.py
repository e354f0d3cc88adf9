"""Pages of models, versions, endpoints and batch prediction jobs: filter, order, page.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.models/list
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cmp_to_key
from typing import Any

from localcloud.core.errors import ApiError
from localcloud.vertex.listing import answer, matcher

Body = dict[str, Any]

_DEFAULT_PAGE, _LARGEST_PAGE = 100, 1000
_OF_MODELS = {name: name for name in ("displayName", "createTime", "updateTime")}
OF_VERSIONS = {"createTime": "versionCreateTime", "updateTime": "versionUpdateTime"}


def page(
    collection: str,
    rows: Sequence[Body],
    request: Mapping[str, Any],
    shown: Callable[[Body], Body] = lambda row: row,
    order: str = "create_time desc",
    fields: Mapping[str, str] = _OF_MODELS,
) -> Body:
    """Those of `rows` that the request asks for, as `shown`, in its order or in `order`: {collection: [...]}.

    `fields` are those that it can be ordered by, each with the row's field. The next page's token names the last row
    given, so that new ones shift nothing. Raises 400.
    """
    size, token = int(request.get("pageSize", 0)), request.get("pageToken", "")
    if size < 0:
        raise ApiError(400, "Page size must be non-negative.")
    size = min(size or _DEFAULT_PAGE, _LARGEST_PAGE)
    keys = _order(request.get("orderBy", "").strip() or order, fields)
    text = request.get("filter", "")
    matches = matcher(text)
    try:
        found = [row for row in rows if matches(row)]
    except KeyError as error:
        raise ApiError(400, f"Invalid filter '{text}': the field {error} can't be filtered by.") from None

    def place(row: Body) -> list[Any]:
        return [*(row.get(field, "") for field, _ in keys), row["name"], int(row.get("versionId", 0))]

    falls = [*(falling for _, falling in keys), *[keys[-1][1]] * 2]
    ordered = sorted(found, key=cmp_to_key(lambda a, b: _compare(place(a), place(b), falls)))
    where = [request.get("parent", request.get("name", "")), text, request.get("orderBy", "")]
    signature = hashlib.sha256(json.dumps(where).encode()).hexdigest()[:16]
    if token:
        last = _read(token, signature)
        ordered = [row for row in ordered if _compare(place(row), last, falls) > 0]
    following = [signature, place(ordered[size - 1])] if ordered[size:] else None
    return answer(collection, [shown(row) for row in ordered[:size]], following, request)


def _compare(one: Sequence[Any], other: Sequence[Any], falls: Sequence[bool]) -> int:
    """Below 0 when `one` comes first; `falls` says of each value whether the larger one does."""
    for a, b, falling in zip(one, other, falls, strict=True):
        if a != b:
            return 1 if (a > b) != falling else -1
    return 0


def _order(text: str, fields: Mapping[str, str]) -> list[tuple[str, bool]]:
    """Of "display_name, create_time desc": the row's fields, and whether each falls."""
    found = []
    for part in text.split(","):
        name, *direction = part.split() or [""]
        if camel(name) not in fields or direction not in ([], ["asc"], ["desc"]):
            raise ApiError(400, f"Invalid order_by '{text}'.")
        found.append((fields[camel(name)], direction == ["desc"]))
    return found


def _read(token: str, signature: str) -> list[Any]:
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
