"""Each kind of trainer with each model, from the template to predictions: what docs/reliability.md tells of it."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cloudkite.children import safe_environment
from cloudkite.models import predictions
from cloudkite.show import screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.trainers import folders, making
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import CLONE, Workspace, private_folder, throw_away, write_atomically

PAGES = ("reliability.md", "reliability.ko.md")
_JUPYTER = ("nbclient==0.11.0", "ipykernel==7.4.0")
_EXPECTED = re.compile(
    r"Expected: (accuracy|mae) ([\d.]+) to ([\d.]+) \(linear: ([\d.]+) to ([\d.]+); [^:]+: ([\d.]+)\)"
)
_KILLED_AFTER = "epoch 6/"


@dataclass(frozen=True)
class Expected:
    """What the data.py of a kind says of its held-out rows: `metric` from `low` to `high`, and what is to be beaten."""

    metric: str
    low: float
    high: float
    baseline: float

    def met(self, metrics: dict[str, float]) -> bool:
        """Whether a run did as well as that, or better."""
        value = round(metrics[self.metric], 2)
        return value >= self.low if self.metric == "accuracy" else value <= self.high


def expected(folder: Path, model: str) -> Expected:
    """What the trainer in `folder` says of itself; a wide model does as well as an mlp."""
    found = _EXPECTED.search((folder / "trainer" / "data.py").read_text(encoding="utf-8"))
    assert found, folder
    numbers = list(map(float, found.groups()[1:]))
    low, high = numbers[2:4] if model == "linear" else numbers[:2]
    return Expected(found[1], low, high, numbers[4])


def run() -> None:
    """Try all of them, one after the other, and write the tables into the pages. Raises UserError if one fails."""
    with tempfile.TemporaryDirectory(dir=private_folder(CLONE / ".cloudkite" / "bench")) as state:
        space = throw_away(Path(state))
        wrong = models(space) + places(space)
    if wrong:
        raise UserError(_("{count} of these did not pass").format(count=wrong))


def models(space: Workspace) -> int:
    """Each kind with each model, from the template to predictions; gives how many cells are wrong."""
    rows = {(kind, model): _tried(space, kind, model) for kind in making.KINDS for model in making.MODELS}
    return _written("matrix", rows, _HEAD, _HEAD_KO)


def places(space: Workspace) -> int:
    """Each kind as it comes, in a notebook and then on devices; gives how many cells are wrong."""
    rows = {(kind,): _beyond(space, kind) for kind in making.KINDS}
    return _written("places", rows, _PLACES, _PLACES_KO)


def _written(name: str, rows: dict[tuple[str, ...], Iterator[str]], head: str, head_ko: str) -> int:
    """Work the rows of a table off, write it into the pages, and give how many cells are bold, and so wrong."""
    lines, wrong = [], 0
    for first, made in rows.items():
        cells = list(made)
        wrong += sum(cell.startswith("**") for cell in cells)
        lines.append(f"| {' | '.join([*first, *cells])} |")
        screen.say(lines[-1])
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    block = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
    for page in PAGES:
        path = CLONE / "docs" / page
        table = "\n".join([(head_ko if page.endswith(".ko.md") else head).format(today=today), *lines])
        text = block.sub(lambda _found, table=table: f"\n{table}\n\n", path.read_text(encoding="utf-8"))
        write_atomically(path, text)
    return wrong


_PLACES = """\
{today}, on 2 cores:

| kind | notebook | rows | page in a browser | LiteRT float32 |
|---|---|---|---|---|"""
_PLACES_KO = """\
{today}, 2코어:

| 종류 | 노트북 | 행 | 브라우저 페이지 | LiteRT float32 |
|---|---|---|---|---|"""
_HEAD = """\
{today}, two processes at a time on 2 cores that others used, too:

| kind | model | held-out rows | stated | trained in | ruff | killed, resumed | raw rows | its own tests |
|---|---|---|---|---|---|---|---|---|"""
_HEAD_KO = """\
{today}, 다른 작업도 쓰는 2코어에서 프로세스 두 개씩 실행했습니다.

| 종류 | 모델 | 떼어 둔 행 | 적힌 값 | 학습 시간 | ruff | 강제 종료 뒤 재개 | 원본 행 | 자체 테스트 |
|---|---|---|---|---|---|---|---|---|"""


def _tried(space: Workspace, kind: str, model: str) -> Iterator[str]:
    """The cells of one line; what failed is bold."""
    folder = making.new(space, f"{kind}-{model}", kind=kind, model=model).folder
    trainer = folders.find(space, str(folder))
    python = folders.environment(trainer, space)
    with ThreadPoolExecutor(1) as beside:
        tested = beside.submit(_said, lambda: _own_tests(trainer, space))
        began = time.perf_counter()
        _process(trainer, python, "trainer.task", "--output", "models/whole")
        seconds = time.perf_counter() - began
        about, stated = predictions.facts(folder / "models" / "whole" / "model"), expected(folder, model)
        value = f"{stated.metric} {about['metrics'][stated.metric]:.3g}"
        yield value if stated.met(about["metrics"]) else f"**{value}**"
        yield f"{stated.low:g} to {stated.high:g}"
        yield f"{seconds:.0f} s"
        yield _said(lambda: _linted(folder))
        yield _said(lambda: _killed(trainer, python))
        yield _said(lambda: _asked(space, trainer, stated))
        yield tested.result()


def _beyond(space: Workspace, kind: str) -> Iterator[str]:
    """The cells of a kind: its notebook run from top to bottom, and what it trained put on devices."""
    folder = making.new(space, f"{kind}-beyond", kind=kind).folder
    trainer = folders.find(space, str(folder))
    yield _said(lambda: _notebook(trainer, space))
    yield from _devices(space, trainer)


def _notebook(trainer: Trainer, space: Workspace) -> str:
    """Run all cells in an environment of Jupyter and the trainer's pins; a cell that fails ends it."""
    from environments import environment

    python = environment(space.envs, [*trainer.requirements, *_JUPYTER], "3.11")
    share = {"JUPYTER_PATH": str(python.parent.parent / "share" / "jupyter"), "JUPYTER_PLATFORM_DIRS": "1"}
    start = "from nbclient.cli import NbClientApp; NbClientApp.launch_instance()"
    done = subprocess.run(
        [str(python), "-c", start, "--output", "ran", "--timeout", "600", "notebook.ipynb"], cwd=trainer.folder,
        env=safe_environment({"PYTHONUTF8": "1", **share}), capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the notebook: {done.stderr[-2000:]}")
    drawn = (trainer.folder / "ran.ipynb").read_text(encoding="utf-8").count('"image/svg+xml"')
    assert drawn, "it drew nothing"
    return f"runs, {drawn} plots"


def _devices(space: Workspace, trainer: Trainer) -> Iterator[str]:
    """What the export's comparison with Keras says of the page and of LiteRT, on all rows of the kind's data."""
    from cloudkite.export import making as exports

    model = trainer.folder / "output" / "model"
    wishes = exports.Wishes(device=True, rows=100_000)
    try:
        made = exports.make(
            space, trainer, model, trainer.folder / "output" / "export", predictions.facts(model), wishes, screen.note
        )
    except UserError as error:
        yield from (f"**{error.message[:60]}**", "**-**", "**-**")
        return
    yield f"{made.rows:,}"
    files = {one.name: one for one in made.files}
    for name in (exports.PAGE, "model_float32.tflite"):
        one = files[name]
        if one.refused:
            yield f"**{one.refused[:60]}**"
        else:
            said = f"{one.error:.1g}, {100 * one.agree:.3g} % the same"
            yield said if one.exact else f"**{said}**"


def _said(what: Callable[[], str]) -> str:
    try:
        return what()
    except (AssertionError, RuntimeError, UserError, OSError) as error:
        screen.warn(str(error))
        return "**" + (str(error).splitlines() or [type(error).__name__])[0][:60].replace("|", " ") + "**"


def _process(trainer: Trainer, python: Path, module: str, *words: str) -> str:
    done = subprocess.run(
        [str(python), "-m", module, *words], cwd=trainer.folder, env=safe_environment({"PYTHONUTF8": "1"}),
        capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{module} ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _linted(folder: Path) -> str:
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", "."], cwd=folder, capture_output=True, text=True
        )
        assert not done.returncode, done.stdout
    return "clean"


def _own_tests(trainer: Trainer, space: Workspace) -> str:
    from environments import environment

    project = tomllib.loads((trainer.folder / "pyproject.toml").read_text(encoding="utf-8"))
    pins = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    python = environment(space.envs, pins, "3.11")
    said = _process(trainer, python, "pytest", "-q", "-p", "no:cacheprovider")
    passed = re.search(r"(\d+) passed", said)
    assert passed and "failed" not in said, said[-500:]
    return f"{passed[1]} passed"


def _killed(trainer: Trainer, python: Path) -> str:
    """Kill a run in its middle, take it up, and compare all that it saved and exported with the whole run's."""
    output = trainer.folder / "models" / "killed"
    words = ["-m", "trainer.task", "--output", str(output), "--save-every", "1"]
    with subprocess.Popen(
        [str(python), "-u", *words], cwd=trainer.folder, env=safe_environment({"PYTHONUTF8": "1"}),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
    ) as process:  # fmt: skip
        for line in process.stdout or ():
            if line.startswith(_KILLED_AFTER):
                break
        process.kill()
    said = _process(trainer, python, "trainer.task", *words[2:])
    resumed = re.search(r"resumed after step (\d+) of (\d+)", said)
    assert resumed, said
    whole = trainer.folder / "models" / "whole"
    assert _state(whole) == _state(output), "the weights differ"
    assert _facts(whole) == _facts(output), "trainer.json differs"
    return f"after step {resumed[1]} of {resumed[2]}, bit-equal"


def _state(output: Path) -> bytes:
    """The newest checkpoint: weights, optimizer and seeds."""
    return max(output.glob("checkpoints/*/step-*.data-*"), key=lambda path: path.name).read_bytes()


def _facts(output: Path) -> dict:
    return predictions.facts(output / "model")


def _asked(space: Workspace, trainer: Trainer, stated: Expected) -> str:
    """Ask the export about rows as people have them, and compare with what is known of these."""
    model, declared = trainer.folder / "models" / "whole" / "model", trainer.declared
    file = trainer.folder / declared.data
    label, asked = declared.label, file
    if declared.shapes and file.suffix == ".csv":  # a series: what comes after its newest values is not known
        (answer,) = predictions.predict(space, trainer, model, [f"{next(iter(declared.columns))}={file}"])
        return f"{answer['prediction']:.4g} to come"
    right, off, count = 0, 0.0, 0
    for batch, answers in predictions.ask(space, trainer, model, asked):
        known = batch.fields[batch.names.index(label)]
        for answer, value in zip(answers.predictions, known, strict=True):
            count += 1
            right += str(answer) == str(value)
            off += abs(float(answer) - float(value)) if not declared.classes else 0.0
    share = right / count if declared.classes else off / count
    assert stated.met({stated.metric: share}), f"{stated.metric} {share:.3g} of all rows"
    return f"{count:,}: {stated.metric} {share:.3g}"
