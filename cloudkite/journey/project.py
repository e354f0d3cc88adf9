"""The project's own checks: tests, format, lint, types."""

from __future__ import annotations

import os
import subprocess
import sys

from cloudkite import affected
from cloudkite.show import screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import CLONE


def test(fast: bool = False, changed: bool = False, select: str = "") -> None:
    """Run pytest on two processes: the fast tests, and unless `fast` those that take long, too.

    With `changed`, only those that what differs from main can affect; they are named first.

    Tests of one file stay in one process: they share a local cloud. The short ones of tests/unit come last, so that
    neither process waits long for the other.
    """
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    command += ["-m", "not slow"] if fast else []
    command += ["-k", select] if select else []
    if changed:
        files = affected.changed(CLONE)
        paths = affected.tests(CLONE, files)
        if paths == []:
            screen.say(_("no test is affected by what differs from main"))
            return
        screen.say(_("affected: {tests}").format(tests=", ".join(paths) if paths else _("all tests")))
        command += paths or []
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
