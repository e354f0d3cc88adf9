"""Buckets in the XML API: the list of a project's, and each by its path.

https://cloud.google.com/storage/docs/xml-api/reference-methods
"""

from __future__ import annotations

import asyncio
from typing import Any
from xml.sax.saxutils import escape

from localcloud.storage.admission import Asker
from localcloud.storage.errors import not_emulated
from localcloud.storage.messages import Request, Response
from localcloud.storage.store import Storage
from localcloud.storage.xml.listing import NAMESPACE, listed
from localcloud.storage.xml.multipart import MultipartUploads
from localcloud.storage.xml.reading import malformed, parsed, plain

# Query parameters that name a part of a bucket and not its objects.
_OTHER = {
    "acl",
    "billing",
    "compose",
    "cors",
    "defaultObjectAcl",
    "encryption",
    "encryptionConfig",
    "lifecycle",
    "logging",
    "object-lock",
    "policy",
    "storageClass",
    "tagging",
    "website",
    "websiteConfig",
}


class XmlBuckets:
    """Answers GET /, and GET, HEAD, PUT and DELETE of /BUCKET."""

    def __init__(self, storage: Storage, parts: MultipartUploads) -> None:
        self._storage = storage
        self._parts = parts

    async def answer(self, request: Request, asker: Asker, bucket: str) -> Response:
        """`bucket` is "" for the list of all. Raises StorageError."""
        method, query = request.method, request.query
        body = await request.body.read()
        if not bucket:
            if method != "GET":
                raise not_emulated(f"{method} / in the XML API")
            return self._all(request, asker)
        if other := _OTHER.intersection(query):
            raise not_emulated(f"{method} ?{min(other)} of a bucket in the XML API")
        if method == "GET":
            return await self._get(request, asker, bucket)
        if method == "HEAD":
            asker.bucket(bucket, "storage.buckets.get")
            found = self._storage.buckets.get(bucket)
            headers = {"X-Goog-Metageneration": str(found["metageneration"])}
            headers |= {"X-Goog-Bucket-Location": found["location"], "X-Goog-Storage-Class": found["storageClass"]}
            return Response(200, headers=headers)
        if method == "PUT" and "versioning" in query:
            asker.bucket(bucket, "storage.buckets.update")
            status = _document(body).get("Status", "")
            if status not in ("Enabled", "Suspended"):
                raise malformed()
            self._storage.buckets.change(bucket, {"versioning": {"enabled": status == "Enabled"}})
            return Response(200)
        if method == "PUT" and not query.keys() & {"location", "uploads", "versions"}:
            return self._create(request, asker, bucket, _document(body) if body.strip() else {})
        if method == "DELETE":
            asker.bucket(bucket, "storage.buckets.delete")
            self._storage.buckets.delete(bucket)
            return Response(204)
        raise not_emulated(f"{method} of buckets in the XML API")

    async def _get(self, request: Request, asker: Asker, bucket: str) -> Response:
        query = request.query
        if "uploads" in query:
            asker.bucket(bucket, "storage.multipartUploads.list")
            return self._parts.uploads(request, bucket)
        if "location" in query:
            asker.bucket(bucket, "storage.buckets.get")
            place = self._storage.buckets.get(bucket)["location"]
            return Response.of_xml(f"<LocationConstraint xmlns='{NAMESPACE}'>{place}</LocationConstraint>")
        if "versioning" in query:
            asker.bucket(bucket, "storage.buckets.get")
            kept = self._storage.buckets.get(bucket).get("versioning")
            status = f"<Status>{'Enabled' if kept.get('enabled') else 'Suspended'}</Status>" if kept else ""
            return Response.of_xml(f"<VersioningConfiguration xmlns='{NAMESPACE}'>{status}</VersioningConfiguration>")
        asker.bucket(bucket, "storage.objects.list")
        return Response.of_xml(await asyncio.to_thread(listed, self._storage, bucket, query))

    def _all(self, request: Request, asker: Asker) -> Response:
        """The buckets of the project that a header names, else of the caller's own."""
        project = request.headers.get("x-goog-project-id") or asker.caller.project
        asker.project(project, "storage.buckets.list")
        entries = "".join(
            f"<Bucket><Name>{escape(found['name'])}</Name><CreationDate>{found['timeCreated']}</CreationDate></Bucket>"
            for found in self._storage.buckets.list(project)
        )
        return Response.of_xml(
            f"<ListAllMyBucketsResult xmlns='{NAMESPACE}'><Buckets>{entries}</Buckets></ListAllMyBucketsResult>"
        )

    def _create(self, request: Request, asker: Asker, bucket: str, document: dict[str, str]) -> Response:
        """https://cloud.google.com/storage/docs/xml-api/put-bucket-create"""
        headers = request.headers
        if headers.get("x-goog-acl", "private") not in ("private", "project-private"):
            raise not_emulated("access control lists")
        project = headers.get("x-goog-project-id") or asker.caller.project
        asker.project(project, "storage.buckets.create")
        resource: dict[str, Any] = {"name": bucket, "location": document.get("LocationConstraint") or "US"}
        if storage_class := document.get("StorageClass") or headers.get("x-goog-storage-class"):
            resource["storageClass"] = storage_class
        self._storage.buckets.create(project, resource, asker.caller.email)
        return Response(200)


def _document(raw: bytes) -> dict[str, str]:
    """The elements of a small document, by their names without a namespace. Raises 400."""
    return {plain(child.tag): (child.text or "").strip() for child in parsed(raw).iter()}
