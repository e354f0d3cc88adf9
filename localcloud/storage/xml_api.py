"""The part of the XML API that clients of objects use: GET, HEAD, PUT and DELETE of media by its path.

TensorFlow reads so. Uploads in parts are in `xml_multipart`; all else answers 501.
https://cloud.google.com/storage/docs/xml-api/overview
"""

from __future__ import annotations

from urllib.parse import unquote

from localcloud.rest import Send
from localcloud.storage.conditions import from_request
from localcloud.storage.downloads import Downloads, xml_etag
from localcloud.storage.errors import not_emulated
from localcloud.storage.messages import Request, Response
from localcloud.storage.objects import Draft, as_generation
from localcloud.storage.records import ObjectRecord
from localcloud.storage.simple_uploads import SimpleUploads, expected_hashes
from localcloud.storage.store import Storage
from localcloud.storage.xml_multipart import MultipartUploads

_HOST = "storage.googleapis.com"
_SETTINGS = {
    "content-type": "contentType",
    "content-encoding": "contentEncoding",
    "content-disposition": "contentDisposition",
    "content-language": "contentLanguage",
    "cache-control": "cacheControl",
    "x-goog-storage-class": "storageClass",
    "x-goog-custom-time": "customTime",
}
_META = "x-goog-meta-"
# Query parameters that name something else than the object's bytes.
_OTHER = {"acl", "tagging", "compose", "retention", "legal-hold", "torrent", "cors", "lifecycle", "encryption"}
_PRIVATE = {"", "private", "project-private", "bucket-owner-full-control", "bucket-owner-read"}


class XmlApi:
    """Answers /BUCKET/OBJECT, and /OBJECT at BUCKET.storage.googleapis.com."""

    def __init__(self, storage: Storage, uploads: SimpleUploads, downloads: Downloads, parts: MultipartUploads) -> None:
        self._storage = storage
        self._uploads = uploads
        self._downloads = downloads
        self._parts = parts

    async def answer(self, request: Request, send: Send) -> Response | None:
        """The response, or None when it was sent already. Raises StorageError."""
        bucket, name = _target(request)
        query, method = request.query, request.method
        if not name:
            raise not_emulated(f"{method} of buckets in the XML API")
        if "uploads" in query and method == "POST":
            return await self._parts.start(request, draft(request, bucket, name))
        if "uploadId" in query:
            return await self._parts.answer(request, bucket, name)
        if other := _OTHER.intersection(query):
            raise not_emulated(f"{method} ?{min(other)} in the XML API")
        if method in ("GET", "HEAD"):
            return await self._downloads.send(send, request, bucket, name, xml=True)
        if method == "PUT":
            if "x-goog-copy-source" in request.headers:
                raise not_emulated("x-goog-copy-source in the XML API")
            made = await self._uploads.receive(
                draft(request, bucket, name), request.body.chunks(), expected_hashes(request.headers)
            )
            return Response(200, headers=written(made))
        if method == "DELETE":
            generation = as_generation(query.get("generation"))
            self._storage.objects.delete(bucket, name, generation, from_request(query, request.headers))
            return Response(204)
        raise not_emulated(f"{method} of objects in the XML API")


def draft(request: Request, bucket: str, name: str) -> Draft:
    """The object that a request's headers describe. Raises 400, 501."""
    headers = request.headers
    if headers.get("x-goog-acl", "") not in _PRIVATE:
        raise not_emulated("access control lists")
    if "x-goog-resumable" in headers:
        raise not_emulated("resumable uploads in the XML API")
    resource: dict[str, object] = {field: headers[name] for name, field in _SETTINGS.items() if name in headers}
    if custom := {key.removeprefix(_META): value for key, value in headers.items() if key.startswith(_META)}:
        resource["metadata"] = custom
    return Draft.of(bucket, name, resource, from_request(request.query, headers))


def written(record: ObjectRecord) -> dict[str, str]:
    """The headers that answer a PUT."""
    return {
        "ETag": xml_etag(record),
        "X-Goog-Generation": str(record.generation),
        "X-Goog-Metageneration": str(record.metageneration),
        "X-Goog-Hash": record.hashes,
        "X-Goog-Stored-Content-Length": str(record.size),
    }


def _target(request: Request) -> tuple[str, str]:
    """(bucket, object), the second "" for a bucket itself."""
    path = request.path.removeprefix("/")
    if request.host.endswith(f".{_HOST}"):
        return request.host.removesuffix(f".{_HOST}"), unquote(path)
    bucket, _, name = path.partition("/")
    return unquote(bucket), unquote(name)
