"""What a trainer may learn on from; in buckets and as jobs: tests/local/cloudkite/test_continue.py."""

import json
import os

import pytest

from cloudkite.jobs import earlier
from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers import folders
from tests import trainer_folder
from tests.jobs import plan

FACTS = {
    "label": "passed",
    "classes": ["no", "yes"],
    "columns": {"hours": "number", "city": "category"},
    "words": {"city": ["", "Seoul"]},
    "statistics": {"hours": {"mean": 1.0, "variance": 2.0, "low": 0.0, "high": 3.0}, "city": {"words": ["", "Seoul"]}},
    "tensorflow": "2.21.3",
    "keras": "3.15.0",
}


@pytest.fixture
def grades(tmp_path):
    return folders.Trainer("grades", trainer_folder.make(trainer_folder.space(tmp_path)))


def model(folder, network=b"keras", **changes):
    place = folder / "assets.extra"
    place.mkdir(parents=True)
    (place / "trainer.json").write_text(json.dumps({**FACTS, **changes}), encoding="utf-8")
    if network:
        (place / "model.keras").write_bytes(network)
    return folder


def checkpoint(folder, step, mtime):
    folder.mkdir(parents=True, exist_ok=True)
    for ending in ("index", "data-00000-of-00001"):
        path = folder / f"step-{step:010d}.{ending}"
        path.write_bytes(b"c")
        os.utime(path, (mtime, mtime))


def find(trainer, path, **options):
    return earlier.find(None, trainer, str(path), **options)  # type: ignore[arg-type]  # a folder needs no cloud


@pytest.mark.parametrize("inside", ["", "model"])
def test_a_model_as_fetch_or_a_run_leaves_it(grades, tmp_path, inside):
    folder = model(tmp_path / "run" / inside)
    found = find(grades, tmp_path / "run", widen=True)
    assert (found.folder, found.files) == (folder, ("assets.extra/trainer.json", "assets.extra/model.keras"))
    assert found.options("gs://b/x") == ("--continue", "gs://b/x", "--widen")
    assert find(grades, tmp_path / "run").options("gs://b/x") == ("--continue", "gs://b/x")


@pytest.mark.parametrize("place", ["", "0a1b2c3d", "checkpoints/0a1b2c3d"])
def test_the_newest_checkpoint_alone_is_sent(grades, tmp_path, place):
    folder = tmp_path / "run" / place
    checkpoint(folder, 20, mtime=1_000)
    checkpoint(folder, 7, mtime=2_000)
    found = find(grades, tmp_path / "run")
    assert (found.folder, found.files) == (folder, ("step-0000000007.data-00000-of-00001", "step-0000000007.index"))


def test_a_model_that_kept_no_network_leaves_the_checkpoints_beside_it(grades, tmp_path):
    model(tmp_path / "run" / "model", network=b"")
    with pytest.raises(BadValue, match=r"its model has no assets.extra/model\.keras, or is of an older trainer"):
        find(grades, tmp_path / "run")
    checkpoint(tmp_path / "run" / "checkpoints" / "0a1b2c3d", 3, mtime=1_000)
    assert find(grades, tmp_path / "run").folder.name == "0a1b2c3d"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"label": "grade"}, "the label there is grade, here passed"),
        ({"classes": ["no", "yes", "perhaps"]}, "the classes there are no, yes, perhaps, here no, yes"),
        ({"classes": None}, "the classes there are a number, here no, yes"),
        ({"columns": {"hours": "number"}}, "columns only here: city"),
        ({"columns": {**FACTS["columns"], "age": "number"}}, "columns only there: age"),
        ({"columns": {"hours": [28, 28], "city": "category"}}, "hours is (28, 28) there, number here"),
        ({"columns": {"hours": "number", "city": "letters"}}, "city is letters there, category here"),
        ({"tensorflow": "2.20.0"}, "the tensorflow there is 2.20.0, here 2.21.0"),
        ({"keras": "3.9.2"}, "the keras there is 3.9.2, here 3.15.1"),
    ],
)
def test_a_model_of_another_kind_is_refused_with_what_differs(grades, tmp_path, changes, what):
    model(tmp_path / "other", **changes)
    with pytest.raises(BadValue) as refused:
        find(grades, tmp_path / "other")
    assert refused.value.message.startswith("grades can't learn on from ")
    assert refused.value.message.partition(": ")[2] == what
    assert "label, classes, columns and versions" in refused.value.hint


def test_an_older_word_for_a_category_is_none_of_these(grades, tmp_path):
    folder = model(tmp_path / "old", columns={"hours": "number", "city": "text"})
    assert find(grades, folder).folder == folder


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{here}/nowhere", "the folder {here}/nowhere doesn't exist"),
        ("{here}/empty", "it has no assets.extra/trainer.json and no checkpoints"),
        ("{here}/broken", "assets.extra/trainer.json can't be read"),
        ("{here}/list", "assets.extra/trainer.json lacks label, classes, columns"),
    ],
)
def test_what_cannot_be_learned_on_from(grades, tmp_path, text, message):
    (tmp_path / "empty").mkdir()
    (model(tmp_path / "broken") / "assets.extra" / "trainer.json").write_bytes(b"{")
    (model(tmp_path / "list") / "assets.extra" / "trainer.json").write_bytes(b"[]")
    with pytest.raises(UserError) as refused:
        find(grades, text.format(here=tmp_path))
    assert message.format(here=tmp_path) in refused.value.message


@pytest.mark.skipif(os.name == "nt", reason="links need a right on Windows: run it on Linux or macOS")
def test_a_link_out_of_the_folder_is_not_sent(grades, tmp_path):
    (tmp_path / "secret").write_bytes(b"key")
    folder = model(tmp_path / "model", network=b"")
    (folder / "assets.extra" / "model.keras").symlink_to(tmp_path / "secret")
    with pytest.raises(BadValue, match="by a symbolic link"):
        find(grades, folder)


def test_widening_needs_something_to_widen():
    with pytest.raises(BadValue, match="--widen goes with --continue"):
        plan(widen=True)
