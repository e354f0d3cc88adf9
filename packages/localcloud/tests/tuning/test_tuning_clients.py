"""Tuning jobs by Google's own, unmodified clients: the SDK over gRPC and REST, v1beta1, gcloud, cloudml-hypertune."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from clouds import PROJECT, LocalCloud
from clouds.vertex import PLAIN, by_sdk, prepare

BUCKET = "tuning-of-tests"
HYPERTUNE = "local/hypertune:1"

# A trainer that reports without the package that real ones use.
TRAINER = """
import argparse, json, os, time
parser = argparse.ArgumentParser()
for name, kind in (("rate", float), ("units", int), ("kind", str), ("momentum", float)):
    parser.add_argument("--" + name, type=kind)
given = parser.parse_args()
value = -abs(given.units - 4) + (0.5 if given.kind == "sgd" else 0)
row = {"timestamp": time.time(), "trial": os.environ["CLOUD_ML_TRIAL_ID"], "accuracy": str(value), "global_step": "7"}
with open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "w") as file:
    file.write(json.dumps(row) + chr(10))
"""


@pytest.fixture(scope="module", autouse=True)
def prepared(local_cloud: LocalCloud) -> None:
    prepare(local_cloud, BUCKET, {PLAIN: {}, HYPERTUNE: {"requirements": ["cloudml-hypertune==0.1.0.dev6"]}})


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_the_sdk(local_cloud: Any, transport: str) -> None:
    told = by_sdk(
        local_cloud,
        f"""
        import time
        from google.cloud import aiplatform
        from google.cloud.aiplatform import hyperparameter_tuning as hpt

        aiplatform.init(project="{PROJECT}", location="us-central1", api_transport="{transport}",
                        staging_bucket="gs://{BUCKET}")

        def tuning(name, script, trials=6, **more):
            spec = {{
                "machine_spec": {{"machine_type": "n1-standard-4"}},
                "replica_count": 1,
                "container_spec": {{"image_uri": "{PLAIN}", "command": ["python", "-c", script]}},
            }}
            custom = aiplatform.CustomJob(display_name=name, worker_pool_specs=[spec])
            return aiplatform.HyperparameterTuningJob(
                display_name=f"tuned-{transport}-{{name}}",
                custom_job=custom,
                metric_spec={{"accuracy": "maximize"}},
                parameter_spec={{
                    "rate": hpt.DoubleParameterSpec(min=1e-4, max=1, scale="log"),
                    "units": hpt.DiscreteParameterSpec(values=[2, 4, 8], scale=None),
                    "kind": hpt.CategoricalParameterSpec(
                        values=["adam", "sgd"],
                        conditional_parameter_spec={{
                            "momentum": hpt.DoubleParameterSpec(min=0, max=1, scale="linear", parent_values=["sgd"])
                        }},
                    ),
                }},
                max_trial_count=trials,
                parallel_trial_count=2,
                labels={{"by": "tuned-{transport}"}},
                **more,
            )

        good = tuning("good", {TRAINER!r})
        good.run()
        tell(good.state.name, len(good.trials), {{trial.state.name for trial in good.trials}})
        best = max(good.trials, key=lambda trial: trial.final_measurement.metrics[0].value)
        found = {{one.parameter_id: one.value for one in best.parameters}}
        tell(found["units"] in (2, 4, 8), ("momentum" in found) == (found["kind"] == "sgd"))
        tell(best.final_measurement.step_count, best.final_measurement.metrics[0].metric_id)
        random = tuning("random", {TRAINER!r}, 2, search_algorithm="random", measurement_selection="best")
        random.run()
        tell(random.state.name, len(random.trials))
        bad = tuning("bad", "raise SystemExit(2)", max_failed_trial_count=2)
        try:
            bad.run()
        except RuntimeError as error:
            tell(str(error).splitlines()[0], "non-zero status of 2" in str(error), len(bad.trials) < 4)
        slow = tuning("slow", "import time; time.sleep(600)")
        slow.run(sync=False)
        slow.wait_for_resource_creation()
        slow.cancel()
        while slow.state.name not in ("JOB_STATE_CANCELLED", "JOB_STATE_FAILED"):
            time.sleep(0.2)
        tell(slow.state.name)
        mine = 'labels.by="tuned-{transport}"'
        listed = aiplatform.HyperparameterTuningJob.list(filter=mine, order_by="create_time desc")
        tell([one.display_name.rpartition("-")[2] for one in listed])
        good.delete()
        tell(len(aiplatform.HyperparameterTuningJob.list(filter=mine)))
        """,
    )
    assert told == [
        "JOB_STATE_SUCCEEDED 6 {'SUCCEEDED'}",
        "True True",
        "7 accuracy",
        "JOB_STATE_SUCCEEDED 2",
        "Job failed with: True True",
        "JOB_STATE_CANCELLED",
        "['slow', 'bad', 'random', 'good']",
        "3",
    ]


@pytest.mark.slow
def test_the_gapic_client_of_v1beta1(local_cloud: Any) -> None:
    printed = local_cloud.run(f"""
        import time
        from google.api_core import exceptions
        from google.cloud import aiplatform_v1beta1 as vertex

        client = vertex.JobServiceClient(client_options={{"api_endpoint": "us-central1-aiplatform.googleapis.com"}})
        place = "projects/{PROJECT}/locations/us-central1"
        pool = {{
            "machine_spec": {{"machine_type": "n1-standard-4"}},
            "replica_count": 1,
            "container_spec": {{"image_uri": "{PLAIN}", "command": ["python", "-c", {TRAINER!r}]}},
        }}
        study = {{
            "metrics": [{{"metric_id": "accuracy", "goal": "MINIMIZE"}}],
            "parameters": [{{"parameter_id": "units", "integer_value_spec": {{"min_value": 1, "max_value": 9}}}}],
        }}
        job = client.create_hyperparameter_tuning_job(parent=place, hyperparameter_tuning_job={{
            "display_name": "beta", "study_spec": study, "max_trial_count": 1, "parallel_trial_count": 1,
            "trial_job_spec": {{"worker_pool_specs": [pool]}},
        }})
        while job.state < vertex.JobState.JOB_STATE_SUCCEEDED:
            time.sleep(0.05)
            job = client.get_hyperparameter_tuning_job(name=job.name)
        print(job.state.name, [trial.state.name for trial in job.trials])
        client.delete_hyperparameter_tuning_job(name=job.name).result(timeout=10)
        for call in (
            lambda: client.get_hyperparameter_tuning_job(name=job.name),
            lambda: client.create_hyperparameter_tuning_job(parent=place, hyperparameter_tuning_job={{}}),
        ):
            try:
                call()
            except exceptions.GoogleAPICallError as error:
                print(type(error).__name__, error.message[:60])
    """)
    assert printed.stdout.splitlines() == [
        "JOB_STATE_SUCCEEDED ['SUCCEEDED']",
        "NotFound The HyperparameterTuningJob does not exist.",
        "InvalidArgument List of found errors:\t1.Field: max_trial_count; Message: The",
    ]


@pytest.mark.slow
def test_the_package_that_trainers_report_with(local_cloud: Any) -> None:
    script = textwrap.dedent("""
        import hypertune
        reporter = hypertune.HyperTune()
        for step in range(1, 151):
            reporter.report_hyperparameter_tuning_metric("accuracy", step / 150, global_step=step)
    """)
    told = by_sdk(
        local_cloud,
        f"""
        from google.cloud import aiplatform
        from google.cloud.aiplatform import hyperparameter_tuning as hpt

        aiplatform.init(project="{PROJECT}", location="us-central1", staging_bucket="gs://{BUCKET}")
        spec = {{
            "machine_spec": {{"machine_type": "n1-standard-4"}},
            "replica_count": 1,
            "container_spec": {{"image_uri": "{HYPERTUNE}", "command": ["python", "-c", {script!r}]}},
        }}
        job = aiplatform.HyperparameterTuningJob(
            display_name="hypertune",
            custom_job=aiplatform.CustomJob(display_name="hypertune", worker_pool_specs=[spec]),
            metric_spec={{"accuracy": "maximize"}},
            parameter_spec={{"x": hpt.DoubleParameterSpec(min=0, max=1, scale="linear")}},
            max_trial_count=1,
            parallel_trial_count=1,
        )
        job.run()
        final = job.trials[0].final_measurement
        tell(final.step_count, final.metrics[0].value, len(job.trials[0].measurements) >= 100)
    """,
    )
    assert told == ["150 1.0 True"]


@pytest.mark.slow
def test_gcloud(local_cloud: Any, tmp_path: Path) -> None:
    program = shutil.which("gcloud")
    if program is None:
        pytest.skip("needs the gcloud command: https://cloud.google.com/sdk/docs/install")
    config = tmp_path / "tuning.yaml"
    pool = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": "1",
        "containerSpec": {"imageUri": PLAIN, "command": ["python", "-c", TRAINER]},
    }
    parameter = {"parameterId": "units", "integerValueSpec": {"minValue": 1, "maxValue": 9}}
    study = {"metrics": [{"metricId": "accuracy", "goal": "MAXIMIZE"}], "parameters": [parameter]}
    written = {"studySpec": study, "trialJobSpec": {"workerPoolSpecs": [pool]}}
    config.write_text(json.dumps(written), encoding="utf-8")  # JSON is YAML

    def gcloud(*words: str) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **local_cloud.environment}
        command = [program, "ai", "hp-tuning-jobs", *words, "--region=us-central1"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    created = gcloud(
        "create", "--display-name=by-gcloud", f"--config={config}", "--max-trial-count=1", "--parallel-trial-count=1"
    )
    assert "submitted successfully" in created
    listed = json.loads(gcloud("list", "--filter=displayName=by-gcloud", "--format=json").partition("Using")[0])
    gcloud("stream-logs", listed[0]["name"], "--polling-interval=1")
    ended = json.loads(gcloud("describe", listed[0]["name"], "--format=json").partition("Using")[0])
    assert (ended["state"], ended["trials"][0]["state"]) == ("JOB_STATE_SUCCEEDED", "SUCCEEDED")
