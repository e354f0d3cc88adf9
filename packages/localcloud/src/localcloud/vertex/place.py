"""Where a call goes: the project and the location that its resource's name says, checked before anything else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError, error_info
from localcloud.iam.access import Access
from localcloud.projects.store import Projects
from localcloud.services import enabled
from localcloud.vertex.jobs import validation

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
SERVICE = "aiplatform.googleapis.com"
_PLACE = re.compile(r"projects/([^/]+)/locations/([^/]+)(?:/.*)?")


@dataclass(frozen=True)
class Place:
    """A project (its record) and a location of it."""

    project: Mapping[str, Any]
    location: str

    @property
    def name(self) -> str:
        """As answers name it, by the project's number: projects/123/locations/us-central1."""
        return f"projects/{self.project['projectNumber']}/locations/{self.location}"

    @property
    def project_id(self) -> str:
        return self.project["projectId"]

    @property
    def resource(self) -> Resource:
        """What permissions are asked on: the location, which has its project's policy."""
        project = f"projects/{self.project_id}"
        return Resource(f"{project}/locations/{self.location}", (project,), SERVICE, f"{SERVICE}/Location")


@dataclass(frozen=True)
class Call:
    """One call: who sends it, to which host ("" when not known), and where it goes."""

    cloud: Cloud
    caller: Caller
    host: str
    place: Place

    def resource(self, collection: str, name: str) -> str:
        """The id of "projects/P/locations/L/COLLECTION/ID" in the call's place. Raises 400 for another shape."""
        match = re.fullmatch(rf"projects/[^/]+/locations/[^/]+/{collection}/([^/@]+)(?:@[^/]+)?", name)
        if match is None:
            raise bad_name("name", name)
        return match[1]


def where(request: Body) -> tuple[str, str]:
    """(field, resource name) that tells the place of a request: of its parent, itself, or the resource in it."""
    for field in ("parent", "name", "endpoint"):
        if isinstance(request.get(field), str):
            return field, request[field]
    for field, value in request.items():  # updates: {"model": {"name": ...}}
        if isinstance(value, dict) and isinstance(value.get("name"), str):
            return f"{field}.name", value["name"]
    return "parent", ""


def enter(cloud: Cloud, caller: Caller, host: str, request: Body, permission: str, consumer: str = "") -> Call:
    """The call, when its project and location are there and the caller has `permission` in them. Raises 400, 403.

    In Google's order: the shape of the name, the project, the API, the location, then the permission. The API must be
    on, too, in a `consumer`, the project that the call names to be charged.
    """
    field, name = where(request)
    match = _PLACE.fullmatch(name)
    if match is None:
        raise bad_name(field, name)
    project = cloud.of(Projects).find(match[1])
    if project is None:
        raise _no_project(match[1])
    enabled.require_named(cloud, caller, consumer, SERVICE)
    enabled.require(cloud, project["projectId"], SERVICE)
    validation.check_location(match[2], host, project)
    place = Place(project, match[2])
    if permission:
        cloud.of(Access).require(caller, permission, place.resource)
    return Call(cloud, caller, host, place)


def bad_name(field: str, name: str) -> ApiError:
    """400 for a name that is no resource name."""
    return validation.found([validation.Violation(field, f"Invalid resource name: {name}")])


def _no_project(project: str) -> ApiError:
    link = {"description": "Google developers console", "url": "https://console.developers.google.com"}
    details = [
        {"@type": "type.googleapis.com/google.rpc.Help", "links": [link]},
        error_info("CONSUMER_INVALID", "googleapis.com", consumer=f"projects/{project}", service=SERVICE),
    ]
    return ApiError(403, f"Permission denied on resource project {project}.", details=details)
