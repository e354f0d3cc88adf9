"""What follows `--` on the command line, read by the trainer's own parser before anything is sent or spent."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudkite import children
from cloudkite.show.errors import BadValue, UserError
from cloudkite.children import safe_environment
from cloudkite.show.text import _
from cloudkite.trainers.folders import Trainer

SECONDS = 120  # after which a trainer that was asked for its help is taken for one that does something else

# Exit code 2 is a value that can't be, 3 a parser that is content and ends all the same, as it does for help; any other
# failure is left to the check, which shows it with its place.
_READ = """
import sys
from trainer import task
parser = getattr(task, "arguments", None)
if parser is None:
    sys.exit(0)
try:
    parser().parse_args(sys.argv[1:])
except SystemExit as end:
    sys.exit(2 if end.code else 3)
except Exception as mistake:
    print(mistake, file=sys.stderr)
    sys.exit(getattr(mistake, "code", 1))
"""

# The same parser's options, and what it says to each of some command lines; all in JSON. Without a parser, null.
_OPTIONS = """
import contextlib, io, json, sys
from trainer import task
make = getattr(task, "arguments", None)
found = None
if make is not None:
    parser = make()
    options = {}
    for action in parser._actions:
        for flag in action.option_strings:
            if flag.startswith("--"):
                choices = None if action.choices is None else [str(one) for one in action.choices]
                options[flag[2:]] = {"alone": action.nargs == 0, "choices": choices}
    said = []
    for line in json.load(sys.stdin):
        error = io.StringIO()
        try:
            with contextlib.redirect_stderr(error):
                parser.parse_args(line)
        except SystemExit:
            said.append(error.getvalue())
        except Exception as mistake:
            said.append(str(mistake))
        else:
            said.append(None)
    found = {"options": options, "said": said}
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Option:
    """A long option of a trainer. `alone`: it takes no value, as --widen; `choices`: all that it takes, if it says."""

    alone: bool
    choices: tuple[str, ...] | None


@dataclass(frozen=True)
class Asked:
    """A trainer's options by their names without dashes, and what it said to each command line: "" if it takes it."""

    options: Mapping[str, Option]
    said: tuple[str, ...]


def ask(trainer: Trainer, python: Path, lines: Sequence[Sequence[str]]) -> Asked | None:
    """What the trainer's `task.arguments()` knows, and says to these command lines; None where it has no such function.

    TensorFlow is not loaded for it. Raises UserError for a trainer whose options can't be read.
    """
    done = _run(trainer, python, _OPTIONS, input=json.dumps([list(line) for line in lines]))
    try:
        found = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise UserError(
            _("the options of {trainer} can't be read: {reason}").format(trainer=trainer.name, reason=last),
            _("uv run invoke check {trainer}").format(trainer=trainer.name),
        ) from None
    if found is None:
        return None
    options = {
        name: Option(one["alone"], None if one["choices"] is None else tuple(one["choices"]))
        for name, one in found["options"].items()
    }
    return Asked(options, tuple("" if one is None else _reason(one) for one in found["said"]))


def default_of(trainer: Trainer, option: str) -> int | None:
    """The default of an option of whole numbers that task.py says plainly, `("--epochs", ..., default=30)`, else None."""
    try:
        tree = ast.parse((trainer.package / "task.py").read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        if any(isinstance(word, ast.Constant) and word.value == option for word in call.args):
            value = next((ast.unparse(more.value) for more in call.keywords if more.arg == "default"), "")
            return int(value) if value.isdecimal() and int(value) else None
    return None


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether the trainer would only print its help, whatever else is asked of it."""
    return "-h" in arguments or "--help" in arguments


def help_of(trainer: Trainer, python: Path, log: Path) -> str:
    """What `python -m trainer.task --help` prints, run here with an allow-list of variables and no GPU.

    Raises UserError for a trainer that fails, says nothing or doesn't end; all that it said is in the file `log`.
    """
    from cloudkite.check.rehearsal import explain
    from cloudkite.models.predictor import QUIET

    command = [str(python), "-m", "trainer.task", "--help"]
    variables = safe_environment({**QUIET, "PYTHONDONTWRITEBYTECODE": "1"})
    code = children.run(command, trainer.folder, variables, log, SECONDS)
    said = log.read_text(encoding="utf-8", errors="replace").strip()
    if code == 0 and said:
        return said
    if code == children.TOO_LONG:
        reasons = [_("no end after {seconds} seconds").format(seconds=SECONDS)]
    elif code == 0:
        reasons = [_("it said nothing")]
    else:
        reasons = explain(said, trainer.folder) or [_("it ended with exit code {code}").format(code=code)]
    raise UserError(
        _("{trainer} can't show its help: {reason}").format(trainer=trainer.name, reason=reasons[0]),
        _("fix {file}; its full output: {log}").format(file=trainer.package / "task.py", log=log),
    )


def refuse_bad(trainer: Trainer, python: Path, arguments: Sequence[str]) -> None:
    """Raise BadValue for arguments that the trainer's `task.arguments()` refuses, or for which it only prints.

    TensorFlow is not loaded for it.
    """
    if not arguments:
        return
    done = _run(trainer, python, _READ, *arguments)
    if done.returncode == 2:
        raise BadValue(
            _("{trainer} refuses its arguments: {message}").format(trainer=trainer.name, message=_reason(done.stderr)),
            _("what follows `--` goes to the trainer; its own `--help` lists what it takes"),
        )
    if done.returncode == 3:
        raise BadValue(
            _("{trainer} would train nothing with {arguments}: it prints help or a version and ends").format(
                trainer=trainer.name, arguments=" ".join(arguments)
            ),
            _("uv run invoke train {trainer} -- --help lists what it takes").format(trainer=trainer.name),
        )


def _run(trainer: Trainer, python: Path, script: str, *words: str, input: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "-c", script, *words],
        cwd=trainer.folder,
        env=safe_environment({"PYTHONPATH": str(trainer.folder), "PYTHONUTF8": "1"}),
        input=input,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )


def _reason(said: str) -> str:
    """What a parser says, of argparse or of the template's, without its usage and its hint."""
    said = said.strip()
    said = said.rpartition(": error: ")[2] if said.startswith("usage: ") else said.removeprefix("error: ")
    return said.partition("\n\nhint: ")[0]
