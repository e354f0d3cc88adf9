"""What accounts in other currencies are charged: dollars times one dated rate of the catalogue.

Google converts by the rate of its price list, which changes, and in which a surcharge may be:
https://cloud.google.com/billing/docs/reference/rest/v1/services.skus/list#PricingInfo
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from catalog import currencies
from catalog.book import UnknownName
from catalog.currencies import Rate


def rate(currency: str) -> Rate:
    """The rate of a currency. One of which the catalogue has none counts as a dollar, with "" for its date."""
    try:
        return currencies.rate(currency)
    except UnknownName:
        return Rate(currency, Decimal(1), "")


def from_dollars(nanos: int, currency: str) -> int:
    """Nanos of a dollar as nanos of a currency."""
    return _whole(nanos * rate(currency).per_dollar)


def to_dollars(nanos: int, currency: str) -> int:
    """Nanos of a currency as nanos of a dollar."""
    return _whole(nanos / rate(currency).per_dollar)


def written(nanos: int, currency: str) -> str:
    """An amount with the decimals of its currency: "7,000 KRW"."""
    return f"{Decimal(nanos) / 10**9:,.{currencies.decimals(currency)}f} {currency}"


def told(currency: str) -> dict[str, Any]:
    """A rate in JSON."""
    found = rate(currency)
    return {"currency": currency, "per_dollar": str(found.per_dollar), "as_of": found.as_of}


def _whole(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_HALF_EVEN))
