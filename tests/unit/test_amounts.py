"""Amounts as people say them, each with its currency's decimals."""

from decimal import Decimal

import pytest

from cloudkite.money.currency import DOLLAR, Rate
from cloudkite.show import amounts


@pytest.mark.parametrize(
    "amount, currency, digits, said",
    [
        (1234.5, "USD", 2, "1,234.50 USD"), (0.004, "USD", 2, "0.0040 USD"), (0.15, "USD", 4, "0.1500 USD"),
        (1234.5, "KRW", 2, "1,234 KRW"), (0.25, "KRW", 2, "0.25 KRW"), (291.75, "KRW", 4, "291.75 KRW"),
        (0, "JPY", 2, "0 JPY"), (1.5, "KWD", 2, "1.500 KWD"), (2, None, 2, "2.00 (unknown currency)"),
        (None, "KRW", 2, "unknown"), (-3, "KRW", 2, "-3 KRW"),
    ],
)  # fmt: skip
def test_money(amount, currency, digits, said):
    assert amounts.money(amount, currency, digits) == said


def test_an_amount_beside_dollars_and_the_rate():
    won = Rate("KRW", Decimal("1335.266738"), "2026-11-29")
    assert won.told() == "1 USD = 1,335.27 KRW of 2026-11-29"
    assert won.beside(Decimal("0.25")) == "0.25 USD (334 KRW)"
    assert won.beside(Decimal("0.181"), 4) == "0.1810 USD (241.68 KRW)"
    assert won.beside(None) == "unknown"
    assert (DOLLAR.told(), DOLLAR.beside(Decimal("0.25"))) == ("", "0.25 USD")


@pytest.mark.parametrize("amount, dollars", [("1400", "1.0484"), ("1", "0.0007"), ("0.1", "0.0000")])
def test_what_may_be_spent_is_rounded_down(amount, dollars):
    assert Rate("KRW", Decimal("1335.266738"), "2026-11-29").dollars(Decimal(amount)) == Decimal(dollars)
