"""What a column of a person's table is: numbers, dates, sentences, one of few words, or nothing to learn from.

Everything is counted while the rows go by, and decided when all were seen: how most fields are written tells how to
read the rest, and the other columns of the file tell what a column leaves open. What stays open is refused with the
option that settles it; a few fields among many that are no numbers or dates are told and left blank.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from cloudkite.data import fields, missing, number
from cloudkite.data.declared import CATEGORY, DATE, LETTERS, NUMBER, TEXT
from cloudkite.data.fields import CLOCK, DMY, ENGLISH, GERMAN, MDY, YMD, Field
from cloudkite.show.text import _, counted

# 007, +821012345678, card numbers: digits that are no quantity. Who declares such a column one of numbers is taken at
# their word by the check; here nobody has said yet what it is.
CODE = re.compile(r"[+-]?0\d.*|\+\d{7,}|\d{16,}")
_CODES = re.compile(r"^(?:[+-]?0\d|\+\d{7}|\d{16})", re.MULTILINE)
# A point that is one before a fraction and can't stand between thousands, somewhere in many numbers.
_FRACTION = re.compile(r"\.(?!\d{3}$)|^[+-]?(?:0|\d{4,})?\.", re.MULTILINE)
_PAIR = re.compile(r"\d+(?:[.,]\d+)?\s*[/x×*~:;,-]\s*\d+(?:[.,]\d+)?")
_EAST = re.compile(r"[\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7a3]")
MANY = 100_000  # distinct values that are kept apart, at most
SAMPLE = 1000  # values that are looked at for what they have in common
WORDS = 20  # with fewer, what looks like numbers may well be names of kinds
SENTENCE = 4  # words, from which on a text is no name
LETTERS_OF_ONE = 10  # letters of Korean, Japanese or Chinese, from which on it is none
FEW = 10  # rows: with fewer, a column of different words says nothing
STRAY = 0.05  # the share of fields below which those that don't fit are left blank
_DATE_SORTS = {(YMD,): "date ymd", (DMY,): "date dmy", (DMY, MDY): "date dmy mdy"}  # the usual ones, at a glance
_KEPT = 3  # fields of each sort whose lines are kept
OUT = "out"
POINTS = "points"  # a style of which only that is likely: each 1.234 is one and a fraction, if all fields have one
FORCED = (NUMBER, ENGLISH, GERMAN, CATEGORY, TEXT, LETTERS, DATE, YMD, DMY, MDY, OUT)  # what a person may say it is


@dataclass
class Span:
    """The range of numbers, read in one style."""

    low: float = math.inf
    high: float = -math.inf
    whole: bool = True

    def add(self, low: float, high: float, whole: bool) -> None:
        """Widen it."""
        self.low, self.high, self.whole = min(self.low, low), max(self.high, high), self.whole and whole


@dataclass(frozen=True)
class Verdict:
    """What a column is: its kind ("" if it is left out, for a `reason`) and how it is read.

    `refused` are what is open and the option that settles it. `strays` are fields that are read as blank, with their
    lines; `count` tells how many there are.
    """

    field: Field
    kind: str = ""
    reason: str = ""
    refused: tuple[str, str] | None = None
    strays: tuple[tuple[str, int], ...] = ()
    count: int = 0
    span: Span | None = None


@dataclass
class Column:
    """What the rows say about one column, counted while reading."""

    name: str
    most: int = MANY  # values that are kept apart
    blank: frozenset[str] = frozenset()  # words, in lower case, that a person said stand for a missing value
    rows: int = 0
    filled: int = 0  # words for a blank included
    numbers: int = 0
    values: Counter[str] = field(default_factory=Counter)
    compared: int = 0  # filled fields until there were as many as are kept apart
    blanks: set[str] = field(default_factory=set)  # words such as NA
    sorts: Counter[str] = field(default_factory=Counter)
    styles: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    spans: dict[str, Span] = field(default_factory=lambda: {ENGLISH: Span(), GERMAN: Span()})
    plain: bool = True  # every field is a number as TensorFlow reads it, or blank
    first: dict[str, list[tuple[str, int]]] = field(default_factory=dict)  # the first fields of a sort, and their lines
    shift: float | None = None  # how far its numbers are from those of the rows, if it counts them
    steps: bool = True

    def add(self, text: str, line: int) -> None:
        """Count one field."""
        self.add_all([text], [line], [self.rows])

    def add_all(self, texts: Sequence[str], lines: Sequence[int], at: Sequence[int]) -> None:
        """Count fields, by `clean`; `lines` and `at` say which line and which row each is of."""
        self.rows += len(texts)
        found = [text for text in texts if text] if "" in texts else texts
        self.filled += len(found)
        if not found:
            return
        many: Iterable[str] = found
        if len(self.values) < self.most:
            self.compared = self.filled
        else:
            many = [text for text in found if text in self.values]
        self.values.update(many)
        values = None if self.blank and not self.blank.isdisjoint(map(str.lower, found)) else number.all_of(found)
        joined = "\n".join(found)
        if values is not None and not _CODES.search(joined) and ("." not in joined or _FRACTION.search(joined)):
            self.numbers += len(values)
            self.sorts["number"] += len(values)
            self.styles[ENGLISH if "." in joined else ""] += len(values)
            self.units[""] += len(values)
            whole = self.spans[ENGLISH].whole and all(map(float.is_integer, values))
            for span in self.spans.values():
                span.add(min(values), max(values), whole)
            if self.steps:
                self._follow(values, at)
        else:
            self.steps = self.steps and values is not None and len(found) == len(texts)
            if self.steps and values:
                self._follow(values, at)
            self.plain = False
            for key, some in self._sorted(Counter(found)).items():
                if len(examples := self.first.setdefault(key, [])) < _KEPT:
                    kept = [one for one in some[: 2 * _KEPT] if all(one != text for text, _line in examples)]
                    examples += [(one, lines[texts.index(one)]) for one in kept[: _KEPT - len(examples)]]

    def _follow(self, values: Sequence[float], at: Sequence[int]) -> None:
        if self.shift is None:
            self.shift = values[0] - at[0]
        self.steps = len(values) == len(at) and all(
            value - i == self.shift for value, i in zip(values, at, strict=True)
        )

    def _sorted(self, counts: Mapping[str, int]) -> dict[str, list[str]]:
        """Count each field closely; those of a sort together."""
        sorts: dict[str, list[str]] = {}
        numbers: dict[str, list[float]] = {ENGLISH: [], GERMAN: []}
        for text, times in counts.items():
            low = text.lower()
            sort: str = "blank" if low in missing.WORDS or low in self.blank else ""
            code = not sort and bool(CODE.fullmatch(text))
            if not sort and not code and (numeral := fields.numeral(text)):
                self.numbers += times
                self.styles[numeral.styles] += times
                self.units[numeral.unit] += times
                for style, some in numbers.items():
                    if (read := numeral.read(style)) is not None:
                        some.append(float(read))
                self.sorts["number"] += times
                sorts.setdefault(f"number {numeral.styles} {numeral.unit}", []).append(text)
                continue
            if not sort and (found := fields.dates(text)):  # 05.03.2024 is no code
                sort = _DATE_SORTS.get(tuple(found)) or f"date {' '.join(sorted(found))}"
            elif not sort:
                sort = "code" if code else "clock" if fields.clock(text) else "word"
            self.sorts[sort] += times
            sorts.setdefault(sort, []).append(text)
        self.blanks.update(sorts.get("blank", ()))
        for style, some in numbers.items():
            if some:
                span = self.spans[style]
                span.add(min(some), max(some), span.whole and all(map(float.is_integer, some)))
        return sorts

    @property
    def numeric(self) -> bool:
        """Whether every filled field is a number or a word for a blank, and one at least is a number."""
        return 0 < self.numbers == self.said

    @property
    def texts(self) -> Iterable[str]:
        """The values of a column that is not of numbers."""
        return () if self.numeric else self.values

    @property
    def said(self) -> int:
        """Fields that say something."""
        return self.filled - self.sorts["blank"]

    def useless(self) -> str:
        """Why nothing can be learnt from the column, in words; "" when something can."""
        return self.settle().reason

    def counted(self, blanks: Collection[str]) -> tuple[int, int]:
        """Filled fields, and distinct values (at most `most`) among them, leaving `blanks` out."""
        gone = sum(self.values.get(word, 0) for word in blanks)
        return self.filled - gone, len([value for value in self.values if value not in blanks])

    @property
    def sample(self) -> list[str]:
        """Some of its values."""
        return list(islice((value for value in self.values if value not in self.blanks), SAMPLE))

    @property
    def sure_style(self) -> str:
        """The style that its numbers can only be in; "" when they leave it open, or differ."""
        few, many = sorted((self.styles[ENGLISH], self.styles[GERMAN]))
        if self.numbers <= self.said / 2 or not many or few >= STRAY * many:
            return ""
        return ENGLISH if self.styles[ENGLISH] == many else GERMAN

    @property
    def orders(self) -> Counter[str]:
        """How many dates can be read in which orders only."""
        return Counter({key[5:]: n for key, n in self.sorts.items() if key.startswith("date")})

    @property
    def sure_order(self) -> str:
        """The order of day and month that its dates can only be in; "" when they leave it open, or differ."""
        fits = {order: sum(n for key, n in self.orders.items() if order in key) for order in (YMD, DMY, MDY)}
        total = self.orders.total()
        good = [order for order, n in fits.items() if n > (1 - STRAY) * total]
        best = [order for order in good if fits[order] == max(fits.values())]
        return best[0] if total and len(best) == 1 else ""

    def settle(self, forced: str = "", style: str = "", order: str = "", label: bool = False) -> Verdict:
        """Decide what it is: what a person said (`forced`, see FORCED), else by its fields.

        `style` and `order` are those of the file's other columns, for what its fields leave open. A `label` is never
        left out.
        """
        if forced == OUT:
            return Verdict(Field(CATEGORY), reason=_("as --as says"))
        if forced in (CATEGORY, TEXT, LETTERS):
            return Verdict(Field(CATEGORY), forced)
        if not self.said:
            return Verdict(Field(CATEGORY), reason=_("it is blank"))
        dated = self.orders.total()
        single = len(self.values) - len(self.blanks) == 1 and (self.filled == self.rows or dated or self.numbers)
        if single and not forced and not label:  # whatever it says
            return Verdict(Field(CATEGORY), reason=_("it has one value only"))
        most = (1 - STRAY) * self.said
        if forced in (DATE, YMD, DMY, MDY) or (not forced and dated > most):
            return self._dates(forced if forced in (YMD, DMY, MDY) else "", order)
        if forced in (NUMBER, ENGLISH, GERMAN):
            return self._numbers(forced if forced != NUMBER else "", style, forced=True)
        if self.sorts["code"] and self.sorts["code"] + self.numbers > self.said / 2:
            return self._words(label, _("digits of a code"))
        if self.sorts["clock"] > most:
            return self._read(Field(NUMBER, style=CLOCK, blank=self.blank), Span(0, math.inf, whole=False))
        if self.numbers > most:
            found = self._numbers("", style)
            if found.kind or found.reason or found.refused:
                return found
            return self._words(label)
        if not label:
            for share, kind, said in (
                (self.numbers, NUMBER, _("no number")),
                (dated, DATE, _("no date")),
            ):
                if share > self.said / 2 and self._many():
                    odd = self.odd("number" if kind == NUMBER else "date")
                    return self._open(
                        _("{text!r} in line {line} is {what}, and {count} of {total} fields are like it").format(
                            text=odd[0], line=odd[1], what=said, count=self.said - share, total=self.said
                        ),
                        (kind, _("leaves them blank")),
                        (CATEGORY, _("takes all as words")),
                    )
        return self._words(label)

    def odd(self, usual: str) -> tuple[str, int]:
        """The first field that isn't of the usual sort, and its line."""
        others = [one for key, found in self.first.items() if not key.startswith((usual, "blank")) for one in found]
        return min(others, key=lambda one: one[1], default=("", 0))

    def _many(self) -> bool:
        """Whether so many values differ that each can't be a word of its own."""
        distinct = len(self.values)
        return distinct > max(WORDS, self.said / 10) or (self.compared >= FEW and self._all_differ())

    def _all_differ(self) -> bool:
        filled, distinct = self.counted(self.blanks)
        return distinct > 0.9 * min(self.compared, filled)

    def _open(self, what: str, *ways: tuple[str, str]) -> Verdict:
        """Refused, with what can be said of the column to settle it."""
        options = [f"--as {quoted(f'{self.name}={way}')}" + (f" ({means})" if means else "") for way, means in ways]
        return Verdict(Field(CATEGORY), refused=(f"{self.name}: {what}", _(" or ").join(options)))

    def _dates(self, forced: str, order: str) -> Verdict:
        own = forced or self.sure_order
        if not own:
            key, _n = max(self.orders.items(), key=lambda pair: pair[1], default=("", 0))
            fits = key.split()
            text = next((one[0] for sort, found in self.first.items() if sort == f"date {key}" for one in found), "")
            own = order if order in fits else ""
            if not own and len(fits) > 1:
                day_first = "." in text and DMY in fits and YMD not in fits
                # Points stand between day, month and year where the day comes first.
                own = DMY if day_first else ""
                if not own:
                    meant = fields.dates(text)
                    said = _("{text!r} may be {one} or {other}").format(
                        text=text, one=meant[fits[0]], other=meant[fits[1]]
                    )
                    return self._open(said, *((fit, meant[fit]) for fit in fits))
        return self._read(Field(DATE, order=own if own != YMD else "", blank=self.blank), None)

    def _numbers(self, own: str, style: str, forced: bool = False) -> Verdict:
        """Numbers, if their style and their unit can be told; no kind for what are words after all."""
        units = self._unit(forced)
        if isinstance(units, Verdict):
            return units
        mixed = self.styles[ENGLISH] and self.styles[GERMAN]
        own = own or self.sure_style
        if not own and mixed and not forced:
            one, other = (self._like(kind) for kind in (ENGLISH, GERMAN))
            return self._open(
                _("{one} and {other} are numbers of two styles").format(one=repr(one), other=repr(other)),
                (ENGLISH, ""),
                (GERMAN, ""),
            )
        if not own and self.styles["either"]:
            text = self._like("either")
            found = fields.numeral(text)
            if style == POINTS:
                style = ENGLISH if "." in text and not self.styles[""] else ""
            if not style and found:
                said = _("{text!r} may be {one} or {other}")
                ways = ((ENGLISH, found.english or ""), (GERMAN, found.german or ""))
                return self._open(said.format(text=text, one=ways[0][1], other=ways[1][1]), *ways)
            own = style
        span = self.spans[GERMAN if own == GERMAN else ENGLISH]
        if (
            not forced and span.whole and span.low >= 19_000_101 and span.high < 21_010_000 and len(self.values) > 2
            and all(map(fields.compact, self.sample))
        ):  # fmt: skip
            return self._read(Field(DATE, blank=self.blank), None)
        if not forced:
            if span.low == span.high:
                return Verdict(Field(NUMBER), reason=_("it has one value only"))
            if self.steps and self.filled == self.rows >= FEW:
                return Verdict(Field(NUMBER), reason=_("it counts the rows"))
        return self._read(Field(NUMBER, style=GERMAN if own == GERMAN else "", unit=units, blank=self.blank), span)

    def _unit(self, forced: bool) -> str | Verdict:
        """The unit that stands beside most numbers or some of them, "" for none."""
        named = Counter({unit: n for unit, n in self.units.items() if unit})
        if not named or named.total() < STRAY * self.numbers:
            return ""
        (unit, most), *others = named.most_common()
        if forced or most > (1 - STRAY) * named.total():
            if unit == "%" and self.units[""] > STRAY * self.numbers and not forced:
                said = _("some are percent and some are not: {one} and {other}")
                shown = said.format(one=repr(self._with_unit("%")), other=repr(self._with_unit("")))
                return self._open(shown, (NUMBER, _("takes all as percent")), (OUT, _("leaves it out")))
            return unit
        if all(map(fields.is_known_unit, named)):
            said = _("{one} and {other} have different units")
            shown = said.format(one=repr(self._with_unit(unit)), other=repr(self._with_unit(others[0][0])))
            return self._open(shown, (OUT, _("leaves it out; else write all in one unit")))
        return Verdict(Field(CATEGORY))  # 12A, 13B: no units

    def _with_unit(self, unit: str) -> str:
        for key, found in self.first.items():
            if key.startswith("number ") and key.split(" ", 2)[2] == unit:
                return found[0][0]
        return next(iter(self.values))

    def _like(self, style: str) -> str:
        """A number of a style."""
        for key, found in self.first.items():
            if key.startswith(f"number {style} "):
                return found[0][0]
        return next((v for v in self.sample if (n := fields.numeral(v)) and n.styles == style), "")

    def _read(self, how: Field, span: Span | None) -> Verdict:
        """A column of numbers or dates, and what of it is none."""
        examples = sorted({one for found in self.first.values() for one in found}, key=lambda one: one[1])
        strays = tuple(one for one in examples if how.plain(one[0]) is None)
        count = 0
        if strays:
            count = sum(n for text, n in self.values.items() if how.plain(text) is None)
        if count == self.said:
            return self._open(_("{text!r} can't be read so").format(text=strays[0][0]), (CATEGORY, ""))
        return Verdict(how, how.kind, strays=strays, count=count, span=span)

    def _words(self, label: bool, code: str = "") -> Verdict:
        """A column of words: sentences, one of few, or a name that each row has for itself."""
        how = Field(CATEGORY)
        if label:
            return Verdict(how, CATEGORY)
        filled, distinct = self.counted(self.blanks)
        if distinct == 1 and filled == self.rows:
            return Verdict(how, reason=_("it has one value only"))
        sample = self.sample
        east = is_east(sample)
        if not code and is_prose(sample, east) and (distinct > 50 or distinct > self.compared / 2):
            return Verdict(how, LETTERS if east else TEXT)
        if self.compared < FEW or not self._all_differ():
            return Verdict(how, CATEGORY)
        if code:
            said = _("almost every row has another value: {what}, a name or an id")
            return Verdict(how, reason=said.format(what=code))
        if sum(map(bool, map(_PAIR.fullmatch, sample))) > len(sample) / 2:
            said = _("{text!r} holds two numbers").format(text=sample[0])
            return self._open(said, (OUT, _("leaves it out; else make two columns of it")))
        return Verdict(how, reason=_("almost every row has another value: a name or an id"))

    def notes(self, found: Verdict) -> list[str]:
        """What was taken for granted when it was read."""
        if found.reason:
            return [_("column {name} is left out: {reason}").format(name=self.name, reason=found.reason)]
        told = []
        if found.strays:
            shown = ", ".join(_("{text!r} (line {line})").format(text=text, line=line) for text, line in found.strays)
            what = (
                counted(
                    "{count} field isn't a number and is left blank: {shown}",
                    "{count} fields aren't numbers and are left blank: {shown}",
                    found.count, shown=shown + (", ..." if found.count > len(found.strays) else ""),
                )
                if found.kind == NUMBER
                else counted(
                    "{count} field isn't a date and is left blank: {shown}",
                    "{count} fields aren't dates and are left blank: {shown}",
                    found.count, shown=shown + (", ..." if found.count > len(found.strays) else ""),
                )
            )  # fmt: skip
            told.append(_("column {name}: {what}").format(name=self.name, what=what))
        if found.kind in (NUMBER, DATE):
            kept = {one for key, some in self.first.items() if key != "blank" for one in some}
            for text, _line in sorted(kept, key=lambda one: (-self.values[one[0]], one[1])):
                plain = found.field.plain(text)
                if plain and plain != text:
                    said = _("column {name}: {text!r} is read as {plain}")
                    told.append(said.format(name=self.name, text=text, plain=plain))
                    break
        elif found.kind == CATEGORY:
            if 0 < self.numbers < self.said and self.numbers > self.said / 2:
                odd = self.odd("number")
                said = _("column {name} is text because of {value} in line {line}")
                told.append(said.format(name=self.name, value=repr(odd[0]), line=odd[1]))
            elif self.sorts["code"]:
                text = self.first["code"][0][0]
                said = _("column {name} is text: {value} is digits of a code, not a quantity")
                told.append(said.format(name=self.name, value=repr(text)))
        return told


def is_east(sample: Sequence[str]) -> bool:
    """Whether texts are mostly written in Korean, Japanese or Chinese."""
    letters = [letter for text in sample for letter in text if letter.isalpha()]
    return sum(map(bool, map(_EAST.match, letters))) > len(letters) / 2


def is_prose(sample: Sequence[str], east: bool) -> bool:
    """Whether texts are sentences, rather than names."""
    if not sample:
        return False
    words = [len(text.split()) for text in sample]
    if east and sum(map(len, sample)) >= LETTERS_OF_ONE * len(sample):
        return True
    least = SENTENCE - east
    return sum(words) >= least * len(sample) or sum(n >= least for n in words) > len(words) / 2


def quoted(text: str) -> str:
    """As it is typed in a shell."""
    return text if re.fullmatch(r"[\w=.-]+", text) else "'" + text.replace("'", "'\\''") + "'"
