"""Sends entries on to where sinks lead outside of Logging: Pub/Sub topics at once, Cloud Storage in files of an hour.

https://cloud.google.com/logging/docs/export/pubsub and https://cloud.google.com/logging/docs/export/storage
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.callers import Caller
from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError
from localcloud.core.state import database
from localcloud.iam import access
from localcloud.iam.access import Access
from localcloud.logging.entries import Entry, log_id, nanoseconds
from localcloud.logging.routes.destinations import STORAGE, TOPIC
from localcloud.logging.routes.routing import Route
from localcloud.projects.store import Projects
from localcloud.pubsub.store import PubSub
from localcloud.storage.store import Storage

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

SCHEMA = """
CREATE TABLE IF NOT EXISTS exports (
    sequence INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    sink TEXT NOT NULL,
    bucket TEXT NOT NULL,
    log TEXT NOT NULL,
    hour INTEGER NOT NULL,
    body TEXT NOT NULL
);
"""
_HOUR = 3600 * 10**9
Tell = Callable[[str, str, str, str], None]  # project, sink, destination, what is wrong

log = logging.getLogger(__name__)


class Exports:
    """Takes entries for sinks outside of Logging; those for Cloud Storage wait in the database for their hour's end.

    Any thread may call. `tell` hears of what a sink may not or can't do; its entries are lost, as on Google.
    """

    def __init__(self, cloud: Cloud, connection: sqlite3.Connection, lock: threading.RLock, tell: Tell) -> None:
        self._cloud = cloud
        self._database = connection
        self._lock = lock
        self._tell = tell
        self._told: dict[tuple[str, str], float] = {}

    def rows(self, project: str, route: Route, entry: Entry) -> tuple[Any, ...] | None:
        """What to keep for a sink to Cloud Storage; None for another sink."""
        found = STORAGE.fullmatch(route.destination)
        if found is None:
            return None
        hour = nanoseconds(entry["timestamp"]) // _HOUR
        return (project, route.sink, found[1], log_id(entry["logName"]), hour, json.dumps(entry))

    def keep(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows, inside the caller's transaction."""
        self._database.executemany(
            "INSERT INTO exports (project, sink, bucket, log, hour, body) VALUES (?, ?, ?, ?, ?, ?)", rows
        )

    def publish(self, project: str, route: Route, entry: Entry) -> None:
        """Send an entry to the topic of a sink; nothing for other sinks."""
        found = TOPIC.fullmatch(route.destination)
        if found is None:
            return
        topic = self._named_by_id(found[1])
        try:
            self._cloud.of(PubSub).get(topic)
        except ApiError:
            return self._complain(project, route.sink, route.destination, "topic_not_found")
        from localcloud.pubsub.resources import resource

        if not self._may(project, "pubsub.topics.publish", resource(topic)):
            return self._complain(project, route.sink, route.destination, "topic_permission_denied")
        self._cloud.of(PubSub).publish(
            topic, json.dumps(entry).encode(), {"logging.googleapis.com/timestamp": entry["timestamp"]}
        )

    def due(self) -> float | None:
        """When the first hour of which there are entries is over, in seconds; None when nothing waits."""
        with self._lock:
            hour = self._database.execute("SELECT min(hour) FROM exports").fetchone()[0]
        return None if hour is None else (hour + 1) * 3600.0

    def flush(self) -> None:
        """Write the files of the hours that are over: LOG_ID/2026/01/31/12:00:00_12:59:59_S0.json"""
        this_hour = int(self._cloud.clock.time() * 10**9) // _HOUR
        with self._lock:
            groups = self._database.execute(
                "SELECT DISTINCT project, sink, bucket, log, hour FROM exports WHERE hour < ?", (this_hour,)
            ).fetchall()
        for project, sink, bucket, log_name, hour in groups:
            with self._lock:
                rows = self._database.execute(
                    "SELECT sequence, body FROM exports WHERE project = ? AND sink = ? AND bucket = ? AND log = ? "
                    "AND hour = ? ORDER BY sequence",
                    (project, sink, bucket, log_name, hour),
                ).fetchall()
            self._write(project, sink, bucket, log_name, hour, [row[1] for row in rows])
            with self._lock, database.transaction(self._database):
                self._database.executemany("DELETE FROM exports WHERE sequence = ?", [(row[0],) for row in rows])

    def _write(self, project: str, sink: str, bucket: str, log_name: str, hour: int, bodies: list[str]) -> None:
        from localcloud.storage.errors import StorageError
        from localcloud.storage.uploads.drafts import Content, Draft

        destination = f"storage.googleapis.com/{bucket}"
        objects, blobs = self._cloud.of(Storage).objects, self._cloud.of(Storage).blobs
        try:
            objects.bucket(bucket)
        except ApiError:
            return self._complain(project, sink, destination, "bucket_not_found")
        begin = datetime.fromtimestamp(hour * 3600, UTC)
        end = begin + timedelta(seconds=3599)
        part = 0
        while True:
            name = f"{log_name}/{begin:%Y/%m/%d}/{begin:%H:%M:%S}_{end:%H:%M:%S}_S{part}.json"
            try:
                objects.get(bucket, name)
            except StorageError:
                break
            part += 1
        owner = self._cloud.of(Projects).get(objects.bucket(bucket)["projectNumber"])["projectId"]
        if not self._may(project, "storage.objects.create", access.storage_object(bucket, name, owner)):
            return self._complain(project, sink, destination, "bucket_permission_denied")
        writer = blobs.create()
        writer.write("".join(f"{body}\n" for body in bodies).encode())
        writer.close()
        draft = Draft.of(bucket, name, {"contentType": "application/json"})
        objects.commit(draft, Content.of(writer.blob, writer.hashes))

    def _may(self, project: str, permission: str, resource: Resource) -> bool:
        number = self._cloud.of(Projects).get(project)["projectNumber"]
        writer = Caller(f"service-{number}@gcp-sa-logging.iam.gserviceaccount.com", project)
        return self._cloud.of(Access).allows(writer, permission, resource)

    def _named_by_id(self, topic: str) -> str:
        _, owner, rest = topic.split("/", 2)
        found = self._cloud.of(Projects).find(owner)
        return f"projects/{found['projectId'] if found else owner}/{rest}"

    def _complain(self, project: str, sink: str, destination: str, what: str) -> None:
        """Once an hour for each sink."""
        now = self._cloud.clock.time()
        if now - self._told.get((project, sink), 0.0) > 3600:
            self._told[project, sink] = now
            self._tell(project, sink, destination, what)
