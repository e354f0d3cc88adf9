"""The local cloud serves without the rest of the project: its wheels in an empty environment are enough."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from uv import find_uv_bin

from environments import package_index_environment

pytestmark = pytest.mark.slow

PACKAGES = Path(__file__).resolve().parents[3]
SCRIPT = """
from google.cloud import storage
client = storage.Client()
bucket = client.create_bucket("alone", location="us-central1")
bucket.blob("x").upload_from_string("served")
print(bucket.blob("x").download_as_text(), client.project)
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment that has the local cloud's wheels and what they depend on."""
    place = tmp_path_factory.mktemp("installed")
    wheels, made = place / "wheels", place / "env"
    environment = package_index_environment(os.environ)

    def uv(*words: str | Path) -> None:
        done = subprocess.run(
            [find_uv_bin(), "--quiet", *map(str, words)],
            cwd=place, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=250,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    for package in ("catalog", "environments", "localcloud"):
        uv("build", "--wheel", "--out-dir", wheels, PACKAGES / package)
    uv("venv", "--python", sys.executable, made)
    folder = made / ("Scripts" if sys.platform == "win32" else "bin")
    python = folder / ("python.exe" if sys.platform == "win32" else "python")
    uv("pip", "install", "--python", python, "--find-links", wheels, "cloudkite-localcloud[provider]")
    return folder


@pytest.fixture
def alone(scripts: Path, tmp_path: Path):
    """alone(*words) runs the command `localcloud` of that environment in a folder of the test's own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}

    def run(*words: str) -> str:
        done = subprocess.run(
            [scripts / "localcloud", *words],
            cwd=tmp_path, env=kept, capture_output=True, text=True, encoding="utf-8", timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    run("stop")


def test_it_starts_and_serves_alone(alone: Callable[..., str], scripts: Path, tmp_path: Path) -> None:
    server = json.loads(alone("start", "--project", "my-project", "--json"))
    assert Path(server["root"]) == (tmp_path / ".localcloud").resolve()
    environment = json.loads(alone("env", "--json"))
    assert environment["GOOGLE_CLOUD_PROJECT"] == "my-project"
    printed = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )
    assert printed.stdout.split() == ["served", "my-project"], printed.stderr
    assert json.loads(alone("status", "--json"))["counts"]["buckets"] == 1
    if shutil.which("gcloud"):
        command = ["gcloud", "storage", "ls"]
        kept = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        shown = subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, timeout=120)
        assert "gs://alone/" in shown.stdout, shown.stderr
    where = "import localcloud; print(localcloud.__file__)"
    found = subprocess.run([scripts / "python", "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).is_relative_to(scripts.parent)  # not of this clone


@pytest.mark.skipif(sys.platform == "win32", reason="the line is for a POSIX shell")
def test_one_line_is_enough_for_any_client_in_a_shell(alone: Callable[..., str], scripts: Path, tmp_path: Path) -> None:
    alone("start", "--project", "my-project")
    line = f'eval "$({scripts}/python -m localcloud env)" && {sys.executable} -c "$SCRIPT"'
    printed = subprocess.run(
        ["sh", "-c", line],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SCRIPT": SCRIPT},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )
    assert printed.stdout.split() == ["served", "my-project"], printed.stderr
