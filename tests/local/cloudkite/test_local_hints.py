"""What the local cloud tells of a failure reaches people in Cloudkite's words: commands as tasks, notes in time."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudkite import workspace
from cloudkite.accounts import local, registry, settings, target
from cloudkite.journey import reach
from cloudkite.show.errors import UserError
from cloudkite.workspace import Workspace
from clouds import PROJECT
from localcloud import launch


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    """A workspace in which no local cloud runs; its folder's name has what is special in a hint."""
    return workspace.throw_away(tmp_path / "state, mine")


@pytest.fixture
def running(space: Workspace, make_cloud: Any) -> Workspace:
    """The same with a local cloud."""
    make_cloud(space.localcloud)
    return space


def refused(space: Workspace, *words: str) -> UserError:
    with pytest.raises(UserError) as told:
        local.run(space, *words)
    return told.value


@pytest.mark.slow
def test_each_hint_arrives_as_a_task(running: Workspace) -> None:
    for words, message, hint, code in [
        (("fault", "--clear=99"), "no fault has the id 99", "uv run invoke local.faults", 1),
        (
            ("fault",), "say what is to fail: METHOD",
            "uv run invoke local.fault storage.objects.get --code 503, or uv run invoke local.faults", 2,
        ),
        (
            ("fault", "--list", "--clear"), "--list and --clear go without anything else",
            "uv run invoke local.faults, or uv run invoke local.faults --clear ID", 2,
        ),
        (
            ("fault", "storage.objects.get", "--region=us-central1"), "--region goes with stockout only",
            "uv run invoke local.fault stockout --region us-central1", 2,
        ),
        (
            ("upgrade", PROJECT), f"{PROJECT} is on no free trial", "uv run invoke local.start makes one that is", 2,
        ),
        (("bill", "--month=x"), "x isn't a month", "a month is YYYY-MM, such as 2026-11", 2),
        (("preempt", "5"), "no job matches 5", "", 1),
    ]:  # fmt: skip
        told = refused(running, *words)
        assert (told.message, told.hint, told.code) == (message, hint, code)


def test_where_none_runs_the_hint_is_one_task_whatever_the_folders_name(space: Workspace) -> None:
    told = refused(space, "clock")
    assert told.message == f"no local cloud runs in {space.localcloud}"
    assert (told.hint, told.code) == ("uv run invoke local.start", 1)
    assert refused(space, "env", "--project", "x").hint == "uv run invoke local.start"


def test_words_that_can_not_be_are_told_without_the_usage_of_another_command(space: Workspace) -> None:
    told = refused(space, "env", "--shell=tcsh")
    assert told.message.startswith("argument --shell: invalid choice: 'tcsh' (choose from ")
    assert ("\n" in told.message, told.hint, told.code) == (False, "", 2)


def test_a_taken_port_names_the_task_that_shells_need_again(running: Workspace) -> None:
    port = json.loads((running.localcloud / "ports.json").read_text(encoding="utf-8"))["https"]
    launch.stop(running.localcloud)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        told = refused(running, "start")
    assert told.hint.startswith("end that program, or delete ")
    assert told.hint.endswith(" for new ports (open shells need `uv run invoke local.env` again)")


@pytest.mark.parametrize(
    ("out", "err", "code", "message", "exit_code"),
    [
        ("", "Traceback\nMemoryError\n", 1, "the local cloud failed: Traceback\nMemoryError", 1),
        ("said this\n", "", 3, "the local cloud failed: said this", 3),
        ("", '"text"\n', 1, 'the local cloud failed: "text"', 1),
        ("", '{"message": "half"}\n', 1, 'the local cloud failed: {"message": "half"}', 1),
        ("", "", -9, "the local cloud failed", 1),
        ("", 'a warning\n{"message": "told", "parts": []}\n', 130, "told", 1),
    ],
)
def test_one_that_dies_without_a_word_for_programs(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, out: str, err: str, code: int, message: str, exit_code: int
) -> None:
    died = subprocess.CompletedProcess([sys.executable], code, out, err)
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_options: died)
    told = refused(space, "status")
    assert (told.message, told.hint, told.code) == (message, "", exit_code)


def test_a_note_that_it_had_ended_is_told_once(running: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    registry.add(running, "mine", settings.describe(PROJECT, target="local"))
    account = registry.load(running, "mine")
    assert reach.connect(running, account, new=True).notes == ()
    server = launch.running(running.localcloud)
    assert server
    killed = psutil.Process(server["pid"])
    killed.kill()
    psutil.wait_procs([killed], timeout=30)
    made = reach.connect(running, account, new=True)
    assert made.notes[0].startswith("the local cloud had ended without being stopped and was started again: ")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"{made.notes[0]}\n")
    assert target.connect(running, account).notes == ()
    assert capsys.readouterr() == ("", "")
