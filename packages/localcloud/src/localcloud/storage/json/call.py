"""One call of the JSON API as its handlers see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.storage.admission import Asker
from localcloud.storage.conditions import Conditions, from_request
from localcloud.storage.copies import Source
from localcloud.storage.errors import required
from localcloud.storage.metadata import Resource
from localcloud.storage.objects import as_generation
from localcloud.storage.records import timestamp
from localcloud.storage.store import Storage


@dataclass(frozen=True)
class Call:
    """One call: `params` from the path (decoded), `body` parsed JSON or {}; `asker` is who calls."""

    storage: Storage
    params: tuple[str, ...]
    queries: Mapping[str, list[str]]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Resource
    asker: Asker

    @property
    def email(self) -> str:
        return self.asker.caller.email

    @property
    def bucket(self) -> str:
        return self.params[0]

    @property
    def name(self) -> str:
        """The object's name."""
        return self.params[1]

    @property
    def generation(self) -> int | None:
        return as_generation(self.query.get("generation"))

    @property
    def conditions(self) -> Conditions:
        return from_request(self.query, self.headers)

    @property
    def now(self) -> str:
        """As RFC 3339."""
        return timestamp(self.storage.cloud.clock.now())

    @property
    def source(self) -> Source:
        """What a copy takes from; that is the first bucket and object of the path."""
        generation = as_generation(self.query.get("sourceGeneration"))
        conditions = from_request(self.query, self.headers, "ifSource")
        return Source(self.bucket, self.name, generation, conditions)

    @property
    def needed_generation(self) -> int:
        """Raises 400 when there is none."""
        if self.generation is None:
            raise required("Required parameter: generation")
        return self.generation
