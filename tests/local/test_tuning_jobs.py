"""Tuning jobs over REST: trials that run, what they are given, how they and the job end."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession

PROJECT, REGION = "test-project", "us-central1"
BASE = f"https://{REGION}-aiplatform.googleapis.com/v1"
PLACE = f"projects/{PROJECT}/locations/{REGION}"
JOBS = f"{BASE}/{PLACE}/hyperparameterTuningJobs"
PLAIN = "local/plain:1"
ENDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")

# What cloudml-hypertune does: the file is written anew with each report.
REPORT = """
import json, os, sys, time
given = dict(one[2:].split("=", 1) for one in sys.argv[1:])
rows = []
def report(step, **metrics):
    path = os.environ["CLOUD_ML_HP_METRIC_FILE"]
    row = {"timestamp": time.time(), "trial": os.environ["CLOUD_ML_TRIAL_ID"], "global_step": str(step)}
    rows.append({**row, **{name: str(value) for name, value in metrics.items()}})
    with open(path, "w") as file:
        for row in rows:
            file.write(json.dumps(row) + "\\n")
"""


@pytest.fixture(scope="module")
def vertex(local_cloud: Any, session: AuthorizedSession) -> AuthorizedSession:
    (local_cloud.root / "images.json").write_text(json.dumps({PLAIN: {}}), encoding="utf-8")
    service = f"https://serviceusage.googleapis.com/v1/projects/{PROJECT}/services/aiplatform.googleapis.com"
    assert session.post(f"{service}:enable").ok
    return session


X = {"parameterId": "x", "integerValueSpec": {"minValue": "1", "maxValue": "4"}}


def body(script: str, *parameters: dict[str, Any], trials: int = 4, parallel: int = 2, **more: Any) -> dict[str, Any]:
    pool = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": "1",
        "containerSpec": {"imageUri": PLAIN, "command": ["python", "-c", REPORT + script]},
    }
    made: dict[str, Any] = {
        "displayName": f"tune-{uuid.uuid4().hex[:8]}",
        "studySpec": {"metrics": [{"metricId": "acc", "goal": "MAXIMIZE"}], "parameters": list(parameters or [X])},
        "maxTrialCount": trials,
        "parallelTrialCount": parallel,
        "trialJobSpec": {"workerPoolSpecs": [pool]},
    }
    study, spec = more.pop("study", {}), more.pop("spec", {})
    made["studySpec"] |= study
    made["trialJobSpec"] |= spec
    return made | more


def create(session: AuthorizedSession, job: dict[str, Any]) -> dict[str, Any]:
    answer = session.post(JOBS, json=job)
    assert answer.ok, answer.text
    return answer.json()


def wait(session: AuthorizedSession, job: dict[str, Any], until: Any = None) -> dict[str, Any]:
    while True:
        found = session.get(f"{BASE}/{job['name']}").json()
        if found["state"] in ENDED if until is None else until(found):
            return found
        assert found["state"] not in ENDED, found
        time.sleep(0.1)


def entries(session: AuthorizedSession, job: dict[str, Any]) -> list[dict[str, Any]]:
    matching = f'resource.type="ml_job" resource.labels.job_id="{job["name"].rpartition("/")[2]}"'
    request = {"resourceNames": [f"projects/{PROJECT}"], "filter": matching, "pageSize": 1000}
    return session.post("https://logging.googleapis.com/v2/entries:list", json=request).json().get("entries", [])


def test_a_grid_is_tried(vertex: AuthorizedSession) -> None:
    script = """
report(1, acc=0.1)
report(2, acc=1 - abs(int(given["x"]) - 3) / 4)
print("tried", given["x"])
"""
    job = create(vertex, body(script, trials=9, study={"algorithm": "GRID_SEARCH"}, labels={"team": "a"}))
    assert (job["state"], "trials" in job) == ("JOB_STATE_PENDING", False)
    ended = wait(vertex, job)
    assert ended["state"] == "JOB_STATE_SUCCEEDED"
    assert ended["createTime"] <= ended["startTime"] <= ended["endTime"] <= ended["updateTime"]
    trials = ended["trials"]
    assert [trial["id"] for trial in trials] == ["1", "2", "3", "4"]  # the grid has no more
    assert [trial["parameters"] for trial in trials] == [[{"parameterId": "x", "value": float(n)}] for n in range(1, 5)]
    assert {trial["state"] for trial in trials} == {"SUCCEEDED"}
    best = max(trials, key=lambda trial: trial["finalMeasurement"]["metrics"][0]["value"])
    assert (best["id"], best["finalMeasurement"]["stepCount"]) == ("3", "2")
    assert [one["stepCount"] for one in best["measurements"]] == ["1", "2"]
    assert float(best["finalMeasurement"]["elapsedDuration"].rstrip("s")) < 60
    assert all(trial["startTime"] <= trial["endTime"] for trial in trials)
    said = [
        (e["labels"].get("ml.googleapis.com/trial_id"), e.get("jsonPayload", {}).get("message"))
        for e in entries(vertex, job)
    ]
    assert {one for one in said if one[1] and one[1].startswith("tried")} == {
        (str(n), f"tried {n}") for n in range(1, 5)
    }
    custom = vertex.get(f"{BASE}/{best['customJob']}").json()
    assert custom["state"] == "JOB_STATE_SUCCEEDED"
    listed = vertex.get(f"{BASE}/{PLACE}/customJobs?pageSize=1000").json().get("customJobs", [])
    assert best["customJob"] not in [one["name"] for one in listed]
