"""The SQLite file with all that is known of buckets, objects and uploads; bytes are in `blobs`."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from localcloud import database
from localcloud.storage.records import LIVE, ObjectRecord

# `state` has room for more than live and noncurrent: a soft-deleted version would be a third.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, project TEXT NOT NULL, resource TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, metageneration INTEGER NOT NULL,
    state TEXT NOT NULL, size INTEGER NOT NULL, blob TEXT NOT NULL, crc32c INTEGER NOT NULL, md5 BLOB NOT NULL,
    components INTEGER NOT NULL, storage_class TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL,
    deleted TEXT NOT NULL, settings TEXT NOT NULL,
    PRIMARY KEY (bucket, name, generation));
CREATE UNIQUE INDEX IF NOT EXISTS objects_live ON objects (bucket, name) WHERE state = 'live';
CREATE INDEX IF NOT EXISTS objects_blob ON objects (blob);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, bucket TEXT NOT NULL, name TEXT NOT NULL, blob TEXT NOT NULL,
    request TEXT NOT NULL, started REAL NOT NULL, result TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL, md5 BLOB NOT NULL,
    PRIMARY KEY (upload, number)) WITHOUT ROWID;
"""
_COLUMNS = ", ".join(column.name for column in fields(ObjectRecord))
_MARKS = ", ".join("?" for _ in fields(ObjectRecord))

Resource = dict[str, Any]


class Metadata:
    """Rows of buckets and objects; all methods may be called from any thread.

    `transaction` makes several of them one step. Listings read through a connection of their own, so that a long one
    holds up nobody.
    """

    def __init__(self, path: Path) -> None:
        self._writer = database.connect(path, _SCHEMA)
        self._reader = database.connect(path)
        self._lock = threading.RLock()
        self._reading = threading.Lock()
        self._inside = False
        self._afterwards: list[Callable[[], None]] = []
        row = self._writer.execute("SELECT max(generation) FROM objects").fetchone()
        self._generation: int = row[0] or 0

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

    def put_bucket(self, project: str, resource: Resource) -> None:
        sql = "INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)"
        with self._lock:
            self._writer.execute(sql, (resource["name"], project, json.dumps(resource)))

    # Objects

    def live(self, bucket: str, name: str) -> ObjectRecord | None:
        """The live version."""
        sql = f"SELECT {_COLUMNS} FROM objects WHERE bucket = ? AND name = ? AND state = 'live'"  # noqa: S608
        found = self.rows(sql, bucket, name)
        return _record(found[0]) if found else None

    def version(self, bucket: str, name: str, generation: int) -> ObjectRecord | None:
        """One generation, live or not."""
        sql = f"SELECT {_COLUMNS} FROM objects WHERE bucket = ? AND name = ? AND generation = ?"  # noqa: S608
        found = self.rows(sql, bucket, name, generation)
        return _record(found[0]) if found else None

    def put(self, record: ObjectRecord) -> None:
        """Keep a generation, new or changed."""
        values = [*astuple(record)[:-1], json.dumps(record.settings)]
        with self._lock:
            self._writer.execute(f"INSERT OR REPLACE INTO objects VALUES ({_MARKS})", values)  # noqa: S608

    def remove(self, record: ObjectRecord) -> None:
        """Forget a generation."""
        sql = "DELETE FROM objects WHERE bucket = ? AND name = ? AND generation = ?"
        with self._lock:
            self._writer.execute(sql, (record.bucket, record.name, record.generation))

    def has_objects(self, bucket: str) -> bool:
        return bool(self.rows("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", bucket))

    def is_used(self, blob: str) -> bool:
        """Whether an object names the blob: copies share one."""
        return bool(self.rows("SELECT 1 FROM objects WHERE blob = ? LIMIT 1", blob))

    def scan(self, bucket: str, after: tuple[str, int], below: str, versions: bool, limit: int) -> list[ObjectRecord]:
        """Up to `limit` records from (name, generation) `after` on, exclusive, in order; names < `below` ("" for all).

        Names are ordered by their UTF-8 bytes, as Google's are; without `versions` only live ones.
        """
        state = "" if versions else f" AND state = '{LIVE}'"
        end = " AND name < ?" if below else ""
        sql = (
            f"SELECT {_COLUMNS} FROM objects WHERE bucket = ? AND (name, generation) > (?, ?){end}{state} "  # noqa: S608
            "ORDER BY name, generation LIMIT ?"
        )
        values = [bucket, *after, *([below] if below else []), limit]
        with self._reading:
            return [_record(row) for row in self._reader.execute(sql, values)]

    # Everything

    def blobs(self) -> set[str]:
        """All files that something names."""
        sql = "SELECT blob FROM objects UNION SELECT blob FROM uploads UNION SELECT blob FROM parts"
        return {row[0] for row in self.rows(sql)}

    def count(self, table: str) -> int:
        return self.rows(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608

    def total_size(self) -> int:
        """Bytes of all versions; a blob that copies share counts for each, as it would on the bill."""
        return self.rows("SELECT coalesce(sum(size), 0) FROM objects")[0][0]

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        with self._lock, self._reading:
            self._reader.close()
            self._writer.close()


def _record(row: tuple[Any, ...]) -> ObjectRecord:
    return ObjectRecord(*row[:-1], settings=json.loads(row[-1]))
