"""What can't be parsed is told as every other mistake; nothing is done, and the hint leads on."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from cloudkite.show import screen
from cloudkite.show.command_line import CommandLine
from cloudkite.workspace import CLONE

LIST = "uv run invoke --list"


def takes(command: str) -> str:
    return f"uv run invoke --help {command} lists what it takes"


def said(line: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of `invoke` with these words."""
    monkeypatch.chdir(CLONE)
    screen._consoles.clear()
    monkeypatch.setattr(sys, "argv", ["invoke", *line])  # where `fetch` sees whether it has a name
    with pytest.raises(SystemExit) as ended:
        CommandLine(name="Invoke", binary="invoke").run(["invoke", *line])
    screen._consoles.clear()
    out = capsys.readouterr()
    return int(ended.value.code or 0), out.out, out.err


@pytest.mark.parametrize(
    ("line", "error", "hint"),
    [
        (
            "train penguins --epochs 3", "train has no option --epochs",
            "what is meant for the trainer follows `--`: uv run invoke train penguins -- --epochs 3",
        ),
        (
            "train p --epochs=3 --max-cost 1 --lr 1e-3 --yes -- --batch 8", "train has no option --epochs",
            "what is meant for the trainer follows `--`: "
            "uv run invoke train p --max-cost 1 --yes -- --epochs=3 --lr 1e-3 --batch 8",
        ),
        ("train penguins --machin x", "train has no option --machin", "did you mean --machine?"),
        ("train", "train needs: trainer", "uv run invoke train TRAINER"),
        ("predict --row a=1", "predict needs: trainer", "uv run invoke predict TRAINER"),
        ("train penguins --machine", "--machine needs a value", takes("train")),
        ("train penguins --max-cost", "--max-cost needs a value", takes("train")),
        ("cancel penguins flowers", "cancel takes no flowers", takes("cancel")),
        ("fetch penguins --json flowers", "fetch takes no flowers", takes("fetch")),
        ("logs --follow penguins flowers", "logs takes no flowers", takes("logs")),
        ("cancel -- penguins", "cancel takes nothing after --", "uv run invoke cancel penguins"),
        ("fetch --job", "--job needs a value", takes("fetch")),
        ("jobs penguins", "jobs takes no penguins", "uv run invoke jobs --trainer penguins"),
        ("down work", "down takes no work", "uv run invoke down --account work"),
        ("pin --upgrad", "pin has no option --upgrad", "did you mean --upgrade?"),
        ("jobs -x", "jobs has no option -x", takes("jobs")),
        ("jobs --json=3", "--json takes no value", takes("jobs")),
        ("up --yes=true", "--yes takes no value", takes("up")),
        ("up doen", "up takes no doen", "did you mean down?"),
        ("up 'a b'", "up takes no 'a b'", takes("up")),
        ("trian penguins", "unknown command trian", "did you mean train?"),
        ("xyzzy", "unknown command xyzzy", LIST),
        ("--help trian", "unknown command trian", "did you mean train?"),
        ("local", "local is a group of commands", "uv run invoke --list local"),
        ("local.stat", "unknown command local.stat", "did you mean local.start or local.status or local.stop?"),
        ("--lisst", "unknown option --lisst", "did you mean --list?"),
        ("--list nosuch", "unknown group of commands nosuch", "uv run invoke --list account"),
        (
            "local.faults --clear up", "up may be a command, or the value of the option before it",
            "join a value to its option: --OPTION=up",
        ),
    ],
)  # fmt: skip
def test_a_line_that_cant_be_parsed_is_told_with_a_hint(
    line: str, error: str, hint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [found[0].strip("'") for found in re.finditer(r"'[^']*'|\S+", line)]
    assert said(words, capsys, monkeypatch) == (1, "", f"error: {error.replace(chr(39), '')}\n\nhint: {hint}\n")


@pytest.mark.parametrize("line", ["train p --gpus many", "train p --workers=2.5", "tensorboard p --port x"])
def test_a_value_where_a_number_is_wanted_names_both(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command, _trainer, flag, value = re.split("[ =]", line)
    told = f"error: {flag} must be a whole number, not '{value}'\n\nhint: {takes(command)}\n"
    assert said(line.split(), capsys, monkeypatch) == (2, "", told)


@pytest.mark.slow
def test_every_command_shows_its_help_wherever_it_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _code, listed, _err = said(["--list"], capsys, monkeypatch)
    commands = re.findall(r"^  ([a-z][a-z.]+) ", listed, re.M)
    assert {"train", "fetch", "account.add", "local.fault"} <= set(commands)
    for command in commands:
        for line in (["--help", command], [command, "--help"], [command, "-h"]):
            code, shown, problem = said(line, capsys, monkeypatch)
            assert (code, problem) == (0, ""), problem
            assert shown.startswith(f"Usage: invoke [--core-opts] {command} ") and "Options:" in shown
    assert said(["train", "penguins", "--yes", "-h"], capsys, monkeypatch)[1].startswith("Usage: invoke [--core-opts]")


def test_nothing_asked_lists_the_commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert said([], capsys, monkeypatch) == said(["--list"], capsys, monkeypatch)


@pytest.mark.parametrize(
    "line",
    ["{} p", "{} p --account a", "{} --account a p", "{} --job p", "{} --job=p", "{} p --job q", "{}", "{} --json"],
)
@pytest.mark.parametrize("command", ["cancel", "fetch", "logs"])
def test_a_name_may_follow_with_or_without_its_option(
    command: str, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the order, the command gets it, and does its work on that job alone."""
    words = line.format(command).split()
    got: list[tuple[str, str]] = []
    monkeypatch.setattr(
        f"cloudkite.journey.results.{'show_logs' if command == 'logs' else command}",
        lambda _space, account, job, **_more: got.append((account, job)),
    )
    monkeypatch.setattr(sys, "argv", ["invoke", *words])
    monkeypatch.chdir(CLONE)
    if "q" in words:
        assert said(words, capsys, monkeypatch)[0] == 1 and not got
        return
    CommandLine(name="Invoke", binary="invoke").run(["invoke", *words], exit=False)
    assert got == [("a" if "a" in words else "", "p" if "p" in line else "")]


def test_invoke_itself_speaks_so() -> None:
    """The program that `uv run invoke` starts, not one that a test makes."""
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "trian"], cwd=CLONE, capture_output=True, text=True, encoding="utf-8"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: unknown command trian\n\nhint: did you mean train?\n"
