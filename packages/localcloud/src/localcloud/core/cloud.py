"""What the APIs of one local cloud share: its folder, ports, clock, documents, hooks, and a way to each other."""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
from collections.abc import Awaitable, Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from localcloud.core.clock import Clock
from localcloud.core.environment import client_environment
from localcloud.core.ports import Ports
from localcloud.core.state.documents import Documents
from localcloud.core.state.files import private_folder, write_privately

T = TypeVar("T")
_SECRET = re.compile(rb"[A-Za-z0-9_-]{43}")
Hook = Callable[[], Awaitable[None]]


class Cloud:
    """One local cloud in `root`. Parts are made when first used, so that a start loads only what it serves.

    An API that keeps state is `localcloud/<api>/store.py` with a class that takes the Cloud and keeps its files in
    `cloud.folder("<api>")`; whoever needs it imports that class and asks for `cloud.of(Class)`. `on_start` and
    `on_stop` take async hooks for what lives as long as the server does.
    """

    def __init__(self, root: Path, envs: Path, ports: Ports, clock: Clock | None = None) -> None:
        self.root = private_folder(root.resolve())
        self.envs = envs.resolve()
        self.ports = ports
        self.clock = clock or Clock(self.root / "clock.json")
        self.hosts: dict[int, str] = {}  # of gRPC connections, by the port that they come from
        self.counters: dict[str, Callable[[], int]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting: list[Hook] = []
        self._stopping: list[Hook] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: list[Callable[[], None]] = []
        self._parts: dict[type, Any] = {}
        self._makers: dict[type, Callable[[Cloud], Any]] = {}
        self._making = threading.RLock()
        self._depth = 0  # parts that are being made, one within the other
        self._readying = threading.Lock()

    def of(self, part: type[T]) -> T:
        """The one instance of `part` in this cloud, made when it is first asked for. Any thread may ask.

        A protocol of core/ is answered by the part that the cloud was assembled with for it.
        """
        found = self._parts.get(part)
        if found is None:
            with self._making:
                found = self._parts.get(part)
                if found is None:
                    self._depth += 1
                    try:
                        found = self._makers.get(part, part)(self)  # type: ignore[call-arg]
                        self._parts[part] = found
                    finally:
                        self._depth -= 1
                        self._begin()
        return found

    def provide(self, part: type[T], maker: Callable[[Cloud], T]) -> None:
        """Let `of(part)` give what `maker` makes."""
        self._makers[part] = maker

    def on_end(self, end: Callable[[], None]) -> None:
        """What happens when this cloud is told to end."""
        self._ends.append(end)

    def end(self) -> None:
        """Tell this cloud to end."""
        for end in self._ends:
            end()

    def folder(self, api: str) -> Path:
        """The API's own folder (0700)."""
        return private_folder(self.root / api)

    def environment(self, project: str) -> dict[str, str]:
        """The environment variables that make any Google client a client of this cloud, as the project's owner."""
        return client_environment(self.root, self.ports, project)

    def on_start(self, hook: Hook) -> None:
        """Run `hook` in the server's event loop once that is ready and no part is half made. Any thread may call."""
        with self._readying:
            self._starting.append(hook)
        self._begin()

    def _begin(self) -> None:
        with self._readying:
            if self._loop is None or self._depth:
                return
            hooks, self._starting = self._starting, []
        for hook in hooks:
            self._loop.call_soon_threadsafe(self._spawn, hook)

    def on_stop(self, hook: Hook) -> None:
        """Run `hook` before the server ends; it should end what it started within 15 seconds."""
        self._stopping.append(hook)

    def count(self, what: str, counter: Callable[[], int]) -> None:
        """Show `counter()` as `what` in `localcloud status`."""
        self.counters[what] = counter

    async def started(self) -> None:
        """Called by the server, in its loop, when it is ready."""
        self._loop = asyncio.get_running_loop()
        self._begin()

    async def stopped(self) -> None:
        """Called by the server before it ends: all stop hooks, at the same time; one that fails stops no other."""
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*(hook() for hook in self._stopping), return_exceptions=True)
        for error in results:
            if isinstance(error, BaseException):
                import logging

                logging.getLogger(__name__).error("a stop hook failed", exc_info=error)

    def _spawn(self, hook: Hook) -> None:
        task = asyncio.ensure_future(hook())
        self._tasks.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._tasks.discard)

    @cached_property
    def secret(self) -> str:
        """A secret of this cloud that its own command line shows to be let in (file `control-token`, 0600)."""
        path = self.root / "control-token"
        found = path.read_bytes() if path.is_file() else b""
        if not _SECRET.fullmatch(found):  # none yet, or damaged
            found = secrets.token_urlsafe(32).encode()
            write_privately(path, found)
        return found.decode("ascii")

    @cached_property
    def documents(self) -> Documents:
        return Documents(self.folder("documents") / "documents.sqlite")
