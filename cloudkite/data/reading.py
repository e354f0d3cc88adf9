"""Reads a person's table, whoever asks: its header, and its records in chunks, each with the line it begins at.

Whether a file is text at all, `encoding` tells; what its fields say, `fields`. A trainer reads UTF-8 with commas; `new`
and `predict` take what people have, spreadsheets, Parquet and SQLite included, see `form_of`.
"""

from __future__ import annotations

import csv
import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from cloudkite.data import encoding, sheets
from cloudkite.data.fields import clean
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _

CHUNK = 10_000  # records, or fewer of very long ones
_FEW, _CHUNK_BYTES = 16, 64 * 2**20
_FIRST = 2**20  # characters that are looked at of a line
FIELD = 10 * 2**20  # characters of a field; a quote that is never closed swallows the rest of the file
QUOTES = _("does a double quote open and not close, or stand inside a field?")
_SAMPLE = 200  # records that are looked at to find the header
_ABOVE = 20  # records that may stand above it: a title, a date, a blank line
_OTHERS = {";": _("semicolons"), "\t": _("tabs"), "|": _("bars")}


@dataclass(frozen=True)
class Form:
    """How a file is written: Python's name of its encoding, and what stands between fields.

    Of a file that is no text, `what` is its kind in `sheets`, and `which` the sheet or query. `names` are the columns
    where they don't stand in the first line alone, and `above` the records up to the first row; () for the usual way.
    """

    codec: str = "utf-8-sig"
    mark: str = ","
    what: str = ""
    which: str = ""
    names: tuple[str, ...] = ()
    above: int = 0


UTF8 = Form()


class Broken(Exception):
    """Fields that can't be told apart in the record that begins at `line`; `why` is Python's word for it.

    `how` is what may help.
    """

    def __init__(self, line: int, why: str, how: str = QUOTES) -> None:
        super().__init__(line, why)
        self.line, self.why, self.how = line, why, how


@dataclass(frozen=True)
class Chunk:
    """Records that are no blank lines, as they are written, and the line at which each begins."""

    rows: list[list[str]]
    lines: Sequence[int]
    breaks: bool  # some field has a line break in it


class Records(ABC):
    """An open file: the header first, then the chunks. Both raise Broken."""

    def __init__(self, form: Form = UTF8) -> None:
        self._form, self._more = form, True

    def header(self) -> list[str]:
        """The fields of the first line; [] when it is blank, or the file is empty."""
        rows, _lines, broken = self._take(1)
        if broken:
            raise broken
        return rows[0] if rows else []

    def chunks(self) -> Iterator[Chunk]:
        """All that follows. What comes before a record that is broken is given, too."""
        while True:
            rows, lines, broken = self._take(CHUNK)
            breaks = not isinstance(lines, range)
            if [] in rows:
                filled = [(row, line) for row, line in zip(rows, lines, strict=True) if row]
                rows, lines = [row for row, _line in filled], [line for _row, line in filled]
            if rows:
                yield Chunk(rows, lines, breaks)
            if broken:
                raise broken
            if not self._more:
                return

    def named(self) -> tuple[list[str], Iterator[Chunk]]:
        """The names of the columns, [] when there are none, and the chunks of what follows them.

        They stand in the first line that isn't blank, unless the form says otherwise.
        """
        if self._form.names:
            return list(self._form.names), self._below()
        header, chunks = self.header(), self.chunks()
        if any(header):
            return header, chunks
        for chunk in chunks:
            for i, row in enumerate(chunk.rows, start=1):
                if any(row):
                    rest = Chunk(chunk.rows[i:], chunk.lines[i:], chunk.breaks)
                    return row, chain([rest] if rest.rows else [], chunks)
        return [], iter(())

    def _below(self) -> Iterator[Chunk]:
        """The chunks of what follows the header of a form that says where it is."""
        above = self._form.above
        for chunk in self.chunks():
            skipped = min(above, len(chunk.rows))
            above -= skipped
            if skipped < len(chunk.rows):
                yield Chunk(chunk.rows[skipped:], chunk.lines[skipped:], chunk.breaks) if skipped else chunk

    @abstractmethod
    def _take(self, most: int) -> tuple[list[list[str]], Sequence[int], Broken | None]:
        """At most so many further rows, where each begins, and what ended them too early."""


class _Text(Records):
    def __init__(self, file: TextIO, form: Form) -> None:
        super().__init__(form)
        self._reader = csv.reader(file, strict=True, delimiter=form.mark)
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    def _take(self, most: int) -> tuple[list[list[str]], Sequence[int], Broken | None]:
        rows: list[list[str]] = []
        start, error, before = self._reader.line_num, None, csv.field_size_limit(FIELD)
        try:
            begun = self._file.buffer.tell()
            while self._more and len(rows) < most and self._file.buffer.tell() - begun < _CHUNK_BYTES:
                had = len(rows)
                rows.extend(islice(self._reader, min(_FEW, most - had)))
                self._more = len(rows) > had
        except csv.Error as found:  # the rows before it are there
            error = found
        finally:
            csv.field_size_limit(before)
        if self._file.buffer.tell() > self._size:
            return [], range(0), Broken(start + 1, _("the file grew while it was read"), _("wait until it is complete"))
        passed = self._reader.line_num - start
        if passed == len(rows) + bool(error):
            return rows, range(start + 1, start + 1 + len(rows)), Broken(start + passed, str(error)) if error else None
        lines, at = [], start + 1
        for row in rows:
            lines.append(at)
            at += 1 + sum(map(_breaks, row))
        return rows, lines, Broken(at, str(error)) if error else None


class _Cells(Records):
    def __init__(self, path: Path, form: Form) -> None:
        super().__init__(form)
        self._rows, self._line = sheets.rows(path, form.what, form.which), 0

    def _take(self, most: int) -> tuple[list[list[str]], Sequence[int], Broken | None]:
        found = list(islice(self._rows, most))
        self._more = len(found) == most
        lines = range(self._line + 1, self._line + 1 + len(found))
        self._line += len(found)
        if all(map(any, found)):
            return found, lines, None
        filled = [(row, line) for row, line in zip(found, lines, strict=True) if any(row)]
        return [row for row, _line in filled], [line for _row, line in filled], None


def _breaks(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


@contextmanager
def opened(path: Path, form: Form = UTF8) -> Iterator[Records]:
    """The records of a table; a byte order mark is none of it. Raises BadValue for a damaged one that is no text."""
    if form.what:
        yield _Cells(path, form)
        return
    with path.open(encoding=form.codec, newline="") as file:
        yield _Text(file, form)


def form_of(
    path: Path, names: Collection[str] = (), *, codec: str = "", sheet: str = "", query: str = ""
) -> tuple[Form, list[str]]:
    """How a person's file is written, and notes on what of that is a guess. Raises BadValue for what is no table.

    `names` are columns that it should have: they prove an old encoding, choose among sheets and find the header. What
    was settled before, or is given by a person, is `codec`, `sheet` and `query`.
    """
    notes: list[str] = []
    what = sheets.kind(path) if path.is_file() else ""
    if what:
        which = ""
        if what == sheets.WORKBOOK:
            which, note = sheets.sheet(path, names, sheet)
            notes += [note] if note else []
        elif what == sheets.SQLITE:
            which = sheets.query(path, query)
        form = Form(what=what, which=which)
    else:
        if query:
            raise BadValue(
                _("--query needs a database, and {path} is none").format(path=path.name),
                _("give --data a SQLite file"),
            )
        form = Form(_codec(path, names, codec, notes))
        form = Form(form.codec, _mark(path, form, names))
        if form.mark != ",":
            said = _("{name}: the fields are separated by {marks}")
            notes.append(said.format(name=path.name, marks=_OTHERS[form.mark]))
    return _with_header(path, form, names), notes


def _codec(path: Path, names: Collection[str], given: str, notes: list[str]) -> str:
    """The encoding of a file: UTF-8, the one that was `given`, or a guess that `notes` tell."""
    found = encoding.problem(path, path.name, names)
    if found and not found.codec and not given:
        raise BadValue(found.what, found.how)
    if given:
        try:
            if encoding.fits(path, given):
                return "utf-8-sig" if given.lower() in ("utf-8", "utf8") else given
        except LookupError:
            raise BadValue(
                _("{name} isn't an encoding").format(name=repr(given)),
                _("for example: cp949, shift_jis, gb18030, cp1252, utf-16"),
            ) from None
        raise BadValue(
            _("{path} isn't text in {encoding}").format(path=path.name, encoding=given),
            str(found or "") or _("leave --encoding out: it is UTF-8"),
        )
    if not found:
        return UTF8.codec
    said = _("{what}, and is read as that") if found.proven else _("{what}, by its looks; --encoding NAME says another")
    notes.append(said.format(what=found.what))
    return found.codec


def _mark(path: Path, form: Form, names: Collection[str]) -> str:
    """What stands between the fields: in the line that has a name of the columns, else in the first one."""
    with path.open(encoding=form.codec, newline="") as file:
        lines = [line for line in islice(iter(lambda: file.readline(_FIRST), ""), _ABOVE) if line.strip(' \r\n",;|\t')]
    bare = [re.sub(r'"[^"]*"', '""', line) for line in lines]
    for name in names:
        found = [line for line in lines if name in line]
        for line in found:
            for mark in (",", *_OTHERS):
                if name in [clean(part.strip().strip('"')) for part in line.strip("\r\n").split(mark)] and mark in line:
                    return mark
    first = bare[0] if bare else ""
    return next((one for one in _OTHERS if one in first), ",") if "," not in first else ","


def _with_header(path: Path, form: Form, names: Collection[str]) -> Form:
    """The form with the names of the columns where they don't stand in the first line alone."""
    if not names:
        return form
    try:
        with opened(path, form) as file:
            sample = list(islice((row for chunk in file.chunks() for row in chunk.rows), _SAMPLE))
    except Broken:  # told when the rows are read
        return form
    texts = [[clean(text) for text in row] for row in sample]
    scores = [sum(name in row for name in names) for row in texts[:_ABOVE]]
    if not scores or not max(scores):
        return form
    at = scores.index(max(scores))
    top = next(i for i, row in enumerate(texts) if any(row))
    body = _body(texts, at)
    own = [_lowest(texts[at:body], i) for i in range(max(map(len, texts[at:body])))]
    if at == top and body == at + 1 and len(set(filled := [name for name in own if name])) == len(filled):
        return form
    groups = texts[_groups(texts, at) : at]
    return Form(form.codec, form.mark, form.what, form.which, tuple(_apart(own, [*groups, *texts[at:body]])), body)


def _body(texts: list[list[str]], at: int) -> int:
    """The index of the first row. A header goes on below names that leave gaps, as cells that were merged do, with
    words where the rows have digits."""
    width = len(texts[at])
    times = Counter(texts[at])
    gaps = [i for i, name in enumerate(texts[at]) if i and (not name or times[name] > 1)]
    body = at + 1
    while gaps and body < min(len(texts) - 1, at + 3):
        row, later = texts[body], texts[body + 1 :]
        digits = [
            i for i in range(width)
            if sum(any(map(str.isdigit, other[i])) for other in later if i < len(other)) > 0.8 * len(later)
        ]  # fmt: skip
        named = any(i < len(row) and row[i] for i in gaps)
        if not named or not digits or any(i < len(row) and any(map(str.isdigit, row[i])) for i in digits):
            break
        body += 1
    return body


def _lowest(rows: list[list[str]], i: int) -> str:
    return next((row[i] for row in reversed(rows) if i < len(row) and row[i]), "")


def _groups(texts: list[list[str]], at: int) -> int:
    """Where the rows of group names above a header begin: they have more than one word, a title has one."""
    start = at
    while start and at - start < 2 and sum(map(bool, texts[start - 1])) > 1:
        start -= 1
    return start


def _apart(own: list[str], rows: list[list[str]]) -> list[str]:
    """The names, each with its group's where two are the same. How far a group reaches is lost in a table, so the
    group's name is used for nothing else."""
    twice, made = Counter(own), []
    for i, name in enumerate(own):
        if name and twice[name] > 1:
            above = [next((row[j] for j in range(min(i, len(row) - 1), -1, -1) if row[j]), "") for row in rows[:-1]]
            name = " ".join([*(group for group in above[:1] if group and group != name), name])
        made.append(name)
    return made


def separator(header: Sequence[str]) -> str:
    """What stands between the fields instead of commas, in words; "" when nothing seems to."""
    return next((name for mark, name in _OTHERS.items() if len(header) == 1 and mark in header[0]), "")
