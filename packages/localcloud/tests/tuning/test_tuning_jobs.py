"""Tuning jobs over REST: trials that run, what they are given, how they and the job end."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession

from clouds import PROJECT
from clouds.vertex import HOST, PLACE, PLAIN, created, entries, prepare, wait

pytestmark = pytest.mark.slow

JOBS = f"{PLACE}/hyperparameterTuningJobs"
BUCKET = "tuning-of-tests"

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
    prepare(local_cloud, BUCKET)
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
    return created(session, "hyperparameterTuningJobs", job)


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
        for e in entries(vertex, job, "")
    ]
    assert {one for one in said if one[1] and one[1].startswith("tried")} == {
        (str(n), f"tried {n}") for n in range(1, 5)
    }
    custom = vertex.get(f"{HOST}/{best['customJob']}").json()
    assert custom["state"] == "JOB_STATE_SUCCEEDED"
    listed = vertex.get(f"{PLACE}/customJobs?pageSize=1000").json().get("customJobs", [])
    assert best["customJob"] not in [one["name"] for one in listed]


def test_what_a_trial_is_given(vertex: AuthorizedSession) -> None:
    script = """
names = ("CLOUD_ML_JOB_ID", "CLOUD_ML_TRIAL_ID", "AIP_MODEL_DIR", "AIP_CHECKPOINT_DIR", "AIP_TENSORBOARD_LOG_DIR")
said = {name: os.environ[name] for name in names}
said["task"] = json.loads(os.environ["CLUSTER_SPEC"])["task"]
print(json.dumps({"message": "given", "given": given, **said}))
report(1, acc=1)
"""
    parameters = [
        {"parameterId": "rate", "doubleValueSpec": {"minValue": 0.25, "maxValue": 0.25}},
        {"parameterId": "kind", "categoricalValueSpec": {"values": ["a b"]}},
        {"parameterId": "size", "discreteValueSpec": {"values": [32.0]}, "scaleType": "UNIT_LOG_SCALE"},
    ]
    spec = {"baseOutputDirectory": {"outputUriPrefix": f"gs://{BUCKET}/out"}}
    job = create(vertex, body(script, *parameters, trials=2, parallel=1, spec=spec))
    ended = wait(vertex, job)
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    assert ended["trialJobSpec"]["baseOutputDirectory"]["outputUriPrefix"] == f"gs://{BUCKET}/out"
    said = [e["jsonPayload"] for e in entries(vertex, job, "") if e.get("jsonPayload", {}).get("message") == "given"]
    assert [one["CLOUD_ML_TRIAL_ID"] for one in said] == ["1", "2"]
    assert said[1] == {
        "message": "given",
        "given": {"rate": "0.25", "kind": "a b", "size": "32"},
        "CLOUD_ML_JOB_ID": job["name"].rpartition("/")[2],
        "CLOUD_ML_TRIAL_ID": "2",
        "AIP_MODEL_DIR": f"gs://{BUCKET}/out/2/model/",
        "AIP_CHECKPOINT_DIR": f"gs://{BUCKET}/out/2/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"gs://{BUCKET}/out/2/logs/",
        "task": {"type": "workerpool0", "index": 0, "trial": "2"},
    }


def test_a_job_whose_trials_fail_before_any_succeeds_fails(vertex: AuthorizedSession) -> None:
    job = create(vertex, body("raise SystemExit('no data')", trials=20, parallel=1))
    ended = wait(vertex, job)
    assert (ended["state"], len(ended["trials"])) == ("JOB_STATE_FAILED", 1)
    trial = ended["trials"][0]
    assert trial["state"] == "INFEASIBLE"
    assert trial["infeasibleReason"].startswith("The replica workerpool0-0 exited with a non-zero status of 1.")
    assert ended["error"]["code"] == 3
    assert ended["error"]["message"].startswith("Hyperparameter Tuning Trial #1 Failed before any other successful")
    assert "no data" in ended["error"]["message"]


def test_failures_up_to_the_limit_fail_no_job(vertex: AuthorizedSession) -> None:
    script = """
if int(given["x"]) < 3:
    raise SystemExit(1)
if int(given["x"]) == 3:
    report(1, other=1)  # no measurement of the study
else:
    report(1, acc=1)
"""
    study = {"algorithm": "GRID_SEARCH"}
    enough = create(vertex, body(script, study=study, maxFailedTrialCount=4))
    strict = create(vertex, body(script, study=study, parallel=1, maxFailedTrialCount=2))
    ended = wait(vertex, enough)
    assert ended["state"] == "JOB_STATE_SUCCEEDED"
    assert [trial["state"] for trial in ended["trials"]] == ["INFEASIBLE"] * 3 + ["SUCCEEDED"]
    assert ended["trials"][2]["infeasibleReason"] == "The trial reported no measurement of `acc`."
    ended = wait(vertex, strict)
    assert (ended["state"], len(ended["trials"])) == ("JOB_STATE_FAILED", 2)
    assert ended["error"]["message"].startswith(
        "2 Trials failed, as many as max_failed_trial_count allows; the last one was Trial #2. "
        "The failed trial had parameters: x=2, . The trial's error message was: The replica workerpool0-0 exited"
    )


LONG = """
import signal
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
x = int(given["x"])
for step in range(1, 6 if x > 1 else 3000):
    report(step, acc=x / 10)
    time.sleep(0.05)
"""


@pytest.mark.slow
def test_a_trial_without_hope_is_stopped_and_counts(vertex: AuthorizedSession) -> None:
    values = {"parameterId": "x", "discreteValueSpec": {"values": [1.0, 5.0, 6.0, 7.0]}}
    study = {"algorithm": "GRID_SEARCH", "medianAutomatedStoppingSpec": {}}
    job = create(vertex, body(LONG, values, parallel=2, study=study))
    ended = wait(vertex, job)
    assert (ended["state"], [trial["state"] for trial in ended["trials"]]) == ("JOB_STATE_SUCCEEDED", ["SUCCEEDED"] * 4)
    assert ended["trials"][0]["finalMeasurement"]["metrics"] == [{"metricId": "acc", "value": 0.1}]
    assert 1 < int(ended["trials"][0]["finalMeasurement"]["stepCount"]) < 3000


@pytest.mark.slow
def test_a_job_is_cancelled_with_its_trials(vertex: AuthorizedSession) -> None:
    job = create(vertex, body("report(1, acc=1)\ntime.sleep(600)"))
    running = job
    while not any("measurements" in trial for trial in running.get("trials", [])):
        time.sleep(0.05)
        running = vertex.get(f"{HOST}/{job['name']}").json()
    assert running["state"] == "JOB_STATE_RUNNING"
    assert {trial["state"] for trial in running["trials"]} <= {"REQUESTED", "ACTIVE"}
    refused = vertex.delete(f"{HOST}/{job['name']}")
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
    own = running["trials"][0]["customJob"]
    refused = vertex.post(f"{HOST}/{own}:cancel")
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
    assert vertex.post(f"{HOST}/{job['name']}:cancel").json() == {}
    ended = wait(vertex, job)
    assert (ended["state"], ended["error"]) == ("JOB_STATE_CANCELLED", {"code": 1, "message": "CANCELED"})
    assert {trial["state"] for trial in ended["trials"]} == {"INFEASIBLE"}
    again = vertex.post(f"{HOST}/{job['name']}:cancel").json()["error"]
    assert again["message"] == "The HyperparameterTuningJob is in state JOB_STATE_CANCELLED and can't be cancelled."
    operation = vertex.delete(f"{HOST}/{job['name']}").json()
    assert operation["done"]
    for gone, what in ((job["name"], "HyperparameterTuningJob"), (own, "CustomJob")):
        error = vertex.get(f"{HOST}/{gone}").json()["error"]
        assert (error["code"], error["message"]) == (404, f"The {what} does not exist.")


def test_jobs_are_listed_by_filter_and_page(vertex: AuthorizedSession) -> None:
    mark = uuid.uuid4().hex[:8]
    made = [create(vertex, body("raise SystemExit(1)", labels={"mark": mark})) for _ in range(3)]
    wanted = {"filter": f"labels.mark={mark}", "pageSize": 2}
    first = vertex.get(JOBS, params=wanted).json()
    rest = vertex.get(JOBS, params={**wanted, "pageToken": first["nextPageToken"]}).json()
    names = [job["name"] for page in (first, rest) for job in page["hyperparameterTuningJobs"]]
    assert names == [job["name"] for job in reversed(made)]
    assert "nextPageToken" not in rest
    for job in made:
        wait(vertex, job)
    failed = vertex.get(JOBS, params={"filter": f'state="JOB_STATE_FAILED" AND labels.mark={mark}'}).json()
    assert len(failed["hyperparameterTuningJobs"]) == 3


def double(**given: Any) -> dict[str, Any]:
    return {"parameterId": "p", "doubleValueSpec": {"minValue": 0.1, "maxValue": 1.0} | given}


CHILD = {"parameterId": "c", "doubleValueSpec": {"maxValue": 1.0}}
SPACE = "study_spec.parameters"


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"displayName": ""}, "display_name", "Required field is not set."),
        ({"maxTrialCount": 0}, "max_trial_count", "The maximum trial count must be positive."),
        ({"parallelTrialCount": 0}, "parallel_trial_count", "The parallel trial count must be positive."),
        (
            {"maxFailedTrialCount": -1},
            "max_failed_trial_count",
            "The maximum failed trial count must not be negative.",
        ),
        ({"study": {"metrics": []}}, "study_spec.metrics", "Required field is not set."),
        ({"study": {"metrics": [{"metricId": "acc"}]}}, "study_spec.metrics[0].goal", "Required field is not set."),
        ({"study": {"parameters": []}}, SPACE, "Required field is not set."),
        (
            {"study": {"parameters": [double()], "algorithm": "GRID_SEARCH"}},
            "study_spec.algorithm",
            "To use grid search, all parameters must be INTEGER, CATEGORICAL, or DISCRETE.",
        ),
        (
            {"study": {"parameters": [{"parameterId": "p"}]}},
            f"{SPACE}[0].parameter_value_spec",
            "One of `double_value_spec`, `integer_value_spec`, `categorical_value_spec` and `discrete_value_spec` "
            "must be set.",
        ),
        (
            {"study": {"parameters": [double(minValue=2.0)]}},
            f"{SPACE}[0].double_value_spec",
            "`min_value` (2) can't be greater than `max_value` (1).",
        ),
        (
            {"study": {"parameters": [double(minValue=0.0) | {"scaleType": "UNIT_LOG_SCALE"}]}},
            f"{SPACE}[0].scale_type",
            "The entire feasible space must be strictly positive for UNIT_LOG_SCALE.",
        ),
        (
            {"study": {"parameters": [double(), double()]}},
            f"{SPACE}[1].parameter_id",
            "The parameter ID `p` is not unique.",
        ),
        (
            {"study": {"parameters": [{"parameterId": "p", "discreteValueSpec": {"values": [2.0, 1.0]}}]}},
            f"{SPACE}[0].discrete_value_spec.values",
            "The values should be in increasing order and at least 1e-10 apart.",
        ),
        (
            {"study": {"parameters": [double(defaultValue=0.5)]}},
            f"{SPACE}[0].double_value_spec.default_value",
            "`default_value` is only supported by the Vertex AI Vizier service, not by HyperparameterTuningJob.",
        ),
        (
            {
                "study": {
                    "parameters": [
                        X
                        | {
                            "conditionalParameterSpecs": [
                                {"parentIntValues": {"values": ["9"]}, "parameterSpec": CHILD},
                            ]
                        }
                    ]
                }
            },
            f"{SPACE}[0].conditional_parameter_specs[0].parent_int_values.values",
            "The value `9` is not a feasible value of the parent parameter.",
        ),
        (
            {"spec": {"workerPoolSpecs": []}},
            "trial_job_spec.worker_pool_specs",
            "Required field is not set.",
        ),
    ],
)
def test_a_job_that_cannot_be_is_refused(vertex: AuthorizedSession, change: Any, field: str, message: str) -> None:
    answer = vertex.post(JOBS, json=body("", **change))
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["message"] == f"List of found errors:\t1.Field: {field}; Message: {message}\t"
    assert error["details"][0]["fieldViolations"] == [{"field": field, "description": message}]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"study": {"convexAutomatedStoppingSpec": {}}}, "the convex rule of early stopping"),
        ({"study": {"studyStoppingConfig": {"shouldStopAsap": True}}}, "conditions that end a study"),
        ({"spec": {"enableWebAccess": True}}, "interactive shells of jobs"),
        ({"encryptionSpec": {"kmsKeyName": "k"}}, "encryption with keys of your own"),
    ],
)
def test_what_is_not_emulated_is_refused(vertex: AuthorizedSession, change: Any, what: str) -> None:
    answer = vertex.post(JOBS, json=body("", **change))
    assert answer.status_code == 501
    assert answer.json()["error"]["message"].startswith(f"not emulated by the local cloud: {what}")


def test_an_account_that_one_may_not_act_as_is_refused(vertex: AuthorizedSession) -> None:
    email = f"never-made@{PROJECT}.iam.gserviceaccount.com"
    answer = vertex.post(JOBS, json=body("", spec={"serviceAccount": email}))
    words = f"You do not have permission to act as service_account: {email}. (or it may not exist)."
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, words)


@pytest.mark.parametrize(("verb", "method"), [("list", "GET"), ("create", "POST")])
def test_permission_is_asked(vertex: AuthorizedSession, local_cloud: Any, verb: str, method: str) -> None:
    other = local_cloud.session(local_cloud.key(local_cloud.account(f"none-{uuid.uuid4().hex[:8]}")))
    error = other.request(method, JOBS, json=body("")).json()["error"]
    permission = f"aiplatform.hyperparameterTuningJobs.{verb}"
    assert (error["code"], error["details"][0]["metadata"]["permission"]) == (403, permission)
