"""iam.googleapis.com/v1: workload identity pools and their providers, which REST alone has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.core.paging import page
from localcloud.iam.federation.pools import POOL, PROVIDER, Pools
from localcloud.iam.http import SERVICE, refusal
from localcloud.transport.rest import App, Call, Router

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
router = Router(SERVICE, refusal)
_PARENT = "/v1/projects/{project}/locations/global"
_RIGHTS = "iam.googleapis.com/"


def app(cloud: Cloud) -> App:
    return router.app(cloud)


def _name(call: Call) -> str:
    return call.path.removeprefix("/v1/").partition(":")[0]


def _done(found: Body, action: str) -> Body:
    """A long-running operation, which is over at once."""
    return {"name": f"{found['name']}/operations/{action}", "done": True, "response": found}


def _routes(kind: str, parent: str, collection: str, field: str) -> None:
    """The routes of one kind; `field` is what its list and its right are called."""
    one = f"{parent}/{collection}/{{{collection}}}"
    right = f"{_RIGHTS}{field}"

    @router.route("POST", f"{parent}/{collection}", needs=f"{right}.create")
    async def create(call: Call) -> Body:
        above = _name(call).rpartition("/")[0]
        return _done(call.cloud.of(Pools).create(kind, above, call.query.get(f"{kind}Id", ""), call.body), "create")

    @router.route("GET", f"{parent}/{collection}", needs=f"{right}.list")
    async def list_all(call: Call) -> Body:
        above, deleted = _name(call).rpartition("/")[0], call.query.get("showDeleted") == "true"
        return page(field, call.cloud.of(Pools).list(kind, above, deleted), call.query, default=50)

    @router.route("GET", one, needs=f"{right}.get")
    async def get(call: Call) -> Body:
        return call.cloud.of(Pools).get(_name(call))

    @router.route("PATCH", one, needs=f"{right}.update")
    async def patch(call: Call) -> Body:
        mask = call.query.get("updateMask")
        return _done(call.cloud.of(Pools).update(kind, _name(call), call.body, mask), "update")

    @router.route("DELETE", one, needs=f"{right}.delete")
    async def delete(call: Call) -> Body:
        return _done(call.cloud.of(Pools).delete(kind, _name(call)), "delete")

    @router.route("POST", f"{one}:undelete", needs=f"{right}.undelete")
    async def undelete(call: Call) -> Body:
        return _done(call.cloud.of(Pools).undelete(kind, _name(call)), "undelete")


_routes(POOL, _PARENT, "workloadIdentityPools", "workloadIdentityPools")
_routes(PROVIDER, f"{_PARENT}/workloadIdentityPools/{{pool}}", "providers", "workloadIdentityPoolProviders")
