"""Amounts beside dollars in the account's own currency, and the rate by which they are that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudkite.accounts.target import Target
from cloudkite.show import screen
from cloudkite.show.text import _

if TYPE_CHECKING:
    from cloudkite.money.currency import Rate


def shown(target: Target) -> Rate:
    """The rate of the account's currency; the dollar, with a note why, where that can't be read."""
    from cloudkite.money import currency

    rate, why = currency.of_account(target)
    if rate is None:
        if why:
            screen.note(_("amounts are in {currency} alone: {why}").format(currency=currency.PRICES, why=why))
        return currency.DOLLAR
    if rate.note:
        screen.note(rate.note)
    return rate


def say(rate: Rate) -> None:
    """One line below a table of amounts: by which rate those in the account's currency are."""
    if told := rate.told():
        screen.say(_("{rate}, by Google's price list").format(rate=told), style="dim")
