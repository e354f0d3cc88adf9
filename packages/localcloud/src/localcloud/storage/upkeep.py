"""What time brings to objects: lifecycle rules take effect, and what was soft-deleted goes for good.

https://cloud.google.com/storage/docs/lifecycle and https://cloud.google.com/storage/docs/soft-delete
"""

from __future__ import annotations

import asyncio
import logging
import threading
from bisect import bisect_right
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from localcloud.storage import lifecycle
from localcloud.storage.metadata import Metadata
from localcloud.storage.objects import Objects
from localcloud.storage.records import ObjectRecord
from localcloud.storage.uploads.records import MULTIPART, Uploads

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud
    from localcloud.storage.buckets import Buckets

_FIRST = 1.0  # seconds after the start, so that it holds up nobody who waits for that
_EVERY = 3600.0  # seconds; Google takes up to a day
_TOGETHER = 60.0  # seconds
_SOON = 0.01  # seconds
_DAY = 86_400.0  # seconds
_BATCH = 100  # objects in one transaction
_PAGE = 1000


class Upkeep:
    """A thread that wakes about hourly and after each move of the clock.

    Each batch is a transaction of its own, and what is done is found out anew each time: it can be ended, or killed, at
    any moment.
    """

    def __init__(self, cloud: Cloud, metadata: Metadata, buckets: Buckets, objects: Objects, uploads: Uploads) -> None:
        self._clock = cloud.clock
        self._metadata = metadata
        self._buckets = buckets
        self._objects = objects
        self._uploads = uploads
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[Future[None]] = []
        self._thread: threading.Thread | None = None
        self._last = cloud.clock.time()
        self._moments: tuple[int, list[float]] = (-1, [])
        cloud.on_start(self._start)
        cloud.on_stop(self._stop)
        cloud.clock.on_forward(self._moved, self.due)

    def due(self, grain: float) -> float | None:
        """When something is due next, in seconds since the epoch. Objects of about the same age go together.

        What fell due since the last look is due now: time goes on while the clock is moved.
        """
        changes = self._metadata.changes
        if self._moments[0] != changes:
            self._moments = changes, sorted(self._all_moments())
        moments = self._moments[1]
        after = bisect_right(moments, self._last)
        if after == len(moments):
            return None
        return max(moments[after], self._last + max(grain, _TOGETHER), self._clock.time() + _SOON)

    def _all_moments(self) -> Iterator[float]:
        """When all that is there now is done with, or changes its class."""
        yield from self._metadata.ends()
        for name, resource in self._metadata.all_buckets():
            rules = lifecycle.rules(resource)
            aborting = [rule.condition.get("age", 0) for rule in rules if rule.action == lifecycle.ABORT]
            if aborting:
                for _, _, started in self._uploads.unfinished(MULTIPART, name):
                    yield from (started + days * _DAY for days in aborting)
            rules = [rule for rule in rules if rule.action != lifecycle.ABORT]
            for record, newer in self._versions(name) if rules else ():
                begins = [begin for rule in rules if (begin := rule.begins(record, newer))]
                yield from (begin.timestamp() for begin in begins)
                if begins and record.retained_until:
                    yield record.retained_until.timestamp()

    def once(self) -> None:
        """Do what is due now."""
        self._last = self._clock.time()
        while not self._ending.is_set() and self._objects.forget_expired(_BATCH):
            pass
        self._buckets.forget_expired()
        self._uploads.forget_old()
        for name, resource in self._metadata.all_buckets():
            rules = lifecycle.rules(resource)
            if rules:
                self._apply(name, rules)

    async def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="storage-upkeep", daemon=True)
        self._thread.start()

    async def _stop(self) -> None:
        self._ending.set()
        self._wake.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _moved(self) -> asyncio.Future[None] | None:
        """The clock was moved: wake, and let who moved it wait for the end of what that causes."""
        if self._thread is None or self._ending.is_set():
            self._last = self._clock.time()  # the first look after a start does what is due
            return None
        done: Future[None] = Future()
        with self._lock:
            self._waiting.append(done)
        self._wake.set()
        return asyncio.wrap_future(done)

    def _run(self) -> None:
        self._wake.wait(_FIRST)
        while not self._ending.is_set():
            self._wake.clear()
            with self._lock:
                waiting, self._waiting = self._waiting, []
            try:
                self.once()
            except Exception:  # the next round tries again
                logging.getLogger(__name__).exception("the upkeep of objects failed")
            for one in waiting:
                one.set_result(None)
            self._wake.wait(_EVERY)
        with self._lock:
            for one in self._waiting:
                one.set_result(None)

    def _apply(self, bucket: str, rules: list[lifecycle.Rule]) -> None:
        now = self._clock.now()
        due: list[tuple[ObjectRecord, lifecycle.Step]] = []
        for record, newer in self._versions(bucket):
            if step := lifecycle.step(rules, record, newer, now):
                due.append((record, step))
            if len(due) >= _BATCH:
                self._take(due)
                due = []
        self._take(due)
        for rule in rules:
            if rule.action == lifecycle.ABORT:
                for upload_id, name, started in self._uploads.unfinished(MULTIPART, bucket):
                    if rule.holds_of_upload(name, datetime.fromtimestamp(started, UTC), now):
                        self._uploads.cancel(upload_id)

    def _take(self, due: list[tuple[ObjectRecord, lifecycle.Step]]) -> None:
        if due and not self._ending.is_set():
            with self._metadata.transaction():
                for record, step in due:
                    self._objects.take_step(record, step)

    def _versions(self, bucket: str) -> Iterator[tuple[ObjectRecord, int]]:
        """All versions in a bucket, each with how many newer ones of its name there are."""
        after: tuple[str, int] = ("", -1)
        group: list[ObjectRecord] = []
        while not self._ending.is_set():
            page = self._metadata.scan(bucket, after, "", versions=True, limit=_PAGE)
            for record in page:
                if group and group[0].name != record.name:
                    yield from _with_newer(group)
                    group = []
                group.append(record)
            if len(page) < _PAGE:
                break
            after = (page[-1].name, page[-1].generation)
        yield from _with_newer(group)


def _with_newer(group: list[ObjectRecord]) -> Iterator[tuple[ObjectRecord, int]]:
    return ((record, len(group) - 1 - place) for place, record in enumerate(group))
