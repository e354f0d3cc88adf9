"""What a person's fields say to a model, column by column; and what of them was blank, unknown or read differently."""

from __future__ import annotations

import datetime
import json
import math
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudkite.data import fields, missing, number, reading
from cloudkite.data.declared import ARRAY, DATE, LETTERS, NUMBER, TEXT
from cloudkite.data.fields import Field, clean
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, counted

Value = float | str | list[float] | None  # None: blank; a list: an array, its last size first
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp")  # what TensorFlow's decode_image reads
_SHOWN = 3  # texts in a note
_KEPT = 1000  # different texts that are counted for a note
_TEXT_SHOWN = 40  # characters of one
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_TOKEN = re.compile(r"\w\w+")  # as CountVectorizer makes words of text
Place = Callable[[int], str]  # where a row comes from: "rows.csv:3: ", or ""


class Column(ABC):
    """One column of a model: `header` is what the person calls it, `field` how they write it.

    Words for a blank are counted in `blanks`.
    """

    def __init__(self, header: str, field: Field, blanks: Counter[str]) -> None:
        self.header = header
        self._field, self._blanks = field, blanks
        self._odd: Counter[str] = Counter()

    @abstractmethod
    def read(self, texts: Sequence[str], place: Place, /) -> list[Value]:
        """The values of fields as they are written. Raises BadValue, which says the place of a field."""

    def typed(self, value: Any) -> Value:
        """A value that was typed. Raises BadValue."""
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise BadValue(_("{name} is {value!r}, neither a number nor text").format(name=self.header, value=value))
        found = self.read([str(value)], lambda _row: "")[0]
        return None if found == "" else found

    def blank(self, rows: int) -> list[Value]:
        """The values of a column that isn't given."""
        return self.read([""] * rows, lambda _row: "")

    def taken(self, array: Any, place: Place) -> Any:
        """The values of a numpy array, a row each. Raises BadValue."""
        if array.ndim != 1:
            why = _("an array of {found} numbers, not a value").format(found=_times(array.shape[1:]))
            raise self._refused(place(0), why, _("{name} isn't an array in the model").format(name=self.header))
        return self.read(list(map(str, array.tolist())), place)

    def notes(self) -> list[str]:
        """What was taken for granted, a line a kind."""
        return []

    def _is_blank(self, text: str) -> bool:
        plain = text.strip().lower()
        return not plain or plain in missing.WORDS or plain in self._field.blank

    def _mapped(self, texts: Sequence[str], meant: Callable[[str], str | None]) -> list[Value]:
        """Each text, or what is meant by it: "" for a blank, None for one that the model can't know."""
        others: dict[str, str] = {}
        for text, count in Counter(texts).items():
            found = meant(text)
            if found is None:
                self._odd[text if text in self._odd or len(self._odd) < _KEPT else ""] += count
            elif found != text:
                others[text] = found
                if not found and text.strip():
                    self._blanks[clean(text)] += count
        return [others.get(text, text) for text in texts] if others else list(texts)

    def _told(self, said: str, **more: str) -> list[str]:
        """A note on the texts that were counted as odd."""
        if not (shown := [text for text in self._odd if text]):
            return []
        names = ", ".join(repr(text[:_TEXT_SHOWN]) for text in shown[:_SHOWN])
        rows = counted("{count} row", "{count} rows", self._odd.total())
        texts = names + (", ..." if len(self._odd) > _SHOWN else "")
        return [said.format(name=self.header, texts=texts, rows=rows, **more)]

    def _refused(self, place: str, why: str, hint: str) -> BadValue:
        return BadValue(f"{place}{self.header}: {why}", hint)


class Numbers(Column):
    """A column of numbers."""

    _differs: tuple[str, str] = ("", "")  # a field and the number that it was read as

    def read(self, texts: Sequence[str], place: Place, /) -> list[Value]:
        filled = [text for text in texts if text] if "" in texts else texts
        numbers = number.all_of(filled) if self._field.style != fields.GERMAN else None  # 1.234 may be a thousand there
        if numbers is None:
            return [self._number(text, place, row) for row, text in enumerate(texts)]
        following = iter(numbers)
        return [next(following) if text else None for text in texts] if filled is not texts else [*following]

    def _number(self, text: str, place: Place, row: int) -> float | None:
        plain = self._field.plain(text)
        if not plain:
            if plain is None:
                why = number.wrong(text) or _("{text!r} isn't a number").format(text=text)
                raise self._refused(place(row), why, _("{name} is a column of numbers").format(name=self.header))
            if text.strip():
                self._blanks[clean(text)] += 1
            return None
        if not self._differs[0] and number.read(text) != number.read(plain):
            self._differs = (text.strip(), plain)
        return float(plain)

    def notes(self) -> list[str]:
        text, plain = self._differs
        said = _("{name}: {text!r} is read as {plain}")
        return [said.format(name=self.header, text=text, plain=plain)] if text else []


class Words(Column):
    """A column of one word of few. The model may tell which words it knows."""

    def __init__(self, header: str, field: Field, blanks: Counter[str], known: Iterable[str]) -> None:
        super().__init__(header, field, blanks)
        self._known = frozenset(known)

    def read(self, texts: Sequence[str], _place: Place, /) -> list[Value]:
        if not self._known or self._known.issuperset(texts):
            return list(texts)
        return self._mapped(texts, self._word)

    def _word(self, text: str) -> str | None:
        plain = clean(text)
        if text in self._known or not text:
            return text
        if plain in self._known or not plain:
            return plain
        return "" if self._is_blank(plain) else None

    def notes(self) -> list[str]:
        return self._told(_("{name}: the model never saw {texts} ({rows})"))


class Texts(Words):
    """A column of sentences, of which the model knows words, or letters."""

    def __init__(self, header: str, field: Field, blanks: Counter[str], known: Iterable[str], letters: bool) -> None:
        super().__init__(header, field, blanks, known)
        self._letters = letters

    def _word(self, text: str) -> str | None:
        if self._is_blank(text):
            return ""
        parts = text.lower() if self._letters else (found[0] for found in _TOKEN.finditer(text.lower()))
        return text if any(part in self._known for part in parts) else None

    def notes(self) -> list[str]:
        said = _("{name}: the model knows no letter of {texts} ({rows})")
        return self._told(said if self._letters else _("{name}: the model knows no word of {texts} ({rows})"))


class Dates(Column):
    """A column of days or moments, which the model gets in ISO 8601."""

    def __init__(self, header: str, field: Field, blanks: Counter[str], low: str, high: str) -> None:
        super().__init__(header, field, blanks)
        self._low, self._high = low[:10], high[:10]
        self._outside: set[str] = set()  # the first and the last day that the model never saw

    def read(self, texts: Sequence[str], place: Place, /) -> list[Value]:
        wrong = {text for text in set(texts) if self._field.plain(text) is None}
        if wrong:
            at = next(i for i, text in enumerate(texts) if text in wrong)
            why = _("{text!r} isn't a date").format(text=texts[at][:_TEXT_SHOWN])
            raise self._refused(place(at), why, _("write it as 2024-03-05, or 2024-03-05T14:30 with a time"))
        return self._mapped(texts, self._moment)

    def _moment(self, text: str) -> str | None:
        plain = self._field.plain(text)
        day = (plain or "")[:10]
        if day and self._low and not self._low <= day <= self._high:
            days = self._outside | {day}
            self._outside = {min(days), max(days)}
        return plain

    def notes(self) -> list[str]:
        if not self._outside:
            return []
        said = _("{name}: there are dates outside of those that the model saw, {low} to {high}: {days}")
        days = ", ".join(sorted(self._outside))
        return [said.format(name=self.header, low=self._low, high=self._high, days=days)]


class Arrays(Column):
    """A column of arrays of numbers: as JSON, as numbers in a row, or as the name of a file that has them.

    A file is an image, for an array of (height, width, colours), which the process with the model reads; or a CSV file
    whose last column has a series, for an array of one axis, which is its newest values. `sizes` is () if not known.
    """

    def __init__(self, header: str, field: Field, blanks: Counter[str], sizes: Sequence[int]) -> None:
        super().__init__(header, field, blanks)
        self._sizes = tuple(sizes)
        self._filled = 0  # blanks of a series

    def read(self, texts: Sequence[str], place: Place, /) -> list[Value]:
        return [self._array(text, place, row) for row, text in enumerate(texts)]

    def typed(self, value: Any) -> Value:
        return self._array(value, lambda _row: "", 0)

    def taken(self, array: Any, place: Place) -> Any:
        sizes = array.shape[1:]
        if array.dtype.kind not in "fiub" or sizes != (self._sizes or sizes):
            why = _("an array of {found} numbers, not {sizes}") if sizes else _("it isn't an array of numbers")
            why = why.format(found=_times(sizes), sizes=_times(self._sizes))
            raise self._refused(place(0), why, _("each row must be {sizes} numbers").format(sizes=_times(self._sizes)))
        return array

    def notes(self) -> list[str]:
        said = counted(
            "{name}: {count} blank is taken for the value before it",
            "{name}: {count} blanks are taken for the value before each",
            self._filled,
            name=self.header,
        )
        return [said] if self._filled else []

    def _array(self, value: Any, place: Place, row: int) -> Value:
        if isinstance(value, str):
            value = self._written(value.strip(), place, row)
            if isinstance(value, str):  # an image
                return value
        if value is None:
            return [math.nan] * math.prod(self._sizes) if self._sizes else None
        sizes = _sizes(value)
        if not sizes:
            raise self._refused(place(row), _("it isn't an array of numbers"), self.how)
        if self._sizes and sizes != self._sizes:
            why = _("an array of {found} numbers, not {sizes}")
            raise self._refused(place(row), why.format(found=_times(sizes), sizes=_times(self._sizes)), self.how)
        return _flat(value)

    def _written(self, text: str, place: Place, row: int) -> Any:
        """What a text stands for: nested lists, None for a blank, or the path of an image."""
        if len(self._sizes) == 3 and text.lower().endswith(PICTURES):
            if not Path(text).is_file():
                raise self._refused(place(row), _("the file {path} doesn't exist").format(path=text), self.how)
            return str(Path(text).resolve())
        if len(self._sizes) == 1 and text.lower().endswith(".csv"):
            return self._newest(Path(text), place, row)
        try:
            if text[:1] in ("[", "{") or len(self._sizes) != 1:
                return json.loads(text) if text else None
            return [float(part) for part in re.split(r"[\s,;]+", text)] if text else None
        except (ValueError, RecursionError):
            why = _("{text!r} isn't JSON") if len(self._sizes) != 1 else _("{text!r} isn't {count} numbers")
            why = why.format(text=text[:_TEXT_SHOWN], count=self._sizes[0] if self._sizes else "")
            raise self._refused(place(row), why, self.how) from None

    def _newest(self, path: Path, place: Place, row: int) -> list[float]:
        """The newest values of a series, a row each; a blank is the value before it. Raises BadValue."""
        if not path.is_file():
            raise self._refused(place(row), _("the file {path} doesn't exist").format(path=path), self.how)
        count, values, blank = self._sizes[0], [], []
        form, _notes = reading.form_of(path)
        try:
            with reading.opened(path, form) as file:
                for text in (fields[-1] for chunk in file.named()[1] for fields in chunk.rows):
                    found = number.read(text)
                    if found is None and (not values or not self._is_blank(text)):
                        why = _("{path}: {text!r} isn't a number").format(path=path.name, text=text[:_TEXT_SHOWN])
                        raise self._refused(place(row), why, _("its last column must have the values, the newest last"))
                    values.append(values[-1] if found is None else float(found))
                    blank.append(found is None)
        except reading.Broken as error:
            raise BadValue(f"{path.name}:{error.line}: {error.why}", error.how) from None
        if len(values) < count:
            why = _("{path} has {found} values, fewer than {count}")
            raise self._refused(place(row), why.format(path=path.name, found=len(values), count=count), self.how)
        self._filled += sum(blank[-count:])
        return values[-count:]

    @property
    def how(self) -> str:
        """How a person writes one of these arrays."""
        name = json.dumps(self.header, ensure_ascii=False)
        if len(self._sizes) == 3:
            said = _("name an image: --row {column}=FILE.png; or write it as JSON: --row '{{{name}: [...]}}'")
        elif len(self._sizes) == 1:
            said = _("give {count} numbers: --row '{column}=1.5 2 ...'; or a series, of which they are the newest: "
                     "--row {column}=FILE.csv")  # fmt: skip
        else:
            said = _("write it as JSON: --row '{{{name}: [...]}}'")
        return said.format(name=name, column=self.header, count=math.prod(self._sizes))


def _times(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def _sizes(value: Any) -> tuple[int, ...] | None:
    """The sizes of nested lists of numbers, () for a number; None for lists that differ, or hold something else."""
    if not isinstance(value, list):
        return () if isinstance(value, int | float) and not isinstance(value, bool) else None
    inside = {_sizes(part) for part in value}
    one = inside.pop() if len(inside) == 1 else None
    return None if one is None else (len(value), *one)


def _flat(value: Any) -> list[float]:
    return [one for part in value for one in _flat(part)] if isinstance(value, list) else [float(value)]


def _day(end: Any) -> str:
    """The first or last date of the training data in ISO 8601, of which a trainer may tell days since 1970; or ""."""
    if isinstance(end, str):
        return end
    days: Any = end[0] if isinstance(end, list) and end else None
    if not isinstance(days, int | float) or not 0 < _EPOCH + days < datetime.date.max.toordinal():
        return ""
    return datetime.date.fromordinal(_EPOCH + int(days)).isoformat()


def columns(about: Mapping[str, Any], blanks: Counter[str]) -> dict[str, Column]:
    """The columns of the model that `trainer.json` tells `about`, by the model's own names."""
    headers, words, statistics = (about.get(key) or {} for key in ("headers", "words", "statistics"))
    written = fields.of(about["columns"], about.get("forms") or {})
    made: dict[str, Column] = {}
    for name, kind in about["columns"].items():
        header, known = headers.get(name, name), statistics.get(name) or {}
        own = (header, written[name], blanks)
        if kind == NUMBER:
            made[name] = Numbers(*own)
        elif kind == DATE:
            made[name] = Dates(*own, *(_day(known.get(end)) for end in ("low", "high")))
        elif kind in (TEXT, LETTERS) and name not in words:  # an older export says "text" for a category
            made[name] = Texts(*own, known.get("words", ()), kind == LETTERS)
        elif isinstance(kind, list) or kind == ARRAY:
            made[name] = Arrays(*own, kind if isinstance(kind, list) else ())
        else:
            made[name] = Words(*own, words.get(name) or known.get("words", ()))
    return made
