"""The fields of a LogEntry that a filter may name, and what an entry has there.

https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from localcloud.logging.entries import FIELDS

# Message fields whose own fields are known; below others (payloads, labels, metadata) anything goes.
_PARTS = {
    "resource": {"type", "labels"},
    "httpRequest": {
        "requestMethod", "requestUrl", "requestSize", "status", "responseSize", "userAgent", "remoteIp", "serverIp",
        "referer", "latency", "cacheLookup", "cacheHit", "cacheValidatedWithOriginServer", "cacheFillBytes", "protocol",
    },
    "operation": {"id", "producer", "first", "last"},
    "sourceLocation": {"file", "line", "function"},
    "split": {"uid", "index", "totalSplits"},
}  # fmt: skip
INSTANTS = frozenset({("timestamp",), ("receiveTimestamp",)})
DURATIONS = frozenset({("httpRequest", "latency")})
NUMBERS = frozenset(
    {
        ("httpRequest", "status"),
        ("httpRequest", "requestSize"),
        ("httpRequest", "responseSize"),
        ("httpRequest", "cacheFillBytes"),
        ("sourceLocation", "line"),
        ("split", "index"),
        ("split", "totalSplits"),
    }
)


def field_path(path: tuple[str, ...]) -> tuple[str, ...] | None:
    """The path in an entry's JSON: snake_case names of LogEntry fields too. None for a field that it has not."""
    first = _camel(path[0])
    if first not in FIELDS:
        return None
    parts = _PARTS.get(first)
    if parts is None or len(path) == 1:
        return (first, *path[1:])
    second = _camel(path[1])
    return (first, second, *path[2:]) if second in parts else None


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda m: m[1].upper(), name)


def values_at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """What is at `path`; of a list, what any of its elements has there."""
    if isinstance(value, list):
        for element in value:
            yield from values_at(element, path)
    elif not path:
        yield value
    elif isinstance(value, dict):
        # A key may hold dots itself: labels.compute.googleapis.com/name
        for end in range(len(path), 0, -1):
            key = ".".join(path[:end])
            if key in value:
                yield from values_at(value[key], path[end:])
                return
