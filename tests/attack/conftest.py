"""What attackers have: here a second user of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_OTHER = 65534  # "nobody" on most systems; it needs no account to run as

# Imports come first: the interpreter and its packages may lie where only their owner reads.
_AS_OTHER = f"""
import base64, http.client, json, os, pathlib, socket, ssl, struct, sys, time, urllib.request
{{imports}}
os.setgroups([])
os.setgid({_OTHER})
os.setuid({_OTHER})
assert os.getuid() == {_OTHER}
exec(sys.argv.pop(1))
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All attacks together take more than a minute: `invoke test --fast` leaves them out."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


Stranger = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def stranger() -> Stranger:
    """Runs Python code as another user of this machine: `stranger(code, *arguments, imports="import grpc")`.

    `code` finds its arguments in sys.argv[1:]; modules beside the standard library's usual ones go into `imports`.
    Gives the finished process with its standard output and error.
    """
    if os.name != "posix" or os.getuid() != 0:
        pytest.skip("only root can act as a second user: run the tests as root, e.g. in a container")

    def run(code: str, *arguments: object, imports: str = "", seconds: float = 60) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", _AS_OTHER.format(imports=imports), code, *map(str, arguments)]
        return subprocess.run(command, cwd="/", capture_output=True, encoding="utf-8", timeout=seconds)

    return run
