"""A budget's message as Pub/Sub brings it, schema 1.0.

https://cloud.google.com/billing/docs/how-to/budgets-programmatic-notifications#notification_format
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

SCHEMA = "1.0"


class Unreadable(ValueError):
    """A message that is no budget's; the text says why. To send it again would help nobody."""


@dataclass(frozen=True)
class Notice:
    """What a budget says: `cost` of `amount` in `currency` since `begins`, when its present period began.

    `budget` is the budget's full resource name.
    """

    budget: str
    begins: datetime
    cost: Decimal
    amount: Decimal
    currency: str

    @property
    def percent(self) -> Decimal:
        """How much of the amount is spent."""
        return self.cost / self.amount * 100


def read(data: Any) -> Notice:
    """The notice in the `data` of a CloudEvent of Pub/Sub: {"message": {"data": base64, "attributes": ...}, ...}.

    Raises Unreadable.
    """
    message = data.get("message") if isinstance(data, dict) else None
    if not isinstance(message, dict):
        raise Unreadable("it has no message")
    attributes = message.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    account, budget = attributes.get("billingAccountId"), attributes.get("budgetId")
    if not account or not budget:
        raise Unreadable("its attributes name no budget")
    if attributes.get("schemaVersion") != SCHEMA:
        raise Unreadable(f"its schema is {attributes.get('schemaVersion')!r}, not {SCHEMA}")
    try:
        # As text, so that 0.1 is 0.1.
        told = json.loads(base64.b64decode(str(message.get("data", "")), validate=True), parse_float=Decimal)
    except ValueError as error:
        raise Unreadable(f"its data can't be read: {error}") from None
    if not isinstance(told, dict):
        raise Unreadable("its data aren't a JSON object")
    amount, cost = _number(told, "budgetAmount"), _number(told, "costAmount")
    if amount <= 0:
        raise Unreadable(f"its budgetAmount is {amount}")
    name = f"billingAccounts/{account}/budgets/{budget}"
    return Notice(name, _moment(told.get("costIntervalStart")), cost, amount, str(told.get("currencyCode", "")))


def _number(told: dict[str, Any], name: str) -> Decimal:
    value = told.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Unreadable(f"its {name} is {value!r}")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise Unreadable(f"its {name} is {value!r}") from None
    if not number.is_finite():
        raise Unreadable(f"its {name} is {value!r}")
    return number


def _moment(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except ValueError:
        raise Unreadable(f"its costIntervalStart is {value!r}") from None
