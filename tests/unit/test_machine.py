"""What a machine lacks to train on, by descriptions of machines; and this one, read."""

import dataclasses
import re
import sys
from pathlib import Path

import psutil
import pytest

from cloudkite import workspace
from cloudkite.check import machine
from cloudkite.check.machine import Machine
from cloudkite.journey import reach
from cloudkite.show.errors import UserError

GB = 10**9
PC = Machine("linux", "x86_64", glibc=(2, 36), avx=True, memory=8 * GB, free=50 * GB)
MAC = Machine("darwin", "arm64", memory=8 * GB, free=50 * GB)
WINDOWS = Machine("win32", "amd64", avx=True, memory=8 * GB, free=50 * GB)
UNKNOWN = dataclasses.replace(PC, avx=None, memory=None, glibc=None)
FINE = [
    PC,
    MAC,
    WINDOWS,
    UNKNOWN,
    Machine("linux", "x86_64", ready=True),
    dataclasses.replace(PC, processor="aarch64", avx=None),
]
LACKING = [
    (PC, {"avx": False}, "no AVX", "-cpu host", True),
    (WINDOWS, {"avx": False}, "no AVX", "Colab", True),
    (PC, {"musl": True, "glibc": None}, "musl", "python:3.11-slim", True),
    (PC, {"glibc": (2, 17)}, "glibc 2.17, and TensorFlow needs 2.27", "newer Linux", True),
    (PC, {"processor": "riscv64", "avx": None}, "not for riscv64", "Cloud Shell", True),
    (PC, {"processor": "i686", "bits": 32}, "32 bits", "64-bit", True),
    (WINDOWS, {"bits": 32}, "32 bits", "64-bit", True),
    (WINDOWS, {"processor": "arm64", "avx": None}, "Windows on ARM", "Colab", True),
    (MAC, {"processor": "x86_64"}, "Intel", "Apple silicon", True),
    (PC, {"free": 2 * GB}, "on the disk", "CLOUDKITE_CACHE", True),
    (PC, {"memory": 3 * GB}, "of memory", "Colab", False),
]


@pytest.mark.parametrize("one", FINE, ids=range(len(FINE)))
def test_machines_that_can_train(one):
    assert machine.lacks(one) == []


@pytest.mark.parametrize(("one", "changes", "what", "way", "fatal"), LACKING)
def test_machines_that_lack_something(one, changes, what, way, fatal):
    [found] = machine.lacks(dataclasses.replace(one, **changes))
    assert what in found.what
    assert way in found.way
    assert found.fatal is fatal


def test_an_environment_that_stands_needs_no_room():
    assert machine.lacks(dataclasses.replace(PC, free=0, ready=True)) == []


def test_what_can_never_work_is_told_first():
    found = machine.lacks(dataclasses.replace(PC, avx=False, free=0, memory=GB))
    assert [lack.fatal for lack in found] == [True, True, False]
    assert "AVX" in found[0].what


def test_this_machine_is_read(tmp_path):
    found = machine.here(tmp_path / "not" / "there", ready=False)
    assert (found.system, found.bits) == (sys.platform, 64)
    assert found.memory is not None and 0 < found.memory <= psutil.virtual_memory().total
    assert found.free > 0
    if sys.platform == "linux":
        assert found.musl != (found.glibc is not None)
        flags = Path("/proc/cpuinfo").read_text()
        assert found.avx in (bool(re.search(r"\bavx\b", flags)), None)


def test_commands_stop_at_what_is_fatal_and_go_on_after_a_note(tmp_path, monkeypatch, capsys):
    space = workspace.throw_away(tmp_path)
    monkeypatch.setattr(machine, "here", lambda *_arguments: dataclasses.replace(PC, memory=GB))
    reach.look_at_machine(space)
    assert "of memory" in capsys.readouterr().err
    monkeypatch.setattr(machine, "here", lambda *_arguments: dataclasses.replace(PC, avx=False))
    with pytest.raises(UserError, match="no AVX") as refused:
        reach.look_at_machine(space)
    assert "Cloud Shell" in refused.value.hint
