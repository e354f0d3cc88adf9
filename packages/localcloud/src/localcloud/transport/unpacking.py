"""Bodies of requests that are packed with gzip on their way, as Java's clients send all of theirs.

https://www.rfc-editor.org/rfc/rfc9110.html#name-content-encoding
"""

from __future__ import annotations

import zlib
from collections.abc import MutableMapping
from typing import Any

from localcloud.core.errors import ApiError
from localcloud.transport.rest import Receive, Scope

_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 256 * 1024  # bytes that are unpacked at once: however far a body grows, its reader's limits meet it


def is_packed(scope: Scope) -> bool:
    """Whether the request's body is in gzip."""
    return any(name == b"content-encoding" and value.strip().lower() == b"gzip" for name, value in scope["headers"])


class Unpacked:
    """`receive` of the plain body. Raises ApiError 400 once for one that is no gzip, or ends too early."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        """The `scope`'s headers tell of the packed body no more."""
        told = (b"content-encoding", b"content-length")
        scope["headers"] = [line for line in scope["headers"] if line[0] not in told]
        self._receive = receive
        self._unpacker = zlib.decompressobj(_GZIP)
        self._packed, self._more, self._ended, self._broken = b"", True, False, False

    async def __call__(self) -> MutableMapping[str, Any]:
        while not self._ended:
            if not self._packed and self._more:
                message = await self._receive()
                if message["type"] != "http.request":
                    return message
                self._packed, self._more = message.get("body", b""), bool(message.get("more_body"))
            piece = b"" if self._broken else self._piece()
            self._ended = not self._more and not self._packed and len(piece) < _PIECE
            if self._ended and not self._unpacker.eof and not self._broken:
                raise self._refused("The request's body ends in the middle of its gzip stream.")
            if piece or self._ended:
                return {"type": "http.request", "body": piece, "more_body": not self._ended}
        return await self._receive()

    def _piece(self) -> bytes:
        try:
            piece = self._unpacker.decompress(self._packed, _PIECE)
        except zlib.error:
            raise self._refused("The request's body isn't gzip, as its Content-Encoding says.") from None
        self._packed = self._unpacker.unconsumed_tail
        if self._unpacker.eof and (rest := self._unpacker.unused_data):  # gzip streams one after the other are one
            self._unpacker, self._packed = zlib.decompressobj(_GZIP), rest
        return piece

    def _refused(self, why: str) -> ApiError:
        """From now on what is left is read and dropped: a client sends all of its body before it reads the answer."""
        self._broken, self._ended, self._packed = True, False, b""
        return ApiError(400, why)
