"""A trainer takes a newer template in: what its people changed stays, what both changed is shown, nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cloudkite import workspace
from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers import folders, making, updating
from cloudkite.workspace import CLONE, Workspace

PACKAGE = Path("template", "trainer", "{{cookiecutter.name}}")
OWN_LAYER = "    hidden = keras.layers.Dense(128, activation='relu')(hidden)\n"


def git(clone: Path, *words: str) -> None:
    who = {
        f"GIT_{role}_{what}": "somebody@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    subprocess.run(["git", "-C", str(clone), *words], check=True, capture_output=True, env={**os.environ, **who})


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def commit(clone: Path) -> None:
    updating.stamp(clone / "template" / "trainer")
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "A template")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the template of then and, after it, the one of now."""
    place = tmp_path_factory.mktemp("clone")
    shutil.copytree(CLONE / "template", place / "template", ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    git(place, "init", "-q")
    commit(place)
    return place


@pytest.fixture
def space(clone: Path, tmp_path: Path) -> Workspace:
    """A workspace of a copy of it, with a trainer of the template of then that a person has changed."""
    home = shutil.copytree(clone, tmp_path / "clone")
    found = Workspace(home=home, state=tmp_path / "state", accounts=tmp_path / "accounts", trainers=home / "trainers")
    folder = making.new(found, "grades").folder
    change(
        folder / "trainer" / "model.py",
        "    hidden = keras.layers.Dropout",
        OWN_LAYER + "    hidden = keras.layers.Dropout",
    )
    change(folder / "trainer" / "data.py", "penguins.csv", "mine.csv")
    change(folder / "README.md", "## Run it", "## How I run it")
    (folder / "tests" / "test_job.py").unlink()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    package = home / PACKAGE
    change(package / "trainer" / "model.py", "NORMALISE = True", "NORMALISE = False")
    change(package / "trainer" / "kit" / "tell.py", "PAUSE = 30.0", "PAUSE = 20.0")
    (declared,) = (path for path in (package / "trainer").iterdir() if "'classes'" in path.name)
    change(declared, "penguins.csv", "other.csv")
    change(package / "README.md", "## Run it", "## Start it")
    change(package / "tests" / "test_job.py", '"""', '"""Newer. ')
    (package / "trainer" / "kit" / "more.py").write_text("MORE = 1\n", encoding="utf-8")
    (package / "tests" / "test_streams.py").unlink()
    commit(home)
    return found


def whats(update: updating.Update) -> dict[str, str]:
    return {one.path: one.what for one in update.changes}


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


EXPECTED = {
    "README.md": "conflict",
    "tests/test_job.py": "yours",
    "tests/test_streams.py": "removed",
    "trainer/kit/more.py": "new",
    "trainer/kit/tell.py": "updated",
    "trainer/model.py": "merged",
}


def test_what_changes_and_what_stays(space: Workspace) -> None:
    trainer = folders.find(space, "grades")
    before = files(trainer.folder)
    found = updating.look(space, trainer)
    assert found.base and found.before != found.now
    assert whats(found) == EXPECTED
    assert files(trainer.folder) == before  # a look changes nothing
    kept = updating.apply(space, trainer, found)
    after = files(trainer.folder)
    model = after["trainer/model.py"].decode()
    assert OWN_LAYER in model and "NORMALISE = False" in model and "<<<<" not in model
    assert "PAUSE = 20.0" in after["trainer/kit/tell.py"].decode()
    assert after["README.md"] == before["README.md"]
    both = after["README.md.new"].decode()
    assert "<<<<<<< yours\n## How I run it\n" in both and "=======\n## Start it\n>>>>>>> the template of now" in both
    assert {name for name in before if name not in after} == {"tests/test_streams.py"}
    assert after["notes.txt"] == b"mine" and after["trainer/data.py"] == before["trainer/data.py"]
    assert kept is not None
    assert files(kept) == {
        name: before[name] for name in ("trainer/model.py", "trainer/kit/tell.py", "tests/test_streams.py")
    }

    with pytest.raises(UserError, match=r"README.md.new of an earlier update is still there"):
        updating.look(space, trainer)
    (trainer.folder / "README.md.new").unlink()
    again = updating.look(space, trainer)
    assert again.before == again.now and not again.changes


@pytest.mark.slow
def test_killed_anywhere_the_same_again_ends_it(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = folders.find(space, "grades")
    whole = space.trainers / "whole"
    shutil.copytree(trainer.folder, whole)
    write, left = updating._write, [0]

    def cut(path: Path, content: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(updating, "_write", cut)
    for number in (0, 1, 2, 2):
        left[0] = number
        with pytest.raises(KeyboardInterrupt):
            updating.apply(space, trainer, updating.look(space, trainer))
    monkeypatch.setattr(updating, "_write", write)
    updating.apply(space, trainer, updating.look(space, trainer))
    other = folders.Trainer("grades", whole)
    updating.apply(space, other, updating.look(space, other))
    assert files(trainer.folder) == files(whole)


@pytest.mark.parametrize("lost", ["history", "version"])
def test_where_the_template_of_then_is_not_known_nothing_is_overwritten(space: Workspace, lost: str) -> None:
    trainer = folders.find(space, "grades")
    if lost == "history":
        shutil.rmtree(space.home / ".git")
    else:
        (trainer.folder / updating.ANSWERS).unlink()
    before = files(trainer.folder)
    found = updating.look(space, trainer)
    assert not found.base
    told = whats(found)
    assert told["trainer/model.py"] == told["README.md"] == told["trainer/kit/tell.py"] == "conflict"
    assert told["trainer/kit/more.py"] == told["tests/test_job.py"] == "new"
    assert "tests/test_streams.py" not in told
    assert updating.apply(space, trainer, found) is None
    after = files(trainer.folder)
    assert all(after[name] == content for name, content in before.items() if name != updating.ANSWERS)
    assert after["trainer/kit/tell.py.new"] == (space.home / PACKAGE / "trainer/kit/tell.py").read_bytes()
    assert json.loads(after[updating.ANSWERS])["version"] == found.now


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"template": "../trainer", "version": "1", "answers": {}}', '{"template": 1}', "[" * 99_999],
)
def test_answers_that_can_not_be_read_are_told(space: Workspace, text: str) -> None:
    trainer = folders.find(space, "grades")
    (trainer.folder / updating.ANSWERS).write_text(text, encoding="utf-8")
    with pytest.raises(BadValue, match=r"\.template\.json can't be read"):
        updating.look(space, trainer)


def test_a_template_that_this_clone_does_not_have(space: Workspace) -> None:
    trainer = folders.find(space, "grades")
    told = {"template": "other", "version": "1", "answers": {"name": "grades"}}
    (trainer.folder / updating.ANSWERS).write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(BadValue, match="this clone has no template called other"):
        updating.look(space, trainer)


def test_a_fresh_trainer_has_nothing_to_change(penguins: Path) -> None:
    """Also where the clone is only as deep as it is: then is now."""
    found = updating.look(workspace.throw_away(penguins.parent / "state"), folders.Trainer("penguins", penguins))
    assert found.changes == () and found.before == found.now
