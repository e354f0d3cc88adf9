"""Uploads in one request: uploadType=media and uploadType=multipart.

https://cloud.google.com/storage/docs/json_api/v1/objects/insert
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from localcloud.storage import acl, names
from localcloud.storage.admission import Admission
from localcloud.storage.bucket_settings import is_uniform
from localcloud.storage.conditions import from_request
from localcloud.storage.messages import Request, parse_object
from localcloud.storage.metadata import Resource
from localcloud.storage.objects import Content, Draft, Expected
from localcloud.storage.records import ObjectRecord
from localcloud.storage.store import Storage
from localcloud.storage.uploads import multipart
from localcloud.storage.uploads.intake import Intake


class SimpleUploads:
    """Receives objects; what is cut off in the middle leaves nothing."""

    def __init__(self, storage: Storage, admission: Admission, pool: ThreadPoolExecutor) -> None:
        self._storage = storage
        self._admission = admission
        self._pool = pool

    async def media(self, request: Request, bucket: str) -> ObjectRecord:
        """The body is the object; its name is in the query. Raises 400, 404, 412."""
        draft = draft_of(self._admission, request, bucket, {"contentType": request.headers.get("content-type")})
        return await self.receive(draft, request.body.chunks(), expected_hashes(request.headers))

    async def multipart(self, request: Request, bucket: str) -> ObjectRecord:
        """The body is a JSON resource and then the object. Raises 400, 404, 412."""
        reader = multipart.MultipartReader(request.body, multipart.boundary(request.headers.get("content-type", "")))
        document, content_type = await reader.metadata()
        resource = {"contentType": content_type or None, **parse_object(document)}
        draft = draft_of(self._admission, request, bucket, resource)
        return await self.receive(draft, reader.data(), expected_hashes(request.headers))

    async def receive(self, draft: Draft, chunks: AsyncIterator[bytes], expected: Expected) -> ObjectRecord:
        """Take bytes to their end and make them the object. Raises 400, 412, ConnectionError when they are cut off."""
        self._storage.objects.check(draft)
        content = await self.receive_content(chunks)
        return self._storage.objects.commit(draft, content, expected)

    async def receive_content(self, chunks: AsyncIterator[bytes]) -> Content:
        """Take bytes to their end into a blob that nothing names yet. Raises ConnectionError when they are cut off."""
        intake = Intake(self._storage.blobs.create(), self._pool)
        try:
            async for chunk in chunks:
                await intake.write(chunk)
            writer = await intake.finish()
        except BaseException:
            await intake.abandon()
            raise
        return Content.of(writer.blob, writer.hashes)


def draft_of(admission: Admission, request: Request, bucket: str, resource: Resource) -> Draft:
    """The object that an upload is to make, from its JSON resource and its query. Raises 400, 401, 403, 404, 501."""
    query = request.query
    name = resource.get("name") or query.get("name") or ""
    asker = admission.of(request.caller, query, request.headers)
    asker.write(bucket, str(name))
    if resource.get("retention"):
        asker.object(bucket, str(name), "storage.objects.setRetention")
    length = request.headers.get("content-length", "")
    names.check_size(int(length) if length.isdecimal() else 0)
    if query.get("contentEncoding"):
        resource = resource | {"contentEncoding": query["contentEncoding"]}
    uniform = is_uniform(admission.storage.objects.bucket(bucket))
    acl.refuse_lists(uniform, acl.INSERT, query.get("predefinedAcl"), given=resource.get("acl"))
    return Draft.of(bucket, name, resource, from_request(query, request.headers))


def expected_hashes(headers: Mapping[str, str]) -> Expected:
    """What `x-goog-hash` ("crc32c=...,md5=...") and `Content-MD5` say."""
    found: dict[str, str] = {}
    for part in headers.get("x-goog-hash", "").split(","):
        kind, _, value = part.strip().partition("=")
        found[kind] = value
    return Expected(found.get("md5") or headers.get("content-md5", ""), found.get("crc32c", ""))
