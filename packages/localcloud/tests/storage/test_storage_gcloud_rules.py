"""gcloud storage, unmodified: holds, retention, lifecycle rules, soft delete and notifications at a prompt."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clouds import LocalCloud
from localcloud import launch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("gcloud") is None, reason="gcloud is not installed: https://cloud.google.com/sdk/docs/install"
    ),
]
PROJECT = "prompt-project"
DAY = 24 * 3600


Gcloud = Callable[..., str]


@pytest.fixture
def gcloud(cloud: LocalCloud, tmp_path: Path) -> Gcloud:
    """gcloud("storage", ...) gives what it printed; with `fails` what it complained of."""

    def run(*words: str, fails: bool = False) -> str:
        done = subprocess.run(
            ["gcloud", *words],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **cloud.environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )
        assert (done.returncode != 0) == fails, f"{done.stdout}\n{done.stderr}"
        return done.stderr if fails else done.stdout

    return run


def test_holds_and_retention(gcloud: Gcloud, cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x", encoding="utf-8")
    gcloud("storage", "buckets", "create", "gs://prompt-kept", "--location=us-central1")
    gcloud("storage", "cp", str(tmp_path / "x"), "gs://prompt-kept/x")
    gcloud("storage", "objects", "update", "gs://prompt-kept/x", "--temporary-hold")
    told = gcloud("storage", "rm", "gs://prompt-kept/x", fails=True)
    assert "Object 'prompt-kept/x' is under active Temporary hold and cannot be deleted, overwritten or" in told
    gcloud("storage", "objects", "update", "gs://prompt-kept/x", "--no-temporary-hold")
    gcloud("storage", "buckets", "update", "gs://prompt-kept", "--retention-period=1d")
    told = gcloud("storage", "cp", str(tmp_path / "x"), "gs://prompt-kept/x", fails=True)
    assert "cannot be deleted or overwritten until" in told
    url = "https://storage.googleapis.com/storage/v1/b/prompt-kept"
    with cloud.session() as session:  # gcloud asks before it locks, and nobody can answer here
        query = {"ifMetagenerationMatch": session.get(url).json()["metageneration"]}
        assert session.post(f"{url}/lockRetentionPolicy", params=query).status_code == 200
    told = gcloud("storage", "buckets", "update", "gs://prompt-kept", "--clear-retention-period", fails=True)
    assert "Bucket 'prompt-kept' has a locked Retention Policy which cannot be removed." in told
    launch.forward(cloud.root, DAY)
    gcloud("storage", "rm", "-r", "gs://prompt-kept")


def test_rules_and_what_comes_back(gcloud: Gcloud, cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x", encoding="utf-8")
    rule = {"action": {"type": "Delete"}, "condition": {"age": 2}}
    (tmp_path / "rules.json").write_text(json.dumps({"rule": [rule]}), encoding="utf-8")
    gcloud("storage", "buckets", "create", "gs://prompt-rules", "--location=us-central1")
    gcloud("storage", "buckets", "update", "gs://prompt-rules", f"--lifecycle-file={tmp_path / 'rules.json'}")
    gcloud("storage", "cp", str(tmp_path / "x"), "gs://prompt-rules/x")
    launch.forward(cloud.root, 2 * DAY)
    assert gcloud("storage", "ls", "gs://prompt-rules").split() == []
    listed = gcloud("storage", "ls", "gs://prompt-rules", "--soft-deleted").split()
    assert len(listed) == 1 and listed[0].startswith("gs://prompt-rules/x#")
    gcloud("storage", "buckets", "update", "gs://prompt-rules", "--clear-lifecycle")
    gcloud("storage", "restore", listed[0])
    assert gcloud("storage", "cat", "gs://prompt-rules/x") == "x"
    gcloud("storage", "buckets", "update", "gs://prompt-rules", "--clear-soft-delete")
    told = gcloud("storage", "ls", "gs://prompt-rules", "--soft-deleted", fails=True)
    assert "soft delete policy" in told
    gcloud("storage", "buckets", "update", "gs://prompt-rules", "--soft-delete-duration=10d")
    gcloud("storage", "rm", "-r", "gs://prompt-rules")
    gone = json.loads(gcloud("storage", "ls", "--soft-deleted", "--buckets", "--json"))
    (generation,) = [one["metadata"]["generation"] for one in gone if one["url"] == "gs://prompt-rules/"]
    gcloud("storage", "restore", f"gs://prompt-rules#{generation}")
    assert "gs://prompt-rules/" in gcloud("storage", "ls").split()


def test_notifications(gcloud: Gcloud, tmp_path: Path) -> None:
    gcloud("services", "enable", "pubsub.googleapis.com")
    (tmp_path / "x").write_text("x", encoding="utf-8")
    gcloud("storage", "buckets", "create", "gs://prompt-tells", "--location=us-central1")
    gcloud("storage", "buckets", "notifications", "create", "gs://prompt-tells", "--topic=prompt-topic")
    gcloud("pubsub", "subscriptions", "create", "prompt-sub", "--topic=prompt-topic")
    gcloud("storage", "cp", str(tmp_path / "x"), "gs://prompt-tells/x")
    pulled = json.loads(gcloud("pubsub", "subscriptions", "pull", "prompt-sub", "--auto-ack", "--format=json"))
    assert [one["message"]["attributes"]["eventType"] for one in pulled] == ["OBJECT_FINALIZE"]
    assert "prompt-topic" in gcloud("storage", "buckets", "notifications", "list", "gs://prompt-tells")
    gcloud("storage", "buckets", "notifications", "delete", "gs://prompt-tells")
