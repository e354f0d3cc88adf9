"""Cloud Logging over REST: logging.googleapis.com."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.logging.methods import METHODS, Method
from localcloud.rest import App, Call, Router

if TYPE_CHECKING:
    from localcloud.cloud import Cloud


def app(cloud: Cloud) -> App:
    """The ASGI application."""
    return router().app(cloud)


def router() -> Router:
    """A route for each method."""
    made = Router()
    for method in METHODS:
        made.route(method.verb, method.pattern)(_route(method))
    return made


def _route(method: Method) -> Any:
    async def answer(call: Call) -> Any:
        body = call.body if method.body in ("", "*") else {method.body: call.body}
        request = {**call.query, **(body if method.body else {}), **call.params}
        return await method.handler(call.cloud, {_camel(name): value for name, value in request.items()})

    return answer


def _camel(name: str) -> str:
    """JSON names; Google takes the names of the proto files too."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
