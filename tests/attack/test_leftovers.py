"""Commands that are killed, or run beside each other: nothing torn, nothing left, nothing of a living one removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cloudkite import leftovers, locks, workspace
from cloudkite.bench import kills
from cloudkite.bench.place import Place
from cloudkite.journey import results
from cloudkite.models import fetching
from cloudkite.show.errors import UserError
from cloudkite.trainers import making
from tests import trainer_folder
from tests.objects import JOB, MODEL, Cloud
from tests.trees import put, tree

# Leaves what the command of a test leaves that is killed before it is done.
_DIES = """
import os, pathlib, signal, sys
from cloudkite import workspace
space = workspace.throw_away(pathlib.Path(sys.argv[1]))
def die(*_given): os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
{how}
"""
_ATOMIC = "pathlib.Path.replace = die\nworkspace.write_atomically(space.state / 'account', 'x')"
_NEW = "from cloudkite.trainers import making\nmaking.fill = pathlib.Path.replace = die\nmaking.new(space, 'a')"


@pytest.fixture
def space(tmp_path: Path) -> Any:
    made = trainer_folder.space(tmp_path)
    trainer_folder.make(made)
    return made


def killed(space: Any, how: str) -> None:
    done = subprocess.run([sys.executable, "-c", _DIES.format(how=how), str(space.state)], cwd=workspace.CLONE)
    assert done.returncode


@pytest.mark.parametrize(("how", "place"), [(_ATOMIC, ""), (_NEW, "trainers")])
def test_what_a_dead_command_left_is_swept(space: Any, how: str, place: str) -> None:
    before = tree(space.state)
    killed(space, how)
    assert tree(space.state) != before
    (gone,) = leftovers.sweep(space)
    assert gone.parent == space.state / place and tree(space.state) == before
    assert leftovers.sweep(space) == []


def test_new_sweeps_the_folder_it_writes_to(space: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    killed(space, _NEW.replace("'a')", f"'a', output=pathlib.Path({str(other)!r}))"))
    assert [path.name[:5] for path in other.iterdir()] == [".new-"]
    making.new(space, "a", output=other)
    assert [path.name for path in other.iterdir()] == ["a"]


def test_what_a_living_command_works_on_stays(space: Any) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as living:
        for kind in ("tmp", "new", "check"):
            put(space.state / f".{kind}-{living.pid}-x", file="being made")
        before = tree(space.state)
        assert leftovers.sweep(space) == [] and tree(space.state) == before
    assert len(leftovers.sweep(space)) == 3


def test_nothing_else_is_taken_for_a_leftover(space: Any, tmp_path: Path) -> None:
    elsewhere = put(tmp_path / "elsewhere", thesis="years of work")
    for name in (".new-x", ".new-999999999", "new-999999999-x", ".NEW-999999999-x", ".tmp-0-x", ".new-notes"):
        put(space.state / name, file="mine")
    before = tree(space.state)
    assert leftovers.sweep(space) == [] and tree(space.state) == before
    try:
        (space.state / ".new-999999999-x").symlink_to(elsewhere, target_is_directory=True)
    except OSError:
        return  # Windows, for those who may make no links
    assert len(leftovers.sweep(space)) == 1 and tree(elsewhere) == {"thesis": b"years of work"}


def test_of_two_that_make_the_same_trainer_one_does(space: Any) -> None:
    def make(_number: int) -> str:
        code = "from cloudkite.trainers import making\nmaking.new(space, 'twin')"
        command = [sys.executable, "-c", _DIES.format(how=code), str(space.state)]
        done = subprocess.run(command, cwd=workspace.CLONE, capture_output=True, encoding="utf-8")
        return done.stderr.strip().rpartition("\n")[2]

    making.new(space, "alone")
    with ThreadPoolExecutor(3) as pool:
        said = sorted(pool.map(make, range(3)))
    assert said[0] == "" and all("is there already" in one for one in said[1:])
    assert tree(space.trainers / "twin").keys() == tree(space.trainers / "alone").keys()
    assert [path.name for path in space.trainers.iterdir() if path.name.startswith(".")] == []


def test_who_waits_too_long_for_another_is_told(space: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(making, "_PATIENCE", 0.2)
    with making._alone(space, space.trainers.resolve()), pytest.raises(UserError) as told:
        making.new(space, "second")
    assert "another command makes a trainer in" in told.value.message and str(os.getpid()) in told.value.message


def test_a_model_is_fetched_by_one_command_at_a_time(space: Any, monkeypatch: Any) -> None:
    cloud = Cloud(dict(MODEL))
    monkeypatch.setattr(fetching, "pages", cloud.pages)

    def beside(*given: Any) -> None:
        with pytest.raises(UserError) as told:
            results.fetch_job(space, None, JOB, quiet=True)  # type: ignore[arg-type]
        assert f"another command fetches the model of {JOB.name}" in told.value.message
        assert "goes on where that one stopped" in told.value.hint
        cloud.download(*given)

    monkeypatch.setattr(fetching, "_download", beside)
    folder = results.fetch_job(space, None, JOB, quiet=True)  # type: ignore[arg-type]
    assert {name: (folder / name).read_bytes() for name in MODEL} == MODEL
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_unfinished_download_is_told(space: Any, monkeypatch: Any, capsys: Any) -> None:
    cloud = Cloud(dict(MODEL))
    monkeypatch.setattr(fetching, "pages", cloud.pages)
    monkeypatch.setattr(fetching, "_download", cloud.download)
    put(space.trainers / "grades" / "models" / ".other.part", **{".cloudkite-fetched.json": "{}"})
    results.fetch_job(space, None, JOB, quiet=True)  # type: ignore[arg-type]
    assert "an unfinished download is in" in capsys.readouterr().err


def test_the_lock_of_a_dead_command_holds_nobody_up(space: Any) -> None:
    path = space.state / "x.lock"
    killed(space, f"from cloudkite import locks\nwith locks.exclusive(pathlib.Path({str(path)!r})): die()")
    with locks.exclusive(path):
        pass


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "drill")
    yield made
    made.close()
    shutil.rmtree(tmp_path / "drill", ignore_errors=True)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there are no process groups to kill: run it on Linux or macOS")
@pytest.mark.parametrize(("name", "most"), [("new", 2), ("account.add", 2), ("update", 1)])
def test_killed_commands_converge(place: Place, name: str, most: int) -> None:
    """Some of the drill; all of it: uv run invoke bench --only killed. tests/engine has kills of `up` and `down`."""
    (row,) = kills.kills(place, name, most)
    assert row.note == f"{most} kills, 0 wrong"
