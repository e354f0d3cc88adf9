"""Live tailing: entries as they are written, a little later, in order of their time.

https://cloud.google.com/logging/docs/reference/v2/rpc/google.logging.v2#google.logging.v2.LoggingServiceV2.TailLogEntries
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError
from localcloud.logging.entries import Entry, nanoseconds
from localcloud.logging.store import Logs

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

# https://cloud.google.com/logging/quotas#live-tailing-limits
MOST_SESSIONS = 10  # of a project
MOST_ENTRIES = 60_000  # of a session in a minute
_LONGEST = 3600.0  # seconds of a session
_USUAL, _WIDEST = 2.0, 60.0  # seconds of the buffer window
_TICK = 0.1  # seconds
_MOST_HELD = 10_000  # entries that wait for a client which does not take them
_MOST_AT_ONCE = 1000

_sessions: Counter[tuple[int, str]] = Counter()  # by cloud and project


class Tail:
    """One session: collects what is written, holds it for the buffer window, and gives it in order.

    An entry that its client is too slow for, or that comes above the rate, is left out and counted.
    """

    def __init__(self, cloud: Cloud, request: Mapping[str, Any]) -> None:
        """Raises 400 for what can't be, 403 for an unknown project, 429 for one session too many."""
        self._window = _window(request)
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[int, str, int, float, Entry]] = []  # a heap by time and insertId
        self._count = 0
        self._suppressed: Counter[str] = Counter()
        self._minute, self._in_minute = 0.0, 0
        self.projects, self._matches = cloud.of(Logs).matching(
            request.get("resourceNames", []), request.get("filter", "")
        )
        self._keys = [(id(cloud), project) for project in self.projects]
        if any(_sessions[key] >= MOST_SESSIONS for key in self._keys):
            raise ApiError(429, f"Too many live tailing sessions: a project may have {MOST_SESSIONS} at once.")
        _sessions.update(self._keys)
        self._stop = cloud.of(Logs).listen(self._hear)

    def close(self) -> None:
        """End the session."""
        self._stop()
        _sessions.subtract(self._keys)

    def _hear(self, project: str, entries: list[Entry]) -> None:
        """Called in the thread of who writes."""
        if project in self.projects:
            found = [entry for entry in entries if self._matches(entry)]
            if found:
                self._loop.call_soon_threadsafe(self._take, found)

    def _take(self, entries: list[Entry]) -> None:
        now = time.monotonic()
        if now - self._minute >= 60:
            self._minute, self._in_minute = now, 0
        for entry in entries:
            if self._in_minute >= MOST_ENTRIES:
                self._suppressed["RATE_LIMIT"] += 1
            elif len(self._waiting) >= _MOST_HELD:
                self._suppressed["NOT_CONSUMED"] += 1
            else:
                self._in_minute += 1
                self._count += 1
                heapq.heappush(
                    self._waiting,
                    (nanoseconds(entry["timestamp"]), entry["insertId"], self._count, now + self._window, entry),
                )

    async def answers(self) -> AsyncIterator[dict[str, Any]]:
        """TailLogEntriesResponses, until the session is an hour old."""
        began = time.monotonic()
        while time.monotonic() - began < _LONGEST:
            await asyncio.sleep(_TICK)
            ready = self._ready()
            if ready or self._suppressed:
                info = [{"reason": why, "suppressedCount": count} for why, count in self._suppressed.items()]
                self._suppressed.clear()
                yield {"entries": ready} | ({"suppressionInfo": info} if info else {})

    def _ready(self) -> list[Entry]:
        """Those whose window is over, and with each all that is older."""
        now = time.monotonic()
        due = [item for item in self._waiting if item[3] <= now]
        if not due:
            return []
        newest = max(item[:3] for item in due)
        ready = []
        while self._waiting and self._waiting[0][:3] <= newest and len(ready) < _MOST_AT_ONCE:
            ready.append(heapq.heappop(self._waiting)[4])
        return ready


def _window(request: Mapping[str, Any]) -> float:
    """Seconds of `bufferWindow`. Raises 400."""
    given = request.get("bufferWindow")
    if given is None:
        return _USUAL
    seconds = float(str(given).removesuffix("s"))
    if not 0 <= seconds <= _WIDEST:
        raise ApiError(400, "buffer_window must be between 0 and 60000 milliseconds")
    return seconds
