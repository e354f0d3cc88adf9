"""Copies in several calls, for who limits what one call may do.

https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.storage.conditions import Conditions, number
from localcloud.storage.copies import Source
from localcloud.storage.errors import invalid
from localcloud.storage.metadata import Resource
from localcloud.storage.records import ObjectRecord
from localcloud.storage.store import Storage

_MEASURE = 1 << 20  # bytes: a limit is a multiple of it


@dataclass(frozen=True)
class Copy:
    """What a call asks for."""

    source: Source
    bucket: str
    name: str
    changes: Resource
    conditions: Conditions


def rewrite(storage: Storage, copy: Copy, query: Mapping[str, str]) -> Resource:
    """The answer to one call, with a token as long as more are needed. Raises what a copy raises.

    A limit counts only between places and storage classes. The token knows how far it is; the bytes move at the end.
    """
    limit = number(query.get("maxBytesRewrittenPerCall") or "0")
    if limit < 0 or limit % _MEASURE:
        raise invalid("Invalid argument.")
    found = storage.objects.get(copy.source.bucket, copy.source.name, copy.source.generation)
    written = _written(query.get("rewriteToken", ""), copy, found)
    written = written + limit if limit and _is_far(storage, copy, found) else found.size
    if written < found.size:
        copy.source.conditions.check(found)
        return _answer(written, found.size) | {"rewriteToken": _token(written, copy, found)}
    made = storage.copies.copy(copy.source, copy.bucket, copy.name, copy.changes, copy.conditions)
    return _answer(made.size, made.size) | {"done": True, "resource": made.resource()}


def _answer(written: int, size: int) -> Resource:
    return {
        "kind": "storage#rewriteResponse",
        "totalBytesRewritten": str(written),
        "objectSize": str(size),
        "done": False,
    }


def _is_far(storage: Storage, copy: Copy, found: ObjectRecord) -> bool:
    there, here = storage.buckets.get(copy.bucket), storage.buckets.get(copy.source.bucket)
    wanted = copy.changes.get("storageClass") or there.get("storageClass", "STANDARD")
    return there["location"] != here["location"] or wanted != found.storage_class


def _token(written: int, copy: Copy, found: ObjectRecord) -> str:
    said = [written, found.bucket, found.name, found.generation, copy.bucket, copy.name]
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode()


def _written(token: str, copy: Copy, found: ObjectRecord) -> int:
    """How far the call before came. Raises 400 for a token of something else."""
    if not token:
        return 0
    try:
        written = int(json.loads(base64.urlsafe_b64decode(token))[0])
    except (ValueError, TypeError, IndexError, KeyError):
        raise invalid("Invalid argument.") from None
    if token != _token(written, copy, found):
        raise invalid("Invalid argument.")
    return written
