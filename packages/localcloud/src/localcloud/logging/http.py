"""Cloud Logging over REST: logging.googleapis.com."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError
from localcloud.logging import permissions
from localcloud.logging.messages import message
from localcloud.logging.methods import METHODS, Method
from localcloud.transport.rest import App, Call, Router

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud


def app(cloud: Cloud) -> App:
    """The ASGI application. Imports the message types."""
    return router().app(cloud)


def router() -> Router:
    """A route for each method."""
    made = Router()
    for method in METHODS:
        made.route(method.verb, method.pattern, open="permissions.admit asks, for gRPC too")(_route(method))
    return made


def _route(method: Method) -> Any:
    known = message(method.request).DESCRIPTOR

    async def answer(call: Call) -> Any:
        inside = known if method.body in ("", "*") else known.fields_by_camelcase_name[_camel(method.body)].message_type
        _check(call.body, inside, f" at '{method.body}'" if inside is not known else "")
        for name in call.query:
            if _camel(name) not in known.fields_by_camelcase_name and "." not in name:
                words = f"Cannot bind query parameter. Field '{name}' could not be found in request message."
                raise ApiError(400, f'Invalid JSON payload received. Unknown name "{name}": {words}')
        body = call.body if method.body in ("", "*") else {method.body: call.body}
        lists = {name: call.queries[name] for name in ("resourceNames",) if name in call.queries}
        given = {**call.query, **lists, **(body if method.body else {}), **call.params}
        request = {_camel(name): value for name, value in given.items()}
        permissions.admit(call.cloud, call.caller, method, request, call.consumer)
        return await method.handler(call.cloud, request)

    return answer


def _check(body: Any, kind: Any, at: str) -> None:
    """Raises 400 for a name that the message type has not."""
    for name in body if isinstance(body, dict) else ():
        if _camel(name) not in kind.fields_by_camelcase_name:
            raise ApiError(400, f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.')


def _camel(name: str) -> str:
    """JSON names; Google takes the names of the proto files too."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
