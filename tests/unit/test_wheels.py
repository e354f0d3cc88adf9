"""Wheels: the same bytes for the same content, and what installers and zipimport make of them."""

import hashlib
import importlib.metadata
import os
import subprocess
import sys
import zipfile

import pytest

from cloudkite.trainers import folders, wheels
from tests import trainer_folder


@pytest.fixture
def place(tmp_path):
    return trainer_folder.space(tmp_path)


def built(place, **changes):
    return folders.build_wheel(folders.Trainer("My-Grades", trainer_folder.make(place, "My-Grades", **changes)), place)


def test_the_same_content_gives_the_same_bytes(place, tmp_path):
    first = built(place)
    other_place = trainer_folder.space(tmp_path / "other")
    folder = trainer_folder.make(other_place, "My-Grades")
    for path in folder.rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o600)
    second = folders.build_wheel(folders.Trainer("My-Grades", folder), other_place)
    assert first.sha256 == second.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()
    assert first.path.read_bytes() == second.path.read_bytes()


def test_it_is_kept_by_its_hash_and_written_once(place):
    wheel = built(place)
    before = wheel.path.stat()
    assert wheel.path.parent.name == wheel.sha256
    assert built(place) == wheel
    assert wheel.path.stat().st_mtime_ns == before.st_mtime_ns
    assert built(place, task="print(2)\n").sha256 != wheel.sha256


def test_a_wheel_that_was_cut_short_is_written_again(place):
    wheel = built(place)
    whole = wheel.path.read_bytes()
    wheel.path.write_bytes(whole[:100])
    assert built(place).path.read_bytes() == whole


def test_it_runs_from_the_zip(place):
    task = (
        "import sys\nfrom importlib import resources\n"
        "print(resources.files('trainer').joinpath('words.txt').read_text(encoding='utf-8'), sys.argv)\n"
    )
    folder = trainer_folder.make(place, task=task)
    (folder / "trainer" / "words.txt").write_text("안녕", encoding="utf-8")
    wheel = folders.build_wheel(folders.Trainer("grades", folder), place)
    script = (
        "import runpy, sys; sys.path.insert(0, sys.argv[1]); sys.argv = ['trainer.task', '--epochs', '2'];"
        "runpy.run_module('trainer.task', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-I", "-c", script, str(wheel.path)],
        capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert done.stdout.startswith("안녕 ['")
    assert done.stdout.endswith("', '--epochs', '2']\n")


def test_what_installers_read(place):
    wheel = built(place)
    assert wheel.path.name == "my_grades-0.1.0-py3-none-any.whl"
    (found,) = importlib.metadata.distributions(path=[str(wheel.path)])
    assert found.metadata["Name"] == "My-Grades"
    assert found.version == "0.1.0"
    assert found.requires == [
        "tensorflow-cpu==2.21.0; sys_platform == 'linux'",
        "tensorflow==2.21.0; sys_platform != 'linux'",
        "keras==3.15.1",
    ]
    with zipfile.ZipFile(wheel.path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names[-1] == "my_grades-0.1.0.dist-info/RECORD"
        assert {n for n in names if "dist-info" not in n} == {
            "trainer/__init__.py",
            "trainer/data.py",
            "trainer/task.py",
        }
        record = archive.read(names[-1]).decode().splitlines()
    assert [line.partition(",")[0] for line in record] == names


def test_an_installer_takes_it(place, tmp_path):
    text = trainer_folder.PYPROJECT.split("dependencies")[0]
    wheel = folders.build_wheel(folders.Trainer("grades", trainer_folder.make(place, pyproject=text)), place)
    target = tmp_path / "installed"
    command = [sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-deps", "--python", sys.executable]
    subprocess.run([*command, "--target", str(target), str(wheel.path)], check=True, capture_output=True)
    assert (target / "trainer" / "task.py").is_file()


def test_names_and_versions_are_escaped():
    assert wheels.filename("A.b--c_d", "1.0-rc 1") == "a_b_c_d-1.0.rc.1-py3-none-any.whl"
