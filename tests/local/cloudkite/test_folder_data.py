"""A trainer whose data are a folder of files: they are sent once, each under its name, and read from the bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudkite.jobs import service, submit
from cloudkite.jobs.plans import Wishes
from cloudkite.journey import data as of_trainers
from cloudkite.show.errors import BadValue
from cloudkite.trainers import folders, making
from clouds import LocalCloud
from tests.local.place import Place

pytestmark = pytest.mark.slow  # TensorFlow trains


@pytest.fixture(scope="module")
def letters(place: Place, tmp_path_factory: pytest.TempPathFactory) -> folders.Trainer:
    """Texts in folders that are called like their classes, some files of both called the same."""
    folder = tmp_path_factory.mktemp("letters")
    for kind, said in (("ham", "see you at lunch"), ("spam", "win a prize now")):
        (folder / kind).mkdir()
        for i in range(20):
            (folder / kind / f"{i} 편지.txt").write_text(f"{said} {100 + i}", encoding="utf-8")
    return folders.Trainer("letters", making.new(place.workspace, "letters", folder).folder)


def test_a_folder_is_sent_once_and_trained_on(place: Place, letters, local_cloud: LocalCloud, session, monkeypatch):
    plan = submit.plan(place.account, letters, Wishes())
    assert plan.data_folder and len(plan.data) == 40
    first, again = (submit.submit(place.workspace, place.target, plan) for _ in range(2))
    for job in (first, again):
        service.cancel(place.target, job.id)
    assert first.data == again.data and first.arguments[:2] == ("--data", first.data)
    assert first.sent_bytes > 0 == again.sent_bytes
    monkeypatch.chdir(letters.folder)
    by_hand = submit.plan(place.account, letters, Wishes(arguments=("--data", letters.declared.data)))
    assert {file.resolve() for file in by_hand.data} == {file.resolve() for file in plan.data}

    found = place.trained(local_cloud, session, letters, "letters", "--data", first.data, "--epochs", "20")
    assert (found["rows"], found["metrics"]["accuracy"]) == ({"training": 32, "held_out": 8}, 1.0)


def test_the_data_bucket_takes_no_folder(letters: folders.Trainer):
    with pytest.raises(BadValue, match="are a folder of files") as told:
        of_trainers._files(letters)
    assert "train sends them by itself" in told.value.hint


def test_an_empty_folder_is_no_data(letters: folders.Trainer, tmp_path: Path):
    with pytest.raises(BadValue, match="no such file"):
        submit.local_data(letters, ("--data", str(tmp_path)))
