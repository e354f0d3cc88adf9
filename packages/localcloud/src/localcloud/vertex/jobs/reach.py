"""Refuses jobs whose image can't be pulled or whose output has no place, as Vertex AI does before it takes one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from localcloud.containers import images
from localcloud.core.asked.callers import Caller
from localcloud.core.errors import ApiError
from localcloud.iam import access
from localcloud.iam.access import Access
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects
from localcloud.storage.store import Storage
from localcloud.vertex.place import Call, Place
from localcloud.vertex.replicas import contract

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_REPOSITORY = re.compile(r"([a-z0-9-]+)-docker\.pkg\.dev/([^/]+)/([^/]+)/.+")
_AGENTS = ("gcp-sa-aiplatform-cc", "gcp-sa-aiplatform")  # the first is the one that refusals name
_PULL = "artifactregistry.repositories.downloadArtifacts"


def check(call: Call, spec: dict[str, Any]) -> None:
    """Raises 400 FAILED_PRECONDITION for a CustomJobSpec whose images or base output directory can't be used."""
    output = spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "")
    if output:
        check_bucket(call.cloud, output, call.place.location)
    for uri in dict.fromkeys(replica.image for replica in contract.replicas(spec)):
        check_image(call.cloud, uri, call.place)


def check_bucket(cloud: Cloud, uri: str, region: str) -> None:
    """Raises 400 FAILED_PRECONDITION for the bucket of a gs:// path that isn't in the region.

    https://cloud.google.com/vertex-ai/docs/general/locations: a bucket must be in the job's region, and only there.

    Google's words for a bucket that isn't there are not known.
    """
    try:
        bucket = cloud.of(Storage).get_bucket(uri.removeprefix("gs://").partition("/")[0])
    except ApiError as error:
        if error.code != 404:
            raise
        words = f"The Cloud Storage bucket of `{uri}` does not exist."
        raise ApiError(400, words, "FAILED_PRECONDITION") from None
    location = bucket["location"].lower()
    if location != region:
        words = (
            f"The Cloud Storage bucket of `{uri}` is in location `{location}`. "
            f"It must be in the same regional location as the service location `{region}`."
        )
        raise ApiError(400, words, "FAILED_PRECONDITION")


def check_image(cloud: Cloud, uri: str, place: Place) -> None:
    """An image in Artifact Registry must be in a repository that Vertex AI's agent may read: in its project it may.

    Google's own images, and those in images.json, are in projects that aren't here.
    """
    match = _REPOSITORY.fullmatch(uri)
    if match is None:
        return
    location, project_id, repository = match.groups()
    owner = cloud.of(Projects).find(project_id)
    if owner is None:
        try:
            images.find(cloud.root, uri)
            return
        except images.UnknownImage:
            raise _unreadable(place, project_id, location, repository) from None
    name = f"projects/{owner['projectId']}/locations/{location}/repositories/{repository}"
    if cloud.documents.find(name) is not None and _may_pull(cloud, place, name):
        return
    raise _unreadable(place, project_id, location, repository)


def _may_pull(cloud: Cloud, place: Place, name: str) -> bool:
    callers = [Caller(cloud.of(Iam).service_agent(place.project_id, agent), place.project_id) for agent in _AGENTS]
    return any(cloud.of(Access).allows(caller, _PULL, access.repository(name)) for caller in callers)


def _unreadable(place: Place, project_id: str, location: str, repository: str) -> ApiError:
    agent = f"service-{place.project['projectNumber']}@{_AGENTS[0]}.iam.gserviceaccount.com"
    where = f"projects/{project_id}/locations/{location}/repositories/{repository}"
    words = f"Vertex AI Service Agent {agent} does not have permission to access Artifact Registry repository {where}."
    return ApiError(400, words, "FAILED_PRECONDITION")
