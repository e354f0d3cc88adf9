"""What is known about one object, and how the JSON API shows it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from localcloud.storage.times import later, parse_time

LIVE, NONCURRENT, SOFT_DELETED = "live", "noncurrent", "soft"

# What a client may say about an object: https://cloud.google.com/storage/docs/json_api/v1/objects#resource
WRITABLE = (
    "contentType",
    "contentEncoding",
    "contentDisposition",
    "contentLanguage",
    "cacheControl",
    "metadata",
    "customTime",
    "eventBasedHold",
    "temporaryHold",
    "retention",
    "contexts",
)


@dataclass(frozen=True)
class ObjectRecord:
    """One generation of an object. `blob` names the file with its bytes; `settings` has the WRITABLE fields.

    Times are RFC 3339 texts, "" for never: `deleted` when it became noncurrent, `soft_deleted` and `hard_deleted` when
    it was soft-deleted and will be gone for good, `class_set` when its class changed, `released` when its event-based
    hold ended. `md5` is b"" for composed objects and `components` 0 for others. `period` is that of its bucket's
    retention policy in seconds, 0 for none; it is not kept with the object.
    """

    bucket: str
    name: str
    generation: int
    metageneration: int
    state: str
    size: int
    blob: str
    crc32c: int
    md5: bytes
    components: int
    storage_class: str
    created: str
    updated: str
    deleted: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    soft_deleted: str = ""
    hard_deleted: str = ""
    class_set: str = ""
    released: str = ""
    period: int = 0

    @property
    def retained_until(self) -> datetime | None:
        """Until when it can't be deleted or overwritten; an event-based hold puts the bucket's policy off."""
        own = (self.settings.get("retention") or {}).get("retainUntilTime")
        ends = [parse_time(own, "retainUntilTime")] if own else []
        if self.period and not self.settings.get("eventBasedHold"):
            ends.append(later(parse_time(self.released or self.created, "timeCreated"), self.period))
        return max(ends, default=None)

    @property
    def etag(self) -> str:
        """Base64 of a protobuf message with generation and metageneration, as Google's are."""
        return version_etag(self.generation, self.metageneration)

    @property
    def xml_etag(self) -> str:
        """The ETag of the XML API, in quotes: the MD5 in hexadecimal where there is one."""
        return f'"{self.md5.hex()}"' if self.md5 else f'"-{self.etag}"'

    @property
    def hashes(self) -> str:
        """The value of an x-goog-hash header."""
        md5 = f",md5={encode(self.md5)}" if self.md5 else ""
        return f"crc32c={encode_crc32c(self.crc32c)}{md5}"

    def resource(self) -> dict[str, Any]:
        """The JSON resource `storage#object`."""
        path = f"/storage/v1/b/{self.bucket}/o/{quote(self.name, safe='')}"
        shown: dict[str, Any] = {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": f"https://www.googleapis.com{path}",
            "mediaLink": f"https://storage.googleapis.com/download{path}?generation={self.generation}&alt=media",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "storageClass": self.storage_class,
            "size": str(self.size),
            "crc32c": encode_crc32c(self.crc32c),
            "etag": self.etag,
            "timeCreated": self.created,
            "updated": self.updated,
            "timeStorageClassUpdated": self.class_set or self.created,
            "timeFinalized": self.created,
        }
        if self.md5:
            shown["md5Hash"] = encode(self.md5)
        if self.components:
            shown["componentCount"] = self.components
        if self.deleted:
            shown["timeDeleted"] = self.deleted
        if self.soft_deleted:
            shown |= {"softDeleteTime": self.soft_deleted, "hardDeleteTime": self.hard_deleted}
        if until := self.retained_until:
            shown["retentionExpirationTime"] = timestamp(until)
        return shown | self.settings


def writable(resource: dict[str, Any]) -> dict[str, Any]:
    """The fields of a client's resource that it may set, without nulls."""
    kept = {name: resource[name] for name in WRITABLE if resource.get(name) is not None}
    if "metadata" in kept:
        kept["metadata"] = {key: value for key, value in kept["metadata"].items() if value is not None}
    return kept


def merged(present: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """JSON merge patch (RFC 7386): null removes, objects merge, all else replaces."""
    result = dict(present)
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            inner = result.get(name)
            result[name] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            result[name] = value
    return result


def timestamp(moment: datetime) -> str:
    """RFC 3339 with milliseconds, as Storage writes times."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def encode_crc32c(crc: int) -> str:
    """Base64 of the big-endian checksum."""
    return encode(crc.to_bytes(4, "big"))


def version_etag(generation: int, metageneration: int) -> str:
    """Fields 1 and 2 of a protobuf message as varints, in base64."""
    first = b"\x08" + _varint(generation) if generation else b""
    return encode(first + b"\x10" + _varint(metageneration)) if first else encode(b"\x08" + _varint(metageneration))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
