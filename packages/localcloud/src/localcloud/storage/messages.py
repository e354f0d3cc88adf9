"""Requests and responses as the handlers of Cloud Storage see them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from localcloud.core import strict_json
from localcloud.core.asked.callers import Caller
from localcloud.storage.errors import invalid
from localcloud.transport.rest import Receive, Scope, Send


class Body:
    """The body of a request, read once."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """What is left of it, as it arrives. Raises ConnectionError when the client goes away before its end."""
        while not self._ended:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ConnectionError("the client went away in the middle of its request")
            self._ended = not message.get("more_body")
            if message.get("body"):
                yield message["body"]

    async def read(self) -> bytes:
        """All of what is left."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def gone(self) -> None:
        """Return when the client has gone away; call it once the body is read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def discard(self) -> None:
        """Read to the end and keep nothing, so that the client comes to read the answer."""
        async for _ in self.chunks():
            pass


@dataclass(frozen=True)
class Request:
    """One HTTP request. `path` is still percent-encoded; `headers` have lower-case names; `base` is https://host.

    `raw_query` is the query as it came.
    """

    method: str
    base: str
    host: str
    path: str
    queries: Mapping[str, list[str]]
    headers: Mapping[str, str]
    caller: Caller
    body: Body
    raw_query: str = ""

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> Request:
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            if name == "x-goog-hash" and name in headers:  # one for each checksum
                value = f"{headers.pop(name)},{value}"
            headers.setdefault(name, value)
        host = headers.get("host", "storage.googleapis.com")
        return cls(
            method=str(headers.get("x-http-method-override") or scope["method"]).upper(),
            base=f"https://{host}",
            host=host.partition(":")[0].lower(),
            path=scope["raw_path"].decode("latin-1").partition("?")[0],
            queries=parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True),
            headers=headers,
            caller=scope["caller"],
            body=Body(receive),
            raw_query=scope["query_string"].decode("latin-1"),
        )

    @cached_property
    def query(self) -> dict[str, str]:
        """The last value of each name."""
        return {name: values[-1] for name, values in self.queries.items()}


@dataclass(frozen=True)
class Response:
    """A whole response; `content_type` "" for none. The case of header names is kept: TensorFlow looks for it."""

    code: int = 200
    body: bytes = b""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, value: Any, code: int = 200) -> Response:
        return cls(code, json.dumps(value).encode(), "application/json; charset=UTF-8")

    @classmethod
    def of_xml(cls, text: str, headers: Mapping[str, str] | None = None) -> Response:
        body = f"<?xml version='1.0' encoding='UTF-8'?>{text}".encode()
        return cls(200, body, "application/xml; charset=UTF-8", headers or {})


async def send_head(send: Send, code: int, headers: Mapping[str, str]) -> None:
    """The status and header lines; values that don't fit into Latin-1 go as UTF-8."""
    lines = [(name.encode(), _encoded(value)) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": code, "headers": lines})


async def send_response(send: Send, response: Response) -> None:
    headers = dict(response.headers)
    if response.content_type:
        headers["Content-Type"] = response.content_type
    if response.code not in (204, 304):
        headers.setdefault("Content-Length", str(len(response.body)))
    await send_head(send, response.code, headers)
    await send({"type": "http.response.body", "body": b"" if response.code in (204, 304) else response.body})


def _encoded(value: str) -> bytes:
    value = re.sub(r"[\x00-\x1f\x7f]+", " ", value).strip()  # a value that a client stored must not end its line
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def parse_object(raw: bytes) -> dict[str, Any]:
    """A JSON object; {} for an empty body. Raises 400."""
    if not raw.strip():
        return {}
    try:
        value = strict_json.loads(raw)
    except ValueError:
        raise invalid("Parse Error") from None
    if not isinstance(value, dict):
        raise invalid("Parse Error")
    return value
