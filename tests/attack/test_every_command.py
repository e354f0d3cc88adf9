"""Every command of `--list`, as shells and impatient people treat it: a closed pipe, no terminal, Ctrl-C at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cloudkite.workspace import CLONE
from tasks import ns

COMMANDS = sorted(ns.task_names)
# Of those that have to be told more than their name.
WORDS = {
    "account.env": ["local"], "account.recover": ["x"], "account.remove": ["x"], "account.use": ["local"],
    "class.join": ["x"], "ci.workflow": ["x", "--max-cost", "1"], "check": ["x"], "local.fault": ["stockout"],
    "data.report": ["x"], "export": ["x"], "local.pay": ["local"],
    "local.preempt": ["x"], "new": ["x"], "predict": ["x"], "report": ["x"], "tensorboard": ["x"], "train": ["x"],
    "tune": ["x"],
}  # fmt: skip

# Ctrl-C comes where `sys.argv[1]` is imported: there is no waiting for the right moment.
INTERRUPTED = """
import importlib.abc, os, signal, sys
where = sys.argv.pop(1)


class CtrlC(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == where:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)


sys.meta_path.insert(0, CtrlC())
sys.argv[0] = "invoke"
from invoke.main import program
program.run()
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "CLOUDKITE_STATE": str(tmp_path / "state"), "NO_COLOR": "1", "COLUMNS": "60"}


def test_the_table_names_commands_that_exist() -> None:
    assert set(WORDS) <= set(COMMANDS) and len(COMMANDS) > 30


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a process alone; try Ctrl-C by hand")
@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_at_once_is_quiet(command: str, environment: dict[str, str]) -> None:
    """When it has just begun, and once while the commands are loaded. Before tasks.py is read it is Python's to end."""
    for where in ("cloudkite.commands.train",) * (command == "jobs") + ("cloudkite.leftovers",):
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED, where, command, *WORDS.get(command, [])], cwd=CLONE, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n"), where
    assert not list(Path(environment["CLOUDKITE_STATE"]).rglob("*.json"))


@pytest.mark.parametrize("line", ["--list", "account.list", "account.list --json", "local.faults --help", "nosuch"])
def test_a_reader_that_goes_early_is_no_mistake(line: str, environment: dict[str, str]) -> None:
    there, here = os.pipe()
    os.close(there)
    run = [sys.executable, "-m", "invoke", *line.split()]
    try:
        done = subprocess.run(run, cwd=CLONE, env=environment, stdout=here, stderr=subprocess.PIPE, encoding="utf-8")
    finally:
        os.close(here)
    assert not re.search("Traceback|BrokenPipe|Exception ignored", done.stderr), done.stderr
    assert done.returncode == (1 if line == "nosuch" else 0)


@pytest.mark.parametrize("line", ["account.list", "local.status", "jobs", "train x", "nosuch"])
def test_without_a_terminal_there_is_no_colour(line: str, environment: dict[str, str]) -> None:
    run = [sys.executable, "-m", "invoke", *line.split()]
    done = subprocess.run(
        run, cwd=CLONE, env={**environment, "CLOUDKITE_ACCOUNT": "nosuch", "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert "\x1b" not in done.stdout + done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals in Python: set NO_COLOR and look")
@pytest.mark.parametrize("colours", [True, False])
def test_no_color_is_heard_on_a_terminal(colours: bool, environment: dict[str, str]) -> None:
    import pty

    there, here = pty.openpty()
    wanted = {**environment, "TERM": "xterm-256color", "NO_COLOR": "" if colours else "1"}
    run = [sys.executable, "-m", "invoke", "nosuch"]
    try:
        subprocess.run(run, cwd=CLONE, env=wanted, stdin=subprocess.DEVNULL, stdout=here, stderr=here, timeout=60)
        said = os.read(there, 10_000).decode()
    finally:
        os.close(there)
        os.close(here)
    assert "unknown command nosuch" in said
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]", said)) == colours
