"""Where a fetched model goes and what it may replace, with a cloud that is a table of objects."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudkite import workspace
from cloudkite.journey import results
from cloudkite.models import fetching, predictions
from cloudkite.show import amounts
from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers import folders, making, places
from cloudkite.trainers.folders import Trainer
from tests import trainer_folder
from tests.objects import JOB, MODEL, PREFIX, Cloud
from tests.trees import outside, put, tree

RECORD = ".cloudkite-fetched.json"


@pytest.fixture
def cloud(monkeypatch):
    made = Cloud(dict(MODEL))
    monkeypatch.setattr(fetching, "pages", made.pages)
    monkeypatch.setattr(fetching, "_download", made.download)
    return made


@pytest.fixture
def space(tmp_path):
    made = trainer_folder.space(tmp_path)
    trainer_folder.make(made)
    return made


def fetched(space: Any, **changes: Any) -> Path:
    return results.fetch_job(space, None, dataclasses.replace(JOB, **changes), quiet=True)  # type: ignore[arg-type]


# --- the place


def test_a_usual_job_goes_where_it_always_went(cloud, space):
    folder = fetched(space)
    assert folder == space.trainers / "grades" / "models" / JOB.name
    assert {name: (folder / name).read_bytes() for name in MODEL} == MODEL
    assert fetched(space, name="펭귄 분류").name == "펭귄 분류"
    assert fetched(space, trainer="").parent == space.trainers / "unknown" / "models"


def test_a_model_comes_to_the_trainer_that_its_job_was_made_with(cloud, space, tmp_path):
    """Also where it is not in trainers/, and one of that name is; also where it was moved meanwhile."""

    def elsewhere(place: str) -> Trainer:
        made = trainer_folder.make(workspace.throw_away(tmp_path / place))
        return Trainer("grades", made.rename(tmp_path / place / "grades"))

    one, other = elsewhere("one"), elsewhere("other")
    places.remember(space, one, "first")
    places.remember(space, other, "second")
    places.remember(space, folders.find(space, "grades"), "third")
    assert fetched(space, name="first").parents[1] == one.folder
    assert fetched(space, name="second").parents[1] == other.folder
    for name in ("third", "of another machine"):
        assert fetched(space, name=name).parents[1] == space.trainers / "grades"
    moved = Trainer("grades", one.folder.rename(tmp_path / "grades"))
    assert predictions.latest_model(moved) == moved.folder / "models" / "first"
    places.remember(space, moved)  # as `check` and `predict` do
    assert fetched(space, name="first").parents[1] == moved.folder
    shutil.rmtree(space.trainers / "grades")
    assert fetched(space, name="of another machine").parents[1] == moved.folder
    assert not (space.trainers / "grades").exists()
    for note in (space.state / "places").rglob("*.json"):
        note.write_text("[", encoding="utf-8")
    assert fetched(space, name="first").parents[1] == space.trainers / "grades"
    with pytest.raises(BadValue) as refused:  # a folder with models alone is in the way, and is said to be no trainer
        making.new(space, "grades")
    assert "it isn't a trainer: move it elsewhere" in refused.value.hint


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../trainer", "../../x", "../../../x", "../../penguins", "a/b", "..\\trainer", "C:x", "CON"),
        *("two\nlines", "nul\0byte", "x" * 5000, "가" * 128, ".x.part", ".x.old", RECORD, "~", "\ud800", "abc\u202e"),
    ],
)
def test_a_job_of_any_name_stays_in_models(cloud, space, tmp_path, name):
    put(space.trainers / "x", note="mine")
    put(space.state / "x", note="mine")
    before = outside(tmp_path)
    folder = fetched(space, name=name)
    assert outside(tmp_path) == before
    models = space.trainers / "grades" / "models"
    assert folder.parent == models and [p.name for p in models.iterdir()] == [folder.name]
    assert (folder / "saved_model.pb").read_bytes() == b"graph"
    assert fetched(space, name=name) == folder
    assert len(cloud.sent) == len(MODEL)


def test_a_job_named_like_an_absolute_folder_stays_in_models(cloud, space, tmp_path):
    precious = put(tmp_path / "somewhere", thesis="years of work")
    folder = fetched(space, name=str(precious))
    assert folder.parent == space.trainers / "grades" / "models"
    assert tree(precious) == {"thesis": b"years of work"}


@pytest.mark.parametrize("label", ["..", ".", "../..", "a/b", "grades/trainer", "C:x", "con", "x\ny", "x" * 300])
def test_a_label_of_any_kind_stays_in_trainers(cloud, space, tmp_path, label):
    before = outside(tmp_path)
    folder = fetched(space, trainer=label)
    assert {name: content for name, content in outside(tmp_path).items() if name in before} == before
    assert folder.parents[2] == space.trainers and folder.parent.name == "models"
    assert folder.parents[1].name not in folders.names(space)


def test_an_absolute_label_stays_in_trainers(cloud, space, tmp_path):
    assert fetched(space, trainer=str(tmp_path / "elsewhere")).parents[2] == space.trainers
    assert not (tmp_path / "elsewhere").exists()


def test_names_that_are_alike_do_not_replace_each_other(cloud, space):
    alike = ["a/b", "a\\b", "a_b", "A_b", "a:b", "a_b "]
    assert len({fetched(space, name=name) for name in alike}) == len(alike)


def test_a_job_of_the_same_name_replaces_the_earlier(cloud, space):
    folder = fetched(space)
    cloud.files = {"saved_model.pb": b"another"}
    assert fetched(space, id="1") == folder
    assert sorted(tree(folder)) == [RECORD, "saved_model.pb"]


# --- what may be replaced


@pytest.mark.parametrize("name", [JOB.name, f".{JOB.name}.part", f".{JOB.name}.old"])
def test_a_folder_of_ones_own_is_not_touched(cloud, space, name):
    mine = put(space.trainers / "grades" / "models" / name, notes="my own")
    before = tree(space.state)
    with pytest.raises(UserError) as refused:
        fetched(space)
    assert refused.value.message == f"{amounts.short(mine)} was not made by a fetch, and is not replaced"
    assert refused.value.hint == f"move it elsewhere, then: uv run invoke fetch --job {JOB.id}"
    assert tree(space.state) == before
    assert cloud.sent == []


@pytest.mark.parametrize("name", [JOB.name, f".{JOB.name}.part", f".{JOB.name}.old"])
def test_a_file_in_the_way_is_not_touched(cloud, space, name):
    put(space.trainers / "grades" / "models", **{name: "a file"})
    before = tree(space.state)
    with pytest.raises(UserError, match="was not made by a fetch"):
        fetched(space)
    assert tree(space.state) == before


@pytest.mark.parametrize("name", [JOB.name, f".{JOB.name}.part", f".{JOB.name}.old"])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_way_is_not_followed(cloud, space, tmp_path, name, there):
    elsewhere = tmp_path / "elsewhere"
    if there:
        put(elsewhere, notes="my own", **{RECORD: "{}"})
    models = space.trainers / "grades" / "models"
    models.mkdir()
    (models / name).symlink_to(elsewhere, target_is_directory=True)
    before = tree(tmp_path)
    with pytest.raises(UserError, match="was not made by a fetch"):
        fetched(space)
    assert tree(tmp_path) == before


def test_a_record_that_is_a_link_is_none(cloud, space, tmp_path):
    put(tmp_path, record="{}")
    mine = put(space.trainers / "grades" / "models" / JOB.name, notes="my own")
    (mine / RECORD).symlink_to(tmp_path / "record")
    with pytest.raises(UserError, match="was not made by a fetch"):
        fetched(space)


def test_links_and_strays_in_a_download_that_goes_on_are_not_followed(cloud, space, tmp_path):
    elsewhere = put(tmp_path / "elsewhere", **{"variables.index": "mine", "saved_model.pb": "mine"})
    part = put(space.trainers / "grades" / "models" / f".{JOB.name}.part", **{RECORD: "{"})
    (part / "variables").symlink_to(elsewhere, target_is_directory=True)
    (part / "saved_model.pb").symlink_to(elsewhere / "saved_model.pb")
    put(part / "stray" / "inside", file="?")
    put(part / "empty", file="a folder where a file belongs")
    before = tree(elsewhere)
    folder = fetched(space)
    assert tree(elsewhere) == before
    assert sorted(tree(folder)) == sorted([*MODEL, "variables", RECORD])
    assert not (folder / "variables").is_symlink()


def test_what_somebody_put_there_meanwhile_is_not_touched(cloud, space, monkeypatch):
    mine = space.trainers / "grades" / "models" / JOB.name

    def download(*arguments: Any) -> None:
        cloud.download(*arguments)
        put(mine, notes="my own")

    monkeypatch.setattr(fetching, "_download", download)
    with pytest.raises(UserError, match="was not made by a fetch"):
        fetched(space)
    assert tree(mine) == {"notes": b"my own"}


def test_an_empty_folder_is_filled(cloud, space):
    (space.trainers / "grades" / "models" / JOB.name).mkdir(parents=True)
    assert (fetched(space) / "empty").is_file()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\0"])
def test_a_damaged_record_is_still_one(cloud, space, text):
    put(space.trainers / "grades" / "models" / JOB.name, **{RECORD: text, "old": "an earlier model"})
    assert not (fetched(space) / "old").exists()


def test_what_is_being_fetched_is_no_model_yet(cloud, space):
    """Otherwise a prediction would take half a model for the newest."""
    folder = fetched(space, name="grades-20261123-090000-aaaa")
    for name in (".grades-20261124-090000-bbbb.part", ".grades-20261124-090000-cccc.old"):
        put(folder.parent / name, **{"saved_model.pb": "half"})
        put(folder.parent / name / "model", **{"saved_model.pb": "half"})
    assert predictions.latest_model(folders.find(space, "grades")) == folder


# --- the files of a model


@pytest.mark.parametrize(
    "name",
    [
        *("../x", "a/../../b", "a/../b", "..", "a/..", "./x", "a/./b", "/x", "//x", "a//b", "..\\x", "a\\b", "C:x"),
        *("C:/x", "a/C:x", "nul\0byte", "two\nlines", "a/CON", "con.txt", "x.", "x /y", "abc\u202etxt", "x" * 256),
        *(RECORD, RECORD.upper(), f"{RECORD}/x", f"assets/{RECORD}", "variab~1/x", "variables.\u200bindex"),
    ],
)
def test_a_file_that_could_land_elsewhere_is_refused(cloud, space, tmp_path, name):
    before = tree(tmp_path)
    cloud.files[name] = b"evil"
    with pytest.raises(UserError) as refused:
        fetched(space)
    assert refused.value.message == f"the model of {JOB.name} has a file called {name!r}, which is not fetched"
    assert "gcloud storage ls --recursive gs://models/grades/one/model/`" in refused.value.hint
    assert tree(tmp_path) == before
    assert cloud.sent == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("assets", "assets/vocabulary.txt"),
        ("Assets", "assets/vocabulary.txt"),
        ("vocabulary.txt", "Vocabulary.txt"),
        ("Assets/a", "assets/b/c"),
        ("\u00e9", "e\u0301"),
        ("\uac00/x", "\u1100\u1161/y"),
    ],
)
def test_two_files_in_one_place_are_refused(cloud, space, tmp_path, one, other):
    before = tree(tmp_path)
    for names in ((one, other), (other, one)):
        cloud.files = {"saved_model.pb": b"graph", **dict.fromkeys(names, b"x")}
        with pytest.raises(UserError) as refused:
            fetched(space)
        said = f"the model of {JOB.name} has {names[0]!r} and {names[1]!r}, and not every system can hold both"
        assert refused.value.message == said
    assert tree(tmp_path) == before


def test_usual_files_of_models_are_fetched(cloud, space):
    usual = ["fingerprint.pb", "assets/Wörter (한국어) v1.txt", "assets.extra/trainer.json", "assets/.keep", "a b/c"]
    cloud.files |= dict.fromkeys([*usual, "folder/", "other//"], b"x")  # folders are empty objects
    folder = fetched(space)
    assert all((folder / name).is_file() for name in usual)
    assert not (folder / "folder").exists()


# --- killed

_KILLED = """
import sys
from pathlib import Path

import psutil

from cloudkite.models import fetching
from tests import objects

point, folder = sys.argv[1], Path(sys.argv[2])
cloud = objects.Cloud(dict(objects.MODEL, late=b"late"))


def die(*_arguments, **_options):
    psutil.Process().kill()


def half(target, job, part, todo):
    names = sorted(todo)[:2]
    cloud.download(target, job, part, {name: todo[name] for name in names})
    (part / names[-1]).write_bytes(b"?")
    die()


fetching.pages, fetching._download = cloud.pages, cloud.download
if point == "download":
    fetching._download = half
elif point == "record":
    fetching.private_file = die
elif point in ("first rename", "second rename"):
    rename, count = Path.rename, []

    def counted(self, target):
        count.append(target)
        if len(count) == (1 if point == "first rename" else 2):
            die()
        return rename(self, target)

    Path.rename = counted
else:
    unlink, count = fetching.os.unlink, []

    def removed(*arguments, **options):
        count.append(arguments)
        unlink(*arguments, **options)
        if len(count) == int(point):
            die()

    fetching.os.unlink = removed
fetching.fetch(None, objects.JOB, folder)
"""


@pytest.mark.parametrize("point", ["record", "download", "first rename", "second rename", "1", "2", "3", "4"])
def test_a_fetch_that_was_killed_goes_on(cloud, space, point):
    folder = fetched(space)
    cloud.files["late"] = b"late"  # the second model has a file more
    clone = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, point, str(folder)], cwd=clone, capture_output=True, text=True
    )
    assert done.returncode not in (0, 1), done.stderr
    assert fetched(space) == folder
    assert {name: (folder / name).read_bytes() for name in cloud.files} == cloud.files
    assert json.loads((folder / RECORD).read_text(encoding="utf-8")) == {PREFIX + name: "1" for name in cloud.files}
    fetched(space)
    assert [p.name for p in folder.parent.iterdir()] == [JOB.name]
