"""The log entries of one local cloud: written once, routed to log buckets, kept in SQLite, listed by filter."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.counts import LOGS
from localcloud.core.asked.usage import Usage
from localcloud.core.errors import ApiError
from localcloud.core.filters import parse
from localcloud.core.state import database
from localcloud.logging import listing
from localcloud.logging.alerts import LogAlerts
from localcloud.logging.entries import LARGEST_REQUEST, Entry, check_size, complete, nanoseconds, timestamp
from localcloud.logging.filtering.matching import Match, matcher
from localcloud.logging.routes import exports
from localcloud.logging.routes.configs import Configs
from localcloud.logging.routes.exports import Exports
from localcloud.logging.routes.routing import Route, Routing
from localcloud.logging.routes.scopes import Scope, Scopes
from localcloud.projects.store import Projects

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (
    sequence INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    bucket TEXT NOT NULL,
    log TEXT NOT NULL,
    stamp INTEGER NOT NULL,
    insert_id TEXT NOT NULL,
    job TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (log, stamp, insert_id, project, bucket)
);
CREATE INDEX IF NOT EXISTS kept_stamp ON kept (project, stamp, insert_id, log);
CREATE INDEX IF NOT EXISTS kept_job ON kept (job, stamp, insert_id, log) WHERE job != '';
"""
# Until buckets were told apart, all entries were in a table of their own.
_MOVE = """
INSERT OR IGNORE INTO kept (project, bucket, log, stamp, insert_id, job, body)
SELECT project, 'locations/global/buckets/_Default', log, stamp, insert_id, job, body FROM entries ORDER BY sequence;
DROP TABLE entries;
"""
_INSERT = "INSERT OR IGNORE INTO kept (project, bucket, log, stamp, insert_id, job, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
_DEFAULT = "locations/global/buckets/_Default"
_REQUIRED = "locations/global/buckets/_Required"  # costs nothing
_DAY = 24 * 3600 * 10**9
_PENDING = 7 * _DAY  # of a bucket that is deleted
_LARGEST_ANSWER = 8 << 20  # characters of entries on a page: gRPC clients take no message of any size
_TOGETHER = 24 * 3600.0  # seconds between two looks at what is too old, while the clock is moved
_UPKEEP = 60.0  # seconds between two looks at what is over
Listener = Callable[[str, list[Entry]], None]  # a project's id, and what was written to it


class Logs:
    """Log entries and what configures them (`configs`). All methods may be called from any thread."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        path = cloud.folder("logging") / "entries.sqlite"
        self._database = database.connect(path, _SCHEMA + exports.SCHEMA)
        if self._database.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone():
            with database.transaction(self._database):
                for statement in _MOVE.strip().split(";\n"):
                    self._database.execute(statement)
        self._lock = threading.RLock()
        # Lists may take long, and nobody who writes should wait for them.
        self._reader = database.connect(path)
        self._reading = threading.Lock()
        self.configs = Configs(cloud, lambda: self.routing.forget())
        self.routing = Routing(cloud, self.configs)
        self._scopes = Scopes(cloud, self.configs)
        self.exports = Exports(cloud, self._database, self._lock, self._tell_sink_error)
        self._listeners: list[Listener] = []
        self._alerts = LogAlerts(cloud)
        self._pruned = 0.0
        cloud.count("log entries", self.count)
        cloud.on_start(self._keep_up)
        cloud.clock.on_forward(self._catch_up, self.due)

    def count(self) -> int:
        """How many entries are kept."""
        with self._lock:
            return self._database.execute("SELECT count(*) FROM kept").fetchone()[0]

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with all that is written from now on, in the writer's thread; gives what ends that."""
        with self._lock:
            self._listeners.append(listener)

        def end() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return end

    def _now(self) -> tuple[int, int]:
        """This cloud's time, and how much it is ahead of the real one, in nanoseconds."""
        ahead = int(self._cloud.clock.ahead.total_seconds() * 10**9)
        return int(self._cloud.clock.wall() * 10**9) + ahead, ahead

    def write(
        self,
        entries: Iterable[Mapping[str, Any]],
        defaults: Mapping[str, Any] | None = None,
        partial: bool = False,
        largest: int | None = None,
        dry_run: bool = False,
    ) -> None:
        """Keep entries (JSON of LogEntry); `defaults` may give logName, resource and labels for all.

        An entry with the logName, timestamp and insertId of a kept one is dropped, as Google does; so is one that is
        older than its bucket keeps entries, or more than a day in the future. Timestamps are of the real time, also
        where this cloud's clock is ahead. An entry that can't be makes all fail, or with `partial` only itself; so does
        one of more than `largest` bytes. `dry_run` keeps nothing.
        Raises 400, or 403 for an unknown project.
        """
        now, ahead = self._now()
        good: list[Entry] = []
        bad: dict[int, ApiError] = {}
        total = 0
        made = secrets.token_hex(6)
        for index, given in enumerate(entries):
            try:
                # Of those that bring neither time nor id, the earlier ones sort before the later ones (entries.write).
                good.append(complete(given, defaults or {}, now, ahead, f"{made}{index:05x}"))
                if largest is not None:
                    total += check_size(good[-1], largest)
            except ApiError as error:
                error.message = error.message.replace("entries[0]", f"entries[{index}]")
                bad[index] = error
        if total > LARGEST_REQUEST:
            raise ApiError(400, f"Request payload size exceeds the limit: {LARGEST_REQUEST} bytes.")
        if bad and not partial:
            raise next(iter(bad.values()))
        self._keep(good, now, dry_run)
        if bad:
            raise _partial(bad)

    def _keep(self, entries: Sequence[Entry], now: int, dry_run: bool) -> None:
        kept: list[tuple[Any, ...]] = []
        exported: list[tuple[Any, ...]] = []
        sent: list[tuple[str, Route, Entry]] = []
        written: dict[str, list[Entry]] = {}
        taken: dict[str, list[Entry]] = {}  # what exclusions leave
        parents: dict[str, tuple[str, list[Route]]] = {}
        for entry in entries:
            parent, _, log = entry["logName"].partition("/logs/")
            if parent not in parents:
                found = self._scopes.project(parent, "logging.logEntries.create")
                parents[parent] = found, self.routing.of(found)
            project, routes = parents[parent]
            entry["logName"] = f"projects/{project}/logs/{log}"
            if not entry["resource"]["labels"].get("project_id"):  # Google says of which project a resource is
                entry["resource"]["labels"]["project_id"] = project
            written.setdefault(project, []).append(entry)
            job = entry["resource"]["labels"].get("job_id", "")
            stamp = nanoseconds(entry["timestamp"])
            body = json.dumps(entry)
            takers = [route for route in routes if route.takes(entry)]
            if takers:
                taken.setdefault(project, []).append(entry)
            for route in takers:
                if route.bucket:
                    if now - route.kept <= stamp <= now + _DAY:
                        kept.append(
                            (route.project, route.bucket, entry["logName"], stamp, entry["insertId"], job, body)
                        )
                elif row := self.exports.rows(project, route, entry):
                    exported.append(row)
                else:
                    sent.append((project, route, entry))
        if dry_run:
            return
        with self._lock, database.transaction(self._database):
            self._database.executemany(_INSERT, kept)
            if exported:
                self.exports.keep(exported)
        for owner in {row[0] for row in kept}:
            size = sum(len(row[-1]) for row in kept if row[0] == owner and row[1] != _REQUIRED)
            self._cloud.of(Usage).counts.of_project(LOGS, owner, size)
        for project, route, entry in sent:
            self.exports.publish(project, route, entry)
        for listener in list(self._listeners):
            for project, ones in written.items():
                listener(project, ones)
        for project, ones in taken.items():
            self._alerts.hear(project, ones)

    def _tell_sink_error(self, project: str, sink: str, destination: str, what: str) -> None:
        """https://cloud.google.com/logging/docs/export/troubleshoot"""
        labels = {"project_id": project, "name": sink, "destination": destination}
        self.write(
            [
                {
                    "logName": f"projects/{project}/logs/logging.googleapis.com%2Fsink_error",
                    "resource": {"type": "logging_sink", "labels": labels},
                    "severity": "ERROR",
                    "textPayload": f"Cloud Logging sink configuration error in {project}, sink {sink}: {what} ()",
                }
            ]
        )

    def matching(self, resources: Sequence[str], filter: str) -> tuple[set[str], Match]:
        """The projects that `resources` are of, and what an entry written there must be to be among them.

        Raises 400, 403, 404.
        """
        scopes = self._scopes.all(resources, "logging.logEntries.list")
        matches = matcher(parse(filter), filter)
        views = [scope.matches for scope in scopes if scope.matches]
        everything = len(views) < len(scopes)
        return {
            scope.project for scope in scopes
        }, lambda entry: matches(entry) and (everything or any(view(entry) for view in views))

    def entries(
        self,
        resources: Sequence[str],
        filter: str = "",
        order_by: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> tuple[list[Entry], str]:
        """Entries of `resources` ("projects/p", or a view of a bucket) that match, and the token of the next page.

        A project's are those of all its buckets, each once. Raises 400 for a filter, order or token that can't be read,
        403 for an unknown project, 404 for an unknown view.
        """
        scopes = self._scopes.all(resources, "logging.logEntries.list")
        page = listing.page(filter, resources, order_by, page_size, page_token)
        tree = parse(filter)
        matches = matcher(tree, filter)
        buckets = sorted({scope.bucket for scope in scopes}) if all(scope.bucket for scope in scopes) else []
        narrowed = listing.narrowing(tree, sorted({scope.project for scope in scopes}), buckets)
        listing.after(narrowed, page)
        direction = "DESC" if page.newest_first else "ASC"
        query = (
            "SELECT stamp, insert_id, log, project, bucket, body FROM kept "  # noqa: S608
            f"WHERE {' AND '.join(narrowed.conditions)} "
            f"ORDER BY stamp {direction}, insert_id {direction}, log {direction}"
        )
        whole = any(scope == Scope(scope.project) for scope in scopes) and len(scopes) == 1
        found: list[Entry] = []
        size = 0
        last: listing.Key | None = None
        with self._reading, contextlib.closing(self._reader.execute(query, narrowed.values)) as rows:
            for stamp, insert_id, log, project, bucket, body in rows:
                key = (stamp, insert_id, log)
                if key == last:  # the same in another bucket
                    continue
                entry = json.loads(body)
                if not matches(entry) or not (whole or any(s.holds(project, bucket, entry) for s in scopes)):
                    continue
                if last and (len(found) == page.size or size + len(body) > _LARGEST_ANSWER):
                    return found, page.token(last)
                found.append(entry)
                size += len(body)
                last = key
        return found, ""

    def logs(self, parent: str, resources: Sequence[str] = ()) -> list[str]:
        """Names of the logs that have entries, of a project or of the views in `resources`. Raises 400, 403, 404."""
        names: set[str] = set()
        for scope in self._scopes.all(resources or [parent], "logging.logs.list"):
            with self._lock:
                rows = self._database.execute(
                    "SELECT DISTINCT log FROM kept WHERE project = ? AND (bucket = ? OR ? = '')",
                    (scope.project, scope.bucket, scope.bucket),
                ).fetchall()
            names |= {row[0] for row in rows}
        return sorted(names)

    def delete_log(self, name: str) -> None:
        """Forget a log's entries in the `_Default` bucket. Raises 403, or 404 when it has none.

        https://cloud.google.com/logging/docs/reference/v2/rest/v2/projects.logs/delete
        """
        parent, _, log = name.partition("/logs/")
        project = self._scopes.project(parent, "logging.logs.delete")
        with self._lock:
            gone = self._database.execute(
                "DELETE FROM kept WHERE log = ? AND project = ? AND bucket = ?",
                (f"projects/{project}/logs/{log}", project, _DEFAULT),
            )
        if not gone.rowcount:
            raise ApiError(404, f"Log {log} does not exist")

    def due(self, grain: float) -> float | None:
        """When the files of an hour are to be written, or entries are too old, in seconds; those of a day together."""
        now = self._cloud.clock.time()
        moments = [self.exports.due()]
        for project in self._cloud.of(Projects).list():
            for bucket, kept in self._retention(project["projectId"]).items():
                sql = "SELECT min(stamp) FROM kept WHERE project = ? AND bucket = ?"
                with self._lock:
                    oldest = self._database.execute(sql, (project["projectId"], bucket)).fetchone()[0]
                if oldest is not None:
                    moments.append(max((oldest + kept) / 10**9, self._pruned + max(grain, _TOGETHER)))
        return min((moment for moment in moments if moment is not None and moment > now), default=None)

    def _retention(self, project: str) -> dict[str, int]:
        """Bucket -> for how many nanoseconds it keeps entries."""
        buckets = self.configs.list("buckets", f"projects/{project}/locations/-")
        return {one["name"].split("/", 2)[2]: int(one.get("retentionDays", 30)) * _DAY for one in buckets}

    async def _catch_up(self) -> None:
        await asyncio.to_thread(self.prune)
        await asyncio.to_thread(self.exports.flush)

    async def _keep_up(self) -> None:
        while True:
            try:
                await self._catch_up()
            except Exception:
                log.exception("old entries can't be cleared away")
            await asyncio.sleep(_UPKEEP)

    def prune(self) -> None:
        """Forget what is older than its bucket keeps it, and what is in buckets that are gone."""
        now, _ahead = self._now()
        self._pruned = now / 10**9
        self.configs.purge(timestamp(now - _PENDING))
        for project in self._cloud.of(Projects).list():
            owner = project["projectId"]
            kept = self._retention(owner)
            with self._lock:
                used = self._database.execute("SELECT DISTINCT bucket FROM kept WHERE project = ?", (owner,)).fetchall()
                for (bucket,) in used:
                    self._database.execute(
                        "DELETE FROM kept WHERE project = ? AND bucket = ? AND stamp < ?",
                        (owner, bucket, now - kept.get(bucket, 0)),
                    )

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        with self._lock, self._reading:
            self._reader.close()
            self._database.close()


def _partial(bad: Mapping[int, ApiError]) -> ApiError:
    """https://cloud.google.com/logging/docs/reference/v2/rpc/google.logging.v2#writelogentriespartialerrors"""
    errors = {str(index): {"code": 3, "message": error.message} for index, error in bad.items()}
    detail = {"@type": "type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors", "logEntryErrors": errors}
    return ApiError(400, next(iter(bad.values())).message, details=[detail])
