"""Environments by pins and the images that name them, with the real uv; packages come from files, not an index."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import psutil
import pytest

import environments
from catalog.images import DEFAULT_CPU, DEFAULT_GPU, SERVING, image, images
from environments import EnvironmentFailed, environment, fingerprint, install, package_index_environment


def wheel(folder: Path, name: str, version: str = "1.0") -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def pin(folder: Path, name: str, marker: str = "") -> str:
    return f"{name} @ {wheel(folder, name).as_uri()}" + (f" ; {marker}" if marker else "")


def python(executable: Path, code: str) -> str:
    return subprocess.run([executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_an_environment_has_its_pins_and_is_built_once(tmp_path: Path) -> None:
    lines: list[str] = []
    pins = [pin(tmp_path, "sparrow")]
    executable = environment(tmp_path / "envs", pins, progress=lines.append)
    assert python(executable, "import sparrow; print(sparrow.VERSION)") == "1.0"
    assert any("sparrow" in line for line in lines)
    lines.clear()
    assert environment(tmp_path / "envs", pins, progress=lines.append) == executable
    assert lines == []


def test_markers_choose_what_is_installed(tmp_path: Path) -> None:
    pins = [
        pin(tmp_path, "sparrow", f"sys_platform == '{sys.platform}'"),
        pin(tmp_path, "eagle", f"sys_platform != '{sys.platform}'"),
    ]
    executable = environment(tmp_path / "envs", pins)
    code = "import importlib.util as u; print([bool(u.find_spec(n)) for n in ('sparrow', 'eagle')])"
    assert python(executable, code) == "[True, False]"


def test_an_interrupted_build_is_done_again(tmp_path: Path) -> None:
    executable = environment(tmp_path / "envs", [])
    folder = executable.parent.parent
    (folder / ".ready").unlink()
    executable.unlink()
    assert environment(tmp_path / "envs", []) == executable
    assert python(executable, "print(1)") == "1"


def test_several_builders_build_once(tmp_path: Path) -> None:
    pins = [pin(tmp_path, "sparrow")]
    lines: list[str] = []
    with ThreadPoolExecutor(3) as pool:
        built = list(pool.map(lambda _: environment(tmp_path / "envs", pins, progress=lines.append), range(3)))
    assert len(set(built)) == 1
    assert sum("Installed" in line for line in lines) == 1


@pytest.mark.skipif(os.name == "nt", reason="uv shares the lock on POSIX alone")
def test_a_killed_builder_keeps_the_lock_as_long_as_its_uv(tmp_path: Path) -> None:
    """What is left of the killed one might still write into the folder."""
    lock, uv = tmp_path / "lock", tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho at work\nexec sleep 60 >/dev/null 2>&1\n", encoding="utf-8")
    uv.chmod(0o700)
    code = f"""
import os, environments
environments._uv_program = lambda: {str(uv)!r}
with environments._locked(environments.Path({str(lock)!r}), None) as lock:
    environments._Uv(None, lambda line: print(line, flush=True), lock)([], [])
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as builder:
        assert builder.stdout is not None and builder.stdout.readline() == "at work\n"
        assert lock.read_text(encoding="utf-8") == f"{builder.pid}\n"
        (left,) = psutil.Process(builder.pid).children()
        builder.kill()
        builder.wait()
    told, got = threading.Event(), threading.Event()

    def wait() -> None:
        with environments._locked(lock, lambda line: told.set()):
            got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        assert told.wait(10) and not got.wait(0.3)
    finally:
        left.kill()
        thread.join(10)
    assert got.is_set()
    assert lock.read_text(encoding="utf-8") == f"{os.getpid()}\n"


def test_order_and_spaces_of_pins_do_not_matter() -> None:
    assert fingerprint(["a==1; sys_platform == 'linux'"]) == fingerprint(["a==1 ; sys_platform=='linux'"])
    assert fingerprint(["a==1", "b==2"]) == fingerprint(["b==2", " a==1"])
    assert fingerprint(["a==1"]) != fingerprint(["a==2"])
    assert fingerprint(["a==1"], "3.10") != fingerprint(["a==1"], "3.11")


@pytest.mark.parametrize(
    ("requirements", "culprit"),
    [
        (["!!"], "!!"),
        (
            ["sparrow @ file:///nowhere/sparrow-1.0-py3-none-any.whl"],
            "sparrow @ file:///nowhere/sparrow-1.0-py3-none-any.whl",
        ),
    ],
)
def test_a_failure_names_the_requirement(tmp_path: Path, requirements: list[str], culprit: str) -> None:
    with pytest.raises(EnvironmentFailed) as failed:
        environment(tmp_path / "envs", requirements)
    assert failed.value.requirement == culprit
    assert str(failed.value).startswith(f"could not install {culprit}: ")
    assert not list((tmp_path / "envs").glob("*/.ready"))


def test_an_unknown_python_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match=r"could not install Python 3\.4: "):
        environment(tmp_path / "envs", [], python="3.4")


def test_packages_are_installed_into_a_folder(tmp_path: Path) -> None:
    executable = environment(tmp_path / "envs", [])
    install(executable, tmp_path / "packages", [wheel(tmp_path, "sparrow")])
    assert (tmp_path / "packages" / "sparrow.py").exists()


def test_the_local_clouds_variables_do_not_reach_the_index(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("{}", encoding="utf-8")
    (tmp_path / "ca.pem").write_text("", encoding="utf-8")
    local = {
        "HTTPS_PROXY": "http://127.0.0.1:8080",
        "https_proxy": "http://127.0.0.1:8080",
        "no_proxy": "localhost,127.0.0.1",
        "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
        "GOOGLE_APPLICATION_CREDENTIALS": "key.json",
        "CLOUDSDK_CONFIG": "x",
        "VIRTUAL_ENV": "x",
        "PATH": "/bin",
    }
    assert package_index_environment(local) == {"PATH": "/bin"}


def test_the_readers_own_network_settings_stay() -> None:
    own = {"HTTPS_PROXY": "http://proxy.example:3128", "SSL_CERT_FILE": "/etc/ssl/ca.pem", "PATH": "/bin"}
    assert package_index_environment(own) == own


def test_every_image_has_exact_pins_and_a_date() -> None:
    for known in images().values():
        assert all("==" in requirement for requirement in known.requirements), known
        assert known.sure in ("A", "B", "C") and date.fromisoformat(known.date)
        assert known.kind in ("training", "prediction")
        assert bool(known.tensorflow) == bool(known.requirements)


@pytest.mark.parametrize("uri", [DEFAULT_CPU, DEFAULT_GPU, SERVING])
def test_the_defaults_are_known_and_available(uri: str) -> None:
    assert image(uri).available(date.fromisoformat(image(uri).date))


@pytest.mark.parametrize(
    ("uri", "known"),
    [
        ("docker.io/tensorflow/tensorflow:2.21.0", DEFAULT_CPU),
        ("docker.io/library/python:3.11", "python:3.11"),
        (
            "europe-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.py310:latest",
            "us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.py310:latest",
        ),
    ],
)
def test_other_names_of_an_image(uri: str, known: str) -> None:
    assert image(uri).uri == known


def test_images_past_their_end_are_told() -> None:
    ended = image("us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.py310:latest")
    assert ended.available(date(2026, 7, 11))
    assert not ended.available(date(2026, 7, 12))


def test_an_unknown_image_names_those_that_come_near() -> None:
    with pytest.raises(LookupError) as failed:
        image("tensorflow/tensorflow:2.20.0")
    assert "tensorflow/tensorflow:2.21.0" in failed.value.near  # pyright: ignore[reportAttributeAccessIssue]
