"""The time that every API of the local cloud goes by; it can be moved forward, so that days pass in seconds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from localcloud.files import write_privately

Listener = Callable[[], Awaitable[object] | None]


class Clock:
    """Real time in UTC, plus what it was moved forward by; with a `path` that is kept over restarts.

    Tokens go by `wall`, because the clients that sign them know only the real time.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._before: list[Callable[[], None]] = []
        self._ahead = 0.0
        if path is not None and path.exists():
            self._ahead = float(json.loads(path.read_text(encoding="utf-8"))["ahead"])

    @property
    def ahead(self) -> timedelta:
        """By how much this clock is ahead of the real time."""
        return timedelta(seconds=self._ahead)

    def wall(self) -> float:
        """Seconds since the epoch in real time."""
        return time.time()

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self._ahead

    def now(self) -> datetime:
        """Time-zone-aware UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def stamp(self) -> str:
        """Now as Google's JSON writes a Timestamp, with microseconds: 2026-01-31T12:00:00.000000Z."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def forward(self, by: timedelta) -> list[Awaitable[object]]:
        """Move on by `by`, keep that, and then tell all who listen. Raises ValueError for a step back.

        Gives what the listeners gave to be awaited: once all of it is over, what the move causes has happened.
        """
        if by < timedelta(0):
            raise ValueError("time goes forward only")
        for note in self._before:
            note()
        with self._lock:
            ahead = self._ahead + by.total_seconds()
            if self._path is not None:
                write_privately(self._path, json.dumps({"ahead": ahead}))
            self._ahead = ahead
            listeners = list(self._listeners)
        return [awaited for listener in listeners if (awaited := listener()) is not None]

    def before_forward(self, listener: Callable[[], None]) -> None:
        """Call `listener` before each move, while it is still the old time."""
        self._before.append(listener)

    def on_forward(self, listener: Listener) -> None:
        """Call `listener` after each move, in the server's event loop, where the clock is moved, in their order.

        Keep it short: what takes longer, it gives back as an awaitable (a coroutine, a task, a future), and the command
        that moved the clock returns when that is over. `async def` functions are listeners, too.
        """
        with self._lock:
            self._listeners.append(listener)
