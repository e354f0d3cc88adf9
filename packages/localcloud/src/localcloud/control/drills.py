"""The control's routes for drills: faults, machines that are out of stock, and machines that are taken away."""

from __future__ import annotations

import asyncio
import difflib
import importlib
import re
from functools import cache
from typing import Any

from localcloud.core.errors import Advised
from localcloud.faults.names import Aim, aim, includes, rest_id, same
from localcloud.faults.storage_names import STORAGE_IDS
from localcloud.faults.store import Faults
from localcloud.transport.rest import Call, Router
from localcloud.vertex.jobs.stockouts import Stockouts
from localcloud.vertex.jobs.store import CustomJobs


def register(router: Router) -> None:
    """Add the routes to the control."""
    router.route("GET", "/faults")(_list)
    router.route("POST", "/faults")(_add)
    router.route("DELETE", "/faults")(_clear)
    router.route("DELETE", "/faults/{fault}")(_clear)
    router.route("POST", "/stockouts")(_stockout)
    router.route("POST", "/preempt/{job}")(_preempt)


async def _list(call: Call) -> dict[str, Any]:
    out = [{"id": _stockout_id(one), **one} for one in Stockouts(call.cloud).list()]
    return {"faults": call.cloud.of(Faults).list(), "stockouts": out}


async def _stockout(call: Call) -> dict[str, Any]:
    made = Stockouts(call.cloud).add(str(call.body.get("region", "")), str(call.body.get("accelerator", "")))
    return {"id": _stockout_id(made), **made}


async def _preempt(call: Call) -> dict[str, Any]:
    return call.cloud.of(CustomJobs).preempt(call.params["job"])


def _stockout_id(one: dict[str, str]) -> str:
    return "-".join(["stockout", one["region"], *([one["accelerator"]] if one["accelerator"] else [])])


async def _add(call: Call) -> dict[str, Any]:
    aimed = aim(str(call.body.get("method", "")))
    if aimed.id or aimed.rpc:
        await asyncio.to_thread(_check, aimed)
    return call.cloud.of(Faults).add(call.body).as_json()


async def _clear(call: Call) -> dict[str, Any]:
    """Forget one, or all; that there are no machines in a region goes with all that are missing there."""
    wanted, stockouts = call.params.get("fault", ""), Stockouts(call.cloud)
    gone = 0
    for one in stockouts.list():
        if wanted in ("", _stockout_id(one)):
            gone += stockouts.clear(one["region"], one["accelerator"])
    if wanted and gone:
        return {"cleared": gone}
    return {"cleared": call.cloud.of(Faults).clear(wanted) + gone}


def _check(aimed: Aim) -> None:
    """Raises 400 for a method that the local cloud has not: such a fault would never happen."""
    if "*" in aimed.rpc:
        return
    ids = known()
    wanted = aimed.id or aimed.rpc
    if (
        any(includes(wanted, one) or same_shape(wanted, one) for one in ids)
        if aimed.id
        else any(same(wanted, one) for one in ids)
    ):
        return
    near = difflib.get_close_matches(wanted, [_short(one) for one in ids], 3, 0.5)
    hint = f"did you mean {', '.join(near)}?" if aimed.id and near else "see localcloud/README.md for what it has"
    raise Advised(400, f"the local cloud has no method {wanted}", hint)


def same_shape(wanted: str, found: str) -> bool:
    """Whether `found` is `wanted` for a project's resource where `wanted` names the collection alone."""
    return includes(wanted, _short(found))


def _short(name: str) -> str:
    """Without projects and locations: "aiplatform.customJobs.create"."""
    api, *rest = name.split(".")
    kept = [part for part in rest[:-2] if part not in ("projects", "locations")]
    return ".".join([api, *kept, *rest[-2:]])


@cache
def known() -> frozenset[str]:
    """The ids of all REST methods that the local cloud answers, and of what its provider asks.

    Loads every API, so call it in a thread.
    """
    from localcloud.apis import HOSTS
    from localcloud.provider.faults import names

    found = {*STORAGE_IDS, *names(), "logging.entries.tail"}  # the tail is a stream, which has no route
    for module in dict.fromkeys(loader.partition(":")[0] for _, loader in HOSTS):
        if module == "localcloud.storage.http":
            continue
        made = getattr(importlib.import_module(module), "router", None)
        if module == "localcloud.vertex.http":
            from localcloud.vertex.wire import messages

            made = made(messages.load()) if made else None
        elif callable(made) and not isinstance(made, Router):
            made = made()
        if isinstance(made, Router):
            found |= {_id(module, verb, pattern) for verb, pattern in made.patterns()}
    return frozenset(found)


_API_OF = {
    "localcloud.projects.http": "cloudresourcemanager",
    "localcloud.services.http": "serviceusage",
    "localcloud.credentials.http": "iamcredentials",
    "localcloud.vertex.http": "aiplatform",
    "localcloud.artifacts.http": "artifactregistry",
    "localcloud.quotas.http": "cloudquotas",
    "localcloud.quotas.metrics": "serviceusage",
}


def _id(module: str, verb: str, pattern: str) -> str:
    path = re.sub(r"\{\w+(?:=([^}]*))?\}", lambda m: (m[1] or "*").replace("**", "*").replace("*", "x"), pattern)
    api = _API_OF.get(module, module.split(".")[1])
    if api == "billing":
        api = "billingbudgets" if "budgets" in path else "cloudbilling"
    return rest_id(api, verb, path)
