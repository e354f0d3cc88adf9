"""Tells headers and rows of a CSV file that are not as declared, by file and line, and hands on the others.

The trainer reads the very file, so fields count as they are written: a space beside a name, a line break in a field or
a first line that is blank is a mistake here, while `new` mends it in the copy that it makes (`cloudkite.data.table`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloudkite.check.findings import FAILED, Findings
from cloudkite.data import number, reading
from cloudkite.data.table import Column
from cloudkite.show.text import _, near


@dataclass(frozen=True)
class Source:
    """A file to check. `name` is how messages call it; `whole` is False for the beginning of a larger one.

    `loaded`: what a trainer's own load() gave, written down to be read here; its rows have numbers and no lines.
    `form`: how a file is written that no trainer reads as it is.
    """

    name: str
    path: Path
    whole: bool = True
    loaded: bool = False
    form: reading.Form = reading.UTF8


@dataclass(frozen=True)
class Chunk:
    """Rows that are as wide as the header: all fields by row, those declared by column, and each row's line."""

    name: str
    rows: list[list[str]]
    columns: dict[str, Sequence[str]]
    lines: Sequence[int]
    loaded: bool = False

    def place(self, row: int) -> str:
        """Where a row is, as `file.csv:17`, or `row 16` of what has no lines."""
        return _("row {number}").format(number=self.lines[row] - 1) if self.loaded else f"{self.name}:{self.lines[row]}"


@dataclass
class Headers:
    """What a file's first line must have, and what it may; `first` is that of the first file, which all must have where
    they are read `alike`. `names` has those of columns by what a person's own file calls them."""

    wanted: Sequence[str]
    maybe: Sequence[str] = ()
    alike: bool = True
    names: Mapping[str, str] = field(default_factory=dict)
    first: tuple[str, list[str]] | None = None


def chunks(source: Source, headers: Headers, findings: Findings, unused: dict[str, Column]) -> Iterator[Chunk]:
    """The file's rows, as far as its quotes can be followed.

    Columns that nobody declared are added to `unused`, with what the first rows of the first file say of each.
    """
    try:
        with reading.opened(source.path, source.form) as file:
            header = [headers.names.get(field.strip(), field) for field in file.header()]
            where = _places(source.name, header, headers, findings)
            if where:
                more = {name: i for i, name in enumerate(header) if name not in where and name not in unused}
                unused |= {name: Column(name) for name in more}
                for chunk in _rows(source, file, len(header), where, findings):
                    for name, i in more.items():
                        for row, line in zip(chunk.rows, chunk.lines, strict=True):
                            unused[name].add(row[i].strip(), line)
                    more = {}
                    yield chunk
    except reading.Broken as error:
        findings.add(FAILED, f"{source.name}:{error.line}: {error.why}; {error.how}")


def _places(name: str, header: list[str], headers: Headers, findings: Findings) -> dict[str, int]:
    """The index of each declared column; {}, and findings, when one can't be found."""
    wanted = headers.wanted
    if problem := _no_header(header, wanted):
        findings.add(FAILED, f"{name}:1: {problem}")
        return {}
    for column in wanted:  # what nobody declared may be there twice, or have no name
        if column not in header:
            said = _("the column {column} is missing; {advice}").format(column=column, advice=near(column, header))
            findings.add(FAILED, f"{name}:1: {said}")
        elif header.count(column) > 1:
            findings.add(FAILED, f"{name}:1: {_('the column {column} is there twice').format(column=column)}")
    if not all(header.count(column) == 1 for column in wanted):
        return {}
    headers.first = headers.first or (name, header)
    if headers.alike and header != headers.first[1]:
        said = _(
            "{name}:1: other columns than in {first}, or in another order; a trainer reads all files by one header"
        )
        findings.add(FAILED, said.format(name=name, first=headers.first[0]))
    return {column: header.index(column) for column in (*wanted, *headers.maybe) if header.count(column) == 1}


def _no_header(header: list[str], wanted: Sequence[str]) -> str:
    """Why the first line names no columns; "" when it does."""
    if not any(header):
        return _("the file is empty; its first line must name the columns")
    if other := reading.separator(header):
        return _("the fields are separated by {name}; save the file with commas").format(name=other)
    if not set(header) & set(wanted) and any(number.read(field) is not None for field in header):
        return _("the first line must name the columns, and has values: {values}").format(values=",".join(header)[:60])
    return ""


def _rows(
    source: Source, file: reading.Records, width: int, where: dict[str, int], findings: Findings
) -> Iterator[Chunk]:
    empty, name = True, source.name
    for chunk in file.chunks():
        empty = False
        rows, lines = _whole(name, chunk, width, findings)
        if rows:
            columns = list(zip(*rows, strict=True))
            yield Chunk(name, rows, {column: columns[i] for column, i in where.items()}, lines, source.loaded)
    if empty:
        findings.add(FAILED, _("{name}: a header and no row").format(name=name))


def _whole(name: str, chunk: reading.Chunk, width: int, findings: Findings) -> tuple[list[list[str]], Sequence[int]]:
    """The rows with as many fields as the header, and their lines."""
    rows, lines = chunk.rows, chunk.lines
    if chunk.breaks:
        for row, line in zip(rows, lines, strict=True):
            if any("\n" in value or "\r" in value for value in row):
                said = _("{name}:{line}: a line break inside a field").format(name=name, line=line)
                findings.repeat(FAILED, said, "line break", _("trainers read line by line: replace it by a space"))
    if set(map(len, rows)) <= {width}:
        return rows, lines
    for row, line in zip(rows, lines, strict=True):
        if len(row) != width:
            said = _("{name}:{line}: {found} fields, expected {width}")
            text = said.format(name=name, line=line, found=len(row), width=width)
            findings.repeat(FAILED, text, "fields", _('a comma inside a field needs quotes: "Kim, Minji"'))
    whole = [(row, line) for row, line in zip(rows, lines, strict=True) if len(row) == width]
    return [row for row, _line in whole], [line for _row, line in whole]
