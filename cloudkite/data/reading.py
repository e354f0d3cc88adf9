"""Reads a person's CSV file, whoever asks: its header, and its records in chunks, each with the line it begins at.

Whether the file is text at all, `encoding` tells; what its fields say, `number` and `missing`. A trainer reads UTF-8
with commas; `new` and `predict` take what people have, see `form_of`.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from cloudkite.data import encoding
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _

CHUNK = 10_000  # records, or fewer of very long ones
_FEW, _CHUNK_BYTES = 16, 64 * 2**20
_FIRST = 2**20  # characters that are looked at of a line
FIELD = 10 * 2**20  # characters of a field; a quote that is never closed swallows the rest of the file
QUOTES = _("does a double quote open and not close, or stand inside a field?")
_OTHERS = {";": _("semicolons"), "\t": _("tabs"), "|": _("bars")}


@dataclass(frozen=True)
class Form:
    """How a file is written: Python's name of its encoding, and what stands between fields."""

    codec: str = "utf-8-sig"
    mark: str = ","


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


class Records:
    """An open file: the header first, then the chunks. Both raise Broken."""

    def __init__(self, file: TextIO, mark: str = ",") -> None:
        self._reader = csv.reader(file, strict=True, delimiter=mark)
        self._file, self._more = file, True
        self._size = os.fstat(file.fileno()).st_size

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
        """The first line that isn't blank, [] when there is none, and the chunks of what follows it."""
        header, chunks = self.header(), self.chunks()
        if any(header):
            return header, chunks
        for chunk in chunks:
            for i, row in enumerate(chunk.rows, start=1):
                if any(row):
                    rest = Chunk(chunk.rows[i:], chunk.lines[i:], chunk.breaks)
                    return row, chain([rest] if rest.rows else [], chunks)
        return [], iter(())

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


def _breaks(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


@contextmanager
def opened(path: Path, form: Form = UTF8) -> Iterator[Records]:
    """The records of a file that is text; a byte order mark is none of it."""
    with path.open(encoding=form.codec, newline="") as file:
        yield Records(file, form.mark)


def form_of(path: Path) -> tuple[Form, list[str]]:
    """How a person's file is written, and notes on what of that is a guess. Raises BadValue for what is no text."""
    codec, notes = UTF8.codec, []
    if found := encoding.problem(path, path.name):
        if not found.codec:
            raise BadValue(found.what, found.how)
        codec = found.codec
        notes.append(_("{what}, and is read as that").format(what=found.what))
    with path.open(encoding=codec, newline="") as file:
        first = next((line for line in iter(lambda: file.readline(_FIRST), "") if line.strip(' \r\n",;|\t')), "")
    bare = re.sub(r'"[^"]*"', "", first)
    mark = next((one for one in _OTHERS if one in bare), ",") if "," not in bare else ","
    if mark != ",":
        notes.append(_("{name}: the fields are separated by {marks}").format(name=path.name, marks=_OTHERS[mark]))
    return Form(codec, mark), notes


def separator(header: Sequence[str]) -> str:
    """What stands between the fields instead of commas, in words; "" when nothing seems to."""
    return next((name for mark, name in _OTHERS.items() if len(header) == 1 and mark in header[0]), "")
