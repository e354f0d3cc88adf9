"""Which permission each thing that the engine does needs, and on what: those that the real provider's calls need."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from localcloud.core.asked.permits import Resource, denied
from localcloud.iam import access
from localcloud.iam.access import Access
from localcloud.iam.http import denied_by_iam
from localcloud.monitoring.http import denied_by_monitoring
from localcloud.projects.store import Projects
from localcloud.provider.scope import Scope, Values
from localcloud.storage.errors import denied_by_storage

Where = Callable[[Scope, str, Values], Resource | None]  # None: it is gone, and there is nothing to ask


def rights(of: str, **others: str) -> Mapping[str, str]:
    """What to create, read, update and delete such as "storage.buckets" needs; `others` are named otherwise."""
    return {"create": f"{of}.create", "read": f"{of}.get", "update": f"{of}.update", "delete": f"{of}.delete"} | others


def project(scope: Scope, resource_id: str, values: Values) -> Resource:
    """The project of a resource: its id's, for that is what is acted on, else the named one, or the provider's."""
    matched = re.match(r"projects/([^/]+)", resource_id)
    name = matched[1] if matched else str(scope.project_of(values)).removeprefix("projects/")
    found = scope.cloud.of(Projects).find(name)
    return access.project(found["projectId"] if found else name)


def require(scope: Scope, permission: str, on: Resource) -> None:
    """Raises 403 in the words of the API that the real provider would have called."""
    if scope.cloud.of(Access).allows(scope.caller, permission, on):
        return
    api = permission.partition(".")[0]
    if api == "storage":
        raise denied_by_storage(scope.caller.email, permission)
    if api == "monitoring":
        raise denied_by_monitoring(permission)
    if api == "iam":
        raise denied_by_iam(permission)
    domain = {"resourcemanager": "cloudresourcemanager", "billing": "cloudbilling"}.get(api, api)
    raise denied(permission, on.name, f"{domain}.googleapis.com")
