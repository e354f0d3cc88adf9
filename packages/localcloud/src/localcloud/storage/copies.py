"""Objects made of other objects: copied, rewritten, moved, composed."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from localcloud.storage import names
from localcloud.storage.blobs import Blobs
from localcloud.storage.conditions import ANY, Conditions, number
from localcloud.storage.errors import invalid
from localcloud.storage.metadata import Metadata, Resource
from localcloud.storage.objects import Content, Draft, Expected, Objects
from localcloud.storage.protection import PROTECTIONS, checked
from localcloud.storage.records import ObjectRecord, writable

_MOST_SOURCES = 32


@dataclass(frozen=True)
class Source:
    """What to copy from; `generation` None is the live version."""

    bucket: str
    name: str
    generation: int | None = None
    conditions: Conditions = ANY


class Copies:
    """Copies share their source's blob, so a copy of any size costs one transaction."""

    def __init__(self, metadata: Metadata, blobs: Blobs, objects: Objects) -> None:
        self._metadata = metadata
        self._blobs = blobs
        self._objects = objects

    def copy(
        self, source: Source, bucket: str, name: str, changes: Resource, conditions: Conditions = ANY
    ) -> ObjectRecord:
        """Copy, with the settings that `changes` gives in place of the source's; its holds stay behind.

        Raises 404, 412, 400, 403, 429.
        """
        names.check_object_name(name)
        names.check_custom_metadata(changes.get("metadata"))
        storage_class = changes.get("storageClass") or ""
        if storage_class:
            names.check_storage_class(storage_class)
        with self._metadata.transaction():
            found = self._objects.get(source.bucket, source.name, source.generation)
            source.conditions.check(found)
            settings = _taken_over(found) | checked(writable(changes))
            draft = Draft(bucket, name, settings, storage_class, conditions)
            return self._objects.commit(draft, _content(found))

    def move(self, source: Source, name: str, conditions: Conditions = ANY) -> ObjectRecord:
        """Rename within a bucket, in one step. Raises 404, 412, 400."""
        if name == source.name:
            raise invalid("Invalid argument.")
        with self._metadata.transaction():
            found = self._objects.get(source.bucket, source.name)
            source.conditions.check(found)
            settings, storage_class = _taken_over(found), found.storage_class
            draft = Draft(source.bucket, names.check_object_name(name), settings, storage_class, conditions)
            made = self._objects.commit(draft, _content(found))
            self._objects.delete(source.bucket, source.name)
            return made

    def compose(self, bucket: str, name: str, request: Resource, conditions: Conditions = ANY) -> ObjectRecord:
        """Concatenate up to 32 objects of one bucket and storage class, and remove them for good if that is asked.

        Copies their bytes: call it in a thread. Raises 404, 412, 400, 403.
        https://cloud.google.com/storage/docs/composite-objects
        """
        sources = request.get("sourceObjects") or []
        if not sources or not isinstance(sources, list):
            raise invalid("You must provide at least one source component.")
        if not isinstance(request.get("destination"), dict | None):
            raise invalid("Invalid argument.")
        if len(sources) > _MOST_SOURCES:
            raise invalid(
                f"The number of source components provided ({len(sources)}) exceeds the maximum ({_MOST_SOURCES})"
            )
        draft = Draft.of(bucket, name, request.get("destination") or {}, conditions)
        # Python's client sends all that it knows of the object before, and so old checksums.
        draft = replace(draft, expected=Expected())
        with ExitStack() as stack:
            with self._metadata.transaction():  # all sources as they were at one moment
                self._objects.check(draft)
                opened: list[tuple[BinaryIO, ObjectRecord]] = []
                for source in sources:
                    record, file = self._objects.open(bucket, *_named(source))
                    opened.append((stack.enter_context(file), record))
                    _condition(source).check(record)
            if len({record.storage_class for _, record in opened}) > 1:
                raise invalid("All source objects must have the same storage class.")
            writer = self._blobs.join(file for file, _ in opened)
        records = [record for _, record in opened]
        components = sum(record.components or 1 for record in records)
        draft = replace(draft, storage_class=records[0].storage_class)
        with self._metadata.transaction():
            made = self._objects.commit(draft, Content.of(writer.blob, writer.hashes, components))
            if request.get("deleteSourceObjects") is True:
                for record in records:
                    self._objects.erase(record)
        return made


def _taken_over(record: ObjectRecord) -> Resource:
    return {key: value for key, value in record.settings.items() if key not in PROTECTIONS}


def _content(record: ObjectRecord) -> Content:
    return Content(record.blob, record.size, record.crc32c, record.md5, record.components)


def _condition(source: Resource) -> Conditions:
    given = source.get("objectPreconditions") or {}
    if not isinstance(given, dict):
        raise invalid("Invalid argument.")
    wanted = given.get("ifGenerationMatch")
    return Conditions(number(str(wanted)) if wanted is not None else None)


def _named(source: Any) -> tuple[str, int | None]:
    name = source.get("name") if isinstance(source, dict) else None
    generation = source.get("generation") if isinstance(source, dict) else None
    return names.check_object_name(name), number(str(generation)) if generation else None
