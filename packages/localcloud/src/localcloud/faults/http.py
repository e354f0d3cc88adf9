"""Faults of REST calls: delays, refusals, cut and torn connections, between the front and an API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from localcloud.core.asked import callers
from localcloud.core.errors import ApiError
from localcloud.faults import answers
from localcloud.faults.names import METADATA, Seen
from localcloud.faults.store import HALF, Fault, Faults
from localcloud.identity.tokens import Tokens
from localcloud.transport.rest import App, Receive, Scope, Send, read_body, send_bytes

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_OWN_HOSTS = ("localhost", "127.0.0.1")  # the control: a fault that hits it could not be cleared
_OF_CONNECTION = frozenset({"cut", "torn", "expired", "delay"})
_CALL = re.compile(rb"^(GET|POST|PUT|PATCH|DELETE) (?:https://[^/\s]+)?(/[^\s?]*)", re.MULTILINE)
_UNKNOWN_LENGTH = 65_536  # bytes after which a body is torn whose length nobody tells


def faulty(cloud: Cloud, app: App, authorization: bytes = b"") -> App:
    """The app with the faults of this moment. `authorization` is what the caller showed."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        caller = scope.get("caller")
        path = scope["raw_path"].decode("latin-1").partition("?")[0]
        seen = Seen(scope["method"], scope["host"], path, principal=getattr(caller, "email", ""))
        if seen.host in _OWN_HOSTS:
            return await app(scope, receive, send)
        fault = cloud.of(Faults).hit(seen)
        if fault is None and path.startswith("/batch"):
            # A refusal is for one call of a batch, what happens to the connection happens to them all.
            raw = await read_body(receive)
            calls = [
                Seen(v.decode(), seen.host, p.decode("latin-1"), principal=seen.principal)
                for v, p in _CALL.findall(raw)
            ]
            fault = cloud.of(Faults).hit(*calls, kinds=_OF_CONNECTION) if calls else None
            receive = _again(raw, receive)
        if fault is None:
            return await app(scope, receive, send)
        await asyncio.sleep(fault.delay)
        if fault.code:
            return await _refuse(cloud, fault, seen, scope, receive, send)
        if fault.expired:
            cloud.of(Tokens).expire(authorization.partition(b" ")[2].strip().decode("latin-1"))
            return await _refuse_expired(seen, scope, receive, send)
        transport: asyncio.Transport | None = scope.get("state", {}).get("transport")
        if fault.cut == "before":
            await _drain(receive)
            return _abort(transport)
        if fault.cut == "after":
            await app(scope, receive, _unheard)
            return _abort(transport)
        if fault.torn:
            if _has_body(scope):
                return await _torn_upload(fault, transport, app, scope, receive, send)
            return await _torn_download(fault, transport, app, scope, receive, send)
        await app(scope, receive, send)

    return application


def faulty_metadata(cloud: Cloud, app: App) -> App:
    """The metadata server with its faults: they are aimed at the host metadata.google.internal."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not cloud.of(Faults).active:
            return await app(scope, receive, send)
        path = "/" + scope["path"].lstrip("/").partition("/")[2]  # without the job's secret
        shown = {**scope, "host": METADATA, "raw_path": path.encode("latin-1", "replace")}

        async def inner(_scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, send)

        await faulty(cloud, inner)(shown, receive, send)

    return application


def _abort(transport: asyncio.Transport | None) -> None:
    if transport is not None:
        transport.abort()


async def _unheard(_message: MutableMapping[str, Any]) -> None:
    """Send nothing."""


def _again(raw: bytes, receive: Receive) -> Receive:
    """A receive that gives a body that was read already, and then what `receive` gives."""
    given = False

    async def once() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": raw, "more_body": False}

    return once


async def _drain(receive: Receive) -> None:
    """Take the request to its end: a client that sends is not heard before."""
    while True:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            return


def _is_storage(seen: Seen) -> bool:
    return seen.host.endswith("storage.googleapis.com") or "/storage/v1" in seen.path


async def _refuse(cloud: Cloud, fault: Fault, seen: Seen, scope: Scope, receive: Receive, send: Send) -> None:
    await _drain(receive)
    if _is_storage(seen) and fault.code != 502:
        return await _refuse_storage(answers.storage_error(fault, seen), scope, receive, send)
    body, content_type, headers = answers.plain(cloud, fault, seen)
    await send_bytes(send, body, content_type, fault.code, headers)


async def _refuse_expired(seen: Seen, scope: Scope, receive: Receive, send: Send) -> None:
    await _drain(receive)
    refusal = callers.invalid(expired=True)
    if not _is_storage(seen):
        from localcloud.transport.rest import send_json

        return await send_json(send, refusal.body(), refusal.code, refusal.headers)
    fault = Fault("", "", code=401)
    error = answers.storage_error(fault, seen)
    error.headers.update(refusal.headers)
    await _refuse_storage(error, scope, receive, send)


async def _refuse_storage(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    from localcloud.storage.http import refusal, shape
    from localcloud.storage.messages import Request, send_response

    await send_response(send, refusal(error, shape(Request.of(scope, receive))))


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key.lower() == name), b"")


def _has_body(scope: Scope) -> bool:
    length = _header(scope, b"content-length")
    return bool(_header(scope, b"transfer-encoding")) or (length.isdigit() and int(length) > 0)


def _limit(fault: Fault, length: bytes) -> int:
    """After how many bytes of a body of `length` it is torn: before its end in any case."""
    known = int(length) if length.isdigit() else None
    if fault.torn == HALF:
        return known // 2 if known is not None else _UNKNOWN_LENGTH
    return min(fault.torn, max(known - 1, 0)) if known is not None else fault.torn


async def _torn_upload(
    fault: Fault, transport: asyncio.Transport | None, app: App, scope: Scope, receive: Receive, send: Send
) -> None:
    room = _limit(fault, _header(scope, b"content-length"))
    torn = False

    async def partly() -> MutableMapping[str, Any]:
        nonlocal room, torn
        if torn:
            return {"type": "http.disconnect"}
        message = await receive()
        if message["type"] != "http.request":
            return message
        body = message.get("body", b"")[:room]
        room -= len(body)
        if room <= 0 or not message.get("more_body"):
            torn = True
            _abort(transport)
        return {"type": "http.request", "body": body, "more_body": True}

    await app(scope, partly, _unheard)
    _abort(transport)


async def _torn_download(
    fault: Fault, transport: asyncio.Transport | None, app: App, scope: Scope, receive: Receive, send: Send
) -> None:
    room: int | None = None
    torn = False

    async def partly(message: MutableMapping[str, Any]) -> None:
        nonlocal room, torn
        if torn:
            return
        if message["type"] == "http.response.start":
            length = next((v for k, v in message["headers"] if k.lower() == b"content-length"), b"")
            room = _limit(fault, length)
            return await send(message)
        body = message.get("body", b"")[:room]
        room = (room or 0) - len(body)
        if body:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        if room <= 0 or not message.get("more_body"):
            torn = True
            if transport is not None:
                transport.close()  # what was sent still arrives

    await app(scope, receive, partly)
