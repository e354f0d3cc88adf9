"""cloudasset.googleapis.com/v1: the search over all resources of a project.

https://cloud.google.com/asset-inventory/docs/reference/rest/v1/TopLevel/searchAllResources. What is there is told at
once, where Google is minutes late; queries, feeds, exports and IAM policies are not emulated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import NotEmulated
from localcloud.core.paging import page
from localcloud.functions.resources import FUNCTION, Place
from localcloud.projects.store import Projects
from localcloud.services.enabled import require_for
from localcloud.storage.store import Storage
from localcloud.transport.rest import App, Call, Router, project_of

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

router = Router()
Body = dict[str, Any]
SERVICE = "cloudasset.googleapis.com"
# The last collection in a document's name -> API and kind: https://cloud.google.com/asset-inventory/docs/asset-types
_KINDS = {
    "batchPredictionJobs": ("aiplatform", "BatchPredictionJob"),
    "endpoints": ("aiplatform", "Endpoint"),
    "functions": ("cloudfunctions", "Function"),
    "hyperparameterTuningJobs": ("aiplatform", "HyperparameterTuningJob"),
    "models": ("aiplatform", "Model"),
    "repositories": ("artifactregistry", "Repository"),
    "subscriptions": ("pubsub", "Subscription"),
    "topics": ("pubsub", "Topic"),
    "trainingPipelines": ("aiplatform", "TrainingPipeline"),
    "jobs": ("run", "Job"),
    "executions": ("run", "Execution"),
}


def app(cloud: Cloud) -> App:
    return router.app(cloud)


@router.route("GET", "/v1/projects/{project}:searchAllResources", needs="cloudasset.assets.searchAllResources")
async def search(call: Call) -> Body:
    require_for(call.cloud, call.caller, call.consumer, SERVICE)
    if strange := sorted(call.query.keys() - {"pageSize", "pageToken", "assetTypes", "readMask"}):
        raise NotEmulated(f"searches by {', '.join(strange)}")
    project = project_of(call).name.partition("/")[2]
    wanted = call.queries.get("assetTypes")
    found = sorted(_resources(call.cloud, project), key=lambda one: (one["assetType"], one["name"]))
    shown = [one for one in found if not wanted or one["assetType"] in wanted]
    return page("results", shown, call.query, default=100, most=500)


def _resources(cloud: Cloud, project: str) -> Iterator[Body]:
    from localcloud.vertex.jobs.store import CustomJobs  # its types take seconds: only where somebody asks

    number = cloud.of(Projects).get(project)["projectNumber"]
    yield _told("cloudresourcemanager", "Project", f"projects/{project}", number, {}, "global")
    for bucket in cloud.of(Storage).list_buckets(project):
        yield _told("storage", "Bucket", bucket["name"], number, bucket, str(bucket["location"]).lower())
    for job in cloud.of(CustomJobs).going(project):
        yield _told("aiplatform", "CustomJob", job["name"], number, job)
    for kind in cloud.documents.counts():
        for prefix in (f"projects/{project}/", f"projects/{number}/"):
            for body in cloud.documents.list(kind, prefix):
                yield from _of_document(kind, body, number)


def _of_document(kind: str, body: Body, number: str) -> Iterator[Body]:
    parts = str(body.get("name", "")).split("/")
    if len(parts) < 4 or len(parts) % 2 or parts[-2] not in _KINDS:
        return
    api, what = _KINDS[parts[-2]]
    if api == "run" and len(parts) < 6:
        return
    yield _told(api, what, body["name"], number, _newest(body))
    if kind == FUNCTION:  # it is a Cloud Run service as well
        yield _told("run", "Service", Place.of(body["name"]).service, number, body)


def _newest(body: Body) -> Body:
    """A model has versions, each with its labels."""
    versions = body.get("versions")
    return list(versions.values())[-1] if isinstance(versions, dict) and versions else body


def _told(api: str, kind: str, name: str, number: str, body: Body, location: str = "") -> Body:
    parts = name.split("/")
    place = location or (parts[3] if len(parts) > 4 and parts[2] == "locations" else "global")
    made: Body = {
        "name": f"//{api}.googleapis.com/{name}",
        "assetType": f"{api}.googleapis.com/{kind}",
        "project": f"projects/{number}",
        "displayName": body.get("displayName") or name.rpartition("/")[2],
        "location": place,
        "labels": body.get("labels") or {},
    }
    return made | ({"state": body["state"]} if isinstance(body.get("state"), str) else {})
