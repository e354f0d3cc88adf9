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
_TABLE = re.compile(r"(?<=<!-- matrix -->\n).*?(?=<!-- /matrix -->)", re.DOTALL)
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
    """Try all of them, one after the other, and write the table into the pages. Raises UserError if one fails."""
    lines, wrong = [], 0
    with tempfile.TemporaryDirectory(dir=private_folder(CLONE / ".cloudkite" / "bench")) as state:
        space = throw_away(Path(state))
        for kind in making.KINDS:
            for model in making.MODELS:
                cells = list(_tried(space, kind, model))
                wrong += sum(cell.startswith("**") for cell in cells)
                lines.append(f"| {kind} | {model} | {' | '.join(cells)} |")
                screen.say(lines[-1])
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    for page in PAGES:
        path = CLONE / "docs" / page
        text = path.read_text(encoding="utf-8")
        head = _HEAD_KO if page.endswith(".ko.md") else _HEAD
        table = "\n".join([head.format(today=today), *lines])
        write_atomically(path, _TABLE.sub(lambda _found, table=table: f"\n{table}\n\n", text))
    if wrong:
        raise UserError(_("{count} of these did not pass").format(count=wrong))


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
