"""Mistakes that a person can mend, and the slow, exact reading that finds the line of a CSV file at fault."""

import csv
import keyword
import math
import re
from collections.abc import Iterator, Mapping, Sequence

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Mistake(Exception):
    """What happened, one step that helps, and the exit code: 2 a value that can't be, 1 another failure."""

    def __init__(self, message: str, hint: str = "", code: int = 2) -> None:
        super().__init__(message)
        self.message, self.hint, self.code = message, hint, code

    def __str__(self) -> str:
        return f"error: {self.message}" + (f"\n\nhint: {self.hint}" if self.hint else "")


def check_names(columns: Mapping[str, object], label: str) -> None:
    """Column names become the names of the served model's inputs, which TensorFlow limits; raises Mistake."""
    for name in columns:
        if not PLAIN.fullmatch(name) or keyword.iskeyword(name) or name == "self":
            raise Mistake(
                f"data.py: the column {name!r} can't name an input of the model",
                "rename it in the file's header and in data.py: letters a to z, digits and _, no Python keyword",
            )
    lower = [name.lower() for name in columns]
    twice = next((name for name in columns if lower.count(name.lower()) > 1), None)
    if twice:
        raise Mistake(f"data.py: two columns are called {twice!r} but for capital letters", "rename one of them")
    if label in columns:
        raise Mistake(f"data.py: the label {label!r} is among the columns: the model would see the answer")
    if label == "probabilities":
        raise Mistake(
            "data.py: the label can't be called 'probabilities'", "the model's answer has another part of that name"
        )
    if not columns:
        raise Mistake("data.py: COLUMNS is empty", "name at least one column that the model may see")


def first(
    files: Sequence[str], header: Sequence[str], columns: Mapping[str, object], label: str, classes: Sequence
) -> Mistake | None:
    """The first thing that is wrong with the rows of `files`, by file, line and column; None if nothing is."""
    return next(_all(files, header, columns, label, classes), None)


def _all(
    files: Sequence[str], header: Sequence[str], columns: Mapping[str, object], label: str, classes: Sequence
) -> Iterator[Mistake]:
    known = {str(c) for c in classes}
    for path in files:
        for line, fields in _records(path):
            if isinstance(fields, Mistake):
                yield fields
                return
            if len(fields) != len(header):
                yield Mistake(
                    f"{path}, line {line}: {len(fields)} fields, but the header has {len(header)}",
                    'put text that holds a comma in double quotes: "Kim, Minji"',
                )
                continue
            row = dict(zip(header, fields, strict=True))
            for name, blank in columns.items():
                if not isinstance(blank, str) and row[name] and not _is_number(row[name]):
                    yield Mistake(
                        f"{path}, line {line}, column {name!r}: {row[name]!r} is not a number",
                        f'leave the field empty if the value is unknown, or make {name!r} text in data.py: ""',
                    )
            answer = row[label]
            if not answer:
                yield Mistake(f"{path}, line {line}, column {label!r}: no label", "leave such rows out of the file")
            elif classes and answer not in known:
                shown = ", ".join(str(c) for c in list(classes)[:10])
                yield Mistake(
                    f"{path}, line {line}, column {label!r}: {answer!r} is not one of CLASSES",
                    f"data.py has {shown}; add it there if it is one",
                )
            elif not classes and not _is_number(answer):
                yield Mistake(
                    f"{path}, line {line}, column {label!r}: {answer!r} is not a number",
                    "a label of words needs CLASSES in data.py",
                )


def _records(path: str) -> Iterator[tuple[int, list[str] | Mistake]]:
    """(line number, fields) of each record after the header; a Mistake in place of fields ends the file."""
    import tensorflow as tf

    with tf.io.gfile.GFile(path, "rb") as file:
        lines = iter(file.readline, b"")
        next(lines, None)
        for number, raw in enumerate(lines, start=2):
            try:
                text = raw.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                yield number, not_utf8(path, number)
                return
            if not text:
                continue
            try:
                fields = next(csv.reader([text], strict=True))
            except csv.Error:
                yield (
                    number,
                    Mistake(
                        f"{path}, line {number}: a double quote opens and does not close on that line",
                        "line breaks inside a field are not read: replace them by spaces",
                    ),
                )
                return
            yield number, fields


def not_utf8(path: str, line: int | None = None) -> Mistake:
    """The message for a file in an old encoding."""
    where = f"{path}, line {line}" if line else path
    return Mistake(
        f"{where}: not UTF-8 text",
        "save it as UTF-8 (in Excel: 'CSV UTF-8'), or convert it: iconv -f ENCODING -t UTF-8 old.csv > new.csv, "
        "where ENCODING is what it was written in, such as CP949 or UTF-16",
    )


def _is_number(text: str) -> bool:
    try:
        return "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False
