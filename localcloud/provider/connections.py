"""The port that Pulumi engines connect to: passes each connection on to the provider, and tells when it is over.

gRPC itself tells a service only the address of its peer. Whoever takes the port of an engine that is gone would be
taken for that engine, so what a connection was given must end with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from localcloud.proxy import pump

log = logging.getLogger(__name__)


class Connections:
    """Takes connections on `listener` and passes them on to `port`; calls `over(peer)` at the end of each.

    `peer` is what gRPC calls the connection there, such as "ipv4:127.0.0.1:40000".
    """

    def __init__(self, listener: socket.socket, port: int, over: Callable[[str], None]) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._port = port
        self._over = over
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept())

    async def close(self) -> None:
        """Take no more connections and cut those that are open."""
        tasks = [self._accepting, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _address = await loop.sock_accept(self._listener)
            except OSError:  # too many open files: those that are open go on
                log.exception("a connection could not be taken")
                await asyncio.sleep(0.1)
                continue
            task = asyncio.create_task(self._pass_on(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, connection: socket.socket) -> None:
        with connection, socket.socket() as onward:
            for one in (connection, onward):
                one.setblocking(False)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
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
