"""cloudresourcemanager.googleapis.com, v1 and v3: projects and their policies.

https://cloud.google.com/resource-manager/reference/rest
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.core.asked.permits import Resource, denied
from localcloud.core.asked.usage import Usage
from localcloud.core.errors import ApiError
from localcloud.core.paging import page
from localcloud.iam import access, policies
from localcloud.iam.access import Access
from localcloud.iam.store import Iam
from localcloud.projects import creation, filters
from localcloud.projects.store import Projects
from localcloud.transport.rest import App, Call, Router
from localcloud.transport.transcoding import Table, transcoded

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
SERVICE = "cloudresourcemanager.googleapis.com"
DELETED = "DELETE_REQUESTED"
_TYPE = "type.googleapis.com/google.cloud.resourcemanager.v3.Project"


def _refusal(call: Call, permission: str, resource: Resource) -> ApiError:
    """v1 has words of its own for what may not be seen or done."""
    if call.path.startswith("/v1/"):
        return ApiError(403, "The caller does not have permission", reason="forbidden")
    return denied(permission, resource.name, SERVICE)


def _seen(call: Call) -> Resource:
    """The project of the path; one that isn't there looks like one that may not be seen."""
    found = call.cloud.of(Projects).find(call.params["project"])
    return access.project(found["projectId"] if found else call.params["project"])


router = Router(SERVICE, _refusal)


def app(cloud: Cloud) -> App:
    return router.app(cloud)


def table(cloud: Cloud) -> Table:
    return transcoded(cloud, "google.cloud.resourcemanager_v3", router)


def _v3(project: Body) -> Body:
    shown = {
        "name": f"projects/{project['projectNumber']}",
        "projectId": project["projectId"],
        "state": project["state"],
        "displayName": project["name"],
        "createTime": project["createTime"],
        "updateTime": project["createTime"],
        "etag": f'W/"{project["projectNumber"]}"',
    }
    if project["state"] == DELETED:
        shown["deleteTime"] = creation.deleted_at(project)
    return shown | ({"labels": project["labels"]} if project.get("labels") else {})


def _v1(project: Body) -> Body:
    shown = {
        "projectNumber": project["projectNumber"],
        "projectId": project["projectId"],
        "lifecycleState": project["state"],
        "name": project["name"],
        "createTime": project["createTime"],
    }
    return shown | ({"labels": project["labels"]} if project.get("labels") else {})


def _matching(call: Call, text: str, deleted: bool = False) -> list[Body]:
    """The projects that the caller may see and that fit a filter; those being `deleted` too where it asks for them."""
    wanted = filters.read(text)
    all_states = deleted or filters.names_state(wanted)
    return [
        project
        for project in call.cloud.of(Projects).list()
        if (all_states or project["state"] == "ACTIVE") and filters.fits(wanted, project) and _may_see(call, project)
    ]


def _may_see(call: Call, project: Body) -> bool:
    asked = access.project(project["projectId"])
    return bool(call.cloud.of(Access).permitted(call.caller, ["resourcemanager.projects.get"], asked))


# v3


@router.route("GET", "/v3/projects:search", open="shows what the caller may get")
async def search(call: Call) -> Body:
    return page("projects", [_v3(p) for p in _matching(call, call.query.get("query", ""))], call.query)


@router.route("GET", "/v3/projects", open="shows what the caller may get")
async def list_v3(call: Call) -> Body:
    deleted = call.query.get("showDeleted") == "true"
    return page("projects", [_v3(p) for p in _matching(call, "", deleted)], call.query)


@router.route("GET", "/v3/projects/{project}", needs="resourcemanager.projects.get")
async def get_v3(call: Call) -> Body:
    return _v3(call.cloud.of(Projects).get(call.params["project"]))


@router.route("POST", "/v3/projects", open="asked of who calls: people own what they make")
async def create_v3(call: Call) -> Body:
    made = creation.create(call, call.body.get("projectId", ""), call.body.get("displayName", ""))
    return _created(call, made and {"@type": _TYPE, **_v3(made)})


@router.route("PATCH", "/v3/projects/{project}", needs="resourcemanager.projects.update")
async def patch_v3(call: Call) -> Body:
    changes = {"labels": call.body.get("labels"), "name": call.body.get("displayName")}
    kept = {name: value for name, value in changes.items() if value is not None}
    changed = call.cloud.of(Projects).update(call.params["project"], **kept)
    return _done(call, "up", {"@type": _TYPE, **_v3(changed)})


@router.route("DELETE", "/v3/projects/{project}", needs="resourcemanager.projects.delete")
async def delete_v3(call: Call) -> Body:
    gone = await _delete(call, call.cloud.of(Projects).get(call.params["project"]))
    return _done(call, "dp", {"@type": _TYPE, **_v3(gone)})


@router.route("POST", "/v3/projects/{project}:undelete", needs="resourcemanager.projects.undelete")
async def undelete_v3(call: Call) -> Body:
    back = _undelete(call, call.cloud.of(Projects).get(call.params["project"]))
    return _done(call, "dp", {"@type": _TYPE, **_v3(back)})


# v1


def _visible(call: Call) -> Body:
    """v1 has words of its own for a project that isn't there or may not be seen."""
    found = call.cloud.of(Projects).find(call.params["project"])
    if found is None:
        raise ApiError(403, "The caller does not have permission", reason="forbidden")
    return found


@router.route("GET", "/v1/projects", open="shows what the caller may get")
async def list_v1(call: Call) -> Body:
    return page("projects", [_v1(p) for p in _matching(call, call.query.get("filter", ""), deleted=True)], call.query)


@router.route("GET", "/v1/projects/{project}", needs="resourcemanager.projects.get", on=_seen)
async def get_v1(call: Call) -> Body:
    return _v1(_visible(call))


@router.route("POST", "/v1/projects", open="asked of who calls: people own what they make")
async def create_v1(call: Call) -> Body:
    made = creation.create(call, call.body.get("projectId", ""), call.body.get("name", ""))
    return _created(call, made and {"@type": _TYPE.replace("v3", "v1"), **_v1(made)})


@router.route("PUT", "/v1/projects/{project}", needs="resourcemanager.projects.update", on=_seen)
async def put_v1(call: Call) -> Body:
    project = _visible(call)
    changes = {"labels": call.body.get("labels") or {}, "name": call.body.get("name") or project["name"]}
    return _v1(call.cloud.of(Projects).update(project["projectId"], **changes))


@router.route("DELETE", "/v1/projects/{project}", needs="resourcemanager.projects.delete", on=_seen)
async def delete_v1(call: Call) -> None:
    await _delete(call, _visible(call))


@router.route("POST", "/v1/projects/{project}:undelete", needs="resourcemanager.projects.undelete", on=_seen)
async def undelete_v1(call: Call) -> None:
    _undelete(call, _visible(call))


@router.route("POST", "/v1/projects/{project}:getAncestry", needs="resourcemanager.projects.get", on=_seen)
async def ancestry(call: Call) -> Body:
    return {"ancestor": [{"resourceId": {"type": "project", "id": _visible(call)["projectId"]}}]}


# Both


@router.route("POST", "/v3/projects/{project}:getIamPolicy", needs="resourcemanager.projects.getIamPolicy", on=_seen)
@router.route("POST", "/v1/projects/{project}:getIamPolicy", needs="resourcemanager.projects.getIamPolicy", on=_seen)
async def get_policy(call: Call) -> Body:
    project = _visible(call) if call.path.startswith("/v1") else call.cloud.of(Projects).get(call.params["project"])
    kept = call.cloud.of(Iam).get_policy(f"projects/{project['projectId']}")
    return policies.shown(kept, policies.requested_version(call.body, call.query))


@router.route("POST", "/v3/projects/{project}:setIamPolicy", needs="resourcemanager.projects.setIamPolicy", on=_seen)
@router.route("POST", "/v1/projects/{project}:setIamPolicy", needs="resourcemanager.projects.setIamPolicy", on=_seen)
async def set_policy(call: Call) -> Body:
    project = _visible(call) if call.path.startswith("/v1") else call.cloud.of(Projects).get(call.params["project"])
    return call.cloud.of(Iam).set_policy(f"projects/{project['projectId']}", call.body.get("policy", {}))


@router.route("POST", "/v3/projects/{project}:testIamPermissions", open="tells the caller its own permissions")
@router.route("POST", "/v1/projects/{project}:testIamPermissions", open="tells the caller its own permissions")
async def test_permissions(call: Call) -> Body:
    asked = access.project(call.cloud.of(Projects).get(call.params["project"])["projectId"])
    return {"permissions": call.cloud.of(Access).permitted(call.caller, call.body.get("permissions", []), asked)}


def _operation(call: Call) -> Body:
    """The operation of the path. Raises 404."""
    name = f"operations/{call.params['operation']}"
    found = call.cloud.documents.find(name)
    if found is None or "projectId" not in found["response"]:  # those of other APIs are theirs to tell
        raise ApiError(404, f"Resource '{name}' was not found.")
    return found


def _of_operation(call: Call) -> Resource:
    return access.project(_operation(call)["response"]["projectId"])


# Which permission Google asks for is not documented: here it is the one to see the project that it is of.
@router.route("GET", "/{version}/operations/{operation}", needs="resourcemanager.projects.get", on=_of_operation)
async def get_operation(call: Call) -> Body:
    return _operation(call)


async def _delete(call: Call, project: Body) -> Body:
    """Mark a project for deletion, and end what runs in it. Raises 400 for one that is marked.

    What it holds stays, so that an undelete brings it back; nothing that ran starts again.
    https://cloud.google.com/resource-manager/docs/creating-managing-projects#shutting_down_projects
    """
    if project["state"] != "ACTIVE":
        raise ApiError(400, "Precondition check failed.", "FAILED_PRECONDITION")
    gone = _set_state(call, project, DELETED)
    await call.cloud.of(Usage).stop(project["projectId"], f"Project #{project['projectNumber']} has been deleted.")
    return gone


def _undelete(call: Call, project: Body) -> Body:
    """Raises 400 for a project that is not being deleted."""
    if project["state"] != DELETED:
        raise ApiError(400, "Precondition check failed.", "FAILED_PRECONDITION")
    return _set_state(call, project, "ACTIVE")


def _set_state(call: Call, project: Body, state: str) -> Body:
    """From here on others pay: nobody for what a project holds that is being deleted."""
    call.cloud.of(Usage).sample()
    changed = call.cloud.of(Projects).update(project["projectId"], state=state, deleteTime=call.cloud.clock.stamp())
    call.cloud.of(Usage).forget_states()
    call.cloud.of(Usage).sample()
    return changed


def _created(call: Call, made: Body | None) -> Body:
    return _done(call, "cp", made) if made else creation.over_quota(_operation_name(call, "cp"))


def _operation_name(call: Call, kind: str) -> str:
    return f"operations/{kind}.{int(call.cloud.clock.time() * 1e6)}"


def _done(call: Call, kind: str, response: Body) -> Body:
    """A long-running operation that is over; kept, for clients that ask for it again."""
    name = _operation_name(call, kind)
    return call.cloud.documents.put(name, "operation", {"name": name, "done": True, "response": response})
