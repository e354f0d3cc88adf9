"""What a person's table holds: which columns are numbers, dates or text, the label's classes, and what to leave out.

A trainer gets a cleaned copy, so much that `cloudkite.check.rows` has to refuse is mended here: spaces around fields,
line breaks in them, blank lines above the header, rows without a label. Any column may be chosen to learn from, so each
needs a name of its own, while the check asks that of the declared ones only.
"""

from __future__ import annotations

import csv
import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import compress, islice
from pathlib import Path
from typing import Any

from cloudkite.data import balance, encoding, fields, missing, reading, sheets
from cloudkite.data.column import FEW, FORCED, MANY, POINTS, Column, Verdict, is_east, is_prose, quoted
from cloudkite.data.declared import CATEGORY, DATE, LETTERS, NUMBER, TEXT
from cloudkite.data.fields import ENGLISH, GERMAN, Field, clean
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, counted, near

# What a spreadsheet may run: https://owasp.org/www-community/attacks/CSV_Injection. A dash alone, or +82, is common.
FORMULA = re.compile(r"[=@]|[+-].*[(|!]")
# The last lines of a report, by what stands in their first field.
_TOTAL = re.compile(
    r"(grand )?total|sum|subtotal|average|mean|summe|gesamt|합계|총계|소계|총합|평균|계|合計|平均", re.IGNORECASE
)
_FOOT = 3  # lines at the end that may be such
_GROUP = re.compile(
    r"(?i)(patient|user|person|subject|session|customer|client|member|household|student|participant|device|visitor|"
    r"환자|회원|고객|사용자|이용자|학생|세션|참가자|대상자)[\s_-]*(id|no|nr|number|code|key|번호|아이디|코드)?"
)
_UNCLEAN = ("  ", " \n", "\n ", "\t", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x1f")  # between or in fields
CLASSES_OF_WHOLE_NUMBERS = 20  # a label with more different whole numbers is a quantity
COLUMNS = 10_000  # each is an input of the model
CLASSES = 1000  # a label with more different words is no class
SHOWN = 3  # rows

Value = str | int


@dataclass(frozen=True)
class Wishes:
    """What a person said about a file beyond its label; "" and () leave it to what the file shows."""

    kinds: Mapping[str, str] = field(default_factory=dict)  # column -> one of column.FORCED
    codec: str = ""
    sheet: str = ""
    query: str = ""
    missing: tuple[str, ...] = ()
    group: str = ""
    time: str = ""
    size: tuple[int, int] | None = None  # of images: height and width


@dataclass(frozen=True)
class Table:
    """A person's table as a trainer will read it. Names are those of the cleaned copy that `write` makes."""

    path: Path
    header: list[str]
    columns: dict[str, str]  # name -> its kind: what the model sees
    originals: dict[str, str]  # name -> the person's own, for columns that had to be renamed
    fields: dict[str, Field]  # name -> how its fields are read, for every column
    ranges: dict[str, tuple[float, float]]
    label: str
    classes: tuple[Value, ...]  # () for a number to estimate
    rows: int
    blanks: frozenset[str]
    notes: list[str]
    shown: list[tuple[str, str, str, str]] = field(default_factory=list)  # column, kind, example, what was done
    first: list[dict[str, str]] = field(default_factory=list)  # the first rows as they will be, by the person's names
    form: reading.Form = reading.UTF8
    forms: dict[str, dict[str, Any]] = field(default_factory=dict)  # what who reads such a file again must know
    group: str = ""
    time: str = ""
    alike: frozenset[str] = frozenset()  # names of columns whose fields stay as they are
    places: tuple[int, ...] = ()  # where in the file the columns of `header` are
    foot: int = 0  # lines at the end that hold totals
    stamp: tuple[int, int] = (0, 0)  # size and time of change of the file that was read


def read(path: Path, label: str, wishes: Wishes | None = None) -> Table:
    """Look at every row of the table in `path`. Raises BadValue."""
    wishes = wishes or Wishes()
    label, stamp = clean(label), _stamp(path)
    wanted = [clean(name) for name in (label, wishes.group, wishes.time, *wishes.kinds) if name]
    form, guesses = _form(path, wanted, wishes)
    rows = _Rows(path, form)
    names = _header(path, rows.header, label)
    _known(path, names, wishes)
    most = max(10 * CLASSES, min(MANY, 50 * MANY // len(names)))  # together they must fit into the memory
    blank = frozenset(clean(word).lower() for word in wishes.missing)
    columns = [Column(name, most, blank) for name in names]
    where, total, unlabelled, first = names.index(label), 0, 0, []
    for chunk in rows:
        texts, lines = chunk.columns, chunk.lines
        at: Sequence[int] = range(total + unlabelled, total + unlabelled + len(lines))
        if "" in texts[where]:
            kept = list(map(bool, texts[where]))
            texts = [list(compress(column, kept)) for column in texts]
            lines, at = list(compress(lines, kept)), list(compress(at, kept))
            unlabelled += len(kept) - len(lines)
        total += len(lines)
        if len(first) < SHOWN:
            first += [
                dict(zip(names, row, strict=True)) for row in islice(zip(*texts, strict=True), SHOWN - len(first))
            ]
        for column, found in zip(columns, texts, strict=True):
            column.add_all(found, lines, at)
    columns, places = _named(path, columns)
    verdicts = _settled(path, columns, label, wishes, form)
    answer, verdict = next((c, v) for c, v in zip(columns, verdicts, strict=True) if c.name == label)
    if verdict.kind == NUMBER:  # words such as NA are no labels there
        gone = sum(answer.values[word] for word in answer.blanks) + verdict.count
        total, unlabelled = total - gone, unlabelled + gone
    if total <= 0:
        raise BadValue(_("{path} has no rows with a label").format(path=path.name))
    blanks = frozenset().union(
        *(c.blanks for c, v in zip(columns, verdicts, strict=True) if v.field.kind in (NUMBER, DATE))
    )
    notes = [*guesses]
    if unlabelled:
        notes.append(
            counted("{count} row without a label is left out", "{count} rows without a label are left out", unlabelled)
        )
    if rows.foot:
        notes.append(
            counted("the last line holds totals, and is left out",
                    "the last {count} lines hold totals, and are left out", rows.foot)
        )  # fmt: skip
    if blanks:
        notes.append(_("read as blank: {words}").format(words=", ".join(sorted(blanks))))
    texts = [text for column in columns for text in (column.name, *column.texts)]
    if odd := encoding.garbled(texts[: 20 * CLASSES]):
        notes.append(_("{seen}: take the file from before, or --encoding").format(seen=odd))
    if formula := next((text for text in texts if FORMULA.match(text)), ""):
        said = _("{text!r} is a formula to a spreadsheet, and kept as the text it is: don't open the data with one")
        notes.append(said.format(text=formula[:40]))
    classes = _classes(path, answer, verdict, notes)
    group, time = clean(wishes.group), clean(wishes.time)
    seen = [
        (column, one)
        for column, one in zip(columns, verdicts, strict=True)
        if one.kind and column.name not in (label, group)
    ] or _last_chance(columns, verdicts, (label, group))
    told = {column.name: _told(column, one) for column, one in zip(columns, verdicts, strict=True)}
    notes += [note for name, some in told.items() if name != group for note in some]
    if not seen:
        raise BadValue(
            _("{path} has no column to learn {label} from").format(path=path.name, label=label), " ".join(notes)
        )
    notes += _suggestions(columns, label, group)
    called = plain_names([column.name for column in columns], label)
    notes += [
        _("column {old} is called {new}, as a model's inputs need plain names").format(old=old, new=new)
        for old, new in called.items()
        if old != new and any(column.name == old for column, _one in seen)
    ]
    by_name = dict(zip((column.name for column in columns), verdicts, strict=True))
    if time and by_name[time].field.kind not in (NUMBER, DATE):
        raise BadValue(
            _("--time {name} is neither a date nor a number").format(name=time),
            _("name a column of dates, or leave --time out"),
        )
    kinds = {called[column.name]: one.kind for column, one in seen}
    how = {called[name]: one.field for name, one in by_name.items()}
    return Table(
        path=path,
        header=[called[column.name] for column in columns],
        columns=kinds,
        originals={new: old for old, new in called.items() if old != new},
        fields=how,
        ranges={
            called[column.name]: (one.span.low, one.span.high)
            for column, one in seen
            if one.kind == NUMBER and one.span and one.span.high < float("inf")
        },
        label=label,
        classes=classes,
        rows=total,
        blanks=blanks,
        notes=notes,
        shown=[
            (column.name, _role(column.name, label, group, kinds.get(called[column.name], "")), *_example(column, one))
            for column, one in zip(columns, verdicts, strict=True)
        ],
        first=first,
        form=form,
        forms=_forms(form, how, wishes),
        group=called.get(group, ""),
        time=called.get(time, ""),
        alike=frozenset(
            called[column.name]
            for column, one in zip(columns, verdicts, strict=True)
            if one.field.kind != DATE
            and (column.plain and not one.field.form if one.field.kind == NUMBER else not blanks)
        ),
        places=places,
        foot=rows.foot,
        stamp=stamp,
    )


def write(table: Table, destination: Path) -> None:
    """Copy the rows of `table` with a label to `destination`: UTF-8, plain names, blanks blank, one line a row.

    Raises BadValue when the file is another than the one that was read.
    """
    where = table.header.index(table.label)
    _unchanged(table)
    readers = [_reader(table, name, answer=i == where) for i, name in enumerate(table.header)]
    with destination.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.header)
        for chunk in _Rows(table.path, table.form):
            texts = [chunk.columns[place] for place in table.places]
            made = [
                list(map(reader.__getitem__, found)) if reader is not None else found
                for reader, found in zip(readers, texts, strict=True)
            ]
            rows = zip(*made, strict=True)
            writer.writerows(rows if all(made[where]) else (row for row in rows if row[where]))
    _unchanged(table)


class _Reader(dict[str, str]):
    """What each field of a column becomes in the copy: each distinct one is worked on once, as far as memory goes."""

    def __init__(self, read: Callable[[str], str]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: str) -> str:
        if len(self) > MANY:
            self.clear()
        made = self[text] = self._read(text)
        return made


def _reader(table: Table, name: str, answer: bool) -> _Reader | None:
    """None where all stays as it is."""
    how = table.fields[name]
    if answer and table.classes and isinstance(table.classes[0], str):
        return None
    if answer and table.classes:
        return _Reader(lambda text: str(int(float(made))) if (made := how.of_clean(text)) else "")
    if name in table.alike:
        return None
    if how.kind in (NUMBER, DATE):
        return _Reader(lambda text: how.of_clean(text) or "")
    return _Reader(lambda text: "" if text in table.blanks else text)


@dataclass(frozen=True)
class _Chunk:
    columns: list[Sequence[str]]
    lines: Sequence[int]


class _Rows:
    """The rows of a table by column, each field by `clean`, without the lines of totals at its end.

    `header` is there before they are read, `foot`, the number of those lines, when all were.
    """

    def __init__(self, path: Path, form: reading.Form) -> None:
        self._path, self._form, self.foot = path, form, 0
        with self._mistakes(), reading.opened(path, form) as file:
            self.header = list(map(clean, file.named()[0]))

    @contextmanager
    def _mistakes(self) -> Iterator[None]:
        try:
            yield
        except reading.Broken as error:
            raise BadValue(
                _("{path}, line {line}: {why}").format(path=self._path.name, line=error.line, why=error.why), error.how
            ) from None

    def __iter__(self) -> Iterator[_Chunk]:
        with self._mistakes(), reading.opened(self._path, self._form) as file:
            _header, chunks = file.named()
            before: reading.Chunk | None = None
            for chunk in chunks:
                if before:
                    yield self._columns(before.rows, before.lines)
                before = chunk
            if before:
                rows = before.rows
                while self.foot < min(_FOOT, len(rows) - 1) and _is_total(rows[len(rows) - 1 - self.foot]):
                    self.foot += 1
                end = len(rows) - self.foot
                yield self._columns(rows[:end], before.lines[:end])

    def _columns(self, rows: list[list[str]], lines: Sequence[int]) -> _Chunk:
        width = len(self.header)
        if set(map(len, rows)) != {width}:
            found, line = next((len(row), line) for row, line in zip(rows, lines, strict=True) if len(row) != width)
            raise BadValue(
                _("{path}, line {line}: {found} fields, but the header has {wanted}").format(
                    path=self._path.name, line=line, found=found, wanted=width
                ),
                _('put text that holds a comma in double quotes: "Kim, Minji"'),
            )
        return _Chunk(list(map(_cleaned, zip(*rows, strict=True))), lines)


def _cleaned(texts: Sequence[str]) -> Sequence[str]:
    """Fields by `clean`; those that are clean are seen at a glance."""
    joined = "\n".join(["", *texts, ""])
    if joined.isascii() and not any(one in joined for one in _UNCLEAN) and joined.count("\n") == len(texts) + 1:
        return texts
    known = {text: clean(text) for text in set(texts)}
    return [known[text] for text in texts]


def _is_total(row: Sequence[str]) -> bool:
    first = next((text for text in map(clean, row) if text), "")
    return bool(_TOTAL.fullmatch(first.rstrip(":")))


def _unchanged(table: Table) -> None:
    if _stamp(table.path) != table.stamp:
        raise BadValue(
            _("{path} was changed while it was read").format(path=table.path.name), _("wait until it is complete")
        )


def columns(path: Path, wishes: Wishes | None = None) -> list[str]:
    """The columns that a person's file has. Raises BadValue as `read` does."""
    form, _notes = _form(path, (), wishes or Wishes())
    return [name for name in _Rows(path, form).header if name]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except (OSError, ValueError):  # what is wrong with it is told when it is read
        return (0, 0)
    return about.st_size, about.st_mtime_ns


def _form(path: Path, names: Sequence[str], wishes: Wishes) -> tuple[reading.Form, list[str]]:
    if not _there(path):
        raise BadValue(_("the file {path} doesn't exist").format(path=path), _("check the name given to --data"))
    if path.is_dir():
        raise BadValue(_("{path} is a folder").format(path=path), _("give --data one file with a table"))
    return reading.form_of(path, names, codec=wishes.codec, sheet=wishes.sheet, query=wishes.query)


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # longer than names can be
        return False


def _header(path: Path, header: list[str], label: str) -> list[str]:
    if not header:
        raise BadValue(_("{path} is empty").format(path=path.name), _("the first line must name the columns"))
    if len(header) > COLUMNS:
        raise BadValue(
            _("{path} has {count:,} columns, more than {most:,}").format(
                path=path.name, count=len(header), most=COLUMNS
            ),
            _("keep the columns that matter, or declare them in a trainer's data.py"),
        )
    # A first column without a name is how pandas writes its row numbers.
    names = ["row_number" if not name and i == 0 else name for i, name in enumerate(header)]
    twice = next((name for name, times in Counter(names).items() if name and times > 1), None)
    if twice:
        raise BadValue(
            _("{path}: two columns are called {name}").format(path=path.name, name=twice),
            _("rename one of them in the file"),
        )
    if label not in names or not label:
        raise BadValue(
            _("{path} has no column {label}").format(path=path.name, label=label or "''"),
            near(label, [name for name in names if name]),
        )
    return [name or f"\0{i}" for i, name in enumerate(names)]


def _known(path: Path, names: Sequence[str], wishes: Wishes) -> None:
    """Raise BadValue for a column that a person named and the file lacks, or a kind that there isn't."""
    for option, name in [("--group", wishes.group), ("--time", wishes.time), *(("--as", one) for one in wishes.kinds)]:
        if name and clean(name) not in names:
            raise BadValue(
                _("{option}: {path} has no column {name}").format(option=option, path=path.name, name=name),
                near(name, [one for one in names if one[0] != "\0"]),
            )
    for name, kind in wishes.kinds.items():
        if kind not in FORCED:
            raise BadValue(
                _("--as {name}={kind}: {kind} isn't a kind of column").format(name=name, kind=kind),
                _("one of: {names}").format(names=", ".join(FORCED)),
            )


def _named(path: Path, columns: list[Column]) -> tuple[list[Column], tuple[int, ...]]:
    """The columns without those that have neither a name nor a field, as spreadsheets leave at the right."""
    kept = [(i, column) for i, column in enumerate(columns) if column.name[0] != "\0" or column.filled]
    for i, column in kept:
        if column.name[0] == "\0":
            raise BadValue(
                _("{path}: column {number} has no name").format(path=path.name, number=i + 1),
                _("the first line must name each column"),
            )
    return [column for _i, column in kept], tuple(i for i, _column in kept)


def _settled(path: Path, columns: list[Column], label: str, wishes: Wishes, form: reading.Form) -> list[Verdict]:
    """What each column is; what its own fields leave open, the others tell. Raises BadValue with all that is open."""
    kinds = {clean(name): kind for name, kind in wishes.kinds.items()}
    styles = {column.sure_style for column in columns} | {
        kinds[name] for name in kinds if kinds[name] in (ENGLISH, GERMAN)
    }
    orders = {column.sure_order for column in columns if column.sure_order in (fields.DMY, fields.MDY)}
    orders |= {kind for kind in kinds.values() if kind in (fields.DMY, fields.MDY)}
    styles &= {ENGLISH, GERMAN}
    style = styles.pop() if len(styles) == 1 else ""
    if not styles and not style and (form.mark == "," or form.what):
        style = ENGLISH  # who writes commas between fields doesn't write them into numbers
    elif not styles and not style and form.mark != ";":  # which is what spreadsheets write where 1.234 is a thousand
        style = POINTS
    order = orders.pop() if len(orders) == 1 else ""
    made = [column.settle(kinds.get(column.name, ""), style, order, label=column.name == label) for column in columns]
    open_ = [one.refused for one in made if one.refused]
    if open_:
        raise BadValue(
            f"{path.name}: " + "; ".join(what for what, _how in open_), "; ".join(how for _what, how in open_)
        )
    return made


def _last_chance(
    columns: Sequence[Column], verdicts: list[Verdict], besides: tuple[str, ...]
) -> list[tuple[Column, Verdict]]:
    """A column of words of which almost every row has another, where there is nothing else: its letters may tell."""
    for i, column in enumerate(columns):
        if column.name not in besides and verdicts[i].reason and not column.numbers and column.said == column.filled:
            sample = column.sample
            if len(sample) > FEW:
                kind = TEXT if is_prose(sample, is_east(sample)) else LETTERS
                verdicts[i] = Verdict(Field(CATEGORY), kind)
                return [(column, verdicts[i])]
    return []


def _told(column: Column, verdict: Verdict) -> list[str]:
    told = column.notes(verdict)
    if verdict.kind == NUMBER and verdict.span:
        for word, count in missing.sentinels(column.values, verdict.span.low, verdict.span.high):
            said = counted(
                "column {name}: {word} stands in {count} row: if it means a missing value, add --missing={word}",
                "column {name}: {word} stands in {count} rows: if it means a missing value, add --missing={word}",
                count, name=column.name, word=word,
            )  # fmt: skip
            told.append(said)
    return told


def _suggestions(columns: Sequence[Column], label: str, group: str) -> list[str]:
    """Columns whose equal values should stay in one part: patients that come again."""
    told = []
    for column in columns:
        if group or column.name == label or not _GROUP.fullmatch(column.name):
            continue
        distinct = len(column.values)
        if distinct >= FEW / 2 and 2 <= column.compared / distinct <= 50:
            said = _(
                "column {name}: each value is in {times:.1f} rows: --group {option} keeps those together when rows are "
                "held out"
            )
            told.append(said.format(name=column.name, times=column.compared / distinct, option=quoted(column.name)))
    return told


def _role(name: str, label: str, group: str, kind: str) -> str:
    if name == label:
        return _("the label")
    return _("the group") if name == group else kind or _("left out")


def _example(column: Column, verdict: Verdict) -> tuple[str, str]:
    """A field as it stands there, and what becomes of it."""
    text = max(column.sample[:20], key=lambda value: column.values[value], default="")
    plain = verdict.field.plain(text)
    note = _("as {plain}").format(plain=plain) if verdict.kind and plain not in (None, "", text) else ""
    return text if len(text) <= 30 else text[:27] + "...", verdict.reason or note


def _forms(form: reading.Form, how: Mapping[str, Field], wishes: Wishes) -> dict[str, dict[str, Any]]:
    """What must be known to read such a file again, by column; "" is about the file."""
    file: dict[str, Any] = {}
    if not form.what and form.codec != reading.UTF8.codec:
        file["codec"] = form.codec
    if form.what == sheets.WORKBOOK:
        file["sheet"] = form.which
    if form.what == sheets.SQLITE:
        file["query"] = form.which
    if wishes.missing:
        file["missing"] = [clean(word) for word in wishes.missing]
    return ({"": file} if file else {}) | {name: one.form for name, one in how.items() if one.form}


def _classes(path: Path, label: Column, verdict: Verdict, notes: list[str]) -> tuple[Value, ...]:
    if verdict.kind == DATE:
        raise BadValue(
            _("{path}: the label {name} is a date").format(path=path.name, name=label.name),
            _("choose a column of numbers or of few words"),
        )
    numeric = verdict.kind == NUMBER
    counts = Counter[str]()
    for text, count in label.values.items():
        plain = verdict.field.plain(text) if numeric else text
        if plain:
            counts[plain] += count
    filled, distinct = counts.total(), len(counts)
    if distinct < 2 or verdict.reason == _("it has one value only"):
        raise BadValue(
            _("{path}: every label is {value}").format(path=path.name, value=next(iter(label.values), "''")),
            _("there is nothing to learn from one class"),
        )
    if not numeric:
        if distinct > CLASSES or (filled >= FEW and distinct == filled):
            odd = label.odd("number")
            raise BadValue(
                _("{path}: {label} has {count} different values, too many for classes").format(
                    path=path.name, label=label.name, count=distinct
                ),
                _("the first that is not a number is {value} in line {line}").format(
                    value=repr(odd[0]) if odd[1] else "", line=odd[1]
                ),
            )
        found: tuple[Value, ...] = tuple(sorted(counts))
    elif verdict.span and verdict.span.whole and filled >= 3 * distinct and (
        len(whole := {int(float(text)) for text in counts}) <= CLASSES_OF_WHOLE_NUMBERS
    ):  # fmt: skip
        again = Counter[str]()
        for text, count in counts.items():
            again[str(int(float(text)))] += count
        found, counts = tuple(sorted(whole)), again
    else:
        assert verdict.span
        notes.append(
            _("{label} is a number to estimate, from {low:g} to {high:g}").format(
                label=label.name, low=verdict.span.low, high=verdict.span.high
            )
        )
        return ()
    shown = ", ".join(str(value) for value in found[:8]) + (", ..." if len(found) > 8 else "")
    notes.append(_("{label} has {count} classes: {shown}").format(label=label.name, count=len(found), shown=shown))
    rare = sorted(value for value, count in counts.items() if count == 1)
    if uneven := balance.lopsided(counts):
        notes.append(f"{label.name}: {uneven}")
    if rare:
        notes.append(_("classes with a single row can't be checked: {names}").format(names=", ".join(rare[:8])))
    return found


def plain_names(header: Sequence[str], label: str) -> dict[str, str]:
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
