"""Months of the bill: Google counts them in Pacific time (https://cloud.google.com/billing/docs/resources).

The rule of summer time is written out, because not every machine has a time-zone database.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from cloudkite.show.errors import BadValue
from cloudkite.show.text import _

_STANDARD, _SUMMER = datetime.timedelta(hours=-8), datetime.timedelta(hours=-7)


@dataclass(frozen=True)
class Month:
    """A month of the bill, from `begins` until before `ends`; `name` is YYYY-MM."""

    name: str
    begins: datetime.datetime
    ends: datetime.datetime

    @property
    def seconds(self) -> int:
        """How long it is: an hour is missing in March, and doubled in November."""
        return int((self.ends - self.begins).total_seconds())

    def after(self) -> Month:
        """The month after it."""
        return of(self.ends)


def of(moment: datetime.datetime) -> Month:
    """The month that a moment is in."""
    day = (moment.astimezone(datetime.UTC) + _offset(moment)).date()
    return _month(day.year, day.month)


def parse(text: str, now: datetime.datetime) -> Month:
    """The month called 2026-10. Raises BadValue for what is none, and for one that has not begun."""
    present = of(now)
    found = re.fullmatch(r"(20[0-9]{2})-(0[1-9]|1[0-2])", text.strip())
    if not found:
        raise BadValue(
            _("--month {text!r} isn't a month").format(text=text),
            _("for example --month {now}").format(now=present.name),
        )
    month = _month(int(found[1]), int(found[2]))
    if month.begins > now:
        raise BadValue(_("{month} has not begun yet").format(month=text), _("leave --month out for this month"))
    return month


def since(start: datetime.datetime, now: datetime.datetime) -> list[Month]:
    """All months from that of `start` to that of `now`."""
    found = [of(start)]
    while found[-1].ends <= now:
        found.append(found[-1].after())
    return found


def _month(year: int, month: int) -> Month:
    after = (year + month // 12, month % 12 + 1)
    return Month(f"{year}-{month:02}", _begin(year, month), _begin(*after))


def _begin(year: int, month: int) -> datetime.datetime:
    """Midnight of a month's first day in Pacific time, in UTC."""
    midnight = datetime.datetime(year, month, 1, tzinfo=datetime.UTC)
    return midnight - _offset(midnight - _STANDARD)


def _offset(moment: datetime.datetime) -> datetime.timedelta:
    """From UTC. Since 2007: second Sunday of March to first Sunday of November, at 2 o'clock."""
    begins = _sunday(moment.year, 3, 2) + datetime.timedelta(hours=10)
    ends = _sunday(moment.year, 11, 1) + datetime.timedelta(hours=9)
    return _SUMMER if begins <= moment < ends else _STANDARD


def _sunday(year: int, month: int, which: int) -> datetime.datetime:
    first = datetime.datetime(year, month, 1, tzinfo=datetime.UTC)
    return first + datetime.timedelta(days=(6 - first.weekday()) % 7 + 7 * (which - 1))
