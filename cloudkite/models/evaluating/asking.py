"""Has a run looked at once more, in the trainer's own environment."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudkite import children, leftovers
from cloudkite.check import rehearsal
from cloudkite.children import safe_environment
from cloudkite.models.predictor import QUIET
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, near
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import Workspace, private_folder, read_json, write_atomically

SECONDS = 6 * 3600  # after which it is taken for endless; a million rows take about half a minute
_SCRIPT = Path(__file__).with_name("look_again.py")


@dataclass(frozen=True)
class Asked:
    """What is to be looked at. `model` and `logs` are folders, or None; `about` is the model's trainer.json; `data`,
    `validation` and `test` are as the run had them; `by` names columns; `variables` are for files in a bucket."""

    model: Path | None
    logs: Path | None
    about: Mapping[str, Any]
    data: str = ""
    validation: float | str = 0.0
    test: float | str = 0.0
    by: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What the trainer's own Python found: `events` of the logs, what was counted in each part that was held out, the
    hash of the data. `why` says in words why nothing was counted."""

    events: dict[str, list[dict[str, Any]]]
    parts: dict[str, dict[str, Any]]
    content: str = ""
    why: str = ""


def look(workspace: Workspace, trainer: Trainer, asked: Asked) -> Found:
    """Look at the run. Raises BadValue for a column in `by` that can't be, UserError where the process itself fails."""
    python = folders.environment(trainer, workspace)
    with tempfile.TemporaryDirectory(
        dir=private_folder(workspace.state), prefix=leftovers.prefix("report"), ignore_cleanup_errors=True
    ) as own:
        order, out, log = (Path(own, name) for name in ("order.json", "found.json", "log"))
        write_atomically(order, json.dumps(_order(trainer, asked)))
        # -I: neither this folder nor the person's own packages come before TensorFlow's; -B: no files beside code.
        command = [str(python), "-I", "-B", str(_SCRIPT), str(order), str(out)]
        code = children.run(command, trainer.folder, safe_environment({**QUIET, **asked.variables}), log, SECONDS)
        if code:
            said = rehearsal.explain(log.read_text(encoding="utf-8", errors="replace"), trainer.folder)
            raise UserError(_("the run can't be looked at: {said}").format(said=" ".join(said)[:500] or code))
        told: dict[str, Any] = read_json(out)
    why = _why(trainer, *told["problem"]) if "problem" in told else ""
    return Found(told["events"], told.get("parts", {}), told.get("content", ""), why)


def _order(trainer: Trainer, asked: Asked) -> dict[str, Any]:
    about = asked.about
    return {
        "folder": str(trainer.folder),
        "model": str(asked.model or ""),
        "logs": str(asked.logs or ""),
        "data": asked.data,
        "validation": asked.validation,
        "test": asked.test,
        "by": list(asked.by),
        "classes": [str(name) for name in about.get("classes") or ()],
        "label": about.get("label", ""),
        "statistics": about.get("statistics", {}),
    }


def _why(trainer: Trainer, kind: str, found: str, known: Sequence[str]) -> str:
    """A problem in words. Raises BadValue for one of --by."""
    names = [trainer.declared.shown(name) for name in known]
    if kind == "by":
        raise BadValue(_("--by {name}: the data have no such column").format(name=found), near(found, names))
    if kind == "label":
        said = _("data.py now declares other classes or another label than the run had: {label}: {classes}")
        return said.format(label=found, classes=", ".join(known) or _("a number"))
    if kind == "columns":
        return _("the data no longer have the columns {names}").format(names=found)
    if kind == "rows":
        return _("the data have rows without a valid {label}").format(label=found)
    return found
