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


WATCHED = """
import dataclasses, datetime, os, signal
from cloudkite.jobs.places import vertex
from cloudkite.jobs.together import following
from cloudkite.journey import results, watching
from cloudkite.money.currency import DOLLAR
from tests.jobs import NOW, answer

job = dataclasses.replace(vertex.parse(answer(), NOW), name="evil\\x1b[2J-job")
until = datetime.datetime(2026, 11, 24, 20, 30)
waiting = dataclasses.replace(job, state="PENDING", started=None, waits_until=until)
shown = [[waiting], [job], [dataclasses.replace(job, state="SUCCEEDED")]]

def look():
    return shown.pop(0) if shown else os.kill(os.getpid(), signal.SIGINT) or []

following.pause = lambda _quiet, _longest: 0.05
watching.watch(look, lambda jobs: results._table(jobs, DOLLAR))
watching.follow(None, [dataclasses.replace(job, state="SUCCEEDED")])
print("after")
"""


def on_a_terminal(script: str) -> str:
    """What a script writes to a terminal of 60 columns."""
    import pty

    there, here = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=CLONE, stdin=subprocess.DEVNULL, stdout=here, stderr=here, timeout=60,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "60"},
        )  # fmt: skip
        said = os.read(there, 100_000).decode()
    finally:
        os.close(there)
        os.close(here)
    assert done.returncode == 0, said
    assert "\x1b[2J" not in said, "what somebody else wrote clears no screen"
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    assert max(map(len, re.split(r"[\r\n]+", plain))) <= 60, "no line is wider than the terminal"
    assert plain.rstrip().endswith("after")
    return said


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals in Python: run `up --all` and look")
def test_on_a_terminal_each_has_its_line():
    said = on_a_terminal(SCRIPT)
    assert "home    looking ..." in said and "home    set up" in said and "school  failed: no" in said


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals in Python: run `jobs --watch` and look")
def test_on_a_terminal_a_table_changes_in_its_place_until_ctrl_c():
    said = on_a_terminal(WATCHED)
    first, second, third = said.index("queued, waits"), said.index("RUNNING"), said.index("SUCCEEDED")
    assert first < second < third and "\x1b[1A" in said[first:second], "the cursor goes up to where the table was"
    assert "Ctrl-C stops following; the jobs go on" in said and "SUCCEEDED after" in said[third:]


def test_in_a_pipe_the_ends_are_lines(capsys):
    with lines(["home", "school"]) as (tell, ended):
        tell("home", "looking ...")
        ended("school", "failed: no")
        ended("home", "set up")
    assert capsys.readouterr() == ("", "school: failed: no\nhome: set up\n")
