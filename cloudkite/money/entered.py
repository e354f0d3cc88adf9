"""An amount with its currency as people type it: 5EUR, 7000 KRW, USD 10, 7,000KRW."""

from __future__ import annotations

import re
from decimal import Decimal

from cloudkite.show.errors import BadValue
from cloudkite.show.text import _

_SIGNS = {"€": "EUR", "₩": "KRW", "원": "KRW", "£": "GBP", "₹": "INR"}  # those of one currency alone
_NUMBER = r"(?P<number>[0-9][0-9.,_]*)"
_FORMS = (
    re.compile(rf"{_NUMBER}\s*(?P<unit>[A-Za-z]+|[^\sA-Za-z0-9]+)?"),
    re.compile(rf"(?P<unit>[A-Za-z]+|[^\sA-Za-z0-9]+)\s*{_NUMBER}"),
)
_WHOLE = re.compile(r"[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?:_[0-9]{3})+")
_MOST = Decimal(1_000_000_000_000)


def amount(text: str) -> tuple[Decimal, str]:
    """The amount, above 0, and its currency, "" where none was typed. Raises BadValue."""
    typed = text.strip()
    found = next((match for form in _FORMS if (match := form.fullmatch(typed))), None)
    if found is None:
        raise _wrong(text, _("for example 5EUR or 7000KRW"))
    unit = (found["unit"] or "").upper()
    if unit.strip("$¥") != unit:
        raise _wrong(text, _("say which dollars or yen with three letters: USD, CAD, JPY"))
    currency = _SIGNS.get(unit, unit)
    if currency and not re.fullmatch(r"[A-Z]{3}", currency):
        raise _wrong(text, _("a currency has three letters, like EUR, USD or KRW"))
    whole, point, part = found["number"].partition(".")
    if not _WHOLE.fullmatch(whole) or (point and not re.fullmatch(r"[0-9]{1,4}", part)):
        raise _wrong(text, _("write a point for the fraction, 7.50EUR, and a comma for thousands, 7,000KRW"))
    value = Decimal(re.sub("[,_]", "", whole) + point + part)
    if not 0 < value < _MOST:
        raise _wrong(text, _("an amount above 0 is needed, for example 5EUR"))
    return value, currency


def _wrong(text: str, hint: str) -> BadValue:
    return BadValue(_("{text!r} isn't an amount of money").format(text=text[:40]), hint)


def in_currency(value: Decimal, typed: str, of_payer: str) -> str:
    """The currency of an amount: the billing account's own, which is also what was `typed`, if anything was.

    Raises BadValue where they differ: a budget in another currency is refused by Google.
    """
    if typed and of_payer and typed != of_payer:
        raise BadValue(
            _("the billing account is in {payer}, and a budget must be in its currency, not in {typed}").format(
                payer=of_payer, typed=typed
            ),
            _("give the amount in {payer}, such as {amount:f}{payer} if that is what you mean").format(
                payer=of_payer, amount=value
            ),
        )
    return typed or of_payer
