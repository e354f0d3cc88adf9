"""Routes of JSON APIs: URL patterns to small handlers, refusals to Google's JSON errors."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from localcloud.core import fields, strict_json
from localcloud.core.asked.directory import Directory, Services
from localcloud.core.asked.permits import Permits, Resource, denied
from localcloud.core.errors import ApiError, NotEmulated
from localcloud.core.state import disk

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# System parameters of every Google API: https://cloud.google.com/apis/docs/system-parameters
_SHOWN = 20  # characters around the place where a JSON text can't be read
_SYSTEM = {
    "alt",
    "$alt",
    "prettyPrint",
    "$prettyPrint",
    "key",
    "quotaUser",
    "fields",
    "$fields",
    "$.xgafv",
    "$httpMethod",
}


@dataclass(frozen=True)
class Call:
    """One request: `params` from the path (unquoted), `query` (the last value of each name), `body` parsed JSON or {}.

    `queries` has all values of each name; `caller` is who the front verified (None only where a route is open).
    """

    cloud: Cloud
    caller: Caller
    method: str
    host: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    queries: Mapping[str, list[str]] = field(default_factory=dict)
    body: Any = field(default_factory=dict)
    consumer: str = ""  # the project that the call is charged to when it names one (x-goog-user-project)
    selection: fields.Selection = field(default_factory=dict)  # what of the answer is wanted; empty: everything

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in self.queries.items()}


Handler = Callable[[Call], Awaitable[Any]]
# The project that the present gRPC call is charged to when it names one.
CONSUMER: ContextVar[str] = ContextVar("consumer", default="")
Where = Callable[[Call], Resource]
Refusal = Callable[[Call, str, Resource], ApiError]


@dataclass(frozen=True)
class Route:
    """One route: the caller needs the permission `needs` on what `on` finds; where it is "", `open` says why."""

    method: str
    text: str
    pattern: re.Pattern[str]
    handler: Handler
    needs: str
    on: Where | None
    open: str


class Router:
    """A table of routes, tried in the order of their registration.

    Patterns: `{x}` is one segment (no slash, no colon), `{x=**}` one or more segments, `{x=projects/*}` a shape; a
    trailing `:verb` is literal. Handlers are `async (call) -> dict | None` and raise ApiError.
    """

    def __init__(self, service: str = "", refusal: Refusal | None = None, always: bool = False) -> None:
        """With a `service` ("iam.googleapis.com") calls are refused while that API is off in the caller's project.

        `refusal(call, permission, resource)` words the refusal of an API that has words of its own for it. A router
        that answers `always` does so for projects that are being deleted too.
        """
        self.routes: list[Route] = []
        self._service = service
        self._refusal = refusal
        self._always = always

    def route(
        self, method: str, pattern: str, needs: str = "", on: Where | None = None, open: str = ""
    ) -> Callable[[Handler], Handler]:
        """Register the decorated handler; one handler may have several routes.

        `needs` is the permission that is asked before the handler is called, on what `on(call)` gives: by default the
        project that the path names. A handler that asks by itself, or that everybody may call, says so in `open`.
        """

        def register(handler: Handler) -> Handler:
            self.routes.append(Route(method, pattern, re.compile(_expression(pattern)), handler, needs, on, open))
            return handler

        return register

    def patterns(self) -> list[tuple[str, str]]:
        """HTTP method and pattern of each route."""
        return [(route.method, route.text) for route in self.routes]

    async def dispatch(
        self,
        cloud: Cloud,
        caller: Caller,
        method: str,
        path: str,
        queries: Mapping[str, list[str]] | None = None,
        body: Any = None,
        host: str = "",
        consumer: str = "",
        selection: fields.Selection | None = None,
    ) -> Any:
        """Answer one call; `path` is still percent-encoded. Raises ApiError, NotEmulated when no route fits."""
        plain = path.replace("%3A", ":").replace("%3a", ":")
        for route in self.routes:
            if route.method == method and (match := route.pattern.fullmatch(plain)):
                params = {name: unquote(value) for name, value in match.groupdict().items()}
                given = {} if body is None else body
                call = Call(cloud, caller, method, host, path, params, queries or {}, given, consumer, selection or {})
                self._admit(call, route)
                return await route.handler(call)
        raise NotEmulated(f"{method} {host}{path}")

    def _admit(self, call: Call, route: Route) -> None:
        """Raises 403 when the API is off where the call is charged, a permission lacks, or the project is deleted."""
        if self._service:
            call.cloud.of(Services).require_for(call.caller, call.consumer, self._service)
        if not self._always and (project := call.params.get("project")):
            call.cloud.of(Services).refuse_deleted(project, self._service)
        if route.needs:
            resource = (route.on or project_of)(call)
            if not call.cloud.of(Permits).allows(call.caller, route.needs, resource):
                if self._refusal:
                    raise self._refusal(call, route.needs, resource)
                raise denied(route.needs, resource.name, self._service or resource.service)

    def app(self, cloud: Cloud) -> App:
        """The ASGI application of these routes."""

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            await respond(send, lambda: self._answer(cloud, scope, receive))

        return application

    async def _answer(self, cloud: Cloud, scope: Scope, receive: Receive) -> Any:
        queries = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        selection = fields.asked({name: values[-1] for name, values in queries.items()})
        answer = await self.dispatch(
            cloud,
            scope["caller"],
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            {name: values for name, values in queries.items() if name not in _SYSTEM},
            parse_json(await read_body(receive)),
            scope.get("host", ""),
            dict(scope["headers"]).get(b"x-goog-user-project", b"").decode("latin-1"),
            selection,
        )
        return fields.select(answer, selection)


def project_of(call: Call) -> Resource:
    """The project that the path of a call names. Raises 403 for one that isn't there."""
    named = call.params.get("project", "")
    if not named:
        name = next((value for value in call.params.values() if value.startswith("projects/")), "projects/")
        named = name.split("/")[1]
    return call.cloud.of(Directory).resource(named)


def _expression(pattern: str) -> str:
    expression, end = "", 0
    for match in re.finditer(r"\{(\w+)(?:=([^}]*))?\}", pattern):
        shape = match[2] or "*"
        # "**" may hold colons (log names, domain-scoped projects) as long as what follows still fits.
        inner = "".join(
            {"**": ".+", "*": "[^/:]+"}.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*)", shape) if part
        )
        expression += re.escape(pattern[end : match.start()]) + f"(?P<{match[1]}>{inner})"
        end = match.end()
    return expression + re.escape(pattern[end:])


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request. Raises ConnectionError when the client goes away before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client went away in the middle of its request")
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def parse_json(raw: bytes) -> Any:
    """A JSON object; {} for an empty body. Raises 400 as Google does."""
    if not raw.strip():
        return {}
    try:
        body = strict_json.loads(raw)
    except ValueError as error:
        raise ApiError(400, f"Invalid JSON payload received. {_unreadable(error)}") from None
    if not isinstance(body, dict):
        raise ApiError(400, 'Invalid JSON payload received. Unknown name "": Root element must be a message.')
    return body


def _unreadable(error: ValueError) -> str:
    """What is wrong with a JSON text, in the words of Google's reader, which shows the place."""
    if isinstance(error, UnicodeDecodeError):
        return "Encountered non UTF-8 code points."
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    text, at = error.doc.rstrip(), error.pos
    if at >= len(text):
        return "Unexpected end of string. Expected a value."
    start = max(0, at - _SHOWN)
    return f"Unexpected token.\n{text[start : at + _SHOWN]}\n{' ' * (at - start)}^"


async def respond(send: Send, answer: Callable[[], Awaitable[Any]]) -> None:
    """Send what `answer` gives as JSON, or its ApiError in Google's shape, or 500 for a defect of ours (logged)."""
    try:
        result = await answer()
    except ApiError as error:
        await send_json(send, error.body(), error.code, error.headers)
    except ConnectionError:
        return
    except Exception as failure:
        logging.getLogger(__name__).exception("a handler failed")
        error = disk.told(failure, ApiError(500, "Internal error encountered. See server.log."))
        await send_json(send, error.body(), error.code)
    else:
        await send_json(send, {} if result is None else result)


async def send_json(send: Send, body: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> None:
    """A whole JSON response."""
    await send_bytes(send, json.dumps(body, indent=2).encode(), "application/json; charset=UTF-8", code, headers)


async def send_bytes(
    send: Send, body: bytes, content_type: str, code: int = 200, headers: Mapping[str, str] | None = None
) -> None:
    """A whole response; the case of header names is kept."""
    lines = {"Content-Type": content_type, "Content-Length": str(len(body)), **(headers or {})}
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()]
    await send({"type": "http.response.start", "status": code, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def decode_base64(text: Any, field_name: str) -> bytes:
    """A field of type bytes, which JSON holds in base64. Raises 400."""
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise ApiError(400, f"Invalid value at '{field_name}' (TYPE_BYTES), Base64 decoding failed.") from None
