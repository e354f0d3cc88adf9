"""Cloud Run jobs over REST: run.googleapis.com/v2, with the routes of Google's own client library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.core import strict_json
from localcloud.run import messages, namespaces
from localcloud.run.methods import OPERATIONS, SERVICES, Method
from localcloud.run.store import RunJobs
from localcloud.transport import typed
from localcloud.transport.rest import App, Call, Router
from localcloud.transport.typed import Route

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud


def app(cloud: Cloud) -> App:
    """The ASGI application. Imports the message types."""
    assert cloud.of(RunJobs)  # executions that outlived the last server are taken up
    return router().app(cloud)


def router() -> Router:
    """A route for each emulated method; all others answer that they are not emulated."""
    made, routes = Router(), messages.load()
    for name, method in OPERATIONS.items():
        for route in routes["Jobs"][name]:
            _register(made, route, method)
    for service, methods in SERVICES.items():
        for name, method in methods.items():
            for route in routes[service][name]:
                _register(made, route, method)
    namespaces.add(made)
    return made


def _register(router: Router, route: Route, method: Method) -> None:
    request_class, response_class = messages.message(method.request), messages.message(method.response)

    async def answer(call: Call) -> Any:
        from google.protobuf import json_format

        given = strict_json.of_message(typed.request(request_class(), route, call))
        result = await method.answer(call.cloud, call.caller, given, call.consumer)
        # Through the type: whatever leaves here, a client can read.
        return strict_json.of_message(json_format.ParseDict(result, response_class()))

    # Who may ask is asked by `Method.answer`, on the job that the call is of.
    router.route(route.verb, typed.pattern(route), open="each method asks for its own permission")(answer)
