"""The time that every API of the local cloud goes by; it can be moved forward, so that days pass in seconds."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from localcloud.core.state.files import write_privately
from localcloud.core.state.kept import anew, number, read_json

log = logging.getLogger(__name__)
Act = Callable[[], Awaitable[object] | None]
Due = Callable[[float], float | None]
_MOST_STEPS = 2000  # of one move: what keeps finding something to do is left for its end
_MOST_AHEAD = 200 * 365.25 * 86_400.0  # seconds; more than anybody may move it, and dates still can be written
_BEYOND = 0.001  # seconds that a step goes beyond what is due, so that it is


@dataclass(frozen=True, eq=False)
class _Listener:
    act: Act
    due: Due | None


class Clock:
    """Real time in UTC, plus what it was moved forward by; with a `path` that is kept over restarts.

    Tokens go by `wall`, because the clients that sign them know only the real time.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._moving = asyncio.Lock()
        self._listeners: list[_Listener] = []
        self._before: list[Callable[[], None]] = []
        self._settling: list[Act] = []
        self._ahead = 0.0
        if path is not None and path.exists():
            lost = anew(path.parent, path, "its clock will show the real time again")
            self._ahead = read_json(path, lambda kept: number(kept["ahead"], 0, _MOST_AHEAD), lost)

    @property
    def ahead(self) -> timedelta:
        """By how much this clock is ahead of the real time."""
        return timedelta(seconds=self._ahead)

    @property
    def moves(self) -> bool:
        """Whether it is being moved just now."""
        return self._moving.locked()

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

    async def forward(self, by: timedelta) -> None:
        """Move on by `by`, in steps from one thing that is due to the next; what each causes has happened before the
        next step, and all that the move causes when this returns. Raises ValueError for a step back.

        Where it is, is kept at each step: a move that a kill cuts short ends there. Moves wait for each other.
        """
        if by < timedelta(0):
            raise ValueError("time goes forward only")
        async with self._moving:
            end = self._ahead + by.total_seconds()
            grain = by.total_seconds() / 1000
            await self._happen(self._listeners)  # what is due already, and what was begun just now
            if not by:
                return
            for _ in range(_MOST_STEPS):
                moments = await asyncio.to_thread(self._moments, grain)
                first = min(moments.values(), default=math.inf)
                step = first - self.time() + _BEYOND
                if self._ahead + step >= end:
                    break
                await asyncio.to_thread(self._set, self._ahead + max(step, _BEYOND))
                now = self.time()
                await self._happen([one for one in self._listeners if one.due is None or moments.get(one, now) < now])
            await asyncio.to_thread(self._set, end)
            await self._happen(self._listeners)

    def nudge(self, seconds: float) -> None:
        """Move on a little at once, from any thread, without what is due."""
        self._set(self._ahead + seconds)

    def _moments(self, grain: float) -> dict[_Listener, float]:
        """When each listener has something to do, of those that have."""
        now, found = self.time(), {}
        for one in list(self._listeners):
            try:
                moment = one.due(grain) if one.due else None
            except Exception:
                log.exception("a listener to the clock can't say what is due")
                continue
            if moment is not None and moment > now:
                found[one] = moment
        return found

    def _set(self, ahead: float) -> None:
        for note in self._before:
            note()
        with self._lock:
            ahead = max(ahead, self._ahead)  # it may have been nudged since
            if self._path is not None:
                write_privately(self._path, json.dumps({"ahead": ahead}))
            self._ahead = ahead

    async def _happen(self, listeners: list[_Listener]) -> None:
        """Let listeners act, at the same time, and then all settle, one after the other; who fails stops no other.

        They settle twice: what one waits for may let another begin or end something.
        """
        await asyncio.gather(*[_safely(one.act) for one in listeners])
        for settle in self._settling * 2:
            await _safely(settle)

    def before_forward(self, listener: Callable[[], None]) -> None:
        """Call `listener` before each step, while it is still the old time."""
        self._before.append(listener)

    def on_forward(self, act: Act, due: Due | None = None) -> None:
        """Call `act` in the server's event loop when the clock has moved: with `due` after the steps at which something
        is due and at both ends of a move, without it after each step.

        What takes long, `act` gives back as an awaitable; the next step waits for that. `due` gives the next moment
        after now at which there is something to do (seconds since the epoch), or None; it is asked in a thread, before
        each step, so it should be quick. What needn't be done to the second it should lump together to `grain`, the
        thousandth part of the move, so that a long one has few steps.
        """
        with self._lock:
            self._listeners.append(_Listener(act, due))

    def on_settle(self, settle: Act) -> None:
        """Await `settle` after each step, twice, when all have acted: it waits for what that sets going elsewhere."""
        with self._lock:
            self._settling.append(settle)


async def _safely(act: Act) -> None:
    try:
        awaited = act()
        if awaited is not None:
            await awaited
    except Exception:
        log.exception("what listens to the clock failed")
