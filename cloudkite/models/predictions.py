"""Fetched models: where they are, what they say about themselves, and predictions with them on this machine."""

from __future__ import annotations

import codecs
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudkite.models.predictor import Answer, Predictor
from cloudkite.models.questions import Batch, Questions
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import Workspace, read_json

_TIME = re.compile(r"\d{8}-\d{6}")  # in the name of a job


def latest_model(trainer: Trainer) -> Path:
    """The newest model of a trainer: one that was fetched, models/<job>/model or models/<job> itself, or output/model,
    which a run in its own folder leaves.

    Newest is the job, or the run here, that was started last. Raises UserError when there is none.
    """
    found = [*fetched(trainer.folder).values()]
    here = trainer.folder / "output" / "model"
    found += [here] if (here / "saved_model.pb").is_file() else []
    if not found:
        raise UserError(
            _("{name} has no model yet: none was fetched, and none trained in its folder").format(name=trainer.name),
            _("uv run invoke fetch gets the newest job's model"),
        )
    return max(found, key=_age)


def fetched(trainer: Path) -> dict[str, Path]:
    """The models that were fetched into a trainer's folder, by the names of their jobs."""
    found = [
        path.parent
        for depth in ("[!.]*", "[!.]*/model")  # one that is still being fetched begins with a dot
        for path in (trainer / "models").glob(f"{depth}/saved_model.pb")
    ]
    return {(model.parent if model.name == "model" else model).name: model for model in found}


def _age(model: Path) -> str:
    job = model.parent if model.name == "model" else model
    named = _TIME.search(job.name) if job.parent.name == "models" else None
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
    return checked(found, str(path))


def checked(found: Any, path: str) -> dict[str, Any]:
    """What was read from the trainer.json at `path`. Raises UserError unless a trainer wrote it."""
    lacking = [key for key in ("label", "classes", "columns") if not isinstance(found, dict) or key not in found]
    if lacking:
        raise UserError(_("{path} lacks {keys}").format(path=path, keys=", ".join(lacking)), _ANEW)
    if wrong := next((key for key, fits in _SHAPES.items() if key in found and not fits(found[key])), ""):
        raise UserError(_("{path}: {key} is not what a trainer writes").format(path=path, key=wrong), _ANEW)
    return found


def _is_words(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(word, str) for word in found)


def _is_kind(found: Any) -> bool:
    """A word, or the sizes of an array."""
    sizes = found if isinstance(found, list) else []
    return isinstance(found, str) or (bool(sizes) and all(type(size) is int and size > 0 for size in sizes))


def _is_form(found: tuple[str, Any]) -> bool:
    """How a column is written, or with the name "" the file; see cloudkite.data.fields."""
    name, form = found
    if not isinstance(form, dict) or not form.keys() <= (_COLUMN_FORM if name else _FILE_FORM):
        return False
    words = form.get("missing", [])
    try:
        codecs.lookup(form.get("codec", "utf-8"))
    except (LookupError, TypeError, ValueError):
        return False
    return _is_words(words) and all(isinstance(value, str) for key, value in form.items() if key != "missing")


_COLUMN_FORM, _FILE_FORM = {"style", "unit", "order"}, {"codec", "sheet", "query", "missing"}


def _is_statistics(found: Any) -> bool:
    if not isinstance(found, dict) or not _is_words(found.get("words", [])):
        return False
    ends = [found[end] for end in ("low", "high") if found.get(end) is not None]
    return any(all(isinstance(end, kind) for end in ends) for kind in (str, int | float, list))


_ANEW = _("fetch the model again: move its folder away, then uv run invoke fetch")
_SHAPES: dict[str, Callable[[Any], bool]] = {  # of trainer.json
    "label": lambda label: isinstance(label, str),
    "classes": lambda found: not found or (isinstance(found, list) and all(isinstance(c, str | int) for c in found)),
    "columns": lambda found: isinstance(found, dict) and all(map(_is_kind, found.values())),
    # Since a trainer may have been made from a file with other names, and tells the words it knows:
    "headers": lambda found: isinstance(found, dict) and all(isinstance(name, str) for name in found.values()),
    "words": lambda found: isinstance(found, dict) and all(map(_is_words, found.values())),
    # Since it tells how the person's file was written, and what the training data were like:
    "forms": lambda found: isinstance(found, dict) and all(map(_is_form, found.items())),
    "statistics": lambda found: isinstance(found, dict) and all(map(_is_statistics, found.values())),
}


@dataclass(frozen=True)
class Answers:
    """What a model answered to some rows: the predictions, and for classes the probability of each one, by class."""

    predictions: list[Any]
    shares: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The predictions and, for classes, how probable each is."""
        if not self.shares:
            return {"prediction": self.predictions}
        where = {name: i for i, name in enumerate(self.shares)}
        by_row = zip(*self.shares.values(), strict=True)
        sure = [row[where[name]] for row, name in zip(by_row, self.predictions, strict=True)]
        return {"prediction": self.predictions, "probability": sure}

    def rows(self) -> list[dict[str, Any]]:
        """One answer a row: "prediction" and, for classes, "probability" and "probabilities" by class."""
        columns = self.columns
        made = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        for one, shares in zip(made, zip(*self.shares.values(), strict=True), strict=False):
            one["probabilities"] = dict(zip(self.shares, shares, strict=True))
        return made


def predict(
    workspace: Workspace, trainer: Trainer, model: Path, rows: Sequence[str | Mapping[str, Any]] | Path
) -> list[dict[str, Any]]:
    """Predictions for rows, in the trainer's own environment; see `ask`."""
    return [one for _batch, answers in ask(workspace, trainer, model, rows) for one in answers.rows()]


def ask(
    workspace: Workspace,
    trainer: Trainer,
    model: Path,
    rows: Sequence[str | Mapping[str, Any]] | Path,
    note: Callable[[str], None] = lambda _line: None,
) -> Iterator[tuple[Batch, Answers]]:
    """Rows and predictions for them, many at once, from the trainer's own environment.

    A row is "column=value,column=value", a JSON object as text, or a mapping; a Path is a CSV file. Columns that are
    not given are blank. At the end `note` gets what the rows left to be taken for granted. Raises BadValue for a column
    that is unknown or a value that isn't one of its kind.
    """
    about = facts(model)
    questions = Questions(about)
    batches = questions.file(rows) if isinstance(rows, Path) else iter([questions.typed(rows)] if rows else [])
    batch = next(batches, None)  # before anything is started: most mistakes are in it
    if batch is None:
        raise BadValue(_("{path}: no rows").format(path=rows) if isinstance(rows, Path) else _("no rows"))
    python = folders.environment(trainer, workspace)
    with ThreadPoolExecutor(1) as beside, Predictor(python) as predictor:

        def answer(batch: Batch) -> Answers:
            return _answers(predictor.ask_columns(model, batch.columns, batch.rows), about)

        asked = beside.submit(answer, batch)
        for following in batches:  # is read, and written by who called, while the model answers the rows before
            later = beside.submit(answer, following)
            yield batch, asked.result()
            batch, asked = following, later
        yield batch, asked.result()
    for line in questions.notes():
        note(line)


def interpret(answer: Answer, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The model's outputs in the trainer's words. Raises UserError for outputs that don't fit what the trainer wrote.

    An export answers by name: the label and, for classes, "probabilities", one a class. Another one, with a single
    output or from when two classes of one column were exported with a wrong label, is read by `read`.
    """
    return _answers(answer, about).rows()


def _answers(answer: Answer, about: Mapping[str, Any]) -> Answers:
    label, classes = about["label"], about["classes"]
    found = answer.outputs.get("probabilities" if classes else label)
    if found is None and len(answer.outputs) == 1:
        found = next(iter(answer.outputs.values()))
    if found is None:
        names = ", ".join(answer.outputs)
        raise UserError(_("the model's outputs are {names}: none is {label}").format(names=names, label=label))
    made = _read(found, classes)
    if not classes or label not in answer.outputs or width(found) != len(classes):
        return made
    said = [str(_single(one)) for one in answer.outputs[label]]
    if others := set(said).difference(made.shares):
        text = _("the model answers {label}, which is none of {classes}")
        raise UserError(text.format(label=min(others), classes=", ".join(made.shares)))
    return Answers(said, made.shares)


def read(output: Sequence[Any], classes: Sequence[Any] | None) -> list[dict[str, Any]]:
    """What a last layer's output means: a number, one probability a class, or that of the second of two classes.

    The trainer decides the same for its export; this is for outputs without an export's names, and for comparing.
    Raises UserError for another count of numbers.
    """
    return _read(output, classes).rows()


def _read(output: Sequence[Any], classes: Sequence[Any] | None) -> Answers:
    if not classes:
        return Answers([_finite(_single(value)) for value in output])
    names = [str(name) for name in classes]
    rows = [shares if isinstance(shares, list) else [shares] for shares in output]
    if len(classes) == 2 and set(map(len, rows)) == {1}:
        rows = [[1 - share, share] for (share,) in rows]
        best = [int(shares[1] >= 0.5) for shares in rows]
    elif wrong := set(map(len, rows)) - {len(classes)}:
        said = _("the model has {outputs} outputs for {count} classes")
        raise UserError(said.format(outputs=min(wrong), count=len(classes)))
    else:
        best = [shares.index(max(shares)) for shares in rows]
    shares = [list(map(_finite, column)) for column in zip(*rows, strict=True)] or [[] for _name in names]
    return Answers([names[i] for i in best], dict(zip(names, shares, strict=True)))


def width(output: Sequence[Any]) -> int:
    """The count of numbers a row; 0 without rows."""
    return (len(output[0]) if isinstance(output[0], list) else 1) if output else 0


def _single(value: Any) -> Any:
    while isinstance(value, list):
        value = value[0] if value else None
    return value


def _finite(value: Any) -> Any:
    """A number as JSON can have it: one that is not finite is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
