"""What a column of numbers looks like as a whole, and which of its fields are none."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence

from cloudkite.check.columns.extremes import Extremes
from cloudkite.check.findings import FAILED, WARNING, Findings
from cloudkite.data import number
from cloudkite.show.text import _

_EXACT = 2**24  # whole numbers above it lose their last digits in a float32

Place = Callable[[int], str]  # index of a row in the chunk -> "file.csv:17"


class Numbers:
    """A column of numbers while its file streams by in chunks."""

    def __init__(self, name: str, span: tuple[float, float] | None, findings: Findings) -> None:
        self.name, self.span, self.findings = name, span, findings
        self.rows = self.blanks = 0
        self.low, self.high = math.inf, -math.inf
        self.whole = True
        self._next: float | None = None  # what row numbers would continue with
        self._counts_up = True
        self._extremes = Extremes()

    def take(self, values: Sequence[str], place: Place) -> None:
        """The fields of a chunk; only a chunk with something odd in it is looked at field by field."""
        blanks = values.count("")
        filled = [v for v in values if v] if blanks else values
        self.rows += len(values)
        self.blanks += blanks
        numbers = number.all_of(filled)
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
        self._extremes.take(numbers, low, high, lambda value: place(_row(values, numbers, value)))
        self._follow(numbers)

    def _closely(self, values: Sequence[str], place: Place) -> list[float]:
        good = []
        kind = ("number", self.name)
        for i, text in enumerate(values):
            if not text:
                continue
            if why := number.wrong(text):
                self.findings.repeat(FAILED, f"{place(i)}:{self.name}: {why}", kind)
            else:
                good.append(float(text))
        return good

    def _out_of_range(self, values: Sequence[str], place: Place) -> None:
        assert self.span
        low, high = self.span
        for i, text in enumerate(values):
            if text and number.wrong(text) is None and not low <= float(text) <= high:
                said = _("{text} is outside {low:g} to {high:g}").format(text=text, low=low, high=high)
                self.findings.repeat(
                    FAILED, f"{place(i)}:{self.name}: {said}", ("range", self.name), _("fix it, or widen RANGES")
                )

    def _follow(self, numbers: Sequence[float]) -> None:
        if self._counts_up:
            start = numbers[0] if self._next is None else self._next
            self._counts_up = self.whole and all(n == start + i for i, n in enumerate(numbers))
            self._next = start + len(numbers)

    def finish(self, sample: Sequence[float]) -> None:
        """What only the whole column tells; `sample` has some of its numbers, sorted."""
        add = self.findings.add
        filled = self.rows - self.blanks
        if self.rows and not filled:
            add(WARNING, _("{name}: every field is blank").format(name=self.name))
        elif filled > 1 and self.low == self.high:
            add(WARNING, _("{name}: always {value:g}: nothing to learn from").format(name=self.name, value=self.low))
        elif filled >= 20 and self._counts_up:
            add(WARNING, _("{name}: counts up row by row: a row number teaches nothing").format(name=self.name))
        elif filled and self.whole and max(-self.low, self.high) > _EXACT and any(map(_changes, sample)):
            said = _("{name}: whole numbers up to {high:.0f} lose their last digits in a float32: an id?")
            add(WARNING, said.format(name=self.name, high=max(-self.low, self.high)))
        self.tell_extremes(sample)

    def tell_extremes(self, sample: Sequence[float]) -> None:
        """Which of its numbers stand apart."""
        if self.low < self.high:
            self._extremes.finish(self.name, sample, self.findings)


def _row(values: Sequence[str], numbers: Sequence[float], wanted: float) -> int:
    """The first row that has the number `wanted`, one of the `numbers` in those fields."""
    at = numbers.index(wanted)
    if len(numbers) == len(values):
        return at
    return [i for i, text in enumerate(values) if text and number.wrong(text) is None][at]


def _changes(value: float) -> bool:
    """Whether a whole number is another one as a float32."""
    return abs(value) > _EXACT and struct.unpack("f", struct.pack("f", value))[0] != value
