"""gcloud storage, unmodified, as people use it at a prompt."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("gcloud") is None, reason="gcloud is not installed: https://cloud.google.com/sdk/docs/install"
    ),
]


@pytest.fixture
def gcloud(local_cloud):
    """gcloud("storage", ...) gives what it printed; a command that fails fails the test."""

    def run(*words: str) -> str:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = subprocess.run(
            ["gcloud", *words],
            env={**kept, **local_cloud.environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_folder_goes_up_and_comes_back(gcloud, client, tmp_path):
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    for name, data in (("a.txt", b"hi\n"), ("empty", b""), ("sub/b.bin", os.urandom(9_000_000))):
        (folder / name).write_bytes(data)
    gcloud("storage", "buckets", "create", "gs://by-gcloud", "--location=us-central1")
    gcloud("storage", "cp", "-r", str(folder), "gs://by-gcloud/")
    listed = gcloud("storage", "ls", "gs://by-gcloud/**").split()
    assert listed == [f"gs://by-gcloud/data/{name}" for name in ("a.txt", "empty", "sub/b.bin")]
    assert gcloud("storage", "cat", "gs://by-gcloud/data/a.txt") == "hi\n"
    back = tmp_path / "back"
    back.mkdir()
    gcloud("storage", "cp", "-r", "gs://by-gcloud/data", str(back))
    assert (back / "data" / "sub" / "b.bin").read_bytes() == (folder / "sub" / "b.bin").read_bytes()
    gcloud("storage", "mv", "gs://by-gcloud/data/a.txt", "gs://by-gcloud/c.txt")
    gcloud("storage", "objects", "update", "gs://by-gcloud/c.txt", "--content-type=text/x")
    assert "content_type: text/x" in gcloud("storage", "objects", "describe", "gs://by-gcloud/c.txt")
    gcloud("storage", "rm", "-r", "gs://by-gcloud")
    assert not client.bucket("by-gcloud").exists()
