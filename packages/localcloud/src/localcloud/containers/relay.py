"""The port at which a replica asks who it is, and the way from there to the local cloud's metadata server.

What a replica sends there holds its secret, and it goes on when the local cloud was killed. So the port is the
supervisor's, which lives as long as the replica does: nobody else can take it in between. And the supervisor hands the
secret on only over TLS, to a server that shows the certificate of this local cloud. Standard library and psutil only;
supervisors import this when their replica first asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from pathlib import Path

from localcloud.core import peers

_CHUNK = 65_536  # bytes that are read at once
_PATIENCE = 60.0  # seconds for a client to say something, and for the server to take it
_MOST = 64  # connections at once; more wait
_TEXT = b"The local cloud doesn't run.\n"
_ABSENT = (
    b"HTTP/1.1 503 Service Unavailable\r\nMetadata-Flavor: Google\r\nContent-Type: text/plain\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_TEXT), _TEXT)
)


class Relay:
    """Carries connections from a port of the supervisor's on to the metadata server."""

    def __init__(self, root: Path, listener: socket.socket) -> None:
        """`root` is the folder of the local cloud, `listener` the port."""
        self._root = root
        self._listener = listener
        self._slots = asyncio.Semaphore(_MOST)

    def run(self) -> None:
        """Serve until the process ends."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        while True:
            await self._slots.acquire()
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError:  # too many open files
                self._slots.release()
                await asyncio.sleep(0.1)
                continue
            task = asyncio.create_task(self._carry(connection))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            task.add_done_callback(lambda _: self._slots.release())

    async def _carry(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, TimeoutError, ssl.SSLError):
            connection.setblocking(False)
            if not await asyncio.to_thread(peers.is_own, connection):
                return
            reader, writer = await asyncio.open_connection(sock=connection)
            async with asyncio.timeout(_PATIENCE):
                first = await reader.read(_CHUNK)
            if not first:
                return
            try:
                async with asyncio.timeout(_PATIENCE):
                    from_server, to_server = await self._connect()
            except (OSError, ValueError, KeyError, TimeoutError):  # killed, or being started again
                writer.write(_ABSENT)
                await writer.drain()
                writer.close()
                return
            try:
                to_server.write(first)
                ways = [_pump(reader, to_server), _pump(from_server, writer)]
                tasks = [asyncio.create_task(way) for way in ways]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
            finally:
                to_server.close()
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the metadata server; port and certificate may be others than at the start of the replica."""
        port = json.loads((self._root / "ports.json").read_text(encoding="utf-8"))["metadata"]
        trust = ssl.create_default_context(cafile=str(self._root / "ca.pem"))
        return await asyncio.open_connection("127.0.0.1", port, ssl=trust)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
