"""Opens a SQLite file so that what was acknowledged survives a killed process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcloud.core.state.kept import Damaged, reset


def connect(path: Path, schema: str = "") -> sqlite3.Connection:
    """A connection in autocommit mode that any thread may use (guard it by a lock); runs the SQL script `schema` first.

    Raises Damaged for a file that is no database.

    Write-ahead log with synchronous=NORMAL: a commit survives kill -9 (https://www.sqlite.org/wal.html), and costs no
    fsync.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        if schema:
            connection.executescript(schema)
    except sqlite3.DatabaseError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise Damaged(path, reset(path.parent.parent)) from None
        raise
    return connection


def check(root: Path) -> None:
    """Look whether each database of the cloud in `root` can be opened, and is as long as it says. Raises Damaged.

    What is wrong inside only SQLite's own check would find, which reads all of it.
    """
    for path in root.glob("*/*.sqlite"):
        if not _is_whole(path):
            raise Damaged(path, reset(root))
        connect(path, "SELECT count(*) FROM sqlite_master;").close()


def _is_whole(path: Path) -> bool:
    """By the header: https://www.sqlite.org/fileformat.html#the_database_header"""
    with path.open("rb") as file:
        head = file.read(100)
    if not head:
        return True  # new
    page = int.from_bytes(head[16:18], "big")
    length = int.from_bytes(head[28:32], "big") * (page if page > 1 else 65_536)
    log = path.with_name(f"{path.name}-wal")
    longer = log.exists() and log.stat().st_size  # then the rest is in there
    return head.startswith(b"SQLite format 3\0") and bool(longer or path.stat().st_size >= length)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, also when the commit itself fails: a connection left in a transaction could begin no other."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself rolls back when the disk is full
            connection.execute("ROLLBACK")
        raise
