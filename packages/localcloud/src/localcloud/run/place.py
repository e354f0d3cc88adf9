"""Where a call goes: the project and the region that its resource's name says, checked before anything else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catalog import run as book
from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError
from localcloud.iam.access import Access
from localcloud.projects.store import Projects
from localcloud.services import enabled

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
SERVICE = book.SERVICE
_PLACE = re.compile(r"projects/([^/]+)/locations/([^/]+)((?:/[^/]+)*)")


@dataclass(frozen=True)
class Call:
    """One call: who sends it, the project's record, the region, and the rest of the resource's name ("jobs/j")."""

    cloud: Cloud
    caller: Caller
    project: Mapping[str, Any]
    region: str
    rest: str

    @property
    def project_id(self) -> str:
        return self.project["projectId"]

    @property
    def parent(self) -> str:
        """projects/ID/locations/R: as answers name it."""
        return f"projects/{self.project_id}/locations/{self.region}"

    @property
    def name(self) -> str:
        """The resource's full name, by the project's id."""
        return f"{self.parent}/{self.rest}" if self.rest else self.parent

    @property
    def resource(self) -> Resource:
        """What permissions are asked on: the job that the call is of, or the project."""
        parts = self.rest.split("/")
        project = f"projects/{self.project_id}"
        if parts[0] == "jobs" and len(parts) > 1 and parts[1] != "-":
            return job(f"{self.parent}/jobs/{parts[1]}")
        return Resource(f"{project}/locations/{self.region}", (project,), SERVICE, f"{SERVICE}/Location")

    def require(self, permission: str) -> None:
        """Raises 403 unless the caller has `permission` there."""
        if not self.cloud.of(Access).allows(self.caller, permission, self.resource):
            raise denied(permission, self.name)


def job(name: str) -> Resource:
    """A job, which has a policy of its own, by its full name with the project's id."""
    return Resource(name, (name, "/".join(name.split("/")[:2])), SERVICE, f"{SERVICE}/Job")


def denied(permission: str, name: str) -> ApiError:
    """403 in the words of this API: https://github.com/google-github-actions/deploy-cloudrun/issues/427."""
    return ApiError(403, f"Permission '{permission}' denied on resource '{name}' (or resource may not exist).")


def enter(cloud: Cloud, caller: Caller, field: str, name: str, permission: str, consumer: str = "") -> Call:
    """The call, when its project and region are there and the caller has `permission` in them. Raises 400, 403, 404.

    The API must be on, too, in a `consumer`, the project that the call names to be charged.
    """
    match = _PLACE.fullmatch(name)
    if match is None:
        raise ApiError(400, f"{field}: Invalid resource name: {name}")
    project = cloud.of(Projects).find(match[1])
    if project is None:
        raise denied(permission or "run.jobs.get", name)
    enabled.require_named(cloud, caller, consumer, SERVICE)
    enabled.require(cloud, project["projectId"], SERVICE)
    if match[2] not in book.regions():
        raise ApiError(404, f"Location {match[2]} is not found or access is unauthorized.")
    call = Call(cloud, caller, project, match[2], match[3].lstrip("/"))
    if permission:
        call.require(permission)
    return call
