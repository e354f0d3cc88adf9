"""Sends the bytes of objects: whole, in ranges, or unpacked.

Headers: https://cloud.google.com/storage/docs/xml-api/reference-headers; ranges: RFC 9110, section 14.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import BinaryIO

from localcloud.storage.conditions import from_request
from localcloud.storage.errors import bad_range, condition_failed, not_modified
from localcloud.storage.messages import Request, send_head
from localcloud.storage.objects import Objects, as_generation
from localcloud.storage.records import ObjectRecord
from localcloud.transport.rest import Send

_BLOCK = 1 << 20
_SMALL = 1 << 16  # bytes that are sooner read than asked of a thread
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^`|~\w-]+", re.ASCII)
# What a query of the XML API says in place of the object's own: .../xml-api/reference-headers#query
_ASKED = {"response-content-disposition": "Content-Disposition", "response-content-type": "Content-Type"}
# https://cloud.google.com/storage/docs/metadata#cache-control
_PUBLIC = "public, max-age=3600"
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS


class Downloads:
    """Answers GET and HEAD of object media."""

    def __init__(self, objects: Objects, pool: ThreadPoolExecutor) -> None:
        self._objects = objects
        self._pool = pool

    async def send(
        self, send: Send, request: Request, bucket: str, name: str, xml: bool = False, public: bool = False
    ) -> None:
        """The object's bytes; whether everybody may have them. Raises 404, 412, 416, 304 before anything is sent."""
        record, file = self._objects.open(bucket, name, as_generation(request.query.get("generation")))
        with file:
            from_request(request.query, request.headers, xml=xml).check_read(record)
            headers = _headers(record, xml)
            if public:
                headers.setdefault("Cache-Control", _PUBLIC)
            if xml:
                _check_times(request.headers, record)
                headers |= {name: request.query[key] for key, name in _ASKED.items() if request.query.get(key)}
            packed = record.settings.get("contentEncoding", "").lower() == "gzip" and file.read(2) == _GZIP_MAGIC
            if packed and not _takes_gzip(request, record):
                headers |= {"Warning": "214 UploadServer gunzipped", "Vary": "Accept-Encoding"}
                # No length is known, so it goes in chunks; and no range holds: https://cloud.google.com/storage/docs/transcoding
                await send_head(send, 200, headers)
                return await _pass_on(send, request, _unpacked(self._blocks(file, 0, record.size)))
            if record.settings.get("contentEncoding"):
                headers["Content-Encoding"] = record.settings["contentEncoding"]
            first, size, code = 0, record.size, 200
            wanted = _range(request.headers, record.size, headers)
            if wanted:
                first, last = wanted
                size, code = last - first + 1, 206
                headers["Content-Range"] = f"bytes {first}-{last}/{record.size}"
            headers["Content-Length"] = str(size)
            await send_head(send, code, headers)
            await _pass_on(send, request, self._blocks(file, first, size))

    async def _blocks(self, file: BinaryIO, first: int, size: int) -> AsyncGenerator[bytes, None]:
        """`size` bytes from `first` on; a thread reads the next block while one is on its way."""
        file.seek(first)
        if size <= _SMALL:
            yield _read(file, size)
            return
        loop = asyncio.get_running_loop()
        reading: asyncio.Future[bytes] | None = loop.run_in_executor(self._pool, _read, file, min(size, _BLOCK))
        try:
            while reading is not None:
                block = await reading
                size -= len(block)
                reading = loop.run_in_executor(self._pool, _read, file, min(size, _BLOCK)) if size else None
                yield block
        finally:
            if reading is not None:  # the file is closed next: not under a thread that reads it
                await asyncio.wait([reading])


async def _pass_on(send: Send, request: Request, blocks: AsyncGenerator[bytes, None]) -> None:
    """Send blocks until they end, or nobody is there to take them."""
    if request.method != "HEAD":
        gone: asyncio.Task[None] | None = None
        try:
            async for block in blocks:
                await send({"type": "http.response.body", "body": block, "more_body": True})
                if gone is None and len(block) >= _BLOCK:
                    gone = asyncio.create_task(request.body.gone())
                if gone is not None and gone.done():
                    raise ConnectionError("the client went away in the middle of a download")
        finally:
            await blocks.aclose()
            if gone is not None:
                gone.cancel()
    await send({"type": "http.response.body", "body": b""})


def _read(file: BinaryIO, size: int) -> bytes:
    """Exactly `size` bytes. Raises OSError when the file has fewer: somebody changed it."""
    data = file.read(size)
    while len(data) < size:
        more = file.read(size - len(data))
        if not more:
            raise OSError(f"{file.name} is shorter than its object")
        data += more
    return data


async def _unpacked(blocks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        async for block in blocks:
            data = unpacker.decompress(block, _BLOCK)
            while data:
                yield data
                data = unpacker.decompress(unpacker.unconsumed_tail, _BLOCK)
        if data := unpacker.flush():
            yield data
    finally:
        await blocks.aclose()


def _check_times(headers: Mapping[str, str], record: ObjectRecord) -> None:
    """Raise 304 or 412 by If-Modified-Since and If-Unmodified-Since; a time that can't be read says nothing."""
    changed = datetime.fromisoformat(record.updated).replace(microsecond=0)
    for name, refused, error in (
        ("if-modified-since", lambda since: changed <= since, not_modified),
        ("if-unmodified-since", lambda since: changed > since, condition_failed),
    ):
        try:
            since = parsedate_to_datetime(headers.get(name, ""))
        except ValueError:
            continue
        if since.tzinfo and refused(since) and "if-none-match" not in headers:
            raise error()


def _takes_gzip(request: Request, record: ObjectRecord) -> bool:
    accepted = "gzip" in request.headers.get("accept-encoding", "").lower()
    return accepted or "no-transform" in record.settings.get("cacheControl", "")


def _range(asked: Mapping[str, str], size: int, told: Mapping[str, str]) -> tuple[int, int] | None:
    """(first, last) byte; None for the whole: no range, several, no sense, or of another version than what is `told`.

    Raises 416 when none of it is there.
    """
    found = _RANGE.fullmatch(asked.get("range", "").strip())
    if not found or found.group(0) == "bytes=-":
        return None
    if asked.get("if-range", "").strip('"') not in ("", told["ETag"].strip('"'), told["Last-Modified"]):
        return None
    start, end = found.groups()
    if not start:
        if int(end) == 0 or size == 0:
            raise bad_range(size)
        return max(0, size - int(end)), size - 1
    first, last = int(start), min(int(end), size - 1) if end else size - 1
    if end and int(end) < int(start):
        return None
    if first >= size:
        raise bad_range(size)
    return first, last


def _headers(record: ObjectRecord, xml: bool) -> dict[str, str]:
    settings = record.settings
    headers = {
        "Content-Type": settings.get("contentType") or "application/octet-stream",
        "ETag": record.xml_etag if xml else record.etag,
        "Last-Modified": format_datetime(datetime.fromisoformat(record.updated), usegmt=True),
        "Accept-Ranges": "bytes",
        "X-Goog-Generation": str(record.generation),
        "X-Goog-Metageneration": str(record.metageneration),
        "X-Goog-Hash": record.hashes,
        "X-Goog-Storage-Class": record.storage_class,
        "X-Goog-Stored-Content-Encoding": settings.get("contentEncoding") or "identity",
        "X-Goog-Stored-Content-Length": str(record.size),
    }
    for header, field in (
        ("Cache-Control", "cacheControl"),
        ("Content-Disposition", "contentDisposition"),
        ("Content-Language", "contentLanguage"),
    ):
        if settings.get(field):
            headers[header] = settings[field]
    if record.components:
        headers["X-Goog-Component-Count"] = str(record.components)
    if xml:
        custom = settings.get("metadata", {}).items()
        headers |= {f"x-goog-meta-{key}": value for key, value in custom if _HEADER_NAME.fullmatch(key)}
    return headers
