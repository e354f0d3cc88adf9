"""A move of the clock goes from one thing that is due to the next, and what each causes is over before the next."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from localcloud.core.clock import Clock

HOUR = 3600.0


class Still(Clock):
    """The real time stands still at 0."""

    def time(self) -> float:
        return self.ahead.total_seconds()


def at(clock: Clock, *hours: float) -> Callable[[float], float | None]:
    """Says that something is due at these hours."""
    return lambda _grain: next((hour * HOUR for hour in hours if hour * HOUR > clock.time()), None)


def test_listeners_act_in_the_order_of_time_and_at_both_ends() -> None:
    clock, seen = Still(), []

    def note(what: str) -> Callable[[], None]:
        return lambda: seen.append((round(clock.time() / HOUR, 2), what))

    clock.on_forward(note("a"), at(clock, 2, 5, 40))
    clock.on_forward(note("b"), at(clock, 1, 5))
    clock.on_settle(note("settled"))
    asyncio.run(clock.forward(timedelta(hours=8)))
    acts = [one for one in seen if one[1] != "settled"]
    assert acts == [(0, "a"), (0, "b"), (1, "b"), (2, "a"), (5, "a"), (5, "b"), (8, "a"), (8, "b")]
    assert [one for one in seen if one[1] == "settled"] == [
        (hour, "settled") for hour in (0, 0, 1, 1, 2, 2, 5, 5, 8, 8)
    ]
    assert clock.ahead == timedelta(hours=8)


def test_what_a_step_causes_is_over_before_the_next_also_where_a_listener_fails() -> None:
    clock, seen = Still(), []

    async def slow() -> None:
        before = clock.time()
        await asyncio.sleep(0.01)
        seen.append(clock.time() == before)

    def broken() -> None:
        raise RuntimeError

    clock.on_forward(broken, at(clock, 1))
    clock.on_forward(slow)
    clock.on_settle(slow)
    asyncio.run(clock.forward(timedelta(hours=2)))
    assert seen == [True] * 9


def test_what_one_lets_end_while_it_settles_is_waited_for_by_who_settled_before() -> None:
    clock, seen = Still(), []

    async def end() -> None:
        if seen == ["told to end"]:
            await asyncio.sleep(0.01)
            seen.append("ended")

    clock.on_settle(end)
    clock.on_settle(lambda: seen.append("told to end") if not seen else None)
    asyncio.run(clock.forward(timedelta(0)))
    assert seen == ["told to end", "ended"]


def test_who_always_has_something_to_do_does_not_hold_a_move_up_for_good() -> None:
    clock, acts = Still(), []
    clock.on_forward(lambda: acts.append(clock.time()), lambda _grain: clock.time() + 1e-6)
    asyncio.run(clock.forward(timedelta(hours=1)))
    assert (len(acts), clock.time()) == (2002, HOUR)


def test_where_a_move_was_cut_short_is_kept(tmp_path: Path) -> None:
    clock = Still(tmp_path / "clock.json")

    async def interrupted() -> None:
        if clock.time() > HOUR:
            raise asyncio.CancelledError

    clock.on_forward(interrupted, at(clock, 0.5, 1.5, 2.5))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(clock.forward(timedelta(hours=10)))
    assert json.loads((tmp_path / "clock.json").read_text(encoding="utf-8"))["ahead"] == pytest.approx(1.5 * HOUR)
    assert Clock(tmp_path / "clock.json").ahead.total_seconds() == pytest.approx(1.5 * HOUR)


def test_two_moves_at_once_come_one_after_the_other() -> None:
    clock, seen = Still(), []
    clock.on_forward(lambda: seen.append(round(clock.time() / HOUR, 3)), at(clock, 1, 3))

    async def both() -> None:
        await asyncio.gather(clock.forward(timedelta(hours=2)), clock.forward(timedelta(hours=2)))

    asyncio.run(both())
    assert seen == [0, 1, 2, 2, 3, 4]


def test_time_goes_forward_only() -> None:
    with pytest.raises(ValueError, match="forward only"):
        asyncio.run(Still().forward(timedelta(seconds=-1)))
