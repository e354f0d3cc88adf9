"""The log entries of one local cloud: written once, kept in SQLite, listed by filter."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from localcloud import database
from localcloud.errors import ApiError, error_info
from localcloud.logging import listing
from localcloud.logging.configs import Configs
from localcloud.logging.entries import Entry, check_size, complete, nanoseconds
from localcloud.logging.filters import parse
from localcloud.logging.matching import Match, matcher

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    sequence INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    log TEXT NOT NULL,
    stamp INTEGER NOT NULL,
    insert_id TEXT NOT NULL,
    job TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (log, stamp, insert_id)
);
CREATE INDEX IF NOT EXISTS entries_stamp ON entries (project, stamp, insert_id);
CREATE INDEX IF NOT EXISTS entries_job ON entries (job, stamp, insert_id) WHERE job != '';
"""
_INSERT = "INSERT OR IGNORE INTO entries (project, log, stamp, insert_id, job, body) VALUES (?, ?, ?, ?, ?, ?)"
_DAY = 24 * 3600 * 10**9
_LARGEST_ANSWER = 8 << 20  # characters of entries on a page: gRPC clients take no message of any size


class Logs:
    """Log entries and what configures them (`configs`). All methods may be called from any thread."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        path = cloud.folder("logging") / "entries.sqlite"
        self._database = database.connect(path, _SCHEMA)
        self._lock = threading.RLock()
        # Lists may take long, and nobody who writes should wait for them.
        self._reader = database.connect(path)
        self._reading = threading.Lock()
        self.configs = Configs(cloud)
        cloud.count("log entries", self.count)
        cloud.on_start(self._prune)

    def count(self) -> int:
        """How many entries are kept."""
        with self._lock:
            return self._database.execute("SELECT count(*) FROM entries").fetchone()[0]

    def write(
        self,
        entries: Iterable[Mapping[str, Any]],
        defaults: Mapping[str, Any] | None = None,
        partial: bool = False,
        largest: int | None = None,
    ) -> None:
        """Keep entries (JSON of LogEntry); `defaults` may give logName, resource and labels for all.

        An entry with the logName, timestamp and insertId of a kept one is dropped, as Google does. One that can't be
        makes all fail, or with `partial` only itself; so does one of more than `largest` bytes.
        Raises 400, or 403 for an unknown project.
        """
        now = time.time_ns()
        good: list[Entry] = []
        bad: dict[int, ApiError] = {}
        for index, given in enumerate(entries):
            try:
                good.append(complete(given, defaults or {}, now))
                if largest is not None:
                    check_size(good[-1], largest)
            except ApiError as error:
                error.message = error.message.replace("entries[0]", f"entries[{index}]")
                bad[index] = error
        if bad and not partial:
            raise next(iter(bad.values()))
        self._keep(good)
        if bad:
            raise _partial(bad)

    def _keep(self, entries: Sequence[Entry]) -> None:
        rows = []
        parents: dict[str, tuple[str, list[Match]]] = {}
        for entry in entries:
            parent, _, log = entry["logName"].partition("/logs/")
            if parent not in parents:
                found = self._project(parent, "logging.logEntries.create")
                parents[parent] = found, self.configs.exclusions(found)
            project, exclusions = parents[parent]
            entry["logName"] = f"projects/{project}/logs/{log}"
            if any(excluded(entry) for excluded in exclusions):
                continue
            job = entry["resource"]["labels"].get("job_id", "")
            stamp = nanoseconds(entry["timestamp"])
            rows.append((project, entry["logName"], stamp, entry["insertId"], job, json.dumps(entry)))
        with self._lock, database.transaction(self._database):
            self._database.executemany(_INSERT, rows)

    def _project(self, parent: str, permission: str) -> str:
        """The id of the project that `projects/ID-or-number` names."""
        kind, _, name = parent.partition("/")
        found = self._cloud.projects.find(name) if kind == "projects" else None
        if found is None:
            raise ApiError(
                403,
                f"Permission '{permission}' denied on resource (or it may not exist).",
                details=[error_info("IAM_PERMISSION_DENIED", "logging.googleapis.com", permission=permission)],
            )
        return found["projectId"]

    def entries(
        self,
        resources: Sequence[str],
        filter: str = "",
        order_by: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> tuple[list[Entry], str]:
        """Entries of `resources` ("projects/p", or a view of a bucket) that match, and the token of the next page.

        Raises 400 for a filter, order or token that can't be read, 403 for an unknown project.
        """
        if not resources:
            raise ApiError(400, "resource_names must not be empty")
        projects = sorted({self._project(_parent(name), "logging.logEntries.list") for name in resources})
        page = listing.page(filter, resources, order_by, page_size, page_token)
        tree = parse(filter)
        matches = matcher(tree, filter)
        narrowed = listing.narrowing(tree, projects)
        listing.after(narrowed, page)
        direction = "DESC" if page.newest_first else "ASC"
        query = (
            f"SELECT stamp, insert_id, sequence, body FROM entries WHERE {' AND '.join(narrowed.conditions)} "  # noqa: S608
            f"ORDER BY stamp {direction}, insert_id {direction}, sequence {direction}"
        )
        found: list[Entry] = []
        size = 0
        last: listing.Key | None = None
        with self._reading, contextlib.closing(self._reader.execute(query, narrowed.values)) as rows:
            for *key, body in rows:
                entry = json.loads(body)
                if not matches(entry):
                    continue
                if last and (len(found) == page.size or size + len(body) > _LARGEST_ANSWER):
                    return found, page.token(last)
                found.append(entry)
                size += len(body)
                last = (key[0], key[1], key[2])
        return found, ""

    def logs(self, parent: str) -> list[str]:
        """Names of the logs of a project that have entries. Raises 403."""
        project = self._project(_parent(parent), "logging.logs.list")
        with self._lock:
            rows = self._database.execute(
                "SELECT DISTINCT log FROM entries WHERE project = ? ORDER BY log", (project,)
            ).fetchall()
        return [row[0] for row in rows]

    def delete_log(self, name: str) -> None:
        """Forget a log and its entries. Raises 403, or 404 when it has none."""
        parent, _, log = name.partition("/logs/")
        project = self._project(parent, "logging.logs.delete")
        with self._lock:
            gone = self._database.execute("DELETE FROM entries WHERE log = ?", (f"projects/{project}/logs/{log}",))
        if not gone.rowcount:
            raise ApiError(404, f"Log {log} does not exist")

    async def _prune(self) -> None:
        await asyncio.to_thread(self.prune)

    def prune(self) -> None:
        """Forget what is older than the `_Default` bucket of its project keeps it."""
        for project in self._cloud.projects.list():
            name = f"projects/{project['projectId']}/locations/global/buckets/_Default"
            oldest = time.time_ns() - int(self.configs.get(name)["retentionDays"]) * _DAY
            with self._lock:
                self._database.execute(
                    "DELETE FROM entries WHERE project = ? AND stamp < ?", (project["projectId"], oldest)
                )

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        with self._lock, self._reading:
            self._reader.close()
            self._database.close()


def _parent(resource: str) -> str:
    match = re.fullmatch(r"(projects/[^/]+)(/locations/[^/]+/buckets/[^/]+/views/[^/]+)?", resource)
    if match is None:
        raise ApiError(400, f"Invalid resource name: '{resource}'. The local cloud has projects only.")
    return match[1]


def _partial(bad: Mapping[int, ApiError]) -> ApiError:
    """https://cloud.google.com/logging/docs/reference/v2/rpc/google.logging.v2#writelogentriespartialerrors"""
    errors = {str(index): {"code": 3, "message": error.message} for index, error in bad.items()}
    detail = {"@type": "type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors", "logEntryErrors": errors}
    return ApiError(400, next(iter(bad.values())).message, details=[detail])
