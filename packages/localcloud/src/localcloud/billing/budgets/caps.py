"""Spend caps (Preview): a budget that pauses a service of a project. REST alone has them: `spendCap` of a budget.

Field by field as the API's discovery document says it (revision of 2026), and
https://docs.cloud.google.com/billing/docs/how-to/budget-api-spend-cap. What is not documented is chosen: a cap acts at
the half minute in which its amount is reached, where Google takes minutes; what runs goes on; the calls that would
begin something are refused, in the words by which the Gemini API refuses beyond its cap; a new month lifts it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from localcloud.core.errors import ApiError

Body = dict[str, Any]
CONFIGURED, ENFORCED, WAITING = "CONFIGURED", "ENFORCED", "AWAITING_NEXT_PERIOD"
_THRESHOLDS = [0.5, 0.8, 1.0]
# https://docs.cloud.google.com/billing/docs/how-to/budgets-spend-caps#eligible-services; ids of the Catalog API
_SERVICES = {"C7E2-9256-1C43": "aiplatform.googleapis.com", "152E-C115-5142": "run.googleapis.com"}
_EMPTY = ("resourceAncestors", "creditTypes", "subaccounts", "labels", "customPeriod")


def checked(budget: Body, present: Body | None, others: Iterable[Body]) -> Body:
    """A budget with its spend cap as Google shows it; `present` is the one that it changes.

    Raises 400 INVALID_ARGUMENT, or FAILED_PRECONDITION for a change of one that is enforced.
    """
    wanted = budget.get("spendCap")
    before = (present or {}).get("spendCap")
    if not wanted and not before:
        return budget
    if not isinstance(wanted, dict):
        raise _bad("spend_cap can't be taken from a budget that has one, or must be a message")
    state = _next(wanted.get("inputState", ""), before)
    if before and before["outputState"] == ENFORCED and (changed := _changed(budget, present or {})):
        words = f"While a spend cap is enforced only its input_state can be changed, not {', '.join(changed)}."
        raise ApiError(400, words, "FAILED_PRECONDITION")
    _check_fields(budget)
    scope = budget["budgetFilter"]["projects"], budget["budgetFilter"]["services"]
    for other in others:
        filters = other["budgetFilter"]
        if other.get("spendCap") and (filters.get("projects"), filters.get("services")) == scope:
            raise ApiError(400, "Request contains an invalid argument.")  # so bare is Google's word for a second cap
    cap = {"inputState": wanted["inputState"], "outputState": state, "reconciling": False}
    return budget | {"spendCap": cap}


def _next(wanted: str, before: Body | None) -> str:
    """The state that a cap is in when a person wants this one. Raises 400."""
    present = before["outputState"] if before else ""
    if wanted == CONFIGURED:
        return present if present == ENFORCED else CONFIGURED
    if wanted == WAITING and present in (ENFORCED, WAITING):
        return WAITING
    raise _bad(f"spend_cap.input_state {wanted or '(none)'} is not valid for a cap that is {present or 'new'}")


def _changed(budget: Body, present: Body) -> list[str]:
    compared = ("displayName", "budgetFilter", "amount", "thresholdRules", "notificationsRule")
    return [name for name in compared if budget.get(name) != present.get(name)]


def _check_fields(budget: Body) -> None:
    filters, rule = budget["budgetFilter"], budget.get("notificationsRule") or {}
    if len(filters.get("projects") or []) != 1:
        raise _bad("budget_filter.projects must name exactly one project for a spend cap")
    services = filters.get("services") or []
    if len(services) != 1 or services[0].removeprefix("services/") not in _SERVICES:
        raise _bad("budget_filter.services must name exactly one service that is eligible for spend caps")
    if filters["creditTypesTreatment"] != "EXCLUDE_ALL_CREDITS":
        raise _bad("budget_filter.credit_types_treatment must be EXCLUDE_ALL_CREDITS for a spend cap")
    if filters.get("calendarPeriod") != "MONTH" or any(filters.get(name) for name in _EMPTY):
        raise _bad("budget_filter of a spend cap is by calendar_period MONTH, one project and one service alone")
    if "specifiedAmount" not in budget["amount"]:
        raise _bad("amount must be specified_amount for a spend cap")
    told = [(one["thresholdPercent"], one["spendBasis"]) for one in budget["thresholdRules"]]
    if told != [(percent, "CURRENT_SPEND") for percent in _THRESHOLDS]:
        raise _bad("threshold_rules of a spend cap must be 0.5, 0.8 and 1.0 of CURRENT_SPEND")
    if not rule.get("enableProjectLevelRecipients") or rule.get("disableDefaultIamRecipients"):
        raise _bad("notifications_rule of a spend cap must enable project level recipients, and no more")
    if rule.get("pubsubTopic") or rule.get("monitoringNotificationChannels"):
        raise _bad("notifications_rule of a spend cap can have no topic and no channels")
    if budget.get("ownershipScope", "ALL_USERS") not in ("ALL_USERS", "OWNERSHIP_SCOPE_UNSPECIFIED"):
        raise _bad("ownership_scope of a spend cap must be ALL_USERS")


def after(budget: Body, reached: bool, is_new_period: bool) -> str:
    """The state that a cap is in by its costs, "" where it stays as it is."""
    state = budget["spendCap"]["outputState"]
    if state != CONFIGURED and is_new_period:
        return ENFORCED if reached else CONFIGURED
    return ENFORCED if state == CONFIGURED and reached else ""


def paused(budgets: Iterable[Body], project: Body, service: str) -> bool:
    """Whether a cap on a service of a project is enforced."""
    names = {f"projects/{project['projectId']}", f"projects/{project['projectNumber']}"}
    return any(
        one.get("spendCap", {}).get("outputState") == ENFORCED
        and one["budgetFilter"]["projects"][0] in names
        and _SERVICES[one["budgetFilter"]["services"][0].removeprefix("services/")] == service
        for one in budgets
    )


def refusal(project: Body) -> ApiError:
    """429 as the Gemini API says it beyond its spending cap; the words of other services are not known."""
    number = project["projectNumber"]
    words = (
        f"Your project has exceeded its monthly spending cap. Project {number}: lift or change the spend cap budget at "
        f"https://console.cloud.google.com/billing/budgets?project={project['projectId']}"
    )
    return ApiError(429, words)


def _bad(message: str) -> ApiError:
    return ApiError(400, f"Request contains an invalid argument: {message}.")
