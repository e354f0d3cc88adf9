"""Files of a local cloud that were damaged: told with a hint, or made anew; never a traceback, and reset helps."""

from __future__ import annotations

import datetime
import io
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clouds import end
from localcloud import launch
from localcloud.__main__ import main
from localcloud.apis import assemble
from localcloud.containers import images, supervised
from localcloud.core import ports
from localcloud.core.clock import Clock
from localcloud.core.cloud import Cloud
from localcloud.core.errors import ApiError
from localcloud.core.ports import Ports
from localcloud.core.state import database
from localcloud.core.state.kept import Damaged
from localcloud.faults.store import Faults
from localcloud.identity.metadata import Metadata
from localcloud.identity.tokens import Tokens
from localcloud.projects.store import Projects
from localcloud.storage import rate
from localcloud.transport import ca
from localcloud.vertex import settings
from localcloud.vertex.jobs import preparation

PROJECT = "test-project"
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda was: was[: len(was) // 2],
    "empty": lambda was: b"",
    "binary": lambda was: bytes(range(256)),
    "nested deeply": lambda was: b"[" * 100_000,
    "nested deeply in an object": lambda was: b'{"ahead": ' * 100_000,
    "a list": lambda was: b"[1, 2]",
    "a number": lambda was: b"7",
    "nothing": lambda was: b"null",
    "an object of lists": lambda was: _each(was, []),
    "an object of objects": lambda was: _each(was, {}),
    "an object of nothing": lambda was: _each(was, None),
    "huge numbers": lambda was: _each(was, 10**400),
    "numbers too long to read": lambda was: b"1" * 10_000,
    "not numbers": lambda was: _each(was, float("nan")),
    "NUL": lambda was: _each(was, "a\0b"),
    "halves of characters": lambda was: b'{"pid": "\\ud800", "ahead": "\\ud800", "\\ud800": "\\udfff"}',
    "NUL bytes": lambda was: bytes(len(was)),
    "text of a page": lambda was: "<html>가</html>".encode(),
}


def _each(was: bytes, value: Any) -> bytes:
    names = json.loads(was) if was.startswith(b"{") else ["x"]
    return json.dumps(dict.fromkeys(names, value)).encode()


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def damage(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Damages a file in one of the ways."""

    def spoil(path: Path) -> None:
        path.write_bytes(request.param(path.read_bytes()))

    return spoil


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a local cloud that isn't damaged, without its server."""
    root = tmp_path_factory.mktemp("whole") / "root"
    numbers, sockets = ports.claim(_made(root))
    for opened in sockets.values():
        opened.close()
    ca.ensure(root)
    cloud = assemble(root, root / "envs", numbers)
    cloud.of(Projects).create(PROJECT)
    assert cloud.secret and cloud.of(Tokens).fingerprint
    cloud.of(Metadata).environment(f"owner@{PROJECT}.iam.gserviceaccount.com", PROJECT, "job-1", "host")
    cloud.of(Faults).add({"method": "storage.objects.get", "code": 503})
    for name, kept in {
        "clock.json": {"ahead": 5.0}, "vertex.json": {"parallel": 1}, "storage.json": {"changesAtOnce": 5},
        "images.json": {"a/b:1": {"python": "3.11"}},
        "server.json": {
            "pid": 1, "created": 1.0, **json.loads((root / "ports.json").read_bytes()), "root": str(root),
            "envs": str(root / "envs"), "version": "1", "cloud": "x", "started": "2026-01-01T00:00:00Z",
        },
    }.items():  # fmt: skip
        (root / name).write_text(json.dumps(kept), encoding="utf-8")
    for path in root.glob("*/*.sqlite"):
        with closing(sqlite3.connect(path)) as database_file:
            database_file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return root


def _made(root: Path) -> Path:
    root.mkdir(mode=0o700)
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A copy of it for one test. All is in the databases themselves; what SQLite has beside them may go at any time."""
    return Path(shutil.copytree(whole, tmp_path / "root", ignore=shutil.ignore_patterns("*-shm", "*-wal")))


def _cloud(root: Path) -> Cloud:
    return Cloud(root, root / "envs", Ports(1, 2, 3, 4, 5))


READERS: dict[str, Callable[[Path], Any]] = {
    "ports.json": lambda root: ports.claim(root),
    "clock.json": lambda root: Clock(root / "clock.json"),
    "faults.json": lambda root: Faults(_cloud(root)),
    "iam/metadata.json": lambda root: Metadata(_cloud(root)),
    "signing-key.pem": lambda root: Tokens(_cloud(root)).fingerprint,
    "vertex.json": lambda root: settings.load(root),
    "storage.json": lambda root: rate.allowed(root),
    "projects/projects.sqlite": lambda root: database.check(root),
    "iam/iam.sqlite": lambda root: database.check(root),
}


@pytest.mark.parametrize("name", READERS)
def test_what_can_not_be_replaced_is_told_with_a_hint(root: Path, damage: Callable[[Path], None], name: str) -> None:
    damage(root / name)
    if name.endswith(".sqlite") and not (root / name).read_bytes():
        pytest.skip("an empty file is an empty database to SQLite; the other ways are tried")
    with pytest.raises(Damaged) as told:
        READERS[name](root)
    assert str(root / name) in str(told.value)
    assert told.value.hint


def test_images_that_can_not_be_read_are_told_to_the_job_that_names_one(root: Path, damage: Any) -> None:
    damage(root / "images.json")
    if (root / "images.json").read_bytes() == b'{"a/b:1": {}}':
        pytest.skip("an image of which nothing is said is one of Python alone; the other ways are tried")
    with pytest.raises(images.UnknownImage):
        images.find(root, "a/b:1")


def test_a_damaged_description_of_the_server_is_none(root: Path, damage: Any) -> None:
    damage(root / "server.json")
    assert launch.running(root) is None
    assert launch.status(root) == {"running": False, "root": str(root)}


@pytest.mark.parametrize("verb", ["env", "start", "stop", "status"])
def test_the_command_line_tells_in_words(
    root: Path, damage: Any, verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that the command line itself reads damaged; the server isn't started for that."""

    def serve(*_: Any) -> dict[str, Any]:
        launch._own_environment(root)
        raise launch.Failed("would start")

    monkeypatch.setattr(launch, "_spawn", serve)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    for name in ("server.json", f"projects/{PROJECT}/environment.json", "control-token"):
        damage(root / name)
    code = main([verb, "--root", str(root)])
    out, err = capsys.readouterr()
    assert "Traceback" not in err and "Error" not in err
    if verb == "env":
        assert (code, out) == (1, "")
        path = root / "projects" / PROJECT / "environment.json"
        start = f"python -m localcloud start --root {root} --project {PROJECT}"
        assert err == f"error: {path} is damaged\n\nhint: {start}\n"


@pytest.mark.parametrize("name", ["key.json", "environment.json", "boto.cfg"])
def test_what_clients_need_is_made_anew(root: Path, damage: Any, name: str) -> None:
    path = root / "projects" / PROJECT / name
    damage(path)
    cloud = assemble(root, root / "envs", Ports(**json.loads((root / "ports.json").read_bytes())))
    cloud.of(Projects).create(PROJECT)
    if name == "key.json":
        token = cloud.of(Tokens).of_key(path.read_text(encoding="utf-8"))
        assert cloud.of(Tokens).verify(token).project == PROJECT
    assert launch.environment(root, PROJECT)["GOOGLE_CLOUD_PROJECT"] == PROJECT
    assert (path.parent / "boto.cfg").read_text(encoding="utf-8").startswith("[Credentials]\n")


def test_the_secret_of_the_command_line_is_made_anew(root: Path, damage: Any) -> None:
    damage(root / "control-token")
    made = _cloud(root).secret
    assert len(made) == 43 and (root / "control-token").read_text(encoding="ascii") == made


@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
def test_certificates_are_made_anew(root: Path, damage: Any, name: str) -> None:
    damage(root / name)
    ca.ensure(root)
    assert (root / name).read_bytes().startswith(b"-----BEGIN")


def test_certificates_of_the_future_are_made_anew_when_the_clock_was_set_back(root: Path) -> None:
    was = (root / "cert.pem").read_bytes()
    ca.ensure(root)
    assert (root / "cert.pem").read_bytes() == was
    now = datetime.datetime.now(datetime.UTC)
    ca.ensure(root, now - datetime.timedelta(days=3))
    assert (root / "cert.pem").read_bytes() != was


def test_records_of_a_job_that_are_damaged_end_it_as_lost(tmp_path: Path, damage: Any) -> None:
    record = {"reason": "exited", "code": 0, "ended": 5, "tail": ""}
    (tmp_path / "exit.json").write_text(json.dumps(record), encoding="utf-8")
    ended = supervised.ended(tmp_path)
    assert ended is not None and ended.reason == "exited"
    damage(tmp_path / "exit.json")
    ended = supervised.ended(tmp_path)
    assert ended is not None and ended.reason == "lost"


def test_the_key_of_a_job_that_is_damaged_stops_no_end(root: Path, damage: Any) -> None:
    cloud = assemble(root, root / "envs", Ports(1, 2, 3, 4, 5))
    folder = preparation.job_folder(cloud, "job-1")
    folder.mkdir(parents=True)
    shutil.copy(root / "projects" / PROJECT / "key.json", folder)
    damage(folder / "key.json")
    try:
        preparation.release(cloud, "job-1")
    except ApiError:
        pytest.fail("a damaged key must not count")
    assert not folder.exists()


def test_reset_repairs_whatever_is_damaged(root: Path, damage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> dict[str, Any]:
        raise launch.Failed("does not start")

    monkeypatch.setattr(launch, "_spawn", fail)  # as it would
    for path in [*root.glob("*.*"), *root.glob("*/*.*")]:
        damage(path)
    launch.reset(root)
    assert {path.name for path in root.iterdir()} <= {"start.lock"}


def test_ports_that_are_whole_outlive_a_reset(root: Path) -> None:
    was = ports.read(root)
    (root / "server.json").unlink()
    launch.reset(root)
    assert ports.read(root) == was != {}


@pytest.mark.slow
def test_a_server_whose_description_is_damaged_is_found_and_ended(tmp_path: Path, capsys: Any) -> None:
    root = tmp_path / "root"
    server = launch.start(root, root / "envs", [PROJECT])
    try:
        (root / "server.json").write_bytes(b"[" * 100_000)
        assert main(["start", "--root", str(root)]) == 1
        told = f"error: another local cloud already works in {root}\n\nhint: python -m localcloud stop --root {root}\n"
        assert capsys.readouterr().err == told
        assert launch.stop(root)
        for name in ("ports.json", "clock.json", "projects/projects.sqlite"):
            (root / name).write_bytes(b"\0" * 4096)
        assert main(["start", "--root", str(root)]) == 1
        assert capsys.readouterr().err.startswith(f"error: {root}/ports.json is damaged\n\nhint: delete ")
        assert main(["reset", "--yes", "--root", str(root)]) == 0
        assert launch.start(root, root / "envs", [PROJECT])["pid"] != server["pid"]
    finally:
        end(root)
