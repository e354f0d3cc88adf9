"""Counts what is charged by the piece or by the byte when it happens: operations of Cloud Storage, logs, messages.

In memory, so that no request waits for it; the meter writes it down at each look, and what a kill comes before is lost.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.directory import Buckets

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

CLASS_A, CLASS_B, LOGS, MESSAGES, EARLY = "class A", "class B", "logs", "messages", "early deletion"


@dataclass(frozen=True)
class Thing:
    """What is charged by its amount: bytes of a storage class in a bucket, operations there, a project's logs.

    `bucket` is "" for what is in none; `labels` is JSON; `payer` "" as long as nobody asked.
    """

    bucket: str
    storage_class: str
    location: str
    project: str
    payer: str
    labels: str

    @classmethod
    def of_bucket(cls, bucket: dict[str, Any], project: str, storage_class: str = "", payer: str = "") -> Thing:
        """Of a bucket's JSON resource; its own class unless another is named."""
        kind = storage_class or bucket.get("storageClass", "STANDARD")
        labels = json.dumps(bucket.get("labels", {}))
        return cls(bucket["name"], kind, bucket["location"], project, payer, labels)


class Counts:
    """Any thread may call."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._found: Counter[tuple[str, Thing]] = Counter()
        self._bucket = cache(self._bucket_of)

    def operation(self, bucket: str, kind: str) -> None:
        """One operation of CLASS_A or CLASS_B was done in a bucket."""
        if thing := self._bucket(bucket):
            self.add(kind, thing)

    def of_project(self, what: str, project: str, amount: int) -> None:
        """So many bytes of LOGS or MESSAGES were written in a project (by its id)."""
        self.add(what, Thing(what, "", "", project, "", "{}"), amount)

    def add(self, what: str, thing: Thing, amount: int = 1) -> None:
        """So much of something; who pays is found out later."""
        with self._lock:
            self._found[what, thing] += amount

    def take(self) -> dict[tuple[str, Thing], int]:
        """What was counted since the last time."""
        with self._lock:
            found, self._found = self._found, Counter()
            self._bucket.cache_clear()
        return found

    def _bucket_of(self, name: str) -> Thing | None:
        found = self._cloud.of(Buckets).owner(name)
        return Thing.of_bucket(*found) if found else None
