"""The gRPC front: finds the method's handler, finds out who calls, and tells refusals as Google does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from localcloud.core.asked import callers
from localcloud.core.asked.callers import Caller, Verifier
from localcloud.core.asked.drills import Drills
from localcloud.core.cloud import Cloud
from localcloud.core.errors import GRPC_CODES, ApiError, NotEmulated, grpc_status
from localcloud.core.state import disk
from localcloud.transport.front import is_missing, load
from localcloud.transport.rest import CONSUMER

log = logging.getLogger(__name__)

# Services that every API has: which API is meant, only the resource's name tells.
_SHARED = ("google.longrunning.", "google.iam.v1.", "google.cloud.location.")
_LIMIT = 64 << 20  # bytes of a message
# The host that the present call was sent to; "" when the client did not come through the proxy.
HOST: ContextVar[str] = ContextVar("host", default="")
_STATUS = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class StreamHandler:
    """A method that streams: takes the caller's messages, gives messages."""

    call: Callable[[AsyncIterator[bytes], Caller], AsyncIterator[bytes]]


Unary = Callable[[bytes, Caller], Awaitable[bytes]]
Table = dict[str, Unary | StreamHandler]


class GrpcFront(grpc.GenericRpcHandler):
    """Every method of every service: on the wire a call with one message each way is a stream like any other."""

    def __init__(self, cloud: Cloud, tables: Sequence[tuple[str, str]]) -> None:
        """`tables`: how a service's name starts, and "module:function" that makes the table of a Cloud."""
        self._cloud = cloud
        self._loaders = tables
        self._tables: dict[str, asyncio.Future[Table]] = {}

    def service(self, handler_call_details: Any) -> Any:
        method: str = handler_call_details.method

        async def serve(messages: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
            log.debug("gRPC %s", method)
            try:
                host = self._cloud.hosts.get(int(context.peer().rpartition(":")[2]), "")
                caller = self._cloud.of(Verifier).verify(_bearer(context), host)
                CONSUMER.set(str(dict(context.invocation_metadata() or ()).get("x-goog-user-project", "")))
                HOST.set(host)
                answers = self._answer(method, messages, caller)
                if self._cloud.of(Drills).active:
                    answers = self._cloud.of(Drills).rpc(method, caller, _bearer(context), answers)
                async for answer in answers:
                    yield answer
            except ApiError as error:
                await _abort(context, error)
            except (asyncio.CancelledError, grpc.aio.AbortError):
                raise
            except DecodeError:  # what came is no such message: text that is not UTF-8, or cut off
                await _abort(context, ApiError(400, "Request contains an invalid argument: it can't be decoded."))
            except Exception as failure:
                log.exception("%s failed", method)
                error = disk.told(failure, ApiError(500, "Internal error encountered. See server.log."))
                await _abort(context, error)

        return grpc.stream_stream_rpc_method_handler(serve)

    async def _answer(self, method: str, messages: AsyncIterator[bytes], caller: Caller) -> AsyncIterator[bytes]:
        handlers = await self._handlers(method)
        if isinstance(handlers[0], StreamHandler):
            async for answer in handlers[0].call(messages, caller):
                yield answer
            return
        raw = b""
        async for message in messages:
            raw = message
            break
        yield await _first_that_knows(handlers, raw, caller)

    async def _handlers(self, method: str) -> list[Any]:
        """Who may answer `method`: one, or for a shared service all that have it. Raises NotEmulated."""
        service = method.lstrip("/")
        if service.startswith(_SHARED):
            loaded = [loader for _, loader in self._loaders if loader in self._tables]
            others = [loader for _, loader in self._loaders if loader not in self._tables]
            loaders = loaded + others
        else:
            loaders = [loader for prefix, loader in self._loaders if service.startswith(prefix)]
        handlers = []
        for loader in loaders:
            if handler := (await self.table(loader)).get(method):
                handlers.append(handler)
        if not handlers:
            raise NotEmulated(f"gRPC {method}")
        return handlers

    async def table(self, loader: str) -> Table:
        """The table that "module:function" makes; made once, empty when there is no such module."""
        if loader not in self._tables:
            self._tables[loader] = asyncio.ensure_future(self._load(loader))
        return await asyncio.shield(self._tables[loader])

    async def _load(self, loader: str) -> Table:
        try:
            return await load(loader, self._cloud)
        except Exception as error:
            if not is_missing(loader, error):
                log.exception("%s can't be loaded", loader)
            return {}


def _bearer(context: grpc.aio.ServicerContext) -> str:
    """The token that a call shows. Raises ApiError 401."""
    metadata = dict(context.invocation_metadata() or ())
    kind, _, bearer = str(metadata.get("authorization", "")).partition(" ")
    if not bearer:
        raise callers.missing()
    if kind.lower() != "bearer":
        raise callers.invalid()
    return bearer.strip()


async def _first_that_knows(handlers: list[Unary], raw: bytes, caller: Caller) -> bytes:
    """The answer of the first one that has what is asked for; else what the first says that has such things."""
    refused: list[ApiError] = []
    for handler in handlers:
        try:
            return await handler(raw, caller)
        except ApiError as error:
            if error.code not in (404, 501):
                raise
            refused.append(error)
    raise min(refused, key=lambda error: error.code)


async def _abort(context: grpc.aio.ServicerContext, error: ApiError) -> None:
    trailers = (("grpc-status-details-bin", grpc_status(error)),)
    await context.abort(_STATUS[GRPC_CODES.get(error.status, 2)], error.message, trailers)


async def start(cloud: Cloud, front: GrpcFront) -> grpc.aio.Server:
    """The server on the gRPC port, with the certificate of the cloud's folder."""
    key, certificate = ((cloud.root / name).read_bytes() for name in ("key.pem", "cert.pem"))
    server = new_server()
    server.add_generic_rpc_handlers((front,))
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    server.add_secure_port(f"127.0.0.1:{cloud.ports.grpc}", credentials)
    await server.start()
    return server


def new_server() -> grpc.aio.Server:
    """A server with large messages allowed, that shares its port with no other process."""
    sizes = [("grpc.max_receive_message_length", _LIMIT), ("grpc.max_send_message_length", _LIMIT)]
    return grpc.aio.server(options=[*sizes, ("grpc.so_reuseport", 0)])


__all__ = ["GrpcFront", "StreamHandler", "Table", "new_server", "start"]
