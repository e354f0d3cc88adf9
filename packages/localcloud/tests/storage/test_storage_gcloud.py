"""gcloud storage and gsutil, unmodified, as people use them at a prompt."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

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

    def run(*words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **local_cloud.environment, **(env or {})},
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


@pytest.fixture(scope="module")
def nobody(local_cloud, tmp_path_factory) -> dict[str, str]:
    """The variables that make gcloud and gsutil an account without a role."""
    folder = tmp_path_factory.mktemp("nobody")
    key = folder / "key.json"
    key.write_text(json.dumps(local_cloud.key(local_cloud.account("prompt-of-nobody"))), encoding="utf-8")
    boto = folder / "boto.cfg"
    own = Path(local_cloud.environment["BOTO_CONFIG"]).read_text(encoding="utf-8")
    boto.write_text(
        "".join(
            f"gs_service_key_file = {key}\n" if line.startswith("gs_service_key_file") else f"{line}\n"
            for line in own.splitlines()
        ),
        encoding="utf-8",
    )
    return {
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": str(key),
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "BOTO_CONFIG": str(boto),
    }


def test_gcloud_tells_what_is_not_allowed(prompt, gcloud, client, nobody, local_cloud, tmp_path):
    bucket = client.create_bucket("by-gcloud-as-nobody")
    bucket.blob("a.txt").upload_from_string("hi\n")
    who = f"prompt-of-nobody@{local_cloud.project}.iam.gserviceaccount.com"
    done = prompt("gcloud", "storage", "cat", "gs://by-gcloud-as-nobody/a.txt", env=nobody)
    assert done.returncode == 1 and done.stdout == ""
    assert f"{who} does not have storage.objects.get access to the Google Cloud Storage object." in done.stderr
    role = f"--member=serviceAccount:{who}", "--role=roles/storage.objectViewer"
    gcloud("storage", "buckets", "add-iam-policy-binding", "gs://by-gcloud-as-nobody", *role)
    assert prompt("gcloud", "storage", "cat", "gs://by-gcloud-as-nobody/a.txt", env=nobody).stdout == "hi\n"
    (tmp_path / "b.txt").write_text("b", encoding="utf-8")
    done = prompt("gcloud", "storage", "cp", str(tmp_path / "b.txt"), "gs://by-gcloud-as-nobody/", env=nobody)
    assert done.returncode == 1 and "does not have storage.objects.create access" in done.stderr
    done = prompt("gcloud", "storage", "buckets", "create", "gs://of-nobody", env=nobody)
    assert done.returncode == 1
    assert f"{who} does not have storage.buckets.create access to the Google Cloud project." in done.stderr
    bucket.delete(force=True)


def test_gcloud_signs_urls(gcloud, client, local_cloud, nobody):
    bucket = client.create_bucket("by-gcloud-signed")
    bucket.blob("a b.txt").upload_from_string("hi\n")
    key = nobody["CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE"]
    words = ("--duration=10m", f"--private-key-file={key}", "--region=us-central1", "--format=value(signed_url)")
    url = gcloud("storage", "sign-url", "gs://by-gcloud-signed/a b.txt", *words).strip()
    with local_cloud.plain_session() as plain:
        refused = plain.get(url)
        assert refused.status_code == 403 and "<Code>AccessDenied</Code>" in refused.text
        policy = bucket.get_iam_policy()
        policy["roles/storage.objectViewer"] = {
            f"serviceAccount:prompt-of-nobody@{local_cloud.project}.iam.gserviceaccount.com"
        }
        bucket.set_iam_policy(policy)
        assert plain.get(url).text == "hi\n"
    bucket.delete(force=True)


@needs_gsutil
def test_gsutil_tells_what_is_not_allowed(prompt, client, nobody):
    bucket = client.create_bucket("by-gsutil-as-nobody")
    bucket.blob("a").upload_from_string("x")
    done = prompt("gsutil", "cat", "gs://by-gsutil-as-nobody/a", env=nobody)
    assert done.returncode == 1
    assert "AccessDeniedException: 403 prompt-of-nobody@" in done.stderr  # it lists what it does not get
    assert "does not have storage.objects.list access to the Google Cloud Storage bucket." in done.stderr
    bucket.delete(force=True)
