"""A plain trainer's short run: its program started here as a job starts it, its results in a folder of the check's."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from cloudkite import children
from cloudkite.check.rehearsal import Outcome, explain
from cloudkite.children import safe_environment
from cloudkite.models.predictor import QUIET
from cloudkite.show import amounts
from cloudkite.show.text import _, counted
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer

SHORT = 300  # seconds for a run that the trainer says is short
START = 60  # seconds after which a run that nobody said is short has started well
_MODELS = (".keras", ".h5", "saved_model.pb")
_SHOWN = 4  # files by name


def run(trainer: Trainer, python: Path, output: Path, log: Path, seconds: float | None = None) -> Outcome:
    """Run `python -m trainer.task` with the arguments that pyproject.toml calls a rehearsal, else without any.

    A run that goes on after `seconds` is ended, and that isn't a failure: what it did not come to is a note. Its
    results go to `output`/model, checkpoints and logs, named by the variables that a job has.
    """
    words = trainer.rehearsal or ()
    limit = seconds or (START if trainer.rehearsal is None else SHORT)
    names = {"AIP_MODEL_DIR": "model", "AIP_CHECKPOINT_DIR": "checkpoints", "AIP_TENSORBOARD_LOG_DIR": "logs"}
    places = {name: str(output / folder) + os.sep for name, folder in names.items()}
    command = [str(python), "-m", "trainer.task", *words]
    variables = safe_environment({**QUIET, "PYTHONDONTWRITEBYTECODE": "1", **places})
    code = children.run(command, trainer.folder, variables, log, limit)
    shown = shlex.join(["trainer.task", *words])
    if code == 0:
        return Outcome(summary=_("{command} ran to its end").format(command=shown))
    if code == children.TOO_LONG:
        said = _("ended after {seconds} seconds: what comes later in it was not run, nor what it saves")
        return Outcome(
            notes=(said.format(seconds=round(limit)), _("all it said: {log}").format(log=log)),
            summary=_("{command} started").format(command=shown),
        )
    reasons = explain(log.read_text(encoding="utf-8", errors="replace"), trainer.folder)
    reasons = reasons or [_("it ended with exit code {code}").format(code=code)]
    return Outcome((*reasons, _("all it said: {log}").format(log=log)))


def left(output: Path) -> Outcome:
    """The files that a run left for `fetch`, told by name and not looked into; `summary` is "" where there are none."""
    top = output / "model"
    found = sorted(folders.files_in(top), key=lambda path: not path.name.endswith(_MODELS))
    if not found:
        return Outcome()
    names = [f"{path.relative_to(top).as_posix()} ({amounts.size(path.stat().st_size)})" for path in found[:_SHOWN]]
    shown = ", ".join(names) + (", ..." if len(found) > _SHOWN else "")
    models = any(path.name.endswith(_MODELS) for path in found)
    notes = (_("a program's own files: they were not loaded again"),)
    if not models:
        notes = (_("no model is among them (.keras, .h5 or a SavedModel)"), *notes)
    return Outcome(notes=notes, summary=shown)


def data(trainer: Trainer) -> str:
    """What is said of a plain trainer's data."""
    count = len(trainer.data_files)
    if not count:
        return _("no columns are declared, and data/ is empty")
    return counted(
        "no columns are declared: {count} file in data/ was not looked into",
        "no columns are declared: {count} files in data/ were not looked into",
        count,
    )
