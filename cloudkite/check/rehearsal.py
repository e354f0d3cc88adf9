"""Two training steps in the trainer's own environment, and its export loaded and asked by a fresh process."""

from __future__ import annotations

import contextlib
import csv  # for files of its own: a person's are read by cloudkite.data.reading
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudkite import children
from cloudkite.check.rows import Source
from cloudkite.children import safe_environment
from cloudkite.data import reading
from cloudkite.data.declared import ARRAY, NUMBER, Declared
from cloudkite.models import predictions, questions
from cloudkite.models.predictor import QUIET, Answer, Predictor
from cloudkite.show.errors import UserError
from cloudkite.show.text import _, counted
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import make_folder, private_file, read_json

SECONDS = 600  # after which two steps are taken for endless
STEPS = 2
_TOGETHER = Path(__file__).parent / "inside" / "rehearse.py"
_READ_AT_IMPORT = re.compile(r"\b(?:KERAS|OMP|TF|TF2|XLA)_[A-Z_]+\b")
_FRAME = re.compile(r'^\s*File "(?P<file>.+?)", line (?P<line>\d+)', re.MULTILINE)
_TRACEBACK = "Traceback (most recent call last):"
_CLASSES = 10  # whose recall is shown, the rarest first
_SOME = 40  # rows that the export is asked about
_BEGINNING = 1000  # rows among which they are spread
_NEAR = 1e-4  # of the largest number: two answers that are nearer are equal but for rounding
_NO_QUESTIONS = _("the run left no rows that it was asked about (questions.npz): the export was loaded, not asked")
ANSWERS = "answers.json"  # what the trainer calls Keras' own answers, in its output folder

Raw = dict[str, str]  # a row as it is written: the columns and the label
Row = dict[str, Any]  # the same as a model is asked: numbers, texts, an array's numbers in one list, None for blank


@dataclass(frozen=True)
class Outcome:
    """What came of one step. `problems` is empty when all is well; `notes` are worth reading all the same."""

    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    summary: str = ""


@contextlib.contextmanager
def together(
    trainer: Trainer, python: Path, output: Path, log: Path, data: Path | None = None, ask: str = ""
) -> Iterator[tuple[Predictor, Callable[[], Outcome]]]:
    """What loads the export later, and what gives the outcome of the run as `train` does, both started at once.

    TensorFlow is imported once for both where a process can be forked and the trainer doesn't change what TensorFlow
    reads at its import.
    """
    if sys.platform != "linux" or _changes_import(trainer):
        with Predictor(python) as predictor:
            yield predictor, lambda: train(trainer, python, output, log, data, ask=ask)
        return
    make_folder(log.parent)
    private_file(log).close()
    ended = output.with_name("ended")
    order = {"folder": str(trainer.folder), "arguments": _arguments(output, data), "log": str(log),
             "ended": str(ended), "variables": {"PYTHONDONTWRITEBYTECODE": "1", **_asked(ask)}}  # fmt: skip
    with Predictor(python, [str(_TOGETHER), json.dumps(order)]) as predictor:
        yield predictor, lambda: _outcome(_wait(predictor, ended), trainer, output, log)


def _changes_import(trainer: Trainer) -> bool:
    """Whether the package names variables that are read when TensorFlow or Keras is imported."""
    found: set[str] = set()
    for path in folders.package_files(trainer):
        if path.suffix == ".py":
            found |= set(_READ_AT_IMPORT.findall(path.read_text(encoding="utf-8", errors="replace")))
    return bool(found - QUIET.keys() - {"TF_CONFIG"})


def _wait(predictor: Predictor, ended: Path) -> int:
    """The exit code of the run, once it has one."""
    late = time.monotonic() + SECONDS
    while not ended.is_file():
        if time.monotonic() > late:
            return children.TOO_LONG
        if predictor.ended and not ended.is_file():
            return 1
        time.sleep(0.02)
    return int(ended.read_text(encoding="ascii"))


def train(
    trainer: Trainer,
    python: Path,
    output: Path,
    log: Path,
    data: Path | None = None,
    environment: Mapping[str, str] | None = None,
    ask: str = "",
) -> Outcome:
    """Run `python -m trainer.task --steps 2 --epochs 1` on the trainer's data, or on the file `data`.

    The child gets an allow-list of variables, no GPU, and `environment`; all it says goes to `log`. With `ask`, a CSV
    file or what load() is given, it also leaves Keras' own answers to those rows in `output`. That is asked for by a
    variable: a trainer that does not know it runs all the same.
    """
    command = [str(python), "-m", "trainer.task", *_arguments(output, data)]
    variables = safe_environment({**QUIET, "PYTHONDONTWRITEBYTECODE": "1", **_asked(ask), **(environment or {})})
    return _outcome(children.run(command, trainer.folder, variables, log, SECONDS), trainer, output, log)


def _arguments(output: Path, data: Path | None) -> list[str]:
    found = ["--steps", str(STEPS), "--epochs", "1", "--output", str(output)]
    return found + (["--data", str(data)] if data else [])


def _asked(ask: str) -> dict[str, str]:
    return {"CLOUDKITE_ASK": ask} if ask else {}


def _outcome(code: int, trainer: Trainer, output: Path, log: Path) -> Outcome:
    """What came of a run that ended with `code` and said what is in `log`."""
    if code == 0:
        told = quality(_about(output))
        return Outcome(summary=_("{count} steps").format(count=STEPS) + (f"; {told}" if told else ""))
    said = log.read_text(encoding="utf-8", errors="replace")
    if code == children.TOO_LONG:
        problem = [_("no end after {seconds} seconds").format(seconds=SECONDS)]
    else:
        problem = explain(said, trainer.folder) or [_("it ended with exit code {code}").format(code=code)]
    if code in (-9, 137):
        problem.append(_("it was killed: the memory may be full"))
    return Outcome((*problem, _("all it said: {log}").format(log=log)))


def explain(said: str, folder: Path) -> list[str]:
    """The reason in a trainer's output: its own `error:` and `hint:`, or the last exception with the trainer's line."""
    told = re.findall(r"^error: .*(?:\n\nhint: .*)?", said, re.MULTILINE)
    if told and said.rfind(told[-1]) > said.rfind(_TRACEBACK):
        return [line for line in told[-1].removeprefix("error: ").splitlines() if line]
    lines = [line for line in said.splitlines() if line.strip()]
    if _TRACEBACK not in said:
        return lines[-1:]
    last = said[said.rfind(_TRACEBACK) :]
    error = next((line for line in last.splitlines()[1:] if line and not line[0].isspace()), lines[-1])
    place = ""
    for frame in _FRAME.finditer(last):
        path = (folder / frame["file"]).resolve()
        if path.is_relative_to(folder.resolve()) and ".venv" not in path.parts:
            place = f"{path.relative_to(folder.resolve()).as_posix()}:{frame['line']}: "
    return [place + error[:500]]


def parsed(declared: Declared, raw: list[Raw]) -> list[Row]:
    """Rows as a model is asked about them."""
    return [questions.parse({name: row[name] for name in declared.columns}, declared.columns) for row in raw]


def reload(predictor: Predictor, output: Path, declared: Declared, rows: list[Row]) -> Outcome:
    """Load the export that `train` left in `output` and ask it about rows of the data, and about an all-blank row.

    Its inputs must be the declared columns, its answers finite, its classes those of data.py, and its answers those
    that Keras itself gave to the same rows.
    """
    model = next((p.parent for p in sorted(output.rglob("saved_model.pb"))), None)
    if model is None:
        return Outcome((_("the run left no SavedModel (saved_model.pb) in its output folder"),))
    blank: Row = dict.fromkeys(declared.columns)
    try:
        about = predictions.facts(model)
        answer = predictor.ask(model, rows)
        problems = [*_inputs(declared, answer.inputs), *_facts(declared, about), *_columns(declared, answer)]
        if problems or not rows:
            return Outcome(tuple(problems), () if problems else (_NO_QUESTIONS,))
        answers = predictions.interpret(answer, about)
        problems = _answers(answers, "")
        alone = predictions.interpret(predictor.ask(model, rows[:1]), about)
        if not problems and not _alike(alone[0], answers[0]):
            problems = [_("a row gets another answer alone than among others: is something averaged over the batch?")]
        kept = _kept(output, about)
        if not problems and kept:
            problems = _compare(rows, answers, kept, declared)
        # No array is blank; of all other columns a row may be.
        empty = [] if declared.shapes else predictions.interpret(predictor.ask(model, [blank]), about)
    except UserError as error:
        return Outcome((error.message,))
    notes = _answers(empty, _("when every field is blank: "))
    if kept:
        said = counted(
            "{count} row predicted by a fresh process, as Keras itself predicts it",
            "{count} rows predicted by a fresh process, as Keras itself predicts them",
            len(rows),
        )
        return Outcome(tuple(problems), tuple(notes), said)
    said = _("the run left no answers of Keras itself ({file}): the export was not compared with them")
    summary = counted(
        "{count} row predicted by a fresh process", "{count} rows predicted by a fresh process", len(rows)
    )
    return Outcome(tuple(problems), (said.format(file=ANSWERS), *notes), summary)


def tensorflow_of(output: Path) -> str:
    """The TensorFlow that the export in `output` says it was made with; "" when it doesn't say."""
    return str(_about(output).get("tensorflow", ""))


def _about(output: Path) -> dict[str, Any]:
    """What the export in `output` tells of itself; {} where there is none, or it can't be read."""
    for path in sorted(output.rglob("assets.extra/trainer.json")):
        try:
            found = read_json(path)
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            return found
    return {}


def quality(about: Mapping[str, Any]) -> str:
    """What a model's trainer.json tells of the held-out rows, in words: accuracy, beside what a model that knows
    nothing has, and how many rows of each class were right; "" where it tells less.
    """
    metrics, recall = about.get("metrics"), about.get("recall")
    parts = []
    if isinstance(metrics, dict):
        accuracy, base = metrics.get("accuracy"), metrics.get("baseline_accuracy")
        if isinstance(accuracy, int | float) and isinstance(base, int | float):
            said = _("accuracy {accuracy:.3g} of held-out rows, always the commonest {base:.3g}")
            parts.append(said.format(accuracy=accuracy, base=base))
    if isinstance(recall, dict) and all(isinstance(n, list) and len(n) == 2 for n in recall.values()) and recall:
        rarest = sorted(recall.items(), key=lambda item: item[1][1])[:_CLASSES]
        shown = ", ".join(f"{right} of {count} {name}" for name, (right, count) in rarest)
        parts.append(_("right: {classes}").format(classes=shown + (", ..." if len(recall) > _CLASSES else "")))
    return "; ".join(parts)


def some_rows(declared: Declared, sources: list[Source]) -> list[Raw]:
    """A few rows of data that was checked before, as they are written: from all over the beginning, so that different
    answers are among them, and the first that has a blank field."""
    names = [*declared.columns, declared.label]
    with reading.opened(sources[0].path) as file:
        header = file.header()
        where = {name: header.index(name) for name in names}
        chunk = next(file.chunks())
    beginning = [row for row in chunk.rows[:_BEGINNING] if any(row)]
    rows = [{name: row[i] for name, i in where.items()} for row in beginning]
    with_blank = [row for row in rows if not all(row.values())][:1]
    return rows[:: math.ceil(len(rows) / _SOME)] + with_blank


def write_rows(raw: list[Raw], path: Path) -> None:
    """Rows as a CSV file that the trainer can read."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(raw[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(raw)


def _kept(output: Path, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What Keras itself answered, read without the trainer's help; [] when the run left nothing of it."""
    try:
        return predictions.read(read_json(output / ANSWERS), about["classes"])
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise UserError(_("the run's {file} can't be read: {error}").format(file=ANSWERS, error=error)) from None


def _columns(declared: Declared, answer: Answer) -> list[str]:
    """Where an export gives a label beside probabilities that are not one a class."""
    shares, count = answer.outputs.get("probabilities", []), len(declared.classes)
    if not count or declared.label not in answer.outputs or predictions.width(shares) in (0, count):
        return []
    said = _("the export gives {width} probability a row for {count} classes: its label can be wrong")
    many = _("the export gives {width} probabilities a row for {count} classes: its label can be wrong")
    return [(said if predictions.width(shares) == 1 else many).format(width=predictions.width(shares), count=count)]


def _compare(
    rows: list[Row], answers: list[dict[str, Any]], kept: list[dict[str, Any]], declared: Declared
) -> list[str]:
    """Where the export answers otherwise than Keras."""
    if len(kept) != len(answers):
        said = _("the run answered {kept} of {count} rows: does it leave rows out?")
        return [said.format(kept=len(kept), count=len(answers))]
    if strange := _answers(kept, _("Keras itself: ")):
        return strange
    # A label that is a number can be near zero for one row: what matters is how large it is in others.
    scale = max(abs(number) for one in kept for number in _numbers(one))
    for row, export, keras in zip(rows, answers, kept, strict=True):
        best = sorted(_numbers(keras))[-2:]
        tied = bool(declared.classes) and best[1] - best[0] <= _NEAR
        same_label = not declared.classes or export["prediction"] == keras["prediction"] or tied
        if not same_label or not _alike(export, keras, scale):
            shown = ",".join(f"{name}={_written(row[name])}" for name in declared.columns)
            said = _("the export does not answer as the model does: for {row} it says {export}, Keras itself {keras}")
            return [said.format(row=shown, export=_shown(export), keras=_shown(keras))]
    return []


def _inputs(declared: Declared, inputs: Mapping[str, str]) -> list[str]:
    """Where the signature's inputs are not the declared columns."""
    found = []
    for name, kind in declared.columns.items():
        if name not in inputs:
            found.append(_("the export has no input {name}").format(name=name))
        elif (inputs[name] == "string") == (kind in (NUMBER, ARRAY)):
            said = _("the export's input {name} is {dtype}, but data.py declares {kind}")
            found.append(said.format(name=name, dtype=inputs[name], kind=kind))
    extra = sorted(inputs.keys() - declared.columns.keys())
    return found + [_("the export asks for {name}, which data.py does not declare").format(name=n) for n in extra]


def _facts(declared: Declared, about: Mapping[str, Any]) -> list[str]:
    """Where the export's trainer.json is not what data.py declares."""
    told = {"label": about["label"], "columns": about["columns"], "classes": [str(c) for c in about["classes"] or ()]}
    columns = {name: list(declared.shapes.get(name, ())) or kind for name, kind in declared.columns.items()}
    ours = {"label": declared.label, "columns": columns, "classes": list(declared.classes)}
    said = _("trainer.json says {key} {told}, data.py {ours}")
    return [said.format(key=key, told=told[key], ours=ours[key]) for key in ours if told[key] != ours[key]]


def _written(value: Any) -> str:
    """A value of a row in few letters."""
    if isinstance(value, list):
        return _("{count} numbers").format(count=len(value))
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)[:60]


def _answers(answers: list[dict[str, Any]], when: str) -> list[str]:
    """What is wrong with predictions: not finite, or shares that are no probabilities."""
    for answer in answers:
        shares = answer.get("probabilities", {"": answer["prediction"]})
        if any(not isinstance(share, int | float) or not math.isfinite(share) for share in shares.values()):
            return [when + _("a prediction is not finite: {answer}").format(answer=answer)]
        if "probabilities" in answer and (min(shares.values()) < -1e-3 or abs(sum(shares.values()) - 1) > 1e-2):
            said = _("the outputs aren't probabilities (does the last layer lack softmax or sigmoid?): {answer}")
            return [when + said.format(answer=answer)]
    return []


def _alike(one: dict[str, Any], other: dict[str, Any], scale: float = 1.0) -> bool:
    """Whether the numbers of two answers are equal but for rounding."""
    pairs = zip(_numbers(one), _numbers(other), strict=True)
    return all(math.isclose(p, q, rel_tol=1e-3, abs_tol=_NEAR * scale) for p, q in pairs)


def _numbers(answer: dict[str, Any]) -> list[Any]:
    return [*answer.get("probabilities", {"": answer["prediction"]}).values()]


def _shown(answer: dict[str, Any]) -> str:
    """An answer in a few words: "yes (no 0.269, yes 0.731)"."""
    if "probabilities" not in answer:
        return f"{answer['prediction']:.6g}"
    shares = ", ".join(f"{name} {share:.3f}" for name, share in answer["probabilities"].items())
    return f"{answer['prediction']} ({shares})"
