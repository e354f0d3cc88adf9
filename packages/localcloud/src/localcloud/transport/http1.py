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
_FAREWELL = 0.1  # seconds for the last bytes of an answer to leave


class GoogleHttp(H11Protocol):
    """TensorFlow's libcurl wrapper (User-Agent TSL) sends two heads that RFC 9112 forbids and Google takes:

    `Content-Length: 0` with `Transfer-Encoding: identity` (upload start, mkdir, rename), and `Content-Length: N` with
    `Transfer-Encoding: chunked` (OAuth token). It uses a connection for one request, so that only the first head of a
    connection needs a look.
    """

    _head: bytes | None = b""
    _socket: socket.socket | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._socket = transport.get_extra_info("socket")
        self.app_state = {"transport": transport}  # a drill may cut it

    def data_received(self, data: bytes) -> None:
        if self._socket is not None:
            acknowledge_at_once(self._socket)
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
