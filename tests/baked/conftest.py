"""A trainer made from the template, and the environment its pins ask for."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudkite import workspace
from cloudkite.trainers import making
from environments import environment

Run = Callable[..., subprocess.CompletedProcess[str]]
_OWN = ("AIP_", "CLOUD_ML_", "CLUSTER_SPEC", "TF_", "CLOUDKITE_", "PYTHONPATH", "VIRTUAL_ENV")


def clean_environment(**more: str) -> dict[str, str]:
    """The environment of a process that is no job and no part of this test run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1", **more}


@pytest.fixture
def space(tmp_path: Path) -> workspace.Workspace:
    """A throw-away workspace."""
    return workspace.throw_away(tmp_path / "space")


@pytest.fixture(scope="session")
def penguins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trainer as `invoke new` makes it without --data. Read only."""
    return making.new(workspace.throw_away(tmp_path_factory.mktemp("baked")), "penguins").folder


@pytest.fixture(scope="session")
def python(penguins: Path) -> Path:
    """The interpreter of an environment with the trainer's pins and its own test tools; built once, by uv."""
    project = tomllib.loads((penguins / "pyproject.toml").read_text(encoding="utf-8"))
    pins = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    return environment(workspace.find().envs, pins, "3.11")


@pytest.fixture(scope="session")
def run(python: Path) -> Run:
    """run(folder, "-m", "trainer.task", ...) in that environment; `env` adds variables."""

    def start(folder: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(python), *words], cwd=folder, env=clean_environment(**(env or {})), capture_output=True,
            text=True, encoding="utf-8", timeout=300,
        )  # fmt: skip

    return start


def told(output: Path) -> dict:
    """trainer.json of the model that a run left in `output`."""
    return json.loads((output / "model" / "assets.extra" / "trainer.json").read_text(encoding="utf-8"))


def weights(output: Path) -> bytes:
    """The newest checkpoint's bytes: weights, optimizer and seeds."""
    return max(output.glob("checkpoints/*/step-*.data-*"), key=lambda path: path.name).read_bytes()


def train(run: Run, folder: Path, output: Path, *words: str, **more) -> str:
    """What a run that must end well printed."""
    done = run(folder, "-m", "trainer.task", "--output", str(output), *words, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout
