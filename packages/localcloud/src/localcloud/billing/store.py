"""Who pays for projects, and budgets: what is kept, and what Google refuses.

A billing account is there if it was opened, by the start of this cloud or with a trial; `permits` says who may see it.
It has a currency, and a budget in another one is refused, as on Google.

Simplified: a budget lets its account pay for the projects that it is for, where only this cloud itself chose who pays.
"""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

from localcloud.billing.accounts import KIND, Accounts
from localcloud.billing.budgets import caps
from localcloud.billing.budgets.alerts import PUBLISHER
from localcloud.billing.permits import not_there
from localcloud.core.asked.usage import Usage
from localcloud.core.errors import ApiError
from localcloud.iam.policies import new_etag
from localcloud.iam.store import Iam
from localcloud.monitoring.store import find_channel
from localcloud.projects.store import Projects
from localcloud.pubsub.store import PubSub

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
_BUDGET_KIND = "billing.budget"
# https://cloud.google.com/billing/docs/reference/budget/rest/v1/billingAccounts.budgets
_TREATMENTS = ("INCLUDE_ALL_CREDITS", "EXCLUDE_ALL_CREDITS", "INCLUDE_SPECIFIED_CREDITS")
_PERIODS = ("MONTH", "QUARTER", "YEAR")
_BASES = ("CURRENT_SPEND", "FORECASTED_SPEND")
_MOST_CHANNELS = 5
_LONGEST_NAME = 60
_lock = threading.RLock()


def get_account(cloud: Cloud, name: str) -> Body:
    """A billing account by name ("billingAccounts/012345-6789AB-CDEF01"). Raises 400, 403."""
    return cloud.of(Accounts).get(name)


def accounts(cloud: Cloud) -> list[Body]:
    """The billing accounts that were opened, or pay for a project."""
    names = {project["billingAccount"] for project in cloud.of(Projects).list()}
    names |= {account["name"] for account in cloud.documents.list(KIND)}
    return [cloud.of(Accounts).paying(name) for name in sorted(names - {""})]


def info(cloud: Cloud, project: str) -> Body:
    """Whether and by whom a project is paid: https://cloud.google.com/billing/docs/reference/rest/v1/ProjectBillingInfo"""
    found = cloud.of(Projects).get(project)
    name = found["billingAccount"]
    return {
        "name": f"projects/{found['projectId']}/billingInfo",
        "projectId": found["projectId"],
        "billingAccountName": name,
        "billingEnabled": not cloud.of(Accounts).state(found["projectId"]),
    }


def create_budget(cloud: Cloud, parent: str, body: Body) -> Body:
    """A new budget of the billing account `parent`. Raises 400."""
    with _lock:
        payer = get_account(cloud, parent)
        name = f"{parent}/budgets/{uuid.uuid4()}"
        budget: Body = caps.checked(_checked(cloud, payer, body), None, list_budgets(cloud, parent))
        budget |= {"name": name, "etag": new_etag()}
        _adopt(cloud, parent, budget)
        _let_publish(cloud, budget)
        return cloud.documents.create(name, _BUDGET_KIND, budget)


def get_budget(cloud: Cloud, name: str) -> Body:
    """The budget. Raises 404."""
    return cloud.documents.get(name)


def list_budgets(cloud: Cloud, parent: str) -> list[Body]:
    """The budgets of a billing account. Raises 400."""
    get_account(cloud, parent)
    return cloud.documents.list(_BUDGET_KIND, f"{parent}/budgets/")


def update_budget(cloud: Cloud, name: str, changes: Body, mask: str | None = None) -> Body:
    """Change a budget. Raises 404, 400, or 409 ABORTED for a stale etag."""
    from localcloud.core.state.documents import apply_mask

    with _lock:
        present = get_budget(cloud, name)
        if changes.get("etag", present["etag"]) != present["etag"]:
            raise ApiError(409, "The budget was changed by somebody else; read it again.", "ABORTED")
        merged = apply_mask(present, changes, mask)
        parent = name.partition("/budgets/")[0]
        others = [one for one in list_budgets(cloud, parent) if one["name"] != name]
        checked = caps.checked(_checked(cloud, get_account(cloud, parent), merged), present, others)
        _let_publish(cloud, checked)
        return cloud.documents.put(name, _BUDGET_KIND, checked | {"name": name, "etag": new_etag()})


def delete_budget(cloud: Cloud, name: str) -> None:
    """Raises 404."""
    cloud.documents.delete(name)


def all_budgets(cloud: Cloud) -> list[Body]:
    """The budgets of all billing accounts."""
    return cloud.documents.list(_BUDGET_KIND)


def put_cap_state(cloud: Cloud, name: str, state: str) -> None:
    """What the costs make of a spend cap; a lift of the month before is over with it."""
    with _lock:
        present = get_budget(cloud, name)
        cap = present["spendCap"] | {"outputState": state, "inputState": caps.CONFIGURED}
        cloud.documents.put(name, _BUDGET_KIND, present | {"spendCap": cap, "etag": new_etag()})


def _adopt(cloud: Cloud, parent: str, budget: Body) -> None:
    """Let the budget's account pay for the projects it is for, where only this cloud itself chose who pays."""
    for name in budget["budgetFilter"].get("projects") or []:
        found = cloud.of(Projects).find(name.removeprefix("projects/"))
        if found:
            cloud.of(Usage).sample()
            cloud.of(Accounts).rename(found["projectId"], parent)


def _topic(cloud: Cloud, budget: Body) -> str:
    """The full name of the budget's topic, "" for none. Raises 400 for one that isn't there."""
    from localcloud.pubsub import resources

    topic = (budget.get("notificationsRule") or {}).get("pubsubTopic", "")
    if not topic:
        return ""
    try:
        name = resources.full_name(cloud, topic)
        cloud.of(PubSub).get(name)
    except ApiError as error:
        raise _bad(f"notifications_rule.pubsub_topic: {topic}: {error.message.rstrip('.')}") from None
    return name


def _let_publish(cloud: Cloud, budget: Body) -> None:
    """Give Google's own account for budgets its right on the topic, as making a budget on Google does."""
    if name := _topic(cloud, budget):
        cloud.of(Iam).add_member(name, "roles/pubsub.publisher", f"serviceAccount:{PUBLISHER}")


def _checked(cloud: Cloud, payer: Body, body: Body) -> Body:
    """The budget with what Google fills in."""
    budget = dict(body)
    if len(budget.get("displayName", "")) > _LONGEST_NAME:
        raise _bad(f"display_name must be at most {_LONGEST_NAME} characters long")
    amount = budget.get("amount") or {}
    if len({"specifiedAmount", "lastPeriodAmount"} & amount.keys()) != 1:
        raise _bad("amount must be either specified_amount or last_period_amount")
    if "specifiedAmount" in amount:
        budget["amount"] = {"specifiedAmount": _money(cloud, payer, amount["specifiedAmount"])}
    budget["budgetFilter"] = _filter(cloud, budget.get("budgetFilter") or {})
    # In which order Google gives them back isn't documented; see docs/google.md.
    rules = [_threshold(rule) for rule in budget.get("thresholdRules") or []]
    budget["thresholdRules"] = sorted(rules, key=lambda rule: (rule["thresholdPercent"], rule["spendBasis"]))
    if "customPeriod" in budget["budgetFilter"]:
        _check_own_period(budget)
    rule = budget.get("notificationsRule")
    if rule:
        channels = rule.get("monitoringNotificationChannels") or []
        if len(channels) > _MOST_CHANNELS:
            raise _bad(f"at most {_MOST_CHANNELS} monitoring_notification_channels are allowed")
        for channel in channels:
            found = find_channel(cloud, channel)
            if found is None:
                raise not_there(channel)
            if found["type"] != "email":
                raise _bad(f"monitoring_notification_channels: {channel} is not an email channel")
        if rule.get("schemaVersion", "1.0") != "1.0":
            raise _bad(f"notifications_rule.schema_version {rule['schemaVersion']} is unknown")
        if rule.get("pubsubTopic"):
            _topic(cloud, budget)
            budget["notificationsRule"] = rule | {"schemaVersion": "1.0"}
    else:
        budget.pop("notificationsRule", None)
    return budget


def _money(cloud: Cloud, payer: Body, money: Body) -> Body:
    currency = money.get("currencyCode") or payer["currencyCode"]
    if currency != payer["currencyCode"]:
        raise _bad(f"currency_code {currency} must match the billing account's currency, {payer['currencyCode']}")
    try:
        units, nanos = int(money.get("units") or 0), int(money.get("nanos") or 0)
    except ValueError:
        raise _bad("specified_amount.units must be a whole number") from None
    if units < 0 or nanos < 0 or nanos >= 10**9:
        raise _bad("specified_amount must not be negative")
    return {"currencyCode": currency, "units": str(units)} | ({"nanos": nanos} if nanos else {})


def _filter(cloud: Cloud, wanted: Body) -> Body:
    made = dict(wanted)
    if made.setdefault("creditTypesTreatment", _TREATMENTS[0]) not in _TREATMENTS:
        raise _bad(f"credit_types_treatment {made['creditTypesTreatment']} is unknown")
    if "customPeriod" not in made and made.setdefault("calendarPeriod", _PERIODS[0]) not in _PERIODS:
        raise _bad(f"calendar_period {made['calendarPeriod']} is unknown")
    for project in made.get("projects") or []:
        if cloud.of(Projects).find(project.removeprefix("projects/")) is None:
            raise _bad(f"budget_filter.projects: {project} does not exist")
    return made


def _check_own_period(budget: Body) -> None:
    """Raises 400 for what goes with a calendar period only; the words are not Google's, which aren't known.

    https://docs.cloud.google.com/dotnet/docs/reference/Google.Cloud.Billing.Budgets.V1/latest/Google.Cloud.Billing.Budgets.V1.ThresholdRule.Types.Basis
    """
    if "calendarPeriod" in budget["budgetFilter"]:
        raise _bad("budget_filter must have either calendar_period or custom_period")
    if "lastPeriodAmount" in budget["amount"]:
        raise _bad("amount.last_period_amount can't be set in combination with budget_filter.custom_period")
    if any(rule["spendBasis"] == "FORECASTED_SPEND" for rule in budget["thresholdRules"]):
        raise _bad("FORECASTED_SPEND can't be set in combination with budget_filter.custom_period")


def _threshold(rule: Body) -> Body:
    percent = rule.get("thresholdPercent")
    if isinstance(percent, bool) or not isinstance(percent, int | float) or percent < 0:
        raise _bad("threshold_rules.threshold_percent must be a number from 0")
    basis = rule.get("spendBasis", _BASES[0])
    if basis not in _BASES:
        raise _bad(f"threshold_rules.spend_basis {basis} is unknown")
    return {"thresholdPercent": percent, "spendBasis": basis}


def _bad(message: str) -> ApiError:
    return ApiError(400, f"Request contains an invalid argument: {message}.")
