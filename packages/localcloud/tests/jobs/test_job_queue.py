"""Where jobs wait, and what is not taken at all: quotas in use, too many submissions, images, buckets, rights."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from clouds.vertex import PLACE, PLAIN, VertexCloud, id_of, pool
from localcloud import launch

PROJECT = "test-project"
HOST = "https://us-central1-aiplatform.googleapis.com/v1"
STORAGE = "https://storage.googleapis.com/storage/v1/b"
QUOTAS = f"https://cloudquotas.googleapis.com/v1/projects/{PROJECT}/locations/global/quotaPreferences"
CPUS, T4 = "aiplatform.googleapis.com/custom_model_training_cpus", "NVIDIA_TESLA_T4"
SLEEP = "import time; time.sleep(600)"


class Cloud(VertexCloud):
    """A server of one's own, with what tests ask of it."""

    def __init__(self, new_cloud: Any, tmp_path: Path, **settings: Any) -> None:
        super().__init__(new_cloud, tmp_path, **{"parallel": 10, **settings})
        self.cloud.enable("cloudquotas", "artifactregistry", "cloudbilling")

    def ask(self, script: str = SLEEP, machine: Any = None, name: str = "job", **spec: Any) -> Any:
        machine = machine or {"machineType": "n1-standard-8"}
        wanted = pool(script, spec.pop("image", PLAIN), machineSpec=machine, replicaCount=1)
        return self.post([wanted], name, **spec)

    def submit(self, *args: Any, **spec: Any) -> str:
        return id_of(self.ask(*args, **spec))

    def quota(self, quota: str, value: int) -> None:
        name = f"p{uuid.uuid4().hex[:8]}"
        body = {
            "service": "aiplatform.googleapis.com",
            "quotaId": quota,
            "dimensions": {"region": "us-central1"},
            "quotaConfig": {"preferredValue": str(value)},
            "contactEmail": "me@example.com",
        }
        ignored = "?ignoreSafetyChecks=QUOTA_DECREASE_PERCENTAGE_TOO_HIGH"
        found = self.session.get(QUOTAS).json().get("quotaPreferences", [])
        present = next((one["name"] for one in found if one["quotaId"] == quota), "")
        if present:
            answer = self.session.patch(f"https://cloudquotas.googleapis.com/v1/{present}{ignored}", json=body)
        else:
            answer = self.session.post(f"{QUOTAS}{ignored}&quotaPreferenceId={name}", json=body)
        assert answer.ok, answer.text


@pytest.fixture
def own(new_cloud: Any, tmp_path: Path) -> Cloud:
    return Cloud(new_cloud, tmp_path)


@pytest.mark.slow
def test_a_quota_in_use_lets_jobs_wait_in_order(own: Cloud) -> None:
    own.quota("CustomModelTrainingCPUsPerProjectPerRegion", 20)
    first, second, third, small = (
        own.submit(),
        own.submit(),
        own.submit(),
        own.submit(machine={"machineType": "n1-highmem-2"}),
    )
    spot = own.submit(scheduling={"strategy": "SPOT"})
    for job in (first, second, spot):
        own.wait(job, "JOB_STATE_RUNNING")  # 8 and 8 vCPUs; Spot has a quota of its own
    assert [own.get(job)["state"] for job in (third, small)] == ["JOB_STATE_QUEUED"] * 2  # though 2 more would fit
    assert own.lines(third, "service") == [f"The job is queued until there is enough quota left: {CPUS}."]
    own.cancel(first)
    own.wait(third, "JOB_STATE_RUNNING")
    own.wait(small, "JOB_STATE_RUNNING")
    refused = own.ask(machine={"machineType": "n1-standard-32"}).json()["error"]
    assert (refused["code"], refused["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert refused["message"] == f"The following quota metrics exceed quota limits: {CPUS}"


@pytest.mark.slow
def test_each_region_and_accelerator_has_its_quota(own: Cloud) -> None:
    own.quota("CustomModelTrainingT4GPUsPerProjectPerRegion", 1)
    gpu = {"machineType": "n1-standard-4", "acceleratorType": T4, "acceleratorCount": 1}
    first, second, plain = own.submit(machine=gpu), own.submit(machine=gpu), own.submit()
    own.wait(first, "JOB_STATE_RUNNING")
    own.wait(plain, "JOB_STATE_RUNNING")  # overtakes the one that waits
    assert own.get(second)["state"] == "JOB_STATE_QUEUED"
    west = HOST.replace("central1", "west1") + f"/projects/{PROJECT}/locations/us-west1/customJobs"
    body = {"displayName": "west", "jobSpec": {"workerPoolSpecs": [pool("pass", machineSpec=gpu)]}}
    name = own.session.post(west, json=body).json()["name"]
    while own.session.get(f"{west.partition('/v1/')[0]}/v1/{name}").json()["state"] != "JOB_STATE_SUCCEEDED":
        time.sleep(0.05)
    assert own.ask(machine={**gpu, "acceleratorCount": 2}).status_code == 429
    own.cancel(first)
    own.wait(second, "JOB_STATE_RUNNING")


@pytest.mark.slow
def test_a_job_on_a_tpu_needs_its_quota_its_region_and_one_machine(own: Cloud) -> None:
    """It runs on this machine's CPU: shapes are checked, not had."""
    v5e = {"machineType": "ct5lp-hightpu-4t", "tpuTopology": "2x2"}
    v2 = {"machineType": "cloud-tpu", "acceleratorType": "TPU_V2", "acceleratorCount": 8}
    refused = own.ask(machine=v5e).json()["error"]
    words = "The following quota metrics exceed quota limits: CustomModelTrainingV5ETPUPerProjectPerRegion"
    assert (refused["code"], refused["message"]) == (429, words)
    own.quota("CustomModelTrainingV5ETPUPerProjectPerRegion", 4)
    done = own.submit("pass", machine=v5e)
    own.wait(done, "JOB_STATE_SUCCEEDED")
    elsewhere = PLACE.replace("us-central1", "europe-west4") + "/customJobs"
    for where, machines, words in (
        (PLACE + "/customJobs", [v5e, v5e], "A job with TPUs must have exactly one worker pool with one replica."),
        (PLACE + "/customJobs", [v2, {"machineType": "n1-standard-4"}], "A job with TPUs must have exactly one"),
        (PLACE + "/customJobs", [{**v2, "acceleratorCount": 4}], 'Accelerator "TPU_V2" is not supported for machine'),
        (PLACE + "/customJobs", [{"machineType": "cloud-tpu"}], "cloud-tpu has TPU_V2, TPU_V3."),
        (elsewhere, [v5e], 'Machine type "ct5lp-hightpu-4t" is not supported in region "europe-west4".'),
    ):
        pools = [pool("pass", machineSpec=machine, replicaCount=1) for machine in machines]
        answer = own.session.post(where, json={"displayName": "tpu", "jobSpec": {"workerPoolSpecs": pools}})
        error = answer.json()["error"]
        assert error["code"] == 400 and words in json.dumps(error).replace('\\"', '"'), error


@pytest.mark.slow
def test_a_quota_that_is_lowered_or_raised_counts_for_what_waits(own: Cloud) -> None:
    own.quota("CustomModelTrainingCPUsPerProjectPerRegion", 8)
    first, second = own.submit(), own.submit()
    own.wait(first, "JOB_STATE_RUNNING")
    own.quota("CustomModelTrainingCPUsPerProjectPerRegion", 4)
    own.cancel(first)
    own.wait(first)
    time.sleep(1.5)  # longer than the queue's own looks are apart
    assert own.get(second)["state"] == "JOB_STATE_QUEUED"
    own.quota("CustomModelTrainingCPUsPerProjectPerRegion", 8)
    own.wait(second, "JOB_STATE_RUNNING")


@pytest.mark.slow
def test_sixty_submissions_a_minute(new_cloud: Any, tmp_path: Path) -> None:
    own = Cloud(new_cloud, tmp_path, parallel=1)
    jobs = [own.submit() for _ in range(60)]
    refused = own.ask().json()["error"]
    number = own.get(jobs[0])["name"].split("/")[1]
    assert (refused["code"], refused["status"]) == (429, "RESOURCE_EXHAUSTED")
    metric = "Custom model training submission requests"
    assert refused["message"] == (
        f"Quota exceeded for quota metric '{metric}' and limit '{metric} per minute per region' of service "
        f"'aiplatform.googleapis.com' for consumer 'project_number:{number}'."
    )
    assert refused["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    assert refused["details"][0]["metadata"]["quota_limit_value"] == "60"
    launch.forward(own.root, 61)
    assert own.ask().ok


@pytest.mark.slow
def test_two_hundred_jobs_wait_are_listed_and_cancelled(new_cloud: Any, tmp_path: Path) -> None:
    own = Cloud(new_cloud, tmp_path, parallel=1, submissionsPerMinute=1000)
    memory = launch.status(own.root)["memory"]
    jobs = [own.submit(name=f"n{n:03d}") for n in range(200)]
    own.wait(jobs[0], "JOB_STATE_RUNNING")
    query = {"filter": 'state="JOB_STATE_QUEUED"', "pageSize": 70, "readMask": "displayName"}
    names, pages = [], 0
    while True:
        page = own.session.get(f"{PLACE}/customJobs", params=query).json()
        names += [job["displayName"] for job in page["customJobs"]]
        if pages == 0:
            own.submit(name="late")  # shifts nothing
        pages += 1
        if not (token := page.get("nextPageToken")):
            break
        query["pageToken"] = token
    assert names == [f"n{n:03d}" for n in range(199, 0, -1)]
    assert pages == 3
    for job in reversed(jobs):
        own.cancel(job)
    assert own.wait(jobs[0])["state"] == "JOB_STATE_CANCELLED"
    late = own.session.get(f"{PLACE}/customJobs", params={"filter": "display_name=late"}).json()["customJobs"]
    own.wait(late[0]["name"].rpartition("/")[2], "JOB_STATE_RUNNING")
    assert launch.status(own.root)["memory"] - memory < 60 << 20


# What is not taken


@pytest.mark.slow
def test_the_output_must_have_a_bucket_in_the_region(own: Cloud) -> None:
    buckets = f"{STORAGE}?project={PROJECT}"
    for name, location in (("near", "US-CENTRAL1"), ("wide", "US"), ("far", "EUROPE-WEST4")):
        assert own.session.post(buckets, json={"name": f"{name}-{PROJECT}", "location": location}).ok

    def refusal(bucket: str) -> Any:
        answer = own.ask("pass", baseOutputDirectory={"outputUriPrefix": f"gs://{bucket}/out"})
        return None if answer.ok else answer.json()["error"]

    assert refusal(f"near-{PROJECT}") is None
    for name, location in (("wide", "us"), ("far", "europe-west4")):
        error = refusal(f"{name}-{PROJECT}")
        assert (error["code"], error["status"]) == (400, "FAILED_PRECONDITION")
        assert error["message"] == (
            f"The Cloud Storage bucket of `gs://{name}-{PROJECT}/out` is in location `{location}`. "
            "It must be in the same regional location as the service location `us-central1`."
        )
    error = refusal("nowhere-at-all")
    assert (error["status"], error["message"]) == (
        "FAILED_PRECONDITION",
        "The Cloud Storage bucket of `gs://nowhere-at-all/out` does not exist.",
    )


@pytest.mark.slow
def test_the_image_must_be_readable_by_the_service_agent(own: Cloud) -> None:
    launch.ask(own.root, own.cloud.server, "POST", "/projects/other-project")
    other = launch.environment(own.root, "other-project")
    assert other
    key = json.loads((own.root / "projects" / "other-project" / "key.json").read_text(encoding="utf-8"))
    owner = own.cloud.session(key)
    registry = "https://artifactregistry.googleapis.com/v1"
    service = "https://serviceusage.googleapis.com/v1/projects/other-project/services/artifactregistry.googleapis.com"
    assert owner.post(f"{service}:enable").ok
    for session, project in ((own.session, PROJECT), (owner, "other-project")):
        parent = f"{registry}/projects/{project}/locations/us-central1/repositories?repositoryId=images"
        assert session.post(parent, json={"format": "DOCKER"}).ok
    uris = {project: f"us-central1-docker.pkg.dev/{project}/images/plain:1" for project in (PROJECT, "other-project")}
    images = {PLAIN: {}, **{uri: {} for uri in uris.values()}}
    (own.root / "images.json").write_text(json.dumps(images), encoding="utf-8")
    job = own.submit("print('ran')", image=uris[PROJECT])
    assert own.wait(job)["state"] == "JOB_STATE_SUCCEEDED"
    number = own.get(job)["name"].split("/")[1]
    agent = f"service-{number}@gcp-sa-aiplatform-cc.iam.gserviceaccount.com"
    refused = own.ask("pass", image=uris["other-project"]).json()["error"]
    assert (refused["code"], refused["status"]) == (400, "FAILED_PRECONDITION")
    assert refused["message"] == (
        f"Vertex AI Service Agent {agent} does not have permission to access Artifact Registry repository "
        "projects/other-project/locations/us-central1/repositories/images."
    )
    missing = f"us-central1-docker.pkg.dev/{PROJECT}/none/plain:1"
    assert own.ask("pass", image=missing).json()["error"]["message"].endswith("/repositories/none.")
    unknown = "us-central1-docker.pkg.dev/nobodys-project/images/plain:1"
    assert own.ask("pass", image=unknown).json()["error"]["status"] == "FAILED_PRECONDITION"
    policy = {"bindings": [{"role": "roles/artifactregistry.reader", "members": [f"serviceAccount:{agent}"]}]}
    name = "projects/other-project/locations/us-central1/repositories/images"
    assert owner.post(f"{registry}/{name}:setIamPolicy", json={"policy": policy}).ok
    assert own.wait(own.submit("print('ran')", image=uris["other-project"]))["state"] == "JOB_STATE_SUCCEEDED"


WRITES = """
import google.auth, google.auth.transport.requests
credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
session = google.auth.transport.requests.AuthorizedSession(credentials)
address = "https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o?uploadType=media&name=model.txt"
answer = session.post(address, data=b"x")
print(answer.status_code, answer.json().get("error", {{}}).get("message", "written"))
answer.raise_for_status()
"""


@pytest.mark.slow
def test_a_job_may_do_what_its_account_may(own: Cloud) -> None:
    import importlib.metadata as installed

    images = {PLAIN: {"requirements": [f"{n}=={installed.version(n)}" for n in ("google-auth", "requests")]}}
    (own.root / "images.json").write_text(json.dumps(images), encoding="utf-8")
    bucket = f"staging-{uuid.uuid4().hex[:8]}"
    made = own.session.post(f"{STORAGE}?project={PROJECT}", json={"name": bucket, "location": "US-CENTRAL1"})
    assert made.ok
    email = own.cloud.account("trainer")
    job = own.submit(WRITES.format(bucket=bucket), serviceAccount=email)
    assert own.wait(job)["state"] == "JOB_STATE_FAILED"
    assert own.lines(job)[0] == (
        f"403 {email} does not have storage.objects.create access to the Google Cloud Storage object. "
        "Permission 'storage.objects.create' denied on resource (or it may not exist)."
    )
    policy = own.session.get(f"{STORAGE}/{bucket}/iam").json()
    policy["bindings"].append({"role": "roles/storage.objectUser", "members": [f"serviceAccount:{email}"]})
    assert own.session.put(f"{STORAGE}/{bucket}/iam", json=policy).ok
    job = own.submit(WRITES.format(bucket=bucket), serviceAccount=email)
    assert own.wait(job)["state"] == "JOB_STATE_SUCCEEDED"
    assert own.lines(job) == ["200 written"]


@pytest.mark.slow
def test_a_project_that_nobody_pays_for_has_no_jobs(own: Cloud) -> None:
    running = own.submit()
    stubborn = own.submit("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)")
    for job in (running, stubborn):
        own.wait(job, "JOB_STATE_RUNNING")
    billing = f"https://cloudbilling.googleapis.com/v1/projects/{PROJECT}/billingInfo"
    answer = own.session.put(billing, json={"billingAccountName": ""})
    assert answer.ok, answer.text
    with sqlite3.connect(own.root / "vertex" / "jobs.sqlite") as database:  # the API is closed to its owner, too
        found = dict(database.execute("SELECT id, body FROM jobs").fetchall())
    database.close()
    for job in (running, stubborn):
        ended = json.loads(found[job])
        assert ended["state"] == "JOB_STATE_FAILED"
        assert ended["error"] == {"code": 9, "message": "The billing account of the project was unlinked."}
    assert own.ask("pass").status_code == 403
