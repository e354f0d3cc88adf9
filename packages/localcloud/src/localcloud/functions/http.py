"""cloudfunctions.googleapis.com/v2: functions and their operations; and the services that they are, at *.a.run.app.

https://cloud.google.com/functions/docs/reference/rest/v2. Source comes out of a bucket: uploads by generateUploadUrl,
and IAM policies over this API, are not emulated.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.callers import Caller
from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError
from localcloud.core.paging import page
from localcloud.functions import resources
from localcloud.functions.host import Functions, accounts, shown
from localcloud.functions.resources import OPERATION, SERVICE, Place
from localcloud.iam import access
from localcloud.iam.access import Access
from localcloud.iam.store import Iam
from localcloud.identity.tokens import InvalidGrant, Tokens
from localcloud.services.enabled import require
from localcloud.transport.rest import App, Call, Receive, Router, Scope, Send, read_body, send_bytes

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

router = Router()
Body = dict[str, Any]
_LOCATION = "/v2/projects/{project}/locations/{location}"
_FUNCTION = f"{_LOCATION}/functions/{{function}}"
# Headers that are the way's own, and a token that is for the door: the function sees none of them.
_KEPT_BACK = ("authorization", "host", "connection", "content-length", "transfer-encoding", "x-localcloud-front")


def app(cloud: Cloud) -> App:
    assert cloud.of(Functions)
    return router.app(cloud)


def _parent(call: Call) -> str:
    project = require(call.cloud, call.params["project"], SERVICE)["projectId"]
    return f"projects/{project}/locations/{call.params['location']}"


def _name(call: Call) -> str:
    return f"{_parent(call)}/functions/{call.params['function']}"


def _place(call: Call) -> Resource:
    name = _parent(call)
    return Resource(name, ("/".join(name.split("/")[:2]),), SERVICE, "cloudresourcemanager.googleapis.com/Project")


def _where(call: Call) -> Resource:
    name = _name(call)
    return Resource(name, ("/".join(name.split("/")[:2]),), SERVICE, f"{SERVICE}/Function")


def allow(cloud: Cloud, caller: Caller, project: str, body: Body) -> None:
    """Raises 403 unless a caller may let a function act as its accounts, and the APIs are on that it needs."""
    for api in resources.NEEDED:
        require(cloud, project, api)
    for email in accounts(body):
        found = cloud.of(Iam).find_service_account(email)
        if found and not cloud.of(Access).allows(caller, "iam.serviceAccounts.actAs", access.service_account(found)):
            words = f"Caller is missing permission 'iam.serviceaccounts.actAs' on service account {found['name']}."
            raise ApiError(403, words, reason="forbidden")


@router.route("POST", f"{_LOCATION}/functions", needs="cloudfunctions.functions.create", on=_place)
async def create(call: Call) -> Body:
    name = f"{_parent(call)}/functions/{call.query.get('functionId', '')}"
    allow(call.cloud, call.caller, Place.of(name).project, call.body)
    return call.cloud.of(Functions).create(name, call.body)


@router.route("GET", f"{_LOCATION}/functions", needs="cloudfunctions.functions.list", on=_place)
async def list_functions(call: Call) -> Body:
    project = _parent(call).split("/")[1]
    found = [shown(one) for one in call.cloud.of(Functions).list(project, call.params["location"])]
    return page("functions", found, call.query)


@router.route("GET", _FUNCTION, needs="cloudfunctions.functions.get", on=_where)
async def get(call: Call) -> Body:
    return shown(call.cloud.of(Functions).get(_name(call)))


@router.route("PATCH", _FUNCTION, needs="cloudfunctions.functions.update", on=_where)
async def patch(call: Call) -> Body:
    allow(call.cloud, call.caller, Place.of(_name(call)).project, call.body)
    return call.cloud.of(Functions).update(_name(call), call.body, call.query.get("updateMask"))


@router.route("DELETE", _FUNCTION, needs="cloudfunctions.functions.delete", on=_where)
async def delete(call: Call) -> Body:
    return call.cloud.of(Functions).delete(_name(call))


@router.route("GET", f"{_LOCATION}/operations/{{operation}}", needs="cloudfunctions.operations.get", on=_place)
async def get_operation(call: Call) -> Body:
    return call.cloud.of(Functions).operation(f"{_parent(call)}/operations/{call.params['operation']}")


@router.route("GET", f"{_LOCATION}/operations", needs="cloudfunctions.operations.list", on=_place)
async def list_operations(call: Call) -> Body:
    return page("operations", call.cloud.documents.list(OPERATION, f"{_parent(call)}/operations/"), call.query)


def services(cloud: Cloud) -> App:
    """The services at *.a.run.app: https://cloud.google.com/run/docs/authenticating/service-to-service"""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        functions = cloud.of(Functions)
        name = await asyncio.to_thread(functions.at, scope["host"])
        if not name:
            return await send_bytes(send, b"Error: Page not found", "text/html; charset=UTF-8", 404)
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        if refused := _refusal(cloud, name, headers.get("authorization", "")):
            code, text = refused
            return await send_bytes(send, text.encode(), "text/html; charset=UTF-8", code)
        query = scope["query_string"].decode("latin-1")
        path = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        passed = {k: v for k, v in headers.items() if k not in _KEPT_BACK}
        answer = await functions.call(name, path, await read_body(receive), passed)
        await send_bytes(send, answer.body, answer.content_type, answer.status)

    return application


def _refusal(cloud: Cloud, name: str, shown_token: str) -> tuple[int, str] | None:
    """What whoever may not call a service is told, None for who may."""
    place = Place.of(name)
    kind, _, token = shown_token.partition(" ")
    caller = Caller("", "")
    if token and kind.lower() == "bearer":
        try:
            caller = cloud.of(Tokens).caller_by_identity(token.strip(), cloud.of(Functions).get(name)["url"])
        except InvalidGrant:
            return 401, "Error: Unauthorized. Your client does not have permission to the requested URL."
    if cloud.of(Access).allows(caller, "run.routes.invoke", resources.service(place.service)):
        return None
    return 403, "Error: Forbidden. Your client does not have permission to get URL from this server."
