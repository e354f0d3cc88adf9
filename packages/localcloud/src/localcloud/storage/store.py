"""Cloud Storage's state in one cloud, and what the other parts of the local cloud do with it in process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

from catalog.prices import least_days
from localcloud.core.asked.usage import Usage
from localcloud.storage.blobs import Blobs
from localcloud.storage.buckets import Buckets
from localcloud.storage.copies import Copies
from localcloud.storage.listing import Query, page
from localcloud.storage.metadata import Metadata, Resource
from localcloud.storage.notifications import Notifications
from localcloud.storage.objects import Content, Draft, Objects
from localcloud.storage.rate import MutationRate, allowed
from localcloud.storage.records import ObjectRecord
from localcloud.storage.times import parse_time
from localcloud.storage.upkeep import Upkeep
from localcloud.storage.uploads.records import Uploads

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud


class Storage:
    """Buckets and objects of one cloud; all methods may be called from any thread and raise ApiError."""

    def __init__(self, cloud: Cloud) -> None:
        folder = cloud.folder("storage")
        self.cloud = cloud
        self.metadata = Metadata(folder / "storage.sqlite")
        self.blobs = Blobs(folder / "blobs")
        self.notifications = Notifications(cloud, self.metadata)
        self.buckets = Buckets(cloud, self.metadata, self.notifications.forget)
        rate = MutationRate(allowed(cloud.root))
        self.objects = Objects(self.metadata, self.blobs, cloud.clock, rate, self.notifications.note, self._gone)
        self.copies = Copies(self.metadata, self.blobs, self.objects)
        self.uploads = Uploads(self.metadata, self.blobs, self.objects, cloud.clock)
        self.upkeep = Upkeep(cloud, self.metadata, self.buckets, self.objects, self.uploads)
        self.uploads.forget_old()
        self.blobs.sweep(self.metadata.blobs())
        cloud.count("buckets", lambda: self.metadata.count("buckets"))
        cloud.count("objects", lambda: self.metadata.count_objects(soft_deleted=False))
        cloud.count("soft-deleted objects", lambda: self.metadata.count_objects(soft_deleted=True))
        cloud.count("stored bytes", self.metadata.total_size)

    def create_bucket(self, project: str, resource: Resource, object_retention: bool = False) -> Resource:
        """A bucket from a JSON API resource (at least `name`), as Google would show it. Raises 400, 403, 409."""
        return self.buckets.create(project, resource, object_retention=object_retention)

    def get_bucket(self, name: str) -> Resource:
        """Raises 404."""
        return self.buckets.get(name)

    def list_buckets(self, project: str) -> list[Resource]:
        """Raises 403 for an unknown project."""
        return self.buckets.list(project)

    def patch_bucket(self, name: str, changes: Resource) -> Resource:
        """JSON merge patch: null removes. Raises 404, 400."""
        return self.buckets.change(name, changes)

    def delete_bucket(self, name: str, force: bool = False) -> None:
        """`force` deletes its objects, too. Raises 404, 409 when it is not empty, 403 for a protected object."""
        if force:
            self.objects.delete_all(name)
        self.buckets.delete(name)

    def get_bucket_policy(self, name: str) -> Resource:
        """Raises 404."""
        return self.buckets.policy(name)

    def put_object(
        self, bucket: str, name: str, data: bytes, content_type: str = "application/octet-stream"
    ) -> Resource:
        """Make or overwrite an object. Raises 404, 400."""
        draft = Draft.of(bucket, name, {"contentType": content_type})
        self.objects.check(draft)
        writer = self.blobs.create()
        writer.write(data)
        writer.close()
        return self.objects.commit(draft, Content.of(writer.blob, writer.hashes)).resource()

    def get_object(self, bucket: str, name: str) -> bytes:
        """All bytes of an object. Raises 404."""
        with self.open_object(bucket, name) as file:
            return file.read()

    def open_object(self, bucket: str, name: str) -> BinaryIO:
        """The bytes, unbuffered. Raises 404."""
        return self.objects.open(bucket, name)[1]

    def get_object_resource(self, bucket: str, name: str) -> Resource:
        """What is known about an object, as the JSON API shows it. Raises 404."""
        return self.objects.get(bucket, name).resource()

    def list_objects(self, bucket: str, prefix: str = "") -> list[Resource]:
        """All live objects whose names begin with `prefix`, by name. Raises 404."""
        self.buckets.get(bucket)
        found, after = [], None
        while True:
            part = page(self.metadata, bucket, Query(prefix=prefix, after=after))
            found += [record.resource() for record in part.items]
            if not part.token:
                return found
            after = (part.items[-1].name, part.items[-1].generation)

    def delete_object(self, bucket: str, name: str) -> None:
        """Raises 404."""
        self.objects.delete(bucket, name)

    def forget_project(self, project: str) -> None:
        """Let go for good of all that a project (by id) has here, whatever protects it: Google does so in the end."""
        for bucket in self.buckets.of_project(project):
            self.objects.forget_all(bucket)
        self.buckets.forget_all(project)

    def usage(self) -> Iterable[tuple[Resource, str, str, int]]:
        """(bucket, its project, storage class, bytes) of all that is stored, and so charged.

        Noncurrent and soft-deleted versions count, in soft-deleted buckets too; unfinished uploads do not.
        """
        return self.metadata.usage()

    def _gone(self, record: ObjectRecord) -> None:
        """An object is let go of for good: the colder classes are charged for a least time."""
        least = least_days(record.storage_class) * 86_400
        left = least and parse_time(record.created, "timeCreated").timestamp() + least - self.cloud.clock.time()
        if left > 0 and (found := self.metadata.owner(record.bucket)):
            self.cloud.of(Usage).deleted_early(*found, record.storage_class, record.size, left)

    def close(self) -> None:
        """Let go of all files."""
        self.notifications.close()
        self.blobs.close()
        self.metadata.close()
