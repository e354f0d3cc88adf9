"""What the APIs of one local cloud share: its folder, ports, clock, tokens and each other."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.core.clock import Clock
from localcloud.core.documents import Documents
from localcloud.core.files import private_folder, write_privately

if TYPE_CHECKING:
    from localcloud.billing.meter import Billing
    from localcloud.faults.store import Faults
    from localcloud.iam.access import Access
    from localcloud.iam.store import Iam
    from localcloud.iam.tokens import Tokens
    from localcloud.logging.store import Logs
    from localcloud.projects.store import Projects
    from localcloud.pubsub.store import PubSub
    from localcloud.storage.store import Storage
    from localcloud.vertex.store import Vertex

Hook = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Caller:
    """Who sent a request, verified: the e-mail of a service account and the project it belongs to.

    `scopes` are those of its token; None where there are none, and it may all that it has roles for.
    """

    email: str
    project: str
    scopes: frozenset[str] | None = field(default=None, compare=False)


ANONYMOUS = Caller("", "")  # a request without a credential, where an API takes such


@dataclass(frozen=True)
class Ports:
    """Loopback TCP ports; kept over restarts."""

    proxy: int
    https: int
    grpc: int
    provider: int
    metadata: int


class Cloud:
    """One local cloud in `root`. Parts are made when first used, so that a start loads only what it serves.

    An API that keeps state is `localcloud/<api>/store.py` with a class that takes the Cloud and keeps its files in
    `cloud.folder("<api>")`. `on_start` and `on_stop` take async hooks for what lives as long as the server does.
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

    def folder(self, api: str) -> Path:
        """The API's own folder (0700)."""
        return private_folder(self.root / api)

    def environment(self, project: str) -> dict[str, str]:
        """The environment variables that make any Google client a client of this cloud, as the project's owner."""
        from localcloud.core.environment import client_environment

        return client_environment(self.root, self.ports, project)

    def on_start(self, hook: Hook) -> None:
        """Run `hook` in the server's event loop once it is ready; at once when it already is. Any thread may call."""
        if self._loop is None:
            self._starting.append(hook)
        else:
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
        for hook in self._starting:
            self._spawn(hook)

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
        if not path.exists():
            write_privately(path, secrets.token_urlsafe(32))
        return path.read_text(encoding="utf-8")

    @cached_property
    def documents(self) -> Documents:
        return Documents(self.folder("documents") / "documents.sqlite")

    @cached_property
    def tokens(self) -> Tokens:
        from localcloud.iam.tokens import Tokens

        return Tokens(self)

    @cached_property
    def billing(self) -> Billing:
        from localcloud.billing.meter import Billing

        return Billing(self)

    @cached_property
    def iam(self) -> Iam:
        from localcloud.iam.store import Iam

        return Iam(self)

    @cached_property
    def access(self) -> Access:
        from localcloud.iam.access import Access

        return Access(self)

    @cached_property
    def faults(self) -> Faults:
        from localcloud.faults.store import Faults

        return Faults(self)

    @cached_property
    def projects(self) -> Projects:
        from localcloud.projects.store import Projects

        return Projects(self)

    @cached_property
    def pubsub(self) -> PubSub:
        from localcloud.pubsub.store import PubSub

        return PubSub(self)

    @cached_property
    def storage(self) -> Storage:
        from localcloud.storage.store import Storage

        return Storage(self)

    @cached_property
    def logging(self) -> Logs:
        from localcloud.logging.store import Logs

        return Logs(self)

    @cached_property
    def vertex(self) -> Vertex:
        from localcloud.vertex.store import Vertex

        return Vertex(self)
