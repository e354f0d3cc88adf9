"""A folder that an older version wrote opens, with what is stored in it, and with its jobs still running."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from clouds import PROJECT, LocalCloud, Start
from clouds.vertex import PLAIN, VertexCloud, id_of, pool

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[4]
BEFORE_THE_MOVE = "53260cc4d87e950797f57f18d7e411b534f26c75"  # the last commit with localcloud/ at the root
COUNT = "import time\nfor n in range(60):\n    print(n, flush=True)\n    time.sleep(0.1)\n"


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(REPOSITORY), *words], capture_output=True)


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The older code, out of the repository's history."""
    if _git("cat-file", "-e", f"{BEFORE_THE_MOVE}^{{commit}}").returncode:
        pytest.skip("the history is not here: git fetch --unshallow brings it")
    folder = tmp_path / "older"
    folder.mkdir()
    archive = _git("archive", BEFORE_THE_MOVE, "localcloud", "catalog")
    assert archive.returncode == 0, archive.stderr
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def test_its_objects_logs_and_running_jobs_are_there(older: Path, new_cloud: Start, tmp_path: Path) -> None:
    def first(name: str = "own", project: str = PROJECT) -> LocalCloud:
        root = tmp_path / name
        command = [sys.executable, "-m", "localcloud", "start", "--root", str(root), "--project", project]
        subprocess.run([*command, "--envs", str(root / "envs")], cwd=older, check=True, capture_output=True)
        return LocalCloud(root, project)

    own = VertexCloud(first, tmp_path)
    version = own.cloud.server["version"]
    own.cloud.enable("cloudresourcemanager", "iam")
    base = "https://storage.googleapis.com"
    assert own.session.post(f"{base}/storage/v1/b?project={PROJECT}", json={"name": "older-bucket"}).ok
    upload = f"{base}/upload/storage/v1/b/older-bucket/o?uploadType=media&name=x"
    assert own.session.post(upload, data=b"kept").ok
    robot = own.cloud.account("old-robot", "roles/storage.objectViewer")
    job = id_of(own.post([pool(COUNT)]))
    own.wait_for_lines(job, "3")
    key = json.loads((own.root / "projects" / PROJECT / "key.json").read_text(encoding="utf-8"))
    started = own.root / "vertex" / "jobs" / job / "workerpool0-0" / "started.json"
    supervisor = psutil.Process(json.loads(started.read_text(encoding="utf-8"))["pid"])
    assert "localcloud.vertex.supervisor" in supervisor.cmdline()  # it is the older code that runs
    own.kill()

    own._new_cloud = new_cloud
    own.start()
    assert own.cloud.server["version"] == version
    assert own.session.get(f"{base}/storage/v1/b/older-bucket/o/x?alt=media").content == b"kept"
    policy = own.session.post(
        f"https://cloudresourcemanager.googleapis.com/v1/projects/{PROJECT}:getIamPolicy", json={}
    ).json()
    members = {member for binding in policy["bindings"] for member in binding["members"]}
    assert f"serviceAccount:{robot}" in members
    assert json.loads((own.root / "projects" / PROJECT / "key.json").read_text(encoding="utf-8")) == key
    assert own.wait(job)["state"] == "JOB_STATE_SUCCEEDED"
    assert own.lines(job) == [str(n) for n in range(60)]
    again = id_of(own.post([pool("print('new', flush=True)")]))
    assert own.wait(again)["state"] == "JOB_STATE_SUCCEEDED"
    assert PLAIN in (own.root / "images.json").read_text(encoding="utf-8")
