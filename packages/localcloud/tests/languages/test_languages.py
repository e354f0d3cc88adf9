"""Google's clients for Go, Java and Node do what their users do every day, led by the environment variables alone.

Each program prints a line for each step, and how many passed of how many. What they need comes from the registries of
their languages, once: later runs find it in their caches.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from clouds import LocalCloud

HERE = Path(__file__).parent
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # the first time clients are downloaded and compiled


def fetched(command: Sequence[str], folder: Path) -> None:
    """Run what downloads or builds a client; skips the test where no registry answers."""
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=800)
    lost = re.search(r"dial tcp|no such host|i/o timeout|ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN", done.stderr)
    if done.returncode and lost:
        pytest.skip(f"no registry for {command[0]} answers; run it with a network once: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr


def passes_every_step(cloud: LocalCloud, command: Sequence[str | Path], folder: Path) -> None:
    """Run a program as a client of `cloud`; it gets the environment variables, PATH and HOME, and nothing else."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder, env={**kept, **cloud.environment}, capture_output=True, encoding="utf-8", timeout=300,
    )  # fmt: skip
    good = re.search(r"^(\d+) / (\d+)$", done.stdout, re.MULTILINE)
    failed = [line for line in done.stdout.splitlines() if "| FAIL" in line]
    assert good and not failed, "\n".join([*failed, done.stderr[-2000:]])
    assert int(good[1]) == int(good[2]) >= 40


@pytest.fixture
def cloud(local_cloud: LocalCloud) -> LocalCloud:
    for api in ("aiplatform", "logging", "pubsub"):
        local_cloud.enable(api)
    return local_cloud


@pytest.mark.skipif(not shutil.which("go"), reason="no Go; install it from https://go.dev/dl to run this")
def test_go(cloud: LocalCloud, tmp_path: Path) -> None:
    program = tmp_path / ("clients.exe" if os.name == "nt" else "clients")
    fetched(["go", "build", "-o", str(program), "."], HERE / "go")
    passes_every_step(cloud, [program], tmp_path)


@pytest.mark.skipif(
    not (shutil.which("java") and shutil.which("mvn")),
    reason="no Java or no Maven; install a JDK from 17 on and https://maven.apache.org to run this",
)
def test_java(cloud: LocalCloud, tmp_path: Path) -> None:
    mvn, paths = shutil.which("mvn"), tmp_path / "classpath"
    assert mvn
    fetched([mvn, "-B", "-q", "dependency:build-classpath", f"-Dmdep.outputFile={paths}"], HERE / "java")
    classes = paths.read_text(encoding="utf-8").strip()
    passes_every_step(cloud, ["java", "-cp", classes, HERE / "java" / "Clients.java"], tmp_path)


@pytest.mark.skipif(not shutil.which("npm"), reason="no Node; install it from https://nodejs.org to run this")
def test_node(cloud: LocalCloud, tmp_path: Path) -> None:
    shutil.copytree(HERE / "node", tmp_path, dirs_exist_ok=True)
    npm = shutil.which("npm")
    assert npm
    fetched([npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline"], tmp_path)
    passes_every_step(cloud, ["node", "clients.mjs"], tmp_path)
