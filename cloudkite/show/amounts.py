"""Amounts as people say them: money, time, bytes, and paths."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

from catalog.currencies import decimals as _decimals
from cloudkite.show.text import _


def decimals(currency: str | None) -> int:
    """How many decimals an amount has; 2 where the currency isn't known."""
    return _decimals(currency) if currency else 2


def money(amount: float | Decimal | None, currency: str | None, digits: int = 2) -> str:
    """An amount with its currency; whichever is unknown says so. Tiny amounts keep their first digit.

    `digits` are for a currency with two decimals; one that has none, like KRW, gets two fewer.
    """
    if amount is None:
        return _("unknown")
    places = decimals(currency) + digits - 2
    if 0 < abs(amount) < 10.0 ** -decimals(currency):
        places = decimals(currency) + 2
    return f"{amount:,.{max(places, 0)}f} {currency or _('(unknown currency)')}"


def plain(amount: Decimal, currency: str) -> str:
    """The amount alone, with its currency's decimals."""
    return f"{amount:,.{decimals(currency)}f}"


def number(value: float, digits: int = 4) -> str:
    """A number to so many places that mean something, thousands apart: 47,570, 0.01235, 3e+12."""
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.10g}" if not rounded or 1e-4 <= abs(rounded) < 1e9 else f"{value:.{digits}g}"


def duration(seconds: float) -> str:
    """Seconds as people say them: 42s, 3m 10s, 2h 05m."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m {seconds % 60:02d}s"
    return f"{seconds // 3600}h {seconds % 3600 // 60:02d}m"


def size(count: int) -> str:
    """Bytes as people say them: 512 B, 1.4 MB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return str(count)


def short(path: Path) -> str:
    """A path as short as it can be said from here."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive on Windows
        return str(path)
    return relative if len(relative) < len(str(path)) else str(path)
