"""What follows `--` on the command line, read by the trainer's own parser before anything is sent or spent."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from cloudkite.errors import BadValue
from cloudkite.target import safe_environment
from cloudkite.text import _
from cloudkite.trainer import Trainer

# Exit code 2 is a value that can't be; any other failure is left to the check, which shows it with its place.
_READ = """
import sys
from trainer import task
parser = getattr(task, "arguments", None)
if parser is None:
    sys.exit(0)
try:
    parser().parse_args(sys.argv[1:])
except SystemExit as end:
    sys.exit(2 if end.code else 0)
except Exception as mistake:
    print(mistake, file=sys.stderr)
    sys.exit(getattr(mistake, "code", 1))
"""


def refuse_bad(trainer: Trainer, python: Path, arguments: Sequence[str]) -> None:
    """Raise BadValue for arguments that the trainer's `task.arguments()` refuses. TensorFlow is not loaded for it."""
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
        said = done.stderr.strip().removeprefix("error: ")
        message, _blank, _hint = said.partition("\n\nhint: ")
        raise BadValue(
            _("{trainer} refuses its arguments: {message}").format(trainer=trainer.name, message=message),
            _("what follows `--` goes to the trainer; its own `--help` lists what it takes"),
        )
