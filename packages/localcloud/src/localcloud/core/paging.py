"""Pages of lists, as all of Google's list methods give them (https://google.aip.dev/158)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.core.errors import ApiError


def page(
    field: str, items: Sequence[Any], query: Mapping[str, str], default: int = 100, most: int = 1000
) -> dict[str, Any]:
    """The page that `query` (pageSize, pageToken) asks for, as `field`. Raises 400 for a token that was not given."""
    try:
        size, start = int(query.get("pageSize") or 0) or default, int(query.get("pageToken") or 0)
        if size < 0 or start < 0:
            raise ValueError
    except ValueError:
        raise ApiError(400, "Request contains an invalid argument.") from None
    size = min(size, most)
    answer: dict[str, Any] = {field: list(items[start : start + size])}
    if start + size < len(items):
        answer["nextPageToken"] = str(start + size)
    return answer
