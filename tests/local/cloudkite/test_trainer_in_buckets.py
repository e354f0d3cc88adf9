"""A generated trainer whose data, checkpoints and model are in a bucket: what it goes on from, and what it says."""

from pathlib import Path

import pytest

from cloudkite import workspace
from cloudkite.trainers import folders, making
from clouds import LocalCloud

pytestmark = pytest.mark.slow

BUCKET = "trainer-in-buckets"
_RUN = """
import os, sys
sys.path.insert(0, os.environ["FOLDER"])
from trainer import task
sys.exit(task.main(os.environ["WORDS"].split()))
"""


def test_a_run_goes_on_in_a_bucket_until_the_data_change(local_cloud: LocalCloud, tmp_path: Path) -> None:
    place = workspace.throw_away(tmp_path / "space")
    folder = making.new(place, "penguins").folder
    python = folders.environment(folders.find(place, "penguins"), place)
    table = (folder / "data" / "penguins.csv").read_text(encoding="utf-8")
    session = local_cloud.session()
    made = session.post(
        f"https://storage.googleapis.com/storage/v1/b?project={local_cloud.project}",
        json={"name": BUCKET, "location": "us-central1"},
    )
    assert made.ok, made.text

    def upload(text: str) -> None:
        address = f"https://storage.googleapis.com/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=rows.csv"
        assert session.post(address, data=text.encode()).ok

    def said(*more: str) -> str:
        words = ["--data", f"gs://{BUCKET}/rows.csv", "--output", f"gs://{BUCKET}/out", "--epochs", "2", *more]
        env = {"FOLDER": str(folder), "WORDS": " ".join(words), "CUDA_VISIBLE_DEVICES": "-1"}
        return local_cloud.run(_RUN, env=env, python=python, timeout=300).stdout

    upload(table)
    assert "starts anew" not in said("--steps", "3")
    assert "resumed after step 3 of 16" in said("--steps", "5")
    upload(table.replace("Adelie", "?").replace("Gentoo", "Adelie").replace("?", "Gentoo"))
    after = said()
    assert "resumed" not in after
    assert f"starts anew: changed since the checkpoints in gs://{BUCKET}/out/checkpoints/" in after
    assert ": the data\n" in after
    session.close()
