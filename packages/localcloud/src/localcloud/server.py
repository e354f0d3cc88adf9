"""The server process: opens the ports, says when it is ready, and ends everything it started."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import uvicorn

from localcloud import __version__
from localcloud.apis import TABLES, apis, assemble
from localcloud.billing.meter import Billing
from localcloud.control import births
from localcloud.core import ports
from localcloud.core.asked.drills import Drills
from localcloud.core.asked.wanted import Wanted
from localcloud.core.cloud import Cloud
from localcloud.core.network import Network
from localcloud.core.state import database, locks
from localcloud.core.state.files import check_all_own, check_own, private_folder, write_privately
from localcloud.faults.http import faulty_metadata
from localcloud.identity import persons
from localcloud.identity.metadata import Metadata
from localcloud.identity.tokens import Tokens
from localcloud.projects.store import Projects
from localcloud.storage import rate
from localcloud.transport import ca, grpc_front
from localcloud.transport.front import Front
from localcloud.transport.grpc_front import GrpcFront
from localcloud.transport.http1 import GoogleHttp
from localcloud.transport.listening import CAN_PEEK, Listening, peek, prepare
from localcloud.transport.proxy import Proxy
from localcloud.vertex import settings

log = logging.getLogger(__name__)

# Loaded once the server is ready, by the time that somebody asks: their types take seconds to import.
_BACKGROUND_APPS = ("localcloud.vertex.http:app", "localcloud.logging.http:app")
_RUN = "localcloud.run.http:app"  # where executions may have outlived the last server
_BACKGROUND_TABLES = ("localcloud.vertex.rpc:table", "localcloud.logging.rpc:table")
_LOADING = 20.0  # seconds that loading in the background may hold up an end
_HELLO = 20.0  # seconds for a supervisor to begin TLS
_WATCH = 1.0  # seconds between two looks at whether the folder is still there


class _Http(uvicorn.Server):
    """uvicorn as a part of this process: signals are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:  # type: ignore[override]
        yield

    @classmethod
    def make(cls, app: Any, tls: ssl.SSLContext | None = None) -> _Http:
        config = uvicorn.Config(
            app,
            http=GoogleHttp,
            ws="none",
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=65_536,
        )
        config.load()
        config.ssl = tls
        return cls(config)

    def protocol(self) -> asyncio.Protocol:
        """What serves one connection that somebody else took."""
        made: Any = self.config.http_protocol_class
        return made(config=self.config, server_state=self.server_state, app_state={})


def tls_context(root: Path) -> ssl.SSLContext:
    """TLS as this cloud speaks it: HTTP/1.1 only (gRPC has a port of its own)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(root / "cert.pem", root / "key.pem")
    context.set_alpn_protocols(["http/1.1"])
    return context


async def serve(root: Path, envs: Path, wanted: Wanted, ready: Any) -> None:
    """Serve until told to end, with what is wanted.

    Calls `ready(description)` once all ports answer. Raises PortTaken, locks.Busy, Damaged, Foreign.
    """
    private_folder(root)
    check_all_own(root)
    if envs.exists():
        check_own(envs)  # jobs run what is in there
    with locks.held(root / "server.lock", patience=2):
        numbers, sockets = ports.claim(root)
        ca.ensure(root)
        ca.write_java_trust(root)
        database.check(root)
        settings.load(root)
        rate.allowed(root)
        cloud = assemble(root, envs, numbers)
        cloud.of(Network)  # from now on others see what it was told
        cloud.of(Metadata)  # reads what it kept: whatever is damaged is told now
        cloud.of(Drills)
        assert cloud.secret  # written before anybody could need it
        for project in cloud.of(Projects).list():
            cloud.of(Projects).write_files(project)  # ports and certificates may be new
            persons.write(cloud, project["projectId"])
        cloud.of(Billing).adopt_old()
        for project, body in wanted.asked():
            births.make(cloud, project, body)
        end = asyncio.Event()
        _end_by_signal(end)
        cloud.on_end(end.set)
        killed = (root / "server.json").exists()  # a clean end takes it away
        async with _serving(cloud, sockets) as (front, grpc_handler):
            described = describe(cloud)
            write_privately(root / "server.json", json.dumps(described, indent=2))
            try:
                ready(described)
                await cloud.started()
                beside = [
                    asyncio.create_task(_preload(front, grpc_handler, cloud.root)),
                    asyncio.create_task(_end_without_folder(root / "server.lock", end)),
                ]
                await end.wait()
                if killed:  # its jobs went on, and whoever is to end them must be loaded
                    await asyncio.wait(beside[:1], timeout=_LOADING)
                for task in beside:
                    task.cancel()
                await cloud.stopped()
            finally:
                (root / "server.json").unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def _serving(cloud: Cloud, sockets: dict[str, socket.socket]) -> AsyncIterator[tuple[Front, GrpcFront]]:
    """All ports, open for as long as the block runs."""
    front, handler = Front(cloud, apis()), GrpcFront(cloud, TABLES)
    with contextlib.suppress(Exception):  # not there, or broken: then its first request says so
        await front.app("localcloud.storage.http:app")
    tls = tls_context(cloud.root)
    https, metadata = _Http.make(front, tls), _Http.make(faulty_metadata(cloud, cloud.of(Metadata).app))
    # gRPC opens its port itself; ours showed that it is free.
    sockets["grpc"].close()
    rpc = await grpc_front.start(cloud, handler)
    tasks = [
        asyncio.create_task(https.serve([sockets["https"]])),
        asyncio.create_task(metadata.serve([])),
    ]
    provider = await _provider(cloud, sockets["provider"])
    while not (https.started and metadata.started):
        await asyncio.sleep(0.001)
        for task in tasks:
            if task.done():
                task.result()
    proxy = Proxy(sockets["proxy"], tls, https.protocol, cloud.ports.https, cloud.ports.grpc, cloud.hosts)
    # Those who come are the supervisors of jobs, which look at the certificate before they show a secret.
    jobs = Listening(sockets["metadata"], lambda connection: _over_tls(connection, metadata, tls), own=True)
    try:
        yield front, handler
    finally:
        await asyncio.gather(proxy.close(), jobs.close())
        https.should_exit = metadata.should_exit = True
        await asyncio.gather(*tasks, rpc.stop(1), *([provider.stop(1)] if provider else []), return_exceptions=True)


async def _over_tls(connection: socket.socket, http: _Http, tls: ssl.SSLContext) -> None:
    said = False
    try:
        prepare(connection)
        async with asyncio.timeout(_HELLO):  # TLS takes memory at once, so not before something was said
            said = not CAN_PEEK or (await peek(connection)).startswith(b"\x16")
        if said:
            await asyncio.get_running_loop().connect_accepted_socket(http.protocol, connection, ssl=tls)
    except (OSError, TimeoutError):  # also of TLS, which closes it
        pass
    finally:
        if not said:
            connection.close()


async def _provider(cloud: Cloud, claimed: socket.socket) -> Any:
    """Pulumi's resource provider, on the port that was claimed for it."""
    try:
        provider = importlib.import_module("localcloud.provider.server")
    except Exception:  # all but `up` goes on without it
        log.exception("the Pulumi provider can't be loaded")
        return None
    return await provider.start(cloud, claimed)


async def _preload(front: Front, handler: GrpcFront, root: Path) -> None:
    apps = [*_BACKGROUND_APPS, *([_RUN] if (root / "run" / "executions").exists() else [])]
    for loader in apps:
        with contextlib.suppress(Exception):  # its first request tells
            await front.app(loader)
    for loader in _BACKGROUND_TABLES:
        await handler.table(loader)


async def _end_without_folder(lock: Path, end: asyncio.Event) -> None:
    """End when somebody deletes the folder: nobody could find this server, or end it, any more."""
    with contextlib.suppress(OSError):  # also when it goes before the first look
        opened = lock.stat()
        while os.path.samestat(lock.stat(), opened):
            await asyncio.sleep(_WATCH)
    log.warning("the folder is gone: the end")
    end.set()


def describe(cloud: Cloud) -> dict[str, Any]:
    """What `server.json` says: process, ports, folder, and which cloud it is: another one after a reset."""
    return {
        "pid": os.getpid(),
        "created": psutil.Process().create_time(),
        **asdict(cloud.ports),
        "root": str(cloud.root),
        "envs": str(cloud.envs),
        "version": __version__,
        "cloud": cloud.of(Tokens).fingerprint,
        "started": cloud.clock.stamp(),
    }


def _end_by_signal(end: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is None:
            continue
        if sys.platform == "win32":
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(end.set))
        else:
            loop.add_signal_handler(number, end.set)
