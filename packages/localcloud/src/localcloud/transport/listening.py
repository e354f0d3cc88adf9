"""Taking connections on a port of ours: each is served in a task of its own, and all end with the port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine

from localcloud.core import peers

_CHUNK = 262_144  # bytes that are read at once
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
