"""The port that Pulumi engines connect to: passes each connection on to the provider, and tells when it is over.

gRPC itself tells a service only the address of its peer. Whoever takes the port of an engine that is gone would be
taken for that engine, so what a connection was given must end with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from localcloud.transport.listening import Listening, prepare, pump


class Connections:
    """Takes connections on `listener` and passes them on to `port`; calls `over(peer)` at the end of each.

    `peer` is what gRPC calls the connection there, such as "ipv4:127.0.0.1:40000".
    """

    def __init__(self, listener: socket.socket, port: int, over: Callable[[str], None]) -> None:
        self._port = port
        self._over = over
        self._listening = Listening(listener, self._pass_on)

    async def close(self) -> None:
        """Take no more connections and cut those that are open."""
        await self._listening.close()

    async def _pass_on(self, connection: socket.socket) -> None:
        with connection, socket.socket() as onward:
            try:
                prepare(connection)
                prepare(onward)
                await asyncio.get_running_loop().sock_connect(onward, ("127.0.0.1", self._port))
            except OSError:
                return
            peer = f"ipv4:127.0.0.1:{onward.getsockname()[1]}"
            try:
                ways = [asyncio.create_task(pump(connection, onward)), asyncio.create_task(pump(onward, connection))]
                with contextlib.suppress(OSError):
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
            finally:
                self._over(peer)  # before the port is free for another
