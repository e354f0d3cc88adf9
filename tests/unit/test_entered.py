"""Amounts with their currency, as people type them; and what is asked with a few words for answers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cloudkite.journey import questions
from cloudkite.money import entered
from cloudkite.show.errors import BadValue


@pytest.mark.parametrize(
    ("typed", "amount", "currency"),
    [
        ("5EUR", "5", "EUR"),
        ("7000KRW", "7000", "KRW"),
        ("7,000 KRW", "7000", "KRW"),
        ("7_000krw", "7000", "KRW"),
        ("USD 10", "10", "USD"),
        ("10", "10", ""),
        (" 2.50 ", "2.50", ""),
        ("€5", "5", "EUR"),
        ("5 €", "5", "EUR"),
        ("₩7000", "7000", "KRW"),
        ("7000원", "7000", "KRW"),
        ("1,000,000.25GBP", "1000000.25", "GBP"),
    ],
)
def test_an_amount_is_read_as_people_write_it(typed: str, amount: str, currency: str) -> None:
    assert entered.amount(typed) == (Decimal(amount), currency)


THREE = "a currency has three letters, like EUR, USD or KRW"
POINT = "write a point for the fraction, 7.50EUR, and a comma for thousands, 7,000KRW"
ABOVE = "an amount above 0 is needed, for example 5EUR"


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("", "for example 5EUR or 7000KRW"),
        ("ten", "for example 5EUR or 7000KRW"),
        ("-5EUR", "for example 5EUR or 7000KRW"),
        ("5 EURO", THREE),
        ("5%", THREE),
        ("$5", "say which dollars or yen with three letters: USD, CAD, JPY"),
        ("5¥", "say which dollars or yen with three letters: USD, CAD, JPY"),
        ("7,50EUR", POINT),
        ("1.000,50EUR", POINT),
        ("5.EUR", POINT),
        ("1,23,456INR", POINT),
        ("0EUR", ABOVE),
        ("0.00", ABOVE),
        ("9" * 20 + "USD", ABOVE),
        ("5EUR 6USD", "for example 5EUR or 7000KRW"),
    ],
)
def test_what_is_no_amount_is_refused_with_what_helps(typed: str, hint: str) -> None:
    with pytest.raises(BadValue) as refused:
        entered.amount(typed)
    assert (refused.value.message, refused.value.hint) == (f"{typed[:40]!r} isn't an amount of money", hint)


def test_a_budget_is_in_the_currency_of_who_pays() -> None:
    assert entered.in_currency(Decimal(5), "EUR", "EUR") == "EUR"
    assert entered.in_currency(Decimal(5), "", "KRW") == "KRW"
    assert entered.in_currency(Decimal(5), "EUR", "") == "EUR"
    with pytest.raises(BadValue) as refused:
        entered.in_currency(Decimal("5.50"), "EUR", "KRW")
    assert refused.value.message == ("the billing account is in KRW, and a budget must be in its currency, not in EUR")
    assert refused.value.hint == "give the amount in KRW, such as 5.50KRW if that is what you mean"


@pytest.mark.parametrize(("typed", "means"), [("y", True), ("Yes", True), ("ㅛ", True), ("n", False), ("ㅜ", False),
                                              ("아니오", False), ("", None), ("maybe", None)])  # fmt: skip
def test_yes_and_no_on_any_keyboard(typed: str, means: bool | None) -> None:
    assert questions.yes_or_no(typed) is means


def test_a_word_is_known_by_its_beginning_and_a_line_of_a_list_by_its_number() -> None:
    check = questions.one_of("google", "local")
    assert check("g") == "google" and check("LOCAL") == "local"
    with pytest.raises(BadValue):
        check("")
    known = ["a-project", "b-project"]
    assert questions.numbered("2", known) == "b-project"
    assert [questions.numbered(typed, known) for typed in ("0", "3", " x ")] == ["0", "3", "x"]
