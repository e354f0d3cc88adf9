"""Batch prediction jobs: their bodies, their end, what they wrote."""

from __future__ import annotations

import json
import time
from typing import Any

MACHINE = {"machineSpec": {"machineType": "n1-standard-2"}}


def body(model: str, source: str, target: str, kind: str = "jsonl", **more: Any) -> dict[str, Any]:
    return {
        "displayName": "batch",
        "model": model,
        "inputConfig": {"instancesFormat": kind, "gcsSource": {"uris": [source]}},
        "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": target}},
        "dedicatedResources": MACHINE,
        **more,
    }


def ended(api: Any, job: dict[str, Any]) -> dict[str, Any]:
    until = time.monotonic() + 60
    while job["state"] not in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"):
        assert time.monotonic() < until, job
        time.sleep(0.1)
        job = api.call("GET", job["name"])
    return job


def lines(session: Any, job: dict[str, Any], what: str) -> list[Any]:
    folder = job["outputInfo"]["gcsOutputDirectory"]
    bucket, _, name = folder.removeprefix("gs://").partition("/")
    name = f"{name}/prediction.{what}-00000-of-00001".replace("/", "%2F")
    found = session.get(f"https://storage.googleapis.com/storage/v1/b/{bucket}/o/{name}?alt=media")
    assert found.ok, found.text
    return [json.loads(line) for line in found.text.splitlines()]
