"""What a job has beyond its image: exact pins, installed with the person's network settings, which it never sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clouds import LocalCloud, Start
from clouds.company import company
from clouds.vertex import PLAIN, VertexCloud, id_of, pool
from localcloud import launch
from localcloud.containers import images

SPARROW = """
import os, sparrow
print(sparrow.FROM)
seen = open(f"/proc/{os.getppid()}/environ").read() if os.path.exists("/proc/self") else ""
seen += "".join(f"{name}={value}" for name, value in os.environ.items() if name != "LOCALCLOUD_REQUIREMENTS")
print([word for word in (":sec" + "ret@", "pany" + ".pem", "UV" + "_") if word in seen])  # the script is in there, too
"""


def wanting(pins: str, script: str = SPARROW, image: str = PLAIN) -> dict:
    made = pool(script, image)
    made["containerSpec"]["env"] = [{"name": "LOCALCLOUD_REQUIREMENTS", "value": pins}]
    return made


def holds(path: Path, secret: bytes) -> bool:
    """Whether it is a file with that in it; one that the cloud takes away meanwhile has nothing any more."""
    try:
        return path.is_file() and secret in path.read_bytes()
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("when", ["at its start", "while it runs"])
def test_a_job_has_its_pins_from_the_persons_index_and_nothing_of_their_network(
    new_cloud: Start, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, when
) -> None:
    with company(tmp_path_factory.mktemp("company")) as theirs:
        early = theirs.variables if when == "at its start" else {}
        with monkeypatch.context() as patched:
            for name, value in early.items():
                patched.setenv(name, value)
            own = VertexCloud(new_cloud, tmp_path)
        with monkeypatch.context() as patched:
            for name, value in theirs.variables.items():
                patched.setenv(name, value)
            server = launch.start(own.root, own.root / "envs")
            assert server["pid"] == own.cloud.server["pid"]  # told, not started anew
        bad = id_of(own.post([wanting('["six"]', "print(1)")]))
        job = id_of(own.post([wanting('["sparrow==1.0"]')]))
        ended = own.wait(job)
        assert ended["state"] == "JOB_STATE_SUCCEEDED", (ended, own.lines(job, "service"))
        assert own.lines(job) == ["the company", "[]"]
        refused = own.wait(bad)
        assert refused["error"]["message"].startswith("LOCALCLOUD_REQUIREMENTS: 'six' isn't an exact pin")
        assert "startTime" not in refused  # and so it costs nothing
        assert set(theirs.connected) == {"packages.company.invalid:443"}
        assert not [path for path in own.root.rglob("*") if "envs" not in path.parts and holds(path, b"user:secret")]


def test_a_start_by_a_client_of_the_cloud_takes_nothing_back(
    local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shell has the local cloud's proxy and certificates: what the person's own were isn't known there."""
    known = (local_cloud.root / "network.sha256").read_text(encoding="ascii")
    for name, value in local_cloud.environment.items():
        monkeypatch.setenv(name, value)
    launch.start(local_cloud.root, local_cloud.root / "envs")
    assert (local_cloud.root / "network.sha256").read_text(encoding="ascii") == known


WRONG = [
    ("no list", "LOCALCLOUD_REQUIREMENTS must be a JSON list of pins"),
    ('"six==1.17.0"', "LOCALCLOUD_REQUIREMENTS must be a JSON list of pins"),
    ("[" * 100_000, "LOCALCLOUD_REQUIREMENTS must be a JSON list of pins"),
    ("[1]", "1 isn't an exact pin"),
    ('["six"]', "'six' isn't an exact pin"),
    ('["six>=1"]', "isn't an exact pin"),
    ('["--index-url=https://example.com"]', "isn't an exact pin"),
    ('["-r/etc/passwd"]', "isn't an exact pin"),
    ('["six @ file:///tmp/six"]', "isn't an exact pin"),
    ('["./six==1"]', "isn't an exact pin"),
    ('["six==1\\n--index-url=x"]', "isn't an exact pin"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_anything_but_exact_pins_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(images.BadRequirement) as refused:
        images.find(tmp_path, "python:3.11", text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("image", "more", "expected"),
    [
        ("python:3.11", [], []),
        ("python:3.11", ["six==1.17.0"], ["six==1.17.0"]),
        # The trainer's TensorFlow takes the image's place, whatever its package is called.
        (
            "tensorflow/tensorflow:2.21.0",
            ["tensorflow-cpu==2.21.0", "six==1.17.0"],
            ["tensorflow-cpu==2.21.0", "six==1.17.0", "keras==3.15.1"],
        ),
        (
            "us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.py310:latest",
            ["Keras[extra]==3.5.0 ; python_version > '3'"],
            [
                "Keras[extra]==3.5.0 ; python_version > '3'",
                "tensorflow-cpu==2.17.1; sys_platform == 'linux'", "tensorflow==2.17.1; sys_platform != 'linux'",
            ],
        ),
    ],
)  # fmt: skip
def test_a_jobs_pins_join_those_of_its_image(tmp_path: Path, image: str, more: list[str], expected: list[str]) -> None:
    assert list(images.find(tmp_path, image, json.dumps(more))[0].requirements) == expected
