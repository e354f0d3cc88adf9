"""What every command of `--list` writes on an account that is set up: to a pipe, narrow, to a reader that goes."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from cloudkite import workspace
from cloudkite.accounts import registry, target
from cloudkite.jobs import service
from cloudkite.show import screen
from cloudkite.show.command_line import CommandLine
from tasks import ns
from tests.local.place import Place, make_trainer

NARROW = 60
# Those that need more than their name, or that go on for minutes: of these the help is read, which is output, too.
LINES = {
    "account.add": "account.add --local --name second --project second-project", "account.env": "account.env local",
    "account.use": "account.use local",
    "audit": "audit --help", "bench": "bench --help", "budget.rehearse": "budget.rehearse --help",
    "check": "check tiny", "data.pull": "data.pull tiny",
    "data.push": "data.push tiny", "demo": "demo --help", "fetch": "fetch tiny", "lint": "lint --help",
    "local.fault": "local.fault storage.objects.get --principal nobody@example.com", "local.pay": "local.pay local",
    "local.preempt": "local.preempt tiny", "new": "new grades", "pin": "pin --help",
    "export": "export tiny",
    "predict": "predict tiny --row a=1", "tensorboard": "tensorboard tiny --port 0", "test": "test --help",
    "train": "train tiny", "tune": "tune tiny",
}  # fmt: skip
Run = Callable[[str], int]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[workspace.Workspace]:
    """An account on a local cloud, set up, with a job that has succeeded."""
    made = workspace.throw_away(tmp_path_factory.mktemp("output"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workspace, "find", lambda: made)
        for line in ("account.add --local --name local --project output-project", "up --yes"):
            assert ended(line, patch) == 0, line
        account = registry.load(made, "local")
        place = Place(made, account, target.connect(made, account), make_trainer(made.trainers / "tiny"))
        job = place.submit()
        while job.active:
            time.sleep(0.1)
            job = service.get(place.target, job.id)
        assert job.state == "SUCCEEDED"
        yield made
        ended("local.stop", patch)


def ended(line: str, patch: pytest.MonkeyPatch) -> int:
    """Run a command line in this process, nobody at a terminal; its exit code."""
    argv = ["invoke", *shlex.split(line)]
    patch.setattr(sys, "argv", argv)
    patch.setattr(sys, "stdin", io.StringIO())
    screen._consoles.clear()
    try:
        CommandLine(namespace=ns, name="Invoke", binary="invoke").run(argv)
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        screen._consoles.clear()
    return 0


def test_the_lines_are_of_commands_that_exist() -> None:
    assert set(LINES) <= set(ns.task_names)


@pytest.mark.parametrize("command", sorted(ns.task_names))
def test_in_a_narrow_pipe_and_to_a_reader_that_goes(
    command: str, space: workspace.Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workspace, "find", lambda: space)
    monkeypatch.chdir(space.state)
    monkeypatch.setenv("COLUMNS", str(NARROW))
    monkeypatch.setenv("TERM", "xterm-256color")
    line = LINES.get(command, command)
    code = ended(line, monkeypatch)
    said = capfd.readouterr()
    assert code in (0, 1, 2), said.err
    assert not re.search("Traceback|\x1b", said.out + said.err), said
    assert said.out or said.err, "a command that says nothing"
    tables = re.findall("^─+$", said.out, re.M)  # as wide as the rows
    assert tables or command not in ("account.list", "down", "jobs"), said.out
    assert not [rule for rule in tables if len(rule) > NARROW], said.out

    there, here = os.pipe()
    os.close(there)
    with os.fdopen(here, "w", encoding="utf-8") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        again = ended(line, monkeypatch)
    monkeypatch.undo()
    problem = capfd.readouterr().err
    assert again in (0, code) or "already" in problem, problem
    assert not re.search("Traceback|BrokenPipe|Exception ignored", problem), problem
