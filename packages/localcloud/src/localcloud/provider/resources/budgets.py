"""billing.Budget."""

from __future__ import annotations

from localcloud.billing import store
from localcloud.billing.permits import allow_budget, allow_change, allow_told
from localcloud.provider.kinds import Kind, names
from localcloud.provider.scope import Scope, Values
from localcloud.services.enabled import require, require_quota_project


def _body(inputs: Values) -> Values:
    same = {name: inputs[name] for name in names("displayName budgetFilter amount ownershipScope") if name in inputs}
    rules = {"thresholdRules": inputs.get("thresholdRules") or []}
    told = {"notificationsRule": inputs["allUpdatesRule"]} if inputs.get("allUpdatesRule") else {}
    return same | rules | told


def _create(scope: Scope, inputs: Values) -> str:
    # A budget belongs to no project: its API must be on in the one that the provider's calls are charged to.
    require(scope.cloud, scope.project or scope.caller.project, "billingbudgets.googleapis.com")
    account = inputs["billingAccount"].removeprefix("billingAccounts/")
    return store.create_budget(scope.cloud, f"billingAccounts/{account}", _body(inputs))["name"]


def _read(scope: Scope, resource_id: str, _known: Values) -> Values | None:
    found = scope.cloud.documents.find(resource_id)
    if found is None:
        return None
    _, account, _, short = resource_id.split("/")
    return found | {"name": short, "billingAccount": account, "allUpdatesRule": found.get("notificationsRule")}


def _update(scope: Scope, resource_id: str, inputs: Values) -> None:
    mask = "displayName,budgetFilter,amount,ownershipScope,thresholdRules,notificationsRule"
    store.update_budget(scope.cloud, resource_id, _body(inputs), mask)


def _delete(scope: Scope, resource_id: str, _known: Values) -> None:
    store.delete_budget(scope.cloud, resource_id)


def _permit(scope: Scope, action: str, resource_id: str, values: Values) -> None:
    require_quota_project(scope.caller, scope.consumer, "billingbudgets.googleapis.com")
    account = resource_id.split("/")[1] if resource_id else values["billingAccount"].removeprefix("billingAccounts/")
    verb, made = "get" if action == "read" else action, _body(values)
    if action == "create":
        allow_budget(scope.cloud, scope.caller, verb, f"billingAccounts/{account}", made)
        allow_told(scope.cloud, scope.caller, made)
    elif action == "update":
        allow_change(scope.cloud, scope.caller, resource_id, made)
    else:  # the budget that is there says of which project it is, not who asks
        found = scope.cloud.documents.find(resource_id)
        allow_budget(scope.cloud, scope.caller, verb, f"billingAccounts/{account}", found)


KINDS = {
    "billing/budget:Budget": Kind(
        _create,
        _read,
        _update,
        _delete,
        ids="billingAccounts/{account}/budgets/{name}",
        permit=_permit,
        named_by_cloud=True,
        choices={
            "budgetFilter.calendarPeriod": ("MONTH", "QUARTER", "YEAR"),
            "budgetFilter.creditTypesTreatment": (
                "INCLUDE_ALL_CREDITS",
                "EXCLUDE_ALL_CREDITS",
                "INCLUDE_SPECIFIED_CREDITS",
            ),
            "thresholdRules[].spendBasis": ("CURRENT_SPEND", "FORECASTED_SPEND"),
            "ownershipScope": ("ALL_USERS", "BILLING_ACCOUNT"),
        },
    )
}
