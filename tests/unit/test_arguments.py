"""What follows `--` is refused by the trainer's own parser, here and now."""

import sys
from pathlib import Path

import pytest

from cloudkite import arguments
from cloudkite.errors import BadValue
from cloudkite.trainer import Trainer

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


@pytest.mark.parametrize("given", [[], ["--epochs", "3"], ["--help"]])
def test_good_arguments_pass(tmp_path, given):
    arguments.refuse_bad(trainer(tmp_path, TASK), Path(sys.executable), given)


def test_plain_argparse_is_understood(tmp_path):
    plain = TASK.replace("parser = Parser()", "parser = argparse.ArgumentParser()")
    with pytest.raises(BadValue, match="'-1' is not a whole number"):
        arguments.refuse_bad(trainer(tmp_path, plain), Path(sys.executable), ["--epochs", "-1"])


@pytest.mark.parametrize("task", ["", "import nothing_of_that_name\n", "def arguments():\n    return 1 / 0\n"])
def test_a_trainer_without_a_readable_parser_is_left_to_the_check(tmp_path, task):
    arguments.refuse_bad(trainer(tmp_path, task), Path(sys.executable), ["--anything"])
