"""The amount of a SKU: what one unit costs in dollars beyond what is free, or why that isn't taken for a price.

https://cloud.google.com/billing/docs/reference/rest/v1/services.skus/list: a timeline of prices in `pricingInfo`, with
tiers, each from a `startUsageAmount` on; `units` (int64, as text) and `nanos` of a currency; units by
https://unitsofmeasure.org, with the number of base units in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Literal

Reason = Literal["torn", "not in force", "unit", "currency", "price", "tiers", "two prices"]
Measure = Literal["hour", "gib hour", "gib month", "gib", "count", "second", "gib second"]
_MONTH = 730 * 3600  # seconds, as Google's price pages turn months into hours
_MONTHS = (_MONTH, *(days * 86400 for days in (28, 29, 30, 31)))  # the list's own conversion is by 31 days
_TIMES = {"s": (1,), "min": (60,), "h": (3600,), "d": (86400,), "mo": _MONTHS}
_SIZES = {"By": 1, "KiBy": 2**10, "MiBy": 2**20, "GiBy": 2**30, "TiBy": 2**40, "GBy": 10**9, "TBy": 10**12}
# A unit's base unit, and how many of them it has; where the list may say another number, that after the first.
_UNITS: dict[str, tuple[str, tuple[int, ...]]] = {
    "count": ("count", (1,)),
    **{time: ("s", spans) for time, spans in _TIMES.items()},
    **{size: ("By", (amount,)) for size, amount in _SIZES.items()},
    **{
        f"{size}.{time}": ("By.s", tuple(amount * span for span in spans))
        for size, amount in _SIZES.items()
        for time, spans in _TIMES.items()
    },
}
_WANTED: dict[Measure, tuple[str, int]] = {
    "hour": ("s", 3600),
    "gib hour": ("By.s", 2**30 * 3600),
    "gib month": ("By.s", 2**30 * _MONTH),
    "gib": ("By", 2**30),
    "count": ("count", 1),
    "second": ("s", 1),
    "gib second": ("By.s", 2**30),
}
_NANOS = 10**9
_INT64 = 2**63
_MOST = Decimal(100_000)  # dollars for one unit: nothing that is mapped costs as much
_STEP, _FINEST = Decimal("1e-9"), Decimal("1e-15")


class Refused(ValueError):
    """A SKU whose amount isn't believed."""

    def __init__(self, why: Reason) -> None:
        super().__init__(why)
        self.why: Reason = why


@dataclass(frozen=True)
class Amount:
    """USD for one unit of the measure asked for, beyond `free` of them in a month; `since` when (RFC 3339)."""

    dollars: Decimal
    free: Decimal
    since: str


def read(sku: Mapping[str, Any], measure: Measure, currency: str, now: datetime) -> Amount:
    """What a SKU costs at `now` by a list that was asked for in `currency`. Raises Refused."""
    try:
        info, since = _in_force(sku["pricingInfo"], now)
        expression = info["pricingExpression"]
        base, factor = _unit(expression)
        wanted, size = _WANTED[measure]
        if base != wanted:
            raise Refused("unit")
        free, price = _first_paid(_tiers(expression["tieredRates"], currency))
        dollars = _dollars(price, currency, info)
    except (KeyError, TypeError, AttributeError):
        raise Refused("torn") from None
    if not 0 < dollars < _MOST:
        raise Refused("price")
    return Amount(_tidy(dollars * size / factor), _tidy(free * factor / size), since)


def _in_force(timeline: list[Any], now: datetime) -> tuple[Mapping[str, Any], str]:
    """(the newest entry of a timeline that has begun, since when)."""
    try:
        dated = [(datetime.fromisoformat(entry["effectiveTime"]), entry) for entry in timeline]
    except ValueError:
        raise Refused("torn") from None
    if not dated:
        raise Refused("price")
    begun = [(since, entry) for since, entry in dated if since <= now]
    if not begun:
        raise Refused("not in force")
    since, newest = max(begun, key=lambda pair: pair[0])
    return newest, since.isoformat()


def _unit(expression: Mapping[str, Any]) -> tuple[str, int]:
    """(base unit, how many of them a unit has) by the unit's name. Raises Refused where the list says otherwise."""
    base, amounts = _UNITS.get(expression["usageUnit"], ("", ()))
    if not base or expression["baseUnit"] != base:
        raise Refused("unit")
    if _number(expression["baseUnitConversionFactor"], "unit") not in amounts:
        raise Refused("unit")
    return base, amounts[0]


def _tiers(rates: list[Any], currency: str) -> list[tuple[Decimal, Decimal]]:
    """(from how much on, what a unit costs then), the first tier first."""
    found: dict[Decimal, Decimal] = {}
    for rate in rates:
        start, price = _number(rate.get("startUsageAmount", 0), "tiers"), _money(rate["unitPrice"], currency)
        if start < 0 or found.setdefault(start, price) != price:
            raise Refused("tiers")
    if not found:
        raise Refused("price")
    if min(found) != 0:  # what the first units cost isn't said
        raise Refused("tiers")
    return sorted(found.items())


def _first_paid(tiers: list[tuple[Decimal, Decimal]]) -> tuple[Decimal, Decimal]:
    for start, price in tiers:
        if price:
            return start, price
    raise Refused("price")  # a price of zero is no price here


def _money(money: Mapping[str, Any], currency: str) -> Decimal:
    if money["currencyCode"] != currency:
        raise Refused("currency")
    if "units" not in money and "nanos" not in money:
        raise Refused("price")
    units, nanos = _whole(money.get("units", "0")), _whole(money.get("nanos", 0))
    if not 0 <= units < _INT64 or not 0 <= nanos < _NANOS:
        raise Refused("price")
    return units + Decimal(nanos) / _NANOS


def _dollars(price: Decimal, currency: str, info: Mapping[str, Any]) -> Decimal:
    """A price of the list in dollars, to the nano, as the list in dollars has it."""
    if currency == "USD":
        return price
    rate = _number(info["currencyConversionRate"], "currency")
    if rate <= 0:
        raise Refused("currency")
    return (price / rate).quantize(_STEP, ROUND_HALF_EVEN)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or len(str(value)) > 20:
        raise Refused("price")
    try:
        return int(value)
    except ValueError:
        raise Refused("price") from None


def _number(value: Any, why: Reason) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal) or len(str(value)) > 40:
        raise Refused(why)
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise Refused(why) from None
    if not found.is_finite():
        raise Refused(why)
    return found


def _tidy(amount: Decimal) -> Decimal:
    """Without the digits of a division that no price list has."""
    if amount == amount.to_integral_value():
        return amount.quantize(Decimal(1))
    return amount.quantize(_FINEST, ROUND_HALF_EVEN).normalize()
