"""Batch prediction jobs over REST: what they read and write, how they end, what is refused."""

from __future__ import annotations

import time
from typing import Any

import pytest

from clouds.batches import body, ended, lines
from clouds.serving import container

pytestmark = pytest.mark.slow


def test_lines_of_json(api: Any, session: Any, artifacts: Any) -> None:
    folder = artifacts({"a.jsonl": "1\n2\n\n", "b.jsonl": '"text"\n{"k": 1, "id": 7}\n'})
    model = api.model("batch model")
    size = {"manualBatchTuningParameters": {"batchSize": 3}, "instanceConfig": {"keyField": "id"}}
    job = api.call("POST", "batchPredictionJobs", body(model, f"{folder}/*.jsonl", f"{folder}/out", **size))
    assert job["state"] == "JOB_STATE_PENDING" and job["modelVersionId"] == "1"
    job = ended(api, job)
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    assert job["completionStats"] == {"successfulCount": "4"}
    assert job["outputInfo"]["gcsOutputDirectory"].startswith(f"{folder}/out/prediction-batch_model-20")
    assert lines(session, job, "results") == [
        {"instance": 1, "prediction": 2},
        {"instance": 2, "prediction": 4},
        {"instance": "text", "prediction": "text"},
        {"key": 7, "prediction": {"k": 1}},
    ]
    assert lines(session, job, "errors_stats") == []
    listed = api.call("GET", "batchPredictionJobs", filter="state=JOB_STATE_SUCCEEDED")["batchPredictionJobs"]
    assert job["name"] in [one["name"] for one in listed]
    of_model = {"filter": 'model_display_name="batch model"', "readMask": "name"}
    assert api.call("GET", "batchPredictionJobs", **of_model) == {"batchPredictionJobs": [{"name": job["name"]}]}
    assert api.refused("POST", f"{job['name']}:cancel")[:2] == (400, "FAILED_PRECONDITION")
    api.done(api.call("DELETE", job["name"]))
    assert api.refused("GET", job["name"]) == (404, "NOT_FOUND", "The BatchPredictionJob does not exist.")


def test_rows_of_csv(api: Any, session: Any, artifacts: Any) -> None:
    folder = artifacts({"a.csv": '"x","name"\n1,"one"\n2.5,"two"\n', "b.csv": "x,name\n3,three\n"})
    model = api.model("csv")
    made = [
        api.call("POST", "batchPredictionJobs", body(model, f"{folder}/{name}.csv", folder, "csv", **more))
        for name, more in (("a", {}), ("a", {"instanceConfig": {"instanceType": "object"}}), ("b", {}))
    ]
    shapes = (
        {"excludedFields": ["name"]},
        {"excludedFields": ["name"], "instanceType": "object"},
        {"keyField": "name"},
    )
    shaped = [
        api.call("POST", "batchPredictionJobs", body(model, f"{folder}/b.csv", folder, "csv", instanceConfig=shape))
        for shape in shapes
    ]
    assert [lines(session, ended(api, job), "results") for job in shaped] == [  # what is left out is attached again
        [{"instance": [3.0, "three"], "prediction": [3.0]}],
        [{"instance": {"x": 3.0, "name": "three"}, "prediction": {"x": 3.0}}],
        [{"key": "three", "prediction": [3.0]}],
    ]
    told = [[one["instance"] for one in lines(session, ended(api, job), "results")] for job in made]
    assert told == [
        [[1.0, "one"], [2.5, "two"]],
        [{"x": 1.0, "name": "one"}, {"x": 2.5, "name": "two"}],
        [[3.0, "three"]],
    ]


def test_what_a_model_refuses(api: Any, session: Any, artifacts: Any) -> None:
    folder = artifacts({"some.jsonl": '1\n"refuse"\n3\n', "all.jsonl": '"refuse"\n'})
    model = api.model("refusing")
    some, whole = (
        ended(api, api.call("POST", "batchPredictionJobs", body(model, f"{folder}/{name}.jsonl", folder)))
        for name in ("some", "all")
    )
    assert some["state"] == "JOB_STATE_SUCCEEDED"
    assert some["completionStats"] == {"successfulCount": "2", "failedCount": "1"}
    assert [one["prediction"] for one in lines(session, some, "results")] == [2, 6]
    assert lines(session, some, "errors_stats") == [['{"error": "no such thing"}', 1]]
    assert some["partialFailures"][0]["message"] == '{"error": "no such thing"}'
    assert whole["state"] == "JOB_STATE_FAILED" and "no such thing" in whole["error"]["message"]


def test_jobs_that_fail_and_jobs_that_are_cancelled(api: Any, artifacts: Any) -> None:
    folder = artifacts({"a.jsonl": '"sleep:50"\n', "bad.jsonl": "{\n"})
    good = api.model("slow")
    failing = api.model("failing", container=container(env=[{"name": "FAIL", "value": "1"}]))
    for model, source, words in (
        (failing, f"{folder}/a.jsonl", "Model server exited unexpectedly."),
        (good, f"{folder}/bad.jsonl", "is not JSON"),
        (good, f"{folder}/none.jsonl", "No such object"),
        (good, f"{folder}/*.none", "No files found"),
    ):
        job = ended(api, api.call("POST", "batchPredictionJobs", body(model, source, folder)))
        assert job["state"] == "JOB_STATE_FAILED" and words in job["error"]["message"]
    job = api.call("POST", "batchPredictionJobs", body(good, f"{folder}/a.jsonl", folder))
    while api.call("GET", job["name"])["state"] != "JOB_STATE_RUNNING":
        time.sleep(0.1)
    assert api.refused("DELETE", job["name"])[:2] == (400, "FAILED_PRECONDITION")
    api.call("POST", f"{job['name']}:cancel")
    job = ended(api, job)
    assert job["state"] == "JOB_STATE_CANCELLED" and job["error"] == {"code": 1, "message": "CANCELED"}


def test_what_can_not_be_asked(api: Any, artifacts: Any) -> None:
    near, far = artifacts({"a.jsonl": "1\n"}), artifacts({"a.jsonl": "1\n"}, location="europe-west4")
    model = api.model("asked")
    whole = body(model, f"{near}/a.jsonl", near)
    lacking = {name: value for name, value in whole.items() if name not in ("displayName", "dedicatedResources")}
    for given, code, words in (
        (lacking, 400, "1.Field: batch_prediction_job.display_name; Message: Required field is not set.\t2.Field"),
        (whole | {"inputConfig": {"instancesFormat": "xml"}}, 400, "input_config.instances_format"),
        (body(model, "/tmp/x", near), 400, "input_config.gcs_source.uris[0]"),
        (body(model, f"{near}/a.jsonl", "/tmp"), 400, "output_config.gcs_destination.output_uri_prefix"),
        (body(model, f"{near}/a.jsonl", near, "tf-record"), 501, "not emulated"),
        (body(model, f"{near}/a.jsonl", near, generateExplanation=True), 501, "not emulated"),
        (body(f"{model}9", f"{near}/a.jsonl", near), 404, "The Model does not exist."),
        (body(model, f"{far}/a.jsonl", near), 400, "must be in the same regional location"),
    ):
        refused = api.refused("POST", "batchPredictionJobs", given)
        assert refused[0] == code and words in refused[2], refused
