"""Vertex AI in tests: its jobs on the shared local cloud, or on one of a test's own, whose server may be killed."""

from __future__ import annotations

import json
import textwrap
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.auth.transport.requests import AuthorizedSession
from requests import Response

from clouds import PROJECT, LocalCloud, Start
from clouds.own import PLAIN, OwnCloud

HOST = "https://us-central1-aiplatform.googleapis.com/v1"
LOCATION = f"projects/{PROJECT}/locations/us-central1"
PLACE = f"{HOST}/{LOCATION}"
ENDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
TASK = "import sys\nprint('trainer with', sys.argv[1:])\n"
_SDK = """
import time

def tell(*words):
    print("told:", *words)  # the SDK prints, too

def hurry(seconds, sleep=time.sleep):
    sleep(min(seconds, 0.2))

time.sleep = hurry  # the SDK looks every five seconds whether something has ended
"""
_OVER = ("_SUCCEEDED", "_FAILED", "_CANCELLED")


def prepare(cloud: LocalCloud, bucket: str, images: Mapping[str, Any] | None = None) -> None:
    """Turn Vertex AI on in a cloud that knows `images`, by default one without packages, and has `bucket`."""
    (cloud.root / "images.json").write_text(json.dumps(images or {PLAIN: {}}), encoding="utf-8")
    cloud.enable("aiplatform")
    with cloud.session() as session:
        body = {"name": bucket, "location": "US-CENTRAL1"}
        made = session.post(f"https://storage.googleapis.com/storage/v1/b?project={cloud.project}", json=body)
    assert made.ok or made.status_code == 409


def created(session: AuthorizedSession, collection: str, body: dict[str, Any]) -> dict[str, Any]:
    """A new job or pipeline of `collection`, which must be taken."""
    answer = session.post(f"{PLACE}/{collection}", json=body)
    assert answer.ok, answer.text
    return answer.json()


def wait(session: AuthorizedSession, made: Mapping[str, Any], *states: str) -> dict[str, Any]:
    """The job or pipeline once it is in one of `states`, by default once it has ended; it must not end in another."""
    while True:
        found = session.get(f"{HOST}/{made['name']}").json()
        over = found["state"].endswith(_OVER)
        if found["state"] in states or (over and not states):
            return found
        assert not over, found
        time.sleep(0.05)


def entries(session: AuthorizedSession, job: Mapping[str, Any], task: str = "workerpool0-0") -> list[dict[str, Any]]:
    """The log entries of a task of a job, or with "" of all of them."""
    matching = f'resource.type="ml_job" resource.labels.job_id="{job["name"].rpartition("/")[2]}"'
    matching += f' resource.labels.task_name="{task}"' if task else ""
    request = {"resourceNames": [f"projects/{PROJECT}"], "filter": matching, "pageSize": 1000}
    answer = session.post("https://logging.googleapis.com/v2/entries:list", json=request)
    assert answer.ok, answer.text
    return answer.json().get("entries", [])


def lines(session: AuthorizedSession, job: Mapping[str, Any], task: str = "workerpool0-0") -> list[Any]:
    """What a replica of a job, or the "service", logged."""
    return [entry.get("textPayload") or entry["jsonPayload"].get("message") for entry in entries(session, job, task)]


def pool(script: str, image: str = PLAIN, **more: Any) -> dict[str, Any]:
    """A worker pool that runs a Python script."""
    return {
        "machineSpec": {"machineType": "n1-standard-4"},
        "containerSpec": {"imageUri": image, "command": ["python", "-c", script]},
        **more,
    }


class VertexCloud(OwnCloud):
    """Knows `images`, by default one without packages; `settings` are those of its vertex.json."""

    def __init__(
        self, new_cloud: Start, tmp_path: Path, images: Mapping[str, Any] | None = None, **settings: Any
    ) -> None:
        super().__init__(new_cloud, tmp_path, images, "vertex.json", settings)
        self.cloud.enable("aiplatform")

    def post(self, pools: Sequence[dict[str, Any]], name: str = "job", **spec: Any) -> Response:
        """Ask for a custom job."""
        body = {"displayName": name, "jobSpec": {"workerPoolSpecs": list(pools), **spec}}
        return self.session.post(f"{PLACE}/customJobs", json=body)

    def get(self, job: str) -> dict[str, Any]:
        return self.session.get(f"{PLACE}/customJobs/{job}").json()

    def cancel(self, job: str) -> None:
        assert self.session.post(f"{PLACE}/customJobs/{job}:cancel", json={}).ok

    def wait(self, job: str, *states: str) -> dict[str, Any]:
        """As `wait`, by the job's id."""
        return wait(self.session, _named(job), *states)

    def lines(self, job: str, task: str = "workerpool0-0") -> list[Any]:
        """As `lines`, by the job's id."""
        return lines(self.session, _named(job), task)

    def wait_for_lines(self, job: str, line: str, count: int = 1) -> None:
        while self.lines(job).count(line) < count:
            time.sleep(0.05)


def _named(job: str) -> dict[str, str]:
    return {"name": f"{LOCATION}/customJobs/{job}"}


def id_of(answer: Response) -> str:
    """The id of the job that was taken."""
    assert answer.ok, answer.text
    return answer.json()["name"].rpartition("/")[2]


def by_sdk(cloud: LocalCloud, script: str, **options: Any) -> list[str]:
    """What a script told by `tell(...)`. It runs with unmodified clients, but for how long they sleep at a time."""
    printed = cloud.run(_SDK + textwrap.dedent(script), **options).stdout
    return [line.removeprefix("told: ") for line in printed.splitlines() if line.startswith("told: ")]


def make_wheel(folder: Path, task: str = TASK) -> str:
    """Write a wheel whose module trainer.task is the script `task`; gives the file's name."""
    name, info = "trainer-1.0-py3-none-any.whl", "trainer-1.0.dist-info"
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("trainer/__init__.py", "")
        archive.writestr("trainer/task.py", task)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: trainer\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    return name
