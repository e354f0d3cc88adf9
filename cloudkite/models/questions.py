"""What a model is asked: rows that a person typed or has in a file, under their own column names.

They are read as `new` reads a table, so that whatever a trainer was made from can be asked about; all that is taken for
granted on the way is told afterwards.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudkite.data import encoding, reading
from cloudkite.data.fields import clean
from cloudkite.models.columns import Arrays, Value, columns
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, near

_ARRAY_BYTES = 64 * 2**20  # of one array that are asked about at once


@dataclass(frozen=True)
class Batch:
    """Rows to ask about: `names` and the `fields` of each as they were written, `columns` as the model wants them."""

    rows: int
    names: list[str]
    fields: list[Sequence[Any]]
    columns: Mapping[str, Sequence[Value]]


class Questions:
    """Reads rows for one model; `notes` tells afterwards what of them was missing, unknown or read in another way."""

    def __init__(self, about: Mapping[str, Any]) -> None:
        self._blank: Counter[str] = Counter()
        self._columns = columns(about, self._blank)
        self._file: Mapping[str, str] = (about.get("forms") or {}).get("", {})  # how the first file was written
        self._rows = 0
        self._told: list[str] = []  # of the file itself
        self._lacking: Counter[str] = Counter()

    def header(self, name: str) -> str:
        """What the person calls a column of the model."""
        return self._columns[name].header

    @property
    def headers(self) -> list[str]:
        """The person's names of all columns."""
        return [self.header(name) for name in self._columns]

    def typed(self, rows: Sequence[str | Mapping[str, Any]]) -> Batch:
        """Rows as "column=value,column=value", JSON or mappings. Raises BadValue."""
        given = [row if isinstance(row, Mapping) else _parse(row) for row in rows]
        parts = [self._typed(row) for row in given]
        names = list(dict.fromkeys(name for row in given for name in row))
        fields: list[Sequence[Any]] = [["" if row.get(name) is None else row[name] for row in given] for name in names]
        return Batch(len(given), names, fields, {name: [part[name] for part in parts] for name in self._columns})

    def _typed(self, row: Mapping[str, Any]) -> dict[str, Value]:
        names = list(row)
        where = self.places(names)
        if unknown := [name for i, name in enumerate(names) if i not in where.values()]:
            raise BadValue(_("the model has no column {name}").format(name=unknown[0]), near(unknown[0], self.headers))
        if twice := next((name for name in names if [clean(n) for n in names].count(clean(name)) > 1), None):
            raise BadValue(_("the column {name} is given twice").format(name=twice))
        self._count(1, where)
        given = {name: row[names[place]] for name, place in where.items()}
        return {name: column.typed(given.get(name)) for name, column in self._columns.items()}

    def file(self, path: Path) -> Iterator[Batch]:
        """The rows of a table or of an .npz file, as many at once as are read together. Raises BadValue."""
        if not path.is_file():
            raise BadValue(_("the file {path} doesn't exist").format(path=path))
        if path.suffix.lower() == ".npz":
            yield from self._arrays(path)
            return
        form, self._told = self._form(path)
        try:
            with reading.opened(path, form) as file:
                header, chunks = file.named()
                where = self._header(path, header)
                for chunk in chunks:
                    yield self._chunk(path, chunk, header, where)
        except reading.Broken as error:
            raise BadValue(f"{path.name}:{error.line}: {error.why}", error.how) from None

    def _arrays(self, path: Path) -> Iterator[Batch]:
        """The rows of arrays that have a name each, and the row as their first axis."""
        import numpy as np

        try:
            with np.load(path, allow_pickle=False) as found:
                arrays = {name: np.atleast_1d(found[name]) for name in found.files}
            texts = {name: array for name, array in arrays.items() if array.dtype.kind == "S"}
            arrays |= {name: np.char.decode(array, "utf-8", "replace") for name, array in texts.items()}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise BadValue(_("{path} can't be read: {error}").format(path=path.name, error=error)) from None
        names = list(arrays)
        where = self._header(path, names)
        rows = {len(array) for array in arrays.values()}
        if len(rows) > 1:
            counts = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
            raise BadValue(_("{path}: the arrays differ in their rows: {counts}").format(path=path.name, counts=counts))
        count, largest = rows.pop(), max(array.nbytes for array in arrays.values())
        each = max(1, reading.CHUNK if not count else min(reading.CHUNK, _ARRAY_BYTES * count // max(largest, 1)))
        beside = [name for name, array in arrays.items() if array.ndim == 1]  # of a larger one no field can be made
        for start in range(0, count, each):
            part = {name: array[start : start + each] for name, array in arrays.items()}
            length = len(part[names[0]])

            def place(row: int, start: int = start) -> str:
                return f"{path.name}, row {start + row + 1}: "

            self._count(length, where)
            columns = {
                name: column.taken(part[names[where[name]]], place) if name in where else column.blank(length)
                for name, column in self._columns.items()
            }
            yield Batch(length, beside, [part[name].tolist() for name in beside], columns)

    def _form(self, path: Path) -> tuple[reading.Form, list[str]]:
        """How a file is written: as the one that made the trainer where that fits, else by its looks."""
        names, codec = [*self.headers, *self._columns], self._file.get("codec", "")
        if codec and not (encoding.problem(path, path.name) and encoding.fits(path, codec)):
            codec = ""
        before = {"codec": codec, **{key: self._file.get(key, "") for key in ("sheet", "query")}}
        try:
            return reading.form_of(path, names, **before)
        except BadValue as error:
            if any(before.values()):
                return reading.form_of(path, names)
            arrays = [column for column in self._columns.values() if isinstance(column, Arrays)]
            if not arrays:
                raise
            hint = _(
                "many arrays come in an .npz file, a row each: numpy.savez('rows.npz', {name}=...); for one, {how}"
            )
            raise BadValue(error.message, hint.format(name=arrays[0].header, how=arrays[0].how)) from None

    def _header(self, path: Path, header: list[str]) -> dict[str, int]:
        """The index of each of the model's columns that the file has."""
        where = self.places(header)
        if not where:
            arrays = [column.how for column in self._columns.values() if isinstance(column, Arrays)]
            raise BadValue(
                _("{path}: no column of the model is in the first line").format(path=path),
                arrays[0] if arrays else _("the model has {columns}").format(columns=", ".join(self.headers)),
            )
        cleaned = list(map(clean, header))
        if twice := next((cleaned[i] for i in where.values() if cleaned.count(cleaned[i]) > 1), None):
            raise BadValue(_("{path}:1: the column {column} is there twice").format(path=path.name, column=twice))
        return where

    def _chunk(self, path: Path, chunk: reading.Chunk, header: list[str], where: Mapping[str, int]) -> Batch:
        def place(row: int) -> str:
            return f"{path.name}:{chunk.lines[row]}: "

        if set(map(len, chunk.rows)) != {len(header)}:
            at = next(i for i, row in enumerate(chunk.rows) if len(row) != len(header))
            said = _("{found} fields, expected {width}").format(found=len(chunk.rows[at]), width=len(header))
            raise BadValue(place(at) + said, _('a comma inside a field needs quotes: "Kim, Minji"'))
        self._count(len(chunk.rows), where)
        by_index: list[Sequence[Any]] = list(zip(*chunk.rows, strict=True))
        rows = len(chunk.rows)
        found = {
            name: column.read(by_index[where[name]], place) if name in where else column.blank(rows)
            for name, column in self._columns.items()
        }
        return Batch(len(chunk.rows), header, by_index, found)

    def _count(self, rows: int, where: Mapping[str, int]) -> None:
        self._rows += rows
        self._lacking.update({name: rows for name in self._columns if name not in where})

    def places(self, names: Sequence[str]) -> dict[str, int]:
        """The index of each column of the model among a person's names, theirs or the model's.

        One file has theirs, and the copy that `new` made has the model's: that which fits more columns is meant, as a
        name of theirs may be the model's for another column.
        """
        cleaned = {clean(name): i for i, name in reversed(list(enumerate(names)))}
        if "" in cleaned and cleaned[""] == 0:
            cleaned.setdefault("row_number", 0)  # as `new` calls a first column without a name
        ways = [{name: name for name in self._columns}, {name: self.header(name) for name in self._columns}]
        ways.sort(key=lambda way: sum(called in cleaned for called in way.values()))
        where: dict[str, int] = {}
        for way in reversed(ways):
            for name, called in way.items():
                if name not in where and cleaned.get(called, -1) not in (-1, *where.values()):
                    where[name] = cleaned[called]
        return where

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
        if self._blank:
            told.append(_("read as blank: {words}").format(words=", ".join(sorted(self._blank))))
        return told + [note for column in self._columns.values() for note in column.notes()]


def parse(row: str | Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Value]:
    """One row as a model with columns of such `kinds` wants it. Raises BadValue."""
    return {name: values[0] for name, values in Questions({"columns": kinds}).typed([row]).columns.items()}


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
