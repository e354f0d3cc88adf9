"""Live lines of several things at once: each in its place on a terminal, the ends alone in a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from cloudkite.show.lines import lines
from cloudkite.workspace import CLONE

SCRIPT = """
import time
from cloudkite.show.lines import lines
with lines(["home", "school"]) as (tell, ended):
    tell("home", "looking ...")
    tell("school", "\\x1b[2Jlooking ... " + "x" * 300)
    time.sleep(0.4)
    ended("home", "set up")
    ended("school", "failed: no")
print("after")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals in Python: run `up --all` and look")
def test_on_a_terminal_each_has_its_line():
    import pty

    there, here = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=CLONE, stdin=subprocess.DEVNULL, stdout=here, stderr=here, timeout=60,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "60"},
        )  # fmt: skip
        said = os.read(there, 100_000).decode()
    finally:
        os.close(there)
        os.close(here)
    assert done.returncode == 0, said
    assert "home    looking ..." in said and "home    set up" in said and "school  failed: no" in said
    assert "\x1b[2J" not in said, "what somebody else wrote clears no screen"
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    assert max(map(len, re.split(r"[\r\n]+", plain))) <= 60, "no line is wider than the terminal"
    assert plain.rstrip().endswith("after")


def test_in_a_pipe_the_ends_are_lines(capsys):
    with lines(["home", "school"]) as (tell, ended):
        tell("home", "looking ...")
        ended("school", "failed: no")
        ended("home", "set up")
    assert capsys.readouterr() == ("", "school: failed: no\nhome: set up\n")
