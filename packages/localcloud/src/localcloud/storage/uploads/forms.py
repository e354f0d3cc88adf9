"""Objects that come in HTML forms, by a policy that a service account signed.

https://cloud.google.com/storage/docs/xml-api/post-object-forms and
https://cloud.google.com/storage/docs/authentication/signatures#policy-document
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from localcloud.storage.admission import Asker
from localcloud.storage.errors import StorageError, invalid, not_emulated
from localcloud.storage.messages import Request, Response
from localcloud.storage.objects import Draft
from localcloud.storage.signed import Signatures, check_time
from localcloud.storage.store import Storage
from localcloud.storage.uploads.multipart import FormReader, boundary
from localcloud.storage.uploads.simple import SimpleUploads, expected_hashes

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
# Other fields of Google's own that a form can have; one that it does not know is refused.
_OWN = {*_SETTINGS, *(f"x-goog-{name}" for name in ("algorithm", "credential", "date", "signature", "hash"))}
# Fields that no condition of the policy needs to name.
_FREE = {"policy", "x-goog-signature", "file"}
_SIZE = "content-length-range"


class Forms:
    """Answers POST of multipart/form-data to a bucket."""

    def __init__(self, storage: Storage, uploads: SimpleUploads, signatures: Signatures) -> None:
        self._storage = storage
        self._uploads = uploads
        self._signatures = signatures

    async def post(self, request: Request, asker: Asker, bucket: str) -> Response:
        """Make the object of a form; without a policy anybody must be allowed to. Raises 400, 401, 403, 404."""
        reader = FormReader(request.body, boundary(request.headers["content-type"]))
        fields = await reader.fields()
        chunks = reader.data()
        if fields.get("policy"):
            asker = replace(asker, caller=self._signatures.form(fields))
            chunks = _within(chunks, self._checked(fields, bucket))
        if odd := [
            one for one in fields if one.startswith("x-goog-") and one not in _OWN and not one.startswith(_META)
        ]:
            raise invalid(f"Invalid form field: {odd[0]}")
        name = fields.get("key", "").replace("${filename}", fields["file"])
        if fields.get("acl", "private") not in ("private", "project-private"):
            raise not_emulated("access control lists")
        asker.write(bucket, name)
        made = await self._uploads.receive(Draft.of(bucket, name, described(fields)), chunks, expected_hashes(fields))
        await request.body.discard()
        place = f"{request.base}/{quote(bucket)}/{quote(name)}"
        if target := fields.get("success_action_redirect"):
            return Response(303, headers={"Location": target})
        etag = made.xml_etag
        if fields.get("success_action_status") == "201":
            answer = Response.of_xml(
                f"<PostResponse><Location>{escape(place)}</Location><Bucket>{bucket}</Bucket><Key>{escape(name)}</Key>"
                f"<ETag>{escape(etag)}</ETag></PostResponse>",
                {"Location": place, "ETag": etag},
            )
            return replace(answer, code=201)
        code = 200 if fields.get("success_action_status") == "200" else 204
        return Response(code, headers={"Location": place, "ETag": etag})

    def _checked(self, fields: Mapping[str, str], bucket: str) -> tuple[int, int] | None:
        """The sizes that the policy allows, None for all. Raises 400 unless the fields are as it says."""
        try:
            policy = json.loads(base64.b64decode(fields["policy"], validate=True))
            ends = datetime.fromisoformat(policy["expiration"])
            rules = [_rule(condition) for condition in policy["conditions"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _unfit("The policy document is not well-formed.") from None
        ends = ends if ends.tzinfo else ends.replace(tzinfo=UTC)
        check_time(ends, datetime.fromtimestamp(self._storage.cloud.clock.wall(), UTC))
        there = {**fields, "bucket": bucket}
        sizes: tuple[int, int] | None = None
        for kind, name, wanted in rules:
            value = there.get(name, "")
            if kind == _SIZE:
                sizes = wanted
            elif not (value.startswith(wanted) if kind == "starts-with" else value == wanted):
                raise _unfit(f"The field {name} does not meet its condition.")
        named = {name for _, name, _ in rules}
        for name in fields:
            if name not in named | _FREE and not name.startswith("x-ignore-"):
                raise _unfit(f"No condition of the policy names the field {name}.")
        return sizes


def described(headers: Mapping[str, str]) -> dict[str, Any]:
    """The JSON resource that the headers of an upload, or the fields of a form, are for."""
    resource: dict[str, Any] = {field: headers[name] for name, field in _SETTINGS.items() if name in headers}
    if custom := {key.removeprefix(_META): value for key, value in headers.items() if key.startswith(_META)}:
        resource["metadata"] = custom
    return resource


def _rule(condition: Any) -> tuple[str, str, Any]:
    """(kind, field, what it must be) of one condition. Raises ValueError, TypeError, AttributeError."""
    if isinstance(condition, dict):
        ((name, value),) = condition.items()
        return "eq", name.lower(), str(value)
    kind, first, second = condition
    if kind == _SIZE:
        return kind, "", (int(first), int(second))
    if kind not in ("eq", "starts-with"):
        raise ValueError(kind)
    return kind, first.lower().removeprefix("$"), str(second)


async def _within(chunks: AsyncIterator[bytes], sizes: tuple[int, int] | None) -> AsyncIterator[bytes]:
    """The same bytes. Raises 400 when there are too many or too few."""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if sizes and size > sizes[1]:
            raise invalid(f"Content-length exceeds upper bound on range: {sizes[1]}", "EntityTooLarge")
        yield chunk
    if sizes and size < sizes[0]:
        raise invalid(f"Content-length smaller than lower bound on range: {sizes[0]}", "EntityTooSmall")


def _unfit(message: str) -> StorageError:
    return invalid(message, "InvalidPolicyDocument")
