"""cloudbilling.googleapis.com/v1 (accounts, a project's billing) and billingbudgets.googleapis.com/v1 (budgets).

https://cloud.google.com/billing/docs/reference/rest, https://cloud.google.com/billing/docs/reference/budget/rest
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.billing import permits, store
from localcloud.billing.meter import Billing
from localcloud.billing.pricelist import skus
from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError, NotEmulated
from localcloud.core.paging import page
from localcloud.core.state.documents import apply_mask
from localcloud.iam import access
from localcloud.iam.access import Access
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects
from localcloud.services.enabled import require_for
from localcloud.transport.rest import App, Call, Router
from localcloud.transport.transcoding import Table, transcoded

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

router = Router()
Body = dict[str, Any]
_BUDGET = "/v1/{name=billingAccounts/*/budgets/*}"
_ACCOUNT = "/v1/{name=billingAccounts/*}"
_EITHER = "asks on the account, else on the project of the budget"
_BUDGETS = "/v1/{parent=billingAccounts/*}/budgets"


def app(cloud: Cloud) -> App:
    return router.app(cloud)


def table(cloud: Cloud) -> Table:
    return transcoded(cloud, "google.cloud.billing.budgets_v1", router)


def _account(call: Call) -> Resource:
    """The billing account of the path. Raises 403 while the API is off: accounts and prices belong to no project."""
    require_for(call.cloud, call.caller, call.consumer, permits.ACCOUNTS)
    return permits.account(call.cloud, call.caller, call.params["name"])


def _admit(call: Call, verb: str, parent: str = "", budget: Body | None = None) -> None:
    """Raises 403 where the API is off or the caller lacks the permission; without a `parent` for one that is there.

    Budgets belong to no project: the API must be on in the one that the call is charged to.
    """
    require_for(call.cloud, call.caller, call.consumer, permits.BUDGETS)
    if not parent:
        parent = "/".join(call.params["name"].split("/")[:2])
        budget = call.cloud.documents.find(call.params["name"])
    permits.allow_budget(call.cloud, call.caller, verb, parent, budget)


def _project(call: Call) -> Resource:
    """The project of the path. Raises 403 while the API is off where the call is charged, or for an unknown project.

    In the project itself it need not be on: whoever makes one says who pays before anything is turned on there.
    """
    require_for(call.cloud, call.caller, call.consumer, permits.ACCOUNTS)
    found = call.cloud.of(Projects).find(call.params["project"])
    if found is None:
        raise ApiError(403, "The caller does not have permission", reason="forbidden")
    return access.project(found["projectId"])


@router.route("GET", "/v1/projects/{project}/billingInfo", needs="resourcemanager.projects.get", on=_project)
async def get_info(call: Call) -> Body:
    return store.info(call.cloud, call.params["project"])


@router.route("PUT", "/v1/projects/{project}/billingInfo", open="it depends on the body which is needed")
async def put_info(call: Call) -> Body:
    on = _project(call)
    project = on.name.removeprefix("projects/")
    name = call.body.get("billingAccountName", "")
    if name:
        store.get_account(call.cloud, name)
    verb = "create" if name else "delete"
    permission = f"resourcemanager.projects.{verb}BillingAssignment"
    call.cloud.of(Access).require(call.caller, permission, on)
    if name:
        payer = permits.account(call.cloud, call.caller, name)
        call.cloud.of(Access).require(call.caller, "billing.resourceAssociations.create", payer)
    await call.cloud.of(Billing).link(project, name)
    return store.info(call.cloud, project)


@router.route("GET", "/v1/billingAccounts", open="lists what the caller may see")
async def list_accounts(call: Call) -> Body:
    require_for(call.cloud, call.caller, call.consumer, permits.ACCOUNTS)
    found = [
        account
        for account in store.accounts(call.cloud)
        if call.cloud.of(Access).permitted(
            call.caller, ["billing.accounts.get"], permits.account(call.cloud, call.caller, account["name"])
        )
    ]
    return page("billingAccounts", found, call.query)


@router.route("GET", _ACCOUNT + ":getIamPolicy", needs="billing.accounts.getIamPolicy", on=_account)
async def get_policy(call: Call) -> Body:
    return permits.policy(call.cloud, call.params["name"])


@router.route("POST", _ACCOUNT + ":setIamPolicy", needs="billing.accounts.setIamPolicy", on=_account)
async def set_policy(call: Call) -> Body:
    permits.policy(call.cloud, call.params["name"])
    return call.cloud.of(Iam).set_policy(call.params["name"], call.body.get("policy") or {})


@router.route("POST", _ACCOUNT + ":testIamPermissions", open="tells the caller its own permissions")
async def test_permissions(call: Call) -> Body:
    return {
        "permissions": call.cloud.of(Access).permitted(call.caller, call.body.get("permissions", []), _account(call))
    }


@router.route("GET", _ACCOUNT, needs="billing.accounts.get", on=_account)
async def get_account(call: Call) -> Body:
    return store.get_account(call.cloud, call.params["name"])


@router.route("GET", _ACCOUNT + "/projects", needs="billing.resourceAssociations.list", on=_account)
async def list_projects(call: Call) -> Body:
    paid = [p for p in call.cloud.of(Projects).list() if p["billingAccount"] == call.params["name"]]
    return page("projectBillingInfo", [store.info(call.cloud, p["projectId"]) for p in paid], call.query)


@router.route("GET", "/v1/services", open="prices are public")
async def list_services(call: Call) -> Body:
    require_for(call.cloud, call.caller, call.consumer, permits.ACCOUNTS)
    return page("services", skus.services(), call.query, default=5000)


@router.route("GET", "/v1/services/{service}/skus", open="prices are public")
async def list_skus(call: Call) -> Body:
    require_for(call.cloud, call.caller, call.consumer, permits.ACCOUNTS)
    if call.query.keys() & {"startTime", "endTime"}:
        raise NotEmulated("prices of another time than now")
    found = skus.skus(call.params["service"], call.cloud.clock.stamp(), call.query.get("currencyCode", ""))
    return page("skus", found, call.query, default=5000, most=5000)


@router.route("GET", _BUDGETS, open=_EITHER)
async def list_budgets(call: Call) -> Body:
    _admit(call, "list", call.params["parent"])
    return page("budgets", store.list_budgets(call.cloud, call.params["parent"]), call.query)


@router.route("POST", _BUDGETS, open=_EITHER)
async def create_budget(call: Call) -> Body:
    _admit(call, "create", call.params["parent"], call.body)
    permits.allow_told(call.cloud, call.caller, call.body)
    return store.create_budget(call.cloud, call.params["parent"], call.body)


@router.route("GET", _BUDGET, open=_EITHER)
async def get_budget(call: Call) -> Body:
    _admit(call, "get")
    return store.get_budget(call.cloud, call.params["name"])


@router.route("PATCH", _BUDGET, open=_EITHER)
async def patch_budget(call: Call) -> Body:
    require_for(call.cloud, call.caller, call.consumer, permits.BUDGETS)
    found = call.cloud.documents.find(call.params["name"]) or {}
    becomes = apply_mask(found, call.body, call.query.get("updateMask"))
    permits.allow_change(call.cloud, call.caller, call.params["name"], becomes)
    return store.update_budget(call.cloud, call.params["name"], call.body, call.query.get("updateMask"))


@router.route("DELETE", _BUDGET, open=_EITHER)
async def delete_budget(call: Call) -> None:
    _admit(call, "delete")
    store.delete_budget(call.cloud, call.params["name"])
