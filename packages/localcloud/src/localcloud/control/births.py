"""Makes projects, and opens the billing accounts that pay for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.billing.meter import Billing
from localcloud.core.asked.settling import Settling
from localcloud.core.asked.usage import DEFAULT_PAYER
from localcloud.identity import persons
from localcloud.projects.store import Projects

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud


def make(cloud: Cloud, project: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """A project that is paid for, or with `trial` one on a free trial; one that is there stays as it is.

    With `fresh` a new one is as on Google, where things take a while. With `accounts`, those are opened for who owns
    it, unless they are there; the first that is open pays for it, unless somebody chose another.
    """
    new = cloud.of(Projects).find(project) is None
    if wanted.get("trial"):
        made = cloud.of(Billing).create_trial(project)
    else:
        made = cloud.of(Projects).create(project, payer=DEFAULT_PAYER)
    if new and wanted.get("fresh"):
        made = cloud.of(Projects).update(project, fresh=True)
        cloud.of(Settling).forget()
    persons.write(cloud, made["projectId"])
    for account in wanted.get("accounts") or ():
        cloud.of(Billing).open_account(
            made["projectId"],
            f"billingAccounts/{account['account']}",
            account.get("currency", "USD"),
            account.get("open", True),
            account.get("pays", True),
        )
    return made
