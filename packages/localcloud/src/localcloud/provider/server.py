"""Serves the provider to Pulumi engines on its own loopback port (PULUMI_DEBUG_PROVIDERS=gcp:PORT).

The port is open at once; what answers on it imports pulumi, and is loaded in the background. A call that comes earlier
waits for it.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from localcloud.core.errors import ApiError
from localcloud.provider.connections import Connections
from localcloud.transport.grpc_front import new_server

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud
    from localcloud.provider.servicer import Provider

log = logging.getLogger(__name__)

_SERVICE = "/pulumirpc.ResourceProvider/"


class _Handler(grpc.GenericRpcHandler):
    """Every method of the service, as raw messages, until the servicer is there to read them."""

    def __init__(self, cloud: Cloud) -> None:
        self._loading = asyncio.ensure_future(_load(cloud))
        self.know: Callable[[str], bool] = lambda peer: False  # until there is somebody who knows

    def forget(self, peer: str) -> None:
        """The connection `peer` is over."""
        if self._loading.done() and not self._loading.exception():
            self._loading.result()[0].forget(peer)

    def service(self, handler_call_details: Any) -> Any:
        method: str = handler_call_details.method
        if not method.startswith(_SERVICE):
            return None

        async def answer(raw: bytes, context: grpc.aio.ServicerContext) -> bytes:
            return await self._answer(method.removeprefix(_SERVICE), raw, context)

        return grpc.unary_unary_rpc_method_handler(answer)

    async def _answer(self, name: str, raw: bytes, context: grpc.aio.ServicerContext) -> bytes:
        if not self.know(context.peer()):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the local cloud's provider has a port of its own")
        _provider, methods, refused = await asyncio.shield(self._loading)
        if name not in methods:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the local cloud's provider has no {name}")
        request, method = methods[name]
        try:
            response = await method(request.FromString(raw), context.peer())
        except ApiError as error:
            await context.abort(grpc.StatusCode.UNKNOWN, _as_google_tells(error))
        except refused as error:
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except Exception:
            log.exception("the provider's %s failed", name)
            await context.abort(grpc.StatusCode.INTERNAL, "the local cloud's provider failed; see its server.log")
        else:
            return response.SerializeToString()
        raise AssertionError("abort raises")


def _as_google_tells(error: ApiError) -> str:
    """The words of Google's Go library, in which the real provider tells refusals: code, message, reason."""
    word = error.status if error.code in (400, 412) else error.reason
    return f"googleapi: Error {error.code}: {error.message}, {word}"


async def _load(cloud: Cloud) -> tuple[Provider, dict[str, Any], type[Exception]]:
    servicer = await asyncio.to_thread(importlib.import_module, "localcloud.provider.servicer")
    provider = servicer.Provider(cloud)
    return provider, servicer.methods(provider), servicer.Refused


class Running:
    """The provider as it serves, until it is stopped."""

    def __init__(self, server: grpc.aio.Server, connections: Connections) -> None:
        self._server = server
        self._connections = connections

    async def stop(self, seconds: float) -> None:
        """End; calls that are under way have some seconds."""
        await self._server.stop(seconds)
        await self._connections.close()


async def start(cloud: Cloud, listener: socket.socket) -> Running:
    """Serve the connections that come to `listener`."""
    server, handler = new_server(), _Handler(cloud)
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    connections = Connections(listener, port, handler.forget)
    handler.know = connections.know
    return Running(server, connections)
