"""The HTTPS front: finds the API by host, finds out who calls, and hands the request over."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from localcloud.core.cloud import ANONYMOUS
from localcloud.core.errors import ApiError, NotEmulated
from localcloud.faults.http import faulty
from localcloud.iam import tokens
from localcloud.transport.rest import App, Receive, Scope, Send, send_bytes, send_json

if TYPE_CHECKING:
    from localcloud.core.cloud import Caller, Cloud

log = logging.getLogger(__name__)

# (host and path as a regular expression, "module:function" that makes the ASGI app of a Cloud); the first that fits.
# Modules are imported when their first request comes, so a start pays only for what is used.
HOSTS: list[tuple[str, str]] = [
    (r"(storage|[^/]+\.storage)\.googleapis\.com/.*", "localcloud.storage.http:app"),
    (r"www\.googleapis\.com/((upload|download|batch|resumable/upload)/)?storage/.*", "localcloud.storage.http:app"),
    (r"([a-z0-9-]+-)?aiplatform\.googleapis\.com/.*", "localcloud.vertex.http:app"),
    (r"[^/]+\.prediction\.vertexai\.goog/.*", "localcloud.vertex.http:app"),
    (r"logging\.googleapis\.com/.*", "localcloud.logging.http:app"),
    (r"cloudresourcemanager\.googleapis\.com/.*", "localcloud.projects.http:app"),
    (r"serviceusage\.googleapis\.com/.*", "localcloud.services.http:app"),
    (r"iam\.googleapis\.com/.*", "localcloud.iam.http:app"),
    (r"iamcredentials\.googleapis\.com/.*", "localcloud.credentials.http:app"),
    (r"(billingbudgets|cloudbilling)\.googleapis\.com/.*", "localcloud.billing.http:app"),
    (r"cloudquotas\.googleapis\.com/.*", "localcloud.quotas.http:app"),
    (r"artifactregistry\.googleapis\.com/.*", "localcloud.artifacts.http:app"),
    (r"monitoring\.googleapis\.com/.*", "localcloud.monitoring.http:app"),
    (r"pubsub\.googleapis\.com/.*", "localcloud.pubsub.http:app"),
    (r"openidconnect\.googleapis\.com/.*", "localcloud.iam.oauth:user_app"),
    (r"www\.googleapis\.com/oauth2/v[13]/(userinfo|tokeninfo)", "localcloud.iam.oauth:user_app"),
]
# Here a caller gets or shows a token in its own way, so nobody is asked for one.
OPEN_HOSTS: list[tuple[str, str]] = [
    (r"oauth2\.googleapis\.com/.*", "localcloud.iam.oauth:app"),
    (r"accounts\.google\.com/.*", "localcloud.iam.oauth:app"),
    (r"www\.googleapis\.com/oauth2/.*", "localcloud.iam.oauth:app"),
    (r"(localhost|127\.0\.0\.1)/.*", "localcloud.control:app"),
]
_STORAGE = "localcloud.storage.http:app"
# https://cloud.google.com/storage/docs/authentication/signatures: version 4, and version 2
_SIGNED = re.compile(rb"(^|&)(x-goog-signature|googleaccessid)=", re.IGNORECASE)
_HMAC = re.compile(rb"(GOOG1|AWS|AWS4-HMAC-SHA256|GOOG4-HMAC-SHA256|GOOG4-RSA-SHA256) ")


@dataclass(frozen=True)
class _Api:
    pattern: re.Pattern[str]
    loader: str
    open: bool


class Front:
    """The ASGI application behind the HTTPS port."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        # The open ones are last, because user information has a path under an open one.
        self._apis = [_Api(re.compile(pattern), loader, False) for pattern, loader in HOSTS]
        self._apis += [_Api(re.compile(pattern), loader, True) for pattern, loader in OPEN_HOSTS]
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
        api = next((api for api in self._apis if api.pattern.fullmatch(host + path)), None)
        try:
            if api is None:
                raise NotEmulated(what)
            if not api.open:
                shown = headers.get(b"authorization", b"")
                if api.loader == _STORAGE and _HMAC.match(shown):
                    raise NotEmulated(f"HMAC keys ({what})")
                # Storage has something for everybody, and signed URLs that it verifies itself.
                open_to_all = api.loader == _STORAGE and (not shown or _SIGNED.search(scope["query_string"]))
                scope["caller"] = ANONYMOUS if open_to_all else self.admit(shown, host)
                scope["headers"] = [line for line in scope["headers"] if line[0] != b"authorization"]
            app = await self.app(api.loader, what)
            if self._cloud.faults.active:
                app = faulty(self._cloud, app, headers.get(b"authorization", b""))
        except ApiError as error:
            storage = api is not None and api.loader == _STORAGE
            return await (_refuse_storage(scope, send, error) if storage else _refuse(send, error))
        await app(scope, receive, send)

    def admit(self, shown: bytes, host: str) -> Caller:
        """Whose Authorization header this is. Raises ApiError 401. The token goes no further, and into no log."""
        kind, _, bearer = shown.decode("latin-1").partition(" ")
        if not kind:
            raise tokens.missing()
        if kind.lower() not in ("bearer", "oauth") or not bearer:
            raise tokens.invalid()
        return self._cloud.tokens.verify(bearer.strip(), host)

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


async def _refuse(send: Send, error: ApiError) -> None:
    await send_json(send, error.body(), error.code, error.headers)


async def _refuse_storage(scope: Scope, send: Send, error: ApiError) -> None:
    """Storage's own shapes: https://cloud.google.com/storage/docs/json_api/v1/status-codes and .../xml-api."""
    word = "Invalid Credentials" if error.reason == "authError" else error.message
    path = scope["raw_path"]
    if re.match(rb"/((upload|download|batch|resumable/upload)/)?storage/", path) or path.startswith(b"/batch"):
        where = {"location": "Authorization", "locationType": "header"} if error.code == 401 else {}
        entry = {"message": word, "domain": "global", "reason": error.reason, **where}
        body = {"error": {"code": error.code, "message": word, "errors": [entry]}}
        return await send_json(send, body, error.code, error.headers)
    code = "AuthenticationRequired" if error.code == 401 else "NotImplemented"
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{escape(word)}.</Message></Error>"
    await send_bytes(send, text.encode(), "application/xml; charset=UTF-8", error.code, error.headers)
