"""The messages that wait in subscriptions, in SQLite: each is there until it is acknowledged, or too old."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path

from localcloud.core.state import database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS numbers (last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS waiting (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription TEXT NOT NULL,
    message TEXT NOT NULL,
    published REAL NOT NULL,
    leased REAL NOT NULL DEFAULT 0,
    deliveries INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS waiting_leased ON waiting (subscription, leased, id);
"""
_FIRST = 10**16  # message ids look like Google's


@dataclass(frozen=True)
class Delivery:
    """One message on its way to one subscriber: `message` is Google's PubsubMessage in JSON."""

    ack_id: str
    message: dict[str, object]
    attempt: int


class Queue:
    """All subscriptions' messages; each change is one transaction. Any thread may call. Times are the cloud's clock."""

    def __init__(self, path: Path) -> None:
        self._database = database.connect(path, _SCHEMA)
        self._lock = threading.Lock()

    def publish(self, subscriptions: list[str], messages: list[dict[str, object]], stamp: str, now: float) -> list[str]:
        """Put the messages into each subscription; gives their ids."""
        with self._lock, database.transaction(self._database):
            row = self._database.execute("SELECT last FROM numbers").fetchone()
            if row is None:
                self._database.execute("INSERT INTO numbers VALUES (?)", (_FIRST,))
            first = (row[0] if row else _FIRST) + 1
            ids = [str(first + i) for i in range(len(messages))]
            self._database.execute("UPDATE numbers SET last = ?", (first + len(messages) - 1,))
            for number, message in zip(ids, messages, strict=True):
                text = json.dumps({**message, "messageId": number, "publishTime": stamp})
                self._database.executemany(
                    "INSERT INTO waiting (subscription, message, published) VALUES (?, ?, ?)",
                    [(name, text, now) for name in subscriptions],
                )
        return ids

    def lease(self, subscription: str, most: int, seconds: float, retention: float, now: float) -> list[Delivery]:
        """Up to `most` messages that nobody else has at present, the oldest first; theirs for `seconds`."""
        with self._lock, database.transaction(self._database):
            self._database.execute(
                "DELETE FROM waiting WHERE subscription = ? AND published < ?", (subscription, now - retention)
            )
            rows = self._database.execute(
                "SELECT id, message, deliveries FROM waiting WHERE subscription = ? AND leased <= ? "
                "ORDER BY id LIMIT ?",
                (subscription, now, most),
            ).fetchall()
            self._database.executemany(
                "UPDATE waiting SET leased = ?, deliveries = deliveries + 1 WHERE id = ?",
                [(now + seconds, row[0]) for row in rows],
            )
        return [Delivery(f"{row[0]}-{row[2] + 1}", json.loads(row[1]), row[2] + 1) for row in rows]

    def acknowledge(self, subscription: str, ack_ids: list[str]) -> None:
        """Forget these messages; an id that is none any more is nothing, as on Google."""
        with self._lock, database.transaction(self._database):
            self._database.executemany(
                "DELETE FROM waiting WHERE id = ? AND subscription = ?",
                [(_row(ack_id), subscription) for ack_id in ack_ids],
            )

    def extend(self, subscription: str, ack_ids: list[str], seconds: float, now: float) -> None:
        """Let the present holder keep these messages for `seconds` from now; 0 gives them to anybody at once."""
        with self._lock, database.transaction(self._database):
            self._database.executemany(
                "UPDATE waiting SET leased = ? WHERE id = ? AND subscription = ? AND deliveries = ?",
                [(now + seconds if seconds else 0, _row(a), subscription, _attempt(a)) for a in ack_ids],
            )

    def next_end(self, subscription: str) -> float | None:
        """When the first lease of a subscription's messages ends; None when it has no message."""
        with self._lock:
            return self._database.execute(
                "SELECT min(leased) FROM waiting WHERE subscription = ?", (subscription,)
            ).fetchone()[0]

    def holds(self, subscription: str, since: float) -> bool:
        """Whether a message that was published at `since` or later is not acknowledged."""
        with self._lock:
            sql = "SELECT 1 FROM waiting WHERE subscription = ? AND published >= ? LIMIT 1"
            return self._database.execute(sql, (subscription, since)).fetchone() is not None

    def forget(self, subscription: str) -> None:
        """Drop all messages of a subscription that goes."""
        with self._lock:
            self._database.execute("DELETE FROM waiting WHERE subscription = ?", (subscription,))

    def count(self) -> int:
        """How many messages wait in all subscriptions."""
        with self._lock:
            return self._database.execute("SELECT count(*) FROM waiting").fetchone()[0]


def well_formed(ack_id: object) -> bool:
    """Whether an ack id can have come from here."""
    row, dash, attempt = str(ack_id).partition("-")
    return bool(dash) and row.isdigit() and attempt.isdigit() and len(row) < 19 and len(attempt) < 19


def _row(ack_id: str) -> int:
    return int(ack_id.partition("-")[0])


def _attempt(ack_id: str) -> int:
    return int(ack_id.partition("-")[2])
