"""Of which class an operation is, by which it is charged: None where it costs nothing.

https://cloud.google.com/storage/pricing#operations-by-class. Simplified: the list of a project's buckets is not
counted, and an upload in chunks is one operation.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from localcloud.core.asked.counts import CLASS_A, CLASS_B
from localcloud.storage.messages import Request

Charged = tuple[str, str]  # bucket, class
HOST = "storage.googleapis.com"
_JSON = re.compile(r"/b/([^/]+)(/.*)?")
_MEDIA = re.compile(r"(?:/resumable)?/(?:upload/|download/)?storage/v1(/b/.*)")
_LISTS = ("/o", "/notificationConfigs")
_NOT_LISTS = {"location", "cors", "lifecycle", "versioning"}


def of_json(method: str, path: str) -> Charged | None:
    """A call of the JSON API; `path` begins after /storage/v1."""
    found = _JSON.fullmatch(path)
    if found is None or method == "DELETE":
        return None
    reads = method == "GET" and (found[2] or "") not in _LISTS
    return unquote(found[1]), CLASS_B if reads else CLASS_A


def of_bytes(request: Request) -> Charged | None:
    """An upload, a download, or a call of the XML API."""
    method, query = request.method, request.query
    if method == "DELETE" or "upload_id" in query or request.path.startswith("/batch"):
        return None
    if found := _MEDIA.fullmatch(request.path):
        carries = query.get("alt") == "media" or "storage" not in request.path.split("/")[1]
        return of_json("GET" if method == "HEAD" else method, found[1]) if carries else None
    bucket, name = target(request)
    if not bucket:
        return None
    lists = not name and method == "GET" and not query.keys() & _NOT_LISTS
    return bucket, CLASS_B if method in ("GET", "HEAD") and not lists else CLASS_A


def target(request: Request) -> tuple[str, str]:
    """(bucket, object) of a call of the XML API, the second "" for a bucket itself."""
    path = request.path.removeprefix("/")
    if request.host.endswith(f".{HOST}"):
        return request.host.removesuffix(f".{HOST}"), unquote(path)
    bucket, _, name = path.partition("/")
    return unquote(bucket), unquote(name)
