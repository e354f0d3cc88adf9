"""What can happen to one object: made, read, changed, deleted, each in one step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import BinaryIO

from localcloud.core.clock import Clock
from localcloud.core.errors import ApiError
from localcloud.storage import contexts, names, protection
from localcloud.storage.blobs import Blobs
from localcloud.storage.bucket_settings import check_encryption, keeps_versions, soft_deletion
from localcloud.storage.conditions import ANY, Conditions, number
from localcloud.storage.errors import invalid, no_bucket, no_object
from localcloud.storage.lifecycle import DELETE, Step
from localcloud.storage.metadata import Metadata, Resource
from localcloud.storage.rate import MutationRate
from localcloud.storage.records import (
    LIVE,
    NONCURRENT,
    SOFT_DELETED,
    WRITABLE,
    ObjectRecord,
    merged,
    timestamp,
    writable,
)
from localcloud.storage.times import later
from localcloud.storage.uploads.drafts import Content, Draft, Expected

__all__ = ["Content", "Draft", "Expected", "Objects", "as_generation"]

# What happens to objects: https://cloud.google.com/storage/docs/pubsub-notifications#events
FINALIZE, UPDATE, GONE, ARCHIVE = "OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE", "OBJECT_DELETE", "OBJECT_ARCHIVE"
_STAYS = ("customTime", "retention")
# Told what happened, inside of the transaction; the number is the generation that replaced it or that it replaced.
Listener = Callable[[str, ObjectRecord, int], None]


class Objects:
    """The objects of all buckets; all methods may be called from any thread."""

    def __init__(
        self,
        metadata: Metadata,
        blobs: Blobs,
        clock: Clock,
        rate: MutationRate,
        listener: Listener | None = None,
        gone: Callable[[ObjectRecord], None] | None = None,
    ) -> None:
        self._metadata = metadata
        self._blobs = blobs
        self._clock = clock
        self._rate = rate
        self._tell = listener or (lambda event, record, other: None)
        self._gone = gone or (lambda record: None)  # told inside of the transaction that lets go of one for good

    def get(self, bucket: str, name: str, generation: int | None = None) -> ObjectRecord:
        """The live version, or one generation that is not soft-deleted. Raises 404."""
        if generation is None:
            found = self._metadata.live(bucket, name)
        else:
            found = self._metadata.version(bucket, name, generation)
        if found is None or found.state == SOFT_DELETED:
            self.bucket(bucket)
            raise no_object(bucket, name)
        return found

    def get_soft_deleted(self, bucket: str, name: str, generation: int | None) -> ObjectRecord:
        """A soft-deleted generation that is not yet gone for good. Raises 404, 400."""
        check_soft_deletes(self.bucket(bucket))
        if generation is None:
            raise invalid("A generation must be specified for a soft-deleted object.")
        found = self._metadata.version(bucket, name, generation)
        if found is None or found.state != SOFT_DELETED or found.hard_deleted <= timestamp(self._clock.now()):
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
        """Raise what `commit` would raise now: 404, 412. What protects the present object is asked at the end only."""
        check_encryption(self.bucket(draft.bucket))
        draft.conditions.check(self._metadata.live(draft.bucket, draft.name))

    def commit(self, draft: Draft, content: Content, sent: Expected | None = None) -> ObjectRecord:
        """Make complete bytes the live version; they must have the draft's checksums, and those `sent` at their end.

        Raises 404, 412, 403 for a protected object in its place, 429, 400 for wrong checksums; then the blob is gone.
        """
        try:
            draft.expected.check(content)
            if sent:
                sent.check(content)
            with self._metadata.transaction():
                bucket = self.bucket(draft.bucket)
                check_encryption(bucket)
                present = self._metadata.live(draft.bucket, draft.name)
                draft.conditions.check(present)
                now = self._clock.now()
                settings = protection.of_new(draft.settings, bucket, now)
                settings = contexts.stamped(settings, {}, timestamp(now))
                if present:
                    protection.check(present, now, archived=keeps_versions(bucket))
                self._rate.take(draft.bucket, draft.name)
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
                    created=timestamp(now),
                    updated=timestamp(now),
                    settings=settings,
                    period=int((bucket.get("retentionPolicy") or {}).get("retentionPeriod", 0)),
                )
                if present:
                    self._retire(present, bucket, now, record.generation)
                self._metadata.put(record)
                self._tell(FINALIZE, record, present.generation if present else 0)
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
        override: bool = False,
    ) -> ObjectRecord:
        """PATCH (null removes), or with `whole` PUT, what is said about an object.

        `override`: an unlocked retention may be shortened or removed. Raises 404, 412, 400, 403, 429.
        """
        names.check_custom_metadata(changes.get("metadata"))
        with self._metadata.transaction():
            record = self.get(bucket, name, generation)
            conditions.check(record)
            now = self._clock.now()
            allowed = {field: changes[field] for field in WRITABLE if field in changes}
            allowed = protection.of_changed(record.settings, allowed, self.bucket(bucket), now, override)
            # What a PUT leaves out goes, but for what a client has to take away expressly.
            base = {key: record.settings[key] for key in _STAYS if key in record.settings} if whole else record.settings
            settings = contexts.stamped(writable(merged(base, allowed)), record.settings, timestamp(now))
            names.check_custom_metadata(settings.get("metadata"))
            self._rate.take(bucket, name)
            let_go = record.settings.get("eventBasedHold") and not settings.get("eventBasedHold")
            changed = replace(
                record,
                settings=settings,
                metageneration=record.metageneration + 1,
                updated=timestamp(now),
                released=timestamp(now) if let_go else record.released,
            )
            self._metadata.put(changed)
            self._tell(UPDATE, changed, 0)
            return changed

    def delete(self, bucket: str, name: str, generation: int | None = None, conditions: Conditions = ANY) -> None:
        """Delete the live version (noncurrent when the bucket keeps versions), or one generation for good.

        What is deleted for good is soft-deleted first where the bucket says so. Raises 404, 412, 403, 429.
        """
        with self._metadata.transaction():
            record = self.get(bucket, name, generation)
            conditions.check(record)
            resource, now = self.bucket(bucket), self._clock.now()
            protection.check(record, now, archived=generation is None and keeps_versions(resource))
            self._rate.take(bucket, name)
            if generation is None:
                self._retire(record, resource, now)
            else:
                self._remove(record, resource, now)

    def erase(self, record: ObjectRecord) -> None:
        """Delete a version for good, also where others would be kept; nothing when it is gone. Raises 403."""
        with self._metadata.transaction():
            found = self._metadata.version(record.bucket, record.name, record.generation)
            if found is not None:
                protection.check(found, self._clock.now())
                self._forget(found)
                if found.state != SOFT_DELETED:
                    self._tell(GONE, found, 0)

    def delete_all(self, bucket: str) -> None:
        """Delete every version of every object of a bucket, one after another. Raises 403 for a protected one."""
        resource = self.bucket(bucket)
        while records := self._metadata.scan(bucket, ("", -1), "", versions=True, limit=1000):
            with self._metadata.transaction():
                now = self._clock.now()
                for record in records:
                    protection.check(record, now)
                    self._remove(record, resource, now)

    def forget_all(self, bucket: str) -> None:
        """Let go for good of all that is in a bucket, protected and soft-deleted or not."""
        while records := self._metadata.all_of(bucket, limit=1000):
            with self._metadata.transaction():
                for record in records:
                    self._forget(record)

    def restore(self, bucket: str, name: str, generation: int | None, conditions: Conditions = ANY) -> ObjectRecord:
        """A live copy of a soft-deleted generation, which stays where it is. Raises 404, 412, 400, 403, 429."""
        with self._metadata.transaction():
            found = self.get_soft_deleted(bucket, name, generation)
            settings = {key: value for key, value in found.settings.items() if key not in protection.PROTECTIONS}
            draft = Draft(bucket, name, settings, found.storage_class, conditions)
            return self.commit(draft, Content(found.blob, found.size, found.crc32c, found.md5, found.components))

    def take_step(self, seen: ObjectRecord, step: Step) -> bool:
        """Do what a lifecycle rule says, unless the object is protected, or another than was `seen`: then False."""
        with self._metadata.transaction():
            record = self._metadata.version(seen.bucket, seen.name, seen.generation)
            resource = self._metadata.bucket(seen.bucket)
            if record is None or record != seen or resource is None:
                return False
            now = self._clock.now()
            if step.action == DELETE:
                archived = record.state == LIVE and keeps_versions(resource)
                if protection.is_kept(record, now, archived):
                    return False
                if archived:
                    self._retire(record, resource, now)
                else:
                    self._remove(record, resource, now)
                return True
            text = timestamp(now)
            changed = replace(record, storage_class=step.storage_class, class_set=text, updated=text)
            changed = replace(changed, metageneration=record.metageneration + 1)
            self._metadata.put(changed)
            self._tell(UPDATE, changed, 0)
            return True

    def forget_expired(self, limit: int) -> int:
        """Let go for good of up to `limit` soft-deleted objects whose time is over; gives how many."""
        with self._metadata.transaction():
            gone = self._metadata.expired(timestamp(self._clock.now()), limit)
            for record in gone:
                self._forget(record)
        return len(gone)

    def _retire(self, record: ObjectRecord, bucket: Resource, now: datetime, by: int = 0) -> None:
        """The live version goes, replaced `by` another or deleted."""
        if keeps_versions(bucket):
            kept = replace(record, state=NONCURRENT, deleted=timestamp(now))
            self._metadata.put(kept)
            self._tell(ARCHIVE, kept, by)
        else:
            self._remove(record, bucket, now, by)

    def _remove(self, record: ObjectRecord, bucket: Resource, now: datetime, by: int = 0) -> None:
        seconds = soft_deletion(bucket)
        if seconds:
            ends = timestamp(later(now, seconds))
            self._metadata.put(replace(record, state=SOFT_DELETED, soft_deleted=timestamp(now), hard_deleted=ends))
        else:
            self._forget(record)
        self._tell(GONE, record, by)

    def _forget(self, record: ObjectRecord) -> None:
        self._gone(record)
        self._metadata.remove(record)
        self._metadata.after_commit(lambda: self._discard_unused(record.blob))

    def _discard_unused(self, blob: str) -> None:
        """Asked only after the commit: an object that is copied onto itself keeps its bytes."""
        if not self._metadata.is_used(blob):
            self._blobs.discard([blob])


def check_soft_deletes(bucket: Resource) -> None:
    """Raise 400 unless the bucket has a soft delete policy."""
    if not soft_deletion(bucket):
        raise invalid("bucket soft delete policy must be set.")


def as_generation(text: str | None) -> int | None:
    """A `generation` of a query; None when there is none. Raises 400."""
    return number(text) if text else None
