"""What lies in folders: a local cloud takes none that another user made, and lets nobody else see what it writes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clouds import LocalCloud, end
from clouds.vertex import PLAIN, VertexCloud, id_of, pool
from localcloud.__main__ import main
from localcloud.core.state import locks
from localcloud.core.state.files import private_folder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="folders of Windows have no owner and mode; run it on Linux")
_OTHER = 65534
_AS_PERSON = """
import os, sys
os.umask(int(sys.argv.pop(1), 8))
from localcloud.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def _planted_root(root: Path) -> Path:
    return root


def _planted_api(root: Path) -> Path:
    (root / "storage").mkdir()
    return root / "storage"


def _planted_key(root: Path) -> Path:
    (root / "signing-key.pem").write_text("a key that a stranger knows", encoding="ascii")
    return root / "signing-key.pem"


def _planted_inside(root: Path) -> Path:
    (root / "projects" / "test-project").mkdir(parents=True)
    return root / "projects" / "test-project"


def _planted_link(root: Path) -> Path:
    (root.parent / "theirs").mkdir()
    (root / "iam").symlink_to(root.parent / "theirs")
    return root / "iam"


@pytest.mark.parametrize("plant", [_planted_root, _planted_api, _planted_key, _planted_inside, _planted_link])
def test_what_another_user_made_is_refused(
    tmp_path: Path, plant: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a folder to another user: run the tests as root, e.g. in a container")
    root = tmp_path / "root"
    root.mkdir()
    planted = plant(root)
    os.chown(planted, _OTHER, _OTHER, follow_symlinks=False)
    assert main(["start", "--root", str(root)]) == 1
    hint = "choose a folder of your own, or find out who made it and why"
    assert capsys.readouterr().err == f"error: {planted} belongs to another user of this machine\n\nhint: {hint}\n"
    assert not (root / "server.log").exists()


def test_environments_of_another_user_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Jobs would run the Python in there."""
    if os.getuid() != 0:
        pytest.skip("only root can give a folder to another user: run the tests as root, e.g. in a container")
    (tmp_path / "envs").mkdir()
    os.chown(tmp_path / "envs", _OTHER, _OTHER)
    assert main(["start", "--root", str(tmp_path / "root"), "--envs", str(tmp_path / "envs")]) == 1
    assert f"error: {tmp_path / 'envs'} belongs to another user" in capsys.readouterr().err


def test_a_root_that_is_a_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for root in (tmp_path / "file", tmp_path / "file" / "inside"):
        assert main(["start", "--root", str(root)]) == 1
        assert capsys.readouterr().err.startswith("error: ")


def test_parents_are_made_as_private_as_the_folder(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        private_folder(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    for folder in ("a", "a/b", "a/b/c"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700


@pytest.mark.slow
@pytest.mark.parametrize("umask", ["000", "022"])
def test_nobody_else_may_read_what_a_local_cloud_writes(tmp_path: Path, umask: str) -> None:
    root = tmp_path / "deep" / "own"

    def start(_name: str) -> LocalCloud:
        words = ["start", "--root", str(root), "--project", "test-project"]
        subprocess.run([sys.executable, "-c", _AS_PERSON, umask, *words], check=True, capture_output=True)
        made = LocalCloud(root, "test-project")
        made.enable("cloudresourcemanager", "iam", "aiplatform", "storage", "logging")
        return made

    try:
        cloud = start("own")
        (root / "images.json").write_text(json.dumps({PLAIN: {}}), encoding="utf-8")
        (root / "images.json").chmod(0o600)  # a person's own
        own: Any = VertexCloud.__new__(VertexCloud)
        own.root, own.cloud, own.session = root, cloud, cloud.session()
        name = "https://storage.googleapis.com"
        assert own.session.post(f"{name}/storage/v1/b?project=test-project", json={"name": "test-project-b"}).ok
        put = own.session.post(f"{name}/upload/storage/v1/b/test-project-b/o?uploadType=media&name=o", data=b"rows")
        assert put.ok
        job = id_of(own.post([pool("import time\nprint('up', flush=True)\ntime.sleep(60)")]))
        own.wait_for_lines(job, "up")
        seen = [root.parent, root, *(path for path in root.rglob("*") if not path.is_symlink())]
        open_ones = [path for path in seen if stat.S_IMODE(path.stat().st_mode) & 0o077]
        assert not open_ones
        assert {"server.log", "supervisor.log", "key.json", "spec.json", "signing-key.pem"} <= {p.name for p in seen}
    finally:
        end(root)
    assert not locks.taken(root / "server.lock")
