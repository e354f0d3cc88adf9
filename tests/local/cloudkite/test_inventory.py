"""What stands in a project and costs: found by asking the APIs, whoever made it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from cloudkite.money import inventory
from tests.local.place import REGION, Place

GIB = 2**30


@pytest.fixture(scope="module")
def standing(place: Place, session: Any) -> Iterator[dict[tuple[str, str], inventory.Standing]]:
    """What other programs than Cloudkite left in the project, in another region too, and what was found of it."""
    project = place.account.project

    def make(method: str, url: str, body: Any = None, **arguments: Any) -> Any:
        answer = session.request(method, url, json=body, **arguments)
        assert answer.ok, answer.text
        return answer.json()

    for api in ("artifactregistry", "pubsub", "monitoring"):
        make("POST", f"https://serviceusage.googleapis.com/v1/projects/{project}/services/{api}.googleapis.com:enable")
    storage = "https://storage.googleapis.com"
    bucket = f"{project}_cloudbuild"
    versioned = {"name": bucket, "location": REGION, "versioning": {"enabled": True}}
    make("POST", f"{storage}/storage/v1/b?project={project}", versioned)
    for _again in range(3):
        upload = f"{storage}/upload/storage/v1/b/{bucket}/o?uploadType=media&name=source.tgz"
        assert session.post(upload, data=b"x" * 1000).ok
    vertex = "https://{0}-aiplatform.googleapis.com/v1/projects/{1}/locations/{0}/endpoints"
    make("POST", vertex.format("europe-west4", project), {"displayName": "forgotten"})
    images = f"https://artifactregistry.googleapis.com/v1/projects/{project}/locations/{REGION}/repositories"
    make("POST", images + "?repositoryId=old", {"format": "DOCKER"})
    make("PUT", f"https://pubsub.googleapis.com/v1/projects/{project}/topics/events")
    logs = f"https://logging.googleapis.com/v2/projects/{project}/locations/global/buckets/_Default"
    make("PATCH", logs + "?updateMask=retentionDays", {"retentionDays": 400})
    alert = {
        "displayName": "too dear", "combiner": "OR",
        "conditions": [{"displayName": "one", "conditionMatchedLog": {"filter": "severity>=ERROR"}}],
        "alertStrategy": {"notificationRateLimit": {"period": "300s"}},
    }  # fmt: skip
    make("POST", f"https://monitoring.googleapis.com/v3/projects/{project}/alertPolicies", alert)
    found = inventory.take(place.target)
    assert not found.unseen
    yield {(one.kind, one.name): one for one in found.found}
    make("PATCH", logs + "?updateMask=retentionDays", {"retentionDays": 30})


def test_what_others_left_is_found(place: Place, standing: dict[tuple[str, str], inventory.Standing]):
    project = place.account.project
    kinds = {kind for kind, _name in standing}
    assert {"bucket", "endpoint", "image repository", "topic", "log bucket", "alert"} <= kinds
    build = standing["bucket", f"gs://{project}_cloudbuild (left by Cloud Build)"]
    assert (build.size, build.why) == (3000, "1 object, 2 older versions")
    assert build.monthly == Decimal(3000) / GIB * Decimal("0.020")
    assert next(one for (kind, _n), one in standing.items() if kind == "endpoint").name.endswith(", europe-west4)")
    kept = standing["log bucket", "_Default"]
    assert kept.monthly is None and kept.why.startswith("keeps logs for 400 days: 30 are free, then 0.01 USD")
    assert ("log bucket", "_Required") not in standing  # Google's own 400 days, free


def test_a_deployed_model_and_a_running_job_cost_by_the_hour(place: Place):
    pool = {
        "machineSpec": {"machineType": "n1-standard-4", "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1}
    }
    spec = {"jobSpec": {"workerPoolSpecs": [pool | {"replicaCount": "2"}]}}
    name = "projects/1/locations/us-central1/customJobs/7"
    told = inventory._job("job")
    (job,) = told(place.target, {"name": name, "displayName": "big", "state": "JOB_STATE_RUNNING", **spec}, REGION)
    each = inventory._price("n1-standard-4", REGION, "NVIDIA_TESLA_T4", 1, 1)
    assert each and job.running and job.monthly == 2 * each
    assert not [*told(place.target, {"name": name, "state": "JOB_STATE_SUCCEEDED", **spec}, REGION)]
    deployed = {"id": "1", "displayName": "v1", "dedicatedResources": {**pool, "minReplicaCount": 3}}
    endpoint = {
        "name": "projects/1/locations/us-central1/endpoints/5",
        "displayName": "e",
        "deployedModels": [deployed],
    }
    (model,) = inventory._endpoint(place.target, endpoint, REGION)
    assert model.running and model.monthly == 3 * each
    assert model.why == "3 x n1-standard-4 + 1 x NVIDIA_TESLA_T4, by the hour whether it is asked or not"
    unknown = {**deployed, "dedicatedResources": {"machineSpec": {"machineType": "x9-mega"}}}
    (model,) = inventory._endpoint(place.target, {**endpoint, "deployedModels": [unknown]}, REGION)
    assert model.monthly is None


def test_what_could_not_be_looked_at_is_said(place: Place):
    """A call that is refused takes nothing away from what the others found, and is no proof that nothing is there."""
    elsewhere = dataclasses.replace(place.account, project="not-mine")
    found = inventory.take(dataclasses.replace(place.target, account=elsewhere), everywhere=False)
    assert not found.found
    assert any(line.startswith("buckets: ") for line in found.unseen)
    assert any(line.startswith("endpoints: ") for line in found.unseen)
