"""`new --wrap` on five typical programs: few lines change, nothing that would break, and they train."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from cloudkite import workspace
from cloudkite.check import lint
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer
from cloudkite.trainers.wrapping import wrap
from tests import programs
from tests.baked.conftest import clean_environment

# Each program in a process of its own, which has TensorFlow from the first: imported once.
_ALL = """
import json, os, sys
import tensorflow
failed = []
for folder, words in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        os.chdir(folder)
        sys.path.insert(0, folder)
        from trainer import task
        code = 1
        try:
            code = task.main(words)
        except BaseException:
            import traceback
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    if os.waitpid(child, 0)[1]:
        failed.append(folder)
sys.exit(", ".join(failed) or 0)
"""


@pytest.fixture(scope="module")
def trainers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[wrap.Wrapped, Trainer]]:
    """The five programs, looked at and made."""
    top = tmp_path_factory.mktemp("wrapped")
    space, made = workspace.throw_away(top / "space"), {}
    for name, path in programs.write(top / "lessons").items():
        wrapped = wrap.look(path)
        made[name] = wrapped, Trainer(name, wrap.make(space, name, wrapped))
    return made


@pytest.mark.parametrize("name", programs.LEFT)
def test_few_lines_change_and_nothing_would_break(trainers: dict[str, tuple[wrap.Wrapped, Trainer]], name: str):
    wrapped, trainer = trainers[name]
    assert 0 < wrapped.changed <= 10, wrapped.diff
    assert lint.lint(trainer).verdict == "ok", lint.lint(trainer).lines()
    assert trainer.plain and trainer.rehearsal == ("--epochs", "1")
    assert (trainer.folder / "original" / wrapped.program.path.name).read_bytes() == wrapped.program.path.read_bytes()


def test_what_is_around_the_program_is_clean(trainers: dict[str, tuple[wrap.Wrapped, Trainer]]):
    ours = ["trainer/__init__.py", "trainer/places.py", "trainer/task.py"]
    for words in (["format", "--check"], ["check", "--select", "E,F,W,I,B,UP,SIM,RUF"]):
        line = [sys.executable, "-m", "ruff", *words, "--no-cache", "--isolated", "--line-length", "120", *ours]
        done = subprocess.run(line, cwd=trainers["step"][1].folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.skipif(
    os.name == "nt", reason="one process after another takes minutes; test_programs.py runs two of them"
)
def test_each_trains_and_leaves_what_it_saves(trainers: dict[str, tuple[wrap.Wrapped, Trainer]]):
    space = workspace.find()
    wrapped, trainer = trainers["two"]  # its path is one of another machine; the file lies beside the program
    assert (trainer.folder / "data" / "points.csv").read_bytes() == (
        wrapped.program.path.parent / "points.csv"
    ).read_bytes()
    wrapped, trainer = trainers["transfer"]  # puts its path together, so that nothing can be copied
    assert any("put it into data/" in text for _place, text in wrapped.look)
    (trainer.folder / "data" / "pictures.npy").write_bytes((wrapped.program.path.parent / "pictures.npy").read_bytes())
    (pins,) = {trainer.requirements for _wrapped, trainer in trainers.values()}
    assert pins[-1] == "numpy==2.4.6"
    order = [(str(trainer.folder), ["--epochs", "1"]) for _wrapped, trainer in trainers.values()]
    python = folders.environment(trainers["cnn"][1], space)
    done = subprocess.run(
        [str(python), "-c", _ALL, json.dumps(order)],
        env=clean_environment(CUDA_VISIBLE_DEVICES="-1"),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name, (_wrapped, trainer) in trainers.items():
        top = trainer.folder / "output" / "model"
        found = {path.relative_to(top).as_posix() for path in folders.files_in(top)}
        assert found >= programs.LEFT[name], name
        assert {path.name for path in trainer.folder.iterdir()} <= {*_MADE, "data", "output", "original"}
    assert len(re.findall(r"^\d+/\d+ - .* - loss", done.stdout, re.MULTILINE)) == 5, done.stdout  # an epoch each
    assert "loaded again: 810 numbers" in done.stdout and "(1, 1)" in done.stdout


_MADE = {".gitignore", ".template.json", "README.md", "README.ko.md", "pyproject.toml", "tasks.py", "trainer"}
