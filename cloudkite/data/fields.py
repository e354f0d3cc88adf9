"""What the fields of a column say, given how it is written: 1.234,5 or 1,234.5, 170 cm, $12, 5.3.2024, 오후 3시.

`new` settles how each column is written and keeps that with the trainer (FORMS in its data.py); whoever reads such a
file again, `predict` for one, takes it from there. What a trainer's own copy of the data has is read as it is, too, so
that a field which was read once can be read again and stays the same.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from cloudkite.data import missing, number
from cloudkite.data.declared import DATE, NUMBER

ENGLISH, GERMAN, CLOCK = "english", "german", "clock"  # 1,234.5 - 1.234,5 - 14:30, as 14.5 hours
YMD, DMY, MDY = "ymd", "dmy", "mdy"
ORDERS = (YMD, DMY, MDY)
# Digits and marks as wide as a Hangul letter, spaces that aren't the plain one, dashes that stand for a minus.
_PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_PLAIN |= dict.fromkeys(map(ord, "\u3000\u00a0\u202f\u2009\u2007\ufeff"), ord(" "))
_PLAIN |= dict.fromkeys(map(ord, "\u2212\u2012\u2013\u2014\uff0d"), ord("-"))
_PLAIN |= {0xFFE5: ord("¥"), 0xFFE6: ord("₩"), 0x2019: ord("'"), 0x200B: None}
_UNSEEN: dict[int, None] = dict.fromkeys((0x200B, 0x2060, 0xFEFF))
_MONEY = (
    r"(?:US|CA|AU|NZ|HK|NT|S|R|C|A)?\$|[€£¥₩₹₽₺฿₫₱₪]|원|"
    r"(?:USD|EUR|GBP|JPY|CNY|KRW|INR|CHF|CAD|AUD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|TRY|RUB|Rs|Fr|kr)\b\.?"
)
_NUMBER = re.compile(
    rf"(?P<open>\(?)(?P<sign>[+-]?) ?(?P<before>{_MONEY})? ?(?P<after>[+-]?) ?"
    r"(?P<body>[.,]?\d(?:[\d.,']|[ ](?=\d))*(?:[eE][+-]?\d+)?)"
    r" ?(?P<unit>[^\d\s.,()'+:/_-][^\d()+:_-]{0,14}[23]?)?(?P<close>\)?)(?P<last>-?)",
    re.ASCII,
)
_STYLES = {
    ENGLISH: re.compile(
        r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?|[1-9]\d{0,2}(?:[' ]\d{3})+(?:\.\d*)?|[1-9]\d?(?:,\d\d)+,\d{3}(?:\.\d*)?|"
        r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
    ),
    GERMAN: re.compile(
        r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?|[1-9]\d{0,2}(?:[' ]\d{3})+(?:,\d*)?|(?:\d+,?\d*|,\d+)(?:[eE][+-]?\d+)?"
    ),
}
_EITHER = re.compile(r"-?[1-9]\d{0,2}\.\d{3}")  # one and a fraction, or a thousand and more
# One thing that people write in several ways; what stands here is known to be a unit.
_SAME = {
    "₩": "원 krw won", "$": "us$ usd", "€": "eur euro", "£": "gbp", "¥": "jpy cny 円 元 yen", "₹": "inr rs",
    "kg": "kgs kilo kilos ㎏ 킬로", "g": "gr gram grams 그램", "mg": "㎎", "lb": "lbs pound pounds", "t": "ton tons",
    "cm": "㎝ 센티", "m": "meter meters metre metres 미터", "km": "㎞", "mm": "㎜", "mi": "mile miles",
    "in": "inch inches", "ft": "feet foot", "m2": "m² ㎡ sqm", "ft2": "ft² sqft", "l": "liter liters litre 리터",
    "ml": "㎖", "%": "percent pct 퍼센트", "s": "sec secs second seconds 초", "min": "mins minute minutes 분",
    "h": "hr hrs hour hours 시간", "day": "days 일", "week": "weeks 주", "month": "months 개월",
    "year": "years yr yrs 년 세 살", "°c": "℃", "°f": "℉", "oz": "", "km/h": "kmh kph", "mph": "", "kcal": "",
    "mmhg": "", "bpm": "", "개": "ea pcs", "명": "", "점": "pt pts points", "만원": "", "억원": "", "평": "", "회": "",
}  # fmt: skip
_MAGNITUDES = frozenset("k K M B mn bn mio mrd tsd 천 만 억 조".split())
_UNITS = {other: one for one, others in _SAME.items() for other in (one, *others.split())}
_MONTHS = {name: i for i, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)}
_TIME = (
    r"(?:(?:T|,? +)(?P<half>오전|오후|AM|PM)? ?(?P<hour>\d{1,2})(?::|시 ?)(?P<minute>\d{1,2})?분?"
    r"(?:[: ]?(?P<second>\d{2})초?)?(?:\.\d+)? ?(?P<noon>[AaPp]\.?[Mm]\.?)?(?:Z| ?UTC|[+-]\d\d:?\d\d)?)?"
)
_DAY = r"(?:(?:[A-Z][a-z]{2,8}),? )?"
_DATES = (
    re.compile(
        rf"(?P<a>\d{{4}}|\d{{1,2}})(?: ?(?P<mark>[-/.]) ?|년 ?|年)(?P<b>\d{{1,2}})(?: ?(?(mark)(?P=mark)|[월月]) ?)"
        rf"(?P<c>\d{{4}}|\d{{1,2}})[일日.]?(?: ?\([월화수목금토일A-Za-z]+\))?{_TIME}"
    ),
    re.compile(rf"{_DAY}(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[ .-]+(?P<name>[A-Za-z]{{3,9}})[ .,-]+(?P<y>\d{{4}}){_TIME}"),
    re.compile(rf"{_DAY}(?P<name>[A-Za-z]{{3,9}})\.? (?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y>\d{{4}}){_TIME}"),
    re.compile(r"(?P<y>\d{4})(?:[-/]|년 ?|年)(?P<m>\d{1,2})[월月]?"),
)
# Counted in whole ones, so that three digits behind a mark are thousands. Money without cents: ISO 4217, exponent 0.
_WHOLE = frozenset("₩ ¥ ₫ 개 명".split())
_ONES = {ord(digit): "1" for digit in "0123456789"}
_NO_MARKS, _NO_POINTS = ({ord(mark): None for mark in ",' "}, {**{ord(mark): None for mark in ".' "}, ord(","): "."})
_LONGEST = 60  # letters of a number or a date
_SAFE = 30  # letters of a number that a float32 surely holds
_COMPACT = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)")
_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d)(?::([0-5]\d)(?:\.\d+)?)?(?: ?([AaPp])\.?[Mm]\.?)?")


def clean(text: str) -> str:
    """A field trimmed, in NFC, line breaks and other spaces inside made one space, what has no width gone."""
    if not text.isascii():
        text = text.translate(_UNSEEN)
    return unicodedata.normalize("NFC", " ".join(text.split()))


class Numeral(NamedTuple):
    """A number as a person wrote it: what it is in each style that it fits (as text), and its unit.

    `styles` is the one that it can only be in; "" when both give the same, "either" when both give another number.
    """

    english: str | None
    german: str | None
    unit: str = ""
    styles: str = ""

    def read(self, style: str) -> str | None:
        """The number in a column of that style. What can be no German number is taken as an English one there."""
        if style == GERMAN:
            return self.english if self.german is None else self.german
        return self.english


class _Shape(NamedTuple):
    """How all numbers are read that have their digits in the same places."""

    start: int  # of the number without its sign and unit
    end: int
    sign: str
    english: bool
    german: bool
    unit: str
    styles: str


def numeral(text: str) -> Numeral | None:
    """The number that a field says, money marks, units, minus in brackets and wide digits included; None for none."""
    if len(text) > _LONGEST:
        return None
    if not text.isascii():
        text = text.translate(_PLAIN).strip()
    shape = text.translate(_ONES)
    found = _shape(shape)
    if found and text[found.start] == "0":  # which stands before no thousands
        found = _shape(f"{shape[: found.start]}0{shape[found.start + 1 :]}")
    if not found:
        return None
    body = text[found.start : found.end]
    english = found.sign + body.translate(_NO_MARKS) if found.english else None
    german = found.sign + body.translate(_NO_POINTS) if found.german else None
    if (len(body) > _SAFE or "e" in body or "E" in body) and number.read(english or german or "") is None:
        return None
    return Numeral(english, german, found.unit, found.styles)


@lru_cache(maxsize=1 << 14)
def _shape(text: str) -> _Shape | None:
    found = _NUMBER.fullmatch(text)
    if not found or bool(found["open"]) != bool(found["close"]):
        return None
    minus = bool(found["open"]) + (found["sign"] == "-") + (found["after"] == "-") + bool(found["last"])
    if minus > 1 or (found["before"] and found["unit"] and unit(found["before"]) != unit(found["unit"])):
        return None
    body = found["body"]
    english, german = (bool(_STYLES[style].fullmatch(body)) for style in (ENGLISH, GERMAN))
    if not english and not german:
        return None
    if english and german:
        styles = "" if body.translate(_NO_MARKS) == body.translate(_NO_POINTS) else "either"
    else:
        styles = ENGLISH if english else GERMAN
    start, end = found.span("body")
    beside = unit(found["before"] or found["unit"] or "")
    if styles == "either" and beside in _WHOLE:
        styles = ENGLISH if "," in body else GERMAN
        english, german = styles == ENGLISH, styles == GERMAN
    return _Shape(start, end, "-" * minus, english, german, beside, styles)


def unit(text: str) -> str:
    """One name for a unit that people write in several ways."""
    plain = unicodedata.normalize("NFC", text).strip().rstrip(".")
    if len(plain) == 1 and plain.isupper():  # 12A and 13B are seats, 14S and 15M are sizes
        return plain
    plain = plain.casefold()
    return _UNITS.get(plain, plain)


def is_known_unit(name: str) -> bool:
    """Whether `unit` gives that name to what surely is one, or tells how many thousands a number counts."""
    return name in _SAME or name in _MAGNITUDES or bool(re.fullmatch(_MONEY, name, re.IGNORECASE))


def dates(text: str) -> Mapping[str, str]:
    """{order of day, month and year: the date in ISO 8601} for each order that gives a day of the calendar."""
    if len(text) > _LONGEST:
        return {}
    if not text.isascii():
        text = text.translate(_PLAIN).strip()
    shape = text.translate(_ONES)
    places = _places(shape)
    if not places:
        return {}
    parts = {name: text[start:end] for name, (start, end) in places.items()}
    time = ""
    if "hour" in parts:
        half = parts.get("half") or parts.get("noon") or ""
        made = _time(parts["hour"], parts.get("minute", "0"), parts.get("second", "0"), half)
        if made is None:
            return {}
        time = made
    if "a" in parts:
        days = _days(parts["a"], parts["b"], parts["c"])
    else:
        month = parts.get("m") or str(_MONTHS.get(parts.get("name", "")[:3].lower(), 0))
        days = _days(parts["y"], month, parts.get("d", "1"))
        if "d" not in parts and not "1800" <= parts["y"] < "2200":  # 2024-03, and no other two numbers
            return {}
    return {order: day + time for order, day in days.items()} if time else days


@lru_cache(maxsize=1 << 14)
def _places(shape: str) -> dict[str, tuple[int, int]] | None:
    """Where the parts of a date are in all texts that have their digits in the same places."""
    for pattern in _DATES:
        if found := pattern.fullmatch(shape):
            return {name: found.span(name) for name, part in found.groupdict().items() if part is not None}
    return None


@lru_cache(maxsize=1 << 16)
def _days(a: str, b: str, c: str) -> dict[str, str]:
    made = {}
    for order in (YMD,) if len(a) == 4 else (DMY, MDY) if len(c) == 4 else ORDERS:
        by = dict(zip(order, (a, b, c), strict=True))
        if len(by["y"]) not in (2, 4) or max(len(by["m"]), len(by["d"])) > 2:
            continue
        year = int(by["y"])
        if len(by["y"]) == 2:
            year += 1900 if year > 68 else 2000
        with suppress(ValueError):
            if 1000 <= year < 3000:
                made[order] = datetime.date(year, int(by["m"]), int(by["d"])).isoformat()
    return made


@lru_cache(maxsize=1 << 16)
def _time(hours: str, minutes: str, seconds: str, half: str) -> str | None:
    """T14:30 or T14:30:05; None for a time that no clock shows."""
    hour, minute, second = int(hours), int(minutes), int(seconds)
    if half:
        hour = hour % 12 + 12 * (half[0] in "pP" or half == "오후")
    if hour > 23 or minute > 59 or second > 59:
        return None
    return f"T{hour:02}:{minute:02}" + (f":{second:02}" if second else "")


def compact(text: str) -> str:
    """The date in ISO 8601 that eight digits say; "" for none."""
    found = _COMPACT.fullmatch(text)
    return _days(*found.groups()).get(YMD, "") if found else ""


def clock(text: str) -> str | None:
    """The hours that 14:30, 2:30 PM or 1:05:30 say; None for other text."""
    found = _CLOCK.fullmatch(text.translate(_PLAIN).strip())
    if not found:
        return None
    hours, minutes, seconds, half = int(found[1]), int(found[2]), int(found[3] or 0), found[4]
    if half:
        hours = hours % 12 + 12 * (half in "pP")
    return repr(round(hours + minutes / 60 + seconds / 3600, 6))


@dataclass(frozen=True)
class Field:
    """How the fields of one column are read: its kind, and what was settled about how it is written.

    `style` is that of its numbers, `unit` what may stand beside them, `order` that of day, month and year, and `blank`
    holds words, in lower case, that stand for a missing value besides those that everybody uses.
    """

    kind: str
    style: str = ""
    unit: str = ""
    order: str = ""
    blank: frozenset[str] = frozenset()

    def plain(self, text: str) -> str | None:
        """The field as the trainer's own data has it: a number as TensorFlow reads it, a date in ISO 8601, other text
        by `clean`; "" for a blank one, None for one that says no number or no date."""
        return self.of_clean(clean(text))

    def of_clean(self, text: str) -> str | None:
        """The same for a field that went through `clean`."""
        if self.kind not in (NUMBER, DATE):
            return text
        if not text or text.lower() in missing.WORDS or text.lower() in self.blank:
            return ""
        return self._number(text) if self.kind == NUMBER else self._date(text)

    def _number(self, text: str) -> str | None:
        if self.style == CLOCK and ":" in text:
            return clock(text)
        found = numeral(text)
        if found is None or found.unit not in ("", self.unit):
            return text if number.read(text) is not None else None
        made = found.read(self.style)
        if self.style != GERMAN and not found.unit and number.read(text) is not None:
            return text  # as it was written
        # 1.234 would be a thousand and more to who reads it again.
        return f"{made}0" if made and self.style == GERMAN and _EITHER.fullmatch(made) else made

    def _date(self, text: str) -> str | None:
        found = dates(text)
        if self.order in found:
            return found[self.order]
        if len(set(found.values())) == 1:
            return next(iter(found.values()))
        return compact(text) or None

    @property
    def form(self) -> dict[str, str]:
        """What of it has to be kept with the trainer."""
        return {key: value for key in ("style", "unit", "order") if (value := getattr(self, key))}


def of(columns: Mapping[str, Any], forms: Mapping[str, Any]) -> dict[str, Field]:
    """How the columns of a model are read, by their kinds and what was settled when the trainer was made.

    The entry "" of `forms` is about the file: "encoding", "sheet", "query" (see reading.form_of) and "missing".
    """
    blank = frozenset(word.lower() for word in forms.get("", {}).get("missing", ()))
    return {
        name: Field(kind if isinstance(kind, str) else "array", blank=blank, **forms.get(name, {}))
        for name, kind in columns.items()
    }
