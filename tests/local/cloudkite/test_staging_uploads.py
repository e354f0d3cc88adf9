"""Staging against the local cloud's storage: nothing twice, nothing torn, many files and large ones."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.jobs import staging
from cloudkite.trainers.wheels import Wheel

CLONE = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def target(local_cloud, tmp_path_factory) -> Target:
    folder = tmp_path_factory.mktemp("account")
    account = Account(
        name="staging", target="local", project=local_cloud.project, region="us-central1", tier="paid", owner="",
        currency="USD", budget=None, settings=folder / "x.yaml", state=folder,
    )  # fmt: skip
    return Target(account, local_cloud.environment, {})


@pytest.fixture
def bucket(target, session, request) -> str:
    name = f"staging-{hashlib.sha256(request.node.name.encode()).hexdigest()[:16]}"
    project = target.account.project
    session.post(
        f"https://serviceusage.googleapis.com/v1/projects/{project}/services/storage.googleapis.com:enable", json={}
    )
    made = session.post(f"https://storage.googleapis.com/storage/v1/b?project={project}", json={"name": name})
    assert made.ok, made.text
    return f"gs://{name}"


def objects(session, bucket: str) -> dict[str, dict]:
    url = f"https://storage.googleapis.com/storage/v1/b/{bucket.removeprefix('gs://')}/o"
    found = session.get(url, params={"maxResults": 1000}).json()
    return {item["name"]: item for item in found.get("items", [])}


def content(session, bucket: str, name: str) -> bytes:
    base = "https://storage.googleapis.com/storage/v1/b"
    quoted = staging.quote(name, safe="")
    return session.get(f"{base}/{bucket.removeprefix('gs://')}/o/{quoted}", params={"alt": "media"}).content


def a_wheel(folder: Path, data: bytes = b"a wheel") -> Wheel:
    path = folder / "trainer.whl"
    path.write_bytes(data)
    return Wheel(path, hashlib.sha256(data).hexdigest())


def test_a_wheel_is_sent_once(target, session, bucket, tmp_path):
    wheel = a_wheel(tmp_path)
    first = staging.stage_wheel(target, bucket, wheel)
    generation = objects(session, bucket)[f"{wheel.sha256}/trainer.whl"]["generation"]
    second = staging.stage_wheel(target, bucket, wheel)
    assert first.uri == second.uri == f"{bucket}/{wheel.sha256}/trainer.whl"
    assert (first.sent, first.sent_bytes, second.sent, second.sent_bytes, second.skipped) == (1, 7, 0, 0, 1)
    assert objects(session, bucket)[f"{wheel.sha256}/trainer.whl"]["generation"] == generation
    assert content(session, bucket, f"{wheel.sha256}/trainer.whl") == b"a wheel"


def test_two_who_stage_the_same_wheel_at_once_both_succeed(target, session, bucket, tmp_path):
    wheel = a_wheel(tmp_path, os.urandom(200_000))
    outcomes, start = [], threading.Barrier(4)

    def stage():
        start.wait()
        outcomes.append(staging.stage_wheel(target, bucket, wheel))

    threads = [threading.Thread(target=stage) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 4
    assert len(objects(session, bucket)) == 1


def test_a_wheel_that_changed_under_our_hands_is_not_staged(target, session, bucket, tmp_path):
    wheel = a_wheel(tmp_path)
    wheel.path.write_bytes(b"something else")
    with pytest.raises(staging.UserError, match="changed while it was staged"):
        staging.stage_wheel(target, bucket, wheel)
    assert objects(session, bucket) == {}


def test_many_files_go_once_and_only_what_is_missing_again(target, session, bucket, tmp_path):
    for n in range(120):
        (tmp_path / f"part-{n:03}.csv").write_text(f"a,b\n{n},{n}\n", encoding="utf-8")
    files, cache, told = sorted(tmp_path.glob("*.csv")), tmp_path / "hashes.json", []
    first = staging.stage_data(target, bucket, files, cache, told.append)
    assert (first.sent, first.skipped) == (120, 0)
    assert first.uri.endswith("/*.csv")
    assert told[-1] == "staging data: 100%"
    again = staging.stage_data(target, bucket, files, cache)
    assert (again.sent_bytes, again.skipped, again.uri) == (0, 120, first.uri)
    names = sorted(objects(session, bucket))
    assert [n.rsplit("/", 1)[1] for n in names] == [f.name for f in files]
    holder = bucket.removeprefix("gs://")
    lost = staging.quote(names[7], safe="")
    assert session.delete(f"https://storage.googleapis.com/storage/v1/b/{holder}/o/{lost}").ok
    mended = staging.stage_data(target, bucket, files, cache)
    assert (mended.sent, mended.skipped) == (1, 119)
    assert content(session, bucket, names[7]) == files[7].read_bytes()


def test_changed_data_gets_another_place(target, session, bucket, tmp_path):
    file, cache = tmp_path / "rows.csv", tmp_path / "hashes.json"
    file.write_text("a\n1\n", encoding="utf-8")
    first = staging.stage_data(target, bucket, [file], cache)
    file.write_text("a\n2\n3\n", encoding="utf-8")
    second = staging.stage_data(target, bucket, [file], cache)
    assert first.uri != second.uri
    assert second.uri.endswith("/rows.csv")
    assert len(objects(session, bucket)) == 2  # a job in the queue still finds what it was given


@pytest.mark.slow
def test_a_large_file_goes_up_in_parts(target, session, bucket, tmp_path):
    file = tmp_path / "big.bin"
    block = os.urandom(2**20)
    with file.open("wb") as out:
        for n in range(70):
            out.write(n.to_bytes(4, "big") + block[4:])
    staged = staging.stage_data(target, bucket, [file], tmp_path / "hashes.json")
    assert staged.sent_bytes == file.stat().st_size
    (item,) = objects(session, bucket).values()
    assert int(item["size"]) == file.stat().st_size
    assert hashlib.sha256(content(session, bucket, item["name"])).hexdigest() == item["name"].split("/")[1]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX; on Windows run the other tests of this file")
def test_a_killed_upload_leaves_nothing_torn_and_the_next_one_mends_it(target, session, bucket, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for n in range(400):
        (data / f"{n:03}.bin").write_bytes(os.urandom(60_000))
    script = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(CLONE)!r})
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.jobs import staging
project, nowhere = {target.account.project!r}, Path("x")
account = Account("staging", "local", project, "us-central1", "paid", "", "USD", None, nowhere, nowhere)
target = Target(account, {target.environment!r}, {{}})
print("begin", flush=True)
staging.stage_data(target, {bucket!r}, sorted(Path({str(data)!r}).iterdir()), Path({str(tmp_path / "h.json")!r}))
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    while len(objects(session, bucket)) < 20:
        time.sleep(0.02)
        assert child.poll() is None
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    there = objects(session, bucket)
    assert 20 <= len(there) < 400
    assert {int(item["size"]) for item in there.values()} == {60_000}
    files = sorted(data.iterdir())
    mended = staging.stage_data(target, bucket, files, tmp_path / "h.json")
    assert mended.sent <= 400 - len(there)
    done = objects(session, bucket)
    assert len(done) == 400
    by_name = {name.rsplit("/", 1)[1]: item["md5Hash"] for name, item in done.items()}
    for file in files:
        digest = hashlib.md5(file.read_bytes(), usedforsecurity=False).digest()
        assert by_name[file.name] == staging.base64.b64encode(digest).decode()
