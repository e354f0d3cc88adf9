"""The server's life: it starts once, ends cleanly, survives its shell and its own death, and keeps its ports."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from localcloud import launch, server
from localcloud.core import environment
from localcloud.core.state import locks
from localcloud.transport import ca

pytestmark = pytest.mark.slow  # servers start and end in each

REPOSITORY = Path(__file__).resolve().parents[2]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person does."""
    return subprocess.run(
        [sys.executable, "-m", "localcloud", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )


def ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or launch.ended(psutil.Process(pid))


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 60
    while not ended(pid):
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.01)


def get(cloud) -> int:
    return cloud.session().get(f"https://cloudresourcemanager.googleapis.com/v3/projects/{cloud.project}").status_code


def test_start_stop_status_from_the_command_line(tmp_path):
    root = str(tmp_path / "root")
    assert json.loads(command("status", "--root", root, "--json").stdout) == {"running": False, "root": root}
    try:
        started = json.loads(command("start", "--root", root, "--project", "first-project", "--json").stdout)
        assert psutil.pid_exists(started["pid"])
        again = json.loads(
            command("start", "--root", root, "--project", "first-project", "second-project", "--json").stdout
        )
        assert again == started
        status = json.loads(command("status", "--root", root, "--json").stdout)
        assert status["running"] and status["projects"] == ["first-project", "second-project"]
        assert status["counts"]["projects"] == 2 and status["memory"] < 300 * 2**20
        shown = command("status", "--root", root).stdout
        assert "projects  first-project, second-project\n" in shown
        assert "2 projects" in shown and "0 " not in shown.split("holds")[1]
    finally:
        stopped = command("stop", "--root", root)
    assert stopped.stdout == f"The local cloud in {root} has ended.\n"
    assert ended(started["pid"])
    for use in ("proxy", "https", "grpc", "metadata"):
        with socket.socket() as free:
            assert free.connect_ex(("127.0.0.1", started[use])) != 0
    assert not Path(root, "server.json").exists()
    assert command("stop", "--root", root).stdout == f"The local cloud in {root} does not run.\n"


def test_projects_and_ports_are_kept_over_restarts(new_cloud):
    cloud = new_cloud()
    first, variables = cloud.server, cloud.environment
    cloud.session().post(
        f"https://iam.googleapis.com/v1/projects/{cloud.project}/serviceAccounts", json={"accountId": "kept-one"}
    ).raise_for_status()
    token = cloud.token()
    launch.stop(cloud.root)
    new_cloud()
    second = cloud.server
    assert second["pid"] != first["pid"]
    assert {k: second[k] for k in ("proxy", "https", "grpc", "provider", "metadata")} == {
        k: first[k] for k in ("proxy", "https", "grpc", "provider", "metadata")
    }
    assert cloud.environment == variables
    with cloud.plain_session() as plain:  # a token outlives a restart
        url = f"https://cloudresourcemanager.googleapis.com/v3/projects/{cloud.project}"
        assert plain.get(url, headers={"Authorization": f"Bearer {token}"}).ok
    email = f"kept-one@{cloud.project}.iam.gserviceaccount.com"
    found = cloud.session().get(f"https://iam.googleapis.com/v1/projects/-/serviceAccounts/{email}")
    assert found.json()["email"] == email


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL; run this on Linux or macOS")
def test_a_killed_server_is_noticed_and_started_again(new_cloud):
    cloud = new_cloud()
    made = cloud.session().post(
        f"https://iam.googleapis.com/v1/projects/{cloud.project}/serviceAccounts", json={"accountId": "acknowledged"}
    )
    killed = cloud.server["pid"]
    os.kill(killed, signal.SIGKILL)
    wait_for_end(killed)
    assert (cloud.root / "server.json").exists()
    assert launch.status(cloud.root) == {"running": False, "root": str(cloud.root)}
    new_cloud()
    name = made.json()["name"]
    assert cloud.session().get(f"https://iam.googleapis.com/v1/{name}").json() == made.json()


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody delete files in use; run this on Linux or macOS")
def test_a_server_whose_folder_is_deleted_ends(new_cloud):
    cloud = new_cloud()
    pid = cloud.server["pid"]
    shutil.rmtree(cloud.root, ignore_errors=True)  # the server, as it ends, takes files away, too
    wait_for_end(pid)


def test_a_folder_that_goes_before_the_first_look_ends_it_too(tmp_path):
    async def watch() -> bool:
        end = asyncio.Event()
        await asyncio.wait_for(server._end_without_folder(tmp_path / "gone", end), 5)
        return end.is_set()

    assert asyncio.run(watch())


def test_a_pid_that_another_process_has_now_is_not_the_server(tmp_path):
    server = {"pid": os.getpid(), "created": psutil.Process().create_time() - 1000}
    (tmp_path / "server.json").write_text(json.dumps(server), encoding="utf-8")
    assert launch.running(tmp_path) is None
    assert launch.stop(tmp_path) is False


def test_a_server_is_known_after_the_clock_was_set(new_cloud):
    cloud = new_cloud()
    server = cloud.server
    path = cloud.root / "server.json"
    path.write_text(json.dumps(server | {"created": server["created"] - 3600}), encoding="utf-8")
    new_cloud()
    assert json.loads(path.read_text(encoding="utf-8")) == server


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that can be handled; run this on Linux or macOS")
def test_sigterm_ends_it_cleanly(new_cloud):
    cloud = new_cloud()
    process = psutil.Process(cloud.server["pid"])
    process.terminate()
    wait_for_end(process.pid)
    assert not (cloud.root / "server.json").exists()


def test_the_end_waits_for_no_idle_client(new_cloud):
    cloud = new_cloud()
    with cloud.session() as session:
        assert session.get("https://iam.googleapis.com/v1/projects/test-project/serviceAccounts").ok
        launch.stop(cloud.root)
    assert "timeout graceful shutdown exceeded" not in (cloud.root / "server.log").read_text(encoding="utf-8")


def test_two_starts_at_once_make_one_server(tmp_path):
    root = str(tmp_path / "root")
    try:
        with ThreadPoolExecutor(3) as pool:
            started = list(pool.map(lambda _: command("start", "--root", root, "--json"), range(3)))
        assert len({json.loads(done.stdout)["pid"] for done in started}) == 1
    finally:
        command("stop", "--root", root)


def test_a_taken_port_is_named(new_cloud):
    cloud = new_cloud()
    port = cloud.server["https"]
    launch.stop(cloud.root)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        done = command("start", "--root", str(cloud.root))
    assert done.returncode == 1
    assert done.stderr == (
        f"error: port {port}, the https port of the local cloud in {cloud.root}, is taken by another program\n\n"
        f"hint: end that program, or delete {cloud.root / 'ports.json'} for new ports (open shells need `env` again)\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions; run this on Linux or macOS")
def test_everything_is_for_its_owner_only(new_cloud):
    cloud = new_cloud()
    for path in [cloud.root, *cloud.root.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path} {mode:o}"


def test_reset_asks_and_forgets_all_but_the_ports(new_cloud):
    cloud = new_cloud()
    pid, proxy = cloud.server["pid"], cloud.server["proxy"]
    asked = subprocess.run(
        [sys.executable, "-m", "localcloud", "reset", "--root", str(cloud.root)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert asked.returncode == 1 and asked.stderr.endswith("hint: add --yes\n")
    assert psutil.pid_exists(pid)
    assert command("reset", "--root", str(cloud.root), "--yes").returncode == 0
    assert ended(pid)
    assert {path.name for path in cloud.root.iterdir()} == {"ports.json", "start.lock"}
    new_cloud(project="other-project")
    assert cloud.server["proxy"] == proxy
    assert launch.status(cloud.root)["projects"] == ["other-project"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["start", "--project", "Bad_ID"], "error: project_id 'Bad_ID' contains invalid characters"),
        (["env"], "error: say which project in the local cloud in"),
        (["env", "--project", "no-such"], "error: no project is called no-such in the local cloud in"),
        (["env", "--shell", "tcsh"], "usage: python -m localcloud"),
        (["dance"], "usage: python -m localcloud"),
    ],
)
def test_bad_input(tmp_path, arguments, error):
    try:
        done = command(arguments[0], "--root", str(tmp_path / "root"), *arguments[1:])
    finally:
        launch.stop(tmp_path / "root")
    assert done.returncode == (2 if error.startswith("usage") else 1)
    assert done.stderr.startswith(error)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "export NAME='it'\"'\"'s here'"),
        ("fish", "set -gx NAME 'it'\"'\"'s here';"),
        ("powershell", "$Env:NAME = 'it''s here'"),
        ("cmd", 'set "NAME=it\'s here"'),
    ],
)
def test_export_lines(shell, line):
    assert environment.export_lines({"NAME": "it's here"}, shell) == line


def test_env_prints_what_clients_need(local_cloud):
    done = command("env", "--root", str(local_cloud.root), "--project", "test-project", "--json")
    assert json.loads(done.stdout) == local_cloud.environment
    lines = command("env", "--root", str(local_cloud.root), "--project", "test-project").stdout.splitlines()
    assert f"export https_proxy=http://127.0.0.1:{local_cloud.server['proxy']}" in lines


def test_a_server_started_by_one_of_its_clients_is_not_its_own_client(new_cloud, monkeypatch):
    cloud = new_cloud()
    launch.stop(cloud.root)
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    new_cloud()
    assert "https_proxy" not in psutil.Process(cloud.server["pid"]).environ()


def test_an_authority_near_its_end_is_renewed(new_cloud):
    cloud = new_cloud()
    old = (cloud.root / "ca.pem").read_text(encoding="utf-8")
    launch.stop(cloud.root)
    new_cloud()
    assert (cloud.root / "ca.pem").read_text(encoding="utf-8") == old
    launch.stop(cloud.root)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (cloud.root / name).unlink()
    ca.ensure(cloud.root, datetime.now(UTC) - timedelta(days=380))  # its certificate ends in 17 days
    aged = (cloud.root / "ca.pem").read_text(encoding="utf-8")
    new_cloud()
    assert (cloud.root / "ca.pem").read_text(encoding="utf-8") != aged
    assert get(cloud) == 200


def test_torn_certificates_are_replaced(tmp_path):
    ca.ensure(tmp_path)
    kept = {name: (tmp_path / name).read_bytes() for name in ("ca.pem", "cert.pem", "key.pem")}
    ca.ensure(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in kept} == kept
    (tmp_path / "other").mkdir()
    ca.ensure(tmp_path / "other")
    (tmp_path / "key.pem").write_bytes((tmp_path / "other" / "key.pem").read_bytes())
    ca.ensure(tmp_path)
    assert all((tmp_path / name).read_bytes() != kept[name] for name in kept)


def test_a_lock_is_held_by_one(tmp_path):
    assert not locks.taken(tmp_path / "lock")
    with locks.held(tmp_path / "lock"), pytest.raises(locks.Busy), locks.held(tmp_path / "lock"):
        pass
    assert not locks.taken(tmp_path / "lock")
    with locks.held(tmp_path / "lock"):
        assert locks.taken(tmp_path / "lock")


def test_a_lock_ends_with_its_killed_process_and_is_not_handed_down(tmp_path):
    path = tmp_path / "lock"
    code = f"""
import pathlib, subprocess, time
from localcloud.core.state import locks
with locks.held(pathlib.Path({str(path)!r})):
    print(subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, close_fds=False).pid, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        child = psutil.Process(int(holder.stdout.readline()))
        try:
            assert locks.taken(path)
            with pytest.raises(locks.Busy), locks.held(path, patience=0.1):
                pass
            holder.kill()
            holder.wait()
            assert child.is_running() and not locks.taken(path)
            with locks.held(path):
                assert path.exists()
        finally:
            child.kill()
    assert path.exists()
