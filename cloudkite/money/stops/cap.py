"""Google's own spend cap on Vertex AI: a second budget, made over REST, since Pulumi's provider has no such field.

What it must say: https://docs.cloud.google.com/billing/docs/how-to/budget-api-spend-cap. It is in Preview; what is
assumed of it stands in docs/google.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cloudkite.accounts.api import call, pages, send
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.show.errors import UserError, from_google, is_off
from cloudkite.show.text import _
from cloudkite.workspace import write_atomically

if TYPE_CHECKING:
    from infra.settings import Settings

VERTEX = "services/C7E2-9256-1C43"  # as the Catalog API calls Vertex AI
ENFORCED = "ENFORCED"
_API = "https://billingbudgets.googleapis.com/v1"
_DELETES = 3  # tries: a cap may still be there after a delete that was heard (seen by others, Preview)


@dataclass(frozen=True)
class Cap:
    """A spend cap that is there: `name` is the budget's full one, `state` Google's (CONFIGURED, ENFORCED, ...)."""

    name: str
    amount: Decimal
    currency: str
    state: str


@dataclass(frozen=True)
class Step:
    """What `up` or `down` does about the cap: `op` is create, update or delete; `amount` None for a delete."""

    op: str
    title: str
    amount: Decimal | None
    present: Cap | None
    payer: str
    currency: str | None


def plan(target: Target, settings: Settings) -> Step | None:
    """What is to be done so that the cap is as the settings say; None for nothing. Raises UserError."""
    wanted = settings.stops.capped(settings.budget) if settings.stops and settings.budget else None
    if settings.budget is None or (wanted is None and settings.stops is None and not _known(target.account)):
        return None
    found = find(target, settings)
    title = _title(settings)
    step = (title, wanted, found, f"billingAccounts/{settings.budget.billing_account}", settings.budget.currency)
    if wanted is None:
        return Step("delete", *step) if found else None
    if found is None:
        return Step("create", *step)
    return Step("update", *step) if found.amount != wanted else None


def find(target: Target, settings: Settings) -> Cap | None:
    """The account's own cap, None where there is none, or the API is off. Raises UserError."""
    if settings.budget is None:
        return None
    return next(iter(_caps(target, settings.budget.billing_account, _title(settings))), None)


def _caps(target: Target, payer: str, title: str) -> Iterator[Cap]:
    url, doing = f"{_API}/billingAccounts/{payer}/budgets", _("look up the spend cap")
    for one in pages(target, url, "budgets", doing, absent=is_off):
        if one.get("spendCap") and one.get("displayName") == title:
            money = one["amount"]["specifiedAmount"]
            amount = Decimal(money.get("units", 0)) + Decimal(money.get("nanos", 0)) / 10**9
            state = one["spendCap"].get("outputState", "")
            yield Cap(one["name"], amount, money.get("currencyCode", ""), state)


def carry_out(target: Target, step: Step, project_number: str) -> None:
    """Do it; can be cut off, and done again. Raises UserError."""
    if step.op == "delete":
        _delete(target, step)
        return
    assert step.amount is not None
    units = int(step.amount)
    nanos = int((step.amount - units) * 10**9)
    money: dict[str, Any] = {"units": str(units), "nanos": nanos}
    if step.currency:
        money["currencyCode"] = step.currency
    body = {
        "displayName": step.title,
        "budgetFilter": {
            "projects": [f"projects/{project_number}"],
            "services": [VERTEX],
            "calendarPeriod": "MONTH",
            "creditTypesTreatment": "EXCLUDE_ALL_CREDITS",
        },
        "amount": {"specifiedAmount": money},
        "thresholdRules": [{"thresholdPercent": part, "spendBasis": "CURRENT_SPEND"} for part in (0.5, 0.8, 1.0)],
        "notificationsRule": {"enableProjectLevelRecipients": True},
        "ownershipScope": "ALL_USERS",
        "spendCap": {"inputState": "CONFIGURED"},
    }
    if step.present is None:
        made = call(target, "POST", f"{_API}/{step.payer}/budgets", _("make the spend cap"), body=body)
    elif step.present.state == ENFORCED:
        said = _("the spend cap is enforced: its amount can't be changed to {amount} before the cap is lifted")
        raise UserError(
            said.format(amount=step.amount),
            _("lift it under Billing > Budgets in Google's console, then uv run invoke up"),
        )
    else:
        url = f"{_API}/{step.present.name}"
        changed = {"amount": body["amount"]}
        doing = _("change the spend cap")
        made = call(target, "PATCH", url, doing, body=changed, params={"updateMask": "amount"}, again=True)
    write_atomically(_file(target.account), json.dumps({"name": made["name"]}) + "\n", 0o600)


def _delete(target: Target, step: Step) -> None:
    assert step.present is not None
    url, doing = f"{_API}/{step.present.name}", _("remove the spend cap")
    for _try in range(_DELETES):
        answer = send(target, "DELETE", url, doing, again=True)
        if not answer.ok and answer.status_code != 404:
            raise from_google(answer, doing)
        if send(target, "GET", url, doing, again=True).status_code == 404:
            _file(target.account).unlink(missing_ok=True)
            return
    raise UserError(
        _("the spend cap {name} is still there after {count} deletes").format(name=step.title, count=_DELETES),
        _("delete it under Billing > Budgets in Google's console"),
    )


def removal(target: Target, settings: Settings) -> Step | None:
    """What `down` does about the cap; None where there is none."""
    if settings.budget is None or not (settings.stops or _known(target.account)):
        return None
    found = find(target, settings)
    payer = f"billingAccounts/{settings.budget.billing_account}"
    return Step("delete", _title(settings), None, found, payer, settings.budget.currency) if found else None


def _known(account: Account) -> bool:
    """Whether this computer made one: then settings that say nothing of stops any more mean that it goes."""
    return _file(account).is_file()


def _file(account: Account) -> Any:
    return account.state / "cap.json"


def _title(settings: Settings) -> str:
    """What it is called, and found by."""
    return f"cloudkite cap {settings.stack} ({settings.project})"[:60]  # 60 is Google's limit
