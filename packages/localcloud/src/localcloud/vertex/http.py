"""Vertex AI over REST: LOCATION-aiplatform.googleapis.com, with the routes of Google's own client library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.core import fields, strict_json
from localcloud.transport import typed
from localcloud.transport.rest import App, Call, Router
from localcloud.transport.typed import Route
from localcloud.vertex import operations
from localcloud.vertex.methods import OPERATIONS, Method, services
from localcloud.vertex.serving.raw_http import with_raw_predict
from localcloud.vertex.store import Vertex
from localcloud.vertex.wire import messages
from localcloud.vertex.wire.messages import Messages

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.operations, and .../models.operations
_PLACES = ("projects/*/locations/*", "projects/*/locations/*/*/*")
OPERATION_ROUTES = {
    "GetOperation": [Route("GET", f"/v1/{{name={place}/operations/*}}", "") for place in _PLACES],
    "WaitOperation": [Route("POST", f"/v1/{{name={place}/operations/*}}:wait", "") for place in _PLACES],
    "DeleteOperation": [Route("DELETE", f"/v1/{{name={place}/operations/*}}", "") for place in _PLACES],
    "ListOperations": [Route("GET", f"/v1/{{name={place}}}/operations", "") for place in _PLACES],
}


def app(cloud: Cloud) -> App:
    """The ASGI application. Imports the message types."""
    assert cloud.of(Vertex)  # jobs that outlived the last server are taken up
    return with_raw_predict(cloud, router(messages.load()).app(cloud))


def router(loaded: Messages) -> Router:
    """A route for each emulated method, under v1 and v1beta1; all others answer that they are not emulated."""
    made = Router()
    for name, routes in OPERATION_ROUTES.items():
        for route in routes:
            _register(made, loaded, route, OPERATIONS[name], ("/ui/",))  # where clients over REST ask for them
    for service, methods in services().items():
        for name, method in methods.items():
            for route in loaded.routes[service][name]:
                _register(made, loaded, route, method)
    return made


def _register(
    router: Router, loaded: Messages, route: Route, method: Method, more_versions: tuple[str, ...] = ()
) -> None:
    pattern = typed.pattern(route)
    for version in ("/v1/", "/v1beta1/", *more_versions):
        handler = _handler(loaded, route, method, version.strip("/"))
        router.route(route.verb, pattern.replace("/v1/", version, 1))(handler)


def _handler(loaded: Messages, route: Route, method: Method, version: str) -> Any:
    request_class, response_class = loaded.message(method.request), loaded.message(method.response)

    async def answer(call: Call) -> Any:
        request = typed.request(request_class(), route, call)
        given = strict_json.of_message(request)
        operations.VERSION.set(version)
        result = await method.answer(call.cloud, call.caller, call.host, given, call.consumer)
        # Through the type: whatever leaves here, a client can read.
        if not method.response.startswith("google.longrunning."):  # of an operation, what is within says its type
            result = fields.select(result, call.selection)
        message, kinds = messages.filled(result, response_class())
        told = strict_json.of_message(message)
        for one, kind in zip(messages.carried(told) if kinds else (), kinds, strict=True):
            one["@type"] = kind
        return told

    return answer
