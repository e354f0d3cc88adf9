"""Requests to Cloud Storage, and the class of operation that each is charged as."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from localcloud.core.asked.callers import ANONYMOUS
from localcloud.storage import operations
from localcloud.storage.messages import Body, Request

HOST = "storage.googleapis.com"


@pytest.mark.parametrize(
    ("method", "path", "charged"),
    [
        ("GET", "/b", None),  # of a project, not of a bucket
        ("POST", "/b", None),
        ("GET", "/b/data", ("data", "class B")),
        ("PATCH", "/b/data", ("data", "class A")),
        ("DELETE", "/b/data", None),
        ("GET", "/b/data/iam", ("data", "class B")),
        ("PUT", "/b/data/iam", ("data", "class A")),
        ("GET", "/b/data/o", ("data", "class A")),
        ("GET", "/b/data/o/a%2Fb", ("data", "class B")),
        ("DELETE", "/b/data/o/x", None),
        ("POST", "/b/data/o/x/rewriteTo/b/other/o/y", ("data", "class A")),
        ("POST", "/b/data/o/x/compose", ("data", "class A")),
    ],
)
def test_the_json_api(method: str, path: str, charged: Any) -> None:
    assert operations.of_json(method, path) == charged


@pytest.mark.parametrize(
    ("method", "target", "charged"),
    [
        ("POST", "/upload/storage/v1/b/data/o?uploadType=media&name=x", ("data", "class A")),
        ("POST", "/resumable/upload/storage/v1/b/data/o?uploadType=resumable", ("data", "class A")),
        ("PUT", "/upload/storage/v1/b/data/o?uploadType=resumable&upload_id=1", None),
        ("GET", "/storage/v1/b/data/o/x?alt=media", ("data", "class B")),
        ("GET", "/download/storage/v1/b/data/o/x?alt=media", ("data", "class B")),
        ("GET", "/storage/v1/b/data/o/x", None),  # the JSON API counts itself
        ("POST", "/batch/storage/v1", None),  # and each call of a batch
        ("GET", "/data", ("data", "class A")),
        ("GET", "/data?location", ("data", "class B")),
        ("PUT", "/data", ("data", "class A")),
        ("GET", "/data/x", ("data", "class B")),
        ("HEAD", "/data/x", ("data", "class B")),
        ("PUT", "/data/x", ("data", "class A")),
        ("DELETE", "/data/x", None),
        ("POST", "/data/x?uploads", ("data", "class A")),
        ("PUT", "/data/x?partNumber=1&uploadId=1", ("data", "class A")),
        ("GET", "/", None),
    ],
)
def test_bytes_and_the_xml_api(method: str, target: str, charged: Any) -> None:
    async def receive() -> Any:
        raise AssertionError

    path, _, query = target.partition("?")
    queries = parse_qs(query, keep_blank_values=True)
    request = Request(method, f"https://{HOST}", HOST, path, queries, {}, ANONYMOUS, Body(receive))
    assert operations.of_bytes(request) == charged
