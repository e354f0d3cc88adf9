"""The first steps: what `new` and cookiecutter alone make, clean, and what their README shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cloudkite import workspace
from cloudkite.check import steps
from cloudkite.trainers import folders, making
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import CLONE
from tests.baked.conftest import clean_environment

FILES = {
    ".gitignore", ".template.json", "README.md", "README.ko.md", "pyproject.toml", "tasks.py", "data/README.md",
    "data/planets.csv",
    "trainer/__init__.py", "trainer/task.py", "trainer/multiply.py", "trainer/read_csv.py", "trainer/checkpoint.py",
}  # fmt: skip
PROGRAMS = ("multiply", "read_csv", "checkpoint")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the trainer as `new` makes it."""
    return making.first_steps(workspace.throw_away(tmp_path_factory.mktemp("first")), "first-steps")


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_cookiecutter_alone_makes_the_same(first: Path, tmp_path: Path):
    offered = json.loads((CLONE / "template" / "cookiecutter.json").read_text(encoding="utf-8"))["templates"]
    assert next(iter(offered)) == "trainer" and offered["first-steps"]["path"] == "./first-steps"
    words = [sys.executable, "-m", "cookiecutter", str(CLONE / "template"), "--default-config", "-o", str(tmp_path)]
    home = clean_environment(HOME=str(tmp_path), USERPROFILE=str(tmp_path))
    chosen = list(offered).index("first-steps") + 1
    done = subprocess.run(words, env=home, cwd=tmp_path, input=f"{chosen}\n\n\n", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    made = {name for name in files(tmp_path / "first-steps") if "__pycache__" not in name and "_cache" not in name}
    assert made == files(first) == FILES
    for name in FILES - {"pyproject.toml"}:  # `home` differs: the other trainer lives outside the clone
        assert (tmp_path / "first-steps" / name).read_bytes() == (first / name).read_bytes()
    refused = [*words, "--no-input", "--directory", "first-steps", "name=My Steps"]
    done = subprocess.run(refused, env=home, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "error: 'My Steps' isn't a valid name for a trainer" in done.stderr


def test_what_all_templates_have_is_the_same_in_each():
    tops = [CLONE / "template" / name / "{{cookiecutter.name}}" for name in ("trainer", "first-steps", "wrapped")]
    for name in ("tasks.py", ".gitignore"):
        assert len({(top / name).read_bytes() for top in tops}) == 1, name
    hooks = [CLONE / "template" / name / "hooks" / "pre_gen_project.py" for name in ("trainer", "first-steps")]
    assert hooks[0].read_bytes() == hooks[1].read_bytes()


def test_they_are_short_and_clean(first: Path):
    for name in PROGRAMS:
        assert len((first / "trainer" / f"{name}.py").read_text(encoding="utf-8").splitlines()) < 25
    for words in (["check"], ["format", "--check"]):
        line = [sys.executable, "-m", "ruff", *words, "--no-cache", "."]
        done = subprocess.run(line, cwd=first, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def shown(readme: Path) -> list[str]:
    """The outputs that a README shows, in their order."""
    blocks = re.findall(r"^```\n(.*?)^```", readme.read_text(encoding="utf-8"), re.S | re.M)
    return [block for block in blocks if not block.startswith("uv run")]


@pytest.mark.slow
def test_each_prints_what_the_readme_shows_and_the_check_runs_all(first: Path):
    space, trainer = workspace.throw_away(first.parents[1] / "checks"), Trainer("first-steps", first)
    report = steps.check(space, trainer)
    assert report.ok, report.steps
    assert {step.name: step.verdict for step in report.steps} == {
        "lint": "ok", "data": "skipped", "run": "ok", "results": "skipped", "versions": "ok",
    }  # fmt: skip
    assert report.steps[1].summary == "no columns are declared: 2 files in data/ were not looked into"
    said = re.sub(
        r"\S+/checkpoints/first", "output/checkpoints/first", (space.state / "checks" / "first-steps.log").read_text()
    )
    for readme in ("README.md", "README.ko.md"):
        outputs = shown(first / readme)
        assert len(outputs) == 3 and all(output in said for output in outputs), said
    line = [str(folders.environment(trainer, space)), "-m", "trainer.multiply"]  # by itself, as the README has it
    done = subprocess.run(line, cwd=first, env=clean_environment(), capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, shown(first / "README.md")[0]), done.stderr
