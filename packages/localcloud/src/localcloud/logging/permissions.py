"""Who may call which method of Cloud Logging, and on what: https://cloud.google.com/logging/docs/access-control"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError, error_info
from localcloud.iam import access
from localcloud.iam.access import Access
from localcloud.logging.methods import Method
from localcloud.projects.store import Projects
from localcloud.services import enabled

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

SERVICE = "logging.googleapis.com"
_VIEW = "logging.views.access"
_NAMES = ("parent", "name", "sinkName", "metricName", "logName")


def admit(cloud: Cloud, caller: Caller, method: Method, request: Mapping[str, Any], consumer: str = "") -> None:
    """Raises 403 when the API is off where the call is charged, or the caller lacks a permission that it needs.

    `consumer` is the project that the call names to be charged. What is no project's name, the method itself refuses.
    """
    require_on(cloud, caller, consumer)
    if method.needs:
        require(cloud, caller, method.needs, _of(method, request))


def require_on(cloud: Cloud, caller: Caller, consumer: str) -> None:
    """Raises 403 unless the API is on in the project `consumer`, which the caller may use; "": in the caller's own."""
    if consumer and consumer != caller.project:
        enabled.require_named(cloud, caller, consumer, SERVICE)
    else:
        enabled.require(cloud, caller.project, SERVICE)


def require(cloud: Cloud, caller: Caller, permission: str, names: Iterator[str]) -> None:
    """Raises 403 unless the caller has the permission in the project of each name; a view needs its own instead."""
    for name in dict.fromkeys(names):
        parts = name.split("/")
        if parts[0] != "projects" or len(parts) < 2:
            continue
        asked = _VIEW if permission == "logging.logEntries.list" and "/views/" in name else permission
        found = cloud.of(Projects).find(parts[1])
        if found is None or not cloud.of(Access).allows(caller, asked, access.project(found["projectId"], SERVICE)):
            raise denied(asked)


def denied(permission: str) -> ApiError:
    """403 in the words of Cloud Logging: an unknown project and a forbidden one look the same."""
    message = f"Permission '{permission}' denied on resource (or it may not exist)."
    return ApiError(403, message, details=[error_info("IAM_PERMISSION_DENIED", SERVICE, permission=permission)])


def _of(method: Method, request: Mapping[str, Any]) -> Iterator[str]:
    """The names of what a request is about."""
    if method.name == "WriteLogEntries":
        for entry in request.get("entries", []):
            name = entry.get("logName") if isinstance(entry, dict) else None
            yield str(name or request.get("logName", ""))
        yield str(request.get("logName", ""))
        return
    views = request.get("resourceNames", [])
    yield from [views] if isinstance(views, str) else views
    yield from (f"projects/{project}" for project in request.get("projectIds", []))
    for field in _NAMES:
        if field in request:
            yield str(request[field])
            return
