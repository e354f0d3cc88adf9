"""The port that Pulumi engines connect to: passes each connection on to the provider, and tells when it is over.

Only engines of our own user are let in. gRPC itself tells a service only the address of its peer. Whoever takes the
port of an engine that is gone would be taken for that engine, so what a connection was given must end with it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from localcloud.transport.listening import Listening, prepare, pump

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 section 3.4
_PATIENCE = 60.0  # seconds for an engine to begin; who has begun may be silent: gRPC waits for its next call


class Connections:
    """Takes connections on `listener` and passes them on to `port`; calls `over(peer)` at the end of each.

    `peer` is what gRPC calls the connection there, such as "ipv4:127.0.0.1:40000".
    """

    def __init__(self, listener: socket.socket, port: int, over: Callable[[str], None]) -> None:
        self._port = port
        self._over = over
        self._open: set[str] = set()
        self._listening = Listening(listener, self._pass_on, own=True)

    def know(self, peer: str) -> bool:
        """Whether the provider's `peer` came this way: another was never asked whose it is."""
        return peer in self._open

    async def close(self) -> None:
        """Take no more connections and cut those that are open."""
        await self._listening.close()

    async def _pass_on(self, connection: socket.socket) -> None:
        with connection, socket.socket() as onward:
            try:
                prepare(connection)
                prepare(onward)
                async with asyncio.timeout(_PATIENCE):
                    first = await _preface(connection)
                await asyncio.get_running_loop().sock_connect(onward, ("127.0.0.1", self._port))
            except (OSError, TimeoutError):
                return
            peer = f"ipv4:127.0.0.1:{onward.getsockname()[1]}"
            self._open.add(peer)
            try:
                await asyncio.get_running_loop().sock_sendall(onward, first)
                ways = [asyncio.create_task(pump(connection, onward)), asyncio.create_task(pump(onward, connection))]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
            except OSError:
                pass
            finally:
                self._open.discard(peer)
                self._over(peer)  # before the port is free for another


async def _preface(connection: socket.socket) -> bytes:
    """What a connection of gRPC begins with. Raises ConnectionError for one that begins with anything else."""
    loop = asyncio.get_running_loop()
    first = b""
    while len(first) < len(_PREFACE):
        part = await loop.sock_recv(connection, len(_PREFACE) - len(first))
        first += part
        if not part or not _PREFACE.startswith(first):
            raise ConnectionError("not HTTP/2")
    return first
