"""What follows `--` on the command line, read by the trainer's own parser before anything is sent or spent."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Sequence
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
    done = subprocess.run(
        [str(python), "-c", _READ, *arguments],
        cwd=trainer.folder,
        env=safe_environment({"PYTHONPATH": str(trainer.folder), "PYTHONUTF8": "1"}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )
    if done.returncode == 2:
        said = done.stderr.strip()
        said = said.rpartition(": error: ")[2] if said.startswith("usage: ") else said.removeprefix("error: ")
        message, _blank, _hint = said.partition("\n\nhint: ")
        raise BadValue(
            _("{trainer} refuses its arguments: {message}").format(trainer=trainer.name, message=message),
            _("what follows `--` goes to the trainer; its own `--help` lists what it takes"),
        )
    if done.returncode == 3:
        raise BadValue(
            _("{trainer} would train nothing with {arguments}: it prints help or a version and ends").format(
                trainer=trainer.name, arguments=" ".join(arguments)
            ),
            _("uv run invoke train {trainer} -- --help lists what it takes").format(trainer=trainer.name),
        )
