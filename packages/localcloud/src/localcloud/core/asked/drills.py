"""Failures on purpose, as whoever answers a request meets them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from localcloud.core.asked.callers import Caller
from localcloud.core.errors import ApiError

App = Callable[..., Awaitable[None]]  # ASGI


class Drills(Protocol):
    """Makes calls fail that a fault is aimed at."""

    @property
    def active(self) -> bool:
        """Whether there is any fault."""
        ...

    def rest(self, app: App, authorization: bytes = b"") -> App:
        """The app with the faults of this moment. `authorization` is what the caller showed."""
        ...

    def rpc(self, method: str, caller: Caller, bearer: str, answer: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The messages of `answer` with the faults of this moment. Raises the ApiError of a fault."""
        ...

    def in_batch(self, method: str, host: str, path: str, principal: str) -> ApiError | None:
        """The refusal that one call in a batch of Cloud Storage gets, if it gets one."""
        ...
