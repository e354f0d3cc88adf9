"""Columns of dates: whether each is one in ISO 8601, from when to when they are, and whether the rows follow them."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Callable, Sequence

from cloudkite.check.findings import FAILED, WARNING, Findings
from cloudkite.show.text import _

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?)?")
# What systems write where no date is known, told where many rows have it or nothing else is near.
STAND_INS = {"0001-01-01", "1900-01-01", "1899-12-30", "1970-01-01", "2099-12-31", "9999-12-31"}
_KNOWN = 100_000  # texts that are kept as read before
_LATE = 366  # days from now, after which a date is hardly one of something that happened


class Dates:
    """A column of dates while its file streams by in chunks."""

    def __init__(self, name: str, findings: Findings) -> None:
        self.name, self.findings = name, findings
        self.rows = self.blanks = 0
        self.low, self.high = "", ""
        self.in_order = True  # each row's date is that of the row before, or later
        self.stand_ins: Counter[str] = Counter()
        self._good: set[str] = set()
        self._last = ""

    def take(self, values: Sequence[str], place: Callable[[int], str]) -> None:
        """The fields of a chunk."""
        self.rows += len(values)
        blanks = values.count("")
        self.blanks += blanks
        new = set(values) - self._good - {""}
        bad = {text for text in new if not is_date(text)}
        for i, text in enumerate(values) if bad else ():
            if text in bad:
                said = _("{place}:{name}: {text!r} isn't a date as ISO 8601 writes it")
                self.findings.repeat(
                    FAILED,
                    said.format(place=place(i), name=self.name, text=text),
                    ("date", self.name),
                    _("write 2024-03-05, or 2024-03-05T14:30; uv run invoke new reads other ways and writes that one"),
                )
        good = [text for text in values if text and text not in bad] if blanks or bad else values
        if not good:
            return
        if len(self._good) < _KNOWN:
            self._good |= new - bad
        low, high = min(good), max(good)
        self.low, self.high = min(self.low or low, low), max(self.high, high)
        for text in {t[:10] for t in (low, high)} & STAND_INS:
            self.stand_ins[text] += sum(one.startswith(text) for one in good)
        if self.in_order:
            self.in_order = good[0] >= self._last and (list(good) == sorted(good))
            self._last = good[-1]

    def finish(self) -> None:
        """What only the whole column tells."""
        add, filled = self.findings.add, self.rows - self.blanks
        if self.rows and not filled:
            add(WARNING, _("{name}: every field is blank").format(name=self.name))
        elif filled > 1 and self.low == self.high:
            add(WARNING, _("{name}: always {value!r}: nothing to learn from").format(name=self.name, value=self.low))
            return
        for text, count in sorted(self.stand_ins.items()):
            said = _("{name}: {value} ({count:,}x): if it means that nothing is known, leave those fields empty")
            add(WARNING, said.format(name=self.name, value=text, count=count))
        latest = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=_LATE)).strftime("%Y-%m-%d")
        if self.high > latest and self.high[:10] not in self.stand_ins:
            add(WARNING, _("{name}: dates up to {high}, which is far ahead").format(name=self.name, high=self.high))


def is_date(text: str) -> bool:
    """Whether a field is a day, or a moment of one, as ISO 8601 writes it and a trainer reads it."""
    if not text.isascii() or not _ISO.fullmatch(text):
        return False
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
