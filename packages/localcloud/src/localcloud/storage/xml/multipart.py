"""Uploads in parts, at the same time: the XML API's multipart uploads, which transfer_manager uses.

https://cloud.google.com/storage/docs/multipart-uploads
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import BinaryIO
from xml.sax.saxutils import escape

from localcloud.storage.blobs import BlobWriter
from localcloud.storage.errors import StorageError, invalid, no_upload, not_emulated
from localcloud.storage.messages import Request, Response
from localcloud.storage.objects import Content, Draft
from localcloud.storage.records import encode, encode_crc32c, timestamp
from localcloud.storage.store import Storage
from localcloud.storage.uploads.records import MULTIPART, Part, Upload
from localcloud.storage.uploads.simple import SimpleUploads, expected_hashes
from localcloud.storage.xml.listing import whole
from localcloud.storage.xml.reading import malformed, parsed, plain

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_MOST_PARTS = 10_000
_PAGE = 1000
_SMALLEST_PART = 5 << 20  # bytes; the last may be smaller


class MultipartUploads:
    """Start, part, complete, abort."""

    def __init__(self, storage: Storage, uploads: SimpleUploads, pool: ThreadPoolExecutor) -> None:
        self._storage = storage
        self._uploads = uploads
        self._pool = pool

    async def start(self, request: Request, draft: Draft) -> Response:
        await request.body.discard()
        self._storage.objects.bucket(draft.bucket)
        upload_id = self._storage.uploads.start(MULTIPART, draft)
        bucket, name = escape(draft.bucket), escape(draft.name)
        made = Response.of_xml(
            f"<InitiateMultipartUploadResult xmlns='{_NAMESPACE}'><Bucket>{bucket}</Bucket><Key>{name}</Key>"
            f"<UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
        )
        # Not documented; Node's client takes the answer for text, which its HTTP library gives for text/* alone.
        return replace(made, content_type="text/xml; charset=UTF-8")

    async def answer(self, request: Request, bucket: str, name: str) -> Response:
        """A request with an uploadId. Raises 404, 400."""
        upload = self._storage.uploads.get(MULTIPART, request.query["uploadId"], bucket, name)
        if request.method == "PUT":
            return await self._part(request, upload)
        if request.method == "POST":
            return await self._complete(request, upload)
        if request.method == "DELETE":
            self._storage.uploads.cancel(upload.id)
            return Response(204)
        if request.method == "GET":
            return self._listed_parts(request, upload)
        raise not_emulated(f"{request.method} of a multipart upload")

    async def _part(self, request: Request, upload: Upload) -> Response:
        text = request.query.get("partNumber", "")
        if not text.isdecimal() or not 1 <= int(text) <= _MOST_PARTS:
            raise invalid("Invalid argument.")
        content = await self._uploads.receive_content(request.body.chunks())
        try:
            expected_hashes(request.headers).check(content)
            self._storage.uploads.get(MULTIPART, upload.id)  # may have ended meanwhile
            part = Part(int(text), content.blob, content.size, content.md5)
            self._storage.uploads.put_part(upload.id, part)
        except StorageError:
            self._storage.blobs.discard([content.blob])
            raise
        hashes = f"crc32c={encode_crc32c(content.crc32c)},md5={encode(content.md5)}"
        return Response(200, headers={"ETag": f'"{content.md5.hex()}"', "X-Goog-Hash": hashes})

    async def _complete(self, request: Request, upload: Upload) -> Response:
        wanted = _listed(await request.body.read())
        if upload.result:
            made = self._storage.objects.get(upload.draft.bucket, upload.draft.name, upload.result)
        else:
            parts = _chosen(self._storage.uploads.parts(upload.id), wanted)
            loop = asyncio.get_running_loop()
            writer = await loop.run_in_executor(self._pool, self._joined, parts)
            self._storage.uploads.get(MULTIPART, upload.id)  # may have ended meanwhile
            hashes = writer.hashes
            content = Content(writer.blob, hashes.size, hashes.crc32c, b"")  # Google gives these no MD5
            made = self._storage.uploads.finish(upload, content, expected_hashes(request.headers))
        bucket, name = escape(made.bucket), escape(made.name)
        return Response.of_xml(
            f"<CompleteMultipartUploadResult xmlns='{_NAMESPACE}'>"
            f"<Location>http://{bucket}.storage.googleapis.com/{name}</Location><Bucket>{bucket}</Bucket>"
            f"<Key>{name}</Key><ETag>{escape(made.xml_etag)}</ETag></CompleteMultipartUploadResult>",
            {"X-Goog-Generation": str(made.generation), "X-Goog-Hash": made.hashes},
        )

    def _listed_parts(self, request: Request, upload: Upload) -> Response:
        """https://cloud.google.com/storage/docs/xml-api/get-object-multipart"""
        after, limit = whole(request.query, "part-number-marker", 0), whole(request.query, "max-parts", _PAGE)
        there = [part for part in self._storage.uploads.parts(upload.id) if part.number > after]
        page, more = there[: min(limit, _PAGE)], len(there) > min(limit, _PAGE)
        text = "".join(
            f"<Part><PartNumber>{part.number}</PartNumber><ETag>&quot;{part.md5.hex()}&quot;</ETag>"
            f"<Size>{part.size}</Size></Part>"
            for part in page
        )
        last = page[-1].number if page and more else 0
        return Response.of_xml(
            f"<ListPartsResult xmlns='{_NAMESPACE}'><Bucket>{escape(upload.draft.bucket)}</Bucket>"
            f"<Key>{escape(upload.draft.name)}</Key><UploadId>{upload.id}</UploadId>"
            f"<StorageClass>{upload.draft.storage_class or 'STANDARD'}</StorageClass>"
            f"<PartNumberMarker>{after}</PartNumberMarker><NextPartNumberMarker>{last}</NextPartNumberMarker>"
            f"<MaxParts>{min(limit, _PAGE)}</MaxParts><IsTruncated>{str(more).lower()}</IsTruncated>{text}"
            "</ListPartsResult>"
        )

    def uploads(self, request: Request, bucket: str) -> Response:
        """The unfinished ones of a bucket: https://cloud.google.com/storage/docs/xml-api/get-bucket-uploads"""
        query = request.query
        prefix, delimiter, limit = (
            query.get("prefix", ""),
            query.get("delimiter", ""),
            whole(query, "max-uploads", _PAGE),
        )
        if delimiter:
            raise not_emulated("a delimiter in a list of multipart uploads")
        after = (query.get("key-marker", ""), query.get("upload-id-marker", "\U0010ffff"))
        there = sorted(
            (name, key, started) for key, name, started in self._storage.uploads.unfinished(MULTIPART, bucket)
        )
        there = [one for one in there if one[0].startswith(prefix) and (not after[0] or one[:2] > after)]
        page, more = there[: min(limit, _PAGE)], len(there) > min(limit, _PAGE)
        text = "".join(
            f"<Upload><Key>{escape(name)}</Key><UploadId>{key}</UploadId><StorageClass>STANDARD</StorageClass>"
            f"<Initiated>{timestamp(datetime.fromtimestamp(started, UTC))}</Initiated></Upload>"
            for name, key, started in page
        )
        following = (
            f"<NextKeyMarker>{escape(page[-1][0])}</NextKeyMarker>"
            f"<NextUploadIdMarker>{page[-1][1]}</NextUploadIdMarker>"
            if page and more
            else ""
        )
        return Response.of_xml(
            f"<ListMultipartUploadsResult xmlns='{_NAMESPACE}'><Bucket>{escape(bucket)}</Bucket>"
            f"<KeyMarker>{escape(after[0])}</KeyMarker><Prefix>{escape(prefix)}</Prefix>{following}"
            f"<MaxUploads>{min(limit, _PAGE)}</MaxUploads><IsTruncated>{str(more).lower()}</IsTruncated>{text}"
            "</ListMultipartUploadsResult>"
        )

    def _joined(self, parts: list[Part]) -> BlobWriter:
        """A blob of all parts. Raises 404 when the upload is aborted meanwhile."""
        try:
            return self._storage.blobs.join(self._opened(parts))
        except FileNotFoundError:
            raise no_upload() from None

    def _opened(self, parts: list[Part]) -> Iterator[BinaryIO]:
        for part in parts:  # one at a time: there may be more of them than a process may open
            with self._storage.blobs.open(part.blob) as file:
                yield file


def _listed(raw: bytes) -> dict[int, str]:
    """Part number -> ETag of a CompleteMultipartUpload document. Raises 400."""
    found = {}
    try:
        for part in parsed(raw):
            if plain(part.tag) == "Part":
                values = {plain(child.tag): (child.text or "").strip() for child in part}
                found[int(values["PartNumber"])] = values["ETag"].strip('"')
    except (KeyError, ValueError):
        raise malformed() from None
    if not found:
        raise malformed()
    return found


def _chosen(parts: list[Part], wanted: dict[int, str]) -> list[Part]:
    """The wanted parts in the order of their numbers. Raises 400 for one that isn't there or is too small."""
    there = {part.number: part for part in parts}
    chosen = []
    for number, etag in sorted(wanted.items()):
        part = there.get(number)
        if part is None or part.md5.hex() != etag:
            raise invalid(f"Part {number} was not found.", "InvalidPart")
        chosen.append(part)
    for part in chosen[:-1]:
        if part.size < _SMALLEST_PART:
            raise invalid(f"Part {part.number} has {part.size} bytes, under {_SMALLEST_PART}.", "EntityTooSmall")
    return chosen
