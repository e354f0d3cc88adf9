"""What was used, in SQLite: machines from when to when, and bytes that were kept each day. Nothing is ever deleted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from localcloud.billing import pacific
from localcloud.core.asked.counts import Thing
from localcloud.core.asked.usage import Pool, Span
from localcloud.core.state import database

STORAGE = "storage"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spans (
    resource TEXT PRIMARY KEY, kind TEXT NOT NULL, project TEXT NOT NULL, payer TEXT NOT NULL, region TEXT NOT NULL,
    pools TEXT NOT NULL, labels TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER,
    title TEXT NOT NULL DEFAULT ''
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
CREATE TABLE IF NOT EXISTS counted (
    what TEXT NOT NULL, day TEXT NOT NULL, bucket TEXT NOT NULL, class TEXT NOT NULL, location TEXT NOT NULL,
    project TEXT NOT NULL, payer TEXT NOT NULL, labels TEXT NOT NULL, amount INTEGER NOT NULL,
    PRIMARY KEY (what, day, bucket, class, location, project, payer, labels)
);
CREATE TABLE IF NOT EXISTS sampled (moment INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS mail (
    moment TEXT NOT NULL, receiver TEXT NOT NULL, subject TEXT NOT NULL, budget TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Counted:
    """What one day had: byte-seconds where `what` is STORAGE, else pieces or bytes (see core/counts.py)."""

    day: date
    what: str
    thing: Thing
    amount: int


class Ledger:
    """Each change is one transaction; any thread may call."""

    def __init__(self, path: Path) -> None:
        self._database = database.connect(path, _SCHEMA)
        if "title" not in {row[1] for row in self._database.execute("PRAGMA table_info(spans)")}:  # of an older version
            self._database.execute("ALTER TABLE spans ADD COLUMN title TEXT NOT NULL DEFAULT ''")
        self._lock = threading.RLock()

    def note(self, span: Span) -> None:
        """Keep a span, or what is new about it; who pays, and when it began, stay as they were noted first."""
        pools = json.dumps([vars(pool) for pool in span.pools])
        row = (span.resource, span.kind, span.project, span.payer, span.region, pools, json.dumps(span.labels))
        with self._lock:
            self._database.execute(
                "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (resource) DO UPDATE SET ended = coalesce(spans.ended, excluded.ended)",
                (*row, span.started, span.ended, span.title),
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

    def sample(self, now: int, levels: Mapping[Thing, int]) -> None:
        """From now on what is kept is `levels`, in bytes; until now it was what the last sample said."""
        with self._lock, database.transaction(self._database):
            since, before = self._sampled()
            if since is not None and levels == before:
                return
            self._database.executemany(
                "INSERT INTO stored VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
                "SET byte_seconds = byte_seconds + excluded.byte_seconds",
                [(day.isoformat(), *astuple(thing), amount) for day, thing, amount in _of_days(since, now, before)],
            )
            self._database.execute("DELETE FROM levels")
            rows = [(*astuple(thing), amount) for thing, amount in levels.items()]
            self._database.executemany("INSERT INTO levels VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            self._database.execute("DELETE FROM sampled")
            self._database.execute("INSERT INTO sampled VALUES (?)", (now,))

    def _sampled(self) -> tuple[int | None, dict[Thing, int]]:
        row = self._database.execute("SELECT moment FROM sampled").fetchone()
        levels = self._database.execute("SELECT * FROM levels").fetchall()
        return (row[0] if row else None), {Thing(*key): amount for *key, amount in levels}

    def levels(self) -> dict[Thing, int]:
        """How many bytes of each are kept now."""
        with self._lock:
            return self._sampled()[1]

    def count(self, day: date, counted: Mapping[tuple[str, Thing], int]) -> None:
        """Add what a day had by the piece or the byte."""
        with self._lock, database.transaction(self._database):
            self._database.executemany(
                "INSERT INTO counted VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
                "SET amount = amount + excluded.amount",
                [(what, day.isoformat(), *astuple(thing), amount) for (what, thing), amount in counted.items()],
            )

    def counted(self, now: int) -> list[Counted]:
        """What each day until now had, in the order of days."""
        with self._lock:
            kept = self._database.execute("SELECT * FROM stored").fetchall()
            rows = self._database.execute("SELECT * FROM counted").fetchall()
            since, levels = self._sampled()
        found = {(day, STORAGE, Thing(*key)): amount for day, *key, amount in kept}
        for day, thing, amount in _of_days(since, now, levels):
            key = (day.isoformat(), STORAGE, thing)
            found[key] = found.get(key, 0) + amount
        found |= {(day, what, Thing(*key)): amount for what, day, *key, amount in rows}
        return [
            Counted(date.fromisoformat(day), what, thing, found[day, what, thing])
            for day, what, thing in sorted(found, key=lambda key: (key[0], key[1], key[2].bucket, key[2].storage_class))
        ]

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
    resource, kind, project, payer, region, pools, labels, started, ended, title = row
    made = tuple(Pool(**pool) for pool in json.loads(pools))
    return Span(resource, kind, project, payer, region, made, json.loads(labels), started, ended, title)


def _of_days(since: int | None, now: int, levels: Mapping[Thing, int]) -> Iterator[tuple[date, Thing, int]]:
    """Byte-seconds of each level on each day."""
    for day, seconds in pacific.days(now if since is None else since, now):
        for thing, amount in levels.items():
            yield day, thing, amount * seconds
