"""Days and months of the bill: Google counts them in Pacific time (https://cloud.google.com/billing/docs/resources).

The rule of summer time is written out, because not every machine has a time-zone database.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache

_STANDARD, _SUMMER = timedelta(hours=-8), timedelta(hours=-7)
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}


def _sunday(year: int, month: int, which: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (which - 1))


@cache
def _summer(year: int) -> tuple[datetime, datetime]:
    """Since 2007: second Sunday of March to first Sunday of November, at 2 o'clock."""
    starts = datetime.combine(_sunday(year, 3, 2), datetime.min.time(), UTC) + timedelta(hours=10)
    ends = datetime.combine(_sunday(year, 11, 1), datetime.min.time(), UTC) + timedelta(hours=9)
    return starts, ends


def _offset(moment: datetime) -> timedelta:
    """From UTC, at a moment in UTC."""
    starts, ends = _summer(moment.year)
    return _SUMMER if starts <= moment < ends else _STANDARD


def day(seconds: float) -> date:
    """The Pacific day of a moment in seconds since the epoch."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return (moment + _offset(moment)).date()


@cache
def begin(of: date) -> int:
    """When a Pacific day begins, in seconds since the epoch."""
    noon = datetime(of.year, of.month, of.day, 12, tzinfo=UTC)  # summer time begins and ends after midnight
    midnight = noon - timedelta(hours=12)
    return int((midnight - _offset(midnight - _STANDARD)).timestamp())


def days(start: int, end: int) -> Iterator[tuple[date, int]]:
    """The Pacific days of the interval from `start` to `end` in seconds, each with its seconds of the interval."""
    while start < end:
        of = day(start)
        until = min(begin(of + timedelta(days=1)), end)
        yield of, until - start
        start = until


def period(kind: str, moment: date) -> tuple[date, date]:
    """First day, and first day after, of the MONTH, QUARTER or YEAR that a day is in."""
    length = _MONTHS[kind]
    first = moment.replace(month=(moment.month - 1) // length * length + 1, day=1)
    months = first.month - 1 + length
    return first, date(first.year + months // 12, months % 12 + 1, 1)


def before(kind: str, first: date) -> tuple[date, date]:
    """The period before the one that begins with `first`."""
    return period(kind, first - timedelta(days=1))


@cache
def month_seconds(of: date) -> int:
    """Seconds of the month of a day."""
    first, after = period("MONTH", of)
    return begin(after) - begin(first)
