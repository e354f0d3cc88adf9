"""What the filter of a view may be: less than the language has, since it says who sees what.

https://cloud.google.com/logging/docs/reference/v2/rest/v2/projects.locations.buckets.views#LogView
"""

from __future__ import annotations

from localcloud.core.errors import ApiError
from localcloud.core.filters import Both, Compare, Filter, Function, Not


def check_view(tree: Filter | None, text: str) -> None:
    """Raises 400 for anything but SOURCE(), LOG_ID() and resource.type, or NOT of them, joined by AND."""
    parts = tree.parts if isinstance(tree, Both) else [tree] if tree else []
    for part in parts:
        while isinstance(part, Not):
            part = part.part
        if isinstance(part, Both):
            check_view(part, text)
        elif not _allowed(part):
            words = "it may have SOURCE(), LOG_ID() and resource.type, or their negations, joined by AND"
            raise ApiError(400, f"Invalid filter for a log view: {text!r}: {words}.")


def _allowed(part: Filter) -> bool:
    if isinstance(part, Function):
        return part.name.casefold() in ("log_id", "source")
    return isinstance(part, Compare) and part.path == ("resource", "type") and part.operator in ("=", "!=", ":")
