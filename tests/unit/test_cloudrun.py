"""Jobs on Cloud Run: wishes that can be and that can't, the request, what is told of an execution, and the money."""

import dataclasses
import datetime
import json
from decimal import Decimal

import pytest

from catalog import run
from cloudkite.accounts.target import Target
from cloudkite.jobs import body
from cloudkite.jobs.places import cloudrun
from cloudkite.money import gate
from cloudkite.money.costs import Money, Spending
from cloudkite.show.errors import BadValue, UserError
from tests.jobs import SPEC, account, plan

ON_RUN = dataclasses.replace(SPEC, place="run", machine="4cpu-8gb")


@pytest.mark.parametrize(
    "wishes, described, hourly, worst, limit",
    [
        ({}, "4cpu-8gb on Cloud Run", "0.3168", "0.3168", 3600),
        ({"machine": "4cpu-16gb"}, "4cpu-16gb on Cloud Run", "0.3744", "0.3744", 3600),
        ({"machine": "2CPU-4GiB"}, "2cpu-4gb on Cloud Run", "0.1584", "0.1584", 3600),
        ({"machine": "8cpu"}, "8cpu-16gb on Cloud Run", "0.6336", "0.6336", 3600),
        ({"machine": "1cpu-0.5gb"}, "1cpu-0.5gb on Cloud Run", "0.0684", "0.0684", 3600),
        ({"region": "asia-northeast3"}, "4cpu-8gb on Cloud Run", "0.3802", "0.3802", 3600),
        ({"limit": "2h"}, "4cpu-8gb on Cloud Run", "0.3168", "0.6336", 7200),
        ({"max_cost": "0.1"}, "4cpu-8gb on Cloud Run", "0.3168", "0.0951", 1080),
    ],
)
def test_a_plan_is_priced(wishes, described, hourly, worst, limit):
    made = plan(on="run", **wishes)
    assert made.describe() == described
    assert f"{made.price.amount:.4f}" == hourly
    assert f"{made.worst_case:.4f}" == worst
    assert made.limit_seconds == limit
    assert made.restarts == 0
    assert made.image == "tensorflow/tensorflow:2.21.0"


def test_the_free_hours_are_told_and_not_counted():
    assert any("15.6 hours a month of 4cpu-8gb cost nothing" in note for note in plan(on="run").notes)
    assert any("7.8 hours a month of 4cpu-16gb" in note for note in plan(on="run", machine="4cpu-16gb").notes)


@pytest.mark.parametrize(
    "wishes, error, hint",
    [
        ({"on": "moon"}, "--on must be vertex or run, not moon", "--on run trains on Cloud Run"),
        ({"on": ""}, "--on must be vertex or run, not ", "--on run trains on Cloud Run"),
        (
            {"on": "run", "gpu": "t4"},
            "Cloud Run jobs train on CPUs, one at a time: --gpu is for Vertex AI",
            "leave --gpu out, or --on run",
        ),
        (
            {"on": "run", "gpus": 2},
            "Cloud Run jobs train on CPUs, one at a time: --gpus is for Vertex AI",
            "leave --gpus out, or --on run",
        ),
        (
            {"on": "run", "tpu": "v5e"},
            "Cloud Run jobs train on CPUs, one at a time: --tpu is for Vertex AI",
            "leave --tpu out, or --on run",
        ),
        (
            {"on": "run", "spot": True},
            "Cloud Run jobs train on CPUs, one at a time: --spot is for Vertex AI",
            "leave --spot out, or --on run",
        ),
        ({"on": "run", "workers": 2}, "a Cloud Run job has one worker, not 2", "leave --workers out"),
        ({"on": "run", "workers": 0}, "a Cloud Run job has one worker, not 0", "leave --workers out"),
        (
            {"on": "run", "machine": "e2-standard-4"},
            "--machine e2-standard-4: Cloud Run has 1, 2, 4, 6, 8 vCPUs, each with its memory",
            "--machine 4cpu-8gb, for example",
        ),
        (
            {"on": "run", "machine": "3cpu-4gb"},
            "--machine 3cpu-4gb: Cloud Run has 1, 2, 4, 6, 8 vCPUs, each with its memory",
            "--machine 4cpu-8gb, for example",
        ),
        (
            {"on": "run", "machine": "4cpu-32gb"},
            "--machine 4cpu-32gb: with 4 vCPUs go 2 to 16 GiB",
            "--machine 4cpu-16gb",
        ),
        (
            {"on": "run", "machine": "1cpu-8gb"},
            "--machine 1cpu-8gb: with 1 vCPUs go 0.5 to 4 GiB",
            "--machine 1cpu-4gb",
        ),
        (
            {"on": "run", "machine": "8cpu-2gb"},
            "--machine 8cpu-2gb: with 8 vCPUs go 4 to 32 GiB",
            "--machine 8cpu-32gb",
        ),
        ({"on": "run", "limit": "8d"}, "--limit 8d is too long", "at most 7d"),
        ({"on": "run", "limit": "1m"}, "--limit 1m is too short", "at least 5m"),
        (
            {"on": "run", "max_cost": "0.01"},
            "--max-cost 0.01 USD pays for less than 5 minutes at 0.3168 USD an hour",
            "--max-cost 0.03 pays for 5 minutes; or take a smaller machine",
        ),
        ({"machine": "4cpu-8gb"}, "4cpu-8gb is a machine of Cloud Run", "add --on run"),
        ({"machine": "4cpu"}, "4cpu is a machine of Cloud Run", "add --on run"),
    ],
)
def test_what_can_not_be_is_told_with_what_can(wishes, error, hint):
    with pytest.raises(BadValue) as refused:
        plan(**wishes)
    assert (refused.value.message, refused.value.hint) == (error, hint)


def spending(spent, committed="0"):
    return Spending("2026-11", Money(Decimal(spent), "USD"), Money(Decimal(committed), "USD"), (), 0)


@pytest.mark.parametrize(
    "spent, committed, left",
    [("0", "0", "9.6832"), ("9", "0.6832", "0.0000"), ("9.5", "0.1", "0.0832")],
)
def test_the_worst_case_is_held_against_the_budget(spent, committed, left):
    made = plan(on="run")
    found, _notes = gate.fit(made, spending(spent, committed))
    assert found == Decimal(left)


def test_a_job_that_does_not_fit_is_told_what_would():
    with pytest.raises(UserError) as refused:
        gate.fit(plan(on="run"), spending("9.9"))
    assert (
        "this job may cost 0.32 USD, and of the month's budget of 10.00 USD only 0.10 are free" in refused.value.message
    )
    assert refused.value.hint == "--limit 18m fits"
    with pytest.raises(UserError) as refused:
        gate.fit(plan(on="run", machine="8cpu-32gb"), spending("9.965"))
    assert refused.value.hint == "--machine 4cpu-8gb --limit 6m fits"
    with pytest.raises(UserError) as refused:
        gate.fit(plan(on="run"), spending("9.999"))
    assert refused.value.hint.startswith("wait for running jobs to end")


@pytest.mark.parametrize(
    "wishes, option",
    [({}, "--on run"), ({"gpu": "t4"}, ""), ({"workers": 2}, ""), ({"on": "run"}, ""), ({"tpu": "v5e"}, "")],
)
def test_which_jobs_could_run_there_instead(wishes, option):
    assert gate.elsewhere(plan(**wishes)) == option


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["1cpu-0.5gb", "4cpu-8gb", "8cpu-32gb"])
def test_bodies_are_jobs(machine):
    from google.cloud.run_v2.types import Job
    from google.protobuf import json_format

    message = Job()
    json_format.ParseDict(cloudrun.body(dataclasses.replace(ON_RUN, machine=machine)), message._pb)
    task = message.template.template
    (container,) = task.containers
    limits = {"1cpu-0.5gb": ("1", "512Mi"), "4cpu-8gb": ("4", "8Gi"), "8cpu-32gb": ("8", "32Gi")}[machine]
    assert (container.resources.limits["cpu"], container.resources.limits["memory"]) == limits
    assert container.image == "docker.io/tensorflow/tensorflow:2.21.0"
    assert list(container.command) == ["python", "-c", body.bootstrap()]
    assert list(container.args) == [SPEC.wheel, SPEC.sha256, json.dumps(list(SPEC.pins)), "--", "--epochs", "20"]
    assert (task.max_retries, task.timeout.total_seconds(), task.service_account) == (0, 3600, SPEC.service_account)
    assert task.execution_environment.name == "EXECUTION_ENVIRONMENT_GEN2"
    variables = {one.name: one.value for one in container.env}
    assert variables["AIP_MODEL_DIR"] == f"{SPEC.output}model/"
    assert variables["AIP_CHECKPOINT_DIR"] == f"{SPEC.output}checkpoints/"
    assert variables["CLOUD_ML_JOB_ID"] == cloudrun.job_id(ON_RUN)
    assert (
        dict(message.labels)
        == dict(message.template.labels)
        == {"managed-by": "cloudkite", "account": "home", "trainer": "penguins"}
    )
    assert message.template.annotations["cloudkite/name"] == SPEC.name
    assert message.template.annotations["cloudkite/output"] == SPEC.output


@pytest.mark.parametrize(
    "uri, image",
    [
        ("tensorflow/tensorflow:2.21.0", "docker.io/tensorflow/tensorflow:2.21.0"),
        ("python:3.11", "docker.io/library/python:3.11"),
        ("docker.io/me/it:1", "docker.io/me/it:1"),
        (
            "us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.py310:latest",
            "us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.py310:latest",
        ),
        ("gcr.io/p/it", "gcr.io/p/it"),
    ],
)
def test_images_as_cloud_run_takes_them(uri, image):
    assert cloudrun.image(uri) == image


@pytest.mark.parametrize(
    "unique, job",
    [
        ("penguins-20261124-143005-9f3c", "penguins-20261124-143005-9f3c"),
        ("8-20261124-143005-9f3c", "job-8-20261124-143005-9f3c"),
        ("x" * 60 + "-20261124-143005-9f3c", "x" * 28 + "-20261124-143005-9f3c"),
        ("My_Big-20261124-143005-9f3c", "my-big-20261124-143005-9f3c"),
    ],
)
def test_ids_are_short_enough_for_their_executions(unique, job):
    found = cloudrun.job_id(dataclasses.replace(ON_RUN, output=f"gs://models/penguins/{unique}/"))
    assert found == job
    assert len(found) <= 49
    assert not found.isdecimal()


def execution(**changes):
    given = cloudrun.body(ON_RUN)["template"]
    return {
        "name": "projects/my-project/locations/us-central1/jobs/penguins-1/executions/penguins-1-abcde",
        "labels": given["labels"],
        "annotations": given["annotations"],
        "template": given["template"],
        "taskCount": 1,
        "createTime": "2026-11-24T14:30:05.123456789Z",
        "startTime": "2026-11-24T14:32:00Z",
        "conditions": [{"type": "Completed", "state": "CONDITION_RECONCILING"}],
        **changes,
    }


NOW = datetime.datetime(2026, 11, 24, 15, 2, 0, tzinfo=datetime.UTC)


def done(state, **more):
    return {"conditions": [{"type": "Completed", "state": state, **more}], "completionTime": "2026-11-24T14:33:30.25Z"}


@pytest.mark.parametrize(
    "changes, state, cost, error",
    [
        ({}, "RUNNING", "0.1584", ""),
        ({"startTime": None}, "PENDING", "0.0000", ""),
        ({"conditions": [{"type": "Completed", "executionReason": "CANCELLING"}]}, "CANCELLING", "0.1584", ""),
        (done("CONDITION_SUCCEEDED"), "SUCCEEDED", "0.0079", ""),
        (done("CONDITION_SUCCEEDED") | {"completionTime": "2026-11-24T14:32:05Z"}, "SUCCEEDED", "0.0053", ""),
        (done("CONDITION_FAILED", executionReason="CANCELLED", message="was cancelled"), "CANCELLED", "0.0079", ""),
        (
            done("CONDITION_FAILED", executionReason="NON_ZERO_EXIT_CODE", message="it fell"),
            "FAILED",
            "0.0079",
            "it fell",
        ),
    ],
)
def test_what_an_execution_tells(changes, state, cost, error):
    given = {name: value for name, value in execution(**changes).items() if value is not None}
    job = cloudrun.parse(given, NOW)
    assert (job.state, str(job.cost), job.error) == (state, cost, error)
    assert (job.id, job.name, job.trainer, job.machine, job.place) == (
        "penguins-1",
        SPEC.name,
        "penguins",
        "4cpu-8gb",
        "run",
    )
    assert job.output == SPEC.output
    assert job.worst_case == (job.cost if not job.active else Decimal("0.3168"))


def test_jobs_of_others_are_told_as_far_as_they_can_be():
    other = execution(labels={}, annotations={})
    other["template"] = {
        "containers": [
            {"image": "x", "resources": {"limits": {"cpu": "1000m", "memory": "512Mi", "nvidia.com/gpu": "1"}}}
        ]
    }
    job = cloudrun.parse(other, NOW)
    assert (job.name, job.trainer, job.machine, job.cost, job.worst_case) == (
        "penguins-1",
        "",
        "1cpu-0.5gb",
        None,
        None,
    )


def test_pages_of_the_console():
    job = cloudrun._told(Target(account(), {}, {}), execution())
    assert job.console == (
        "https://console.cloud.google.com/run/jobs/executions/details/us-central1/penguins-1-abcde/tasks?project=my-project"
    )
    assert "cloud_run_job" in job.console_logs


def test_the_default_is_a_shape():
    assert run.shape(run.DEFAULT).name == run.DEFAULT
