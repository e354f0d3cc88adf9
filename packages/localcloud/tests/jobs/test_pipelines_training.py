"""Training pipelines: the training job, the model that it leaves, and what is refused."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession

from clouds import PROJECT
from clouds.vertex import HOST, PLACE, PLAIN, by_sdk, created, lines, make_wheel, prepare, wait

DEFINITIONS = "gs://google-cloud-aiplatform/schema/trainingjob/definition"
REGION = "us-central1"
PIPELINES = f"{PLACE}/trainingPipelines"
WRITER, SERVER = "local/writer:1", "local/server:1"
BUCKET = "pipelines-of-tests"

WRITE = """
import os
from google.cloud import storage
path = os.environ["AIP_MODEL_DIR"]
bucket, _, name = path.removeprefix("gs://").partition("/")
client = storage.Client(project=os.environ["CLOUD_ML_PROJECT_ID"])
client.bucket(bucket).blob(name + "weights.txt").upload_from_string("1 2")
print("wrote", path)
"""


@pytest.fixture(scope="module")
def vertex(local_cloud: Any, session: AuthorizedSession) -> AuthorizedSession:
    images = {PLAIN: {}, WRITER: {"requirements": ["google-cloud-storage==3.17.1"]}, SERVER: {}}
    prepare(local_cloud, BUCKET, images)
    return session


def body(script: str, image: str = PLAIN, definition: str = "custom_task_1.0.0.yaml", **more: Any) -> dict[str, Any]:
    inputs = {
        "worker_pool_specs": [
            {
                "machine_spec": {"machine_type": "n1-standard-4"},
                "replica_count": 1,
                "container_spec": {"image_uri": image, "command": ["python", "-c", script]},
            }
        ],
        "base_output_directory": {"output_uri_prefix": f"gs://{BUCKET}/{uuid.uuid4().hex}"},
    } | more.pop("inputs", {})
    return {
        "displayName": f"train-{uuid.uuid4().hex[:8]}",
        "trainingTaskDefinition": f"{DEFINITIONS}/{definition}" if definition else "",
        "trainingTaskInputs": inputs,
    } | more


def model(**more: Any) -> dict[str, Any]:
    return {"displayName": "trained", "containerSpec": {"imageUri": SERVER}} | more


def create(session: AuthorizedSession, pipeline: dict[str, Any]) -> dict[str, Any]:
    return created(session, "trainingPipelines", pipeline)


def test_a_pipeline_without_a_model(vertex: AuthorizedSession) -> None:
    made = create(vertex, body("print('trained')", labels={"team": "a"}))
    assert made["state"] == "PIPELINE_STATE_PENDING"
    ended = wait(vertex, made)
    assert ended["state"] == "PIPELINE_STATE_SUCCEEDED", ended
    assert ended["createTime"] <= ended["startTime"] <= ended["endTime"] <= ended["updateTime"]
    job = vertex.get(f"{HOST}/{ended['trainingTaskMetadata']['backingCustomJob']}").json()
    assert (job["displayName"], job["state"]) == (f"{made['displayName']}-custom-job", "JOB_STATE_SUCCEEDED")
    assert job["labels"] == {"team": "a"}
    listed = vertex.get(f"{PLACE}/customJobs", params={"filter": f'display_name="{job["displayName"]}"'}).json()
    assert [one["name"] for one in listed["customJobs"]] == [job["name"]]


@pytest.mark.slow
def test_the_model_is_uploaded(vertex: AuthorizedSession) -> None:
    ended = wait(vertex, create(vertex, body(WRITE, WRITER, modelToUpload=model(labels={"team": "a"}))))
    assert ended["state"] == "PIPELINE_STATE_SUCCEEDED", ended
    uploaded = vertex.get(f"{HOST}/{ended['modelToUpload']['name']}").json()
    base = ended["trainingTaskInputs"]["base_output_directory"]["output_uri_prefix"]
    assert uploaded["artifactUri"] == f"{base}/model"
    assert (uploaded["displayName"], uploaded["versionId"], uploaded["labels"]) == ("trained", "1", {"team": "a"})
    assert uploaded["trainingPipeline"] == ended["name"]
    again = body(WRITE, WRITER, modelToUpload=model(), parentModel=uploaded["name"])
    second = wait(vertex, create(vertex, again))["modelToUpload"]
    assert (second["name"], second["versionId"]) == (uploaded["name"], "2")


@pytest.mark.slow
def test_a_training_that_leaves_no_model_fails(vertex: AuthorizedSession) -> None:
    ended = wait(vertex, create(vertex, body("print('nothing')", modelToUpload=model())))
    base = ended["trainingTaskInputs"]["base_output_directory"]["output_uri_prefix"]
    assert ended["state"] == "PIPELINE_STATE_FAILED"
    assert ended["error"] == {"code": 9, "message": f"Model directory {base}/model is empty or does not exist."}
    assert "name" not in ended["modelToUpload"]


def test_a_training_that_fails_says_why(vertex: AuthorizedSession) -> None:
    ended = wait(vertex, create(vertex, body("raise SystemExit('no data')", modelToUpload=model())))
    assert (ended["state"], ended["error"]["code"]) == ("PIPELINE_STATE_FAILED", 3)
    assert ended["error"]["message"].startswith("The replica workerpool0-0 exited with a non-zero status of 1.")


@pytest.mark.slow
def test_a_pipeline_is_cancelled_and_deleted(vertex: AuthorizedSession) -> None:
    made = create(vertex, body("import time; time.sleep(600)", modelToUpload=model()))
    wait(vertex, made, "PIPELINE_STATE_RUNNING")
    refused = vertex.delete(f"{HOST}/{made['name']}")
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
    assert vertex.post(f"{HOST}/{made['name']}:cancel").json() == {}
    ended = wait(vertex, made)
    assert (ended["state"], ended["error"]) == ("PIPELINE_STATE_CANCELLED", {"code": 1, "message": "CANCELED"})
    again = vertex.post(f"{HOST}/{made['name']}:cancel").json()["error"]
    assert again["message"] == "The TrainingPipeline is in state PIPELINE_STATE_CANCELLED and can't be cancelled."
    assert vertex.delete(f"{HOST}/{made['name']}").json()["done"]
    error = vertex.get(f"{HOST}/{made['name']}").json()["error"]
    assert (error["code"], error["message"]) == (404, "The TrainingPipeline does not exist.")


def test_pipelines_are_listed_by_filter_and_page(vertex: AuthorizedSession) -> None:
    mark = uuid.uuid4().hex[:8]
    made = [create(vertex, body("raise SystemExit(1)", labels={"mark": mark})) for _ in range(3)]
    wanted = {"filter": f'labels.mark={mark} AND training_task_definition:"custom_task"', "pageSize": 2}
    first = vertex.get(PIPELINES, params=wanted).json()
    rest = vertex.get(PIPELINES, params={**wanted, "pageToken": first["nextPageToken"]}).json()
    names = [one["name"] for page in (first, rest) for one in page["trainingPipelines"]]
    assert names == [one["name"] for one in reversed(made)]
    for one in made:
        wait(vertex, one)
    failed = vertex.get(PIPELINES, params={"filter": f'state="PIPELINE_STATE_FAILED" AND labels.mark={mark}'}).json()
    assert len(failed["trainingPipelines"]) == 3


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"displayName": ""}, "display_name", "Required field is not set."),
        ({"definition": ""}, "training_task_definition", "Required field is not set."),
        (
            {"definition": "nothing.yaml"},
            "training_task_definition",
            f"Unknown training task definition: {DEFINITIONS}/nothing.yaml",
        ),
        ({"trainingTaskInputs": {}}, "training_task_inputs", "Required field is not set."),
        ({"inputs": {"worker_pool_specs": []}}, "training_task_inputs.worker_pool_specs", "Required field is not set."),
        ({"modelToUpload": {"displayName": "m"}}, "model.container_spec.image_uri", "Required field is not set."),
    ],
)
def test_a_pipeline_that_cannot_be_is_refused(vertex: AuthorizedSession, change: Any, field: str, message: str) -> None:
    error = vertex.post(PIPELINES, json=body("", **change)).json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["message"] == f"List of found errors:\t1.Field: {field}; Message: {message}\t"


@pytest.mark.parametrize(
    "change",
    [
        {"trainingTaskInputs": "x"},
        {"trainingTaskInputs": 5},
        {"trainingTaskInputs": [1]},
        {"trainingTaskInputs": False},
        {"inputs": {"worker_pool_specs": "x"}},
        {"inputs": {"worker_pool_specs": [1]}},
        {"inputs": {"scheduling": {"timeout": 5}}},
        {"inputs": {"scheduling": {"timeout": "xs"}}},
        {"inputs": {"enable_web_access": "yes"}},
        {"inputs": {"service_account": 7}},
        {"inputs": {"colour": "red"}},
    ],
)
def test_inputs_of_another_type_are_refused_in_googles_words(vertex: AuthorizedSession, change: Any) -> None:
    error = vertex.post(PIPELINES, json=body("", **change)).json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["message"] == (
        "Unable to parse `training_pipeline.training_task_inputs` into custom task `inputs` defined in the file: "
        f"{DEFINITIONS}/custom_task_1.0.0.yaml"
    )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"definition": "automl_tables_1.0.0.yaml"}, "training pipelines of automl_tables_1.0.0"),
        ({"inputDataConfig": {"datasetId": "1"}}, "managed datasets of training pipelines"),
        ({"inputs": {"enable_web_access": True}}, "interactive shells of jobs"),
        ({"inputs": {"tensorboard": "t"}}, "managed TensorBoard instances"),
    ],
)
def test_what_is_not_emulated_is_refused(vertex: AuthorizedSession, change: Any, what: str) -> None:
    error = vertex.post(PIPELINES, json=body("", **change)).json()["error"]
    assert error["code"] == 501
    assert error["message"].startswith(f"not emulated by the local cloud: {what}")


def test_kubeflow_and_schedules_are_refused(vertex: AuthorizedSession) -> None:
    for method, path, what in (
        ("POST", "pipelineJobs?pipelineJobId=a", "pipeline jobs (Kubeflow pipelines)"),
        ("GET", "pipelineJobs", "pipeline jobs (Kubeflow pipelines)"),
        ("POST", "schedules", f"POST {REGION}-aiplatform.googleapis.com"),
    ):
        error = vertex.request(method, f"{PLACE}/{path}", json={}).json()["error"]
        assert error["code"] == 501
        assert error["message"].startswith(f"not emulated by the local cloud: {what}")


def test_an_account_that_one_may_not_act_as_is_refused(vertex: AuthorizedSession) -> None:
    email = f"never-made@{PROJECT}.iam.gserviceaccount.com"
    answer = vertex.post(PIPELINES, json=body("", inputs={"service_account": email}))
    words = f"You do not have permission to act as service_account: {email}. (or it may not exist)."
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, words)


def test_permission_is_asked(vertex: AuthorizedSession, local_cloud: Any) -> None:
    other = local_cloud.session(local_cloud.key(local_cloud.account(f"none-{uuid.uuid4().hex[:8]}")))
    error = other.post(PIPELINES, json=body("")).json()["error"]
    assert error["details"][0]["metadata"]["permission"] == "aiplatform.trainingPipelines.create"
    assert error["code"] == 403


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_the_sdk(vertex: AuthorizedSession, local_cloud: Any, transport: str, tmp_path: Path) -> None:
    script = tmp_path / "task.py"
    script.write_text(WRITE, encoding="utf-8")
    told = by_sdk(
        local_cloud,
        f"""
        from google.cloud import aiplatform

        aiplatform.init(project="{PROJECT}", location="{REGION}", staging_bucket="gs://{BUCKET}",
                        api_transport="{transport}")
        serving = {{"model_serving_container_image_uri": "{SERVER}"}}
        where = {{"machine_type": "n1-standard-4", "replica_count": 1}}
        job = aiplatform.CustomTrainingJob(
            display_name="from-script-{transport}", script_path={str(script)!r}, container_uri="{WRITER}", **serving)
        model = job.run(model_display_name="by-script-{transport}", **where)
        tell(model.display_name, model.version_id, job.state.name)
        tell(model.resource_name == job.get_model().resource_name)
        bad = aiplatform.CustomContainerTrainingJob(
            display_name="bad-{transport}", container_uri="{PLAIN}", command=["python", "-c", "raise SystemExit(2)"],
            **serving)
        try:
            bad.run(model_display_name="never", **where)
        except RuntimeError as error:
            tell(str(error).splitlines()[0], "non-zero status of 2" in str(error), bad.has_failed)
        plain = aiplatform.CustomContainerTrainingJob(
            display_name="plain-{transport}", container_uri="{PLAIN}", command=["python", "-c", "print('hi')"])
        tell(plain.run(**where))
        listed = aiplatform.CustomContainerTrainingJob.list(filter='display_name="plain-{transport}"')
        tell([one.display_name for one in listed])
        plain.delete()
        """,
        env={"TMPDIR": str(tmp_path)},
    )
    assert told == [
        f"by-script-{transport} 1 PIPELINE_STATE_SUCCEEDED",
        "True",
        "Training failed with: True True",
        "None",
        f"['plain-{transport}']",
    ]


@pytest.mark.slow
def test_a_python_package_by_the_sdk(vertex: AuthorizedSession, local_cloud: Any, tmp_path: Path) -> None:
    name = make_wheel(tmp_path)
    told = by_sdk(
        local_cloud,
        f"""
        from google.cloud import aiplatform, storage

        storage.Client().bucket("{BUCKET}").blob("{name}").upload_from_filename(r"{tmp_path / name}")
        aiplatform.init(project="{PROJECT}", location="{REGION}", staging_bucket="gs://{BUCKET}")
        job = aiplatform.CustomPythonPackageTrainingJob(
            display_name="package", python_package_gcs_uri="gs://{BUCKET}/{name}", python_module_name="trainer.task",
            container_uri="{PLAIN}")
        job.run(machine_type="n1-standard-4", replica_count=1, args=["--epochs=3"])
        tell(job.state.name, job._gca_resource.training_task_metadata["backingCustomJob"])
    """,
    )
    state, custom = told[0].split()
    assert state == "PIPELINE_STATE_SUCCEEDED"
    assert lines(vertex, {"name": custom}) == ["trainer with ['--epochs=3']"]
