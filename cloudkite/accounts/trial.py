"""The free trial of an account: how many days are left, when it closes, and until when an upgrade brings all back.

All by the clock of the account's cloud. 90 days or 300 dollars of credit, whichever ends first; then the billing
account is closed and all stops; an upgrade within 30 days opens it again; then what it held is deleted:
https://cloud.google.com/free/docs/free-cloud-features#free-trial
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

from cloudkite.accounts.api import send, table
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.workspace import read_json, write_atomically

DAYS = 90
GRACE = 30  # days after the closing
WARNS_FROM = 76  # the day from which on each command says how many days are left
CREDIT = Decimal(300)  # dollars
_FIRST = datetime.date(2008, 4, 7)  # there was no Google Cloud before


class Phase(Enum):
    """How far a trial is. UPGRADED: its account is open after its end, so somebody pays."""

    RUNNING = "running"
    LAST = "its last days"
    CLOSED = "closed"
    DELETED = "deleted"
    UPGRADED = "upgraded"


@dataclass(frozen=True)
class Trial:
    """A trial on the day `today`. `started` is None where nobody said; `open` is what the cloud says, None: nothing.

    `seen` is the day on which the account was first seen closed, None for one that was not.
    """

    started: datetime.date | None
    today: datetime.date
    open: bool | None = None
    seen: datetime.date | None = None

    @property
    def day(self) -> int:
        """How many days ago it began; 0 where that isn't known."""
        return (self.today - self.started).days if self.started else 0

    @property
    def ends(self) -> datetime.date | None:
        """The day on which its 90 days are over."""
        return self.started + datetime.timedelta(days=DAYS) if self.started else None

    @property
    def left(self) -> int:
        """How many of its days are left."""
        return max(DAYS - self.day, 0)

    @property
    def early(self) -> bool:
        """Whether it was closed before its days were over, by all that is known: its credit was used up."""
        return self.open is False and (self.ends is None or self.closing < self.ends)

    @property
    def closing(self) -> datetime.date:
        """The day on which it closed: when its days were over, or when it was seen to be so before."""
        return min(filter(None, (self.seen, self.ends)), default=self.today)

    @property
    def deletes(self) -> datetime.date:
        """From this day on Google deletes what it held."""
        return self.closing + datetime.timedelta(days=GRACE)

    @property
    def phase(self) -> Phase:
        """How far it is. What the cloud says of the account counts more than the days."""
        closed = self.open is False or (self.open is None and self.day >= DAYS)
        if closed:
            return Phase.DELETED if self.today >= self.deletes else Phase.CLOSED
        if self.day > DAYS:
            return Phase.UPGRADED
        return Phase.LAST if self.day >= WARNS_FROM else Phase.RUNNING


def by_days(account: Account, today: datetime.date) -> Trial | None:
    """The account's trial as far as days and what was seen before tell; None for a paid one. Nobody is asked."""
    if account.tier != "trial":
        return None
    kept = _kept(account)
    return Trial(account.trial_started, today, False if kept["closed"] else None, _day(kept["closed"]))


def look(target: Target) -> Trial | None:
    """The account's trial, None for a paid one.

    While it runs the cloud is asked once a day whether the account is open: its credit may be used up. From its last
    day on, and where it was seen closed, it is asked each time: it may be upgraded.
    """
    account, today = target.account, target.now().date()
    if account.tier != "trial":
        return None
    kept = _kept(account)
    trial = Trial(account.trial_started, today, True if kept["day"] == today.isoformat() else None)
    if trial.open is None or kept["closed"] or trial.day >= DAYS:
        is_open = _is_open(target)
        seen = None if is_open else _day(kept["closed"]) or (None if is_open is None else today)
        if is_open is not None:
            row = {"day": today.isoformat(), "closed": seen and seen.isoformat()}
            write_atomically(account.trial_file, json.dumps(row) + "\n")
        known = is_open if is_open is not None else False if seen else None
        trial = Trial(account.trial_started, today, known, seen)
    return trial


def parse_day(text: str, today: datetime.date) -> datetime.date:
    """The day on which a trial began, as typed. Raises BadValue for one that can't be."""
    try:
        day = datetime.date.fromisoformat(text.strip())
    except ValueError:
        day = None
    if day is None or not _FIRST <= day <= today:
        raise BadValue(
            _("{text!r} isn't a day on which the trial may have begun").format(text=text),
            _("a day until today, such as {today}").format(today=today),
        )
    return day


def made_on(target: Target) -> datetime.date | None:
    """The day on which the account's project was made, None where that can't be read. A trial is often as old."""
    url = f"https://cloudresourcemanager.googleapis.com/v3/projects/{target.account.project}"
    found = _ask(target, url)
    return _day(str((found or {}).get("createTime", ""))[:10])


def _is_open(target: Target) -> bool | None:
    """Whether the account that pays for the project is open; None where none pays, or that can't be asked."""
    found = _ask(target, f"https://cloudbilling.googleapis.com/v1/projects/{target.account.project}/billingInfo")
    return bool(found.get("billingEnabled")) if found and found.get("billingAccountName") else None


def _ask(target: Target, url: str) -> dict[str, Any] | None:
    doing = _("look at the trial")
    try:
        answer = send(target, "GET", url, doing, again=False)
        return table(answer, doing) if answer.ok else None
    except UserError:  # what is wrong, the command itself is told in a moment
        return None


def _kept(account: Account) -> dict[str, Any]:
    """The last `day` on which the account was seen open, and that on which it was first seen `closed`."""
    try:
        found = read_json(account.trial_file)
        return {"day": str(found["day"]), "closed": found["closed"] if _day(found["closed"]) else None}
    except (OSError, ValueError, KeyError, TypeError):
        return {"day": "", "closed": None}


def _day(text: Any) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except (TypeError, ValueError):
        return None
