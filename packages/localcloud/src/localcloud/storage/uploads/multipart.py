"""Reads the multipart/related bodies of uploads: a part of JSON, then a part of data of any size."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from localcloud.storage.errors import invalid
from localcloud.storage.messages import Body

_LONGEST_HEAD = 1 << 20  # bytes of boundary lines, headers and metadata together


def boundary(content_type: str) -> bytes:
    """The boundary that a Content-Type names; gcloud puts it in single quotes. Raises 400."""
    found = re.search(r"""boundary=(?:"([^"]+)"|'([^']+)'|([^\s;,]+))""", content_type, re.IGNORECASE)
    if not found:
        raise invalid("Missing end boundary in multipart body.")
    return next(group for group in found.groups() if group).encode("latin-1")


class MultipartReader:
    """One upload body. Call `metadata`, then `data` to its end.

    Lines end as the first one does: Python's client writes CRLF, gcloud and gsutil LF alone, and then a carriage return
    before a boundary belongs to the data.
    """

    _closing = b"--"  # after the boundary that ends the data

    def __init__(self, body: Body, delimiter: bytes) -> None:
        self._chunks = body.chunks()
        self._delimiter = b"--" + delimiter
        self._held = b""
        self._newline = b"\r\n"
        self._taken = 0

    async def metadata(self) -> tuple[bytes, str]:
        """(the JSON part, the Content-Type of the data part). Raises 400 for a body that isn't so."""
        await self._until(self._delimiter)
        while b"\n" not in self._held:
            await self._more()
        self._newline = b"\r\n" if self._held.startswith(b"\r\n") else b"\n"
        blank = self._newline * 2
        await self._until(blank)
        document = await self._until(self._newline + self._delimiter)
        head = await self._until(blank)
        found = re.search(rb"^content-type:[ \t]*([^\r\n]+)", head, re.IGNORECASE | re.MULTILINE)
        return document, found[1].decode("latin-1").strip() if found else ""

    async def data(self) -> AsyncIterator[bytes]:
        """The bytes of the second part. Raises 400 when the body ends before the closing boundary."""
        end = self._newline + self._delimiter + self._closing
        while (at := self._held.find(end)) < 0:
            safe = len(self._held) - len(end) + 1
            if safe > 0:
                yield self._held[:safe]
                self._held = self._held[safe:]
            self._taken = 0  # the head is over
            await self._more()
        if at:
            yield self._held[:at]
        async for _ in self._chunks:
            pass

    async def _until(self, mark: bytes) -> bytes:
        """What comes before the mark; both are taken."""
        while (at := self._held.find(mark)) < 0:
            await self._more()
        before, self._held = self._held[:at], self._held[at + len(mark) :]
        return before

    async def _more(self) -> None:
        chunk = await anext(self._chunks, None)
        self._taken += len(chunk or b"")
        if chunk is None or self._taken > _LONGEST_HEAD + len(chunk):
            raise invalid("Missing end boundary in multipart body.")
        self._held += chunk


class FormReader(MultipartReader):
    """A multipart/form-data body whose last field that counts is `file`. Call `fields`, then `data` to its end."""

    _closing = b""

    async def fields(self) -> dict[str, str]:
        """All before the file, by name in small letters; "file" is the name that its sender gave it. Raises 400."""
        found: dict[str, str] = {}
        await self._until(self._delimiter)
        while True:
            head = (await self._until(b"\r\n\r\n")).decode()
            name = re.search(r'[\s;]name="([^"]*)"', head)
            if not name:
                raise invalid("The body of the POST request is not well-formed multipart/form-data.")
            if name[1] == "file":
                filename = re.search(r'filename="([^"]*)"', head)
                return found | {"file": filename[1] if filename else ""}
            found[name[1].lower()] = (await self._until(b"\r\n" + self._delimiter)).decode()
