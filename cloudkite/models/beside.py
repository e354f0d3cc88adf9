"""Writes rows with a model's answers beside them: a CSV file, or one JSON object a line."""

from __future__ import annotations

import csv  # for files of its own: a person's are read by cloudkite.data.reading
import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cloudkite import leftovers
from cloudkite.data import number
from cloudkite.models.predictions import Answers
from cloudkite.models.questions import Batch
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _
from cloudkite.workspace import private_file

_FORMULA = frozenset("=+-@\t\r")  # https://owasp.org/www-community/attacks/CSV_Injection


def write(pairs: Iterable[tuple[Batch, Answers]], path: Path) -> int:
    """Save rows with their predictions beside them and give their number; the file appears when it is complete.

    CSV, or one JSON object a line, by the file's ending. Raises BadValue for another one, and for a file that is there.
    """
    check(path)
    part, count = path.with_name(leftovers.prefix("tmp") + path.name), 0
    try:
        with io.TextIOWrapper(private_file(part), encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            for batch, answers in pairs:
                names = _called(batch.names)
                if path.suffix.lower() == ".jsonl":
                    rows = (dict(zip(batch.names, row, strict=True)) for row in zip(*batch.fields, strict=True))
                    file.writelines(
                        json.dumps({**row, **{names[k]: v for k, v in answer.items()}}, ensure_ascii=False) + "\n"
                        for row, answer in zip(rows, answers.rows(), strict=True)
                    )
                else:
                    columns = answers.columns
                    if not count:
                        table.writerow(_cells([*batch.names, *(names[key] for key in columns)]))
                    together = [*map(_cells, [*batch.fields, *columns.values()])]
                    texts = [*map(_bare, together)]
                    if None in texts or len(texts) == 1:
                        table.writerows(zip(*together, strict=True))
                    else:
                        file.writelines(f"{line}\r\n" for line in map(",".join, zip(*texts, strict=True)))
                count += batch.rows
        check(path)  # somebody may have made it meanwhile
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


def check(path: Path) -> None:
    """Raise BadValue unless predictions can be written to `path` without losing anything."""
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise BadValue(_("{path}: predictions are written to .csv or .jsonl").format(path=path))
    if os.path.lexists(path):
        raise BadValue(_("{path} is there already").format(path=path), _("choose another name, or delete it"))
    if not path.parent.is_dir():
        raise BadValue(_("the folder {path} doesn't exist").format(path=path.parent), _("make it, or choose another"))


def _called(names: Sequence[str]) -> dict[str, str]:
    """What the parts of an answer are called beside columns that may have those names."""
    called = {}
    for key in ("prediction", "probability", "probabilities"):
        called[key] = key
        while called[key] in names:
            called[key] += "_"
    return called


def _cells(values: Sequence[Any]) -> Sequence[Any]:
    """Fields that no spreadsheet runs: in front of what would be a formula stands an apostrophe."""
    try:
        joined = "\n" + "\n".join(values)  # looking at all of them at once is fast
    except TypeError:  # numbers of an answer, or a row that was typed as JSON
        joined = ""
    if joined and not any(f"\n{mark}" in joined for mark in _FORMULA):
        return values
    doubtful = [value for value in values if isinstance(value, str) and value[:1] in _FORMULA]
    if number.all_of(doubtful) is not None:
        return values
    return [f"'{value}" if isinstance(value, str) and _runs(value) else value for value in values]


def _bare(values: Sequence[Any]) -> Sequence[str] | None:
    """Fields that are written without quotes, which saves the writer's look at each; None when some need them."""
    if isinstance(values[0], float):
        return [*map(repr, values)] if None not in values else None
    try:
        joined = "\n".join(values)
    except TypeError:
        return None
    quoted = any(mark in joined for mark in '",\r') or joined.count("\n") >= len(values)
    return None if quoted else values


def _runs(text: str) -> bool:
    return text[:1] in _FORMULA and number.read(text) is None
