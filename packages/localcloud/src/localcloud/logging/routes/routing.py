"""Where a log entry goes: the sinks of its project, what they exclude, and what each kind of destination does with it.

https://cloud.google.com/logging/docs/routing/overview
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.core.errors import ApiError
from localcloud.core.filters import parse
from localcloud.logging.entries import Entry
from localcloud.logging.filtering.matching import Match, matcher
from localcloud.logging.routes.configs import Configs
from localcloud.logging.routes.destinations import BUCKET

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_DAY = 24 * 3600 * 10**9


@dataclass(frozen=True)
class Route:
    """A sink that is on. `bucket` ("locations/L/buckets/B") in `project` keeps entries `kept` nanoseconds long; for a
    sink to elsewhere it is "", and `destination` says where.
    """

    sink: str
    destination: str
    matches: Match
    excluded: tuple[Match, ...]
    project: str = ""
    bucket: str = ""
    kept: int = 0

    def takes(self, entry: Entry) -> bool:
        """Whether the entry goes there."""
        return self.matches(entry) and not any(excluded(entry) for excluded in self.excluded)


class Routing:
    """The routes of each project, read once until a sink, bucket or exclusion changes."""

    def __init__(self, cloud: Cloud, configs: Configs) -> None:
        self._cloud = cloud
        self._configs = configs
        self._lock = threading.Lock()
        self._routes: dict[str, list[Route]] = {}
        self._generation = 0

    def forget(self) -> None:
        """Read all anew: something has changed."""
        with self._lock:
            self._generation += 1
            self._routes.clear()

    def of(self, project: str) -> list[Route]:
        """The sinks of a project (by its id) that are on."""
        with self._lock:
            found, generation = self._routes.get(project), self._generation
        if found is None:
            found = self._read(project)
            with self._lock:
                if generation == self._generation:
                    self._routes[project] = found
        return found

    def _read(self, project: str) -> list[Route]:
        routes = []
        for sink in self._configs.list("sinks", f"projects/{project}"):
            if sink.get("disabled"):
                continue
            exclusions = sink.get("exclusions", [])
            excluded = tuple(
                _match(one["filter"]) for one in exclusions if one.get("filter") and not one.get("disabled")
            )
            route = Route(sink["name"], sink["destination"], _match(sink.get("filter", "")), excluded)
            if found := BUCKET.fullmatch(sink["destination"]):
                bucket = self._bucket(f"projects/{found[1]}/{found[2]}")
                if bucket is None:  # gone: what is sent there is lost
                    continue
                _, owner, place = bucket["name"].split("/", 2)
                kept = int(bucket.get("retentionDays", 30)) * _DAY
                route = Route(route.sink, route.destination, route.matches, excluded, owner, place, kept)
            routes.append(route)
        return routes

    def _bucket(self, name: str) -> dict[str, str] | None:
        try:
            found = self._configs.get(name)
        except ApiError:
            return None
        return found if found.get("lifecycleState", "ACTIVE") == "ACTIVE" else None


def _match(text: str) -> Match:
    return matcher(parse(text), text)
