"""Who would not hear of a budget's threshold, and when no one would: an alert that reaches no one protects no one.

Google writes to the budget's e-mail channels, and to the administrators and users of the billing account:
https://docs.cloud.google.com/billing/docs/how-to/budgets-notification-recipients. An account that an organization's
administrators look after may have more of those than its own policy shows.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cloudkite.accounts.api import send, table
from cloudkite.accounts.target import Target
from cloudkite.accounts.trial import DAYS
from cloudkite.show.text import _

if TYPE_CHECKING:
    from infra.settings import Budget, Settings

_TOLD = frozenset({"roles/billing.admin", "roles/billing.user"})  # NotificationsRule.disable_default_iam_recipients
_OF_TOLD = "billing.resourceAssociations.create"  # both have it, and who only sees the account doesn't
_PEOPLE = ("user:", "group:", "domain:")


def look(target: Target, settings: Settings) -> Iterator[str]:
    """A sentence for each thing that keeps a threshold from being heard, with what helps; none while all is well."""
    budget = settings.budget
    if budget is None:
        return
    if budget.period == "trial" and settings.trial_started:
        ended = settings.trial_started + datetime.timedelta(days=DAYS)
        if target.now().date() > ended:
            yield _(
                "no one would hear of a threshold: the trial that cloudkite:budget counts ended on {date}. "
                "Set its period to month"
            ).format(date=ended)
            return
    if budget.emails:
        yield from _channels(target, settings, budget)
    else:
        yield from _defaults(target, budget)


def _channels(target: Target, settings: Settings, budget: Budget) -> Iterator[str]:
    """Of the addresses in the settings, those whose channel Google says doesn't work."""
    url = f"https://monitoring.googleapis.com/v3/projects/{settings.project}/notificationChannels"
    found = _ask(target, "GET", url, {"params": {"pageSize": 100}}) or {}
    works: dict[str, str] = {}
    for channel in found.get("notificationChannels", ()):
        email = (channel.get("labels") or {}).get("email_address", "")
        if email in budget.emails and channel.get("type") == "email":
            problem = silent(channel)
            works[email] = problem if works.get(email, "?") else ""  # one that works is enough
    for email, problem in works.items():
        if problem:
            yield _("{email} would not hear of a threshold: {problem}. Cloud Monitoring > Alerting > Channels").format(
                email=email, problem=problem
            )


def silent(channel: dict[str, Any]) -> str:
    """Why a notification channel tells nobody, "" for one that works.

    https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.notificationChannels#VerificationStatus
    """
    if channel.get("verificationStatus") == "UNVERIFIED":
        return _("its notification channel isn't verified")
    # Monitoring leaves out a `false` that a proto wraps only where it is not set at all.
    return _("its notification channel is switched off") if channel.get("enabled") is False else ""


def _defaults(target: Target, budget: Budget) -> Iterator[str]:
    """Without an address, those hear who administer or use the billing account: is there any, and the caller?"""
    account = f"https://cloudbilling.googleapis.com/v1/billingAccounts/{budget.billing_account}"
    policy = _ask(target, "GET", f"{account}:getIamPolicy", {})
    if policy is not None:
        people = {
            member.partition(":")[2]
            for binding in policy.get("bindings", ())
            if binding.get("role") in _TOLD
            for member in binding.get("members", ())
            if member.startswith(_PEOPLE)
        }
        if not people:
            yield _(
                "no one would hear of a threshold, as far as can be seen: cloudkite:budget names no e-mail address, "
                "and billing account {account} has no person as administrator or user. Add emails to cloudkite:budget"
            ).format(account=budget.billing_account)
            return
    granted = _ask(target, "POST", f"{account}:testIamPermissions", {"json": {"permissions": [_OF_TOLD]}})
    if granted is not None and _OF_TOLD not in granted.get("permissions", ()):
        yield _(
            "{who} would not hear of a threshold: cloudkite:budget names no e-mail address, and {who} is neither "
            "administrator nor user of billing account {account}. Add emails to cloudkite:budget"
        ).format(who=target.identity, account=budget.billing_account)


def _ask(target: Target, method: str, url: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
    """The answer; None where that is refused: its API is off, or the caller may not know."""
    doing = _("look who hears of the budget")
    answer = send(target, method, url, doing, again=True, **arguments)
    return table(answer, doing) if answer.ok else None
