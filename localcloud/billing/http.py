"""cloudbilling.googleapis.com/v1 (accounts, a project's billing) and billingbudgets.googleapis.com/v1 (budgets).

https://cloud.google.com/billing/docs/reference/rest, https://cloud.google.com/billing/docs/reference/budget/rest
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.billing import skus, store
from localcloud.enabled import require, require_for
from localcloud.errors import NotEmulated
from localcloud.iam import access
from localcloud.paging import page
from localcloud.rest import App, Call, Router

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

router = Router()
Body = dict[str, Any]
_BUDGET = "/v1/{name=billingAccounts/*/budgets/*}"
_OWN = "every account is that of an owner, editor or viewer of the project that the call is charged to"
_BUDGETS = "/v1/{parent=billingAccounts/*}/budgets"


def app(cloud: Cloud) -> App:
    return router.app(cloud)


def _charged(call: Call) -> access.Resource:
    """The project that a call about budgets is charged to, in which the API is on. Raises 403.

    Budgets belong to no project, and accounts have no policies here: an owner or editor of that project may all.
    """
    require_for(call, "billingbudgets.googleapis.com")
    return _own(call)


def _own(call: Call) -> access.Resource:
    found = call.cloud.projects.get(call.consumer or call.caller.project)
    return access.project(found["projectId"])


def _has_accounts(call: Call) -> bool:
    return call.cloud.access.allows(call.caller, "billing.resourcebudgets.read", _own(call))


def _check_account(call: Call, permission: str) -> None:
    """Raises 403."""
    if not _has_accounts(call):
        raise access.denied(permission, call.params["name"], "cloudbilling.googleapis.com")


@router.route("GET", "/v1/projects/{project}/billingInfo", needs="resourcemanager.projects.get")
async def get_info(call: Call) -> Body:
    require(call.cloud, call.params["project"], "cloudbilling.googleapis.com")
    return store.info(call.cloud, call.params["project"])


@router.route("PUT", "/v1/projects/{project}/billingInfo", open="it depends on the body which is needed")
async def put_info(call: Call) -> Body:
    project = require(call.cloud, call.params["project"], "cloudbilling.googleapis.com")["projectId"]
    name = call.body.get("billingAccountName", "")
    if name:
        store.account(call.cloud, name)
    verb = "create" if name else "delete"
    permission = f"resourcemanager.projects.{verb}BillingAssignment"
    call.cloud.access.require(call.caller, permission, access.project(project))
    await call.cloud.billing.link(project, name)
    return store.info(call.cloud, project)


@router.route("GET", "/v1/billingAccounts", open="lists what the caller may see")
async def list_accounts(call: Call) -> Body:
    found = store.accounts(call.cloud) if _has_accounts(call) else []
    return page("billingAccounts", found, call.query)


@router.route("GET", "/v1/{name=billingAccounts/*}", open=_OWN)
async def get_account(call: Call) -> Body:
    _check_account(call, "billing.accounts.get")
    return store.account(call.cloud, call.params["name"])


@router.route("GET", "/v1/{name=billingAccounts/*}/projects", open=_OWN)
async def list_projects(call: Call) -> Body:
    _check_account(call, "billing.resourceAssociations.list")
    paid = [p for p in call.cloud.projects.list() if p["billingAccount"] == call.params["name"]]
    return page("projectBillingInfo", [store.info(call.cloud, p["projectId"]) for p in paid], call.query)


@router.route("GET", "/v1/services", open="prices are public")
async def list_services(call: Call) -> Body:
    return page("services", skus.services(), call.query, default=5000)


@router.route("GET", "/v1/services/{service}/skus", open="prices are public")
async def list_skus(call: Call) -> Body:
    if call.query.keys() & {"startTime", "endTime"}:
        raise NotEmulated("prices of another time than now")
    found = skus.skus(call.params["service"], call.cloud.clock.stamp(), call.query.get("currencyCode", ""))
    return page("skus", found, call.query, default=5000, most=5000)


@router.route("GET", _BUDGETS, needs="billing.resourcebudgets.read", on=_charged)
async def list_budgets(call: Call) -> Body:
    return page("budgets", store.list_budgets(call.cloud, call.params["parent"]), call.query)


@router.route("POST", _BUDGETS, needs="billing.resourcebudgets.write", on=_charged)
async def create_budget(call: Call) -> Body:
    return store.create_budget(call.cloud, call.params["parent"], call.body)


@router.route("GET", _BUDGET, needs="billing.resourcebudgets.read", on=_charged)
async def get_budget(call: Call) -> Body:
    return store.get_budget(call.cloud, call.params["name"])


@router.route("PATCH", _BUDGET, needs="billing.resourcebudgets.write", on=_charged)
async def patch_budget(call: Call) -> Body:
    return store.update_budget(call.cloud, call.params["name"], call.body, call.query.get("updateMask"))


@router.route("DELETE", _BUDGET, needs="billing.resourcebudgets.write", on=_charged)
async def delete_budget(call: Call) -> None:
    store.delete_budget(call.cloud, call.params["name"])
