"""monitoring.googleapis.com/v3: notification channels and alert policies.

https://cloud.google.com/monitoring/api/ref_v3/rest
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError, error_info
from localcloud.core.paging import page
from localcloud.monitoring import store
from localcloud.services.enabled import require
from localcloud.transport.rest import App, Call, Router

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud


def denied_by_monitoring(permission: str) -> ApiError:
    """403 in Monitoring's words."""
    details = [error_info("IAM_PERMISSION_DENIED", SERVICE, permission=permission)]
    words = f"Permission {permission} denied (or the resource may not exist)."
    return ApiError(403, words, reason="forbidden", details=details)


router = Router(refusal=lambda _call, permission, _resource: denied_by_monitoring(permission))
Body = dict[str, Any]
SERVICE = "monitoring.googleapis.com"
_PROJECT = "/v3/projects/{project}"


def app(cloud: Cloud) -> App:
    return router.app(cloud)


def _project(call: Call) -> str:
    return require(call.cloud, call.params["project"], SERVICE)["projectId"]


def _name(call: Call, collection: str) -> str:
    """The full name under the project's id, whichever of id and number the caller used."""
    return f"projects/{_project(call)}/{collection}/{call.params['id']}"


def _routes(collection: str, kind: str, create: Callable[..., Body], update: Callable[..., Body]) -> None:
    """What both collections have: their methods differ only in the names and in what a body may be."""
    everything, needs = f"{_PROJECT}/{collection}", f"monitoring.{collection}"
    one = everything + "/{id}"

    @router.route("GET", everything, needs=f"{needs}.list")
    async def list_all(call: Call) -> Body:
        found = call.cloud.documents.list(kind, f"projects/{_project(call)}/")
        return page(collection, found, call.query) | {"totalSize": len(found)}

    @router.route("POST", everything, needs=f"{needs}.create")
    async def create_one(call: Call) -> Body:
        return create(call.cloud, _project(call), call.body)

    @router.route("GET", one, needs=f"{needs}.get")
    async def get_one(call: Call) -> Body:
        return call.cloud.documents.get(_name(call, collection))

    @router.route("PATCH", one, needs=f"{needs}.update")
    async def patch_one(call: Call) -> Body:
        return update(call.cloud, _name(call, collection), call.body, call.query.get("updateMask"))


_routes("notificationChannels", store.CHANNEL, store.create_channel, store.update_channel)
_routes("alertPolicies", store.POLICY, store.create_policy, store.update_policy)


@router.route("DELETE", f"{_PROJECT}/notificationChannels/{{id}}", needs="monitoring.notificationChannels.delete")
async def delete_channel(call: Call) -> None:
    store.delete_channel(call.cloud, _name(call, "notificationChannels"), call.query.get("force") == "true")


_DESCRIPTORS = f"{_PROJECT}/notificationChannelDescriptors"


@router.route("GET", _DESCRIPTORS, needs="monitoring.notificationChannelDescriptors.list")
async def list_descriptors(call: Call) -> Body:
    return page("channelDescriptors", store.descriptors(_project(call)), call.query)


@router.route("GET", f"{_DESCRIPTORS}/{{id}}", needs="monitoring.notificationChannelDescriptors.get")
async def get_descriptor(call: Call) -> Body:
    name = _name(call, "notificationChannelDescriptors")
    found = next((one for one in store.descriptors(_project(call)) if one["name"] == name), None)
    if found is None:
        raise ApiError(404, f"Cannot find notification channel descriptor {name}.")
    return found


@router.route("DELETE", f"{_PROJECT}/alertPolicies/{{id}}", needs="monitoring.alertPolicies.delete")
async def delete_policy(call: Call) -> None:
    call.cloud.documents.delete(_name(call, "alertPolicies"))
