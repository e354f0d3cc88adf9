"""Makes an export: converts a fetched model, compares every file with it on real rows, and writes one folder.

The trainer's own environment has TensorFlow; LiteRT and ONNX Runtime have small ones, so that a result is judged by
what runs on devices, and not by what wrote it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite import children, leftovers
from cloudkite.check import loading
from cloudkite.children import safe_environment
from cloudkite.data.declared import NUMBER
from cloudkite.export import card, manifest, page, place, snippets
from cloudkite.models.predictor import QUIET
from cloudkite.models.questions import Batch, Questions
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import Workspace, private_folder, read_json, write_atomically

if TYPE_CHECKING:
    import numpy as np

LITERT = ("ai-edge-litert==2.3.0", "numpy==2.4.6")
ONNX = ("onnxruntime==1.31.1", "numpy==2.4.6")
TF2ONNX = "tf2onnx==1.17.0"
COUNTS = "1,7,256"  # rows a call
ROWS = 10_000
PAGE, CARD, PREPARATION = "index.html", "MODEL_CARD.md", "preparation.json"
SECONDS = 1800
_INSIDE = Path(__file__).parent / "inside"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class File:
    """A file with the model: its size in bytes, the largest difference to an answer of the trained model, and the share
    of rows with the same answer; `exact`: it answers as that does. `refused` says why there is no such file.
    """

    name: str
    bytes: int = 0
    error: float = 0.0
    agree: float = 0.0
    exact: bool = False
    milliseconds: float = 0.0  # for one row; 0 where it was not taken
    refused: str = ""


@dataclass(frozen=True)
class Export:
    """What was made of a model: its files, and how it stands to what was in the folder before (None: nothing)."""

    folder: Path
    rows: int
    files: tuple[File, ...]
    fit: manifest.Fit | None
    lacking: tuple[str, ...]  # operations of the trained model that LiteRT lacks; a device does their part itself


@dataclass(frozen=True)
class Wishes:
    """What a person wants: `device`, the page and code for apps; `onnx`; `rows` at most to compare on, of the trainer's
    data or of the file `csv`; the card's `language`.
    """

    device: bool = False
    onnx: bool = False
    rows: int = ROWS
    csv: str = ""
    language: str = "en"


@dataclass(frozen=True)
class _Rows:
    """Rows to compare on: as a person has them, and a file of the model's columns, None for what load() gives."""

    texts: list[dict[str, Any]]
    file: Path | None


def make(
    workspace: Workspace,
    trainer: Trainer,
    model: Path,
    folder: Path,
    about: Mapping[str, Any],
    wishes: Wishes,
    tell: Tell,
) -> Export:
    """Write the export of `model` to `folder`, which appears whole; an earlier export there is replaced.

    Raises UserError for a model that can't be taken apart, and where nothing at all could be written.
    """
    before = place.check(folder)
    private_folder(workspace.state)
    with tempfile.TemporaryDirectory(
        dir=workspace.state, prefix=leftovers.prefix("export"), ignore_cleanup_errors=True
    ) as temporary:
        work = Path(temporary)
        made = work / "made"
        made.mkdir()
        tell(_("converting the model ..."))
        python = folders.environment(trainer, workspace, tell)
        rows = _rows(trainer, about, wishes, work)
        told = _convert(python, trainer, model, rows, wishes, work)
        tell(_("asking LiteRT ..."))
        litert = _environment(workspace, LITERT, tell)
        files, signature = _asked(litert, told, work, about)
        if wishes.onnx:
            tell(_("converting to ONNX ..."))
            files.append(_onnx(workspace, trainer, work, about, tell))
        if wishes.device:
            tell(_("writing the page ..."))
            files.append(_page(trainer, about, told, rows, wishes, work))
        if not any(one.bytes for one in files):
            raise UserError(
                _("nothing could be exported: {reason}").format(reason=files[0].refused),
                _("change that layer in trainer/model.py; docs/export.md lists what can go"),
            )
        for one in files:
            if one.bytes:
                shutil.copyfile(work / one.name, made / one.name)
        _write(trainer, model, about, told, files, signature, wishes, work, made)
        after = read_json(made / manifest.NAME)
        place.put(made, folder)
    fit = manifest.compare(before, after) if before else None
    return Export(folder, told["rows"], tuple(files), fit, tuple(told["lacking"]))


def _rows(trainer: Trainer, about: Mapping[str, Any], wishes: Wishes, work: Path) -> _Rows:
    """The rows to compare on. Raises BadValue where there are none on this machine."""
    declared = trainer.declared
    if declared.loads and not wishes.csv:
        if declared.data.startswith("gs://"):
            raise BadValue(_("the data are in {uri}").format(uri=declared.data), _("give rows with --csv FILE"))
        return _Rows([], None)
    paths = [Path(wishes.csv)] if wishes.csv else list(trainer.data_files)
    if not paths:
        raise BadValue(_("no data of {name} are on this machine").format(name=trainer.name), _("give rows: --csv FILE"))
    questions, texts, parts = Questions(about), [], []
    for batch in (batch for path in paths for batch in questions.file(path)):
        room = wishes.rows - len(texts)
        texts += _as_typed(questions, batch, about)[:room]
        parts.append({name: list(values)[:room] for name, values in batch.columns.items()})
        if len(texts) >= wishes.rows:
            break
    if not texts:
        raise BadValue(_("{path}: no rows").format(path=paths[0]))
    path = work / "rows.npz"
    _save(path, {name: [value for part in parts for value in part[name]] for name in about["columns"]}, about)
    return _Rows(texts, path)


def _as_typed(questions: Questions, batch: Batch, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of each row as they are written, by the model's columns."""
    where = questions.places(batch.names)
    columns = {
        name: [*map(flat, batch.columns[name])] if not isinstance(kind, str) else [*map(str, batch.fields[where[name]])]
        for name, kind in about["columns"].items()
        if not isinstance(kind, str) or name in where
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def flat(array: Any) -> list[float | None]:
    """The numbers of an array in a row, each the shortest that is the same float32; None for one that isn't finite."""
    import numpy as np

    return [page.shortest(one) for one in np.asarray(array, "float32").ravel().tolist()]


def _save(path: Path, columns: Mapping[str, Sequence[Any]], about: Mapping[str, Any]) -> None:
    import numpy as np

    made: dict[str, Any] = {}
    for name, values in columns.items():
        kind = about["columns"][name]
        if kind == NUMBER:
            made[name] = np.array(values, "float64").astype("float32")
        elif isinstance(kind, str):
            made[name] = np.array([value or "" for value in values], "U")
        else:
            made[name] = np.array(values, "float32").reshape([len(values), *kind])
    np.savez(path, **made)


def _environment(workspace: Workspace, pins: Sequence[str], tell: Tell) -> Path:
    """The interpreter of an environment with these pins. Raises UserError for one that can't be installed."""
    import environments

    try:
        return environments.environment(private_folder(workspace.envs), pins, folders.PYTHON, tell)
    except environments.EnvironmentFailed as error:
        said = _("{requirement} can't be installed: {error}")
        raise UserError(said.format(requirement=error.requirement, error=error), _("look at the network")) from None


def _run(command: Sequence[str | Path], work: Path, name: str, log: str = "log.txt") -> dict[str, Any]:
    """Run a script in `work` and give what it wrote to the file `name`. Raises UserError."""
    code = children.run([str(word) for word in command], work, safe_environment(QUIET), work / log, SECONDS)
    if code == 0 and (work / name).is_file():
        return read_json(work / name)
    said = [line for line in (work / log).read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    reason = said[-1] if said else _("exit code {code}").format(code=code)
    raise UserError(_("the export failed: {reason}").format(reason=reason[:300]))


def _convert(python: Path, trainer: Trainer, model: Path, rows: _Rows, wishes: Wishes, work: Path) -> dict[str, Any]:
    order: dict[str, Any] = {"model": str(model.resolve()), "trainer": str(trainer.folder), "out": str(work)}
    order |= {"page": wishes.device, "coded": wishes.device, "most": wishes.rows}
    order |= {"rows": str(rows.file)} if rows.file else {"load": loading.pattern(trainer)}
    write_atomically(work / "order.json", json.dumps(order))
    # -I: neither this folder nor the person's own packages come before TensorFlow's; -B: nothing is left beside code.
    told = _run([python, "-I", "-B", _INSIDE / "device.py", work / "order.json"], work, "told.json")
    if "error" in told:
        raise UserError(
            _("the model can't be exported: {reason}").format(reason=_reason(*told["error"])),
            _("train again with layers that Keras can save, then fetch the model"),
        )
    return told


def _reason(why: str, what: str) -> str:
    """What inside/device.py refuses, in a sentence."""
    return {
        "unsaved": _("it has no model.keras, as a layer of it could not be saved"),
        "load": _("model.keras can't be loaded: {what}"),
        "inputs": _("the network takes other inputs than the trainer's kit/prepare.py makes"),
        "outputs": _("it has {what} outputs, and a device is given one"),
        "lacking": _("LiteRT has no {what}"),
        "said": "{what}",
    }[why].format(what=what)


def _asked(
    litert: Path, told: Mapping[str, Any], work: Path, about: Mapping[str, Any]
) -> tuple[list[File], dict[str, Any]]:
    """What LiteRT answers beside the trained model, kind by kind; and the names of its inputs and its output."""
    import numpy as np

    files, signature, expected = [], {}, np.load(work / "answers.npz")["expected"]
    pairs = [f"{name}={work / 'given.npz'}" for name in told["files"].values()]
    pairs += [f"{told['coded']}={work / 'coded.npz'}"] if "coded" in told else []
    found = _run([litert, "-I", _INSIDE / "ask_litert.py", work, COUNTS, *pairs], work, "litert.json") if pairs else {}
    for kind in (*told["files"], *told["refused"]):
        name = told["files"].get(kind, f"model_{kind.replace(' ', '_')}.tflite")
        if kind in told["refused"]:
            files.append(File(name, refused=_reason(*told["refused"][kind])))
            continue
        one = found[name]
        if "error" in one:
            files.append(File(name, refused=one["error"]))
            continue
        signature = signature or one["signature"]
        judged = judge(work / name, np.load(work / one["outputs"]), expected, about, one["milliseconds"])
        files.append(_only_if_exact(judged) if kind == "float32" else judged)
    if "coded" in told:
        one = found[told["coded"]]
        path = work / told["coded"]
        if "error" in one or not judge(path, np.load(work / one["outputs"]), expected, about).exact:
            raise UserError(_("the model for iOS doesn't answer as the trained one"))
    return files, signature


def judge(
    path: Path, outputs: np.ndarray, expected: np.ndarray, about: Mapping[str, Any], milliseconds: float = 0.0
) -> File:
    """A file beside the trained model. `outputs` are the last layer's, [rows, numbers], once or several times."""
    import numpy as np

    if outputs.shape[1] == 1 and expected.shape[1] == 2:
        outputs = np.concatenate([1 - outputs, outputs], 1)
    expected = np.tile(expected, [len(outputs) // len(expected), 1])
    largest = max(1.0, float(np.nanmax(np.abs(expected))))
    difference = np.where(np.isnan(expected) & np.isnan(outputs), 0, np.abs(expected - outputs))
    error = float(np.max(np.nan_to_num(difference, nan=np.inf)))
    if about["classes"]:
        agree = float(np.mean(np.argmax(expected, 1) == np.argmax(outputs, 1)))
    else:
        agree = float(np.mean(difference <= 1e-3 * largest))
    exact = error <= page.TOLERANCE * largest
    return File(path.name, path.stat().st_size, error, agree, exact, round(milliseconds, 4))


def _only_if_exact(file: File) -> File:
    said = _("its answers differ from the trained model's by up to {error:.1e}")
    return file if file.exact else File(file.name, refused=said.format(error=file.error))


def _onnx(workspace: Workspace, trainer: Trainer, work: Path, about: Mapping[str, Any], tell: Tell) -> File:
    """ONNX by tf2onnx, which brings no TensorFlow of its own: it runs beside the trainer's."""
    import numpy as np

    name = "model.onnx"
    converter = _environment(workspace, [*trainer.requirements, TF2ONNX], tell)
    asker = _environment(workspace, ONNX, tell)
    command = [converter, "-I", "-m", "tf2onnx.convert", "--opset", "18", "--saved-model", work / "words"]
    code = children.run(
        [*map(str, command), "--output", str(work / name)], work, safe_environment(QUIET), work / "onnx.txt", SECONDS
    )
    if code or not (work / name).is_file():
        said = (work / "onnx.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        return File(name, refused=next((line for line in reversed(said) if line.strip()), "")[:300])
    told = _run([asker, "-I", _INSIDE / "ask_onnx.py", work, work / name, work / "given.npz"], work, "onnx.json")
    if "error" in told:
        return File(name, refused=told["error"])
    expected = np.load(work / "answers.npz")["expected"]
    return _only_if_exact(judge(work / name, np.load(work / "onnx.npy"), expected, about))


def _page(
    trainer: Trainer, about: Mapping[str, Any], told: Mapping[str, Any], rows: _Rows, wishes: Wishes, work: Path
) -> File:
    """The page, asked in Node about every row where Node is; it looks at some of them itself whenever it starts."""
    import numpy as np

    if told["page"]:
        return File(PAGE, refused=told["page"])
    expected = np.load(work / "answers.npz")["expected"]
    if not np.isfinite(expected).all():
        return File(PAGE, refused=_("the model doesn't answer each row with a number"))
    texts = rows.texts or typed(dict(np.load(work / "rows.npz", allow_pickle=False)), about)
    text = page.write(trainer.name, about, read_json(work / "program.json"), texts, expected.tolist(), wishes.language)
    (work / PAGE).write_text(text, encoding="utf-8")
    file = File(PAGE, len(text.encode()), exact=True)
    if not (node := children.program("node")):
        return file
    (work / "typed.json").write_text(json.dumps(texts), encoding="utf-8")
    found = _run(
        [node, _INSIDE / "ask_page.cjs", work / PAGE, work / "typed.json", work / "page.json"], work, "page.json"
    )
    taken = [i for i, answer in enumerate(found["answers"]) if isinstance(answer, list)]
    if not taken or found["check"]["wrong"]:
        return File(PAGE, refused=_("the page's own check fails"))
    answers = np.array([found["answers"][i] for i in taken], "float64")
    return _only_if_exact(judge(work / PAGE, answers, expected[taken], about))


def typed(columns: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows that load() gave as a person would have them: numbers in text, arrays as their numbers in a row."""
    made: dict[str, list[Any]] = {}
    for name, kind in about["columns"].items():
        values = columns[name]
        if not isinstance(kind, str):
            made[name] = [*map(flat, values)]
        elif kind == NUMBER:
            made[name] = ["" if one != one else str(page.shortest(one)) for one in values.tolist()]
        else:
            made[name] = [str(one) for one in values.tolist()]
    return [dict(zip(made, row, strict=True)) for row in zip(*made.values(), strict=True)]


def _write(
    trainer: Trainer, model: Path, about: Mapping[str, Any], told: Mapping[str, Any], files: Sequence[File],
    signature: Mapping[str, Any], wishes: Wishes, work: Path, made: Path,
) -> None:  # fmt: skip
    """The files beside the model: the card, what a device prepares itself, code for apps, and export.json."""
    preparation = {"columns": page.columns(about), "missing": sorted(page.missing_words(about))}
    (made / PREPARATION).write_text(json.dumps(preparation, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    code: dict[str, str] = {}
    if signature:
        ends = (
            signature["output"],
            signature["key"],
            told["output"],
            about["classes"] and [*map(str, about["classes"])],
        )
        inputs = {name: (kind, sizes) for name, (kind, sizes) in told["inputs"].items()}
        coded = {name: ("int32" if kind == "string" else kind, sizes) for name, (kind, sizes) in inputs.items()}
        whole = told["files"]["float32"] if "float32" in told["files"] else next(iter(told["files"].values()))
        code["kotlin"] = snippets.kotlin(whole, inputs, *ends)
        code["swift"] = snippets.swift("model.tflite" if "coded" in told else whole, coded, *ends)
        if wishes.device:
            (made / "android").mkdir()
            (made / "ios").mkdir()
            (made / "android" / "Model.kt").write_text(code["kotlin"], encoding="utf-8")
            (made / "ios" / "Model.swift").write_text(code["swift"], encoding="utf-8")
            if "coded" in told:
                shutil.copyfile(work / told["coded"], made / "ios" / "model.tflite")
    versions = {key: told[key] for key in ("tensorflow", "keras")}
    versions |= dict(pin.split("==") for pin in (LITERT[0], *([ONNX[0], TF2ONNX] if wishes.onnx else [])))
    hashes = {"weights": told["weights"], "preparation": manifest.digest(preparation)}
    source = trainer.folder / "data" / "README.md"
    text = source.read_text(encoding="utf-8", errors="replace") if source.is_file() else ""
    asked = {"rows": told["rows"], "counts": COUNTS.replace(",", ", "), "lacking": told["lacking"], "snippets": code}
    results = [(one.name, one.bytes, one.error, one.agree) for one in files if one.bytes and one.agree]
    shown = {**versions, **hashes}
    (made / CARD).write_text(
        card.write(trainer.name, about, text, results, {**asked, "versions": shown}, wishes.language), encoding="utf-8"
    )
    names = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
    about_it = {
        "format": manifest.FORMAT,
        "trainer": trainer.name,
        "model": model.parent.name if model.name == "model" else model.name,
        "signature": manifest.signature(about),
        **hashes,
        "versions": versions,
        "files": {name: place.digest(made / name) for name in names},
    }
    (made / manifest.NAME).write_text(json.dumps(about_it, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
