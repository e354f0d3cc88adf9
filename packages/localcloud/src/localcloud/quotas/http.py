"""cloudquotas.googleapis.com, v1 and v1beta (which gcloud calls): quota infos and quota preferences of projects.

https://cloud.google.com/docs/quotas/reference/rest
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from localcloud.core.paging import page
from localcloud.quotas import store
from localcloud.services.enabled import require, require_quota_project
from localcloud.transport.rest import App, Call, Handler, Router
from localcloud.transport.transcoding import Table, transcoded

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

router = Router()
Body = dict[str, Any]
SERVICE = "cloudquotas.googleapis.com"
_GLOBAL = "/projects/{project}/locations/global"
_INFOS = f"{_GLOBAL}/services/{{service}}/quotaInfos"
_PREFERENCES = f"{_GLOBAL}/quotaPreferences"


def _route(verb: str, pattern: str, needs: str) -> Callable[[Handler], Handler]:
    """The same in both versions of the API."""

    def register(handler: Handler) -> Handler:
        for version in ("v1", "v1beta"):
            router.route(verb, f"/{version}{pattern}", needs=needs)(handler)
        return handler

    return register


def app(cloud: Cloud) -> App:
    return router.app(cloud)


def table(cloud: Cloud) -> Table:
    return transcoded(cloud, "google.cloud.cloudquotas_v1", router)


def _project(call: Call) -> str:
    require_quota_project(call.caller, call.consumer, SERVICE)
    return require(call.cloud, call.params["project"], SERVICE)["projectId"]


def _name(call: Call) -> str:
    return f"projects/{_project(call)}/locations/global/quotaPreferences/{call.params['id']}"


@_route("GET", _INFOS, needs="cloudquotas.quotas.get")
async def list_infos(call: Call) -> Body:
    return page("quotaInfos", store.quota_infos(call.cloud, _project(call), call.params["service"]), call.query)


@_route("GET", f"{_INFOS}/{{id}}", needs="cloudquotas.quotas.get")
async def get_info(call: Call) -> Body:
    return store.quota_info(call.cloud, _project(call), call.params["service"], call.params["id"])


@_route("GET", _PREFERENCES, needs="cloudquotas.quotas.get")
async def list_preferences(call: Call) -> Body:
    return page("quotaPreferences", store.preferences(call.cloud, _project(call)), call.query)


@_route("POST", _PREFERENCES, needs="cloudquotas.quotas.update")
async def create_preference(call: Call) -> Body:
    ignored = call.query.get("ignoreSafetyChecks", "")
    wanted = call.query.get("quotaPreferenceId", "")
    return store.create(call.cloud, _project(call), wanted, call.body, ignored)


@_route("GET", f"{_PREFERENCES}/{{id}}", needs="cloudquotas.quotas.get")
async def get_preference(call: Call) -> Body:
    return store.get(call.cloud, _name(call))


@_route("PATCH", f"{_PREFERENCES}/{{id}}", needs="cloudquotas.quotas.update")
async def patch_preference(call: Call) -> Body:
    ignored = call.query.get("ignoreSafetyChecks", "")
    if call.query.get("allowMissing") == "true" and call.cloud.documents.find(_name(call)) is None:
        return store.create(call.cloud, _project(call), call.params["id"], call.body, ignored)
    return store.update(call.cloud, _name(call), call.body, call.query.get("updateMask"), ignored)
