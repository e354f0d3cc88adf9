"""Waiting for what Google has promised and not done yet: an API that is being turned on, a grant that spreads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloudkite import interrupts
from cloudkite.show.text import _

# Seconds before each new try, five minutes in all: Google says "wait a few minutes".
PAUSES = (1, 2, 4, 8, 15, 30, 30, 30, 60, 60, 60)

Progress = Callable[[str], Any]


class Patience:
    """Waits before each new try, longer each time, and tells why; for five minutes in all."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._left = list(PAUSES)

    def wait(self, what: str) -> bool:
        """Wait for `what` ("the Vertex AI API"); False when it has been waited for long enough."""
        if not self._left:
            return False
        said = _("Google isn't ready yet with {what}: trying again in {seconds} s, for {most} s at most")
        pause = self._left.pop(0)
        self._progress(said.format(what=what, seconds=pause, most=pause + sum(self._left)))
        interrupts.pause(pause)
        return True
