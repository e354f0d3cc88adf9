"""Reads a CSV file in chunks of rows, and tells headers and rows that are not as declared, by file and line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cloudkite.check.findings import FAILED, Findings
from cloudkite.check.numbers import wrong
from cloudkite.data.declared import Declared
from cloudkite.show.text import _, near

_CHUNK = 10_000  # rows
_FIELD = 10 * 2**20  # characters of a field; a quote that is never closed swallows the rest of the file
_OTHERS = {";": _("semicolons"), "\t": _("tabs"), "|": _("bars")}


@dataclass(frozen=True)
class Source:
    """A file to check. `name` is how messages call it; `whole` is False for the beginning of a larger one."""

    name: str
    path: Path
    whole: bool = True


@dataclass(frozen=True)
class Chunk:
    """Rows that are as wide as the header: all fields by row, those declared by column, and each row's line."""

    name: str
    rows: list[list[str]]
    columns: dict[str, Sequence[str]]
    lines: Sequence[int]

    def place(self, row: int) -> str:
        """Where a row is, as `file.csv:17`."""
        return f"{self.name}:{self.lines[row]}"


def chunks(source: Source, declared: Declared, findings: Findings, unused: set[str]) -> Iterator[Chunk]:
    """The file's rows, as far as its quotes can be followed. Columns that nobody declared are added to `unused`."""
    before = csv.field_size_limit(_FIELD)
    try:
        with source.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                header = next(reader, [])
                where = _places(source.name, header, declared, findings)
                if where:
                    unused |= {name for name in header if name not in where}
                    yield from _rows(source.name, reader, len(header), where, findings)
            except csv.Error as error:
                said = _("{name}:{line}: {error}; does a double quote open and not close, or stand inside a field?")
                findings.add(FAILED, said.format(name=source.name, line=reader.line_num, error=error))
    finally:
        csv.field_size_limit(before)


def _places(name: str, header: list[str], declared: Declared, findings: Findings) -> dict[str, int]:
    """The index of each declared column; {}, and findings, when one can't be found."""
    wanted = [*declared.columns, declared.label]
    if problem := _no_header(header, wanted):
        findings.add(FAILED, f"{name}:1: {problem}")
        return {}
    for column in wanted:
        if column not in header:
            said = _("the column {column} is missing; {advice}").format(column=column, advice=near(column, header))
            findings.add(FAILED, f"{name}:1: {said}")
        elif header.count(column) > 1:
            findings.add(FAILED, f"{name}:1: {_('the column {column} is there twice').format(column=column)}")
    good = all(header.count(column) == 1 for column in wanted)
    return {column: header.index(column) for column in wanted} if good else {}


def _no_header(header: list[str], wanted: list[str]) -> str:
    """Why the first line names no columns; "" when it does."""
    if not any(header):
        return _("the file is empty; its first line must name the columns")
    for mark, name in _OTHERS.items():
        if len(header) == 1 and mark in header[0]:
            return _("the fields are separated by {name}; save the file with commas").format(name=name)
    if not set(header) & set(wanted) and any(field and wrong(field) is None for field in header):
        return _("the first line must name the columns, and has values: {values}").format(values=",".join(header)[:60])
    return ""


def _rows(
    name: str, reader: Iterator[list[str]], width: int, where: dict[str, int], findings: Findings
) -> Iterator[Chunk]:
    count, start = 0, reader.line_num  # type: ignore[attr-defined]
    while True:
        rows: list[list[str]] = []
        broken: csv.Error | None = None
        try:
            rows.extend(islice(reader, _CHUNK))
        except csv.Error as error:  # what came before the broken quote is looked at, too
            broken = error
        end = reader.line_num  # type: ignore[attr-defined]
        lines = _lines(start, rows, end - start - bool(broken))
        start, count, read = end, count + len(rows), len(rows)
        rows, lines = _whole(name, rows, lines, width, findings)
        if rows:
            columns = list(zip(*rows, strict=True))
            yield Chunk(name, rows, {column: columns[i] for column, i in where.items()}, lines)
        if broken:
            raise broken
        if read < _CHUNK:
            break
    if not count:
        findings.add(FAILED, _("{name}: a header and no row").format(name=name))


def _whole(
    name: str, rows: list[list[str]], lines: Sequence[int], width: int, findings: Findings
) -> tuple[list[list[str]], Sequence[int]]:
    """The rows with as many fields as the header, and their lines; blank lines are skipped, as trainers do."""
    if not isinstance(lines, range):
        for row, line in zip(rows, lines, strict=True):
            if any("\n" in value or "\r" in value for value in row):
                said = _("{name}:{line}: a line break inside a field").format(name=name, line=line)
                findings.repeat(FAILED, said, "line break", _("trainers read line by line: replace it by a space"))
    if set(map(len, rows)) <= {width}:
        return rows, lines
    for row, line in zip(rows, lines, strict=True):
        if row and len(row) != width:
            said = _("{name}:{line}: {found} fields, expected {width}")
            text = said.format(name=name, line=line, found=len(row), width=width)
            findings.repeat(FAILED, text, "fields", _('a comma inside a field needs quotes: "Kim, Minji"'))
    whole = [(row, line) for row, line in zip(rows, lines, strict=True) if len(row) == width]
    return [row for row, _line in whole], [line for _row, line in whole]


def _lines(start: int, rows: Sequence[Sequence[str]], passed: int) -> Sequence[int]:
    """The line in the file at which each row begins; a range when no field has a line break in it."""
    if passed == len(rows):
        return range(start + 1, start + 1 + len(rows))
    lines, at = [], start
    for row in rows:
        lines.append(at + 1)
        at += 1 + sum(value.count("\n") or value.count("\r") for value in row)
    return lines
