"""Models, endpoints and batch predictions by Google's own, unmodified clients: the SDK over gRPC and REST, gcloud."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from clouds import PROJECT
from clouds.serving import IMAGE, SERVER
from clouds.vertex import by_sdk

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_the_sdk(api: Any, local_cloud: Any, artifacts: Any, transport: str) -> None:
    folder = artifacts({"model.txt": "x", "in/a.jsonl": "1\n2\n"})
    told = by_sdk(
        local_cloud,
        f"""
        from google.api_core import exceptions
        from google.cloud import aiplatform

        aiplatform.init(project="{PROJECT}", location="us-central1", api_transport="{transport}")

        made = dict(
            serving_container_image_uri="{IMAGE}",
            serving_container_command=["python", "-c", {SERVER!r}],
            serving_container_predict_route="/predict",
            serving_container_health_route="/health",
        )
        model = aiplatform.Model.upload(
            display_name="sdk-{transport}", artifact_uri="{folder}", version_aliases=["first"], **made
        )
        tell(model.version_id, sorted(model.version_aliases), model.uri == "{folder}")
        endpoint = model.deploy(machine_type="n1-standard-2", deployed_model_display_name="mine")
        answer = endpoint.predict(instances=[1, 2.5, "text"], parameters={{"k": 1}})
        tell(answer.predictions, answer.deployed_model_id == endpoint.list_models()[0].id, answer.model_version_id)
        raw = endpoint.raw_predict(body=b"abc", headers={{"Content-Type": "text/plain"}})
        tell(raw.status_code, raw.content, raw.headers["Content-Type"])
        by_headers = endpoint.predict(instances=[1, 2.5, "text"], parameters={{"k": 1}}, use_raw_predict=True)
        tell(by_headers == answer, raw.headers["X-Vertex-AI-Endpoint-Id"] == endpoint.name)
        tell([one.display_name for one in aiplatform.Endpoint.list(filter=f'display_name="{{endpoint.display_name}}"')])

        second = aiplatform.Model.upload(
            display_name="x", parent_model=model.resource_name, is_default_version=False, **made
        )
        registry = second.versioning_registry
        registry.add_version_aliases(["best"], "2")
        tell(second.version_id, [(one.version_id, sorted(one.version_aliases)) for one in registry.list_versions()])
        registry.add_version_aliases(["default"], "2")
        registry.remove_version_aliases(["best"], "2")
        tell(aiplatform.Model(model.resource_name).version_id)
        second.deploy(endpoint=endpoint, machine_type="n1-standard-2", traffic_percentage=30)
        tell(sorted(endpoint.traffic_split.values()), len(endpoint.list_models()))

        try:
            model.delete()
        except exceptions.BadRequest as error:  # over gRPC its FailedPrecondition
            tell("it is deployed to" in str(error))
        try:
            endpoint.predict(instances=["refuse"])
        except exceptions.BadRequest as error:  # over gRPC its FailedPrecondition
            tell("no such thing" in error.message)
        try:
            aiplatform.Endpoint("123").predict(instances=[1])
        except exceptions.NotFound as error:
            tell("NotFound")

        job = model.batch_predict(
            job_display_name="batch",
            gcs_source="{folder}/in/a.jsonl",
            gcs_destination_prefix="{folder}/out",
            machine_type="n1-standard-2",
        )
        tell(job.state.name, job.completion_stats.successful_count)
        [results] = [blob for blob in job.iter_outputs() if ".results-" in blob.name]
        tell(results.download_as_bytes().decode().splitlines()[0])
        job.delete()

        endpoint.undeploy_all()
        tell(len(endpoint.list_models()))
        endpoint.delete()
        registry.delete_version("1")
        model.delete()
        """,
        timeout=300,
    )
    assert told == [
        "1 ['default', 'first'] True",
        "[2.0, 5.0, 'text'] True 1",
        "200 b'cba' text/x-reversed",
        "True True",
        f"['sdk-{transport}_endpoint']",
        "2 [('1', ['default', 'first']), ('2', ['best'])]",
        "2",
        "[30, 70] 2",
        "True",
        "True",
        "NotFound",
        "JOB_STATE_SUCCEEDED 2",
        '{"instance": 1, "prediction": 2}',
        "0",
    ]


def test_raw_predict_over_grpc(api: Any, local_cloud: Any) -> None:
    model, endpoint = api.model("raw"), api.endpoint("raw")
    deployed = api.deploy(endpoint, model)
    printed = local_cloud.run(f"""
        from google.api import httpbody_pb2
        from google.cloud import aiplatform_v1

        options = {{"api_endpoint": "us-central1-aiplatform.googleapis.com"}}
        client = aiplatform_v1.PredictionServiceClient(client_options=options)
        body = httpbody_pb2.HttpBody(content_type="text/plain", data=b"abc")
        answer = client.raw_predict(endpoint="{endpoint}", http_body=body)
        print(answer.content_type, answer.data)
    """).stdout
    assert printed == "text/x-reversed b'cba'\n"
    api.done(api.call("POST", f"{endpoint}:undeployModel", {"deployedModelId": deployed}))


@pytest.mark.usefixtures("api")
def test_operations_are_of_the_version_that_began_them(local_cloud: Any) -> None:
    printed = local_cloud.run(f"""
        from google.api_core import exceptions
        from google.cloud import aiplatform_v1beta1 as vertex

        options = {{"api_endpoint": "us-central1-aiplatform.googleapis.com"}}
        place = "projects/{PROJECT}/locations/us-central1"
        for transport in ("grpc", "rest"):
            client = vertex.ModelServiceClient(client_options=options, transport=transport)
            model = {{"display_name": "operated", "container_spec": {{"image_uri": "{IMAGE}"}}}}
            upload = client.upload_model(parent=place, model=model)
            made = upload.result(timeout=30)
            print(type(made).__module__, upload.metadata.generic_metadata.create_time.year > 2000)
            [listed] = client.list_operations({{"name": made.model}}).operations
            print(listed.name == upload.operation.name, listed.response.type_url == upload.operation.response.type_url)
            client.delete_model(name=made.model).result(timeout=30)
            try:
                client.get_operation({{"name": f"{{place}}/operations/5"}})
            except exceptions.NotFound as error:
                print("The Operation does not exist." in error.message)
        client = vertex.JobServiceClient(client_options=options)
        watched = {{"display_name": "watched", "model_monitoring_config": {{"stats_anomalies_base_directory": {{}}}}}}
        try:
            client.create_batch_prediction_job(parent=place, batch_prediction_job=watched)
        except exceptions.MethodNotImplemented as error:
            print(error.message)
    """).stdout
    each = "google.cloud.aiplatform_v1beta1.types.model_service True\nTrue True\nTrue\n"
    lost = "the field with number 26 of BatchPredictionJob, which v1 does not have"
    assert printed == f"{each}{each}not emulated by the local cloud: {lost}\n"


@pytest.mark.skipif(not shutil.which("gcloud"), reason="gcloud is not installed: install the Google Cloud CLI")
def test_gcloud(api: Any, local_cloud: Any, tmp_path: Any) -> None:
    kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    variables = {**kept, **local_cloud.environment, "HOME": str(tmp_path), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}

    def gcloud(*words: str, check: bool = True) -> str:
        done = subprocess.run(
            ["gcloud", "ai", *words, "--region=us-central1", f"--project={PROJECT}"],
            env=variables,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout if check else done.stderr

    name = api.model("gcloud-api")
    gcloud(
        "models",
        "upload",
        "--display-name=gcloud",
        f"--container-image-uri={IMAGE}",
        "--container-command=python,-c,pass",
        "--container-ports=8080",
    )
    listed = json.loads(gcloud("models", "list", "--format=json", "--filter=displayName=gcloud"))
    assert [one["displayName"] for one in listed] == ["gcloud"]
    assert json.loads(gcloud("models", "describe", name, "--format=json"))["displayName"] == "gcloud-api"
    gcloud("endpoints", "create", "--display-name=by-gcloud")
    [endpoint] = json.loads(gcloud("endpoints", "list", "--format=json", "--filter=displayName=by-gcloud"))
    gcloud(
        "endpoints",
        "deploy-model",
        endpoint["name"],
        f"--model={name}",
        "--display-name=mine",
        "--machine-type=n1-standard-2",
        "--traffic-split=0=100",
    )
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"instances": [21]}), encoding="utf-8")
    answer = gcloud("endpoints", "predict", endpoint["name"], f"--json-request={request}", "--format=json")
    assert "42" in answer
    raw = gcloud("endpoints", "raw-predict", endpoint["name"], f"--request=@{request}")
    assert json.loads(raw)["predictions"] == [42]
    refused = gcloud("endpoints", "delete", endpoint["name"], check=False)
    assert "FAILED_PRECONDITION" in refused and "has deployed or being-deployed DeployedModel(s)" in refused
    [deployed] = json.loads(gcloud("endpoints", "describe", endpoint["name"], "--format=json"))["deployedModels"]
    gcloud("endpoints", "undeploy-model", endpoint["name"], f"--deployed-model-id={deployed['id']}")
    gcloud("endpoints", "update", endpoint["name"], "--display-name=renamed")
    gcloud("endpoints", "delete", endpoint["name"])
    gcloud("models", "delete", name)
