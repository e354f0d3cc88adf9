"""Where a sink may lead: its destination's forms, and which of them are emulated."""

from __future__ import annotations

import re

from localcloud.core.errors import ApiError, NotEmulated

BUCKET = re.compile(r"logging\.googleapis\.com/projects/([^/]+)/(locations/[^/]+/buckets/[^/]+)")
STORAGE = re.compile(r"storage\.googleapis\.com/([^/]+)")
TOPIC = re.compile(r"pubsub\.googleapis\.com/(projects/[^/]+/topics/[^/]+)")
_ELSEWHERE = re.compile(
    r"bigquery\.googleapis\.com/projects/[^/]+/datasets/[^/]+|logging\.googleapis\.com/(projects|folders|organizations)/[^/]+"
)


def check_destination(destination: str) -> None:
    """Raises 400 for a sink's destination that can't be, 501 for one that is not emulated."""
    if BUCKET.fullmatch(destination) or STORAGE.fullmatch(destination) or TOPIC.fullmatch(destination):
        return
    if _ELSEWHERE.fullmatch(destination):
        raise NotEmulated(f"log sinks to {destination.partition('/')[0]} ({destination})")
    raise ApiError(400, f"Invalid sink destination: '{destination}'")
