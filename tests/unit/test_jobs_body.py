"""Each request body is a valid CustomJob: parsed strictly into Google's own message types."""

import dataclasses
import datetime
import json
import re
from itertools import product
from urllib.parse import unquote

import pytest

from cloudkite.accounts.target import Target
from cloudkite.jobs import body
from cloudkite.jobs.places import vertex
from cloudkite.show.errors import BadValue
from tests.jobs import NOW, SPEC, account, answer

SHAPES = {
    "cpu": {},
    "t4": {"machine": "n1-standard-4", "accelerator": "NVIDIA_TESLA_T4", "count": 2},
    "l4": {"machine": "g2-standard-4", "accelerator": "NVIDIA_L4", "count": 1},
    "h100": {"machine": "a3-highgpu-8g", "accelerator": "NVIDIA_H100_80GB", "count": 8},
    "tpu v2": {"machine": "cloud-tpu", "accelerator": "TPU_V2", "count": 8},
    "tpu v5e": {"machine": "ct5lp-hightpu-4t", "topology": "2x2"},
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_bodies_are_custom_jobs(shape):
    from google.cloud.aiplatform_v1.types import CustomJob
    from google.protobuf import json_format

    for spot, restarts, replicas, disk, labels in product(
        (False, True), (False, True), (1, 3), ("pd-ssd", "pd-standard"), ({}, {"team": "a-1_b"})
    ):
        spec = dataclasses.replace(
            SPEC, spot=spot, restarts=restarts, replicas=replicas, disk_kind=disk, labels=labels, **SHAPES[shape]
        )
        message = CustomJob()
        json_format.ParseDict(body.body(spec), message._pb)
        pools = message.job_spec.worker_pool_specs
        assert sum(p.replica_count for p in pools) == replicas
        assert pools[0].replica_count == 1
        assert len(pools) <= 2
        assert message.job_spec.scheduling.timeout.total_seconds() == 3600
        assert message.job_spec.scheduling.strategy.name == ("SPOT" if spot else "STANDARD")
        assert message.job_spec.scheduling.disable_retries is not (spot and restarts)
        assert message.job_spec.service_account == spec.service_account
        assert message.job_spec.base_output_directory.output_uri_prefix == spec.output
        assert dict(message.labels) == {"managed-by": "cloudkite", "account": "home", "trainer": "penguins", **labels}
        machine = pools[0].machine_spec
        assert machine.machine_type == spec.machine
        assert machine.accelerator_count == spec.count
        assert machine.accelerator_type.name == (spec.accelerator or "ACCELERATOR_TYPE_UNSPECIFIED")


def test_the_command_follows_the_contract():
    container = body.body(SPEC)["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    assert container["command"] == ["python", "-c", body.bootstrap()]
    assert container["args"] == [SPEC.wheel, SPEC.sha256, json.dumps(list(SPEC.pins)), "--", "--epochs", "20"]


def test_a_gpu_job_checks_its_gpus():
    spec = dataclasses.replace(SPEC, **SHAPES["t4"])
    env = {e["name"]: e["value"] for e in body.body(spec)["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["env"]}
    assert env["CLOUDKITE_GPUS"] == "2"
    assert env["LD_LIBRARY_PATH"].startswith("/usr/local/nvidia/lib64:")


@pytest.mark.parametrize("shape", ["tpu v2", "tpu v5e", "t4"])
def test_a_job_on_a_tpu_is_told_so_unless_it_is_rehearsed(shape):
    for rehearse in (False, True):
        made = body.body(dataclasses.replace(SPEC, rehearse=rehearse, **SHAPES[shape]))
        (pool,) = made["jobSpec"]["workerPoolSpecs"]
        told = {"name": "CLOUDKITE_TPU", "value": "1"} in pool["containerSpec"]["env"]
        assert told == (shape != "t4" and not rehearse)
        assert ("diskSpec" in pool) == (shape == "t4")


@pytest.mark.parametrize(
    "labels",
    [{"Team": "a"}, {"1a": "b"}, {"": "b"}, {"a": "B"}, {"a": "b c"}, {"a": "x" * 64}, {"a" * 64: "x"}, {"a": "ä"}],
)
def test_labels_that_google_refuses(labels):
    with pytest.raises(BadValue):
        body.body(dataclasses.replace(SPEC, labels=labels))


def test_a_trainer_whose_name_is_no_label():
    with pytest.raises(BadValue, match="'Penguins' isn't a valid value for the label trainer"):
        body.body(dataclasses.replace(SPEC, trainer="Penguins"))


def test_names_sort_by_time():
    at = datetime.datetime(2026, 11, 24, 14, 30, 5, tzinfo=datetime.UTC)
    assert re.fullmatch(r"penguins-20261124-143005-[0-9a-f]{4}", body.new_name("penguins", at))


@pytest.mark.parametrize(
    "strategy, disabled, expected",
    [("STANDARD", True, 0), ("SPOT", True, 0), ("SPOT", False, 6), ("STANDARD", False, 3)],
)
def test_runs_that_the_service_may_add(strategy, disabled, expected):
    assert body.restarts(strategy, disabled) == expected


def test_a_running_job():
    job = vertex.parse(answer(), NOW)
    assert (job.id, job.name, job.trainer, job.state) == ("4567890123456789012", SPEC.name, "penguins", "RUNNING")
    assert (job.region, job.machine, job.replicas, job.spot) == ("us-central1", "e2-standard-4", 1, False)
    assert job.active
    assert job.seconds == 1800
    assert f"{job.cost:.4f}" == "0.0905"
    assert f"{job.worst_case:.4f}" == "0.1810"
    assert job.created.microsecond == 123456
    assert job.price_date == "2025-04"


def test_a_job_that_ended_costs_what_it_ran_in_steps_of_30_seconds():
    job = vertex.parse(answer(state="JOB_STATE_SUCCEEDED", endTime="2026-11-24T14:32:31Z"), NOW)
    assert job.seconds == 31
    assert not job.active
    assert job.cost == job.worst_case
    assert f"{job.cost:.4f}" == "0.0030"


def test_a_job_in_the_queue_has_cost_nothing_yet():
    job = vertex.parse(answer(state="JOB_STATE_PENDING", startTime=None), NOW)
    assert (job.seconds, job.cost) == (0, 0)
    assert job.worst_case > 0


@pytest.mark.parametrize(
    "machine",
    [
        {"machineType": "n9-future-4"},
        {"machineType": "a4-highgpu-8g", "acceleratorType": "NVIDIA_B200", "acceleratorCount": 8},
        {},
    ],
)
def test_a_foreign_job_may_have_no_known_price(machine):
    spec = {"workerPoolSpecs": [{"machineSpec": machine}]}
    job = vertex.parse({"name": answer()["name"], "jobSpec": spec, "state": "JOB_STATE_RUNNING"})
    assert job.cost is None
    assert job.worst_case is None
    assert job.limit_seconds == 604800


def test_a_failed_job_tells_why():
    message = "The replica workerpool0-0 exited with a non-zero status of 1."
    assert vertex.parse(answer(state="JOB_STATE_FAILED", error={"code": 3, "message": message})).error == message


@pytest.mark.parametrize(
    ("identity", "label"),
    [
        ("Me.Too@example.com", "me-too-example-com"),
        ("owner@my-project.iam.gserviceaccount.com", "owner-my-project"),
        ("1234-compute@developer.gserviceaccount.com", "1234-compute-developer"),
        ("이름@example.com", "example-com"),
        ("a" * 80 + "@example.com", "a" * 63),
    ],
)
def test_who_submits_is_a_label_that_google_takes(identity, label):
    assert body.name_as_label(identity) == label
    body.check_label(body.STARTED_BY, label)


@pytest.mark.parametrize("name", ["task8", "과제 8", "a/b", "x" * 128, 'q"uote', "2026-11", "8a"])
def test_a_job_can_be_called_as_google_lets_it_be(name):
    body.check_name(name, ["grades"])


@pytest.mark.parametrize(
    "name, said",
    [
        ("", "must have 1 to 128 characters, not 0"),
        ("x" * 129, "must have 1 to 128 characters, not 129"),
        ("a\nb", "isn't a valid name"),
        (" a", "isn't a valid name"),
        ("a\u202eb", "isn't a valid name"),
        ("4567890123456789012", "taken for a job's id"),
        ("--yes", "taken for a job's id, or for an option"),
        ("grades", "that is a trainer"),
    ],
)
def test_a_job_has_no_name_that_would_mean_something_else(name, said):
    with pytest.raises(BadValue, match=said):
        body.check_name(name, ["grades"])


@pytest.mark.parametrize(
    "name, expected",
    [("task8", "task8"), ("My task/../8 *", "my-task-8"), ("과제", ""), ("x" * 99, "x" * 40), ("--", "")],
)
def test_a_jobs_own_name_is_harmless_in_its_output_folder(name, expected):
    assert body.stem(name) == expected


def test_a_job_on_google_has_pages_in_the_console():
    google = Target(account(project="my-project"), {}, {})
    job = vertex._told(google, answer())
    base = "https://console.cloud.google.com"
    assert job.console == f"{base}/vertex-ai/locations/us-central1/training/4567890123456789012?project=my-project"
    page, _query, project = job.console_logs.rpartition("?")
    assert page.startswith(f"{base}/logs/query;query=") and project == "project=my-project"
    assert unquote(page.partition("query=")[2]) == (
        'resource.type="ml_job" resource.labels.job_id="4567890123456789012" timestamp>="2026-11-24T14:29:05Z"'
    )
