"""Resumable uploads: a session that takes an object's bytes in as many requests, and server lives, as it needs.

https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from localcloud.core.state.disk import is_full
from localcloud.storage import names
from localcloud.storage.admission import Admission
from localcloud.storage.blobs import BlobWriter, Hashes
from localcloud.storage.errors import StorageError, invalid, no_upload
from localcloud.storage.messages import Request, Response, parse_object
from localcloud.storage.objects import Content, Draft
from localcloud.storage.records import ObjectRecord
from localcloud.storage.store import Storage
from localcloud.storage.uploads.intake import Intake
from localcloud.storage.uploads.records import RESUMABLE, Upload
from localcloud.storage.uploads.simple import draft_of, expected_hashes

_CANCELLED = 499  # Google's own code for it
_QUANTUM = 256 * 1024  # bytes: pieces but the last have as many or more, and whole ones of these are kept
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+|\*)|\*)/(\d+|\*)")


@dataclass(frozen=True)
class _Piece:
    """What one request brings: bytes from `start` on, up to `end` (exclusive); `start` None: none, it only asks.

    `total` is the size of the object where the client knows it; `whole`: the body is all of it.
    """

    start: int | None
    end: int | None = None
    total: int | None = None
    whole: bool = False

    @property
    def last(self) -> bool:
        """Whether the object ends with it."""
        return self.whole or self.end == self.total


class _Turn:
    """Who has a session now, and the running hashes of what it has taken."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.task: asyncio.Task[object] | None = None
        self.ended: asyncio.Task[object] | None = None
        self.hashes: Hashes | None = None
        self.refusal: StorageError | None = None  # for good


def _resource(made: ObjectRecord) -> Response:
    return Response.of_json(made.resource())


class Resumables:
    """Sessions over HTTP. The running hashes live in memory; after a restart they are read from the file again."""

    def __init__(self, storage: Storage, admission: Admission, pool: ThreadPoolExecutor) -> None:
        self._storage = storage
        self._admission = admission
        self._pool = pool
        self._turns: dict[str, _Turn] = {}

    async def start(self, request: Request, bucket: str) -> Response:
        """Open a session; its address is the Location. Raises 400, 404, 412."""
        resource = parse_object(await request.body.read())
        if not resource.get("contentType"):
            resource["contentType"] = request.headers.get("x-upload-content-type")
        draft = draft_of(self._admission, request, bucket, resource)
        upload_id = self._opened(request, draft)
        wanted = {"fields": request.query["fields"]} if request.query.get("fields") else {}
        said = {"uploadType": "resumable", "name": draft.name, **wanted, "upload_id": upload_id}
        query = urlencode(said, quote_via=quote)
        location = f"{request.base}/upload/storage/v1/b/{bucket}/o?{query}"
        return Response(200, headers={"Location": location, "X-GUploader-UploadID": upload_id})

    async def start_xml(self, request: Request, draft: Draft) -> Response:
        """The same in the XML API: https://cloud.google.com/storage/docs/xml-api/post-object-resumable"""
        await request.body.discard()
        upload_id = self._opened(request, draft)
        location = f"{request.base}{request.path}?{urlencode({'upload_id': upload_id})}"
        return Response(201, headers={"Location": location, "X-GUploader-UploadID": upload_id})

    def _opened(self, request: Request, draft: Draft) -> str:
        self._storage.objects.check(draft)
        length = request.headers.get("x-upload-content-length", "")
        total = int(length) if length.isdecimal() else None
        names.check_size(total or 0)
        return self._storage.uploads.start(RESUMABLE, draft, total)

    async def cancel(self, upload_id: str) -> Response:
        """End a session. Raises 404."""
        async with self._turn(upload_id):
            if self._storage.uploads.get(RESUMABLE, upload_id).result:
                raise no_upload()
            self._storage.uploads.cancel(upload_id)
        return Response(_CANCELLED)

    async def put(
        self, request: Request, upload_id: str, told: Callable[[ObjectRecord], Response] = _resource
    ) -> Response:
        """Take a piece, or tell how far it is: 308 with the Range that is safe, or what is `told` of the object.

        Whoever knows the session may go on with it: its address is what admits.

        Raises 400, 404, 412; a refusal of the whole object ends the session.
        """
        piece = _piece(request.headers.get("content-range"))
        async with self._turn(upload_id) as turn:
            if turn.refusal:
                raise turn.refusal
            upload = self._storage.uploads.get(RESUMABLE, upload_id)
            if upload.result:
                self._turns.pop(upload_id, None)
                await request.body.discard()
                made = self._storage.objects.get(upload.draft.bucket, upload.draft.name, upload.result)
                return told(made)
            if piece.start is None:
                await request.body.discard()
            else:
                turn.refusal = _too_small(piece)
                if turn.refusal:
                    self._storage.uploads.cancel(upload_id)
                    raise turn.refusal
                end = piece.end if piece.last or piece.end is None else piece.end // _QUANTUM * _QUANTUM
                try:
                    await self._append(request, upload, piece.start, end, turn)
                except OSError as error:
                    if is_full(error):  # its client gives up: what it has sent is in the way of others
                        self._turns.pop(upload_id, None)
                        self._storage.uploads.cancel(upload_id)
                    raise
            have = self._storage.blobs.size(upload.blob)
            total = have if piece.whole else piece.total
            if total is not None and have >= total:
                said = total if upload.total is None else upload.total
                if have > min(said, total):  # nothing can make it right
                    self._turns.pop(upload_id, None)
                    self._storage.uploads.cancel(upload_id)
                if have > total or said != total:
                    raise invalid(f"{have} bytes came for an upload of {said}.")
                return told(await self._finish(request, upload, turn))
        headers = {"Range": f"bytes=0-{have - 1}"} if have else {}
        # Go's client follows redirects by itself, and asks not to be answered by what looks like one.
        if request.headers.get("x-guploader-no-308", "").lower() == "yes":
            return Response(200, headers={**headers, "X-Http-Status-Code-Override": "308"})
        return Response(308, headers=headers)

    async def _append(self, request: Request, upload: Upload, start: int, end: int | None, turn: _Turn) -> None:
        """Write what is new of the bytes `start`..`end`. What came is kept also when the client goes away."""
        writer = await self._run(lambda: self._storage.blobs.append(upload.blob, turn.hashes))
        turn.hashes = writer.hashes
        intake = Intake(writer, self._pool)
        skip = writer.hashes.size - start
        room = end - start if end is not None else None
        try:
            if skip < 0:
                raise _gap(start, writer.hashes.size)
            async for chunk in request.body.chunks():
                if room is not None:
                    chunk = chunk[: max(room, 0)]
                    room -= len(chunk)
                known = min(skip, len(chunk))
                skip -= known
                if known < len(chunk):
                    await intake.write(chunk[known:])
        finally:
            await intake.keep()

    async def _finish(self, request: Request, upload: Upload, turn: _Turn) -> ObjectRecord:
        """Make the object of what the session has."""
        writer = await self._run(lambda: self._storage.blobs.append(upload.blob, turn.hashes))
        writer.close()
        self._turns.pop(upload.id, None)
        content = Content.of(upload.blob, writer.hashes)
        return self._storage.uploads.finish(upload, content, expected_hashes(request.headers))

    @asynccontextmanager
    async def _turn(self, upload_id: str) -> AsyncIterator[_Turn]:
        """The session for one request. A newer request ends an older one: its client has likely given it up."""
        turn = self._turns.setdefault(upload_id, _Turn())
        if turn.task is not None:
            turn.ended = turn.task
            turn.task.cancel()
        async with turn.lock:
            turn.task = asyncio.current_task()
            try:
                yield turn
            except asyncio.CancelledError:
                if turn.ended is asyncio.current_task():
                    raise ConnectionError("a newer request goes on with this upload") from None
                raise
            except StorageError as error:
                if error.code == 404:
                    self._turns.pop(upload_id, None)
                raise
            finally:
                turn.task = None

    async def _run(self, work: Callable[[], BlobWriter]) -> BlobWriter:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _too_small(piece: _Piece) -> StorageError | None:
    """What Google's upload server says of a piece in the middle that is under its measure."""
    if piece.last or piece.start is None or piece.end is None or not 0 < piece.end - piece.start < _QUANTUM:
        return None
    error = invalid(
        f"Invalid request.  The number of bytes uploaded is required to be equal or greater than {_QUANTUM}, except "
        f"for the final request (it's recommended to be the exact multiple of {_QUANTUM}).  The received request "
        f"contained {piece.end - piece.start} bytes, which does not meet this requirement."
    )
    error.bare = True
    return error


def _gap(start: int, have: int) -> StorageError:
    message = (
        f"Invalid request.  According to the Content-Range header, the upload offset is {start} byte(s), which exceeds "
        f"already uploaded size of {have} byte(s)."
    )
    error = StorageError(503, message, "backendError")
    error.bare = True
    return error


def _piece(content_range: str | None) -> _Piece:
    """Raises 400."""
    if content_range is None:
        return _Piece(0, whole=True)
    found = _RANGE.fullmatch(content_range.strip())
    if not found:
        raise invalid(f"Failed to parse Content-Range header: {content_range}")
    first, last, size = found.groups()
    total = None if size == "*" else int(size)
    names.check_size(total or 0)
    if first is None:
        return _Piece(None, total=total)
    if last == "*":  # to the end of the body, which is that of the object where its size is not told
        return _Piece(int(first), None, total, whole=total is None)
    if int(last) < int(first) - 1 or (total is not None and int(last) >= total):
        raise invalid(f"Failed to parse Content-Range header: {content_range}")
    return _Piece(int(first), int(last) + 1, total)
