"""trainer/places.py of a wrapped program: where its data are found, and where what it writes goes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from cloudkite.workspace import CLONE

SOURCE = CLONE / "template" / "wrapped" / "{{cookiecutter.name}}" / "trainer" / "places.py"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, fresh, in a folder with a few files of data."""
    for name in ("data/x.csv", "data/sub/y.csv", "here.txt", "output/model/old.keras"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AIP_MODEL_DIR", raising=False)
    spec = importlib.util.spec_from_file_location("places", SOURCE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("x.csv", "data/x.csv"),
        ("./data/x.csv", "data/x.csv"),
        ("/content/drive/MyDrive/lesson/x.csv", "data/x.csv"),
        ("C:\\Users\\me\\x.csv", "data/x.csv"),
        ("~/sub/y.csv", "data/sub/y.csv"),
        ("sub", "data/sub"),
        ("../*.csv", "data/*.csv"),
        ("here.txt", "here.txt"),
        ("old.keras", "output/model/old.keras"),
        ("/content/drive/MyDrive/project", "data"),  # a folder that is elsewhere: the data are in data/ itself
        ("/content/gone.csv", "data/gone.csv"),  # the error names the place where it belongs
    ],
)
def test_where_data_are_found(places: ModuleType, tmp_path: Path, path: str, found: str):
    assert (tmp_path / places.data(path)).resolve() == tmp_path / found
    assert (tmp_path / places.data(Path(path.replace("\\", "/")))).resolve() == tmp_path / found
    assert isinstance(places.data(path), str) and isinstance(places.data(Path("x.csv")), Path)


def test_what_is_no_path_stays(places: ModuleType):
    for one in (3, None, b"x", "https://x.org/a.csv", "gs://b/a.csv", ""):
        assert places.data(one) == one and places.output(one) == one


def test_another_place_for_data(places: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRAINER_DATA", "data/sub/y.csv")
    assert places.data("whatever.csv") == str(tmp_path / "data" / "sub" / "y.csv")
    assert places.uploaded() == {"y.csv": b"data/sub/y.csv"}


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("m.keras", "m.keras"),
        ("a/b/../m.h5", "a/b/m.h5"),
        ("../../m.keras", "m.keras"),
        ("/content/drive/MyDrive/m.keras", "m.keras"),
        ("D:\\out\\m.keras", "m.keras"),
    ],
)
def test_where_results_go_and_are_read_again(places: ModuleType, tmp_path: Path, monkeypatch, path: str, kept: str):
    place = places.output(path)
    assert Path(place) == tmp_path / "output" / "model" / kept and Path(place).parent.is_dir()
    assert places.output(place) == place and places.data(path) == place
    (tmp_path / "data" / "m.keras").write_text("other", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "data")  # as a program may do
    assert places.data(path) == place and places.output(path) == place


def test_in_a_job(places: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIP_MODEL_DIR", "gs://bucket/job/model/")
    assert not Path(places.output("m.keras")).is_relative_to(tmp_path / "output")
    assert places.model("served") == str(places.results())


def test_epochs_variables_and_uploads(places: ModuleType, monkeypatch: pytest.MonkeyPatch):
    assert places.epochs(7) == 7 and places.uploaded() == {"x.csv": b"data/x.csv"}
    monkeypatch.setenv("TRAINER_EPOCHS", "2")
    monkeypatch.setenv("SOME", "value")
    assert places.epochs(7) == 2 and places.variable("SOME") == "value"
    with pytest.raises(SystemExit, match=r"^error: the program needs the variable OTHER\n\nhint: "):
        places.variable("OTHER")
