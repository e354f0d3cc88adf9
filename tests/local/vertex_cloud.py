"""A local cloud of one's own with Vertex AI on: its jobs, what they logged, and kills of its server."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from requests import Response

from tests.local.conftest import Start

PLAIN = "local/plain:1"
PLACE = "https://us-central1-aiplatform.googleapis.com/v1/projects/test-project/locations/us-central1"
ENDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


def pool(script: str, image: str = PLAIN, **more: Any) -> dict[str, Any]:
    """A worker pool that runs a Python script."""
    return {
        "machineSpec": {"machineType": "n1-standard-4"},
        "containerSpec": {"imageUri": image, "command": ["python", "-c", script]},
        **more,
    }


class VertexCloud:
    """Knows `images`, by default one without packages; `settings` are those of its vertex.json."""

    def __init__(
        self, new_cloud: Start, tmp_path: Path, images: Mapping[str, Any] | None = None, **settings: Any
    ) -> None:
        self.root = tmp_path / "own"
        self.root.mkdir(mode=0o700)
        (self.root / "images.json").write_text(json.dumps(images or {PLAIN: {}}), encoding="utf-8")
        (self.root / "vertex.json").write_text(json.dumps({"graceSeconds": 1, **settings}), encoding="utf-8")
        self._new_cloud = new_cloud
        self.start()
        self.cloud.enable("aiplatform")

    def start(self) -> None:
        self.cloud = self._new_cloud("own")
        self.session = self.cloud.session()

    def kill(self) -> None:
        process = psutil.Process(self.cloud.server["pid"])
        process.kill()
        process.wait(10)

    def post(self, pools: Sequence[dict[str, Any]], name: str = "job", **spec: Any) -> Response:
        """Ask for a custom job."""
        body = {"displayName": name, "jobSpec": {"workerPoolSpecs": list(pools), **spec}}
        return self.session.post(f"{PLACE}/customJobs", json=body)

    def get(self, job: str) -> dict[str, Any]:
        return self.session.get(f"{PLACE}/customJobs/{job}").json()

    def cancel(self, job: str) -> None:
        assert self.session.post(f"{PLACE}/customJobs/{job}:cancel", json={}).ok

    def wait(self, job: str, *states: str) -> dict[str, Any]:
        """The job once it is in one of `states`, by default once it has ended; it must not end in another."""
        while (found := self.get(job))["state"] not in (states or ENDED):
            assert found["state"] not in ENDED, found
            time.sleep(0.05)
        return found

    def lines(self, job: str, task: str = "workerpool0-0") -> list[str]:
        """What a replica of a job, or the "service", logged."""
        matching = f'resource.labels.job_id="{job}" resource.labels.task_name="{task}"'
        request = {"resourceNames": ["projects/test-project"], "filter": matching, "pageSize": 1000}
        answer = self.session.post("https://logging.googleapis.com/v2/entries:list", json=request)
        assert answer.ok, answer.text
        found = answer.json().get("entries", [])
        return [entry.get("textPayload") or entry["jsonPayload"]["message"] for entry in found]

    def wait_for_lines(self, job: str, line: str, count: int = 1) -> None:
        while self.lines(job).count(line) < count:
            time.sleep(0.05)


def id_of(answer: Response) -> str:
    """The id of the job that was taken."""
    assert answer.ok, answer.text
    return answer.json()["name"].rpartition("/")[2]
