"""What was used, in SQLite: machines from when to when, and bytes that were kept each day. Nothing is ever deleted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from localcloud import database
from localcloud.billing import pacific

_SCHEMA = """
CREATE TABLE IF NOT EXISTS spans (
    resource TEXT PRIMARY KEY, kind TEXT NOT NULL, project TEXT NOT NULL, payer TEXT NOT NULL, region TEXT NOT NULL,
    pools TEXT NOT NULL, labels TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER
);
CREATE TABLE IF NOT EXISTS levels (
    bucket TEXT NOT NULL, class TEXT NOT NULL, location TEXT NOT NULL, project TEXT NOT NULL, payer TEXT NOT NULL,
    labels TEXT NOT NULL, bytes INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS stored (
    day TEXT NOT NULL, bucket TEXT NOT NULL, class TEXT NOT NULL, location TEXT NOT NULL, project TEXT NOT NULL,
    payer TEXT NOT NULL, labels TEXT NOT NULL, byte_seconds INTEGER NOT NULL,
    PRIMARY KEY (day, bucket, class, location, project, payer, labels)
);
CREATE TABLE IF NOT EXISTS sampled (moment INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS mail (
    moment TEXT NOT NULL, receiver TEXT NOT NULL, subject TEXT NOT NULL, budget TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Pool:
    """Machines of one shape; `disk_gb` 0 where the machine's price has its disk in it."""

    machine: str
    replicas: int
    accelerator: str = ""
    count: int = 0
    spot: bool = False
    disk: str = ""
    disk_gb: int = 0


@dataclass(frozen=True)
class Span:
    """Machines that a resource had from `started` to `ended` (None: it still has), in seconds of the cloud's clock.

    `kind` is "training" or "serving"; `payer` the billing account's name.
    """

    resource: str
    kind: str
    project: str
    payer: str
    region: str
    pools: tuple[Pool, ...]
    labels: dict[str, str]
    started: int
    ended: int | None = None


@dataclass(frozen=True)
class Level:
    """Bytes of one storage class that a bucket keeps."""

    bucket: str
    storage_class: str
    location: str
    project: str
    payer: str
    labels: dict[str, str]
    amount: int


@dataclass(frozen=True)
class Kept:
    """What of a level one day had, in byte-seconds."""

    day: date
    level: Level


class Ledger:
    """Each change is one transaction; any thread may call."""

    def __init__(self, path: Path) -> None:
        self._database = database.connect(path, _SCHEMA)
        self._lock = threading.RLock()

    def note(self, span: Span) -> None:
        """Keep a span, or what is new about it; who pays, and when it began, stay as they were noted first."""
        pools = json.dumps([vars(pool) for pool in span.pools])
        row = (span.resource, span.kind, span.project, span.payer, span.region, pools, json.dumps(span.labels))
        with self._lock:
            self._database.execute(
                "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (resource) DO UPDATE SET ended = coalesce(spans.ended, excluded.ended)",
                (*row, span.started, span.ended),
            )

    def end(self, resource: str, moment: int) -> None:
        """A resource has its machines no longer."""
        with self._lock:
            self._database.execute(
                "UPDATE spans SET ended = ? WHERE resource = ? AND ended IS NULL", (moment, resource)
            )

    def spans(self) -> list[Span]:
        """All, in the order of their beginnings."""
        with self._lock:
            rows = self._database.execute("SELECT * FROM spans ORDER BY started, resource").fetchall()
        return [_span(*row) for row in rows]

    def sample(self, now: int, levels: Iterable[Level]) -> None:
        """Add what was kept since the last sample, at the levels of that; from now on it is `levels`."""
        with self._lock, database.transaction(self._database):
            row = self._database.execute("SELECT moment FROM sampled").fetchone()
            if row is not None:
                parts = list(pacific.days(row[0], now))
                for before in self._levels():
                    for day, seconds in parts:
                        self._database.execute(
                            "INSERT INTO stored VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
                            "SET byte_seconds = byte_seconds + excluded.byte_seconds",
                            (day.isoformat(), *before[:6], before[6] * seconds),
                        )
            self._database.execute("DELETE FROM levels")
            self._database.executemany(
                "INSERT INTO levels VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        one.bucket,
                        one.storage_class,
                        one.location,
                        one.project,
                        one.payer,
                        json.dumps(one.labels),
                        one.amount,
                    )
                    for one in levels
                ],
            )
            self._database.execute("DELETE FROM sampled")
            self._database.execute("INSERT INTO sampled VALUES (?)", (now,))

    def _levels(self) -> list[tuple[Any, ...]]:
        return self._database.execute("SELECT * FROM levels").fetchall()

    def kept(self) -> list[Kept]:
        """What was kept each day, in the order of days."""
        with self._lock:
            rows = self._database.execute("SELECT * FROM stored ORDER BY day, bucket, class").fetchall()
        return [_kept(*row) for row in rows]

    def post(self, moment: str, receiver: str, subject: str, budget: str) -> None:
        """Keep an e-mail that Google would send."""
        with self._lock:
            self._database.execute("INSERT INTO mail VALUES (?, ?, ?, ?)", (moment, receiver, subject, budget))

    def mail(self) -> list[dict[str, str]]:
        """All e-mails, oldest first."""
        with self._lock:
            rows = self._database.execute(
                "SELECT moment, receiver, subject, budget FROM mail ORDER BY rowid"
            ).fetchall()
        return [dict(zip(("time", "to", "subject", "budget"), row, strict=True)) for row in rows]


def _span(*row: Any) -> Span:
    resource, kind, project, payer, region, pools, labels, started, ended = row
    made = tuple(Pool(**pool) for pool in json.loads(pools))
    return Span(resource, kind, project, payer, region, made, json.loads(labels), started, ended)


def _kept(*row: Any) -> Kept:
    day, bucket, storage_class, location, project, payer, labels, amount = row
    level = Level(bucket, storage_class, location, project, payer, json.loads(labels), amount)
    return Kept(date.fromisoformat(day), level)
