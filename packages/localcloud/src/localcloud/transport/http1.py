"""HTTP/1.1 as Google's clients speak it: uvicorn's h11 protocol, and repairs for TensorFlow's odd request heads."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from localcloud.transport.listening import acknowledge_at_once

_IDENTITY = re.compile(rb"\r\nTransfer-Encoding: *identity", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\nTransfer-Encoding: *chunked", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\nContent-Length: *\d+", re.IGNORECASE)
_HEAD_LIMIT = 65_536  # bytes
# Seconds for the head of a request, and between two parts of its body. A kept connection may be silent as long
# (server.py), and what has begun may take any time.
PATIENCE = 75.0
_FAREWELL = 0.1  # seconds for the last bytes of an answer to leave


class GoogleHttp(H11Protocol):
    """TensorFlow's libcurl wrapper (User-Agent TSL) sends two heads that RFC 9112 forbids and Google takes:

    `Content-Length: 0` with `Transfer-Encoding: identity` (upload start, mkdir, rename), and `Content-Length: N` with
    `Transfer-Encoding: chunked` (OAuth token). It uses a connection for one request, so that only the first head of a
    connection needs a look.
    """

    _head: bytes | None = b""
    _socket: socket.socket | None = None
    _looking: asyncio.TimerHandle | None = None
    _asked: float | None = None  # when the request began that isn't whole; a connection begins with one
    _heard = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._socket = transport.get_extra_info("socket")
        self.app_state = {"transport": transport}  # a drill may cut it
        self._asked = self._heard = self.loop.time()
        self._looking = self.loop.call_later(PATIENCE / 4, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """End a connection whose client doesn't come to the end of its request."""
        now = self.loop.time()
        waits_for_body = not self._waits_for_head() and self.cycle.more_body and not self.flow.read_paused
        waits_for_body = waits_for_body and not self.cycle.waiting_for_100_continue  # then it is our turn
        late = self._asked is not None and now - self._asked > PATIENCE
        if late or (waits_for_body and now - self._heard > PATIENCE):
            self.transport.abort()
        else:
            self._looking = self.loop.call_later(PATIENCE / 4, self._look)

    def _waits_for_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        if self._socket is not None:
            acknowledge_at_once(self._socket)
        self._heard = self.loop.time()
        self._take(data)
        if not self._waits_for_head():
            self._asked = None
        elif self._asked is None:
            self._asked = self._heard

    def _take(self, data: bytes) -> None:
        if self._head is not None:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0 and len(data) < _HEAD_LIMIT:
                self._head = data
                return
            self._head = None
            if b"\r\nUser-Agent: TSL\r\n" in data[: end + 2]:
                data = _repair(data[:end]) + data[end:]
        super().data_received(data)

    def shutdown(self) -> None:
        """The server ends: what was answered is sent, and no idle client is waited for, as the end of TLS would."""
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(_FAREWELL, self.transport.abort)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """No Google API that is emulated has any."""
        self.send_400_response("Websockets are not emulated by the local cloud.")


def _repair(head: bytes) -> bytes:
    head = _IDENTITY.sub(b"", head)
    return _LENGTH.sub(b"", head) if _CHUNKED.search(head) else head
