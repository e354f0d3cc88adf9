"""Google's own client of Cloud Run, over REST and gRPC: jobs, executions, tasks, operations, policies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clouds import PROJECT, Start
from clouds.run import PLACE, PLAIN, WORKER, RunCloud

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, sys
print("hello", *sys.argv[1:])
print(json.dumps({"severity": "WARNING", "message": "careful", "loss": 0.5}))
print("oops", file=sys.stderr)
names = ("JOB", "EXECUTION", "TASK_INDEX", "TASK_COUNT", "TASK_ATTEMPT")
print(json.dumps({"variables": {name: os.environ["CLOUD_RUN_" + name] for name in names}, "own": os.environ["OWN"]}))
"""
CLIENT = """
import json, sys
from google.api_core import exceptions
from google.cloud import run_v2
from google.iam.v1 import iam_policy_pb2, policy_pb2

transport, place, image, worker, script = sys.argv[1:6]
jobs = run_v2.JobsClient(transport=transport)
executions = run_v2.ExecutionsClient(transport=transport)
tasks = run_v2.TasksClient(transport=transport)
told = {}
container = run_v2.Container(image=image, command=["python", "-c", script], args=["one", "two"],
    env=[run_v2.EnvVar(name="OWN", value="$(NOT) expanded")],
    resources=run_v2.ResourceRequirements(limits={"cpu": "2", "memory": "4Gi"}))
job = run_v2.Job(labels={"made-by": "a-test"}, template=run_v2.ExecutionTemplate(task_count=2, parallelism=1,
    template=run_v2.TaskTemplate(containers=[container], service_account=worker, max_retries=0)))
made = jobs.create_job(parent=place, job=job, job_id="first").result(timeout=60)
told["made"] = [made.name, made.template.template.timeout.seconds, made.terminal_condition.type_, made.generation,
                made.creator.split("@")[0], int(made.template.template.execution_environment)]
try:
    jobs.create_job(parent=place, job=job, job_id="first")
except exceptions.Conflict as error:
    told["again"] = error.message
operation = jobs.run_job(name=made.name)
told["pending"] = operation.metadata.name.startswith(made.name + "/executions/first-")
ran = operation.result(timeout=100)
told["ran"] = [ran.succeeded_count, ran.task_count, ran.parallelism, ran.conditions[0].type_,
               ran.conditions[0].state.name, bool(ran.completion_time), bool(ran.start_time)]
told["execution"] = ran.name
told["tasks"] = [[t.name.rpartition("-")[2], t.index, t.last_attempt_result.exit_code, t.conditions[0].state.name]
                 for t in tasks.list_tasks(parent=ran.name)]
told["task"] = tasks.get_task(name=ran.name + "/tasks/" + ran.name.rpartition("/")[2] + "-task1").index
told["listed"] = [[j.name, j.execution_count, j.latest_created_execution.completion_status.name]
                  for j in jobs.list_jobs(parent=place)]
told["everywhere"] = [e.name for e in executions.list_executions(parent=place + "/jobs/-")]
found = jobs.get_job(name=made.name)
found.template.template.timeout = {"seconds": 90}
changed = jobs.update_job(job=found).result(timeout=60)
told["changed"] = [changed.generation, changed.template.template.timeout.seconds, changed.execution_count]
policy = jobs.set_iam_policy(iam_policy_pb2.SetIamPolicyRequest(resource=made.name, policy=policy_pb2.Policy(
    bindings=[policy_pb2.Binding(role="roles/run.invoker", members=["serviceAccount:" + worker])])))
told["policy"] = [b.role for b in jobs.get_iam_policy(
    iam_policy_pb2.GetIamPolicyRequest(resource=made.name)).bindings]
told["mine"] = list(jobs.test_iam_permissions(iam_policy_pb2.TestIamPermissionsRequest(
    resource=made.name, permissions=["run.jobs.run", "storage.objects.get"])).permissions)
executions.delete_execution(name=ran.name).result(timeout=60)
jobs.delete_job(name=made.name).result(timeout=60)
try:
    jobs.get_job(name=made.name)
except exceptions.NotFound as error:
    told["gone"] = error.message
print(json.dumps(told))
"""


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_the_clients_walk(new_cloud: Start, tmp_path: Path, transport: str) -> None:
    here = RunCloud(new_cloud, tmp_path)
    call = f"import sys\nsys.argv[1:] = {[transport, PLACE, PLAIN, WORKER, SCRIPT]!r}\n{CLIENT}"
    told = json.loads(here.cloud.run(call, timeout=200).stdout)
    assert told["made"] == [f"{PLACE}/jobs/first", 600, "Ready", 1, "owner", 2]
    assert "already exists" in told["again"]
    assert told["pending"]
    assert told["ran"] == [2, 2, 1, "Completed", "CONDITION_SUCCEEDED", True, True]
    assert told["tasks"] == [["task0", 0, 0, "CONDITION_SUCCEEDED"], ["task1", 1, 0, "CONDITION_SUCCEEDED"]]
    assert told["task"] == 1
    assert told["listed"] == [[f"{PLACE}/jobs/first", 1, "EXECUTION_SUCCEEDED"]]
    assert told["everywhere"] == [told["execution"]]
    assert told["changed"] == [2, 90, 1]
    assert told["policy"] == ["roles/run.invoker"]
    assert told["mine"] == ["run.jobs.run"]  # an owner reads no objects by that
    assert "'first' of kind 'JOB' in region 'us-central1'" in told["gone"]

    entries = here.entries(told["execution"])
    printed = [e for e in entries if e["logName"].endswith("%2Fstdout")]
    first = [e for e in printed if e["labels"]["run.googleapis.com/task_index"] == "0"]
    assert [e.get("textPayload") or e["jsonPayload"].get("message") for e in first[:2]] == ["hello one two", "careful"]
    assert "severity" not in first[0] or first[0]["severity"] == "DEFAULT"
    assert first[1]["severity"] == "WARNING"
    assert first[1]["jsonPayload"]["loss"] == 0.5
    execution = told["execution"].rpartition("/")[2]
    variables = {"JOB": "first", "EXECUTION": execution, "TASK_INDEX": "0", "TASK_COUNT": "2", "TASK_ATTEMPT": "0"}
    assert first[2]["jsonPayload"] == {"variables": variables, "own": "$(NOT) expanded"}
    assert first[0]["resource"] == {
        "type": "cloud_run_job",
        "labels": {"project_id": PROJECT, "location": "us-central1", "job_name": "first"},
    }
    assert first[0]["labels"]["run.googleapis.com/task_attempt"] == "0"
    assert [e["textPayload"] for e in entries if e["logName"].endswith("%2Fstderr")] == ["oops", "oops"]
    said = [e["textPayload"] for e in entries if e["logName"].endswith("system") and "textPayload" in e]
    assert said.count("Container called exit(0).") == 2
    (event,) = [e for e in entries if e["logName"].endswith("system_event")]
    assert event["protoPayload"]["status"]["message"] == f"Execution {execution} has completed successfully."


def test_overrides_hold_for_one_execution(new_cloud: Start, tmp_path: Path) -> None:
    here = RunCloud(new_cloud, tmp_path)
    here.wait(here.run("usual", "import os, sys\nprint(sys.argv[1:], os.environ.get('A'))"))
    url = f"https://run.googleapis.com/v2/{PLACE}/jobs/usual:run"
    one = {"args": ["other"], "env": [{"name": "A", "value": "b"}]}
    wanted = {"overrides": {"taskCount": 2, "timeout": "30s", "containerOverrides": [one]}}
    answer = here.session.post(url, json=wanted)
    assert answer.ok, answer.text
    ended = here.wait(answer.json()["metadata"]["name"])
    assert ended["taskCount"] == 2
    assert ended["template"]["timeout"] == "30s"
    assert here.lines(ended["name"]) == ["['other'] b"] * 2
    bad = here.session.post(url, json={"overrides": {"containerOverrides": [{"args": ["a"], "clearArgs": True}]}})
    assert bad.status_code == 400
