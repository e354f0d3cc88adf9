"""What is there from the start: the buckets and sinks of every project, the views of every log bucket.

https://cloud.google.com/logging/docs/store-log-entries#default-bucket, .../routing/overview#sinks, .../logs-views
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_AUDIT = 'LOG_ID("cloudaudit.googleapis.com/activity") OR LOG_ID("externalaudit.googleapis.com/activity")'
_AUDIT += (
    ' OR LOG_ID("cloudaudit.googleapis.com/system_event") OR LOG_ID("cloudaudit.googleapis.com/access_transparency")'
)
_NOT_AUDIT = " AND ".join(f"NOT {part}" for part in _AUDIT.split(" OR "))
_VIEW = re.compile(r"projects/[^/]+/locations/[^/]+/buckets/([^/]+)/views/(_AllLogs|_Default)")
_OTHER = re.compile(r"projects/([^/]+)/(?:locations/global/buckets|sinks)/(_Default|_Required)")


def names(collection: str, prefix: str) -> Iterator[str]:
    """The full names of what may be there of a collection, below "projects/P/locations/" or the like."""
    project = "/".join(prefix.split("/")[:2])
    folder = {"buckets": f"{project}/locations/global/buckets/", "sinks": f"{project}/sinks/", "views": prefix}
    for short in ("_AllLogs", "_Default", "_Required"):
        name = folder.get(collection, "") + short
        if name.startswith(prefix) and resource(name):
            yield name


def resource(name: str) -> dict[str, Any] | None:
    """What has the full name from the start; a view only if its bucket is there. None for anything else."""
    if found := _VIEW.fullmatch(name):
        if found[2] == "_AllLogs":
            return {"name": name, "filter": ""}
        there = "/locations/global/" in name and found[1] == "_Default"
        return {"name": name, "filter": _NOT_AUDIT.replace("LOG_ID", "log_id")} if there else None
    if not (found := _OTHER.fullmatch(name)):
        return None
    project, short = found[1], found[2]
    required = short == "_Required"
    if "/buckets/" in name:
        return {
            "name": name,
            "description": "Audit bucket" if required else "Default bucket",
            "retentionDays": 400 if required else 30,
            "lifecycleState": "ACTIVE",
            **({"locked": True} if required else {}),
        }
    return {
        "name": short,
        "destination": f"logging.googleapis.com/projects/{project}/locations/global/buckets/{short}",
        "filter": _AUDIT if required else _NOT_AUDIT,
    }
