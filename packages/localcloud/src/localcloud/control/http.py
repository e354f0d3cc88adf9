"""What the command line asks a running server: how it is, to make a project, to end."""

from __future__ import annotations

import asyncio
import hmac
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psutil

from localcloud.billing.meter import Billing
from localcloud.control import births, drills, money
from localcloud.core.errors import Advised, ApiError
from localcloud.core.network import Network
from localcloud.iam.access import Access
from localcloud.projects.store import Projects
from localcloud.transport.rest import App, Call, Receive, Router, Scope, Send, send_json

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_DAY = 24 * 3600  # seconds
_FURTHEST = 100 * 365 * _DAY  # seconds that the clock may be ahead
router = Router(always=True)
drills.register(router)
money.register(router)


def app(cloud: Cloud) -> App:
    """Lets in only who can read this cloud's folder: the secret in its file `control-token` is asked for."""
    inner = router.app(cloud)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        shown = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(shown, f"Bearer {cloud.secret}".encode()):
            error = ApiError(401, "Only the owner of this local cloud's folder may control it.")
            return await send_json(send, error.body(), error.code)
        scope["caller"] = None
        await inner(scope, receive, send)

    return application


@router.route("GET", "/status")
async def status(call: Call) -> dict[str, Any]:
    process = psutil.Process(os.getpid())
    children = [child.pid for child in process.children(recursive=True)]
    counts = {what: counter() for what, counter in sorted(call.cloud.counters.items())}
    counts |= call.cloud.documents.counts()
    return {
        "processes": children,
        "memory": process.memory_info().rss,
        "projects": [project["projectId"] for project in call.cloud.of(Projects).list()],
        "counts": counts,
        "trials": call.cloud.of(Billing).trials(),
    }


@router.route("POST", "/projects/{project}")
async def create_project(call: Call) -> dict[str, Any]:
    """Make a project and open billing accounts; what is there stays as it is."""
    return births.make(call.cloud, call.params["project"], call.body)


@router.route("POST", "/network")
async def network(call: Call) -> dict[str, Any]:
    """Build environments with the `settings` of whoever works with this cloud now: proxies, certificates, index."""
    settings = call.body.get("settings")
    if not isinstance(settings, dict) or not all(isinstance(value, str) for value in settings.values()):
        raise ApiError(400, "settings must be an object of texts.")
    call.cloud.of(Network).tell(settings)
    return {}


@router.route("GET", "/clock")
async def clock(call: Call) -> dict[str, Any]:
    """What time it is here, and by how many seconds that is ahead of the real time."""
    clock = call.cloud.clock
    return {"now": clock.stamp(), "ahead_seconds": clock.ahead.total_seconds()}


@router.route("POST", "/clock")
async def forward(call: Call) -> dict[str, Any]:
    """Move the clock forward by `forward_seconds`; what is due then has happened when this answers."""
    seconds = call.body.get("forward_seconds")
    most = _FURTHEST - call.cloud.clock.ahead.total_seconds()
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= most:
        shown = f"{seconds / _DAY:g} days" if isinstance(seconds, int | float) else repr(seconds)
        hint = "it may be 36500 days ahead of the real time"
        raise Advised(400, f"the clock moves forward by 0 to {most / _DAY:.0f} days, not by {shown}", hint)
    await call.cloud.clock.forward(timedelta(seconds=seconds))
    return await clock(call)


@router.route("GET", "/audit")
async def audit(call: Call) -> dict[str, Any]:
    """What each principal, or only `principal`, was granted, used and was refused."""
    return {"principals": await asyncio.to_thread(call.cloud.of(Access).audit.report, call.query.get("principal", ""))}


@router.route("POST", "/stop")
async def stop(call: Call) -> dict[str, Any]:
    call.cloud.end()
    return {}
