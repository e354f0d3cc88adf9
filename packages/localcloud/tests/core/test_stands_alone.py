"""The local cloud serves without the rest of the project: its own packages and command line are all it takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from environments import package_index_environment

PACKAGES = Path(__file__).resolve().parents[3]
SCRIPT = """
from google.cloud import storage
client = storage.Client()
bucket = client.create_bucket("alone", location="us-central1")
bucket.blob("x").upload_from_string("served")
print(bucket.blob("x").download_as_text(), client.project)
"""


@pytest.fixture
def alone(tmp_path):
    """alone(*words) runs `python -m localcloud ...` in a folder that has only three packages."""
    for package in ("localcloud", "catalog", "environments"):
        shutil.copytree(
            PACKAGES / package / "src" / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    environment = {**kept, **package_index_environment(os.environ)}

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "localcloud", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    run("stop")


def test_it_starts_and_serves_alone(alone, tmp_path):
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


@pytest.mark.skipif(sys.platform == "win32", reason="the line is for a POSIX shell")
def test_one_line_is_enough_for_any_client_in_a_shell(alone, tmp_path):
    alone("start", "--project", "my-project")
    line = f'eval "$({sys.executable} -m localcloud env)" && {sys.executable} -c "$SCRIPT"'
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
