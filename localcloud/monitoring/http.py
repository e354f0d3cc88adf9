"""monitoring.googleapis.com/v3: notification channels and alert policies.

https://cloud.google.com/monitoring/api/ref_v3/rest
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.enabled import require
from localcloud.monitoring import store
from localcloud.paging import page
from localcloud.rest import App, Call, Router

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

router = Router()
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


@router.route("GET", f"{_PROJECT}/notificationChannels", needs="monitoring.notificationChannels.list")
async def list_channels(call: Call) -> Body:
    found = call.cloud.documents.list(store.CHANNEL, f"projects/{_project(call)}/")
    return page("notificationChannels", found, call.query) | {"totalSize": len(found)}


@router.route("POST", f"{_PROJECT}/notificationChannels", needs="monitoring.notificationChannels.create")
async def create_channel(call: Call) -> Body:
    return store.create_channel(call.cloud, _project(call), call.body)


@router.route("GET", f"{_PROJECT}/notificationChannels/{{id}}", needs="monitoring.notificationChannels.get")
async def get_channel(call: Call) -> Body:
    return call.cloud.documents.get(_name(call, "notificationChannels"))


@router.route("PATCH", f"{_PROJECT}/notificationChannels/{{id}}", needs="monitoring.notificationChannels.update")
async def patch_channel(call: Call) -> Body:
    name = _name(call, "notificationChannels")
    return store.update_channel(call.cloud, name, call.body, call.query.get("updateMask"))


@router.route("DELETE", f"{_PROJECT}/notificationChannels/{{id}}", needs="monitoring.notificationChannels.delete")
async def delete_channel(call: Call) -> None:
    store.delete_channel(call.cloud, _name(call, "notificationChannels"), call.query.get("force") == "true")


@router.route("GET", f"{_PROJECT}/alertPolicies", needs="monitoring.alertPolicies.list")
async def list_policies(call: Call) -> Body:
    found = call.cloud.documents.list(store.POLICY, f"projects/{_project(call)}/")
    return page("alertPolicies", found, call.query) | {"totalSize": len(found)}


@router.route("POST", f"{_PROJECT}/alertPolicies", needs="monitoring.alertPolicies.create")
async def create_policy(call: Call) -> Body:
    return store.create_policy(call.cloud, _project(call), call.body)


@router.route("GET", f"{_PROJECT}/alertPolicies/{{id}}", needs="monitoring.alertPolicies.get")
async def get_policy(call: Call) -> Body:
    return call.cloud.documents.get(_name(call, "alertPolicies"))


@router.route("PATCH", f"{_PROJECT}/alertPolicies/{{id}}", needs="monitoring.alertPolicies.update")
async def patch_policy(call: Call) -> Body:
    name = _name(call, "alertPolicies")
    return store.update_policy(call.cloud, name, call.body, call.query.get("updateMask"))


@router.route("DELETE", f"{_PROJECT}/alertPolicies/{{id}}", needs="monitoring.alertPolicies.delete")
async def delete_policy(call: Call) -> None:
    call.cloud.documents.delete(_name(call, "alertPolicies"))
