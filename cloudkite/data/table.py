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
from itertools import islice
from pathlib import Path

from cloudkite.data import balance, missing, number, reading
from cloudkite.data.declared import CATEGORY, NUMBER
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, counted, near

# 007, +821012345678, card numbers: digits that are no quantity. Who declares such a column one of numbers is taken at
# their word by the check; here nobody has said yet what it is.
CODE = re.compile(r"[+-]?0\d.*|\+\d{7,}|\d{16,}")
# What a spreadsheet may run: https://owasp.org/www-community/attacks/CSV_Injection. A dash alone, or +82, is common.
FORMULA = re.compile(r"[=@]|[+-].*[(|!]")
MANY = 100_000  # distinct values that are kept apart, at most
CLASSES_OF_WHOLE_NUMBERS = 20  # a label with more different whole numbers is a quantity
COLUMNS = 10_000  # each is an input of the model
CLASSES = 1000  # a label with more different words is no class
SAMPLE = 1000  # values that are looked at for what they have in common
WORDS = 20  # with fewer, what looks like dates or sizes may well be names of kinds
SENTENCE = 3  # spaces, from which on a text is no name
FEW = 10  # rows: with fewer, a column of different words says nothing

Value = str | int


@dataclass
class Column:
    """What the rows say about one column, counted while reading."""

    name: str
    rows: int = 0
    filled: int = 0
    numbers: int = 0
    whole: bool = True
    low: float = math.inf
    high: float = -math.inf
    values: Counter[str] = field(default_factory=Counter)
    most: int = MANY  # values that are kept apart
    compared: int = 0  # filled fields until there were as many
    odd: tuple[str, int] | None = None  # the first value that is no number, and its line
    blanks: set[str] = field(default_factory=set)  # values such as NA
    grouped: str = ""  # the first value with commas between its thousands
    steps: bool = True  # each number is the one of the row before, and 1
    following: float | None = None  # what would be the next one

    def add(self, text: str, line: int) -> None:
        """Count one field."""
        self.rows += 1
        if not text:
            return
        if text.lower() in missing.WORDS:
            self.blanks.add(text)
        elif (value := number.written(text)) is not None and not CODE.fullmatch(text):
            self.numbers += 1
            self.steps = self.steps and self.following in (None, value)
            self.following = value + 1
            if not self.grouped and "," in text:
                self.grouped = text
            self.whole = self.whole and value.is_integer()
            self.low, self.high = min(self.low, value), max(self.high, value)
        elif self.odd is None:
            self.odd = (text, line)
        self.filled += 1
        if len(self.values) < self.most:
            self.compared = self.filled
            self.values[text] += 1
        elif text in self.values:
            self.values[text] += 1

    def skip(self) -> None:
        """A row that isn't counted, as it has no label."""
        if self.following is not None:
            self.following += 1

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

    def useless(self, blanks: frozenset[str] = frozenset()) -> str:
        """Why nothing can be learnt from the column as it is, in words; "" when something can."""
        filled, distinct = self.counted(blanks)
        if filled == 0:
            return _("it is blank")
        if distinct == 1:
            return _("it has one value only")
        if self.numeric:
            return _("it counts the rows") if self.steps and filled == self.rows >= FEW else ""
        # By what was compared, so that an id is one in a long file, too.
        if self.compared < FEW or distinct <= 0.9 * min(self.compared, filled):
            return ""
        if self.odd and self.numbers > filled / 2:
            return _("its numbers have {value} among them in line {line}: {why}").format(
                value=repr(self.odd[0]), line=self.odd[1], why=number.wrong(self.odd[0]) or _("digits of a code")
            )
        if why := self.almost():
            return why
        if sum(value.count(" ") >= SENTENCE for value in self.sample) > len(self.sample) / 2:
            return _("almost every row has another text, and a trainer takes each as one word: make columns of it")
        return _("almost every row has another value: a name or an id")

    @property
    def sample(self) -> list[str]:
        """Some of its values."""
        return list(islice(self.values, SAMPLE))

    def almost(self) -> str:
        """What keeps nearly all values from being numbers that are some to people, by an example; "" otherwise."""
        told = [why for value in self.sample if (why := number.almost(value))]
        return told[0] if len(told) > 0.9 * len(self.sample) else ""


@dataclass(frozen=True)
class Table:
    """A CSV file as a trainer will read it. Names are those of the cleaned copy that `write` makes."""

    path: Path
    header: list[str]
    columns: dict[str, str]  # name -> its kind: what the model sees
    originals: dict[str, str]  # name -> the person's own, for columns that had to be renamed
    grouped: frozenset[str]  # names of the columns of numbers with commas between thousands
    ranges: dict[str, tuple[float, float]]
    label: str
    classes: tuple[Value, ...]  # () for a number to estimate
    rows: int
    blanks: frozenset[str]
    notes: list[str]
    form: reading.Form = reading.UTF8
    stamp: tuple[int, int] = (0, 0)  # size and time of change of the file that was read


def read(path: Path, label: str) -> Table:
    """Look at every row of the CSV file `path` (one header line). Raises BadValue."""
    stamp = _stamp(path)
    form, guesses = _form(path)
    records = _records(path, form)
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
            for column in columns:
                column.skip()
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
    notes = [*guesses]
    if unlabelled:
        notes.append(
            counted("{count} row without a label is left out", "{count} rows without a label are left out", unlabelled)
        )
    notes += [
        _("column {name}: {text!r} is read as {plain}").format(
            name=column.name, text=column.grouped, plain=column.grouped.replace(",", "")
        )
        for column in columns
        if column.numeric and column.grouped
    ]
    if blanks:
        notes.append(_("read as blank: {words}").format(words=", ".join(sorted(blanks))))
    classes = _classes(path, columns[where], blanks, notes)
    formulas = next((text for column in columns for text in (column.name, *column.texts) if FORMULA.match(text)), "")
    if formulas:
        said = _("{text!r} is a formula to a spreadsheet, and kept as the text it is: don't open the data with one")
        notes.append(said.format(text=formulas[:40]))
    seen = _choose([column for column in columns if column.name != label], blanks, notes)
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
        columns={names[column.name]: NUMBER if column.numeric else CATEGORY for column in seen},
        originals={new: old for old, new in names.items() if old != new},
        grouped=frozenset(names[column.name] for column in columns if column.numeric and column.grouped),
        ranges={names[column.name]: (column.low, column.high) for column in seen if column.numeric},
        label=label,
        classes=classes,
        rows=rows,
        blanks=blanks,
        notes=notes,
        form=form,
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
        records = _records(table.path, table.form)
        next(records)
        grouped = [i for i, name in enumerate(table.header) if name in table.grouped]
        for _line, fields in records:
            if fields[where] and fields[where] not in (table.blanks if not _is_text(table) else ()):
                fields = ["" if text in table.blanks and i != where else text for i, text in enumerate(fields)]
                for i in grouped:
                    fields[i] = fields[i].replace(",", "")
                fields[where] = str(int(float(fields[where]))) if whole else fields[where]
                writer.writerow(fields)
    _unchanged(table)


def _unchanged(table: Table) -> None:
    if _stamp(table.path) != table.stamp:
        raise BadValue(
            _("{path} was changed while it was read").format(path=table.path.name), _("wait until it is complete")
        )


def columns(path: Path) -> list[str]:
    """The columns that a person's file has, by its first line. Raises BadValue as `read` does."""
    form, _notes = _form(path)
    _line, header = next(_records(path, form))
    return [name for name in header if name]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except (OSError, ValueError):  # what is wrong with it is told when it is read
        return (0, 0)
    return about.st_size, about.st_mtime_ns


def _is_text(table: Table) -> bool:
    return bool(table.classes) and isinstance(table.classes[0], str)


def _form(path: Path) -> tuple[reading.Form, list[str]]:
    if not _there(path):
        raise BadValue(_("the file {path} doesn't exist").format(path=path), _("check the name given to --data"))
    if path.is_dir():
        raise BadValue(_("{path} is a folder").format(path=path), _("give --data one CSV file"))
    return reading.form_of(path)


def _records(path: Path, form: reading.Form) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of the header and each record, each field by `clean`."""
    try:
        with reading.opened(path, form) as file:
            header, chunks = file.named()
            yield 1, list(map(clean, header))
            for chunk in chunks:
                for line, fields in zip(chunk.lines, chunk.rows, strict=True):
                    yield line, list(map(clean, fields))
    except reading.Broken as error:
        raise BadValue(
            _("{path}, line {line}: {why}").format(path=path.name, line=error.line, why=error.why), error.how
        ) from None


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # longer than names can be
        return False


def clean(text: str) -> str:
    """A field trimmed, in NFC, line breaks and other spaces inside made one space."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


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
                counted[int(float(text.replace(",", "")))] += count
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
    if uneven := balance.lopsided(counts):
        notes.append(f"{label.name}: {uneven}")
    if rare:
        notes.append(_("classes with a single row can't be checked: {names}").format(names=", ".join(rare[:8])))
    return found


def _choose(columns: Sequence[Column], blanks: frozenset[str], notes: list[str]) -> list[Column]:
    """The columns to learn from; `notes` tells which others were left out, and why."""
    chosen = []
    for column in columns:
        if reason := column.useless(blanks):
            notes.append(_("column {name} is left out: {reason}").format(name=column.name, reason=reason))
            continue
        filled, distinct = column.counted(blanks)
        if column.odd and column.numbers > filled / 2:
            notes.append(
                _("column {name} is text because of {value} in line {line}").format(
                    name=column.name, value=repr(column.odd[0]), line=column.odd[1]
                )
            )
        elif not column.numeric and distinct > WORDS and (why := column.almost()):
            notes.append(_("column {name} is text: {why}").format(name=column.name, why=why))
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
        plain = re.sub(r"\W+", "_", in_latin(name), flags=re.ASCII).strip("_")
        plain = plain if plain[:1].isalpha() else f"column_{i}" + (f"_{plain}" if plain else "")
        while plain.lower() in taken or keyword.iskeyword(plain):
            plain += "_"
        names[name] = plain
        taken.add(plain.lower())
    return names


def in_latin(name: str) -> str:
    """What of a name can be said in ASCII: letters without their accents, Hangul as it sounds."""
    out = ""
    for letter in unicodedata.normalize("NFC", name):
        said = unicodedata.name(letter, "")
        if said.startswith("HANGUL SYLLABLE "):
            out += said.removeprefix("HANGUL SYLLABLE ").lower()
        else:
            flat = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
            out += flat or ("_" if not letter.isalnum() else "")
    return out
