"""A live tail: the order of its entries, and what it leaves out for a client that is too slow, or too much."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.core.errors import ApiError
from localcloud.logging import tailing
from localcloud.logging.tailing import Tail


class Cloud:
    """A cloud of which only the log is there; `write` is what a writer's thread does."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[str, list[Any]], None]] = []
        self._logs = SimpleNamespace(matching=lambda _names, _filter: ({"p"}, lambda entry: True), listen=self._listen)

    def of(self, part: type) -> Any:
        return self._logs

    def _listen(self, listener: Callable[[str, list[Any]], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def write(self, *seconds: int, project: str = "p") -> None:
        entries = [{"timestamp": f"2026-01-01T00:00:{second:02}Z", "insertId": str(second)} for second in seconds]
        for listener in self.listeners:
            listener(project, entries)


async def first(tail: Tail) -> dict[str, Any]:
    async for answer in tail.answers():
        return answer
    raise AssertionError("it ended")


def of(answer: dict[str, Any]) -> list[str]:
    return [entry["insertId"] for entry in answer["entries"]]


def test_entries_come_in_order_of_their_time() -> None:
    async def tailed() -> list[str]:
        cloud = Cloud()
        tail = Tail(cloud, {"bufferWindow": "0.2s"})  # type: ignore[arg-type]
        cloud.write(5, 3)
        cloud.write(9, project="other")
        cloud.write(4)
        answer = await first(tail)
        tail.close()
        assert cloud.listeners == []
        return of(answer)

    assert asyncio.run(tailed()) == ["3", "4", "5"]


@pytest.mark.parametrize(("limit", "reason"), [("_MOST_HELD", "NOT_CONSUMED"), ("MOST_ENTRIES", "RATE_LIMIT")])
def test_what_is_too_much_is_counted(monkeypatch: pytest.MonkeyPatch, limit: str, reason: str) -> None:
    monkeypatch.setattr(tailing, limit, 2)

    async def tailed() -> dict[str, Any]:
        cloud = Cloud()
        tail = Tail(cloud, {"bufferWindow": "0s"})  # type: ignore[arg-type]
        cloud.write(1, 2, 3, 4, 5)
        answer = await first(tail)
        tail.close()
        return answer

    answer = asyncio.run(tailed())
    assert of(answer) == ["1", "2"]
    assert answer["suppressionInfo"] == [{"reason": reason, "suppressedCount": 3}]


def test_a_project_has_ten_sessions_at_most() -> None:
    async def tailed() -> str:
        cloud = Cloud()
        tails = [Tail(cloud, {}) for _ in range(10)]  # type: ignore[arg-type]
        with pytest.raises(ApiError) as refused:
            Tail(cloud, {})  # type: ignore[arg-type]
        tails.pop().close()
        tails.append(Tail(cloud, {}))  # type: ignore[arg-type]
        for tail in tails:
            tail.close()
        return refused.value.status

    assert asyncio.run(tailed()) == "RESOURCE_EXHAUSTED"


def test_a_window_that_cant_be() -> None:
    async def tailed() -> None:
        Tail(Cloud(), {"bufferWindow": "61s"})  # type: ignore[arg-type]

    with pytest.raises(ApiError, match="between 0 and 60000 milliseconds"):
        asyncio.run(tailed())
