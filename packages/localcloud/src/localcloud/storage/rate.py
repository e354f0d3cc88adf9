"""Refuses to change one object too often: about once a second in the long run."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from localcloud.core.state.kept import chosen, number, whole
from localcloud.storage.errors import StorageError

_MOST_NAMES = 4096  # those changed longest ago are forgotten, and so full again


@dataclass(frozen=True)
class Allowed:
    """How often one object may be changed: https://cloud.google.com/storage/quotas#objects has "1 write per second to
    the same object name", which Google enforces only after a sustained excess. How long it bears one isn't documented.
    """

    at_once: int = 100
    per_second: float = 1.0


_FIELDS = {
    "changesAtOnce": ("at_once", partial(whole, least=1, most=10**9)),
    "changesPerSecond": ("per_second", partial(number, least=0.001, most=10**9)),
}


def allowed(root: Path) -> Allowed:
    """What the owner of a local cloud wants, in `storage.json` of its folder: {"changesAtOnce": 1}. Raises Damaged."""
    return Allowed(**chosen(root / "storage.json", _FIELDS))


class MutationRate:
    """A token bucket for each object changed of late, by real time: days that pass in seconds refill nothing."""

    def __init__(self, allowed: Allowed = Allowed(), clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._per_second = float(allowed.at_once), allowed.per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()  # name -> (tokens, when)

    def take(self, bucket: str, name: str) -> None:
        """Count one change. Raises 429."""
        now = self._clock()
        with self._lock:
            tokens, when = self._left.get((bucket, name), (self._most, now))
            tokens = min(self._most, tokens + (now - when) * self._per_second)
            if tokens < 1:
                raise StorageError(
                    429,
                    f"The object {bucket}/{name} exceeded the rate limit for object mutation operations (create, "
                    "update, and delete). Please reduce your request rate. See "
                    "https://cloud.google.com/storage/docs/gcs429.",
                    "rateLimitExceeded",
                    "SlowDown",
                )
            self._left[bucket, name] = (tokens - 1, now)
            self._left.move_to_end((bucket, name))
            if len(self._left) > _MOST_NAMES:
                self._left.popitem(last=False)
