"""What a person's CSV file holds: which columns are numbers or text, the label's classes, and what to leave out.

A trainer gets a cleaned copy, so much that `cloudkite.check.rows` has to refuse is mended here: spaces around fields,
line breaks in them, blank lines above the header, rows without a label. Any column may be chosen to learn from, so each
needs a name of its own, while the check asks that of the declared ones only.
"""

from __future__ import annotations

import csv
import keyword
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloudkite.data import encoding, missing, number, reading
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, near

# 007, +821012345678, card numbers: digits that are no quantity. Who declares such a column one of numbers is taken at
# their word by the check; here nobody has said yet what it is.
CODE = re.compile(r"[+-]?0\d.*|\+\d{7,}|\d{16,}")
# What a spreadsheet may run: https://owasp.org/www-community/attacks/CSV_Injection. A dash alone, or +82, is common.
FORMULA = re.compile(r"[=@]|[+-].*[(|!]")
MANY = 100_000  # distinct values that are kept apart, at most
CLASSES_OF_WHOLE_NUMBERS = 20  # a label with more different whole numbers is a quantity
COLUMNS = 10_000  # each is an input of the model
CLASSES = 1000  # a label with more different words is no class
FEW = 10  # rows: with fewer, a column of different words says nothing

Value = str | int


@dataclass
class Column:
    """What the rows say about one column, counted while reading."""

    name: str
    filled: int = 0
    numbers: int = 0
    whole: bool = True
    low: float = math.inf
    high: float = -math.inf
    values: Counter[str] = field(default_factory=Counter)
    most: int = MANY  # values that are kept apart
    odd: tuple[str, int] | None = None  # the first value that is no number, and its line
    blanks: set[str] = field(default_factory=set)  # values such as NA

    def add(self, text: str, line: int) -> None:
        """Count one field."""
        if not text:
            return
        if text.lower() in missing.WORDS:
            self.blanks.add(text)
        elif (value := number.read(text)) is not None and not CODE.fullmatch(text):
            self.numbers += 1
            self.whole = self.whole and value.is_integer()
            self.low, self.high = min(self.low, value), max(self.high, value)
        elif self.odd is None:
            self.odd = (text, line)
        self.filled += 1
        if len(self.values) < self.most or text in self.values:
            self.values[text] += 1

    @property
    def numeric(self) -> bool:
        """Whether every filled field is a number or a word for a blank, and one at least is a number."""
        return self.numbers > 0 and self.odd is None

    @property
    def texts(self) -> Iterable[str]:
        """The values of a column that is not of numbers."""
        return () if self.numeric else self.values

    def counted(self, blanks: frozenset[str]) -> tuple[int, int]:
        """Filled fields, and distinct values (at most `most`) among them, leaving `blanks` out."""
        gone = sum(self.values.get(word, 0) for word in blanks)
        return self.filled - gone, len([value for value in self.values if value not in blanks])


@dataclass(frozen=True)
class Table:
    """A CSV file as a trainer will read it. Names are those of the cleaned copy that `write` makes."""

    path: Path
    header: list[str]
    columns: dict[str, str]  # name -> "number" | "text": what the model sees
    originals: dict[str, str]  # name -> the person's own, for columns that had to be renamed
    ranges: dict[str, tuple[float, float]]
    label: str
    classes: tuple[Value, ...]  # () for a number to estimate
    rows: int
    blanks: frozenset[str]
    notes: list[str]
    stamp: tuple[int, int] = (0, 0)  # size and time of change of the file that was read


def read(path: Path, label: str) -> Table:
    """Look at every row of the UTF-8 CSV file `path` (commas, one header line). Raises BadValue."""
    stamp = _stamp(path)
    records = _records(path)
    header = _header(path, next(records, (0, []))[1], label)
    most = max(10 * CLASSES, min(MANY, 50 * MANY // len(header)))  # together they must fit into the memory
    columns = [Column(name, most=most) for name in header]
    where, rows, unlabelled = header.index(label), 0, 0
    for line, fields in records:
        if len(fields) != len(header):
            raise BadValue(
                _("{path}, line {line}: {found} fields, but the header has {wanted}").format(
                    path=path.name, line=line, found=len(fields), wanted=len(header)
                ),
                _('put text that holds a comma in double quotes: "Kim, Minji"'),
            )
        if not fields[where]:
            unlabelled += 1
            continue
        rows += 1
        for column, text in zip(columns, fields, strict=True):
            column.add(text, line)
    if columns[where].numeric:  # words such as NA are no labels there
        gone = sum(columns[where].values[word] for word in columns[where].blanks)
        rows, unlabelled = rows - gone, unlabelled + gone
    if not rows:
        raise BadValue(_("{path} has no rows with a label").format(path=path.name))
    blanks = frozenset().union(*(column.blanks for column in columns if column.numeric))
    notes = [_("{count} rows without a label are left out").format(count=unlabelled)] if unlabelled else []
    if blanks:
        notes.append(_("read as blank: {words}").format(words=", ".join(sorted(blanks))))
    classes = _classes(path, columns[where], blanks, notes)
    formulas = next((text for column in columns for text in (column.name, *column.texts) if FORMULA.match(text)), "")
    if formulas:
        said = _("{text!r} is a formula to a spreadsheet, and kept as the text it is: don't open the data with one")
        notes.append(said.format(text=formulas[:40]))
    seen = _choose([column for column in columns if column.name != label], rows, blanks, notes)
    if not seen:
        raise BadValue(
            _("{path} has no column to learn {label} from").format(path=path.name, label=label), " ".join(notes)
        )
    names = _plain_names(header, label)
    notes += [
        _("column {old} is called {new}, as a model's inputs need plain names").format(old=old, new=new)
        for old, new in names.items()
        if old != new and any(column.name == old for column in seen)
    ]
    return Table(
        path=path,
        header=[names[name] for name in header],
        columns={names[column.name]: "number" if column.numeric else "text" for column in seen},
        originals={new: old for old, new in names.items() if old != new},
        ranges={names[column.name]: (column.low, column.high) for column in seen if column.numeric},
        label=label,
        classes=classes,
        rows=rows,
        blanks=blanks,
        notes=notes,
        stamp=stamp,
    )


def write(table: Table, destination: Path) -> None:
    """Copy the rows of `table` with a label to `destination`: UTF-8, plain names, blanks blank, one line a row.

    Raises BadValue when the file is another than the one that was read.
    """
    where, whole = table.header.index(table.label), bool(table.classes) and isinstance(table.classes[0], int)
    _unchanged(table)
    with destination.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.header)
        records = _records(table.path)
        next(records)
        for _line, fields in records:
            if fields[where] and fields[where] not in (table.blanks if not _is_text(table) else ()):
                fields = ["" if text in table.blanks and i != where else text for i, text in enumerate(fields)]
                fields[where] = str(int(float(fields[where]))) if whole else fields[where]
                writer.writerow(fields)
    _unchanged(table)


def _unchanged(table: Table) -> None:
    if _stamp(table.path) != table.stamp:
        raise BadValue(
            _("{path} was changed while it was read").format(path=table.path.name), _("wait until it is complete")
        )


def _stamp(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except (OSError, ValueError):  # what is wrong with it is told when it is read
        return (0, 0)
    return about.st_size, about.st_mtime_ns


def _is_text(table: Table) -> bool:
    return bool(table.classes) and isinstance(table.classes[0], str)


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of the header and each record; fields trimmed, in NFC, line breaks inside made spaces."""
    if not _there(path):
        raise BadValue(_("the file {path} doesn't exist").format(path=path), _("check the name given to --data"))
    if path.is_dir():
        raise BadValue(_("{path} is a folder").format(path=path), _("give --data one CSV file"))
    if problem := encoding.problem(path, path.name):
        raise BadValue(problem.what, problem.how)
    try:
        with reading.opened(path) as file:
            header = file.header()
            records = (
                (line, row) for chunk in file.chunks() for line, row in zip(chunk.lines, chunk.rows, strict=True)
            )
            if not any(header):
                header = next((row for _line, row in records if any(row)), [])
            if other := reading.separator(header):
                raise BadValue(
                    _("{path}: the fields are separated by {name}").format(path=path.name, name=other),
                    _("save it with commas (and decimal points)"),
                )
            yield 1, _clean(header)
            for line, fields in records:
                yield line, _clean(fields)
    except reading.Broken as error:
        raise BadValue(
            _("{path}, line {line}: {why}").format(path=path.name, line=error.line, why=error.why), error.how
        ) from None


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # longer than names can be
        return False


def _clean(fields: list[str]) -> list[str]:
    return [unicodedata.normalize("NFC", " ".join(text.split())) for text in fields]


def _header(path: Path, header: list[str], label: str) -> list[str]:
    if not header:
        raise BadValue(_("{path} is empty").format(path=path.name), _("the first line must name the columns"))
    # A first column without a name is how pandas writes its row numbers.
    header = ["row_number" if not name and i == 0 else name for i, name in enumerate(header)]
    if "" in header:
        raise BadValue(
            _("{path}: column {number} has no name").format(path=path.name, number=header.index("") + 1),
            _("the first line must name each column"),
        )
    if len(header) > COLUMNS:
        raise BadValue(
            _("{path} has {count:,} columns, more than {most:,}").format(
                path=path.name, count=len(header), most=COLUMNS
            ),
            _("keep the columns that matter, or declare them in a trainer's data.py"),
        )
    twice = next((name for name, times in Counter(header).items() if times > 1), None)
    if twice:
        raise BadValue(_("{path}: two columns are called {name}").format(path=path.name, name=twice))
    if label not in header:
        raise BadValue(
            _("{path} has no column {label}").format(path=path.name, label=label or "''"), near(label, header)
        )
    return header


def _classes(path: Path, label: Column, blanks: frozenset[str], notes: list[str]) -> tuple[Value, ...]:
    filled, distinct = label.counted(blanks if label.numeric else frozenset())
    if distinct < 2:
        raise BadValue(
            _("{path}: every label is {value}").format(path=path.name, value=next(iter(label.values), "''")),
            _("there is nothing to learn from one class"),
        )
    if not label.numeric:
        if distinct > CLASSES or (filled >= FEW and distinct == filled):
            raise BadValue(
                _("{path}: {label} has {count} different values, too many for classes").format(
                    path=path.name, label=label.name, count=distinct
                ),
                _("the first that is not a number is {value} in line {line}").format(
                    value=repr(label.odd[0]) if label.odd else "", line=label.odd[1] if label.odd else 0
                ),
            )
        found: tuple[Value, ...] = tuple(sorted(label.values))
        counts = dict(label.values)
    elif label.whole and distinct <= CLASSES_OF_WHOLE_NUMBERS and filled >= 3 * distinct:
        counted = Counter[int]()
        for text, count in label.values.items():
            if text not in blanks:
                counted[int(float(text))] += count
        found = tuple(sorted(counted))
        counts = {str(value): count for value, count in counted.items()}
    else:
        notes.append(
            _("{label} is a number to estimate, from {low:g} to {high:g}").format(
                label=label.name, low=label.low, high=label.high
            )
        )
        return ()
    shown = ", ".join(str(value) for value in found[:8]) + (", ..." if len(found) > 8 else "")
    notes.append(_("{label} has {count} classes: {shown}").format(label=label.name, count=len(found), shown=shown))
    rare = [value for value, count in counts.items() if count == 1]
    if rare:
        notes.append(_("classes with a single row can't be checked: {names}").format(names=", ".join(rare[:8])))
    return found


def _choose(columns: Sequence[Column], rows: int, blanks: frozenset[str], notes: list[str]) -> list[Column]:
    """The columns to learn from; `notes` tells which others were left out, and why."""
    chosen = []
    for column in columns:
        filled, distinct = column.counted(blanks)
        reason = ""
        if filled == 0:
            reason = _("it is blank")
        elif distinct == 1:
            reason = _("it has one value only")
        elif column.numeric:
            counts_up = column.whole and distinct == filled == rows and column.high - column.low == rows - 1
            if counts_up and rows >= FEW:
                reason = _("it counts the rows")
        elif filled >= FEW and distinct > 0.9 * filled:
            reason = _("almost every row has another value: a name or an id")
        if reason:
            notes.append(_("column {name} is left out: {reason}").format(name=column.name, reason=reason))
            continue
        if column.odd and column.numbers > filled / 2:
            notes.append(
                _("column {name} is text because of {value} in line {line}").format(
                    name=column.name, value=repr(column.odd[0]), line=column.odd[1]
                )
            )
        chosen.append(column)
    return chosen


def _plain_names(header: Sequence[str], label: str) -> dict[str, str]:
    """Name -> a name that TensorFlow takes for an input: ASCII letters, digits and _, no Python keyword, unique.

    Hangul is spelled as Unicode names its syllables; the label keeps its name, as outputs may have any.
    """
    names: dict[str, str] = {}
    taken = {"self", label.lower()}
    for i, name in enumerate(header, start=1):
        if name == label:
            names[name] = name
            continue
        plain = re.sub(r"\W+", "_", _ascii(name), flags=re.ASCII).strip("_")
        plain = plain if plain[:1].isalpha() else f"column_{i}" + (f"_{plain}" if plain else "")
        while plain.lower() in taken or keyword.iskeyword(plain):
            plain += "_"
        names[name] = plain
        taken.add(plain.lower())
    return names


def _ascii(name: str) -> str:
    out = ""
    for letter in name:
        said = unicodedata.name(letter, "")
        if said.startswith("HANGUL SYLLABLE "):
            out += said.removeprefix("HANGUL SYLLABLE ").lower()
        else:
            flat = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
            out += flat or ("_" if not letter.isalnum() else "")
    return out
