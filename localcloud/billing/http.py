"""cloudbilling.googleapis.com/v1 (accounts, a project's billing) and billingbudgets.googleapis.com/v1 (budgets).

https://cloud.google.com/billing/docs/reference/rest, https://cloud.google.com/billing/docs/reference/budget/rest
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.billing import skus, store
from localcloud.enabled import require
from localcloud.errors import NotEmulated
from localcloud.iam import access
from localcloud.paging import page
from localcloud.rest import App, Call, Router

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

router = Router()
Body = dict[str, Any]
_BUDGET = "/v1/{name=billingAccounts/*/budgets/*}"
_BUDGETS = "/v1/{parent=billingAccounts/*}/budgets"


def app(cloud: Cloud) -> App:
    return router.app(cloud)


@router.route("GET", "/v1/projects/{project}/billingInfo")
async def get_info(call: Call) -> Body:
    require(call.cloud, call.params["project"], "cloudbilling.googleapis.com")
    return store.info(call.cloud, call.params["project"])


@router.route("PUT", "/v1/projects/{project}/billingInfo")
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


@router.route("GET", "/v1/billingAccounts")
async def list_accounts(call: Call) -> Body:
    return page("billingAccounts", store.accounts(call.cloud), call.query)


@router.route("GET", "/v1/{name=billingAccounts/*}")
async def get_account(call: Call) -> Body:
    return store.account(call.cloud, call.params["name"])


@router.route("GET", "/v1/{name=billingAccounts/*}/projects")
async def list_projects(call: Call) -> Body:
    paid = [p for p in call.cloud.projects.list() if p["billingAccount"] == call.params["name"]]
    return page("projectBillingInfo", [store.info(call.cloud, p["projectId"]) for p in paid], call.query)


@router.route("GET", "/v1/services")
async def list_services(call: Call) -> Body:
    return page("services", skus.services(), call.query, default=5000)


@router.route("GET", "/v1/services/{service}/skus")
async def list_skus(call: Call) -> Body:
    if call.query.keys() & {"startTime", "endTime"}:
        raise NotEmulated("prices of another time than now")
    found = skus.skus(call.params["service"], call.cloud.clock.stamp(), call.query.get("currencyCode", ""))
    return page("skus", found, call.query, default=5000, most=5000)


@router.route("GET", _BUDGETS)
async def list_budgets(call: Call) -> Body:
    _budgets_on(call)
    return page("budgets", store.list_budgets(call.cloud, call.params["parent"]), call.query)


@router.route("POST", _BUDGETS)
async def create_budget(call: Call) -> Body:
    _budgets_on(call)
    return store.create_budget(call.cloud, call.params["parent"], call.body)


@router.route("GET", _BUDGET)
async def get_budget(call: Call) -> Body:
    _budgets_on(call)
    return store.get_budget(call.cloud, call.params["name"])


@router.route("PATCH", _BUDGET)
async def patch_budget(call: Call) -> Body:
    _budgets_on(call)
    return store.update_budget(call.cloud, call.params["name"], call.body, call.query.get("updateMask"))


@router.route("DELETE", _BUDGET)
async def delete_budget(call: Call) -> None:
    _budgets_on(call)
    store.delete_budget(call.cloud, call.params["name"])


def _budgets_on(call: Call) -> None:
    """Budgets belong to no project: the API must be on in the one that the call is charged to, the caller's."""
    require(call.cloud, call.caller.project, "billingbudgets.googleapis.com")
