"""The rows of a trainer that has its own load(), as its own Python gives them, judged as a CSV file's are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cloudkite import children
from cloudkite.check.findings import FAILED, NOTE, WARNING, Findings
from cloudkite.check.rehearsal import Row, explain
from cloudkite.check.rows import Source
from cloudkite.children import safe_environment
from cloudkite.data.declared import ARRAY, Declared
from cloudkite.models.predictor import QUIET
from cloudkite.show.errors import UserError
from cloudkite.show.text import _, counted, near
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import read_json

SECONDS = 600  # after which load() is taken for endless
NAME = "load()"
QUESTIONS = "questions.npz"  # beside Keras' own answers, in a run's output folder
_SCRIPT = Path(__file__).parent / "inside" / "load_rows.py"


def rows(
    trainer: Trainer,
    python: Path,
    folder: Path,
    log: Path,
    findings: Findings,
    most: int,
    given: str = "",
    new: bool = False,
) -> list[Source]:
    """What load() gives for `given`, or for DATA, written into `folder`; [] and findings where that are no rows.

    `most` rows are looked at; `new` ones need no label, GROUP, TIME or WEIGHT. Raises UserError for a load()
    that fails or doesn't end.
    """
    what = trainer.declared
    columns = {name: what.shapes[name] if kind == ARRAY else kind for name, kind in what.columns.items()}
    more = [name for name in (what.group, what.time, what.weight) if name and name not in columns]
    about = {"columns": columns, "label": what.label, "classes": bool(what.classes), "more": more}
    about |= {"most": most, "new": new}
    given = given or pattern(trainer)
    # -I: neither this folder nor the person's own packages come before TensorFlow's; -B: nothing is left beside code.
    command = [str(python), "-I", "-B", str(_SCRIPT), str(trainer.folder), given, json.dumps(about), str(folder)]
    _run(command, trainer, log)
    facts: dict[str, Any] = read_json(folder / "facts.json")
    if "refused" in facts:
        findings.add(FAILED, _refused(*facts["refused"]))
        return []
    if not facts["given"]:
        findings.add(FAILED, _("load() gives no rows for {pattern}").format(pattern=given))
        return []
    for name in facts["missing"]:
        said = _("load() gives no column {name}; {advice}").format(name=name, advice=near(name, facts["given"]))
        findings.add(FAILED, said)
    _tell(what, facts, findings)
    if facts["missing"]:
        return []
    return [Source(NAME, folder / "rows.csv", whole=facts["whole"], loaded=True)]


def pattern(trainer: Trainer) -> str:
    """What load() is given: DATA, a path being one from the trainer's folder, as it is for the trainer itself."""
    where = trainer.declared.data
    return where if where.startswith("gs://") else str(trainer.folder / where)


def questions(python: Path, trainer: Trainer, output: Path, log: Path) -> list[Row]:
    """The rows that a run was asked about, as it left them beside its answers; [] where it left none."""
    path, what = output / QUESTIONS, trainer.declared
    if not path.is_file():
        return []
    out = path.with_suffix(".json")
    _run([str(python), "-I", "-B", str(_SCRIPT), "--questions", str(path), str(out)], trainer, log)
    found: dict[str, list[Any]] = read_json(out)
    if lacking := [name for name in what.columns if name not in found]:
        raise UserError(_("{file} lacks {names}").format(file=QUESTIONS, names=", ".join(lacking)))
    columns = {name: list(map(_flat, found[name])) for name in what.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _flat(value: Any) -> Any:
    """The numbers of an array in one list; a blank number or text as a model is asked about one."""
    if isinstance(value, list):
        return [number for part in value for number in (_flat(part) if isinstance(part, list) else [part])]
    return None if value == "" or value != value else value


def _run(command: list[str], trainer: Trainer, log: Path) -> None:
    code = children.run(command, trainer.folder, safe_environment(QUIET), log, SECONDS)
    if code == 0:
        return
    said = log.read_text(encoding="utf-8", errors="replace")
    if code == children.TOO_LONG:
        raise UserError(
            _("load() didn't end within {seconds} seconds").format(seconds=SECONDS),
            _("is the dataset endless? leave out repeat()"),
        )
    reason = explain(said, trainer.folder) or [_("it ended with exit code {code}").format(code=code)]
    raise UserError(_("load(): {reason}").format(reason=reason[0]), _("all it said: {log}").format(log=log))


def _refused(kind: str, what: str) -> str:
    """Why what load() gave can't be read as rows."""
    said = {
        "type": _("load() gives a {what}; it must be a mapping of column to array, or a dataset of such mappings"),
        "batch": _("load() gives batches of {what}; each must be a mapping of column to array"),
        "lengths": _("load() gives columns of different lengths: {what}"),
    }
    return said[kind].format(what=what)


def _tell(declared: Declared, facts: dict[str, Any], findings: Findings) -> None:
    """What a table of text can't show: arrays, types and the order."""
    for name, (kind, found) in facts["wrong"].items():
        shown = declared.shown(name)
        if kind == "shape":
            said = _("{name}: load() gives {found} for each row, and one value is declared")
            findings.add(FAILED, said.format(name=shown, found=_sizes(found)))
        else:
            said = _("{name}: load() gives {found}, and {kind} is declared")
            kind = declared.columns.get(name, _("a number"))
            findings.add(FAILED, said.format(name=shown, found=found, kind=kind))
    for name, about in facts["arrays"].items():
        shown, sizes = declared.shown(name), declared.shapes[name]
        if "misfit" in about:
            said = _("row {row}:{name}: load() gives {found} of {type}, and {sizes} of numbers is declared")
            found = {"row": about["misfit"], "found": _sizes(about["shape"] or []), "sizes": _sizes(sizes)}
            findings.add(FAILED, said.format(name=shown, type=about["type"], **found))
            continue
        for row, count in about["wrong"]:
            said = counted(
                "row {row}:{name}: {count} number isn't finite", "row {row}:{name}: {count} numbers aren't finite",
                count, row=row, name=shown,
            )  # fmt: skip
            findings.repeat(FAILED, said, ("finite", name))
        for _more in range(about["count"] - len(about["wrong"])):
            findings.repeat(FAILED, "", ("finite", name))
        if about["constant"] == facts["rows"] > 1:
            findings.add(
                WARNING, _("{name}: each array is one value all over: nothing to learn from").format(name=shown)
            )
        elif about["constant"]:
            said = counted(
                "{name}: {count:,} array is one value all over, first in row {row}: an empty picture?",
                "{name}: {count:,} arrays are one value all over, first in row {row}: empty pictures?",
                about["constant"], name=shown, row=about["first_constant"],
            )  # fmt: skip
            findings.add(WARNING if about["constant"] >= 0.01 * facts["rows"] else NOTE, said)
        if about["low"] is not None:
            said = _("{name}: {sizes} of {type}, from {low:g} to {high:g}")
            text = said.format(name=shown, sizes=_sizes(sizes), **{k: about[k] for k in ("type", "low", "high")})
            findings.add(NOTE, text)
    if facts["reordered"]:
        said = _(
            "load() gives another order each time: the same rows must be held out in each run; leave out shuffle()"
        )
        findings.add(FAILED, said)


def _sizes(sizes: list[int] | tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes)) or _("one value")
