"""Currencies: the decimals of amounts in each, and what a dollar was worth in it on one day."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from catalog.book import pick, read

_PLACES = Decimal("0.000001")  # of a rate


@dataclass(frozen=True)
class Rate:
    """1 USD was `per_dollar` of `currency` on the day `as_of`."""

    currency: str
    per_dollar: Decimal
    as_of: str


def decimals(currency: str) -> int:
    """The decimals of an amount in `currency` (KRW and JPY have none); 2 for one that the table doesn't name."""
    table = read("currencies.json")["decimals"]
    return next((int(count) for count in ("0", "3") if currency in table[count]), 2)


def rate(currency: str) -> Rate:
    """The rate by which the local cloud converts. Raises catalog.book.UnknownName for a currency without one."""
    table = read("currencies.json")
    per_euro = table["per_euro"]
    per_dollar = Decimal(pick("currency", currency, per_euro)) / Decimal(per_euro["USD"])
    return Rate(currency, per_dollar.quantize(_PLACES, ROUND_HALF_EVEN), table["as_of"])
