"""Refuses to change one object too often: about once a second in the long run."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from localcloud.storage.errors import StorageError

# https://cloud.google.com/storage/quotas#objects: "1 write per second to the same object name", which Google enforces
# only after a sustained excess. How long it bears one is not documented: this many at once.
_BURST = 100
_PER_SECOND = 1.0
_MOST_NAMES = 4096  # those changed longest ago are forgotten, and so full again


class MutationRate:
    """A token bucket for each object changed of late, by real time: days that pass in seconds refill nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()  # name -> (tokens, when)

    def take(self, bucket: str, name: str) -> None:
        """Count one change. Raises 429."""
        now = self._clock()
        with self._lock:
            tokens, when = self._left.get((bucket, name), (float(_BURST), now))
            tokens = min(float(_BURST), tokens + (now - when) * _PER_SECOND)
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
