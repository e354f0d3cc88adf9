"""Cloud Run jobs in tests, on a local cloud of a test's own, whose server may be killed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from requests import Response

from clouds import PROJECT, Start
from clouds.own import PLAIN, OwnCloud

HOST = "https://run.googleapis.com/v2"
PLACE = f"projects/{PROJECT}/locations/us-central1"
WORKER = f"worker@{PROJECT}.iam.gserviceaccount.com"


def body(script: str, image: str = PLAIN, task: Mapping[str, Any] | None = None, **template: Any) -> dict[str, Any]:
    """A job that runs a Python script as WORKER; `task` is of its task template."""
    container = {"image": image, "command": ["python", "-c", script], "args": ["one", "two"]}
    return {
        "labels": {"made-by": "a-test"},
        "template": {
            "template": {"containers": [container], "serviceAccount": WORKER, "maxRetries": 0, **(task or {})},
            **template,
        },
    }


class RunCloud(OwnCloud):
    """Knows `images`, by default one without packages; `settings` are those of its run.json."""

    def __init__(
        self, new_cloud: Start, tmp_path: Path, images: Mapping[str, Any] | None = None, **settings: Any
    ) -> None:
        super().__init__(new_cloud, tmp_path, images, "run.json", settings)
        self.cloud.enable("run")
        self.cloud.account("worker", "roles/logging.logWriter")
        self.cloud.grant("roles/iam.serviceAccountUser")

    def create(self, job: str, given: Mapping[str, Any]) -> Response:
        """Ask for a job."""
        return self.session.post(f"{HOST}/{PLACE}/jobs?jobId={job}", json=given)

    def run(self, job: str, script: str = "", **more: Any) -> str:
        """Run a job, made first where there is a `script`; gives the execution's name."""
        if script:
            made = self.create(job, body(script, **more))
            assert made.ok and made.json()["done"] and "error" not in made.json(), made.text
        answer = self.session.post(f"{HOST}/{PLACE}/jobs/{job}:run", json={})
        assert answer.ok, answer.text
        return answer.json()["metadata"]["name"]

    def get(self, name: str) -> dict[str, Any]:
        return self.session.get(f"{HOST}/{name}").json()

    def wait(self, execution: str) -> dict[str, Any]:
        """The execution once it has ended."""
        while "completionTime" not in (found := self.get(execution)):
            assert "error" not in found, found
            time.sleep(0.05)
        return found

    def until(self, execution: str, line: str) -> None:
        """Wait until an execution has logged a line."""
        while line not in self.lines(execution):
            time.sleep(0.05)

    def entries(self, execution: str) -> list[dict[str, Any]]:
        """All log entries of an execution."""
        matching = f'labels."run.googleapis.com/execution_name"="{execution.rpartition("/")[2]}"'
        request = {"resourceNames": [f"projects/{PROJECT}"], "filter": matching, "pageSize": 1000}
        answer = self.session.post("https://logging.googleapis.com/v2/entries:list", json=request)
        assert answer.ok, answer.text
        return answer.json().get("entries", [])

    def lines(self, execution: str) -> list[str]:
        """What the tasks of an execution printed."""
        return [e["textPayload"] for e in self.entries(execution) if e["logName"].endswith("%2Fstdout")]
