"""Who may see and change billing accounts and budgets.

The owner accounts of the projects of the person for whom a billing account was opened are its administrators; others
get roles on it by its policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.billing.accounts import Accounts
from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError
from localcloud.iam import access
from localcloud.iam.access import Access
from localcloud.iam.policies import Policy
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

ACCOUNTS, BUDGETS = "cloudbilling.googleapis.com", "billingbudgets.googleapis.com"
Budget = dict[str, Any]
_ADMIN = "roles/billing.admin"


def policy(cloud: Cloud, name: str) -> Policy:
    """The policy of a billing account. Raises 400 for a name that can't be one."""
    cloud.of(Accounts).get(name)
    return cloud.of(Iam).get_policy(name)


def account(cloud: Cloud, caller: Caller, name: str) -> Resource:
    """What a permission on a billing account is asked on."""
    if cloud.of(Iam).is_person(caller):
        project = cloud.of(Projects).find(caller.project) or {}
        if cloud.of(Accounts).is_of(name, project.get("person", "")):
            _own(cloud, name, f"serviceAccount:{caller.email}")
    return Resource(name, (name,), ACCOUNTS, f"{ACCOUNTS}/BillingAccount")


def _own(cloud: Cloud, name: str, member: str) -> None:
    bindings = cloud.of(Iam).get_policy(name).get("bindings", [])
    if not any(binding["role"] == _ADMIN and member in binding["members"] for binding in bindings):
        cloud.of(Iam).add_member(name, _ADMIN, member)


def allow_budget(cloud: Cloud, caller: Caller, verb: str, name: str, budget: Budget | None = None) -> None:
    """Raises 403 unless `caller` may `verb` ("create", "get", "list", "update", "delete") budgets of an account.

    Who may not on the account may with a budget of one project in which they have `billing.resourcebudgets`:
    https://cloud.google.com/billing/docs/how-to/budgets#budget-permissions
    """
    permission = f"billing.budgets.{verb}"
    on = account(cloud, caller, name)
    if cloud.of(Access).permitted(caller, [permission], on):
        cloud.of(Access).audit.note(caller, permission, on, True)
        return
    projects = ((budget or {}).get("budgetFilter") or {}).get("projects") or []
    found = cloud.of(Projects).find(projects[0].removeprefix("projects/")) if len(projects) == 1 else None
    # A project's own budget is one of the account that pays for it.
    if found is not None and (verb != "create" or found["billingAccount"] == name):
        single = f"billing.resourcebudgets.{'read' if verb in ('get', 'list') else 'write'}"
        if cloud.of(Access).allows(caller, single, access.project(found["projectId"])):
            return
    cloud.of(Access).require(caller, permission, on, BUDGETS)


def allow_change(cloud: Cloud, caller: Caller, name: str, becomes: Budget) -> None:
    """Raises 403 unless `caller` may make the budget `name` what it becomes.

    Who may with the budgets of one project only must not make one of another of it, or of the whole account.
    """
    found = cloud.documents.find(name) or {}
    parent = name.partition("/budgets/")[0]
    allow_budget(cloud, caller, "update", parent, found)
    if becomes.get("budgetFilter") != found.get("budgetFilter"):
        allow_budget(cloud, caller, "update", parent, becomes)
    allow_told(cloud, caller, becomes, found)


def allow_told(cloud: Cloud, caller: Caller, budget: Budget, before: Budget | None = None) -> None:
    """Raises 403 unless `caller` may let Google publish to the topic of a budget, which making one does, and 400 for
    a notification channel that the caller may not see. What the budget named `before` is not asked again.

    https://cloud.google.com/billing/docs/how-to/budgets-programmatic-notifications
    """
    for channel in set(_channels(budget)) - set(_channels(before or {})):
        if found := cloud.of(Projects).find("/".join(channel.split("/")[1:2])):
            on = access.project(found["projectId"])
            if not cloud.of(Access).allows(caller, "monitoring.notificationChannels.get", on):
                raise not_there(channel)
    if _topic(budget) != _topic(before or {}):
        _allow_topic(cloud, caller, budget)


def not_there(channel: str) -> ApiError:
    """400: Google does not tell a channel that isn't there from one that the caller may not see."""
    words = f"monitoring_notification_channels: {channel} does not exist."
    return ApiError(400, f"Request contains an invalid argument: {words}")


def _allow_topic(cloud: Cloud, caller: Caller, budget: Budget) -> None:
    from localcloud.pubsub import resources

    if not (topic := _topic(budget)):
        return
    try:
        name = resources.full_name(cloud, topic)
    except ApiError:
        return  # the budget's own check says what is wrong with it
    resources.allow(cloud, caller, "pubsub.topics.setIamPolicy", resources.resource(name))


def _topic(budget: Budget) -> str:
    return (budget.get("notificationsRule") or {}).get("pubsubTopic", "")


def _channels(budget: Budget) -> list[str]:
    return (budget.get("notificationsRule") or {}).get("monitoringNotificationChannels") or []
