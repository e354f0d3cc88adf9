"""Cloud Storage over HTTP: which of its interfaces a request is for, and how a refusal is shaped there."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from localcloud.core import fields
from localcloud.core.asked.drills import Drills
from localcloud.core.asked.usage import Usage
from localcloud.core.errors import ApiError
from localcloud.core.state import disk
from localcloud.storage import operations
from localcloud.storage.admission import Admission, Asker
from localcloud.storage.downloads import Downloads
from localcloud.storage.entrance import is_batch
from localcloud.storage.errors import XML_STATUS, StorageError, invalid, not_emulated, rendered
from localcloud.storage.json import batch
from localcloud.storage.json.api import JsonApi
from localcloud.storage.messages import Request, Response, parse_object, send_response
from localcloud.storage.records import ObjectRecord
from localcloud.storage.signed import Signatures, is_signed
from localcloud.storage.store import Storage
from localcloud.storage.uploads.resumable import Resumables
from localcloud.storage.uploads.simple import SimpleUploads
from localcloud.storage.xml.api import XmlApi
from localcloud.storage.xml.multipart import MultipartUploads
from localcloud.transport.rest import App, Receive, Scope, Send

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

# https://cloud.google.com/storage/docs/encryption/customer-supplied-keys, .../customer-managed-keys
_KEY_HEADERS = (
    "x-goog-encryption-algorithm",
    "x-goog-copy-source-encryption-algorithm",
    "x-goog-encryption-kms-key-name",
)
_KEY_QUERIES = ("kmsKeyName", "destinationKmsKeyName")
_THREADS = 8  # for writing, hashing and reading
_UPLOAD = re.compile(r"(?:/resumable)?/upload/storage/v1/b/([^/]+)/o(?:/[^/]*)?")
_MEDIA = re.compile(r"(?:/download)?/storage/v1/b/([^/]+)/o/([^/]+)")
_JSON = re.compile(r"(?:/resumable)?(?:/(?:upload|download))?/storage/v1(/.*)")


def app(cloud: Cloud) -> App:
    """The ASGI application; it needs the verified caller as scope["caller"], ANONYMOUS for none."""
    return Service(cloud)


class Service:
    """Hands each request to the JSON API, an upload, a download, a batch, or the XML API."""

    def __init__(self, cloud: Cloud) -> None:
        storage = cloud.of(Storage)
        self._drills = cloud.of(Drills)
        self._counts = cloud.of(Usage).counts
        pool = ThreadPoolExecutor(_THREADS, "storage")
        self._json = JsonApi(storage, pool)
        self._admission = Admission(storage)
        self._uploads = SimpleUploads(storage, self._admission, pool)
        self._resumables = Resumables(storage, self._admission, pool)
        self._downloads = Downloads(storage.objects, pool)
        parts = MultipartUploads(storage, self._uploads, pool)
        self._signatures = Signatures(cloud)
        self._xml = XmlApi(storage, self._uploads, self._downloads, self._resumables, parts, self._signatures)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request.of(scope, receive)
        asker = self._admission.of(request.caller, request.query, request.headers)
        started = False

        async def guarded(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            try:
                asker.enter()
                if is_signed(request) and not _JSON.fullmatch(request.path):
                    asker = replace(asker, caller=self._signatures.verify(request))
                response = await self._answer(request, asker, guarded)
                if (response is None or response.code < 300) and (charged := operations.of_bytes(request)):
                    self._counts.operation(*charged)
                if response is None:
                    return
            except ApiError as error:
                if started:
                    raise
                await request.body.discard()
                response = refusal(asker.told(error), shape(request))
            await send_response(send, response)
        except ConnectionError:
            return  # nobody is there to be answered
        except Exception as failure:
            logging.getLogger(__name__).exception("%s %s failed", request.method, request.path)
            if started:
                raise  # the server cuts the connection, so that the client doesn't take a part for the whole
            error = disk.told(failure, StorageError(500, "Backend Error", "backendError", "InternalError"))
            await request.body.discard()
            await send_response(send, refusal(error, shape(request)))

    async def _answer(self, request: Request, asker: Asker, send: Send) -> Response | None:
        """The response, or None when it was sent already."""
        path, method = request.path, request.method
        if any(request.headers.get(name) for name in _KEY_HEADERS) or any(map(request.query.get, _KEY_QUERIES)):
            raise not_emulated("encryption with keys of your own")
        if is_batch(path):
            return await batch.answer(self._json, request, self._admission, self._drills)
        if found := _UPLOAD.fullmatch(path):
            return await self._upload(request, unquote(found[1]))
        media = _MEDIA.fullmatch(path)
        if (
            media
            and method in ("GET", "HEAD")
            and (request.query.get("alt") == "media" or path.startswith("/download"))
        ):
            bucket, name = unquote(media[1]), unquote(media[2])
            asker.object(bucket, name, "storage.objects.get")
            public = asker.is_public(bucket, name)
            return await self._downloads.send(send, request, bucket, name, public=public)
        if found := _JSON.fullmatch(path):
            body = parse_object(await request.body.read())
            result = await self._json.answer(method, found[1], request.queries, request.headers, body, asker)
            if result is None:
                return Response(204)
            response = Response.of_json(result)
            return replace(response, headers={"ETag": result["etag"]}) if "etag" in result else response
        return await self._xml.answer(request, asker, send)

    async def _upload(self, request: Request, bucket: str) -> Response:
        kind, upload_id = request.query.get("uploadType", ""), request.query.get("upload_id", "")
        selection = fields.asked(request.query)

        def told(made: ObjectRecord) -> Response:
            return Response.of_json(fields.select(made.resource(), selection))

        if upload_id:
            if request.method == "DELETE":
                return await self._resumables.cancel(upload_id)
            if request.method not in ("PUT", "POST"):  # who only looks at the address must not end the upload
                raise StorageError(405, "Method Not Allowed", "methodNotAllowed")
            return await self._resumables.put(request, upload_id, told)
        if kind == "resumable":
            return await self._resumables.start(request, bucket)
        if kind not in ("media", "multipart"):
            raise invalid(f"Invalid upload type: '{kind}'")
        receive = self._uploads.media if kind == "media" else self._uploads.multipart
        return told(await receive(request, bucket))


def shape(request: Request) -> str:
    """How a refusal of this request looks: "json", "text" for media, "xml"."""
    if is_batch(request.path):
        return "json"
    if not _JSON.fullmatch(request.path):
        return "xml"
    return "text" if request.query.get("alt") == "media" else "json"


def refusal(error: ApiError, kind: str) -> Response:
    """The response that tells an error."""
    body, content_type = rendered(error, kind)
    code = XML_STATUS.get(getattr(error, "xml_code", ""), error.code) if kind == "xml" else error.code
    return Response(code, body, content_type, error.headers)
