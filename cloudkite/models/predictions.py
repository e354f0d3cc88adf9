"""Fetched models: where they are, what they say about themselves, and predictions with them on this machine."""

from __future__ import annotations

import csv  # for files of its own: a person's are read by cloudkite.data.reading
import io
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from cloudkite import leftovers
from cloudkite.data import number
from cloudkite.models.predictor import Answer, Predictor
from cloudkite.models.questions import Batch, Questions
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import Workspace, private_file, read_json

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # https://owasp.org/www-community/attacks/CSV_Injection
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
    if wrong := next((key for key, fits in _SHAPES.items() if key in found and not fits(found[key])), ""):
        raise UserError(_("{path}: {key} is not what a trainer writes").format(path=path, key=wrong), _ANEW)
    return found


def _is_words(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(word, str) for word in found)


_ANEW = _("fetch the model again: move its folder away, then uv run invoke fetch")
_SHAPES: dict[str, Callable[[Any], bool]] = {  # of trainer.json
    "label": lambda label: isinstance(label, str),
    "classes": lambda found: not found or (isinstance(found, list) and all(isinstance(c, str | int) for c in found)),
    "columns": lambda found: isinstance(found, dict) and all(isinstance(kind, str) for kind in found.values()),
    # Since a trainer may have been made from a file with other names, and tells the words it knows:
    "headers": lambda found: isinstance(found, dict) and all(isinstance(name, str) for name in found.values()),
    "words": lambda found: isinstance(found, dict) and all(map(_is_words, found.values())),
}


def predict(
    workspace: Workspace, trainer: Trainer, model: Path, rows: Sequence[str | Mapping[str, Any]] | Path
) -> list[dict[str, Any]]:
    """Predictions for rows, in the trainer's own environment; see `ask`."""
    return [one for _batch, answers in ask(workspace, trainer, model, rows) for one in answers]


def ask(
    workspace: Workspace,
    trainer: Trainer,
    model: Path,
    rows: Sequence[str | Mapping[str, Any]] | Path,
    note: Callable[[str], None] = lambda _line: None,
) -> Iterator[tuple[Batch, list[dict[str, Any]]]]:
    """Rows and predictions for them, many at once, from the trainer's own environment.

    A row is "column=value,column=value", a JSON object as text, or a mapping; a Path is a CSV file. Columns that are
    not given are blank. Each answer has "prediction" and, for classes, "probability" and "probabilities" by class.
    At the end `note` gets what the rows left to be taken for granted. Raises BadValue for a column that is unknown or a
    value that isn't a number.
    """
    about = facts(model)
    questions = Questions(about)
    batches = questions.file(rows) if isinstance(rows, Path) else iter([questions.typed(rows)] if rows else [])
    first = next(batches, None)  # before anything is started: most mistakes are in it
    if first is None:
        raise BadValue(_("{path}: no rows").format(path=rows) if isinstance(rows, Path) else _("no rows"))
    with Predictor(folders.environment(trainer, workspace)) as predictor:
        for batch in chain([first], batches):
            yield batch, interpret(predictor.ask_columns(model, batch.columns, len(batch.fields)), about)
    for line in questions.notes():
        note(line)


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
    made, names = [], [str(name) for name in classes]
    for shares in output:
        shares = shares if isinstance(shares, list) else [shares]
        if len(shares) == 1 and len(classes) == 2:
            shares = [1 - shares[0], shares[0]]
            best = int(shares[1] >= 0.5)
        elif len(shares) == len(classes):
            best = shares.index(max(shares))
        else:
            said = _("the model has {outputs} outputs for {count} classes")
            raise UserError(said.format(outputs=len(shares), count=len(classes)))
        shares = shares if math.isfinite(sum(shares)) else list(map(_finite, shares))
        by_class = dict(zip(names, shares, strict=True))
        made.append({"prediction": names[best], "probability": shares[best], "probabilities": by_class})
    return made


def width(output: Sequence[Any]) -> int:
    """The count of numbers a row; 0 without rows."""
    return (len(output[0]) if isinstance(output[0], list) else 1) if output else 0


def _labelled(one: dict[str, Any], label: str) -> dict[str, Any]:
    """An answer with the label that the export gives."""
    shares = one["probabilities"]
    if one["prediction"] == label:
        return one
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


def write(pairs: Iterable[tuple[Batch, Sequence[Mapping[str, Any]]]], path: Path) -> int:
    """Save rows with their predictions beside them and give their number; the file appears when it is complete.

    CSV, or one JSON object a line, by the file's ending. Raises BadValue for another one, and for a file that is there.
    """
    check_output(path)
    part, count = path.with_name(leftovers.prefix("tmp") + path.name), 0
    try:
        with io.TextIOWrapper(private_file(part), encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            for batch, answers in pairs:
                names = _beside(batch.names)
                if path.suffix.lower() == ".jsonl":
                    rows = (dict(zip(batch.names, fields, strict=True)) for fields in batch.fields)
                    file.writelines(
                        json.dumps({**row, **{names[k]: v for k, v in answer.items()}}, ensure_ascii=False) + "\n"
                        for row, answer in zip(rows, answers, strict=True)
                    )
                else:
                    flat = [key for key in answers[0] if key != "probabilities"]
                    if not count:
                        table.writerow(map(_cell, [*batch.names, *(names[key] for key in flat)]))
                    table.writerows(
                        map(_cell, [*fields, *(answer[key] for key in flat)])
                        for fields, answer in zip(batch.fields, answers, strict=True)
                    )
                count += len(answers)
        check_output(path)  # somebody may have made it meanwhile
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


def check_output(path: Path) -> None:
    """Raise BadValue unless predictions can be written to `path` without losing anything."""
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise BadValue(_("{path}: predictions are written to .csv or .jsonl").format(path=path))
    if os.path.lexists(path):
        raise BadValue(_("{path} is there already").format(path=path), _("choose another name, or delete it"))
    if not path.parent.is_dir():
        raise BadValue(_("the folder {path} doesn't exist").format(path=path.parent), _("make it, or choose another"))


def _beside(names: Sequence[str]) -> dict[str, str]:
    """What the parts of an answer are called beside columns that may have those names."""
    called = {}
    for key in ("prediction", "probability", "probabilities"):
        called[key] = key
        while called[key] in names:
            called[key] += "_"
    return called


def _cell(value: Any) -> Any:
    """A field that no spreadsheet runs: in front of what would be a formula stands an apostrophe."""
    formula = isinstance(value, str) and value.startswith(_FORMULA) and number.read(value) is None
    return f"'{value}" if formula else value
