"""What follows `--` is refused by the trainer's own parser, here and now."""

import sys
from pathlib import Path

import pytest
from invoke.program import Program

import tasks
from cloudkite import workspace
from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers import arguments
from cloudkite.trainers.folders import Trainer
from tests import trainer_folder

TASK = """
import argparse


class Mistake(Exception):
    code = 2


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Mistake(f"error: {message}\\n\\nhint: read the help")


def positive(text):
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def arguments():
    parser = Parser()
    parser.add_argument("--epochs", type=positive)
    return parser
"""


def trainer(folder: Path, task: str) -> Trainer:
    (folder / "trainer").mkdir()
    (folder / "trainer" / "__init__.py").write_text("", encoding="utf-8")
    (folder / "trainer" / "task.py").write_text(task, encoding="utf-8")
    return Trainer("mine", folder)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--epochs", "-3"], "argument --epochs: '-3' is not a whole number from 1 on"),
        (["--epoch-count", "3"], "unrecognized arguments: --epoch-count 3"),
        (["--epochs"], "argument --epochs: expected one argument"),
    ],
)
def test_bad_arguments_are_refused_in_the_trainers_words(tmp_path, given, message):
    with pytest.raises(BadValue) as refused:
        arguments.refuse_bad(trainer(tmp_path, TASK), Path(sys.executable), given)
    assert refused.value.message == f"mine refuses its arguments: {message}"
    assert refused.value.code == 2


@pytest.mark.parametrize("given", [[], ["--epochs", "3"]])
def test_good_arguments_pass(tmp_path, given):
    arguments.refuse_bad(trainer(tmp_path, TASK), Path(sys.executable), given)


@pytest.mark.parametrize("given", [["--hel"], ["--epochs", "3", "--version"]])
def test_arguments_that_train_nothing_are_refused(tmp_path, given):
    versioned = TASK.replace(
        "    return parser", '    parser.add_argument("--version", action="version")\n    return parser'
    )
    versioned = versioned.replace("parser = Parser()", 'parser = Parser()\n    parser.version = "1"')
    with pytest.raises(BadValue) as refused:
        arguments.refuse_bad(trainer(tmp_path, versioned), Path(sys.executable), given)
    assert (
        refused.value.message
        == f"mine would train nothing with {' '.join(given)}: it prints help or a version and ends"
    )
    assert refused.value.hint == "uv run invoke train mine -- --help lists what it takes"


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (["--help"], True),
        (["-h"], True),
        (["--epochs", "3", "--help"], True),
        (["--nonsense", "-h", "x"], True),
        ([], False),
        (["--epochs", "3"], False),
        (["--helpful"], False),
        (["help"], False),
    ],
)
def test_who_asks_for_help(given, asked):
    assert arguments.asks_for_help(given) is asked


def test_a_trainers_help_is_its_own(tmp_path):
    told = TASK + '\nif __name__ == "__main__":\n    arguments().parse_args()\n'
    said = arguments.help_of(trainer(tmp_path, told), Path(sys.executable), tmp_path / "help.log")
    assert said.startswith("usage: ")
    assert "--epochs EPOCHS" in said


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("", "it said nothing"),
        (
            "import nothing_of_that_name\n",
            "trainer/task.py:1: ModuleNotFoundError: No module named 'nothing_of_that_name'",
        ),
        ("raise SystemExit(3)\n", "it ended with exit code 3"),
        ("import time\ntime.sleep(60)\n", "no end after 1 seconds"),
        ("import sys\nsys.exit('error: no such option: --help')\n", "no such option: --help"),
    ],
)
def test_a_trainer_that_can_not_show_its_help_says_why(tmp_path, monkeypatch, task, reason):
    monkeypatch.setattr(arguments, "SECONDS", 1)
    with pytest.raises(UserError) as failed:
        arguments.help_of(trainer(tmp_path, task), Path(sys.executable), tmp_path / "help.log")
    assert failed.value.message == f"mine can't show its help: {reason}"
    assert failed.value.hint == f"fix {tmp_path / 'trainer' / 'task.py'}; its full output: {tmp_path / 'help.log'}"
    assert failed.value.code == 1


@pytest.mark.parametrize(
    "words", ["-- --help", "-- --epochs 3 -h", "--yes --max-cost 1 -- --help", "-- --epochs x --help"]
)
def test_help_is_shown_here_and_needs_no_account(tmp_path, monkeypatch, capsys, words):
    space = trainer_folder.space(tmp_path)
    told = TASK + '\nif __name__ == "__main__":\n    arguments().parse_args()\n'
    trainer_folder.make(space, pyproject='[project]\nname = "grades"\ndependencies = []\n', task=told)
    monkeypatch.setattr(workspace, "find", lambda: space)
    argv = ["invoke", "train", "grades", *words.split()]
    monkeypatch.setattr("sys.argv", argv)
    Program(namespace=tasks.ns).run(argv, exit=False)
    assert "--epochs EPOCHS" in capsys.readouterr().out
    assert not (space.state / "accounts").exists()
    assert not space.localcloud.exists()


def test_the_child_sees_no_credentials(tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "secret.json")
    task = "import os\nprint(sorted(k for k in os.environ if k.startswith('GOOGLE')))\n"
    assert arguments.help_of(trainer(tmp_path, task), Path(sys.executable), tmp_path / "help.log") == "[]"


def test_plain_argparse_is_understood(tmp_path):
    plain = TASK.replace("parser = Parser()", "parser = argparse.ArgumentParser()")
    with pytest.raises(BadValue, match="'-1' is not a whole number"):
        arguments.refuse_bad(trainer(tmp_path, plain), Path(sys.executable), ["--epochs", "-1"])


@pytest.mark.parametrize("task", ["", "import nothing_of_that_name\n", "def arguments():\n    return 1 / 0\n"])
def test_a_trainer_without_a_readable_parser_is_left_to_the_check(tmp_path, task):
    arguments.refuse_bad(trainer(tmp_path, task), Path(sys.executable), ["--anything"])
