"""Fetched models: where they are, what they say about themselves, and predictions with them on this machine."""

from __future__ import annotations

import csv  # for files of its own: a person's are read by cloudkite.data.reading
import io
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudkite.data import encoding, number, reading
from cloudkite.models.predictor import Answer, Predictor
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, near
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import Workspace, private_file, read_json

Row = dict[str, float | str | None]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # https://owasp.org/www-community/attacks/CSV_Injection
_AT_ONCE = 2000  # rows in one question
_TIME = re.compile(r"\d{8}-\d{6}")  # in the name of a job


def latest_model(trainer: Trainer) -> Path:
    """The newest model that was fetched for a trainer: models/<job>/model, or models/<job> itself.

    Newest is the job that was started last. Raises UserError when there is none.
    """
    found = [
        path.parent
        for depth in ("[!.]*", "[!.]*/model")  # one that is still being fetched begins with a dot
        for path in (trainer.folder / "models").glob(f"{depth}/saved_model.pb")
    ]
    if not found:
        raise UserError(
            _("no model of {name} was fetched").format(name=trainer.name),
            _("uv run invoke fetch gets the newest job's model"),
        )
    return max(found, key=_age)


def _age(model: Path) -> str:
    job = model.parent if model.name == "model" else model
    named = _TIME.search(job.name)
    made = time.gmtime((model / "saved_model.pb").stat().st_mtime)
    return named[0] if named else time.strftime("%Y%m%d-%H%M%S", made)


def facts(model: Path) -> dict[str, Any]:
    """What the trainer wrote beside the model, assets.extra/trainer.json: label, classes, task, columns, metrics, rows.

    Raises UserError when it is missing, damaged or lacks what a prediction needs.
    """
    path = model / "assets.extra" / "trainer.json"
    try:
        found = read_json(path)
    except FileNotFoundError:
        raise UserError(
            _("{model} isn't a trainer's model: it has no {file}").format(
                model=model, file=path.relative_to(model).as_posix()
            ),
            _("name the folder that holds saved_model.pb"),
        ) from None
    except (ValueError, OSError) as error:
        raise UserError(_("{path} can't be read: {error}").format(path=path, error=error), _ANEW) from None
    lacking = [key for key in ("label", "classes", "columns") if not isinstance(found, dict) or key not in found]
    if lacking:
        raise UserError(_("{path} lacks {keys}").format(path=path, keys=", ".join(lacking)), _ANEW)
    if wrong := next((key for key, fits in _SHAPES.items() if not fits(found[key])), ""):
        raise UserError(_("{path}: {key} is not what a trainer writes").format(path=path, key=wrong), _ANEW)
    return found


_ANEW = _("fetch the model again: move its folder away, then uv run invoke fetch")
_SHAPES: dict[str, Callable[[Any], bool]] = {  # of trainer.json
    "label": lambda label: isinstance(label, str),
    "classes": lambda found: not found or (isinstance(found, list) and all(isinstance(c, str | int) for c in found)),
    "columns": lambda found: isinstance(found, dict) and all(isinstance(kind, str) for kind in found.values()),
}


def predict(
    workspace: Workspace, trainer: Trainer, model: Path, rows: Sequence[str | Mapping[str, Any]] | Path
) -> list[dict[str, Any]]:
    """Predictions for rows, in the trainer's own environment.

    A row is "column=value,column=value", a JSON object as text, or a mapping; a Path is a CSV file. Columns that are
    not given are blank. Each answer has "prediction" and, for classes, "probability" and "probabilities" by class.
    Raises BadValue for a column that is unknown or a value that is no number.
    """
    about = facts(model)
    columns: dict[str, str] = about["columns"]
    asked = list(_from_csv(rows, columns) if isinstance(rows, Path) else (parse(row, columns) for row in rows))
    if not asked:
        raise BadValue(_("{path}: no rows").format(path=rows) if isinstance(rows, Path) else _("no rows"))
    with Predictor(folders.environment(trainer, workspace)) as predictor:
        answers = [predictor.ask(model, asked[i : i + _AT_ONCE]) for i in range(0, len(asked), _AT_ONCE)]
    return [one for answer in answers for one in interpret(answer, about)]


def parse(row: str | Mapping[str, Any], columns: Mapping[str, str]) -> Row:
    """One row as the model wants it: each of `columns` a number, text, or None for blank. Raises BadValue."""
    given = row if isinstance(row, Mapping) else _read(row)
    for name in given:
        if name not in columns:
            raise BadValue(_("the model has no column {name}").format(name=name), near(name, list(columns)))
    return {name: _value(name, kind, given.get(name)) for name, kind in columns.items()}


def _read(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadValue(_("the row isn't JSON: {error}").format(error=error), '{"column": value, ...}') from None
    given: dict[str, Any] = {}
    # A comma separates columns only where a name and "=" follow: "name=Kim, Min-ji,age=20" has two.
    for part in re.split(r",(?=\s*[^,=]+=)", text):
        name, equals, value = part.partition("=")
        if not equals:
            raise BadValue(_("{part!r} isn't column=value").format(part=part), "--row column=value,column=value")
        if name.strip() in given:
            raise BadValue(_("the column {name} is given twice").format(name=name.strip()))
        given[name.strip()] = value.strip()
    return given


def _value(name: str, kind: str, value: Any) -> float | str | None:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadValue(_("{name} is {value!r}, neither a number nor text").format(name=name, value=value))
    if kind != "number":
        return str(value)
    if why := number.wrong(str(value)):
        raise BadValue(f"{name}: {why}", _("{name} is a column of numbers").format(name=name))
    return float(value)


def _from_csv(path: Path, columns: Mapping[str, str]) -> Iterator[Row]:
    if not path.is_file():
        raise BadValue(_("the file {path} doesn't exist").format(path=path))
    if problem := encoding.problem(path, path.name):
        raise BadValue(problem.what, problem.how)
    try:
        with reading.opened(path) as file:
            header = file.header()
            where = _places(path, header, columns)
            for chunk in file.chunks():
                for line, row in zip(chunk.lines, chunk.rows, strict=True):
                    yield _row(f"{path.name}:{line}", row, len(header), where, columns)
    except reading.Broken as error:
        raise BadValue(f"{path.name}:{error.line}: {error.why}", error.how) from None


def _places(path: Path, header: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    """The index of each of the model's columns that the file has. Raises BadValue when there is none, or one twice."""
    where = {name: header.index(name) for name in columns if name in header}
    if other := reading.separator(header) if not where else "":
        said = _("{path}:1: the fields are separated by {name}")
        raise BadValue(said.format(path=path.name, name=other), _("save the file with commas"))
    if not where:
        raise BadValue(
            _("{path}: no column of the model is in the first line").format(path=path),
            _("the model has {columns}").format(columns=", ".join(columns)),
        )
    if twice := next((name for name in where if header.count(name) > 1), None):
        raise BadValue(_("{path}:1: the column {column} is there twice").format(path=path.name, column=twice))
    return where


def _row(place: str, row: list[str], width: int, where: Mapping[str, int], columns: Mapping[str, str]) -> Row:
    if len(row) != width:
        raise BadValue(
            _("{place}: {found} fields, expected {width}").format(place=place, found=len(row), width=width),
            _('a comma inside a field needs quotes: "Kim, Minji"'),
        )
    try:
        return parse({name: row[i] for name, i in where.items()}, columns)
    except BadValue as error:
        raise BadValue(f"{place}: {error.message}", error.hint) from None


def interpret(answer: Answer, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The model's outputs in the trainer's words. Raises UserError for outputs that don't fit what the trainer wrote.

    An export answers by name: the label and, for classes, "probabilities", one a class. Another one, with a single
    output or from when two classes of one column were exported with a wrong label, is read by `read`.
    """
    label, classes = about["label"], about["classes"]
    found = answer.outputs.get("probabilities" if classes else label)
    if found is None and len(answer.outputs) == 1:
        found = next(iter(answer.outputs.values()))
    if found is None:
        names = ", ".join(answer.outputs)
        raise UserError(_("the model's outputs are {names}: none is {label}").format(names=names, label=label))
    made = read(found, classes)
    if not classes or label not in answer.outputs or width(found) != len(classes):
        return made
    return [_labelled(one, str(_single(said))) for one, said in zip(made, answer.outputs[label], strict=True)]


def read(output: Sequence[Any], classes: Sequence[Any] | None) -> list[dict[str, Any]]:
    """What a last layer's output means: a number, one probability a class, or that of the second of two classes.

    The trainer decides the same for its export; this is for outputs without an export's names, and for comparing.
    Raises UserError for another count of numbers.
    """
    if not classes:
        return [{"prediction": _finite(value)} for value in map(_single, output)]
    made = []
    for shares in output:
        shares = shares if isinstance(shares, list) else [shares]
        if len(shares) == 1 and len(classes) == 2:
            shares = [1 - shares[0], shares[0]]
            best = int(shares[1] >= 0.5)
        elif len(shares) == len(classes):
            best = max(range(len(shares)), key=lambda i: shares[i])
        else:
            said = _("the model has {outputs} outputs for {count} classes")
            raise UserError(said.format(outputs=len(shares), count=len(classes)))
        by_class = {str(name): _finite(share) for name, share in zip(classes, shares, strict=True)}
        made.append({"prediction": str(classes[best]), "probability": _finite(shares[best]), "probabilities": by_class})
    return made


def width(output: Sequence[Any]) -> int:
    """The count of numbers a row; 0 without rows."""
    return (len(output[0]) if isinstance(output[0], list) else 1) if output else 0


def _labelled(one: dict[str, Any], label: str) -> dict[str, Any]:
    """An answer with the label that the export gives."""
    shares = one["probabilities"]
    if label not in shares:
        said = _("the model answers {label}, which is none of {classes}")
        raise UserError(said.format(label=label, classes=", ".join(shares)))
    return {"prediction": label, "probability": shares[label], "probabilities": shares}


def _single(value: Any) -> Any:
    while isinstance(value, list):
        value = value[0] if value else None
    return value


def _finite(value: Any) -> Any:
    """A number as JSON can have it: one that is not finite is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(answers: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Save predictions as CSV, or as one JSON object a line, by the file's ending. Raises BadValue for another."""
    if path.suffix not in (".csv", ".jsonl"):
        raise BadValue(_("{path}: predictions are written to .csv or .jsonl").format(path=path))
    with io.TextIOWrapper(private_file(path), encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers)
            return
        flat = [{_cell(k): _cell(v) for k, v in answer.items() if not isinstance(v, dict)} for answer in answers]
        table = csv.DictWriter(file, list(flat[0]) if flat else [])
        table.writeheader()
        table.writerows(flat)


def _cell(value: Any) -> Any:
    """A field that a spreadsheet takes for text: in front of what would be a formula stands an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
