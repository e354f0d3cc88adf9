"""Tools look for settings where they run and above. A stranger's there, in the shared temporary folder, have no say."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import environments
from cloudkite import affected, children
from cloudkite.check import lint
from cloudkite.engine import gobuild
from cloudkite.journey import project, results
from cloudkite.show.errors import UserError
from cloudkite.trainers.folders import Trainer
from tests import trainer_folder

CLONE = Path(__file__).resolve().parents[2]
WRITE = """
for path, text in json.loads(sys.argv[1]).items():
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(text)
"""


@pytest.fixture
def shared(monkeypatch, tmp_path_factory) -> Iterator[Path]:
    """A temporary folder as all users of a machine have one; commands run here have it as theirs, and stand in it."""
    tmp_path_factory.getbasetemp()  # it is made once, and not in here
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        with monkeypatch.context() as patched:
            patched.setenv("TMPDIR", folder)
            patched.setattr(tempfile, "tempdir", folder)
            patched.chdir(folder)
            yield Path(folder)


@pytest.fixture
def plant(stranger, shared):
    """Lets the stranger write files into the shared folder: `plant({"uv.toml": text})`."""

    def write(files: dict[str, str]) -> None:
        done = stranger(WRITE, json.dumps({str(shared / name): text for name, text in files.items()}))
        assert done.returncode == 0, done.stderr

    return write


@pytest.fixture
def own(shared) -> Path:
    """A folder of the person's own inside the shared one, as mkdtemp makes it."""
    folder = shared / "own"
    folder.mkdir(mode=0o700)
    return folder


class Index(SimpleHTTPRequestHandler):
    """A package index of the files in its folder, which remembers what it was asked."""

    def do_GET(self):
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        super().do_GET()

    def log_message(self, format, *args):
        pass


def wheel(path: Path, origin: str, needs: str = "") -> None:
    """A wheel with one module, which says where it came from."""
    name = path.name.partition("-")[0]
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"FROM = {origin!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture
def index(tmp_path_factory):
    """Starts indexes with the package sparrow, which says its index' name: `index("mirror")`; gives (URL, asked)."""
    servers = []

    def start(name: str) -> tuple[str, list[str]]:
        folder = tmp_path_factory.mktemp(name)
        (folder / "sparrow").mkdir()
        wheel(folder / "sparrow" / "sparrow-1.0-py3-none-any.whl", name)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Index, directory=str(folder)))
        server.asked = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", server.asked  # type: ignore[attr-defined]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def clean(monkeypatch, own):
    """No settings of who runs the tests: an empty home, a cache of its own, no variables of uv and pip."""
    for name in [n for n in os.environ if n.startswith(("UV_", "PIP_", "XDG_")) or n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(own))
    monkeypatch.setenv("UV_CACHE_DIR", str(own / "cache"))


def source(python: Path) -> str:
    return subprocess.run(
        [python, "-c", "import sparrow; print(sparrow.FROM)"], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize("name", ["uv.toml", "pyproject.toml"])
def test_a_strangers_index_is_not_asked(plant, own, index, clean, monkeypatch, name):
    (theirs, asked_theirs), (mirror, asked_mirror) = index("stranger"), index("mirror")
    table = "[[index]]" if name == "uv.toml" else "[[tool.uv.index]]"
    plant({name: f'{table}\nname = "mine"\nurl = "{theirs}"\n', "pip.conf": f"[global]\nindex-url = {theirs}\n"})
    monkeypatch.setenv("UV_INDEX_URL", mirror)  # what the person says stays
    python = environments.environment(own / "envs", ["sparrow==1.0"])
    assert source(python) == "mirror"
    assert asked_mirror and not asked_theirs


def test_a_strangers_index_is_not_asked_for_what_a_package_needs(plant, own, index, clean, monkeypatch):
    (theirs, asked_theirs), (mirror, asked_mirror) = index("stranger"), index("mirror")
    plant({"uv.toml": f'[[index]]\nurl = "{theirs}"\n'})
    monkeypatch.setenv("UV_DEFAULT_INDEX", mirror)
    package = own / "kite-1.0-py3-none-any.whl"
    wheel(package, "kite", "Requires-Dist: sparrow\n")
    environments.install(Path(sys.executable), own / "target", [package])
    assert "mirror" in (own / "target" / "sparrow.py").read_text(encoding="utf-8")
    assert asked_mirror and not asked_theirs


def test_the_persons_own_settings_of_uv_are_read(own, index, clean):
    mirror, asked = index("mirror")
    (own / ".config" / "uv").mkdir(parents=True)
    (own / ".config" / "uv" / "uv.toml").write_text(f'[[index]]\nurl = "{mirror}"\ndefault = true\n', encoding="utf-8")
    assert source(environments.environment(own / "envs", ["sparrow==1.0"])) == "mirror"
    assert asked


@pytest.mark.parametrize("pyproject", ["", "# [tool.ruff] is not here\n", "[tool.ruff]\nline-length = 100\n"])
def test_a_strangers_ruff_settings_do_not_silence_the_check(plant, own, pyproject):
    plant({"ruff.toml": 'exclude = ["**"]\n', ".gitignore": "*\n", ".git/HEAD": "ref: refs/heads/main\n"})
    place = trainer_folder.space(own)
    folder = trainer_folder.make(place, pyproject=trainer_folder.PYPROJECT + pyproject, task="print(nowhere)\n")
    (folder / "ruff.py").write_text("raise SystemExit(0)\n", encoding="utf-8")
    found = lint.lint(Trainer("grades", folder))
    assert any("F821" in line for line in found.lines())


def test_tensorboard_takes_no_module_of_the_folder_it_is_started_in(plant, shared, monkeypatch, own):
    plant({"tensorboard/main.py": f"open({str(own / 'ran')!r}, 'w')", "json.py": f"open({str(own / 'ran')!r}, 'w')"})
    place = trainer_folder.space(own)
    trainer = Trainer("grades", trainer_folder.make(place))

    class Here:
        def outputs(self):
            return type("Outputs", (), {"buckets": {"models": "gs://models"}})

        def child_environment(self, extra):
            return dict(extra)

    monkeypatch.setattr(results.registry, "load", lambda *_arguments: Here())
    monkeypatch.setattr(results, "connect", lambda *_arguments: Here())
    monkeypatch.setattr("cloudkite.trainers.folders.find", lambda *_arguments: trainer)
    monkeypatch.setattr(environments, "environment", lambda *_arguments, **_options: Path(sys.executable))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UserError, match="TensorBoard ended"):
        results.tensorboard(place, "", "grades", port)
    assert not (own / "ran").exists()


def test_git_stays_in_the_clone(shared, own, monkeypatch):
    """The repository above is of the same owner: git's own look at the owner does not stop it."""
    spy = own / "spy"
    spy.write_text(f"#!/bin/sh\ntouch {own / 'ran'}\n", encoding="utf-8")
    spy.chmod(0o700)
    git = partial(subprocess.run, cwd=own, check=True, capture_output=True)
    git(["git", "init", "-q", "-b", "main"])
    (own / "clone").mkdir()
    (own / "clone" / "file").write_text("one", encoding="utf-8")
    git(["git", "add", "clone"])
    git(["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "one"])
    git(["git", "config", "core.fsmonitor", str(spy)])
    with pytest.raises(UserError, match="what changed since main is not known"):
        affected.changed(own / "clone")
    assert not (own / "ran").exists()


@pytest.mark.skipif(not shutil.which("go"), reason="there is no Go on PATH: install it from https://go.dev/dl")
def test_a_strangers_go_work_is_not_read(plant, own, index, monkeypatch):
    url, asked = index("proxy")
    plant({"go.work": "go 1.99.1\n\ntoolchain go1.99.1\n"})  # Go would fetch that compiler, and run it
    (own / "go.mod").write_text("module example.com/cli\n\ngo 1.26\n", encoding="utf-8")
    for name, value in {"GOPROXY": url, "GOTOOLCHAIN": "auto", "GOFLAGS": "", "GONOSUMDB": "*"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(gobuild, "MODULE", own)
    monkeypatch.setattr(gobuild, "CLONE", own)
    try:
        gobuild._go()
    except gobuild.BuildFailed as too_old:
        assert "or newer builds it" in str(too_old)
        assert "1.99" not in str(too_old)
    assert not asked


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for a program is a shell script; run on POSIX")
def test_no_program_is_taken_from_the_working_directory(plant, shared, own, monkeypatch):
    (shared / "pulumi").write_text(f"#!/bin/sh\ntouch {own / 'ran'}\necho v3.300.0\n", encoding="utf-8")
    (shared / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.pathsep}{own}")
    assert children.program("pulumi") is None
    (own / "pulumi").write_text("#!/bin/sh\n", encoding="utf-8")
    (own / "pulumi").chmod(0o755)
    assert children.program("pulumi") == str(own / "pulumi")


def test_a_strangers_clone_above_a_trainer_is_not_loaded(plant, shared, own):
    spy = f"open({str(own / 'ran')!r}, 'w')\nfrom invoke import task\n\n\n@task\ndef train(c):\n    pass\n"
    plant({"cloudkite/workspace.py": "", "tasks.py": spy})
    shutil.copy(CLONE / "template" / "trainer" / "{{cookiecutter.name}}" / "tasks.py", own)
    (own / "pyproject.toml").write_text('[project]\nname = "grades"\n', encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDKITE_")}
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "--list"], cwd=own, env=environment, capture_output=True, text=True
    )
    assert "account.add" in done.stdout  # the clone whose environment this is
    assert not (own / "ran").exists()


@pytest.mark.slow
def test_the_projects_tests_take_no_settings_from_above(plant, shared, own, monkeypatch):
    spy = f"open({str(own / 'ran')!r}, 'w')\n"
    plant({"pytest.ini": "[pytest]\naddopts = --co\n", "conftest.py": spy})
    clone = shared / "clone"
    (clone / "tests").mkdir(parents=True)
    (clone / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["tests"]\n', encoding="utf-8")
    test = f"def test_one():\n    open({str(own / 'tested')!r}, 'w')\n"
    (clone / "tests" / "test_one.py").write_text(test, encoding="utf-8")
    monkeypatch.setattr(project, "CLONE", clone)
    project.test()
    assert (own / "tested").exists()
    assert not (own / "ran").exists()
