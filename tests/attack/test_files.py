"""Files and folders of a person are theirs alone, whatever the umask, whoever was first, wherever links lead."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import environments
from cloudkite import children, locks, workspace
from cloudkite.check import lint, sources
from cloudkite.engine import cli
from cloudkite.jobs import staging, submit
from cloudkite.journey import results
from cloudkite.models import beside, fetching, predictions, questions
from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers import folders, making
from cloudkite.trainers.folders import Trainer
from tests import objects, trainer_folder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights; run on POSIX")


@pytest.fixture
def shared(tmp_path_factory) -> Iterator[Path]:
    """A folder in which every user may make names, as /tmp is."""
    tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        yield Path(folder)


@pytest.fixture
def no_umask() -> Iterator[None]:
    """A person whose umask takes nothing away."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(*tops: Path) -> list[str]:
    """What others could read, write or enter, of all that is in the folders and themselves."""
    found = [path for top in tops for path in (top, *top.rglob("*")) if not path.is_symlink()]
    assert len(found) > len(tops)
    return [f"{path} {stat.S_IMODE(path.stat().st_mode):o}" for path in found if path.stat().st_mode & 0o077]


# --- whatever the umask


def test_what_is_kept_is_its_owners(no_umask, tmp_path, monkeypatch):
    state = tmp_path / "home" / ".cloudkite"
    space = workspace.throw_away(state)
    trainer = Trainer("grades", trainer_folder.make(space))
    cloud = objects.Cloud(dict(objects.MODEL))
    monkeypatch.setattr(fetching, "pages", cloud.pages)
    monkeypatch.setattr(fetching, "_download", cloud.download)
    model = results.fetch_job(space, None, objects.JOB, quiet=True)  # type: ignore[arg-type]
    folders.build_wheel(trainer, space)
    staging.hash_files(trainer.data_files, space.state / "staging" / "hashes.json")
    log = space.state / "checks" / "grades.log"
    children.run([sys.executable, "-c", "print(1)"], tmp_path, children.safe_environment(), log, 60)
    answers = predictions.Answers(["yes"])
    beside.write([(questions.Batch(1, ["a"], [["1"]], {}), answers)], space.state / "answers.csv")
    environments.environment(space.state / "envs" / "deep", [])
    with locks.exclusive(space.state / "locks" / "engine.lock"):
        kept = [path for path in space.state.iterdir() if path != space.trainers]
        files, dirs = [p for p in kept if p.is_file()], [p for p in kept if p.is_dir()]
        assert not open_to_others(model, *dirs)
        assert not [path for path in files if path.stat().st_mode & 0o077]
    assert not [p for p in (tmp_path / "home", state, model.parent) if p.stat().st_mode & 0o077]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_copy_of_a_persons_data_is_read_by_nobody_else(no_umask, shared, stranger, mode):
    given = shared / "salaries.csv"
    given.write_text("age,pay\n" + "".join(f"{i % 7},{i * 1.5}\n" for i in range(40)), encoding="utf-8")
    given.chmod(mode)
    space = workspace.Workspace(workspace.CLONE, shared / "state", shared / "infra", shared / "trainers")
    (shared / "trainers").mkdir(mode=0o755)
    folder = making.new(space, "salaries", given, "pay").folder
    copy = folder / "data" / "salaries.csv"
    assert (folder.parent.stat().st_mode & 0o005) == 0o005
    folder.chmod(0o755)  # as a person who shows their code would
    assert copy.read_text(encoding="utf-8").startswith("age,pay\n")
    assert "PermissionError" in stranger("import sys; print(open(sys.argv[1]).read())", copy).stderr
    copy.parent.chmod(0o755)
    assert "PermissionError" in stranger("import sys; print(open(sys.argv[1]).read())", copy).stderr


# --- whoever was there first

FIRST = {
    "a folder": "os.mkdir(sys.argv[1])",
    "an open folder": "os.mkdir(sys.argv[1]); os.chmod(sys.argv[1], 0o777)",
    "a link to a folder": "os.mkdir(sys.argv[1] + '2'); os.symlink(sys.argv[1] + '2', sys.argv[1])",
    "a link to the person's folder": "os.symlink(sys.argv[2], sys.argv[1])",
    "a link to nothing": "os.symlink('/nowhere/at/all', sys.argv[1])",
}


@pytest.mark.parametrize("first", FIRST)
def test_a_folder_that_a_stranger_made_first_is_refused(shared, stranger, monkeypatch, first):
    home, space = shared / "home", workspace.find()
    home.mkdir(mode=0o700)
    for name in ("state", "tools", "cache", "data/cloudkite", "caches/cloudkite", "clone/.cloudkite"):
        place = shared / name
        if place.parent != shared:
            place.parent.mkdir()
            place.parent.chmod(0o1777)
        assert stranger(FIRST[first], place, home).returncode == 0
    said = "another user|other users|leads nowhere"
    monkeypatch.setenv("CLOUDKITE_STATE", str(shared / "state"))
    with pytest.raises(UserError, match=said) as refused:
        workspace.find()
    assert str(shared / "state") in refused.value.message and refused.value.hint
    monkeypatch.setenv("CLOUDKITE_TOOLS", str(shared / "tools"))
    with pytest.raises(UserError, match=said):
        cli.find()
    monkeypatch.delenv("CLOUDKITE_TOOLS")
    monkeypatch.setenv("XDG_DATA_HOME", str(shared / "data"))
    with pytest.raises(UserError, match=said):
        cli.find()
    for name, value in {"CLOUDKITE_CACHE": "cache", "XDG_CACHE_HOME": "caches"}.items():
        with monkeypatch.context() as patched:
            patched.delenv("CLOUDKITE_CACHE", raising=False)
            patched.setenv(name, str(shared / value))
            with pytest.raises(UserError, match=said):
                _ = space.envs
    with pytest.raises(UserError, match=said):
        workspace.private_folder(shared / "clone" / ".cloudkite" / "demos" / "deep")
    assert not list(home.iterdir())


def test_a_folder_in_which_others_may_write_is_refused(tmp_path, monkeypatch):
    place = tmp_path / "state"
    place.mkdir()
    place.chmod(0o775)
    monkeypatch.setenv("CLOUDKITE_STATE", str(place))
    with pytest.raises(UserError, match="other users may write to") as refused:
        workspace.find()
    assert f"chmod go-w {place}" in refused.value.hint
    place.chmod(0o755)
    assert workspace.private_folder(workspace.find().state) == place
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_no_environment_is_taken_from_a_stranger(shared, stranger):
    """All of it is there, ready: its interpreter is the stranger's program."""
    name = environments.fingerprint([])
    code = """
folder = pathlib.Path(sys.argv[1], sys.argv[2], "bin")
folder.mkdir(parents=True)
(folder / "python").write_text("#!/bin/sh\\n")
(folder / "python").chmod(0o755)
(folder.parent / ".ready").write_text("{}")
"""
    assert stranger(code, shared / "envs", name).returncode == 0
    with pytest.raises(PermissionError, match="another user owns it"):
        environments.environment(shared / "envs", [])


# --- wherever links lead


@pytest.fixture
def secret(tmp_path) -> Path:
    path = tmp_path / "elsewhere" / "secret.csv"
    path.parent.mkdir()
    path.write_text("hours,city,passed\n1.0,SECRET,yes\n", encoding="utf-8")
    return path


@pytest.fixture
def trainer(tmp_path) -> Trainer:
    return Trainer("grades", trainer_folder.make(trainer_folder.space(tmp_path)))


def test_links_are_not_packed(trainer, secret, tmp_path):
    (trainer.package / "notes.txt").symlink_to(secret)
    (trainer.package / "more").symlink_to(secret.parent, target_is_directory=True)
    wheel = folders.build_wheel(trainer, trainer_folder.space(tmp_path))
    with zipfile.ZipFile(wheel.path) as archive:
        assert not [name for name in archive.namelist() if b"SECRET" in archive.read(name)]
        assert "trainer/task.py" in archive.namelist()
    told = lint.lint(trainer).lines()
    assert any("trainer/notes.txt: a symbolic link, which is not packed" in line for line in told)
    assert any(line.startswith("trainer/more: a symbolic link") for line in told)


def test_a_package_that_is_a_link_is_not_packed(trainer, secret, tmp_path):
    trainer.package.rename(secret.parent / "trainer")
    trainer.package.symlink_to(secret.parent / "trainer", target_is_directory=True)
    assert list(folders.package_files(trainer)) == []
    assert lint.lint(trainer).verdict == "failed"


@pytest.mark.parametrize("what", ["file", "folder", "pattern", "chain"])
def test_data_that_a_link_brings_from_elsewhere_is_told_and_not_sent(trainer, secret, what):
    data = trainer.folder / "data" / "grades.csv"
    data.unlink()
    if what == "folder":
        data.parent.rmdir()
        secret.rename(secret.with_name("grades.csv"))
        data.parent.symlink_to(secret.parent, target_is_directory=True)
    elif what == "chain":
        data.with_name("inner").symlink_to(secret)
        data.symlink_to("inner")
    else:
        data.symlink_to(secret)
    if what == "pattern":
        about = trainer.package / "data.py"
        about.write_text(about.read_text(encoding="utf-8").replace("grades.csv", "*.csv"), encoding="utf-8")
    for use in (
        lambda: submit.local_data(trainer, ()),
        lambda: submit.local_data(trainer, ("--data", str(data))),
        lambda: sources.local(trainer),
    ):
        with pytest.raises(BadValue, match="leads out of the trainer by a symbolic link") as refused:
            use()
        assert str(secret.parent) in refused.value.message


def test_a_link_inside_the_trainer_and_a_path_outside_are_data(trainer, secret):
    data = trainer.folder / "data" / "grades.csv"
    data.rename(data.with_name("2026.csv"))
    data.symlink_to("2026.csv")
    assert submit.local_data(trainer, ())[0] == (data,)
    assert submit.local_data(trainer, ("--data", str(secret)))[0] == (secret,)
