"""Custom jobs by Google's own, unmodified clients, over gRPC and REST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clouds import PROJECT, LocalCloud
from clouds.vertex import PLAIN, TASK, by_sdk, make_wheel, prepare


@pytest.fixture(scope="module", autouse=True)
def prepared(local_cloud: LocalCloud) -> None:
    prepare(local_cloud, "some-bucket")


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_the_sdk(local_cloud: Any, transport: str) -> None:
    told = by_sdk(
        local_cloud,
        f"""
        import time
        from google.cloud import aiplatform

        aiplatform.init(project="{PROJECT}", location="us-central1", api_transport="{transport}")

        def job(name, script):
            spec = {{
                "machine_spec": {{"machine_type": "n1-standard-4"}},
                "replica_count": 1,
                "container_spec": {{"image_uri": "{PLAIN}", "command": ["python", "-c", script]}},
            }}
            return aiplatform.CustomJob(
                display_name=f"sdk-{transport}-{{name}}",
                worker_pool_specs=[spec],
                base_output_dir="gs://some-bucket/out",
                staging_bucket="gs://some-bucket",
                labels={{"by": "sdk-{transport}"}},
            )

        good = job("good", "print('hello from the SDK')")
        good.run(timeout=600)
        tell(good.state.name, good.error.code)
        bad = job("bad", "raise SystemExit(2)")
        try:
            bad.run()
        except RuntimeError as error:
            tell(str(error).splitlines()[:1], "non-zero status of 2" in str(error))
        slow = job("slow", "import time; time.sleep(600)")
        slow.submit()
        slow.cancel()
        while not slow.done():
            time.sleep(0.2)
        tell(slow.state.name)
        found = aiplatform.CustomJob.list(filter='labels.by="sdk-{transport}"', order_by="create_time desc")
        tell([j.display_name.rpartition("-")[2] for j in found])
        failed = 'state="JOB_STATE_FAILED" AND display_name="sdk-{transport}-bad"'
        tell([j.display_name for j in aiplatform.CustomJob.list(filter=failed)])
        good.delete()
        tell(len(aiplatform.CustomJob.list(filter='labels.by="sdk-{transport}"')))
    """,
    )
    assert told == [
        "JOB_STATE_SUCCEEDED 0",
        "['Job failed with:'] True",
        "JOB_STATE_CANCELLED",
        "['slow', 'bad', 'good']",
        f"['sdk-{transport}-bad']",
        "2",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_the_gapic_client(local_cloud: Any, version: str) -> None:
    printed = local_cloud.run(f"""
        import time
        from google.api_core import exceptions
        from google.api_core.client_options import ClientOptions
        from google.cloud import aiplatform_{version} as vertex
        from google.cloud import logging as gcl

        options = ClientOptions(api_endpoint="us-central1-aiplatform.googleapis.com")
        client = vertex.JobServiceClient(client_options=options)
        place = "projects/{PROJECT}/locations/us-central1"
        pool = {{
            "machine_spec": {{"machine_type": "n1-standard-4"}},
            "replica_count": 1,
            "container_spec": {{"image_uri": "{PLAIN}", "command": ["python", "-c", "print('hello')"]}},
        }}
        job = client.create_custom_job(
            parent=place,
            custom_job={{"display_name": "gapic-{version}", "job_spec": {{"worker_pool_specs": [pool]}}}},
        )
        while client.get_custom_job(name=job.name).state < vertex.JobState.JOB_STATE_SUCCEEDED:
            time.sleep(0.05)
        job = client.get_custom_job(name=job.name)
        print(job.state.name, job.end_time > job.start_time)
        print([j.display_name for j in client.list_custom_jobs(parent=place) if j.name == job.name])
        matching = f'resource.labels.job_id="{{job.name.split("/")[-1]}}" resource.labels.task_name="workerpool0-0"'
        print([entry.payload["message"] for entry in gcl.Client().list_entries(filter_=matching)])
        client.delete_custom_job(name=job.name).result(timeout=10)
        for call in (
            lambda: client.get_custom_job(name=job.name),
            lambda: client.create_custom_job(parent=place, custom_job={{}}),
            lambda: client.list_data_labeling_jobs(parent=place),
        ):
            try:
                call()
            except exceptions.GoogleAPICallError as error:
                print(type(error).__name__, error.message[:60])
    """)
    assert printed.stdout.splitlines() == [
        "JOB_STATE_SUCCEEDED True",
        f"['gapic-{version}']",
        "['hello']",
        "NotFound The CustomJob does not exist.",
        "InvalidArgument List of found errors:\\t1.Field: display_name; Message: Requir".replace("\\t", "\t"),
        "MethodNotImplemented not emulated by the local cloud: gRPC /google.cloud.aiplatfo"[:81],
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_python_package(local_cloud: Any, tmp_path: Path, kind: str) -> None:
    """pythonPackageSpec: read from a bucket as the job's account, run as a module."""
    name = make_wheel(tmp_path) if kind == "wheel" else make_sdist(tmp_path)
    printed = local_cloud.run(f"""
        import time
        from google.cloud import storage

        client = storage.Client()
        bucket = client.bucket("packages-{kind}")
        bucket.create(location="us-central1")
        bucket.blob("{name}").upload_from_filename(r"{tmp_path / name}")
        import google.auth
        from google.auth.transport.requests import AuthorizedSession

        session = AuthorizedSession(google.auth.default(["https://www.googleapis.com/auth/cloud-platform"])[0])
        base = "https://us-central1-aiplatform.googleapis.com/v1/"
        package = {{
            "executorImageUri": "{PLAIN}", "packageUris": ["gs://packages-{kind}/{name}"],
            "pythonModule": "trainer.task", "args": ["--epochs=3"],
        }}
        pool = {{"machineSpec": {{"machineType": "n1-standard-4"}}, "pythonPackageSpec": package}}
        job = session.post(base + "projects/{PROJECT}/locations/us-central1/customJobs",
            json={{"displayName": "package", "jobSpec": {{"workerPoolSpecs": [pool]}}}}).json()
        while "endTime" not in job:
            time.sleep(0.05)
            job = session.get(base + job["name"]).json()
        print(job["state"], job.get("error"))
        matching = f'resource.labels.job_id="{{job["name"].split("/")[-1]}}" resource.labels.task_name="workerpool0-0"'
        request = {{"resourceNames": ["projects/{PROJECT}"], "filter": matching}}
        answer = session.post("https://logging.googleapis.com/v2/entries:list", json=request).json()
        print([entry["jsonPayload"]["message"] for entry in answer["entries"]])
    """)
    assert printed.stdout.splitlines() == ["JOB_STATE_SUCCEEDED None", "[\"trainer with ['--epochs=3']\"]"]


def make_sdist(folder: Path) -> str:
    import io
    import tarfile

    setup = "from setuptools import setup\nsetup(name='trainer', version='1.0', packages=['trainer'])\n"
    files = {"setup.py": setup, "trainer/__init__.py": "", "trainer/task.py": TASK}
    with tarfile.open(folder / "trainer-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"trainer-1.0/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return "trainer-1.0.tar.gz"


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_another_regions_endpoint_is_refused(local_cloud: Any, transport: str) -> None:
    printed = local_cloud.run(f"""
        from google.api_core.exceptions import BadRequest
        from google.cloud import aiplatform_v1
        client = aiplatform_v1.JobServiceClient(
            transport="{transport}", client_options={{"api_endpoint": "us-central1-aiplatform.googleapis.com"}})
        try:
            client.list_custom_jobs(parent="projects/{PROJECT}/locations/europe-west4")
        except BadRequest as error:
            print(error.message)
    """)
    assert "The valid location ID is `us-central1`." in printed.stdout
