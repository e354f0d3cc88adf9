"""Objects that are about to be made: their bytes, and what their sender says about them."""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.storage import names, protection
from localcloud.storage.blobs import Hashes
from localcloud.storage.conditions import ANY, Conditions
from localcloud.storage.errors import invalid
from localcloud.storage.metadata import Resource
from localcloud.storage.records import encode, encode_crc32c, writable


@dataclass(frozen=True)
class Content:
    """Bytes that are complete in a blob and wait for their object. `components` 0: not composed."""

    blob: str
    size: int
    crc32c: int
    md5: bytes
    components: int = 0

    @classmethod
    def of(cls, blob: str, hashes: Hashes, components: int = 0) -> Content:
        """Composed content has no MD5: https://cloud.google.com/storage/docs/composite-objects"""
        return cls(blob, hashes.size, hashes.crc32c, b"" if components else hashes.md5, components)


@dataclass(frozen=True)
class Expected:
    """Checksums that the sender says its bytes have, in base64; "" for none given."""

    md5: str = ""
    crc32c: str = ""

    def check(self, content: Content) -> None:
        """Raise 400 in Google's words when they are not those of the content."""
        md5, crc32c = encode(content.md5), encode_crc32c(content.crc32c)
        if self.md5 and content.md5 and self.md5 != md5:
            raise invalid(f'Provided MD5 hash "{self.md5}" doesn\'t match calculated MD5 hash "{md5}".', "BadDigest")
        if self.crc32c and self.crc32c != crc32c:
            raise invalid(
                f'Provided CRC32C "{self.crc32c}" doesn\'t match calculated CRC32C "{crc32c}".', "CrcMismatch"
            )


@dataclass(frozen=True)
class Draft:
    """An object to be made: its name, what its sender says about it, and under which conditions."""

    bucket: str
    name: str
    settings: Resource
    storage_class: str = ""
    conditions: Conditions = ANY
    expected: Expected = Expected()

    @classmethod
    def of(cls, bucket: str, name: str, resource: Resource, conditions: Conditions = ANY) -> Draft:
        """From a JSON resource. Raises 400 for a name, class, time or metadata that can't be."""
        names.check_custom_metadata(resource.get("metadata"))
        storage_class = resource.get("storageClass") or ""
        if storage_class:
            names.check_storage_class(storage_class)
        expected = Expected(resource.get("md5Hash") or "", resource.get("crc32c") or "")
        settings = protection.checked(writable(resource))
        return cls(bucket, names.check_object_name(name), settings, storage_class, conditions, expected)
