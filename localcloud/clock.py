"""The time that every API of the local cloud goes by."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Real time in UTC; one object, so that a test can put another in its place."""

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def now(self) -> datetime:
        """Time-zone-aware UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def stamp(self) -> str:
        """Now as Google's JSON writes a Timestamp, with microseconds: 2026-01-31T12:00:00.000000Z."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
