"""Who pays for a project: the billing accounts that the person may see, and one of them linked to a project.

https://cloud.google.com/billing/docs/reference/rest
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudkite.accounts.api import call, pages
from cloudkite.accounts.target import Target
from cloudkite.show.text import _

_URL = "https://cloudbilling.googleapis.com/v1"


@dataclass(frozen=True)
class Payer:
    """A billing account: `id` as 012345-6789AB-CDEF01, `currency` "" where it isn't told."""

    id: str
    name: str
    currency: str
    open: bool


def listed(target: Target) -> list[Payer]:
    """Those that the person may see, the open ones first. Raises UserError."""
    rows = pages(target, f"{_URL}/billingAccounts", "billingAccounts", _("list the billing accounts"))
    return sorted((_payer(row) for row in rows), key=lambda one: (not one.open, one.id))


def get(target: Target, payer: str) -> Payer:
    """One of them. Raises UserError, also for one that is not there."""
    doing = _("look at billing account {payer}").format(payer=payer)
    return _payer(call(target, "GET", f"{_URL}/billingAccounts/{payer}", doing))


def _payer(row: dict[str, object]) -> Payer:
    name = str(row.get("name", "")).removeprefix("billingAccounts/")
    return Payer(name, str(row.get("displayName", "")), str(row.get("currencyCode", "")), bool(row.get("open", True)))


def of(target: Target, project: str) -> tuple[str, bool]:
    """The id of a project's billing account, "" for none, and whether it pays: it may be closed. Raises UserError."""
    doing = _("look who pays for project {project}").format(project=project)
    told = call(target, "GET", f"{_URL}/projects/{project}/billingInfo", doing)
    return str(told.get("billingAccountName", "")).removeprefix("billingAccounts/"), bool(told.get("billingEnabled"))


def link(target: Target, project: str, payer: str) -> None:
    """Let a billing account pay for a project. The same again changes nothing. Raises UserError."""
    doing = _("link billing account {payer} to project {project}").format(payer=payer, project=project)
    body = {"billingAccountName": f"billingAccounts/{payer}"}
    call(target, "PUT", f"{_URL}/projects/{project}/billingInfo", doing, body=body, again=True)
