"""Tuning jobs and training pipelines go on where they were after their server was killed, and lose nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from clouds.vertex import ENDED, PLACE, PLAIN, VertexCloud, id_of, pool
from localcloud import launch

WRITER = "local/writer:1"
UNDER_WAY = ("PIPELINE_STATE_PENDING", "PIPELINE_STATE_RUNNING")
TASK = "custom_task_1.0.0.yaml"
pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, sys, time
x = int(sys.argv[1].partition("=")[2])
print("tried", x, flush=True)
rows = []
for step in range(1, 11):
    rows.append({"timestamp": time.time(), "acc": str(x * 10 + step), "global_step": str(step)})
    with open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "w") as file:
        file.write("".join(json.dumps(row) + chr(10) for row in rows))
    time.sleep(0.05)
"""


class Cloud(VertexCloud):
    """A server of one's own, with what tests ask of its tuning jobs."""

    def suggesting(self) -> list[psutil.Process]:
        """What the server itself started, but for the supervisors of jobs: they must end with it."""
        children = psutil.Process(self.cloud.server["pid"]).children()
        return [process for process in children if "localcloud.vertex.tuning.suggest" in process.cmdline()]

    def create(self, script: str, trials: int, more: Mapping[str, Any] | None = None, **study: Any) -> str:
        """The new job's id."""
        parameter = {"parameterId": "x", "integerValueSpec": {"minValue": "1", "maxValue": str(trials)}}
        metrics = [{"metricId": "acc", "goal": "MAXIMIZE"}]
        body = {
            "displayName": "tune",
            "studySpec": {"metrics": metrics, "parameters": [parameter], **study},
            "maxTrialCount": trials,
            "parallelTrialCount": 2,
            "trialJobSpec": {"workerPoolSpecs": [pool(script)]},
            **(more or {}),
        }
        return id_of(self.session.post(f"{PLACE}/hyperparameterTuningJobs", json=body))

    def get(self, job: str) -> dict[str, Any]:
        return self.session.get(f"{PLACE}/hyperparameterTuningJobs/{job}").json()


@pytest.fixture
def own(new_cloud: Any, tmp_path: Path) -> Cloud:
    images = {PLAIN: {}, WRITER: {"requirements": ["google-cloud-storage==3.17.1"]}}
    return Cloud(new_cloud, tmp_path, images)


def test_a_server_that_is_killed_again_and_again_loses_no_trial(own: Cloud) -> None:
    job = own.create(SCRIPT, 8, algorithm="GRID_SEARCH")
    kills = 0
    while (found := own.get(job))["state"] not in ENDED:
        time.sleep(0.15)
        if kills < 6:
            own.kill()
            own.start()
            kills += 1
    assert found["state"] == "JOB_STATE_SUCCEEDED" and kills > 1, (kills, found)  # a slow machine kills less often
    trials = found["trials"]
    assert [trial["id"] for trial in trials] == [str(n) for n in range(1, 9)]
    assert [trial["parameters"][0]["value"] for trial in trials] == [float(n) for n in range(1, 9)]
    assert {trial["state"] for trial in trials} == {"SUCCEEDED"}
    for n, trial in enumerate(trials, 1):
        found = [one["metrics"][0]["value"] for one in trial["measurements"]]
        assert found == [float(n * 10 + step) for step in range(1, 11)]
    assert sorted(own.lines(job)) == [f"tried {n}" for n in range(1, 9)]


def test_when_the_clock_is_moved_trials_run_one_after_the_other_each_to_its_time_limit(own: Cloud) -> None:
    spec = {"workerPoolSpecs": [pool("import time; time.sleep(600)")], "scheduling": {"timeout": "3600s"}}
    job = own.create("", 3, {"trialJobSpec": spec, "parallelTrialCount": 1, "maxFailedTrialCount": 3})
    before = datetime.now(UTC)
    launch.forward(own.root, 10 * 3600)
    found = own.get(job)

    def hours(stamp: str) -> float:
        return (datetime.fromisoformat(stamp) - before).total_seconds() / 3600

    assert found["state"] == "JOB_STATE_FAILED"
    for number, trial in enumerate(found["trials"]):
        assert (hours(trial["startTime"]), hours(trial["endTime"])) == pytest.approx((number, number + 1), abs=0.01)
    assert hours(found["endTime"]) == pytest.approx(3, abs=0.01)


def test_suggestions_go_on_after_a_kill_and_their_process_ends_with_its_server(own: Cloud) -> None:
    job = own.create(SCRIPT, 6)
    while not any("measurements" in trial for trial in own.get(job).get("trials", [])):
        assert own.get(job)["state"] not in ENDED, own.get(job)
        time.sleep(0.05)
    before = own.get(job)["trials"]
    left = own.suggesting()
    own.kill()
    assert len(left) == 1
    psutil.wait_procs(left, timeout=10)
    assert not any(launch.ended(one) is False for one in left)
    own.start()
    while (found := own.get(job))["state"] not in ENDED:
        time.sleep(0.1)
    assert found["state"] == "JOB_STATE_SUCCEEDED"
    assert [trial["id"] for trial in found["trials"]] == ["1", "2", "3", "4", "5", "6"]
    for old, new in zip(before, found["trials"], strict=False):
        assert (old["parameters"], old["customJob"]) == (new["parameters"], new["customJob"])


def test_a_stop_cancels_the_job(own: Cloud) -> None:
    job = own.create("import time\ntime.sleep(600)", 4)
    while own.get(job)["state"] != "JOB_STATE_RUNNING":
        time.sleep(0.05)
    launch.stop(own.root)
    own.start()
    found = own.get(job)
    assert (found["state"], found["error"]) == ("JOB_STATE_CANCELLED", {"code": 1, "message": "CANCELED"})
    assert {trial["state"] for trial in found["trials"]} == {"INFEASIBLE"}


def test_what_waits_goes_on_after_a_stop(own: Cloud) -> None:
    first = own.create("import time\ntime.sleep(600)", 2)  # takes all the room there is
    while [trial["state"] for trial in own.get(first).get("trials", [])] != ["ACTIVE"] * 2:
        time.sleep(0.05)
    second = own.create(SCRIPT, 2, algorithm="GRID_SEARCH")
    while "trials" not in own.get(second):
        time.sleep(0.05)
    assert own.get(second)["state"] == "JOB_STATE_PENDING"
    launch.stop(own.root)
    own.start()
    assert own.get(first)["state"] == "JOB_STATE_CANCELLED"
    while (found := own.get(second))["state"] not in ENDED:
        time.sleep(0.1)
    assert (found["state"], len(found["trials"])) == ("JOB_STATE_SUCCEEDED", 2), found


def test_a_project_that_nobody_pays_for_tries_nothing_any_more(own: Cloud) -> None:
    script = SCRIPT + "time.sleep(600 if x > 1 else 0)"
    job = own.create(script, 8, algorithm="GRID_SEARCH")
    while len(own.get(job).get("trials", [])) < 3:
        assert own.get(job)["state"] not in ENDED
        time.sleep(0.05)
    info = "https://cloudbilling.googleapis.com/v1/projects/test-project/billingInfo"
    own.cloud.enable("cloudbilling")
    answer = own.session.get(info)
    assert answer.ok, answer.text
    account = answer.json()["billingAccountName"]
    assert own.session.put(info, json={"billingAccountName": ""}).ok
    assert own.session.put(info, json={"billingAccountName": account}).ok
    while (found := own.get(job))["state"] not in ENDED:
        time.sleep(0.05)
    assert (found["state"], found["error"]["code"]) == ("JOB_STATE_FAILED", 9)
    assert "billing account" in found["error"]["message"]
    assert [trial["state"] for trial in found["trials"]] == ["SUCCEEDED", "INFEASIBLE", "INFEASIBLE"]


WRITE = """
import os, time
from google.cloud import storage
bucket, _, name = os.environ["AIP_MODEL_DIR"].removeprefix("gs://").partition("/")
storage.Client(project="test-project").bucket(bucket).blob(name + "weights.txt").upload_from_string("1 2")
print("wrote")
"""


def test_a_pipeline_whose_server_is_killed_again_and_again_uploads_one_model(own: Cloud) -> None:
    buckets = "https://storage.googleapis.com/storage/v1/b?project=test-project"
    assert own.session.post(buckets, json={"name": "killed", "location": "us-central1"}).ok
    inputs = {"workerPoolSpecs": [pool(WRITE, WRITER)], "baseOutputDirectory": {"outputUriPrefix": "gs://killed/out"}}
    body = {
        "displayName": "killed",
        "trainingTaskDefinition": f"gs://google-cloud-aiplatform/schema/trainingjob/definition/{TASK}",
        "trainingTaskInputs": inputs,
        "modelToUpload": {"displayName": "once", "containerSpec": {"imageUri": PLAIN}},
    }
    pipeline = id_of(own.session.post(f"{PLACE}/trainingPipelines", json=body))
    kills = 0
    while (found := own.session.get(f"{PLACE}/trainingPipelines/{pipeline}").json())["state"] in UNDER_WAY:
        time.sleep(0.1)
        if kills < 8:
            own.kill()
            own.start()
            kills += 1
    assert found["state"] == "PIPELINE_STATE_SUCCEEDED" and kills > 1, (kills, found.get("error"))
    models = own.session.get(f"{PLACE}/models").json()["models"]
    assert [one["name"] for one in models] == [found["modelToUpload"]["name"]]
    assert len(own.session.get(f"{PLACE}/customJobs").json()["customJobs"]) == 1
