"""What amounts are in the billing account's own currency, by Google's price list.

The list gives each price in the currency that it is asked for, with the rate from dollars that it used, "any surcharge
collected for billing in non USD currency" included; nobody needs a permission to read it:
https://cloud.google.com/billing/docs/reference/rest/v1/services.skus/list#PricingInfo
The rate is read once a day, and kept in the account's folder with its date.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from cloudkite.accounts.api import call
from cloudkite.accounts.target import Target
from cloudkite.show import amounts
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import read_json, write_atomically

PRICES = "USD"  # what the price book counts in
_KEPT = "rates.json"  # in the account's folder
_LIST = "https://cloudbilling.googleapis.com/v1/services/C7E2-9256-1C43/skus"  # Vertex AI's
_LONGEST = 7  # days that a rate is good for when no newer one can be read
_LEAST = Decimal("0.0001")  # of an amount in dollars, as worst cases are counted


@dataclass(frozen=True)
class Rate:
    """1 USD is `per_dollar` of `currency` by the price list of the day `date`. `note` tells why it isn't today's."""

    currency: str
    per_dollar: Decimal
    date: str
    note: str = ""

    def of(self, dollars: Decimal) -> Decimal:
        """An amount in dollars, in the currency."""
        return dollars * self.per_dollar

    def dollars(self, amount: Decimal) -> Decimal:
        """An amount in the currency, in dollars; rounded down, as what may be spent should be."""
        return (amount / self.per_dollar).quantize(_LEAST, ROUND_DOWN)

    def told(self) -> str:
        """The rate in words, "" for the dollar itself: 1 USD = 1,335.27 KRW of 2026-11-29."""
        if self.currency == PRICES:
            return ""
        return _("1 USD = {rate} {currency} of {date}").format(
            rate=f"{self.per_dollar:,.6g}", currency=self.currency, date=self.date
        )

    def beside(self, dollars: Decimal | None, digits: int = 2) -> str:
        """An amount in dollars, and behind it in the currency: 0.25 USD (334 KRW)."""
        said = amounts.money(dollars, PRICES, digits)
        if dollars is None or self.currency == PRICES:
            return said
        return f"{said} ({amounts.money(self.of(dollars), self.currency, digits)})"


DOLLAR = Rate(PRICES, Decimal(1), "")


def look(target: Target, currency: str) -> Rate:
    """The rate of a currency: today's, by the clock of the account's cloud, else one of the last week with a note.

    Raises UserError when there is neither.
    """
    if currency == PRICES:
        return DOLLAR
    path, today = target.account.state / _KEPT, target.now().date()
    kept = _kept(path, currency)
    if kept is not None and kept.date == today.isoformat():
        return kept
    try:
        return renew(target, currency)
    except UserError as problem:
        if kept is None or not 0 <= (today - datetime.date.fromisoformat(kept.date)).days <= _LONGEST:
            raise
        note = _("the rate of {currency} is that of {date}: today's could not be read ({why})")
        told = note.format(currency=currency, date=kept.date, why=_first(problem))
        return Rate(currency, kept.per_dollar, kept.date, told)


def renew(target: Target, currency: str) -> Rate:
    """The rate of the price list now, which is kept for the rest of the day. Raises UserError."""
    rate = Rate(currency, _read(target, currency), target.now().date().isoformat())
    _keep(target.account.state / _KEPT, rate)
    return rate


def of_account(target: Target) -> tuple[Rate | None, str]:
    """(the rate of the account's currency, why there is none): what is shown must not fail for it."""
    currency = target.account.currency
    if currency is None:
        return None, ""  # `up` has not read it yet
    try:
        return look(target, currency), ""
    except UserError as problem:
        return None, _first(problem)


def _first(problem: UserError) -> str:
    """What went wrong, without what Google advises about it."""
    return problem.message.partition("\n")[0].partition(". ")[0]


def _read(target: Target, currency: str) -> Decimal:
    doing = _("read the rate of {currency}").format(currency=currency)
    found = call(target, "GET", _LIST, doing, params={"currencyCode": currency, "pageSize": 10})
    for sku in found.get("skus", ()):
        for info in sku.get("pricingInfo", ()):
            rates = (info.get("pricingExpression") or {}).get("tieredRates") or ()
            codes = {(one.get("unitPrice") or {}).get("currencyCode") for one in rates}
            rate = _number(info.get("currencyConversionRate"))
            if codes == {currency} and rate is not None:
                return rate
    raise UserError(_("{doing}: the price list has none").format(doing=doing))


def _kept(path: Path, currency: str) -> Rate | None:
    """The rate that was read last; None where none was, or what was kept is damaged."""
    try:
        row = read_json(path)[currency]
        rate, date = _number(row["per_dollar"]), datetime.date.fromisoformat(row["date"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if rate is None else Rate(currency, rate, date.isoformat())


def _keep(path: Path, rate: Rate) -> None:
    try:
        rows: Any = read_json(path)
    except (OSError, ValueError):
        rows = {}
    kept = dict(rows) if isinstance(rows, Mapping) else {}
    kept[rate.currency] = {"per_dollar": str(rate.per_dollar), "date": rate.date}
    write_atomically(path, json.dumps(kept, indent=2) + "\n")


def _number(value: Any) -> Decimal | None:
    """A rate above 0; None for anything else."""
    try:
        rate = Decimal(str(value))
    except InvalidOperation:
        return None
    return rate if rate.is_finite() and 0 < rate < 10**9 else None
