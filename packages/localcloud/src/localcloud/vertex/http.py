"""Vertex AI over REST: LOCATION-aiplatform.googleapis.com, with the routes of Google's own client library."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from localcloud.core import strict_json
from localcloud.core.errors import ApiError
from localcloud.transport.rest import App, Call, Router
from localcloud.vertex import operations
from localcloud.vertex.jobs.validation import Violation
from localcloud.vertex.methods import OPERATIONS, Method, services
from localcloud.vertex.serving.raw_http import with_raw_predict
from localcloud.vertex.store import Vertex
from localcloud.vertex.wire import messages, shapes
from localcloud.vertex.wire.messages import Messages, Route

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
    pattern = re.sub(r"\{(\w+)\.(\w+)=", r"{\1__\2=", route.pattern)  # {model.name=...}: see _placed
    for version in ("/v1/", "/v1beta1/", *more_versions):
        handler = _handler(loaded, route, method, version.strip("/"))
        router.route(route.verb, pattern.replace("/v1/", version, 1))(handler)


def _handler(loaded: Messages, route: Route, method: Method, version: str) -> Any:
    request_class, response_class = loaded.message(method.request), loaded.message(method.response)

    async def answer(call: Call) -> Any:
        request = _request(request_class(), route, call)
        given = strict_json.of_message(request)
        operations.VERSION.set(version)
        result = await method.answer(call.cloud, call.caller, call.host, given, call.consumer)
        # Through the type: whatever leaves here, a client can read.
        message, kinds = messages.filled(result, response_class())
        told = strict_json.of_message(message)
        for one, kind in zip(messages.carried(told) if kinds else (), kinds, strict=True):
            one["@type"] = kind
        return told

    return answer


def _request(request: Any, route: Route, call: Call) -> Any:
    """The request message of a call: its body, query and path. Raises 400 for what the type has not."""
    from google.protobuf import json_format

    given: dict[str, Any] = {}
    if not isinstance(call.body, dict):
        words = 'Invalid JSON payload received. Unknown name "": Root element must be a message.'
        raise _invalid([Violation("", words)])
    if route.body == "*":
        given = dict(call.body)
    elif route.body:
        given = {route.body: call.body}
    fields = request.DESCRIPTOR.fields_by_name
    for name, value in call.query.items():
        field = fields.get(re.sub(r"[A-Z]", lambda m: "_" + m[0].lower(), name))
        if field is None:
            words = f"Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' could not be found"
            raise _invalid([Violation(name, f"Invalid JSON payload received. {words} in request message.")])
        mask = field.message_type is not None and field.message_type.full_name == "google.protobuf.FieldMask"
        if mask:  # paths in either spelling
            value = re.sub(r"_([a-z])", lambda m: m[1].upper(), value)
        given[field.name] = value == "true" if field.type == field.TYPE_BOOL else value
    given = _placed(given, call.params)
    if wrong := [*shapes.wrong(request.DESCRIPTOR, given)]:
        raise _invalid(wrong)
    try:
        return json_format.ParseDict(given, request)
    except json_format.ParseError:  # what `wrong` did not find; the parser's own words are not Google's
        raise _invalid([Violation("", "Invalid JSON payload received.")]) from None


def _placed(given: dict[str, Any], params: Mapping[str, str]) -> dict[str, Any]:
    """The request with what its path says: `model__name` is the name in its field `model`."""
    placed = dict(given)
    for name, value in params.items():
        outer, _, inner = name.partition("__")
        placed[outer] = {**placed.get(outer, {}), inner: value} if inner else value
    return placed


def _invalid(wrong: Sequence[Violation]) -> ApiError:
    violations = [{"field": one.path, "description": one.message} for one in wrong]
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}
    return ApiError(400, "\n".join(one.message for one in wrong), details=[detail])
