"""Plain trainers: what pyproject.toml says of them, their data, and a run of theirs that the check looks at."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cloudkite.check import programs, rehearsal, steps
from cloudkite.jobs import submit
from cloudkite.journey import data as data_journey
from cloudkite.show.errors import BadValue
from cloudkite.trainers import arguments, folders, making
from cloudkite.trainers.folders import Trainer
from tests import trainer_folder

TASK = """
import os, pathlib, sys, time
model = pathlib.Path(os.environ["AIP_MODEL_DIR"])
model.mkdir(parents=True)
for name in sys.argv[1:]:
    if name == "sleep":
        time.sleep(30)
    if name == "fail":
        raise RuntimeError("on purpose")
    (model / name).write_text("x")
print("ran", sys.argv[1:])
"""


def made(folder: Path, settings: str = "", task: str = TASK) -> Trainer:
    space = trainer_folder.space(folder)
    project = f'{trainer_folder.PYPROJECT}\n[tool.cloudkite]\nshape = "plain"\n{settings}'
    path = trainer_folder.make(space, "own", pyproject=project, task=task)
    (path / "trainer" / "data.py").unlink()
    return Trainer("own", path)


def test_it_declares_nothing_and_its_data_are_a_folder(tmp_path: Path):
    trainer = made(tmp_path)
    assert trainer.plain and trainer.rehearsal is None and trainer.data == "data"
    assert [path.name for path in trainer.data_files] == ["grades.csv"]
    with pytest.raises(BadValue, match="own declares no columns"):
        _ = trainer.declared
    with pytest.raises(BadValue, match="are a folder of files, which the data bucket doesn't take"):
        data_journey._files(trainer)
    before = folders.fingerprint(trainer)
    (trainer.folder / "data" / "grades.csv").write_text("other\n", encoding="utf-8")
    assert folders.fingerprint(trainer) != before
    assert submit.local_data(trainer, ("a",)) == (trainer.data_files, ("a",))
    assert submit._data_folder(trainer, ("a",)) == trainer.folder / "data"
    (trainer.folder / "data" / "grades.csv").unlink()
    assert trainer.data == "" and trainer.data_files == () and submit.local_data(trainer, ("a",)) == ((), ("a",))
    assert submit._data_folder(trainer, ("a",)) is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('shape = "round"', "shape under [tool.cloudkite] must be \"plain\", not 'round'"),
        ("shape = 3", 'shape under [tool.cloudkite] must be "plain", not 3'),
        ('rehearsal = "x"', "rehearsal under [tool.cloudkite] must be a list of texts"),
        ("rehearsal = [1]", "rehearsal under [tool.cloudkite] must be a list of texts"),
    ],
)
def test_settings_that_mean_nothing(tmp_path: Path, settings: str, said: str):
    trainer = made(tmp_path, settings if settings.startswith("rehearsal") else "")
    if settings.startswith("shape"):
        file = trainer.folder / "pyproject.toml"
        file.write_text(file.read_text(encoding="utf-8").replace('shape = "plain"', settings), encoding="utf-8")
    with pytest.raises(BadValue) as caught:
        _ = trainer.plain and trainer.rehearsal
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("rehearsal_words", "verdict", "said"),
    [
        ('["m.keras", "a.txt"]', "ok", "m.keras (1 B), a.txt (1 B)"),
        ('["a.txt"]', "ok", "no model is among them"),
        ("[]", "skipped", "the run left nothing for `fetch` (AIP_MODEL_DIR)"),
    ],
)
def test_what_a_run_left_is_listed(tmp_path: Path, monkeypatch, rehearsal_words: str, verdict: str, said: str):
    trainer = made(tmp_path, f"rehearsal = {rehearsal_words}")
    monkeypatch.setattr(folders, "environment", lambda *_: Path(sys.executable))
    report = steps.check(trainer_folder.space(tmp_path), trainer)
    assert report.ok and [step.name for step in report.steps] == ["lint", "data", "run", "results", "versions"]
    _lint, data, run, results, _versions = report.steps
    assert data.summary == "no columns are declared: 1 file in data/ was not looked into"
    assert run.verdict == "ok" and run.summary.endswith("ran to its end")
    assert results.verdict == verdict and said in " ".join([results.summary, *results.messages])
    assert steps.passed(trainer_folder.space(tmp_path), trainer)
    assert not (trainer.folder / "output").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["divide"], "first refuses its arguments: argument program: invalid choice: 'divide'"),
        (["multiply", "--epochs=3"], "first refuses its arguments: unrecognized arguments: --epochs=3"),
    ],
)
def test_what_its_parser_refuses_is_told_in_one_line(tmp_path: Path, words: list[str], said: str):
    folder = making.first_steps(trainer_folder.space(tmp_path), "first")
    with pytest.raises(BadValue) as caught:
        arguments.refuse_bad(Trainer("first", folder), Path(sys.executable), words)
    assert caught.value.message.startswith(said)
    arguments.refuse_bad(Trainer("first", folder), Path(sys.executable), ["--data", "gs://b/x", "read_csv"])


def test_a_run_that_fails_or_goes_on(tmp_path: Path):
    log = tmp_path / "log"
    failing = programs.run(made(tmp_path, 'rehearsal = ["fail"]'), Path(sys.executable), tmp_path / "a", log)
    assert failing.problems[0] == "trainer/task.py:9: RuntimeError: on purpose"
    trainer = made(tmp_path / "b", 'rehearsal = ["sleep"]')
    long = programs.run(trainer, Path(sys.executable), tmp_path / "b", log, seconds=0.5)
    assert long.problems == () and long.summary == "trainer.task sleep started"
    assert "was not run" in long.notes[0]
    assert programs.left(tmp_path / "b") == rehearsal.Outcome()
