"""Finding trainers, reading their pins, telling whether they changed."""

import os

import pytest

from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers import folders
from tests import trainer_folder


@pytest.fixture
def place(tmp_path):
    return trainer_folder.space(tmp_path)


@pytest.fixture
def grades(place):
    trainer_folder.make(place)
    return folders.find(place, "grades")


def pins(place, *dependencies):
    listed = "".join(f'    "{d}",\n' for d in dependencies)
    text = f'[project]\nname = "grades"\ndependencies = [\n{listed}]\n'
    return folders.Trainer("grades", trainer_folder.make(place, pyproject=text)).requirements


def test_a_trainer_is_found_by_name_by_path_and_as_the_only_one(place, grades, tmp_path, monkeypatch):
    assert folders.find(place) == grades
    assert folders.find(place, str(grades.folder)) == grades
    assert folders.find(place, f"{grades.folder}{os.sep}") == grades
    monkeypatch.chdir(grades.folder)
    assert folders.find(place, ".") == grades


@pytest.mark.parametrize(
    ("made", "asked", "message", "hint"),
    [
        ([], "", "no trainers yet", "uv run invoke new NAME makes one"),
        ([], "grades", "no trainer is called grades", "uv run invoke new NAME makes one"),
        (["grades", "wine"], "", "which trainer?", "one of: grades, wine"),
        (["grades", "wine"], "grade", "no trainer is called grade", "did you mean grades?"),
        (["grades", "wine"], "zzz", "no trainer is called zzz", "known: grades, wine"),
        (["grades"], "../none/", "the folder ../none/ doesn't exist", "give the folder where the trainer is now"),
        (["grades"], "~/moved/grades", "the folder ~/moved/grades doesn't exist", "did you mean grades?"),
    ],
)
def test_an_unknown_trainer(place, monkeypatch, tmp_path, made, asked, message, hint):
    monkeypatch.chdir(tmp_path)
    for name in made:
        trainer_folder.make(place, name)
    with pytest.raises(BadValue) as refused:
        folders.find(place, asked)
    assert (refused.value.message, refused.value.hint, refused.value.code) == (message, hint, 2)


def test_a_folder_that_is_no_trainer(place, tmp_path):
    (tmp_path / "pyproject.toml").write_text("")
    with pytest.raises(BadValue, match=r"isn't a trainer: it has no trainer/task\.py"):
        folders.find(place, str(tmp_path))


def test_pins_are_written_in_one_way_and_keep_their_markers(place):
    found = pins(place, "keras == 3.15.1", "tensorflow[and-cuda]==2.21.0 ; sys_platform == 'linux'", "a.b-c==1!2.0+x")
    assert found == ("keras==3.15.1", "tensorflow[and-cuda]==2.21.0; sys_platform == 'linux'", "a.b-c==1!2.0+x")


@pytest.mark.parametrize(
    "wrong",
    [
        "keras",
        "keras>=3",
        "keras~=3.15",
        "keras==3.*",
        "keras===3.15.1",
        "keras==3.15.1,<4",
        "keras @ file:///x.whl",
        "==",
    ],
)
def test_a_pin_that_is_not_exact_is_told_with_its_line(place, wrong):
    with pytest.raises(BadValue) as refused:
        pins(place, "numpy==2.4.6", wrong)
    assert refused.value.message.endswith(f"pyproject.toml:5: {wrong!r} isn't an exact pin")
    assert "==VERSION" in refused.value.hint


def test_a_broken_pyproject_is_told_with_its_line(place):
    folder = trainer_folder.make(place, pyproject="[project]\nname = \n")
    with pytest.raises(BadValue, match=r"pyproject\.toml: .*line 2"):
        _ = folders.Trainer("grades", folder).requirements


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("trainer/model.py", True),
        ("trainer/words.txt", True),
        ("pyproject.toml", True),
        ("data/grades.csv", True),
        ("README.md", False),
        ("tests/test_it.py", False),
        ("models/a-job/model/saved_model.pb", False),
        ("trainer/__pycache__/model.cpython-311.pyc", False),
        ("trainer/.model.py.swp", False),
        ("data/another.csv", False),
    ],
)
def test_the_fingerprint_changes_with_what_a_check_depends_on(grades, file, changes):
    before = folders.fingerprint(grades)
    path = grades.folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write("\n# changed\n")
    assert (folders.fingerprint(folders.Trainer("grades", grades.folder)) != before) is changes


def test_the_fingerprint_reads_small_data_and_trusts_the_time_of_big_data(grades, monkeypatch):
    data = grades.folder / "data" / "grades.csv"
    before = folders.fingerprint(grades)
    os.utime(data, (1, 1))
    assert folders.fingerprint(grades) == before
    monkeypatch.setattr(folders, "BIG", 10)
    by_time = folders.fingerprint(grades)
    os.utime(data, (2, 2))
    assert folders.fingerprint(grades) != by_time


def test_data_files_may_be_a_pattern_an_absolute_path_or_in_a_bucket(place, tmp_path):
    def data(pattern):
        folder = trainer_folder.make(place, data_py=trainer_folder.DATA_PY.replace("data/grades.csv", pattern))
        (folder / "data" / "more.csv").write_text("")
        return [path.name for path in folders.Trainer("grades", folder).data_files]

    elsewhere = tmp_path / "there.csv"
    elsewhere.write_text("")
    assert data("data/*.csv") == ["grades.csv", "more.csv"]
    assert data("data/mor?.csv") == ["more.csv"]
    assert data(elsewhere.as_posix()) == ["there.csv"]
    assert data((tmp_path / "th*.csv").as_posix()) == ["there.csv"]
    assert data("gs://bucket/*.csv") == []
    assert data("data/none.csv") == []


@pytest.mark.slow
def test_an_environment_that_cannot_be_built_names_the_pin(place):
    text = '[project]\nname = "grades"\ndependencies = ["keras==0.0.99999"]\n'
    broken = folders.Trainer("grades", trainer_folder.make(place, pyproject=text))
    with pytest.raises(UserError) as refused:
        folders.environment(broken, place)
    assert "keras==0.0.99999" in refused.value.message
    assert "pyproject.toml" in refused.value.hint
