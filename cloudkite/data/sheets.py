"""Tables in files that are no text: Excel and OpenDocument, Parquet, SQLite. Rows are texts, as a CSV has them."""

from __future__ import annotations

import datetime
import math
import re
import sqlite3
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, near

WORKBOOK, PARQUET, SQLITE = "workbook", "parquet", "sqlite"
_TOP = 20  # rows in which the names of columns are looked for
_BATCH = 10_000
_LARGEST = 2 << 30  # bytes of a spreadsheet when it is unpacked
_EITHER = re.compile(r"-?[1-9]\d{0,2}\.\d{3}")
_SHEETS = re.compile(r'<(?:\w+:)?sheet\b[^>]*?\bname="([^"]*)"[^>]*?\bid="([^"]*)"')
_RELATIONS = (re.compile(r"<Relationship\b[^>]*>"), re.compile(r'\bId="([^"]*)"'), re.compile(r'\bTarget="([^"]*)"'))
_UNCALCULATED = re.compile(
    rb'<(?:\w+:)?c\b[^>]*?\br="([A-Z]+\d+)"[^>]*>\s*<(?:\w+:)?f\b[^>]*?(?:/>|>[^<]*</(?:\w+:)?f>)'
    rb"\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)


# NotImplementedError is zipfile's own, for archives that are packed or locked in a way it doesn't know.
_NO_ARCHIVE = (zipfile.BadZipFile, OSError, ValueError, NotImplementedError)


def kind(path: Path) -> str:
    """Which of these a file is, by its content; "" for none of them."""
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"PAR1"):
        return PARQUET
    if start.startswith(b"SQLite format 3\0"):
        return SQLITE
    if start.startswith(b"\xd0\xcf\x11\xe0"):  # Excel before 2007
        return WORKBOOK
    if start.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(path) as archive:
                inside = archive.namelist()
        except _NO_ARCHIVE:
            return ""
        return WORKBOOK if any(one.startswith("xl/") or one == "content.xml" for one in inside) else ""
    return ""


def sheet(path: Path, names: Collection[str], wanted: str = "") -> tuple[str, str]:
    """(the sheet to read, a note when it was chosen among several): the one that has the most of `names`, or `wanted`.

    Raises BadValue.
    """
    book = _book(path)
    if wanted:
        if wanted not in book.sheet_names:
            raise BadValue(
                _("{path} has no sheet {name}").format(path=path.name, name=repr(wanted)),
                near(wanted, book.sheet_names),
            )
        return wanted, ""
    best, most = "", -1
    for name in book.sheet_names:
        top = list(islice(_cells(path, book, name), _TOP))
        found = {" ".join(cell.split()) for row in top for cell in row}
        score = sum(one in found for one in names) if len(top) > 1 else -1
        if score > most:
            best, most = name, score
    if not best:
        raise BadValue(_("{path} has no sheet with a table").format(path=path.name))
    if len(book.sheet_names) == 1:
        return best, ""
    said = _("{path}: of its sheets {names}, {sheet} is read; --sheet NAME takes another")
    shown = ", ".join(map(repr, book.sheet_names[:5])) + (", ..." if len(book.sheet_names) > 5 else "")
    return best, said.format(path=path.name, names=shown, sheet=repr(best))


def query(path: Path, wanted: str = "") -> str:
    """The query that gives the table of a SQLite file: `wanted`, or all of the one table that it has."""
    if wanted:
        return wanted
    with closing(_database(path)) as database:
        try:
            found = database.execute(
                "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY 1"
            ).fetchall()
        except sqlite3.Error as error:
            raise _damaged(path, error) from None
    tables = [name for (name,) in found]
    if len(tables) != 1:
        shown = ", ".join(tables[:10]) or _("none")
        raise BadValue(
            _("{path}: which table? it has {names}").format(path=path.name, names=shown),
            _('add --query "SELECT * FROM {name}"').format(name=tables[0] if tables else "TABLE"),
        )
    return 'SELECT * FROM "' + tables[0].replace('"', '""') + '"'  # noqa: S608


def rows(path: Path, what: str, which: str) -> Iterator[list[str]]:
    """The rows, names of the columns first; `which` is the sheet or the query. Raises BadValue."""
    if what == WORKBOOK:
        _refuse_uncalculated(path, which)
        yield from _cells(path, _book(path), which)
    elif what == PARQUET:
        yield from _parquet(path)
    else:
        yield from _selected(path, which)


def _book(path: Path) -> Any:
    import python_calamine

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(one.file_size for one in archive.infolist())
        if size > _LARGEST:  # all of it would be in memory at once
            raise BadValue(
                _("{path} holds more than {most} GiB").format(path=path.name, most=_LARGEST >> 30),
                _("save the sheet as 'CSV UTF-8', which is read row by row"),
            )
    try:
        return python_calamine.CalamineWorkbook.from_path(path)
    except Exception as error:  # of a library that raises several kinds for what is damaged or locked by a password
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> BadValue:
    return BadValue(
        _("{path} can't be read: {error}").format(path=path.name, error=str(error).splitlines()[0][:200]),
        _("open it in the program that made it, and save it again, without a password; 'CSV UTF-8' is read, too"),
    )


def _cells(path: Path, book: Any, name: str) -> Iterator[list[str]]:
    try:
        found = book.get_sheet_by_name(name).to_python(skip_empty_area=True)
    except Exception as error:
        raise _damaged(path, error) from None
    for row in found:
        yield [text(cell) for cell in row]


def _refuse_uncalculated(path: Path, name: str) -> None:
    """Raise BadValue for a formula whose value isn't in the file: programs write such files, and it reads as blank."""
    try:
        with zipfile.ZipFile(path) as archive:
            book = archive.read("xl/workbook.xml").decode("utf-8", "replace")
            relations = archive.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
            ids = {one: key for one, key in _SHEETS.findall(book)}
            each, key, target = _RELATIONS
            targets = {
                k[1]: t[1] for part in each.findall(relations) if (k := key.search(part)) and (t := target.search(part))
            }
            place = targets.get(ids.get(_escaped(name), ""), "")
            inside = place.lstrip("/") if place.startswith("/") else f"xl/{place}"
            found = _UNCALCULATED.search(archive.read(inside))
    except (KeyError, *_NO_ARCHIVE):
        return  # another format, or names that aren't where Excel writes them
    if found:
        said = _("{path}: the formula in {cell} was never calculated, so its value isn't in the file")
        raise BadValue(
            said.format(path=path.name, cell=found[1].decode()), _("open it in a spreadsheet program, and save it")
        )


def _escaped(name: str) -> str:
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _parquet(path: Path) -> Iterator[list[str]]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            for field in schema:
                if pyarrow.types.is_nested(field.type):
                    raise BadValue(
                        _("{path}: the column {name} holds {kind}").format(
                            path=path.name, name=field.name, kind=field.type
                        ),
                        _("write arrays as .npz, or make a column of each value"),
                    )
            yield list(schema.names)
            for batch in file.iter_batches(_BATCH):
                columns = [list(map(text, column.to_pylist())) for column in batch.columns]
                yield from map(list, zip(*columns, strict=True))
    except (pyarrow.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _database(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _selected(path: Path, sql: str) -> Iterator[list[str]]:
    with closing(_database(path)) as database:
        try:
            found = database.execute(sql)
            if found.description is None:
                raise BadValue(
                    _("{path}: the query gives no rows: {query}").format(path=path.name, query=sql),
                    _("it must begin with SELECT or WITH"),
                )
            yield [one[0] for one in found.description]
            while some := found.fetchmany(_BATCH):
                yield from (list(map(text, row)) for row in some)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise BadValue(_("{path}: {error}").format(path=path.name, error=error), _("fix --query")) from None


def text(value: Any) -> str:
    """A cell's value as a CSV would have it: dates in ISO 8601, whole numbers without a fraction, nothing as blank."""
    write = _WRITERS.get(type(value))
    return write(value) if write else str(value)


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    if value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    made = repr(value)
    return f"{made}0" if _EITHER.fullmatch(made) else made  # 1.234 may be read as a thousand and more


def _moment(value: datetime.datetime) -> str:
    # The time zone is left away: the day and hour that the clock showed are what a model learns from.
    if value.time() == datetime.time():
        return value.date().isoformat()
    return value.replace(tzinfo=None, microsecond=0).isoformat()


def _span(value: datetime.timedelta) -> str:
    minutes, seconds = divmod(round(value.total_seconds()), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: str,
    int: str,
    float: _number,
    type(None): lambda _value: "",
    datetime.datetime: _moment,
    datetime.date: datetime.date.isoformat,
    datetime.timedelta: _span,
    bytes: lambda value: value.decode("utf-8", "replace"),
}
