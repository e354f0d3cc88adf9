"""The API of the shared cloud, ready to serve models, and files for models."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from clouds import PROJECT, LocalCloud
from clouds.serving import Api, prepare


@pytest.fixture(scope="module")
def api(local_cloud: LocalCloud, session: Any) -> Api:
    return prepare(local_cloud, session)


_numbers = itertools.count(1)


@pytest.fixture
def artifacts(session: Any) -> Callable[..., str]:
    """artifacts(names, location) makes a bucket with files; gives the gs:// path of the folder."""

    def make(names: Any = ("model.txt",), location: str = "us-central1", prefix: str = "model") -> str:
        bucket = f"serving-{next(_numbers)}-{time.time_ns() % 10**9}"
        made = session.post(
            f"https://storage.googleapis.com/storage/v1/b?project={PROJECT}",
            json={"name": bucket, "location": location},
        )
        assert made.ok, made.text
        files = names if isinstance(names, dict) else dict.fromkeys(names, "x")
        for name, text in files.items():
            address = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o?uploadType=media"
            sent = session.post(address, params={"name": f"{prefix}/{name}"}, data=text.encode())
            assert sent.ok, sent.text
        return f"gs://{bucket}/{prefix}"

    return make
