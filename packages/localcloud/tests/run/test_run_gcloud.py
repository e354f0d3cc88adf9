"""`gcloud run jobs`, unmodified: the older API by namespaces, with the same jobs as the clients' one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clouds import Start
from clouds.gcloud import gcloud
from clouds.run import PLACE, PLAIN, WORKER, RunCloud

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed"),
]
REGION = ("--region", "us-central1")


def test_a_job_from_its_making_to_its_end(new_cloud: Start, tmp_path: Path) -> None:
    here = RunCloud(new_cloud, tmp_path)

    def run(*words: str, fails: str = ""):
        return gcloud(here.cloud, "run", "jobs", *words, *REGION, fails=fails)

    script = "import os, sys; print('told', sys.argv[1:]); sys.exit(int(os.environ.get('CODE', '0')))"
    made = run("create", "first", "--image", PLAIN, "--command", "python", f"--args=^@^-c@{script}@one",
               "--service-account", WORKER, "--cpu", "2", "--memory", "4Gi", "--max-retries", "0",
               "--task-timeout", "2m", "--labels", "team=a")  # fmt: skip
    assert made["status"]["conditions"][0]["status"] == "True"
    same = here.get(f"{PLACE}/jobs/first")
    task = same["template"]["template"]
    assert (task["timeout"], task.get("maxRetries", 0), same["labels"]) == ("120s", 0, {"team": "a"})
    assert task["containers"][0]["resources"]["limits"] == {"cpu": "2", "memory": "4Gi"}

    ended = run("execute", "first", "--wait")
    assert ended["status"]["succeededCount"] == 1
    name = ended["metadata"]["name"]
    assert here.lines(f"{PLACE}/jobs/first/executions/{name}") == ["told ['one']"]
    failed = run("execute", "first", "--wait", "--update-env-vars", "CODE=3", fails="The execution failed.")
    assert "Traceback" not in failed

    found = run("list")
    assert [(one["metadata"]["name"], one["status"]["executionCount"]) for one in found] == [("first", 2)]
    executions = gcloud(here.cloud, "run", "jobs", "executions", "list", "--job", "first", *REGION)
    assert {one["status"]["conditions"][0]["status"] for one in executions} == {"True", "False"}
    (task,) = gcloud(here.cloud, "run", "jobs", "executions", "tasks", "list", "--execution", name, *REGION)
    assert task["status"]["conditions"][0]["status"] == "True"

    run("update", "first", "--memory", "8Gi")
    (container,) = here.get(f"{PLACE}/jobs/first")["template"]["template"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "8Gi"}
    run("update", "first", "--memory", "16Gi", fails="For 2.0 CPU, memory must be between 512Mi and 8Gi inclusive.")
    run("delete", "first", "--quiet")
    assert here.session.get(f"https://run.googleapis.com/v2/{PLACE}/jobs").json() == {}
    run("describe", "first", fails="Cannot find job [first]")
