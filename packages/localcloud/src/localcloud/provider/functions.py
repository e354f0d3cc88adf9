"""The functions that programs call to look things up."""

from __future__ import annotations

from collections.abc import Callable

from localcloud.billing.permits import account
from localcloud.billing.store import get_account
from localcloud.core.errors import ApiError
from localcloud.iam import access
from localcloud.projects.store import Projects
from localcloud.provider import permits
from localcloud.provider.scope import Scope, Values
from localcloud.quotas.store import quota_info, quota_infos
from localcloud.services.enabled import require, require_quota_project

Function = Callable[[Scope, Values], Values]


def _get_project(scope: Scope, arguments: Values) -> Values:
    project = arguments.get("projectId") or scope.project
    require(scope.cloud, project, "cloudresourcemanager.googleapis.com")
    found = scope.cloud.of(Projects).get(project)
    permits.require(scope, "resourcemanager.projects.get", access.project(found["projectId"]))
    return {
        "id": f"projects/{found['projectId']}",
        "projectId": found["projectId"],
        "number": found["projectNumber"],
        "name": found["name"],
        "labels": found.get("labels") or {},
        "effectiveLabels": found.get("labels") or {},
        "pulumiLabels": found.get("labels") or {},
        "billingAccount": found["billingAccount"].removeprefix("billingAccounts/"),
        "autoCreateNetwork": True,
        "deletionPolicy": "",
        "folderId": "",
        "orgId": "",
        "tags": {},
    }


def _get_billing_account(scope: Scope, arguments: Values) -> Values:
    name = arguments.get("billingAccount", "")
    if not name:
        raise ApiError(400, "the local cloud finds a billing account by billingAccount only")
    found = get_account(scope.cloud, f"billingAccounts/{name.removeprefix('billingAccounts/')}")
    permits.require(scope, "billing.accounts.get", account(scope.cloud, scope.caller, found["name"]))
    short = found["name"].removeprefix("billingAccounts/")
    return {
        "id": short,
        "billingAccount": short,
        "name": found["name"],
        "displayName": found["displayName"],
        "open": found["open"],
        "currencyCode": found["currencyCode"],
        "parent": "",
        "projectIds": [
            project["projectId"]
            for project in scope.cloud.of(Projects).list()
            if project["billingAccount"] == found["name"]
        ],
    }


def _quota_project(scope: Scope, arguments: Values) -> str:
    require_quota_project(scope.caller, scope.consumer, "cloudquotas.googleapis.com")
    project = arguments["parent"].removeprefix("projects/")
    found = require(scope.cloud, project, "cloudquotas.googleapis.com")["projectId"]
    permits.require(scope, "cloudquotas.quotas.get", access.project(found))
    return found


def _quota(info: Values) -> Values:
    """A QuotaInfo as the SDK has it: what Google has once is a list of one."""
    places = [
        row | {"details": [row["details"]], "dimensions": row.get("dimensions", {})} for row in info["dimensionsInfos"]
    ]
    eligible = {"ineligibilityReason": "", **info["quotaIncreaseEligibility"]}
    blank = {"isConcurrent": False, "isFixed": False, "refreshInterval": "", "serviceRequestQuotaUri": ""}
    told = {name: value for name, value in info.items() if name != "quotaIncreaseEligibility"}
    return blank | told | {"dimensionsInfos": places, "quotaIncreaseEligibilities": [eligible]}


def _get_quotas(scope: Scope, arguments: Values) -> Values:
    found = quota_infos(scope.cloud, _quota_project(scope, arguments), arguments["service"])
    return {
        **arguments,
        "id": f"{arguments['parent']}/{arguments['service']}",
        "quotaInfos": [_quota(i) for i in found],
    }


def _get_quota(scope: Scope, arguments: Values) -> Values:
    found = quota_info(scope.cloud, _quota_project(scope, arguments), arguments["service"], arguments["quotaId"])
    return {**_quota(found), **arguments, "id": found["name"]}


# token -> function; arguments and results are in the names of the SDK
FUNCTIONS: dict[str, Function] = {
    "gcp:organizations/getProject:getProject": _get_project,
    "gcp:organizations/getBillingAccount:getBillingAccount": _get_billing_account,
    "gcp:cloudquota/getSQuotaInfos:getSQuotaInfos": _get_quotas,
    "gcp:cloudquota/getSQuotaInfo:getSQuotaInfo": _get_quota,
}
