"""gcloud storage and gsutil, unmodified, as people use them at a prompt."""

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
def prompt(local_cloud, tmp_path):
    """prompt("gcloud", "storage", ...) gives how the command ended; its home is an empty folder."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **local_cloud.environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )

    return run


@pytest.fixture
def gcloud(prompt):
    """gcloud("storage", ...) gives what it printed; a command that fails fails the test."""

    def run(*words: str) -> str:
        done = prompt("gcloud", *words)
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


needs_gsutil = pytest.mark.skipif(shutil.which("gsutil") is None, reason="gsutil is not installed")


@needs_gsutil
def test_gsutil_comes_in_with_the_environment_alone(prompt, client, tmp_path):
    (tmp_path / "a.txt").write_text("hi\n", encoding="utf-8")
    for words in (
        ("mb", "gs://by-gsutil"),
        ("cp", str(tmp_path / "a.txt"), "gs://by-gsutil/x/a.txt"),
        ("mv", "gs://by-gsutil/x/a.txt", "gs://by-gsutil/y/b.txt"),
    ):
        done = prompt("gsutil", *words)
        assert done.returncode == 0, done.stderr
    assert prompt("gsutil", "cat", "gs://by-gsutil/y/b.txt").stdout == "hi\n"
    assert not (tmp_path / ".gsutil").exists(), "its tokens belong into the folder of the local cloud"
    client.bucket("by-gsutil").delete(force=True)


@needs_gsutil
def test_gsutil_does_not_ask_for_minutes_for_what_is_not_there(prompt, client):
    bucket = client.create_bucket("by-gsutil-refused")
    bucket.blob("a").upload_from_string("x")
    done = prompt("gsutil", "acl", "get", "gs://by-gsutil-refused/a")  # the prompt's own time-out fails the test
    assert done.returncode == 1
    assert "501 not emulated by the local cloud: access control lists" in done.stderr
    bucket.delete(force=True)
