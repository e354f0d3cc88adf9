"""Who may make a project, and how many: a person as many as a new customer of Google, a service account none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from localcloud.core.asked.permits import denied
from localcloud.core.errors import ApiError
from localcloud.iam.access import Access
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects
from localcloud.transport.rest import Call

Body = dict[str, Any]
_MOST = 12  # that a new customer may own: https://support.google.com/cloud/answer/6330231
_PURGED = timedelta(days=30)  # after the deletion of a project
_WORDS = "The project cannot be created because you have exceeded your allotted project quota."


def create(call: Call, project_id: str, name: str) -> Body | None:
    """The new project, which its maker owns; None for one too many. Raises 403, 409, and 400 for a bad id."""
    cloud = call.cloud
    cloud.of(Access).check_scopes(call.caller, "resourcemanager.projects.create")
    if parent := call.body.get("parent"):  # there are no organisations and folders here
        if call.path.startswith("/v1/"):
            raise ApiError(403, "The caller does not have permission", reason="forbidden")
        raise denied("resourcemanager.projects.create", str(parent), "cloudresourcemanager.googleapis.com")
    if not cloud.of(Iam).is_person(call.caller):
        raise ApiError(403, "Service accounts cannot create projects without a parent.", reason="forbidden")
    if cloud.of(Projects).find(project_id):
        raise ApiError(409, f"Requested entity already exists: project {project_id}")
    if sum(_counts(call, project) for project in cloud.of(Projects).list()) >= _MOST:
        return None
    maker = cloud.of(Projects).find(call.caller.project) or {}
    made = cloud.of(Projects).create(project_id, name, call.body.get("labels"), person=maker.get("person"))
    cloud.of(Iam).add_member(f"projects/{made['projectId']}", "roles/owner", f"serviceAccount:{call.caller.email}")
    return made


def _counts(call: Call, project: Body) -> bool:
    """Whether a project counts against the caller's quota: a deleted one does until it is purged."""
    deleted = project["state"] == "DELETE_REQUESTED"
    if deleted and datetime.fromisoformat(deleted_at(project)) + _PURGED < call.cloud.clock.now():
        return False
    return call.cloud.of(Access).has_basic(call.caller.email, f"projectOwner:{project['projectId']}")


def deleted_at(project: Body) -> str:
    """When a project that is being deleted was marked; older records don't say."""
    return project.get("deleteTime", project["createTime"])


def over_quota(name: str) -> Body:
    """The operation that Google answers: https://github.com/taers232c/GAMADV-XTD3/issues/116"""
    failure = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"description": _WORDS}]}
    return {"name": name, "done": True, "error": {"code": 8, "message": _WORDS, "details": [failure]}}
