"""What can happen to one object: made, read, changed, deleted, each in one step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import BinaryIO

from localcloud.clock import Clock
from localcloud.errors import ApiError
from localcloud.storage import names
from localcloud.storage.blobs import Blobs, Hashes
from localcloud.storage.conditions import ANY, Conditions
from localcloud.storage.errors import StorageError, invalid, no_bucket, no_object
from localcloud.storage.metadata import Metadata, Resource
from localcloud.storage.records import (
    LIVE,
    NONCURRENT,
    WRITABLE,
    ObjectRecord,
    encode,
    encode_crc32c,
    merged,
    timestamp,
    writable,
)


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

    def merged(self, other: Expected) -> Expected:
        return Expected(other.md5 or self.md5, other.crc32c or self.crc32c)


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
        """From a JSON resource. Raises 400 for a name, class or metadata that can't be."""
        names.check_custom_metadata(resource.get("metadata"))
        storage_class = resource.get("storageClass") or ""
        if storage_class:
            names.check_storage_class(storage_class)
        expected = Expected(resource.get("md5Hash") or "", resource.get("crc32c") or "")
        return cls(bucket, names.check_object_name(name), writable(resource), storage_class, conditions, expected)


class Objects:
    """The objects of all buckets; all methods may be called from any thread."""

    def __init__(self, metadata: Metadata, blobs: Blobs, clock: Clock) -> None:
        self._metadata = metadata
        self._blobs = blobs
        self._clock = clock

    def get(self, bucket: str, name: str, generation: int | None = None) -> ObjectRecord:
        """The live version, or one generation. Raises 404."""
        if generation is None:
            found = self._metadata.live(bucket, name)
        else:
            found = self._metadata.version(bucket, name, generation)
        if found is None:
            self.bucket(bucket)
            raise no_object(bucket, name)
        return found

    def bucket(self, bucket: str) -> Resource:
        """The bucket's resource. Raises 404."""
        found = self._metadata.bucket(bucket)
        if found is None:
            raise no_bucket()
        return found

    def open(self, bucket: str, name: str, generation: int | None = None) -> tuple[ObjectRecord, BinaryIO]:
        """The object and its bytes, which stay readable whatever happens to the object. Raises 404."""
        with self._metadata.transaction():  # else it could be overwritten between the two
            record = self.get(bucket, name, generation)
            return record, self._blobs.open(record.blob)

    def check(self, draft: Draft) -> None:
        """Raise what `commit` would raise now: 404, 412."""
        self.bucket(draft.bucket)
        draft.conditions.check(self._metadata.live(draft.bucket, draft.name))

    def commit(self, draft: Draft, content: Content) -> ObjectRecord:
        """Make complete bytes the live version. Raises 404, 412, or 400 for wrong checksums; then the blob is gone."""
        try:
            draft.expected.check(content)
            with self._metadata.transaction():
                bucket = self.bucket(draft.bucket)
                present = self._metadata.live(draft.bucket, draft.name)
                draft.conditions.check(present)
                now = timestamp(self._clock.now())
                if present:
                    self._retire(present, bucket, now)
                record = ObjectRecord(
                    bucket=draft.bucket,
                    name=draft.name,
                    generation=self._metadata.next_generation(self._clock.time()),
                    metageneration=1,
                    state=LIVE,
                    size=content.size,
                    blob=content.blob,
                    crc32c=content.crc32c,
                    md5=content.md5,
                    components=content.components,
                    storage_class=draft.storage_class or bucket.get("storageClass", "STANDARD"),
                    created=now,
                    updated=now,
                    settings=draft.settings,
                )
                self._metadata.put(record)
                return record
        except ApiError:
            self._discard_unused(content.blob)
            raise

    def change(
        self,
        bucket: str,
        name: str,
        changes: Resource,
        generation: int | None = None,
        conditions: Conditions = ANY,
        whole: bool = False,
    ) -> ObjectRecord:
        """PATCH (null removes), or with `whole` PUT, what is said about an object. Raises 404, 412, 400."""
        names.check_custom_metadata(changes.get("metadata"))
        with self._metadata.transaction():
            record = self.get(bucket, name, generation)
            conditions.check(record)
            allowed = {field: changes[field] for field in WRITABLE if field in changes}
            settings = writable(allowed) if whole else writable(merged(record.settings, allowed))
            names.check_custom_metadata(settings.get("metadata"))
            changed = replace(
                record,
                settings=settings,
                metageneration=record.metageneration + 1,
                updated=timestamp(self._clock.now()),
            )
            self._metadata.put(changed)
            return changed

    def delete(self, bucket: str, name: str, generation: int | None = None, conditions: Conditions = ANY) -> None:
        """Delete the live version (noncurrent when the bucket keeps versions), or one generation for good.

        Raises 404, 412.
        """
        with self._metadata.transaction():
            record = self.get(bucket, name, generation)
            conditions.check(record)
            if generation is None:
                self._retire(record, self.bucket(bucket), timestamp(self._clock.now()))
            else:
                self._forget(record)

    def delete_all(self, bucket: str) -> None:
        """Forget every version of every object of a bucket."""
        while records := self._metadata.scan(bucket, ("", -1), "", versions=True, limit=1000):
            with self._metadata.transaction():
                for record in records:
                    self._forget(record)

    def _retire(self, record: ObjectRecord, bucket: Resource, now: str) -> None:
        if (bucket.get("versioning") or {}).get("enabled"):
            self._metadata.put(replace(record, state=NONCURRENT, deleted=now))
        else:
            self._forget(record)

    def _forget(self, record: ObjectRecord) -> None:
        self._metadata.remove(record)
        self._metadata.after_commit(lambda: self._discard_unused(record.blob))

    def _discard_unused(self, blob: str) -> None:
        """Asked only after the commit: an object that is copied onto itself keeps its bytes."""
        if not self._metadata.is_used(blob):
            self._blobs.discard([blob])


def as_generation(text: str | None) -> int | None:
    """A `generation` of a query; None when there is none. Raises 400."""
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise StorageError(400, f"Invalid unsigned long value: '{text}'", "invalid") from None
