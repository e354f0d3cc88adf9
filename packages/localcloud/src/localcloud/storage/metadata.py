"""The SQLite file with all that is known of buckets, objects and uploads; bytes are in `blobs`."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from localcloud.core.state import database
from localcloud.storage.records import LIVE, NONCURRENT, SOFT_DELETED, ObjectRecord
from localcloud.storage.times import parse_time

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, project TEXT NOT NULL, resource TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, metageneration INTEGER NOT NULL,
    state TEXT NOT NULL, size INTEGER NOT NULL, blob TEXT NOT NULL, crc32c INTEGER NOT NULL, md5 BLOB NOT NULL,
    components INTEGER NOT NULL, storage_class TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL,
    deleted TEXT NOT NULL, settings TEXT NOT NULL, soft_deleted TEXT NOT NULL DEFAULT '',
    hard_deleted TEXT NOT NULL DEFAULT '', class_set TEXT NOT NULL DEFAULT '', released TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (bucket, name, generation));
CREATE UNIQUE INDEX IF NOT EXISTS objects_live ON objects (bucket, name) WHERE state = 'live';
CREATE INDEX IF NOT EXISTS objects_blob ON objects (blob);
CREATE TABLE IF NOT EXISTS deleted_buckets (
    name TEXT NOT NULL, generation INTEGER NOT NULL, project TEXT NOT NULL, resource TEXT NOT NULL,
    hard_deleted TEXT NOT NULL, PRIMARY KEY (name, generation)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notifications (
    bucket TEXT NOT NULL, id INTEGER NOT NULL, resource TEXT NOT NULL, PRIMARY KEY (bucket, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, data TEXT NOT NULL, attributes TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, bucket TEXT NOT NULL, name TEXT NOT NULL, blob TEXT NOT NULL,
    request TEXT NOT NULL, started REAL NOT NULL, result TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL, md5 BLOB NOT NULL,
    PRIMARY KEY (upload, number)) WITHOUT ROWID;
"""
# Those that a database of an earlier version has not: it gets them when it is opened.
_ADDED = ("soft_deleted", "hard_deleted", "class_set", "released")
_INDEX = "CREATE INDEX IF NOT EXISTS objects_soft ON objects (hard_deleted) WHERE state = 'soft'"
_KEPT = [column.name for column in fields(ObjectRecord) if column.name != "period"]
_SETTINGS = _KEPT.index("settings")
_COLUMNS = ", ".join(_KEPT)
_MARKS = ", ".join("?" for _ in _KEPT)

Resource = dict[str, Any]


class Metadata:
    """Rows of buckets and objects; all methods may be called from any thread.

    `transaction` makes several of them one step. Listings read through a connection of their own, so that a long one
    holds up nobody.
    """

    def __init__(self, path: Path) -> None:
        self._writer = database.connect(path, _SCHEMA)
        there = {row[1] for row in self._writer.execute("PRAGMA table_info(objects)")}
        for column in _ADDED:
            if column not in there:
                self._writer.execute(f"ALTER TABLE objects ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
        self._writer.execute(_INDEX)
        self._reader = database.connect(path)
        self._lock = threading.RLock()
        self._reading = threading.Lock()
        self._inside = False
        self._afterwards: list[Callable[[], None]] = []
        self._usage: tuple[int, list[tuple[Resource, str, str, int]]] = (-1, [])
        self.bucket_changes = 0  # goes up with each, so that others may keep what they know of buckets
        row = self._writer.execute("SELECT max(generation) FROM objects").fetchone()
        self._generation: int = row[0] or 0
        # Bucket -> retention period in seconds, so that showing an object needs no second query.
        self._periods = {
            name: _period(json.loads(text)) for name, text in self.rows("SELECT name, resource FROM buckets")
        }

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; committed, and so safe from kill -9, when it returns."""
        with self._lock:
            if self._inside:
                yield self._writer
                return
            self._inside = True
            try:
                with database.transaction(self._writer):
                    yield self._writer
                afterwards = list(self._afterwards)
            finally:
                self._inside = False
                self._afterwards.clear()
            for action in afterwards:
                action()

    def after_commit(self, action: Callable[[], None]) -> None:
        """Do something once the outermost transaction is committed; never when it is rolled back."""
        self._afterwards.append(action)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a short query."""
        with self._lock:
            return self._writer.execute(sql, values).fetchall()

    def next_generation(self, now: float) -> int:
        """Microseconds since the epoch, more than any given before. `now` in seconds."""
        with self._lock:
            self._generation = max(self._generation + 1, int(now * 1_000_000))
            return self._generation

    # Buckets

    def bucket(self, name: str) -> Resource | None:
        found = self.rows("SELECT resource FROM buckets WHERE name = ?", name)
        return json.loads(found[0][0]) if found else None

    def bucket_project(self, name: str) -> str:
        """The project that owns the bucket, "" when there is none."""
        found = self.rows("SELECT project FROM buckets WHERE name = ?", name)
        return found[0][0] if found else ""

    def buckets(self, project: str) -> list[Resource]:
        found = self.rows("SELECT resource FROM buckets WHERE project = ? ORDER BY name", project)
        return [json.loads(row[0]) for row in found]

    def all_buckets(self) -> list[tuple[str, Resource]]:
        """(name, resource) of each."""
        return [(name, json.loads(text)) for name, text in self.rows("SELECT name, resource FROM buckets")]

    def put_bucket(self, project: str, resource: Resource) -> None:
        sql = "INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)"
        with self._lock:
            self._writer.execute(sql, (resource["name"], project, json.dumps(resource)))
        self.after_commit(lambda: self._periods.update({resource["name"]: _period(resource)}))
        self.after_commit(self.note_bucket_change)

    def note_bucket_change(self) -> None:
        """Called after the commit of each."""
        self.bucket_changes += 1

    # Objects

    def live(self, bucket: str, name: str) -> ObjectRecord | None:
        """The live version."""
        sql = f"SELECT {_COLUMNS} FROM objects WHERE bucket = ? AND name = ? AND state = 'live'"  # noqa: S608
        found = self.rows(sql, bucket, name)
        return self._record(found[0]) if found else None

    def version(self, bucket: str, name: str, generation: int) -> ObjectRecord | None:
        """One generation, whatever its state."""
        sql = f"SELECT {_COLUMNS} FROM objects WHERE bucket = ? AND name = ? AND generation = ?"  # noqa: S608
        found = self.rows(sql, bucket, name, generation)
        return self._record(found[0]) if found else None

    def put(self, record: ObjectRecord) -> None:
        """Keep a generation, new or changed."""
        values = [getattr(record, column) for column in _KEPT]
        values[_SETTINGS] = json.dumps(record.settings)
        sql = f"INSERT OR REPLACE INTO objects ({_COLUMNS}) VALUES ({_MARKS})"  # noqa: S608
        with self._lock:
            self._writer.execute(sql, values)

    def remove(self, record: ObjectRecord) -> None:
        """Forget a generation."""
        sql = "DELETE FROM objects WHERE bucket = ? AND name = ? AND generation = ?"
        with self._lock:
            self._writer.execute(sql, (record.bucket, record.name, record.generation))

    def has_objects(self, bucket: str) -> bool:
        """Whether there is a live or noncurrent one: what is soft-deleted does not count."""
        sql = "SELECT 1 FROM objects WHERE bucket = ? AND state != 'soft' LIMIT 1"
        return bool(self.rows(sql, bucket))

    def is_used(self, blob: str) -> bool:
        """Whether an object names the blob (copies share one), or an upload that is not over."""
        sql = "SELECT 1 FROM objects WHERE blob = ? UNION ALL SELECT 1 FROM uploads WHERE blob = ? LIMIT 1"
        return bool(self.rows(sql, blob, blob))

    def scan(self, bucket: str, after: tuple[str, int], below: str, versions: bool, limit: int) -> list[ObjectRecord]:
        """Up to `limit` records from (name, generation) `after` on, exclusive, in order; names < `below` ("" for all).

        Names are ordered by their UTF-8 bytes, as Google's are. Without `versions` only live ones; none soft-deleted.
        """
        if versions:
            return self._scan("", f"state IN ('{LIVE}', '{NONCURRENT}')", [], bucket, after, below, limit)
        # By their own index: there may be many old versions of the same names in between.
        return self._scan(" INDEXED BY objects_live", f"state = '{LIVE}'", [], bucket, after, below, limit)

    def scan_soft(self, bucket: str, after: tuple[str, int], below: str, now: str, limit: int) -> list[ObjectRecord]:
        """The same of what is soft-deleted, and is so still at `now`."""
        condition = f"state = '{SOFT_DELETED}' AND hard_deleted > ?"
        return self._scan("", condition, [now], bucket, after, below, limit)

    def _scan(
        self, index: str, state: str, values: list[Any], bucket: str, after: tuple[str, int], below: str, limit: int
    ) -> list[ObjectRecord]:
        end = " AND name < ?" if below else ""
        sql = (
            f"SELECT {_COLUMNS} FROM objects{index} WHERE {state} AND bucket = ? AND name >= ? "  # noqa: S608
            f"AND (name, generation) > (?, ?){end} ORDER BY name, generation LIMIT ?"
        )
        values = [*values, bucket, after[0], *after, *([below] if below else []), limit]
        with self._reading:
            return [self._record(row) for row in self._reader.execute(sql, values)]

    def expired(self, now: str, limit: int) -> list[ObjectRecord]:
        """Up to `limit` soft-deleted records whose time is over at `now`."""
        sql = f"SELECT {_COLUMNS} FROM objects WHERE state = 'soft' AND hard_deleted <= ? LIMIT ?"  # noqa: S608
        return [self._record(row) for row in self.rows(sql, now, limit)]

    def all_of(self, bucket: str, limit: int) -> list[ObjectRecord]:
        """Up to `limit` records of a bucket in any state."""
        sql = f"SELECT {_COLUMNS} FROM objects WHERE bucket = ? LIMIT ?"  # noqa: S608
        return [self._record(row) for row in self.rows(sql, bucket, limit)]

    def owner(self, bucket: str) -> tuple[Resource, str] | None:
        """(bucket, its project) by the bucket's name, also where it is soft-deleted."""
        sql = """
            SELECT resource, project FROM buckets WHERE name = ? UNION ALL
            SELECT resource, project FROM deleted_buckets WHERE name || '@' || generation = ?"""
        found = self.rows(sql, bucket, bucket)
        return (json.loads(found[0][0]), found[0][1]) if found else None

    @property
    def changes(self) -> int:
        """Goes up with each change of anything, so that others may keep what they found."""
        with self._lock:
            return self._writer.total_changes

    def usage(self) -> list[tuple[Resource, str, str, int]]:
        """(bucket, its project, storage class, bytes) of all that is kept, soft-deleted buckets' objects too."""
        changes = self.changes
        if self._usage[0] != changes:
            self._usage = changes, self._sum_up()
        return self._usage[1]

    def _sum_up(self) -> list[tuple[Resource, str, str, int]]:
        sql = """
            SELECT b.resource, b.project, o.storage_class, o.size FROM
            (SELECT bucket, storage_class, sum(size) AS size FROM objects GROUP BY bucket, storage_class) AS o JOIN
            (SELECT name AS key, project, resource FROM buckets UNION ALL
             SELECT name || '@' || generation, project, resource FROM deleted_buckets) AS b ON b.key = o.bucket"""
        with self._reading:
            rows = self._reader.execute(sql).fetchall()
        return [(json.loads(resource), project, kind, size) for resource, project, kind, size in rows]

    # Everything

    def ends(self) -> list[float]:
        """When soft-deleted buckets are gone for good, and all distinct ends of soft-deleted objects, in seconds."""
        sql = "SELECT hard_deleted FROM objects WHERE state = 'soft' UNION SELECT hard_deleted FROM deleted_buckets"
        return [parse_time(row[0], "hardDeleteTime").timestamp() for row in self.rows(sql)]

    def blobs(self) -> set[str]:
        """All files that something names."""
        sql = "SELECT blob FROM objects UNION SELECT blob FROM uploads UNION SELECT blob FROM parts"
        return {row[0] for row in self.rows(sql)}

    def count(self, table: str) -> int:
        return self.rows(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608

    def count_objects(self, soft_deleted: bool) -> int:
        """How many versions are there, or wait for the end of their soft deletion."""
        return self.rows("SELECT count(*) FROM objects WHERE (state = 'soft') = ?", soft_deleted)[0][0]

    def total_size(self) -> int:
        """Bytes of all versions; a blob that copies share counts for each, as it would on the bill."""
        return self.rows("SELECT coalesce(sum(size), 0) FROM objects")[0][0]

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        with self._lock, self._reading:
            self._reader.close()
            self._writer.close()

    def _record(self, row: tuple[Any, ...]) -> ObjectRecord:
        values = list(row)
        values[_SETTINGS] = json.loads(row[_SETTINGS])
        return ObjectRecord(*values, period=self._periods.get(row[0], 0))


def _period(bucket: Resource) -> int:
    return int((bucket.get("retentionPolicy") or {}).get("retentionPeriod", 0))
