"""What the command line tells when it fails: to people in words, to programs as an object that the words come from."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from clouds import LocalCloud, Start
from localcloud import launch
from localcloud.__main__ import main
from localcloud.core import hints
from localcloud.core.hints import Command
from localcloud.core.state import locks

LIST = {"verb": "fault", "arguments": [], "options": {"list": True}}
CLEAR = {"verb": "fault", "arguments": [], "options": {"clear": "ID"}}
FAULT = {"verb": "fault", "arguments": ["storage.objects.get"], "options": {"code": "503"}}
NO_MACHINES = {"verb": "fault", "arguments": ["stockout"], "options": {"region": "us-central1"}}
ANYWHERE = {"verb": "start", "arguments": [], "options": {"root": "DIR", "project": "ID"}}
FAR = "it may be 36500 days ahead of the real time"
TRIAL = {"verb": "start", "arguments": [], "options": {"trial": "PROJECT"}}


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a command line that fails tells: the object for programs, held against the words for people."""
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody at a terminal

    def call(root: Path, verb: str, *words: str) -> dict[str, Any]:
        code = main([verb, "--root", str(root), "--errors=json", *words])
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        told = json.loads(err)
        assert code == told["code"]
        assert told["command"] == next((part for part in told["parts"] if isinstance(part, dict)), None)
        assert told["hint"] == "".join(map(str, hints.read(told["parts"])))
        assert main([verb, "--root", str(root), *words]) == code
        text = capsys.readouterr().err
        if not text.startswith("usage: "):
            assert text == f"error: {told['message']}\n" + (f"\nhint: {told['hint']}\n" if told["hint"] else "")
        return told

    return call


def test_a_command_is_written_as_it_is_typed() -> None:
    assert str(Command("fault", ("a.b",), {"code": "503", "expired": True})) == "fault a.b --code 503 --expired"
    assert str(Command("start", options={"root": "/x"})) == "python -m localcloud start --root /x"


def test_a_hint_in_pieces_is_read_as_it_was() -> None:
    made = ("either ", Command("fault", options={"list": True}), ", or wait")
    assert hints.read(json.loads(json.dumps(hints.as_json(made)))) == made
    assert (hints.parts(""), hints.parts("wait"), hints.parts(made[1])) == ((), ("wait",), (made[1],))


@pytest.mark.parametrize(
    "words",
    [
        ("clock",), ("clock", "--forward", "1d"), ("bill",), ("upgrade", "x"), ("audit",), ("fault", "--list"),
        ("fault", "--list", "--code", "503"), ("preempt", "1"),
    ],
)  # fmt: skip
def test_where_none_runs_each_verb_names_the_start(tell: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    root = tmp_path.resolve() / "none, here"
    told = tell(root, *words)
    assert (told["message"], told["code"]) == (f"no local cloud runs in {root}", 1)
    assert told["command"] == {"verb": "start", "arguments": [], "options": {"root": str(root)}}
    assert told["hint"] == f"python -m localcloud start --root {root}"


def test_an_unknown_root_and_project(tell: Any, tmp_path: Path) -> None:
    told = tell(tmp_path, "env", "--project", "mine")
    assert (told["command"], told["hint"]) == (ANYWHERE, "python -m localcloud start --root DIR --project ID")
    told = tell(tmp_path, "reset")
    assert (told["command"], told["hint"]) == (None, "add --yes")


@pytest.mark.parametrize("verb", ["start", "stop", "reset"])
def test_another_command_is_at_work(tell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    def busy(*_: Any) -> None:
        raise locks.Busy

    monkeypatch.setattr(launch, "_alone", busy)
    told = tell(tmp_path, verb, *(["--yes"] if verb == "reset" else []))
    assert told["message"] == f"another command works on the local cloud in {tmp_path.resolve()}"
    assert (told["code"], told["hint"], told["parts"]) == (1, "", [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("env", "--shell", "tcsh"), "argument --shell: invalid choice: 'tcsh' (choose from "),
        (("upgrade",), "the following arguments are required: PROJECT"),
        (("stop", "--now"), "unrecognized arguments: --now"),
        (("status", "--json=yes"), "argument --json: ignored explicit argument 'yes'"),
        (("dance",), "argument start|stop|"),
    ],
)
def test_words_that_make_no_command(tell: Any, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    told = tell(tmp_path, *words)
    assert told["message"].startswith(message)
    assert (told["hint"], told["command"], told["code"]) == ("", None, 2)


def test_people_get_the_usage_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--errors", "text"]) == 2
    usage, *_more, error = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: python -m localcloud upgrade [-h]")
    assert error == "python -m localcloud upgrade: error: the following arguments are required: PROJECT"
    assert main(["stop", "--errors", "xml"]) == 2
    assert "argument --errors: invalid choice: 'xml'" in capsys.readouterr().err
    assert main(["stop", "--errors"]) == 2
    assert "argument --errors: expected one argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message", "parts"),
    [
        (("fault",), 2, "say what is to fail: METHOD", [FAULT, ", or ", LIST]),
        (("fault", "--list", "--clear"), 2, "--list and --clear go without anything else", [LIST, ", or ", CLEAR]),
        (("fault", "stockout", "--code", "503"), 2, "--code does not go with stockout", [NO_MACHINES]),
        (("fault", "storage.objects.get", "--region", "x"), 2, "--region goes with stockout only", [NO_MACHINES]),
        (("fault", "storage.objects.get", "--times", "x"), 2, "--times must be a whole number, not x", []),
        (("fault", "storage.objects.get", "--delay", "-1"), 2, "--delay must be 0 or more, not -1", []),
        (("fault", "stockout"), 2, "unknown region (none was named)", ["such as us-central1"]),
        (("fault", "--clear", "99"), 1, "no fault has the id 99", [LIST]),
        (("upgrade", "test-project"), 2, "test-project is on no free trial", [TRIAL, " makes one that is"]),
        (("bill", "--month", "x"), 2, "x isn't a month", ["a month is YYYY-MM, such as 2026-11"]),
        (("clock", "--forward", "99999d"), 2, "the clock moves forward by 0 to ", [FAR]),
        (("clock", "--forward", "x"), 2, "--forward x isn't a time to move by", None),
        (("preempt", "5"), 1, "no job matches 5", []),
        (("env", "--project", "x"), 1, "no project is called x in", None),
    ],
)  # fmt: skip
def test_what_the_running_server_refuses(
    tell: Any, local_cloud: LocalCloud, words: tuple[str, ...], code: int, message: str, parts: list[Any] | None
) -> None:
    told = tell(local_cloud.root, *words)
    assert told["code"] == code
    assert told["message"].startswith(message)
    assert parts is None or told["parts"] == parts


@pytest.mark.slow
def test_a_server_that_can_not_start_tells_why(tell: Any, new_cloud: Start) -> None:
    cloud = new_cloud()
    port = cloud.server["https"]
    launch.stop(cloud.root)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        told = tell(cloud.root, "start")
    assert told["command"] == {"verb": "env", "arguments": [], "options": {}}
    assert told["parts"][1:] == [told["command"], "` again)"]


def test_a_server_that_does_not_answer(tell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "running", lambda _root: {"pid": 1, "https": 1})
    for verb in ("status", "audit"):
        told = tell(tmp_path, verb)
        assert told["message"].startswith(f"the local cloud in {tmp_path.resolve()} (process 1) does not answer: ")
        assert (told["parts"], told["code"]) == ([f"see {tmp_path.resolve() / 'server.log'}"], 1)
