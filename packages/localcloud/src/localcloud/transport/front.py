"""The HTTPS front: finds the API by host, finds out who calls, and hands the request over."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.core.asked import callers
from localcloud.core.asked.callers import ANONYMOUS, Verifier
from localcloud.core.asked.drills import Drills
from localcloud.core.errors import ApiError, NotEmulated
from localcloud.transport.rest import App, Receive, Scope, Send, send_json
from localcloud.transport.unpacking import Unpacked, is_packed

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

log = logging.getLogger(__name__)

Refuse = Callable[[Scope, Send, ApiError], Awaitable[None]]


def _never(path: str) -> bool:
    return False


def _nobody(shown: bytes, query: bytes, what: str) -> bool:
    return False


async def _refuse(scope: Scope, send: Send, error: ApiError) -> None:
    await send_json(send, error.body(), error.code, error.headers)


@dataclass(frozen=True)
class Api:
    """What answers where host and path fit the regular expression `pattern`.

    `loader` is "module:function", which makes the ASGI app of a Cloud. Where it is `open`, nobody is asked for a token:
    a caller gets or shows one in its own way. `anonymous(shown, query, what)` tells by the Authorization header and the
    query whether a caller may come without one, or raises ApiError; `refuse` words what is refused before the app is
    asked. `packed(path)` tells whether a body in gzip is meant to stay as it is.
    """

    pattern: str
    loader: str
    open: bool = False
    anonymous: Callable[[bytes, bytes, str], bool] = _nobody
    refuse: Refuse = _refuse
    packed: Callable[[str], bool] = _never


class Front:
    """The ASGI application behind the HTTPS port."""

    def __init__(self, cloud: Cloud, apis: Sequence[Api]) -> None:
        """The first of the `apis` that fits is asked."""
        self._cloud = cloud
        self._apis = [(re.compile(api.pattern), api) for api in apis]
        self._verifier, self._drills = cloud.of(Verifier), cloud.of(Drills)
        self._apps: dict[str, asyncio.Future[App]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").partition(":")[0].lower()
        scope["host"] = host
        path = scope["raw_path"].decode("latin-1")
        what = f"{scope['method']} {host}{path}"
        log.debug("%s", what)
        api = next((api for pattern, api in self._apis if pattern.fullmatch(host + path)), None)
        try:
            if api is None:
                raise NotEmulated(what)
            shown = headers.get(b"authorization", b"")
            if not api.open:
                anonymous = api.anonymous(shown, scope["query_string"], what)
                known = ANONYMOUS if anonymous else callers.shown(self._verifier, shown.decode("latin-1"), host)
                scope["caller"] = known
                # The token goes no further, and into no log.
                scope["headers"] = [line for line in scope["headers"] if line[0] != b"authorization"]
            if is_packed(scope) and not api.packed(path):
                receive = Unpacked(scope, receive)
            app = await self.app(api.loader, what)
            if self._drills.active:
                app = self._drills.rest(app, shown)
        except ApiError as error:
            return await (api.refuse if api else _refuse)(scope, send, error)
        await app(scope, receive, send)

    async def app(self, loader: str, what: str = "") -> App:
        """The app that "module:function" makes; made once. Raises NotEmulated when there is no such module."""
        if loader not in self._apps:
            self._apps[loader] = asyncio.ensure_future(load(loader, self._cloud))
        made = self._apps[loader]
        try:
            return await asyncio.shield(made)
        except Exception as error:
            self._apps.pop(loader, None)
            if is_missing(loader, error):
                raise NotEmulated(what or loader) from None
            log.exception("%s can't be loaded", loader)
            raise ApiError(500, f"{loader} can't be loaded: {error}") from None


def is_missing(loader: str, error: Exception) -> bool:
    """Whether loading failed because this cloud has no such module, and not by a defect in one."""
    module = loader.partition(":")[0]
    return isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")


async def load(loader: str, cloud: Cloud) -> Any:
    """Import "module:function" in a thread, so that the loop goes on, and call it with the cloud."""
    module, _, name = loader.partition(":")

    def make() -> Any:
        function: Callable[[Cloud], Any] = getattr(importlib.import_module(module), name)
        return function(cloud)

    return await asyncio.to_thread(make)
