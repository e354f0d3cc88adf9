"""A job that left a model in a bucket, and a cloud that is a table of objects."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from cloudkite.jobs import service

MODEL = {"saved_model.pb": b"graph", "variables/variables.index": b"x" * 100, "empty": b""}
JOB = service.parse(
    {
        "name": "projects/1/locations/us-central1/customJobs/4567890123456789012",
        "displayName": "grades-20261124-143005-9f3c",
        "state": "JOB_STATE_SUCCEEDED",
        "labels": {"trainer": "grades"},
        "createTime": "2026-11-24T14:30:05Z",
        "jobSpec": {"baseOutputDirectory": {"outputUriPrefix": "gs://models/grades/one/"}},
    }
)
PREFIX = "grades/one/model/"


class Cloud:
    """Stands in for the service: lists `files`, and gives their bytes."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.sent: list[str] = []

    def pages(self, *_arguments: Any) -> list[dict[str, str]]:
        return [
            {
                "name": PREFIX + name,
                "size": str(len(data)),
                "generation": "1",
                "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode(),
            }
            for name, data in self.files.items()
        ]

    def download(self, _target: Any, _job: Any, part: Path, todo: dict[str, Any]) -> None:
        for name, item in todo.items():
            self.sent.append(name)
            (part / name).write_bytes(self.files[item["name"].removeprefix(PREFIX)])
