"""serviceusage.googleapis.com/v1: which APIs are on in a project.

https://cloud.google.com/service-usage/docs/reference/rest
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError, error_info
from localcloud.core.paging import page
from localcloud.iam import access
from localcloud.projects.services import ON_BY_DEFAULT, TITLES, title
from localcloud.projects.store import Projects
from localcloud.transport.rest import App, Call, Router
from localcloud.transport.transcoding import Table, transcoded

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
_SERVICES = "/v1/projects/{project}/services"
_NOTHING = "operations/noop.DONE_OPERATION"
_TYPE = "type.googleapis.com/google.api.serviceusage.v1."


def _refusal(call: Call, permission: str, _resource: Resource) -> ApiError:
    """403 in the words of this API; it is the one that can't be off, so that others can be turned on."""
    service = call.params.get("service", "")
    if permission.endswith(".list"):
        number = call.cloud.of(Projects).get(call.params["project"])["projectNumber"]
        words = f"Permission denied to list services for consumer container [projects/{number}]"
    else:
        services = [service] if service else call.body.get("serviceIds") or call.queries.get("names", [])
        words = f"Permission denied to {permission.rpartition('.')[2]} service [{', '.join(services)}]"
    info = error_info("AUTH_PERMISSION_DENIED", "serviceusage.googleapis.com", permission=permission)
    return ApiError(403, words, reason="forbidden", details=[info])


router = Router(refusal=_refusal)


def app(cloud: Cloud) -> App:
    return router.app(cloud)


def table(cloud: Cloud) -> Table:
    return transcoded(cloud, "google.cloud.service_usage_v1", router)


def _service(project: Body, service: str) -> Body:
    parent = f"projects/{project['projectNumber']}"
    on = service in project["services"]
    return {
        "name": f"{parent}/services/{service}",
        "config": {"name": service, "title": title(service)},
        "state": "ENABLED" if on else "DISABLED",
        "parent": parent,
    }


@router.route("POST", _SERVICES + "/{service}:enable", needs="serviceusage.services.enable")
async def enable(call: Call) -> Body:
    service = call.params["service"]
    changed = call.cloud.of(Projects).enable(call.params["project"], service)
    project = call.cloud.of(Projects).get(call.params["project"])
    response = {"@type": _TYPE + "EnableServiceResponse", "service": _service(project, service)}
    return _done(call, project, response, changed)


@router.route("POST", _SERVICES + "/{service}:disable", needs="serviceusage.services.disable")
async def disable(call: Call) -> Body:
    service = call.params["service"]
    call.cloud.of(Projects).disable(call.params["project"], service)
    project = call.cloud.of(Projects).get(call.params["project"])
    return _done(call, project, {"@type": _TYPE + "DisableServiceResponse", "service": _service(project, service)})


@router.route("POST", _SERVICES + ":batchEnable", needs="serviceusage.services.enable")
async def batch_enable(call: Call) -> Body:
    wanted = call.body.get("serviceIds", [])
    if not 0 < len(wanted) <= 20:
        raise ApiError(400, "Between 1 and 20 services can be enabled at once.")
    changed = call.cloud.of(Projects).enable(call.params["project"], *wanted)
    project = call.cloud.of(Projects).get(call.params["project"])
    services = [_service(project, service) for service in wanted]
    return _done(call, project, {"@type": _TYPE + "BatchEnableServicesResponse", "services": services}, changed)


@router.route("GET", _SERVICES + ":batchGet", needs="serviceusage.services.get")
async def batch_get(call: Call) -> Body:
    project = call.cloud.of(Projects).get(call.params["project"])
    names = [name.rpartition("/")[2] for name in call.queries.get("names", [])]
    return {"services": [_service(project, name) for name in names]}


@router.route("GET", _SERVICES + "/{service}", needs="serviceusage.services.get")
async def get(call: Call) -> Body:
    return _service(call.cloud.of(Projects).get(call.params["project"]), call.params["service"])


@router.route("GET", _SERVICES, needs="serviceusage.services.list")
async def list_services(call: Call) -> Body:
    project = call.cloud.of(Projects).get(call.params["project"])
    names = sorted(ON_BY_DEFAULT.union(project["services"], (f"{name}.googleapis.com" for name in TITLES)))
    services = [_service(project, name) for name in names]
    wanted = call.query.get("filter", "").partition(":")[2]
    if wanted not in ("", "ENABLED", "DISABLED"):
        raise ApiError(400, f"Invalid filter: {call.query['filter']}")
    return page("services", [s for s in services if wanted in ("", s["state"])], call.query, default=50)


@router.route("GET", f"/v1/{_NOTHING}", open="says nothing of any project")
async def get_nothing(_call: Call) -> Body:
    return {"name": _NOTHING, "done": True}


def _of_operation(call: Call) -> Resource:
    """The project that an operation's name has in it. Raises 404 for one that isn't there."""
    name = f"operations/{call.params['operation']}"
    matched = re.fullmatch(r"operations/acat\.p2-(\d+)-\d+", name)
    if matched is None or call.cloud.documents.find(name) is None:
        raise ApiError(404, f"Resource '{name}' was not found.")
    return access.project(call.cloud.of(Projects).get(matched[1])["projectId"])


# Which permission Google asks for is not documented: here it is the one to see whether an API is on.
@router.route("GET", "/v1/operations/{operation}", needs="serviceusage.services.get", on=_of_operation)
async def get_operation(call: Call) -> Body:
    return call.cloud.documents.get(f"operations/{call.params['operation']}")


def _done(call: Call, project: Body, response: Body, changed: bool = True) -> Body:
    """An operation that is over; when nothing changed it has Google's name for that."""
    name = _NOTHING
    if changed:
        name = f"operations/acat.p2-{project['projectNumber']}-{int(call.cloud.clock.time() * 1e6)}"
    body = {"name": name, "done": True, "response": response}
    return call.cloud.documents.put(name, "operation", body) if changed else body
