"""What the floors below the APIs ask about projects, the APIs that are on in them, and buckets."""

from __future__ import annotations

from typing import Any, Protocol

from localcloud.core.asked.callers import Caller
from localcloud.core.asked.permits import Resource

Body = dict[str, Any]


class Directory(Protocol):
    """Knows the projects."""

    region: str

    def find(self, id_or_number: str) -> Body | None:
        """The project by id or number, or None."""
        ...

    def get(self, id_or_number: str) -> Body:
        """The project by id or number. Raises 403."""
        ...

    def resource(self, id_or_number: str) -> Resource:
        """The project as a permission is asked on it. Raises 403 for one that isn't there."""
        ...


class Services(Protocol):
    """Knows which APIs are on."""

    def require_for(self, caller: Caller, consumer: str, service: str) -> None:
        """Raises 403 unless `service` is on where a call is charged: in the project `consumer`, or the caller's own."""
        ...

    def refuse_deleted(self, project: str, service: str) -> None:
        """Raises 403 for a project (by id or number) that is being deleted."""
        ...


class Buckets(Protocol):
    """Knows whose buckets are."""

    def bucket_project(self, name: str) -> str:
        """The id of the project that a bucket is in; "" when there is no such bucket."""
        ...

    def owner(self, bucket: str) -> tuple[Body, str] | None:
        """A bucket's resource and the id of its project, or None."""
        ...
