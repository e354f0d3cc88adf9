"""What a model is asked: rows that a person typed or has in a file, under their own column names.

They are read as `new` reads a table, so that whatever a trainer was made from can be asked about; all that is taken for
granted on the way is told afterwards.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudkite.data import missing, number, reading
from cloudkite.data.table import clean
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, counted, near

Value = float | str | None  # None: blank
_SHOWN = 3  # words in a note
_KEPT = 1000  # different words that are counted for a note


@dataclass(frozen=True)
class Batch:
    """Rows to ask about: `names` and `fields` as they were written, `columns` as the model wants them."""

    names: list[str]
    fields: list[list[Any]]
    columns: dict[str, list[Value]]


class Questions:
    """Reads rows for one model; `notes` tells afterwards what of them was missing, unknown or read in another way."""

    def __init__(self, about: Mapping[str, Any]) -> None:
        self._kinds: Mapping[str, str] = about["columns"]
        self._headers: Mapping[str, str] = about.get("headers") or {}
        self._words = {name: frozenset(words) for name, words in (about.get("words") or {}).items()}
        self._rows = 0
        self._told: list[str] = []  # of the file itself
        self._lacking: Counter[str] = Counter()
        self._unknown: dict[str, Counter[str]] = {}
        self._blank: Counter[str] = Counter()
        self._grouped: dict[str, str] = {}

    def header(self, name: str) -> str:
        """What the person calls a column of the model."""
        return self._headers.get(name, name)

    @property
    def headers(self) -> list[str]:
        """The person's names of all columns."""
        return [self.header(name) for name in self._kinds]

    def typed(self, rows: Sequence[str | Mapping[str, Any]]) -> Batch:
        """Rows as "column=value,column=value", JSON or mappings. Raises BadValue."""
        given = [row if isinstance(row, Mapping) else _parse(row) for row in rows]
        parts = [self._typed(row) for row in given]
        names = list(dict.fromkeys(name for row in given for name in row))
        fields = [["" if row.get(name) is None else row[name] for name in names] for row in given]
        return Batch(names, fields, {name: [part[name] for part in parts] for name in self._kinds})

    def _typed(self, row: Mapping[str, Any]) -> dict[str, Value]:
        names = list(row)
        where = self._places(names)
        if unknown := [name for i, name in enumerate(names) if i not in where.values()]:
            raise BadValue(_("the model has no column {name}").format(name=unknown[0]), near(unknown[0], self.headers))
        if twice := next((name for name in names if [clean(n) for n in names].count(clean(name)) > 1), None):
            raise BadValue(_("the column {name} is given twice").format(name=twice))
        self._count(1, where)
        return {name: self._value(name, row[names[where[name]]] if name in where else None) for name in self._kinds}

    def file(self, path: Path) -> Iterator[Batch]:
        """The rows of a CSV file, as many at once as are read together. Raises BadValue."""
        if not path.is_file():
            raise BadValue(_("the file {path} doesn't exist").format(path=path))
        form, self._told = reading.form_of(path)
        try:
            with reading.opened(path, form) as file:
                header, chunks = file.named()
                where = self._header(path, header)
                for chunk in chunks:
                    yield self._chunk(path, chunk, header, where)
        except reading.Broken as error:
            raise BadValue(f"{path.name}:{error.line}: {error.why}", error.how) from None

    def _header(self, path: Path, header: list[str]) -> dict[str, int]:
        """The index of each of the model's columns that the file has."""
        where = self._places(header)
        if not where:
            raise BadValue(
                _("{path}: no column of the model is in the first line").format(path=path),
                _("the model has {columns}").format(columns=", ".join(self.headers)),
            )
        cleaned = list(map(clean, header))
        if twice := next((cleaned[i] for i in where.values() if cleaned.count(cleaned[i]) > 1), None):
            raise BadValue(_("{path}:1: the column {column} is there twice").format(path=path.name, column=twice))
        return where

    def _chunk(self, path: Path, chunk: reading.Chunk, header: list[str], where: Mapping[str, int]) -> Batch:
        for line, row in zip(chunk.lines, chunk.rows, strict=True):
            if len(row) != len(header):
                raise BadValue(
                    _("{path}:{line}: {found} fields, expected {width}").format(
                        path=path.name, line=line, found=len(row), width=len(header)
                    ),
                    _('a comma inside a field needs quotes: "Kim, Minji"'),
                )
        self._count(len(chunk.rows), where)
        by_index = list(zip(*chunk.rows, strict=True))
        columns: dict[str, list[Value]] = {}
        for name in self._kinds:
            if name in where:
                places = (f"{path.name}:{line}: " for line in chunk.lines)
                columns[name] = self._column(name, by_index[where[name]], places)
            else:
                columns[name] = [None] * len(chunk.rows)
        return Batch(header, chunk.rows, columns)

    def _count(self, rows: int, where: Mapping[str, int]) -> None:
        self._rows += rows
        self._lacking.update({name: rows for name in self._kinds if name not in where})

    def _places(self, names: Sequence[str]) -> dict[str, int]:
        """The index of each column of the model among a person's names, theirs or the model's.

        One file has theirs, and the copy that `new` made has the model's: that which fits more columns is meant, as a
        name of theirs may be the model's for another column.
        """
        cleaned = {clean(name): i for i, name in reversed(list(enumerate(names)))}
        if "" in cleaned and cleaned[""] == 0:
            cleaned.setdefault("row_number", 0)  # as `new` calls a first column without a name
        ways = [{name: name for name in self._kinds}, {name: self.header(name) for name in self._kinds}]
        ways.sort(key=lambda way: sum(called in cleaned for called in way.values()))
        where: dict[str, int] = {}
        for way in reversed(ways):
            for name, called in way.items():
                if name not in where and cleaned.get(called, -1) not in (-1, *where.values()):
                    where[name] = cleaned[called]
        return where

    def _column(self, name: str, texts: Sequence[str], places: Iterator[str]) -> list[Value]:
        if self._kinds[name] != "number":
            return self._known(name, texts)
        numbers = number.all_of([text for text in texts if text])
        if numbers is None:
            return [self._number(name, text, place) for text, place in zip(texts, places, strict=True)]
        if len(numbers) == len(texts):
            return list(numbers)
        following = iter(numbers)
        return [next(following) if text else None for text in texts]

    def _value(self, name: str, value: Any) -> Value:
        """A value that was typed."""
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            said = _("{name} is {value!r}, neither a number nor text")
            raise BadValue(said.format(name=self.header(name), value=value))
        read = self._column(name, [str(value)], iter([""]))[0]
        return None if read == "" else read

    def _number(self, name: str, text: str, place: str) -> float | None:
        plain = text.strip()
        if not plain:
            return None
        if plain.lower() in missing.WORDS:
            self._blank[plain] += 1
            return None
        value = number.written(plain)
        if value is None:
            raise BadValue(
                f"{place}{self.header(name)}: {number.wrong(text)}",
                _("{name} is a column of numbers").format(name=self.header(name)),
            )
        if "," in plain:
            self._grouped.setdefault(name, plain)
        return value

    def _known(self, name: str, texts: Sequence[str]) -> list[Value]:
        """Words as the model knows them, if it tells which it knows."""
        known = self._words.get(name)
        if not known or not (others := set(texts) - known - {""}):
            return list(texts)
        meant: dict[str, str] = {}
        for text in others:
            plain = clean(text)
            if plain in known or not plain:
                meant[text] = plain
            elif plain.lower() in missing.WORDS:
                meant[text] = ""
        times = Counter(text for text in texts if text in others)
        unknown = self._unknown.setdefault(name, Counter())
        for text, count in times.items():
            if text not in meant:
                unknown[text if text in unknown or len(unknown) < _KEPT else ""] += count
            elif not meant[text] and text.strip():
                self._blank[clean(text)] += count
        return [meant.get(text, text) for text in texts]

    def notes(self) -> list[str]:
        """What was taken for granted, one line a kind and column."""
        told = [*self._told]
        always = [self.header(name) for name, count in self._lacking.items() if count == self._rows]
        if always:
            told.append(_("not given, so blank to the model: {columns}").format(columns=", ".join(always)))
        for name, count in self._lacking.items():
            if count < self._rows:
                said = _("not given in {count} of {rows} rows, so blank to the model: {column}")
                told.append(said.format(count=count, rows=self._rows, column=self.header(name)))
        for name, unknown in self._unknown.items():
            if words := [word for word in unknown if word]:
                shown = ", ".join(map(repr, words[:_SHOWN])) + (", ..." if len(unknown) > _SHOWN else "")
                rows = counted("{count} row", "{count} rows", sum(unknown.values()))
                said = _("{name}: the model never saw {words} ({rows})")
                told.append(said.format(name=self.header(name), words=shown, rows=rows))
        if self._blank:
            told.append(_("read as blank: {words}").format(words=", ".join(sorted(self._blank))))
        for name, text in self._grouped.items():
            said = _("{name}: {text!r} is read as {plain}")
            told.append(said.format(name=self.header(name), text=text, plain=text.replace(",", "")))
        return told


def parse(row: str | Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Value]:
    """One row as a model with `columns` wants it. Raises BadValue."""
    return {name: values[0] for name, values in Questions({"columns": columns}).typed([row]).columns.items()}


def _parse(text: str) -> dict[str, Any]:
    """A row as it is typed on the command line."""
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadValue(_("the row isn't JSON: {error}").format(error=error), '{"column": value, ...}') from None
    given: dict[str, Any] = {}
    # A comma separates columns only where a name and "=" follow: "name=Kim, Min-ji,age=20" has two.
    for part in re.split(r",(?=\s*[^,=]+=)", text):
        name, equals, value = part.partition("=")
        if not equals:
            raise BadValue(_("{part!r} isn't column=value").format(part=part), "--row column=value,column=value")
        if name.strip() in given:
            raise BadValue(_("the column {name} is given twice").format(name=name.strip()))
        given[name.strip()] = value.strip()
    return given
