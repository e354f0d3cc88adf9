"""Taking connections on a port of ours: each is served in a task of its own, and all end with the port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import sys
from collections.abc import Callable, Coroutine

from localcloud.core import peers

_CHUNK = 262_144  # bytes that are read at once
_FIRST = 16_384  # bytes that a first TLS record may have
CAN_PEEK = sys.platform != "win32"  # the event loop of Windows can't wait for a socket without reading it
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)

log = logging.getLogger(__name__)


class Listening:
    """Takes connections on `listener`, a socket that does not block; `serve(connection)` serves and closes each.

    A port that is `own` takes those of our own user only; others are closed before a word.
    """

    def __init__(
        self,
        listener: socket.socket,
        serve: Callable[[socket.socket], Coroutine[None, None, None]],
        own: bool = False,
    ) -> None:
        self._listener = listener
        self._serve = _from_own(serve) if own else serve
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
            task = asyncio.create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


def _from_own(
    serve: Callable[[socket.socket], Coroutine[None, None, None]],
) -> Callable[[socket.socket], Coroutine[None, None, None]]:
    async def checked(connection: socket.socket) -> None:
        known = False
        try:
            known = await asyncio.to_thread(peers.is_own, connection)
        finally:
            if not known:
                connection.close()
        if known:
            await serve(connection)

    return checked


def prepare(connection: socket.socket) -> None:
    """Let the loop wait for the socket, and small messages go out at once. Raises OSError when its peer is gone."""
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def peek(connection: socket.socket) -> bytes:
    """The client's first TLS record, left in the socket for who serves the connection. Empty when it went away.

    What isn't TLS comes as far as it is there.
    """
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(connection, lambda: readable.done() or readable.set_result(None))
    try:
        await readable
    finally:
        loop.remove_reader(connection)
    pause = 0.002
    while True:
        data = connection.recv(_FIRST + 5, socket.MSG_PEEK)
        length = 5 + struct.unpack_from(">H", data, 3)[0] if len(data) >= 5 else 5
        if not data.startswith(b"\x16") or len(data) >= min(length, _FIRST):
            return data
        await asyncio.sleep(pause)  # the rest of the record is on its way; a peek leaves the socket readable
        pause = min(pause * 1.5, 0.25)


async def pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until `source` ends, then tell `sink`; each direction of a connection ends on its own."""
    loop = asyncio.get_running_loop()
    try:
        while data := await loop.sock_recv(source, _CHUNK):
            acknowledge_at_once(source)
            await loop.sock_sendall(sink, data)
    except OSError:
        pass
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def acknowledge_at_once(connection: socket.socket) -> None:
    """Acknowledge what was received now, not up to 40 ms later; Linux forgets the wish, so ask after each read.

    Behind a proxy urllib3 leaves Nagle's algorithm on: each upload would wait for the delayed acknowledgement.
    """
    if _QUICKACK is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
