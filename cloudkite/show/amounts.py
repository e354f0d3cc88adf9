"""Amounts as people say them: money, time, bytes, and paths."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

from cloudkite.show.text import _


def money(amount: float | Decimal | None, currency: str | None, digits: int = 2) -> str:
    """An amount with its currency; whichever is unknown says so. Tiny amounts keep their first digit."""
    if amount is None:
        return _("unknown")
    if 0 < abs(amount) < 0.01:
        digits = 4
    return f"{amount:,.{digits}f} {currency or _('(unknown currency)')}"


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
