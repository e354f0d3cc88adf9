"""Faults of what the provider asks of Google: in Google's words, and tried again for as long as the real one tries.

The real provider repeats a call that Google answers with 429, 500, 502 or 503, or whose connection is reset, after half
a second and then each time twice as long, for 90 seconds: `retry_transport.go` and `error_retry_predicates.go` of
https://github.com/hashicorp/terraform-provider-google, from which pulumi-gcp is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError
from localcloud.faults import answers
from localcloud.faults.names import Seen
from localcloud.faults.store import Faults
from localcloud.provider.functions import FUNCTIONS
from localcloud.provider.resources.registry import KINDS

if TYPE_CHECKING:
    from localcloud.faults.store import Fault
    from localcloud.provider.scope import Scope

_RETRIED = frozenset({429, 500, 502, 503})
_FIRST_PAUSE, _PATIENCE = 0.5, 90.0  # seconds
_VERBS = {"create": "POST", "read": "GET", "update": "PATCH", "delete": "DELETE"}
_APIS = {
    "billing": "billingbudgets",
    "cloudquota": "cloudquotas",
    "organizations": "cloudresourcemanager",
    "projects": "cloudresourcemanager",
    "serviceaccount": "iam",
}


class LostConnection(Exception):
    """Google was not heard to the end, in the words of Go's HTTP client."""


def name_of(token: str, action: str = "") -> str:
    """What a fault calls it: "gcp:storage/bucket:Bucket", "create" -> "pulumi.storage.Bucket.create"."""
    _, module, kind = token.split(":")
    return ".".join(filter(None, ("pulumi", module.partition("/")[0], kind, action)))


def names() -> frozenset[str]:
    """Everything of the provider that a fault can be aimed at."""
    made = {name_of(token, action) for token in KINDS for action in _VERBS}
    return frozenset(made | {name_of(token) for token in FUNCTIONS})


async def call(scope: Scope, token: str, action: str, work: Callable[[], Any], cancelled: asyncio.Event) -> Any:
    """Do `work` in a thread, with the faults of this moment; `cancelled` ends the tries.

    Raises ApiError, LostConnection.
    """
    faults, loop = scope.cloud.of(Faults), asyncio.get_running_loop()
    seen = _seen(scope, token, action)
    pause, end = _FIRST_PAUSE, loop.time() + _PATIENCE
    while True:
        fault = faults.hit(seen) if faults.active else None
        if fault is not None:
            await asyncio.sleep(fault.delay)
        if fault is None or not (fault.code or fault.cut):
            return await asyncio.to_thread(work)
        if fault.cut == "after":
            await asyncio.to_thread(_unheard, work)
        if (fault.code and fault.code not in _RETRIED) or loop.time() + pause > end:
            raise _told(scope, fault, seen)
        try:
            await asyncio.wait_for(cancelled.wait(), pause)
        except TimeoutError:
            pause *= 2
        else:
            raise LostConnection(f"{_request(seen)}: context canceled")


def _unheard(work: Callable[[], Any]) -> None:
    try:
        work()
    except ApiError:
        return  # a refusal that nobody hears either


def _seen(scope: Scope, token: str, action: str) -> Seen:
    """As the real provider's call of Google looks, for the words of a refusal."""
    module, kind = token.split(":")[1].partition("/")[0], KINDS.get(token)
    api = (kind.api if kind else "") or _APIS.get(module, module)
    short = token.rpartition(":")[2].removeprefix("get")
    path = f"/v1/projects/{scope.project}/{short[0].lower()}{short[1:]}s" + ("" if action == "create" else "/-")
    verb = _VERBS.get(action, "GET")
    return Seen(verb, f"{api}.googleapis.com", path, principal=scope.caller.email, provider=name_of(token, action))


def _told(scope: Scope, fault: Fault, seen: Seen) -> Exception:
    if fault.cut:
        return LostConnection(f"{_request(seen)}: read: connection reset by peer")
    if seen.host == "storage.googleapis.com":
        return answers.storage_error(fault, seen)
    return answers.error(scope.cloud, fault, seen)


def _request(seen: Seen) -> str:
    return f'{seen.verb.capitalize()} "https://{seen.host}{seen.path}"'
