"""What text in a person's table is a number, the same for whoever reads it; and why other text is none."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from cloudkite.data import missing
from cloudkite.show.text import _

_FLOAT32 = 3.4028235e38  # the largest number that TensorFlow's float32 holds
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_UNIT = re.compile(r"([$€£₩¥]\s?[+-]?\d[\d.,]*)|([+-]?\d[\d.,]*\s?[%°a-zA-Z$€£₩¥원개명점세]+)")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}.*)?")


def read(text: str) -> float | None:
    """The number that a field says, as TensorFlow reads it into a float32; None when it says none."""
    value = _finite(text.strip())
    return value if value is not None and abs(value) <= _FLOAT32 else None


def written(text: str) -> float | None:
    """The number that a person means, who may have written commas between its thousands; None when it is none."""
    value = read(text)
    return read(text.replace(",", "")) if value is None and _THOUSANDS.fullmatch(text.strip()) else value


def _finite(plain: str) -> float | None:
    # Python's float() also reads 1_000 and digits of other scripts; TensorFlow does not.
    if not plain.isascii() or "_" in plain:
        return None
    try:
        value = float(plain)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def all_of(texts: Sequence[str]) -> list[float] | None:
    """The numbers of many fields at once; None when some field needs a close look."""
    try:
        numbers = list(map(float, texts))
    except ValueError:
        return None
    together = "".join(texts)
    if "_" in together or not together.isascii() or not math.isfinite(sum(numbers)):
        return None
    return numbers if not numbers or max(max(numbers), -min(numbers)) <= _FLOAT32 else None


def wrong(text: str) -> str | None:
    """Why a field of a number column is no number, in words; None when it is one."""
    plain = text.strip()
    value = _finite(plain)
    if value is not None:
        return None if abs(value) <= _FLOAT32 else _("{text!r} is too large for a float32").format(text=text)
    word = plain.lower()
    if not plain:
        return _("spaces in a number column: leave the field empty")
    if word in missing.WORDS:
        return _("{text!r} for a missing number: leave the field empty").format(text=text)
    if word.lstrip("+-") in ("inf", "infinity") or re.fullmatch(r"[+-]?\d+(\.\d*)?e\+?\d{3,}", word):
        return _("{text!r} is not finite").format(text=text)
    return almost(text) or _("text {text!r} in a number column").format(text=text)


def almost(text: str) -> str | None:
    """What makes text no number that is one to people, and how to write it; None for other text."""
    plain = text.strip()
    if _DATE.fullmatch(plain):
        return _("{text!r} is a date: make a number of it (a year, days since)").format(text=text)
    if _THOUSANDS.fullmatch(plain):
        return _("{text!r} has a thousands separator: write {plain}").format(text=text, plain=plain.replace(",", ""))
    if _DECIMAL_COMMA.fullmatch(plain):
        mended = plain.replace(".", "").replace(",", ".")
        return _("{text!r} has a decimal comma: write {plain}").format(text=text, plain=mended)
    if _UNIT.fullmatch(plain):
        return _("{text!r} has a unit: write the number alone").format(text=text)
    if not plain.isascii() and plain.replace(".", "").isdigit():
        return _("{text!r} has digits that are not ASCII").format(text=text)
    return None
