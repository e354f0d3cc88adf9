"""The life of a model by the SDK in one process: tuned, trained, deployed, asked, asked in bulk, taken away."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from clouds import PROJECT
from clouds.serving import IMAGE
from clouds.vertex import by_sdk, make_wheel

# Cloud Storage with what every Python has, as the account of the job or server.
STORAGE = textwrap.dedent("""
    import json, os, urllib.parse, urllib.request

    def storage(verb, uri, data=None):
        account = "/computeMetadata/v1/instance/service-accounts/default/token"
        asked = urllib.request.Request("http://" + os.environ["GCE_METADATA_HOST"] + account)
        asked.add_header("Metadata-Flavor", "Google")
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        token = json.loads(direct.open(asked).read())["access_token"]
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        name = urllib.parse.quote(name, safe="")
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}"
        if verb == "GET":
            path = f"/storage/v1/b/{bucket}/o/{name}?alt=media"
        asked = urllib.request.Request("https://storage.googleapis.com" + path, data, method=verb)
        asked.add_header("Authorization", "Bearer " + token)
        return urllib.request.urlopen(asked).read()
""")

# Learns that y is 3 x; says how well, and leaves the weight.
TRAINER = STORAGE + textwrap.dedent("""
    import argparse, time

    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float)
    rate, weight = parser.parse_args().rate, 0.0
    for step in range(100):
        for x in (1.0, 2.0):
            weight -= rate * 2 * x * (weight * x - 3 * x)
    if "CLOUD_ML_TRIAL_ID" in os.environ:
        row = {"timestamp": time.time(), "trial": os.environ["CLOUD_ML_TRIAL_ID"], "global_step": "100"}
        with open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "w") as file:
            file.write(json.dumps(row | {"loss": str((weight - 3) ** 2)}) + chr(10))
    else:
        storage("POST", os.environ["AIP_MODEL_DIR"].rstrip("/") + "/weight.json", json.dumps(weight).encode())
""")

SERVER = STORAGE + textwrap.dedent("""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    weight = json.loads(storage("GET", os.environ["AIP_STORAGE_URI"].rstrip("/") + "/weight.json"))

    class Handler(BaseHTTPRequestHandler):
        def answer(self, body):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.answer(b"")

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made = [round(weight * one, 3) for one in asked["instances"]]
            self.answer(json.dumps({"predictions": made}).encode())

    ThreadingHTTPServer(("0.0.0.0", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
""")


@pytest.mark.slow
def test_the_life_of_a_model(api: Any, local_cloud: Any, artifacts: Any, tmp_path: Path) -> None:
    folder = artifacts({"a.jsonl": "1\n2\n"})
    wheel = make_wheel(tmp_path, TRAINER)
    told = by_sdk(
        local_cloud,
        f"""
        from google.api_core import exceptions
        from google.cloud import aiplatform, storage
        from google.cloud.aiplatform import hyperparameter_tuning as hpt

        bucket, _, prefix = "{folder}".removeprefix("gs://").partition("/")
        aiplatform.init(project="{PROJECT}", location="us-central1", staging_bucket=f"gs://{{bucket}}")
        train = ["python", "-c", {TRAINER!r}]
        serving = dict(
            model_serving_container_image_uri="{IMAGE}",
            model_serving_container_command=["python", "-c", {SERVER!r}],
            model_serving_container_predict_route="/predict",
            model_serving_container_health_route="/health",
        )
        machine = dict(machine_type="n1-standard-4", replica_count=1)

        spec = dict(machine_spec=dict(machine_type="n1-standard-4"), replica_count=1,
                    container_spec=dict(image_uri="{IMAGE}", command=train))
        tuning = aiplatform.HyperparameterTuningJob(
            display_name="story", custom_job=aiplatform.CustomJob(display_name="story", worker_pool_specs=[spec]),
            metric_spec=dict(loss="minimize"), max_trial_count=3, parallel_trial_count=3, search_algorithm="grid",
            parameter_spec=dict(rate=hpt.DiscreteParameterSpec(values=[0.00001, 0.001, 0.1], scale=None)),
        )
        tuning.run()
        best = min(tuning.trials, key=lambda trial: trial.final_measurement.metrics[0].value)
        rate = best.parameters[0].value
        tell(tuning.state.name, len(tuning.trials), rate)

        job = aiplatform.CustomContainerTrainingJob(
            display_name="story-container", container_uri="{IMAGE}", command=train, **serving)
        model = job.run(model_display_name="story", args=[f"--rate={{rate}}"], **machine)
        tell(model.display_name, model.version_id, model.gca_resource.training_pipeline == job.resource_name)

        storage.Client().bucket(bucket).blob("{wheel}").upload_from_filename({str(tmp_path / wheel)!r})
        package = aiplatform.CustomPythonPackageTrainingJob(
            display_name="story-package", python_package_gcs_uri=f"gs://{{bucket}}/{wheel}",
            python_module_name="trainer.task", container_uri="{IMAGE}", **serving)
        second = package.run(model_display_name="story", parent_model=model.resource_name, is_default_version=False,
                             args=["--rate=0.001"], **machine)
        tell(second.version_id, second.resource_name == model.resource_name)

        endpoint = model.deploy(machine_type="n1-standard-2", deployed_model_display_name="first")
        second.deploy(endpoint=endpoint, machine_type="n1-standard-2", traffic_percentage=0)
        answer = endpoint.predict(instances=[1, 2])
        tell(answer.predictions, answer.model_version_id)
        ids = {{one.model_version_id: one.id for one in endpoint.list_models()}}
        endpoint.update(traffic_split={{ids["2"]: 100}})
        worse = endpoint.predict(instances=[1])
        tell(worse.predictions[0] < 3, worse.model_version_id)

        batch = model.batch_predict(
            job_display_name="story", gcs_source="{folder}/a.jsonl", gcs_destination_prefix="{folder}/out",
            machine_type="n1-standard-2")
        [results] = [blob for blob in batch.iter_outputs() if ".results-" in blob.name]
        tell(batch.state.name, results.download_as_bytes().decode().split(chr(10))[1])

        endpoint.undeploy_all()
        for one in (batch, endpoint, tuning, job, package):
            one.delete()
        model.delete()
        try:
            aiplatform.Model(model.resource_name)
        except exceptions.NotFound:
            tell("gone")
        """,
        timeout=240,
    )
    assert told == [
        "JOB_STATE_SUCCEEDED 3 0.1",
        "story 1 True",
        "2 True",
        "[3.0, 6.0] 1",
        "True 2",
        'JOB_STATE_SUCCEEDED {"instance": 2, "prediction": 6.0}',
        "gone",
    ]
