"""What containers are promised and how ends are decided, as tables; no server is needed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from localcloud.containers import ground, spool
from localcloud.containers.supervised import LOST, Exit
from localcloud.containers.words import expand
from localcloud.core.state.kept import Damaged
from localcloud.vertex import settings
from localcloud.vertex.replicas import contract
from localcloud.vertex.replicas.outcome import outcome, settled

KNOWN = {"A": "1", "B": "two words"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("--x=$(A)/$(B)", "--x=1/two words"),
        ("$(NONE)", "$(NONE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
    ],
)
def test_references_expand_as_in_kubernetes(text: str, expanded: str) -> None:
    assert expand(text, KNOWN) == expanded


def job_spec(*counts: int) -> dict[str, Any]:
    pools = [{"replicaCount": str(n), "containerSpec": {"imageUri": "i"}} if n else {} for n in counts]
    return {"workerPoolSpecs": pools}


@pytest.mark.parametrize(
    ("counts", "names"),
    [
        ((1,), ["workerpool0-0"]),
        ((1, 2), ["workerpool0-0", "workerpool1-0", "workerpool1-1"]),
        ((1, 0, 1), ["workerpool0-0", "workerpool2-0"]),
    ],
)
def test_replicas(counts: tuple[int, ...], names: list[str]) -> None:
    assert [replica.name for replica in contract.replicas(job_spec(*counts))] == names


def test_the_cluster_never_has_an_evaluator() -> None:
    spec = job_spec(1, 1, 1, 1)
    everyone = contract.replicas(spec)
    made = contract.variables("7", "42", spec, everyone, {r.name: f"127.0.0.1:{n}" for n, r in enumerate(everyone)})
    config = json.loads(made["workerpool3-0"]["TF_CONFIG"])
    assert config["cluster"] == {"chief": ["127.0.0.1:0"], "worker": ["127.0.0.1:1"], "ps": ["127.0.0.1:2"]}
    assert config["task"] == {"type": "evaluator", "index": 0, "cloud": "7"}
    assert json.loads(made["workerpool3-0"]["CLUSTER_SPEC"])["cluster"]["workerpool3"] == ["127.0.0.1:3"]


@pytest.mark.parametrize(
    ("argument", "warned"),
    [
        ("/gcs/bucket/data", True),
        ("--data=/gcs/bucket", True),
        ("open('/gcs')", False),
        ("/data/gcs/x", False),
        ("gs://bucket/gcs/", False),
        ("/gcsfuse", False),
    ],
)
def test_which_arguments_name_the_mount(argument: str, warned: bool) -> None:
    spec = {"workerPoolSpecs": [{"containerSpec": {"imageUri": "i", "args": [argument]}}]}
    assert contract.uses_gcs_mount(contract.replicas(spec)) == warned


P, W = "workerpool0-0", "workerpool1-0"


@pytest.mark.parametrize(
    ("exits", "cancelling", "state", "code", "said"),
    [
        ({P: Exit("exited", 0, 1)}, False, "SUCCEEDED", None, ""),
        ({P: Exit("exited", 0, 1), W: Exit("cancelled", 143, 2)}, False, "SUCCEEDED", None, ""),
        ({P: Exit("exited", 0, 1)}, True, "SUCCEEDED", None, ""),
        ({P: Exit("exited", 2, 1, "boom")}, False, "FAILED", 3, "workerpool0-0 exited with a non-zero status of 2"),
        ({P: Exit("cancelled", 143, 9), W: Exit("exited", 5, 1)}, False, "FAILED", 3, "workerpool1-0 exited"),
        ({P: Exit("cancelled", 143, 1)}, True, "CANCELLED", 1, "CANCELED"),
        ({P: Exit("cancelled", 0, 1)}, True, "CANCELLED", 1, "CANCELED"),
        ({P: Exit(LOST, 137, 1)}, True, "CANCELLED", 1, "CANCELED"),
        ({P: Exit("timeout", 143, 1)}, False, "FAILED", 4, "longer than its timeout of 9s"),
        ({P: Exit(LOST, 137, 1)}, False, "FAILED", 13, "Internal error occurred for the current attempt"),
        ({P: Exit("interrupted", 143, 1)}, False, "FAILED", 13, "Internal error occurred for the current attempt"),
        ({P: Exit("unstartable", 127, 1, "can't start x")}, False, "FAILED", 3, "can't start x"),
    ],
)
def test_how_a_job_ended(exits: dict[str, Exit], cancelling: bool, state: str, code: int | None, said: str) -> None:
    ended = outcome(exits, cancelling, "7", "42", "9s")
    error = ended.error or {"code": None, "message": ""}
    assert (ended.state, error["code"]) == (state, code)
    assert said in error["message"]


def test_a_worker_that_ends_well_settles_nothing() -> None:
    assert not settled({W: Exit("exited", 0, 1)})
    assert settled({W: Exit("exited", 1, 1)})
    assert settled({P: Exit("exited", 0, 1)})


def test_a_job_cannot_install_into_the_machines_python(tmp_path: Path) -> None:
    environment = ground.base(tmp_path, tmp_path / "no-python")
    pip = shutil.which("pip3", path=environment["PATH"])
    if pip is None:
        pytest.skip("the machine's own Python has no pip; install python3-pip to run this")
    done = subprocess.run([pip, "install", "--no-index", "six"], env=environment, capture_output=True, text=True)
    assert done.returncode == 3 and "Could not find an activated virtualenv" in done.stderr


def test_a_spool_is_read_by_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "output"
    writer = spool.Writer(path)
    writer.feed("stdout", b"one\ntw")
    writer.feed("stderr", "größer".encode()[:3])
    first = list(spool.read(path, 0))
    assert [(line.stream, line.text) for line in first] == [("stdout", "one")]
    writer.feed("stderr", "größer".encode()[3:] + b"\n")
    writer.feed("stdout", b"o\r\n")
    writer.feed("stdout", b"")
    with path.open("ab") as file:
        file.write(b'[1, "stdout", "torn')
    rest = list(spool.read(path, first[-1].end))
    assert [(line.stream, line.text) for line in rest] == [("stderr", "größer"), ("stdout", "two")]
    assert first[0].at < rest[0].at < rest[1].at
    assert list(spool.read(path, rest[-1].end)) == []
    assert list(spool.read(tmp_path / "none", 0)) == []


@pytest.mark.parametrize("character", ["x", "\x01", "\U0001f600"])
def test_a_long_line_is_cut(tmp_path: Path, character: str) -> None:
    path = tmp_path / "output"
    writer = spool.Writer(path)
    writer.feed("stdout", (character * 250_000).encode())
    writer.feed("stdout", b"y\n")
    read: list[spool.Line] = []
    while more := list(spool.read(path, read[-1].end if read else 0)):
        read += more
    assert "".join(line.text for line in read) == character * 250_000 + "y"
    assert max(len(line.text) for line in read) == 100_000


@pytest.mark.parametrize("text", ['{"parallel": 0}', '{"graceSeconds": -1}', '{"paralell": 1}', "{"])
def test_settings_that_cant_be(tmp_path: Path, text: str) -> None:
    (tmp_path / "vertex.json").write_text(text, encoding="utf-8")
    with pytest.raises(Damaged):
        settings.load(tmp_path)
