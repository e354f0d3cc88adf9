"""The lock on an account: one holds it, says who, and death frees it."""

import os
import subprocess
import sys

import pytest

from cloudkite import locks
from cloudkite.workspace import CLONE


def test_one_holds_it_and_the_other_learns_who(tmp_path):
    path = tmp_path / "folder" / "lock"
    with locks.exclusive(path):
        with pytest.raises(locks.Held) as other, locks.exclusive(path, patience=0.2):
            pass
        assert other.value.pid == os.getpid()
    assert [found.name for found in path.parent.iterdir()] == ["lock"]
    with locks.exclusive(path):
        pass


def test_a_killed_holder_frees_it(tmp_path):
    path = tmp_path / "lock"
    code = f"""
import pathlib, time
from cloudkite import locks
with locks.exclusive(pathlib.Path({str(path)!r})):
    print("held", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=CLONE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(locks.Held) as other, locks.exclusive(path):
            pass
        assert other.value.pid == holder.pid
        holder.kill()
        holder.wait()
        with locks.exclusive(path, patience=5):
            assert path.exists()
