"""The project's own checks: tests, format, lint, types."""

from __future__ import annotations

import os
import subprocess
import sys

from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import CLONE


def test(fast: bool = False, select: str = "") -> None:
    """Run pytest on two processes: the fast tests, and unless `fast` those that take long, too.

    Tests of one file stay in one process: they share a local cloud. The short ones of tests/unit come last, so that
    neither process waits long for the other.
    """
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    command += ["-m", "not slow"] if fast else []
    command += ["-k", select] if select else []
    _run(command)


def lint(fix: bool = False) -> None:
    """ruff's format and lint, then pyright."""
    _run([sys.executable, "-m", "ruff", "format", *([] if fix else ["--check"]), "."])
    _run([sys.executable, "-m", "ruff", "check", *(["--fix"] if fix else []), "."])
    _run([sys.executable, "-m", "pyright"])


def _run(command: list[str]) -> None:
    environment = {**os.environ, "PYTHONUTF8": "1"}
    code = subprocess.run(command, cwd=CLONE, env=environment).returncode
    if code:
        raise UserError(_("{command} ended with exit code {code}").format(command=" ".join(command[2:4]), code=code))
