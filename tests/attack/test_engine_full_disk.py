"""The disk of an account's state is full: said at once, ended in time, and the next run goes on with what is whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudkite import engine
from cloudkite.engine import state
from cloudkite.engine.results import Step
from cloudkite.show.errors import UserError
from tests.attack import engines

attacked = engines.attacked
pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(attacked) -> Iterator[Path]:
    """The disk of 12 MiB that the account's state is on."""
    folder = attacked.account.state
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("no disk can be mounted here: run it as root on Linux")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as filler:
        for size in (65536, 4096, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                continue


def fills_at(number: int, disk: Path) -> Callable[[Step], None]:
    """Something that fills the disk at a step of a run."""
    steps = iter(range(1, 1000))

    def on_step(_step: Step) -> None:
        if next(steps) == number:
            fill(disk)

    return on_step


def test_room_is_looked_at_before_a_run(attacked, small_disk):
    fill(small_disk)
    with pytest.raises(UserError) as told:
        attacked.up()
    assert told.value.message == (
        f"the disk is full: a run on account {attacked.account.name} needs 4.0 MB in {attacked.folder.backend}, "
        "and 0 B are free"
    )
    assert told.value.hint == "free some space, then run the same command again"
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


@pytest.mark.parametrize("step", [3, 45])
def test_a_disk_that_fills_up_ends_the_run_and_the_next_one_goes_on(attacked, small_disk, step):
    with pytest.raises(UserError, match=r"^the disk is full: the state of account"):
        engine.up(attacked.account, attacked.target, fills_at(step, small_disk))
    (small_disk / "filler").unlink()
    attacked.up()
    assert attacked.up().changes == {}
    assert len(attacked.left()) == len(attacked.preview().resources)


def test_the_good_copy_survives_and_is_gone_on_with(attacked, small_disk):
    attacked.up()
    good = attacked.folder.last_good.read_text(encoding="utf-8")
    with pytest.raises(UserError, match=r"^the disk is full: the state of account"):
        engine.down(attacked.account, attacked.target, True, fills_at(9, small_disk))
    assert attacked.folder.last_good.read_text(encoding="utf-8") == good
    (small_disk / "filler").unlink()
    attacked.up()
    assert state.read(attacked.folder).rows
    assert attacked.up().changes == {}
