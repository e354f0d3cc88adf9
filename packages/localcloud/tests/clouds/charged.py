"""A local cloud of one's own whose bill is looked at, and what tests of money ask of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from google.auth.transport.requests import AuthorizedSession

from clouds import LocalCloud
from localcloud import launch

REGION = "us-central1"
VERTEX = f"https://{REGION}-aiplatform.googleapis.com/v1"
BILLING = "https://cloudbilling.googleapis.com/v1"
STORAGE = "https://storage.googleapis.com"
PUBSUB = "https://pubsub.googleapis.com/v1"
DAY = 86_400
MINE = "billingAccounts/012345-6789AB-CDEF01"
NO_BILLING = "This API method requires billing to be enabled. Please enable billing on project #"
SLEEP = "import time; time.sleep(600)"


@dataclass(frozen=True)
class Place:
    """A cloud of one's own with the APIs on, and its owner's session."""

    cloud: LocalCloud
    session: AuthorizedSession

    @property
    def jobs(self) -> str:
        return f"{VERTEX}/projects/{self.cloud.project}/locations/{REGION}/customJobs"

    def run(
        self, script: str, machine: str = "n1-standard-4", timeout: str = "604800s", **labels: str
    ) -> dict[str, Any]:
        """Submit a job and wait until it runs."""
        spec = {
            "machineSpec": {"machineType": machine},
            "replicaCount": 1,
            "containerSpec": {"imageUri": "local/plain:1", "command": ["python", "-c", script]},
        }
        body = {"displayName": "charged", "labels": labels, "jobSpec": {"workerPoolSpecs": [spec]}}
        body["jobSpec"] |= {"scheduling": {"timeout": timeout}}
        answer = self.session.post(self.jobs, json=body)
        assert answer.ok, answer.text
        return self.wait(answer.json()["name"], "RUNNING", "SUCCEEDED")

    def wait(self, name: str, *states: str) -> dict[str, Any]:
        while True:
            found = self.session.get(f"{VERTEX}/{name}").json()
            if found["state"].removeprefix("JOB_STATE_") in states:
                return found
            assert found["state"] not in ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED"), found.get("error")
            time.sleep(0.05)

    def bill(self, project: str = "") -> dict[str, Any]:
        return launch.control(self.cloud.root, "GET", f"/bill?project={project}")

    def forward(self, seconds: float) -> None:
        launch.forward(self.cloud.root, seconds)

    def link(self, account: str) -> Any:
        return self.session.put(
            f"{BILLING}/projects/{self.cloud.project}/billingInfo", json={"billingAccountName": account}
        )

    def enable(self, *services: str) -> Any:
        url = f"https://serviceusage.googleapis.com/v1/projects/{self.cloud.project}/services:batchEnable"
        return self.session.post(url, json={"serviceIds": [f"{service}.googleapis.com" for service in services]})


def place_in(cloud: LocalCloud) -> Place:
    """The cloud with the APIs on that jobs and budgets need, and an image that is nothing but Python."""
    (cloud.root / "images.json").write_text(json.dumps({"local/plain:1": {}}), encoding="utf-8")
    place = Place(cloud, cloud.session())
    apis = ("aiplatform", "cloudbilling", "billingbudgets", "pubsub", "cloudquotas")
    assert place.enable(*apis).ok
    return place


def refusal(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error.get("status", error.get("errors", [{}])[0].get("reason", "")), error["message"]


def command(cloud: LocalCloud, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "localcloud", arguments[0], "--root", str(cloud.root), *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr
