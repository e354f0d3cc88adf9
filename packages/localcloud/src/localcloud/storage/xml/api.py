"""Objects in the XML API: GET, HEAD, PUT, copy and DELETE by their path, and resumable uploads.

TensorFlow reads so, and signed URLs are of it. Uploads in parts are in `xml_multipart`, buckets in `xml_buckets`.
https://cloud.google.com/storage/docs/xml-api/overview
"""

from __future__ import annotations

from urllib.parse import unquote
from xml.sax.saxutils import escape

from localcloud.storage.admission import Asker
from localcloud.storage.conditions import Conditions, from_request, number
from localcloud.storage.copies import Source
from localcloud.storage.downloads import Downloads
from localcloud.storage.errors import invalid, not_emulated
from localcloud.storage.messages import Request, Response
from localcloud.storage.objects import Draft, as_generation
from localcloud.storage.operations import target
from localcloud.storage.records import ObjectRecord
from localcloud.storage.signed import Signatures
from localcloud.storage.store import Storage
from localcloud.storage.uploads.forms import Forms, described
from localcloud.storage.uploads.resumable import Resumables
from localcloud.storage.uploads.simple import SimpleUploads, expected_hashes
from localcloud.storage.xml.buckets import XmlBuckets
from localcloud.storage.xml.listing import NAMESPACE
from localcloud.storage.xml.multipart import MultipartUploads
from localcloud.transport.rest import Send

_SOURCE_IF = "x-goog-copy-source-if-"
_SOURCE_CONDITIONS = {f"{_SOURCE_IF}generation-match", f"{_SOURCE_IF}metageneration-match"}
# Query parameters that name something else than the object's bytes.
_OTHER = {"acl", "tagging", "compose", "retention", "legal-hold", "torrent", "cors", "lifecycle", "encryption"}
_PRIVATE = {"", "private", "project-private", "bucket-owner-full-control", "bucket-owner-read"}


class XmlApi:
    """Answers /BUCKET/OBJECT, and /OBJECT at BUCKET.storage.googleapis.com."""

    def __init__(
        self,
        storage: Storage,
        uploads: SimpleUploads,
        downloads: Downloads,
        resumables: Resumables,
        parts: MultipartUploads,
        signatures: Signatures,
    ) -> None:
        self._storage = storage
        self._forms = Forms(storage, uploads, signatures)
        self._uploads = uploads
        self._downloads = downloads
        self._resumables = resumables
        self._parts = parts
        self._buckets = XmlBuckets(storage, parts)

    async def answer(self, request: Request, asker: Asker, send: Send) -> Response | None:
        """The response, or None when it was sent already. Raises StorageError."""
        bucket, name = target(request)
        query, method = request.query, request.method
        if amazon := [header for header in request.headers if header.startswith("x-amz-")]:
            raise not_emulated(f"{amazon[0]} in the XML API")
        if not name and method == "POST" and request.headers.get("content-type", "").startswith("multipart/form-data"):
            return await self._forms.post(request, asker, bucket)
        if not name:
            return await self._buckets.answer(request, asker, bucket)
        if "upload_id" in query:
            return await self._resume(request, query["upload_id"])
        if "uploads" in query and method == "POST":
            _needs_parts(asker, bucket, name)
            return await self._parts.start(request, draft(request, bucket, name))
        if "uploadId" in query:
            return await self._part(request, asker, bucket, name)
        if other := _OTHER.intersection(query):
            raise not_emulated(f"{method} ?{min(other)} in the XML API")
        if method in ("GET", "HEAD"):
            asker.object(bucket, name, "storage.objects.get")
            public = asker.is_public(bucket, name)
            return await self._downloads.send(send, request, bucket, name, xml=True, public=public)
        if method == "DELETE":
            asker.object(bucket, name, "storage.objects.delete")
            generation = as_generation(query.get("generation"))
            self._storage.objects.delete(bucket, name, generation, from_request(query, request.headers, xml=True))
            return Response(204)
        if method == "PUT" and "x-goog-copy-source" in request.headers:
            return await self._copy(request, asker, bucket, name)
        if method == "POST" and request.headers.get("x-goog-resumable") == "start":
            asker.write(bucket, name)
            return await self._resumables.start_xml(request, draft(request, bucket, name))
        if method == "PUT" and "x-goog-resumable" not in request.headers:
            asker.write(bucket, name)
            wanted = draft(request, bucket, name)
            made = await self._uploads.receive(wanted, request.body.chunks(), expected_hashes(request.headers))
            return Response(200, headers=written(made))
        raise not_emulated(f"{method} of objects in the XML API")

    async def _resume(self, request: Request, upload_id: str) -> Response:
        if request.method == "DELETE":
            return await self._resumables.cancel(upload_id)
        if request.method != "PUT":
            raise not_emulated(f"{request.method} of a resumable upload in the XML API")
        return await self._resumables.put(request, upload_id, lambda made: Response(200, headers=written(made)))

    async def _part(self, request: Request, asker: Asker, bucket: str, name: str) -> Response:
        method = request.method
        if method == "POST":
            _needs_parts(asker, bucket, name)
            asker.write(bucket, name)
        elif method == "PUT":
            _needs_parts(asker, bucket, name)
        else:
            verb = "abort" if method == "DELETE" else "listParts"
            asker.object(bucket, name, f"storage.multipartUploads.{verb}")
        return await self._parts.answer(request, bucket, name)

    async def _copy(self, request: Request, asker: Asker, bucket: str, name: str) -> Response:
        """https://cloud.google.com/storage/docs/xml-api/put-object-copy"""
        headers = request.headers
        await request.body.discard()
        if odd := [name for name in headers if name.startswith(_SOURCE_IF) and name not in _SOURCE_CONDITIONS]:
            raise not_emulated(f"{odd[0]} in the XML API")
        taken = unquote(headers["x-goog-copy-source"]).removeprefix("/")
        from_bucket, _, from_name = taken.partition("/")
        if not from_name:
            raise invalid("Invalid argument.")
        asker.object(from_bucket, from_name, "storage.objects.get")
        asker.write(bucket, name)
        source_conditions = Conditions(
            generation_match=_number(headers.get("x-goog-copy-source-if-generation-match")),
            metageneration_match=_number(headers.get("x-goog-copy-source-if-metageneration-match")),
        )
        generation = as_generation(headers.get("x-goog-copy-source-generation"))
        source = Source(from_bucket, from_name, generation, source_conditions)
        conditions = from_request(request.query, headers, xml=True)
        changes = described(headers)
        if headers.get("x-goog-metadata-directive", "COPY").upper() != "REPLACE":
            changes = {key: value for key, value in changes.items() if key == "storageClass"}
        made = self._storage.copies.copy(source, bucket, name, changes, conditions)
        return Response.of_xml(
            f"<CopyObjectResult xmlns='{NAMESPACE}'><LastModified>{made.updated}</LastModified>"
            f"<ETag>{escape(made.xml_etag)}</ETag></CopyObjectResult>",
            {"X-Goog-Generation": str(made.generation), "X-Goog-Metageneration": str(made.metageneration)},
        )


def _number(text: str | None) -> int | None:
    return None if text is None else number(text)


def _needs_parts(asker: Asker, bucket: str, name: str) -> None:
    """https://cloud.google.com/storage/docs/access-control/iam-xml"""
    asker.object(bucket, name, "storage.multipartUploads.create")
    asker.object(bucket, name, "storage.objects.create")


def draft(request: Request, bucket: str, name: str) -> Draft:
    """The object that a request's headers describe. Raises 400, 501."""
    headers = request.headers
    if headers.get("x-goog-acl", "") not in _PRIVATE:
        raise not_emulated("access control lists")
    return Draft.of(bucket, name, described(headers), from_request(request.query, headers, xml=True))


def written(record: ObjectRecord) -> dict[str, str]:
    """The headers that answer a PUT."""
    return {
        "ETag": record.xml_etag,
        "X-Goog-Generation": str(record.generation),
        "X-Goog-Metageneration": str(record.metageneration),
        "X-Goog-Hash": record.hashes,
        "X-Goog-Stored-Content-Length": str(record.size),
    }
