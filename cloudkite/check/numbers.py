"""Numbers as people write them into files, and what a column of them looks like as a whole."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from cloudkite.check.findings import FAILED, WARNING, Findings
from cloudkite.data import missing
from cloudkite.show.text import _

_FLOAT32 = 3.4028235e38  # the largest number that TensorFlow's float32 holds
_EXACT = 2**24  # whole numbers above it lose their last digits in a float32
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_UNIT = re.compile(r"([$€£₩¥]\s?[+-]?\d[\d.,]*)|([+-]?\d[\d.,]*\s?[%°a-zA-Z$€£₩¥원개명점세]+)")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}.*)?")

Place = Callable[[int], str]  # index of a row in the chunk -> "file.csv:17"


def wrong(text: str) -> str | None:
    """Why a field of a number column is no number, in words; None when it is one."""
    plain = text.strip()
    if plain.isascii() and "_" not in plain:
        try:
            value = float(plain)
        except ValueError:
            value = None
        if value is not None and math.isfinite(value):
            return None if abs(value) <= _FLOAT32 else _("{text!r} is too large for a float32").format(text=text)
    word = plain.lower()
    if not plain:
        return _("spaces in a number column: leave the field empty")
    if word in missing.WORDS:
        return _("{text!r} for a missing number: leave the field empty").format(text=text)
    if word.lstrip("+-") in ("inf", "infinity") or re.fullmatch(r"[+-]?\d+(\.\d*)?e\+?\d{3,}", word):
        return _("{text!r} is not finite").format(text=text)
    if _DATE.fullmatch(plain):
        return _("the date {text!r} in a number column").format(text=text)
    if _THOUSANDS.fullmatch(plain):
        return _("{text!r} has a thousands separator: write {plain}").format(text=text, plain=plain.replace(",", ""))
    if _DECIMAL_COMMA.fullmatch(plain):
        mended = plain.replace(".", "").replace(",", ".")
        return _("{text!r} has a decimal comma: write {plain}").format(text=text, plain=mended)
    if _UNIT.fullmatch(plain):
        return _("{text!r} has a unit: write the number alone").format(text=text)
    if not plain.isascii() and plain.replace(".", "").isdigit():
        return _("{text!r} has digits that are not ASCII").format(text=text)
    return _("text {text!r} in a number column").format(text=text)


class Numbers:
    """A column of numbers while its file streams by in chunks."""

    def __init__(self, name: str, span: tuple[float, float] | None, findings: Findings) -> None:
        self.name, self.span, self.findings = name, span, findings
        self.rows = self.blanks = 0
        self.low, self.high = math.inf, -math.inf
        self.whole = True
        self._next: float | None = None  # what row numbers would continue with
        self._counts_up = True

    def take(self, values: Sequence[str], place: Place) -> None:
        """The fields of a chunk; only a chunk with something odd in it is looked at field by field."""
        blanks = values.count("")
        filled = [v for v in values if v] if blanks else values
        self.rows += len(values)
        self.blanks += blanks
        numbers = _quickly(filled)
        if numbers is None:
            numbers = self._closely(values, place)
        if not numbers:
            return
        low, high = min(numbers), max(numbers)
        if self.span and (low < self.span[0] or high > self.span[1]):
            self._out_of_range(values, place)
        self.low, self.high = min(self.low, low), max(self.high, high)
        if self.whole:
            self.whole = all(map(float.is_integer, numbers))
        self._follow(numbers)

    def _closely(self, values: Sequence[str], place: Place) -> list[float]:
        good = []
        kind = ("number", self.name)
        for i, text in enumerate(values):
            if not text:
                continue
            if why := wrong(text):
                self.findings.repeat(FAILED, f"{place(i)}:{self.name}: {why}", kind)
            else:
                good.append(float(text))
        return good

    def _out_of_range(self, values: Sequence[str], place: Place) -> None:
        assert self.span
        low, high = self.span
        for i, text in enumerate(values):
            if text and wrong(text) is None and not low <= float(text) <= high:
                said = _("{text} is outside {low:g} to {high:g}").format(text=text, low=low, high=high)
                self.findings.repeat(
                    FAILED, f"{place(i)}:{self.name}: {said}", ("range", self.name), _("mend it, or widen RANGES")
                )

    def _follow(self, numbers: Sequence[float]) -> None:
        if self._counts_up:
            start = numbers[0] if self._next is None else self._next
            self._counts_up = self.whole and all(n == start + i for i, n in enumerate(numbers))
            self._next = start + len(numbers)

    def finish(self) -> None:
        """What only the whole column tells."""
        add = self.findings.add
        filled = self.rows - self.blanks
        if self.rows and not filled:
            add(WARNING, _("{name}: every field is blank").format(name=self.name))
        elif filled > 1 and self.low == self.high:
            add(WARNING, _("{name}: always {value:g}: nothing to learn from").format(name=self.name, value=self.low))
        elif filled >= 20 and self._counts_up:
            add(WARNING, _("{name}: counts up row by row: a row number teaches nothing").format(name=self.name))
        elif filled and self.whole and max(-self.low, self.high) > _EXACT:
            said = _("{name}: whole numbers up to {high:.0f} lose their last digits in a float32: an id?")
            add(WARNING, said.format(name=self.name, high=max(-self.low, self.high)))


def _quickly(filled: Sequence[str]) -> list[float] | None:
    """The numbers, or None when some field needs a close look."""
    try:
        numbers = list(map(float, filled))
    except ValueError:
        return None
    together = "".join(filled)
    # Python's float() also reads 1_000 and digits of other scripts; TensorFlow does not.
    if "_" in together or not together.isascii() or not math.isfinite(sum(numbers)):
        return None
    return numbers if not numbers or max(max(numbers), -min(numbers)) <= _FLOAT32 else None
