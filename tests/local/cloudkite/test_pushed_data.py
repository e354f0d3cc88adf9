"""A trainer's data pushed to the account's bucket, listed, used by a job, and pulled to another machine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from cloudkite.accounts import api
from cloudkite.jobs import pushed, service, staging, submit
from cloudkite.journey import data, training
from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers.folders import Trainer
from tests.local.place import Place

CLONE = Path(__file__).resolve().parents[3]
ROWS = {f"part-{n}.csv": f"a,b\n{n},{n}\n" * n for n in range(4)}  # the first is empty


@pytest.fixture
def here(place: Place, tmp_path, monkeypatch, request) -> Place:
    """The place with an own trainer of several files, and commands that act on it."""
    name = f"t-{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}"
    folder = place.workspace.trainers / name
    shutil.copytree(place.trainer.folder, folder, ignore=shutil.ignore_patterns("models"))
    for file, text in ROWS.items():
        (folder / "data" / file).write_text(text + name if text else "", encoding="utf-8")
    source = folder / "trainer" / "data.py"
    source.write_text(source.read_text().replace("data/rows.csv", "data/part-*.csv"), encoding="utf-8")
    for journey in (data, training):
        monkeypatch.setattr(journey.registry, "load", lambda *_: place.account)
        monkeypatch.setattr(journey, "connect", lambda *_: place.target)
    return dataclasses.replace(place, trainer=Trainer(name, folder))


def objects(place: Place, prefix: str = "") -> dict[str, dict]:
    bucket = place.account.outputs().buckets["data"].removeprefix("gs://")
    url = f"https://storage.googleapis.com/storage/v1/b/{bucket}/o"
    return {item["name"]: item for item in api.pages(place.target, url, "items", "list", {"prefix": prefix})}


def put(place: Place, name: str, content: bytes) -> None:
    bucket = place.account.outputs().buckets["data"].removeprefix("gs://")
    url = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(name, safe='')}"
    assert place.target.session().post(url, data=content).ok


def push(place: Place, capsys, **options) -> dict:
    capsys.readouterr()
    data.push(place.workspace, place.trainer.name, "", as_json=True, **options)
    return json.loads(capsys.readouterr().out)


def pull(place: Place, capsys, **options) -> dict:
    capsys.readouterr()
    data.pull(place.workspace, place.trainer.name, "", as_json=True, **options)
    return json.loads(capsys.readouterr().out)


def test_data_go_up_once_are_used_by_a_job_and_come_back(here, capsys):
    first = push(here, capsys)
    there = objects(here)
    assert first["files"] == len(ROWS) and first["sent_bytes"] == sum(f.stat().st_size for f in here.trainer.data_files)
    assert push(here, capsys)["sent_bytes"] == 0
    assert {n: o["generation"] for n, o in objects(here).items()} == {n: o["generation"] for n, o in there.items()}

    made = submit.submit(here.workspace, here.target, here.plan("--epochs", "1"))
    service.cancel(here.target, made.id)
    assert made.data == first["uri"] == made.arguments[1]
    again = submit.submit(here.workspace, here.target, here.plan("--epochs", "1"))
    service.cancel(here.target, again.id)
    assert (again.data, again.sent_bytes) == (first["uri"], 0)

    folder = here.trainer.folder / "data"
    before = {file.name: file.read_bytes() for file in here.trainer.data_files}
    assert pull(here, capsys)["received_bytes"] == 0, "all of it is here"
    for name in before:
        (folder / name).unlink()
    assert pull(here, capsys)["received_bytes"] == first["sent_bytes"]
    assert {file.name: file.read_bytes() for file in here.trainer.data_files} == before
    assert sorted(p.name for p in folder.iterdir()) == sorted([*before, "rows.csv"])


def test_the_list_tells_size_date_hash_and_trainers(here, capsys):
    made = push(here, capsys)
    put(here, f"data/{'e' * 64}/half.csv", b"a push that did not end")
    put(here, "notes.txt", b"not from here")
    data.list_stored(here.workspace, "", as_json=True)
    listed = {one["hash"]: one for one in json.loads(capsys.readouterr().out)}
    mine = listed[made["hash"]]
    assert mine["trainers"] == [here.trainer.name] and sorted(mine["files"]) == sorted(ROWS)
    assert mine["bytes"] == made["sent_bytes"] and mine["date"].startswith("20")
    assert listed["e" * 64]["trainers"] == []
    data.list_stored(here.workspace, "")
    shown = capsys.readouterr().out
    assert here.trainer.name in shown and made["hash"][:12] in shown and "(unfinished)" in shown
    assert "per month; these are Google's prices, here it costs nothing (price of 2026-" in shown


def test_a_price_is_shown_and_agreed_to_where_it_is_a_real_one(here, capsys, monkeypatch):
    data.push(here.workspace, here.trainer.name, "")
    assert "per month that it stays" in capsys.readouterr().out
    monkeypatch.setattr(data.registry, "load", lambda *_: dataclasses.replace(here.account, target="google"))
    (here.trainer.folder / "data" / "part-9.csv").write_text("more\n", encoding="utf-8")
    before = objects(here)
    with pytest.raises(UserError) as asked:  # nobody is at a terminal
        data.push(here.workspace, here.trainer.name, "")
    assert asked.value.hint == "add --yes"
    assert objects(here) == before
    shown = capsys.readouterr().out
    assert "USD per month that it stays" in shown and "(price of 2026-" in shown and "costs nothing" not in shown
    data.push(here.workspace, here.trainer.name, "", yes=True)
    assert len(objects(here)) > len(before)
    for file in here.trainer.data_files:
        file.unlink()
    with pytest.raises(UserError) as asked:
        data.pull(here.workspace, here.trainer.name, "")
    assert asked.value.hint == "add --yes"
    assert here.trainer.data_files == ()
    assert "where it leaves Google's network" in capsys.readouterr().out


def test_nothing_of_mine_is_replaced(here, capsys):
    push(here, capsys)
    mine = here.trainer.folder / "data" / "part-2.csv"
    (here.trainer.folder / "data" / "part-1.csv").unlink()
    mine.write_text("my own edit", encoding="utf-8")
    with pytest.raises(BadValue, match=r"part-2\.csv is another file, and is not replaced"):
        pull(here, capsys)
    assert mine.read_text(encoding="utf-8") == "my own edit"
    assert not (here.trainer.folder / "data" / "part-1.csv").exists(), "all or nothing"
    elsewhere = here.workspace.state / "elsewhere"
    assert pull(here, capsys, output=str(elsewhere))["folder"] == str(elsewhere)
    assert sorted(p.name for p in elsewhere.iterdir()) == sorted(ROWS)


@pytest.mark.parametrize("name", ["../evil.csv", "a/b.csv", "..", "CON", "x[1].csv", "/etc/evil", "a\u202eb"])
def test_a_name_in_the_bucket_leads_nowhere(here, capsys, name):
    content = b"a,b\n"
    digest = hashlib.sha256(content).hexdigest()
    put(here, f"data/{digest}/{name}", content)
    record = {"files": [{"name": name, "size": len(content), "sha256": digest}]}
    put(here, f"pushed/{here.trainer.name}/{digest}.json", json.dumps(record).encode())
    before = sorted(here.workspace.state.rglob("*"))
    with pytest.raises(UserError, match="was changed"):
        pull(here, capsys, start=digest)
    assert sorted(here.workspace.state.rglob("*")) == before


def test_what_was_changed_in_the_bucket_is_not_taken(here, capsys):
    made = push(here, capsys)
    for file in here.trainer.data_files:
        file.unlink()
    name = f"data/{made['hash']}/part-1.csv"
    true = objects(here)[name]
    put(here, name, b"x" * int(true["size"]))
    with pytest.raises(UserError, match=r"part-1\.csv is not what was pushed"):
        pull(here, capsys)
    assert here.trainer.data_files == ()
    put(here, f"pushed/{here.trainer.name}/{made['hash']}.json", b'{"files": [{"name": "a.csv", "sha256": "0"}]}')
    with pytest.raises(UserError, match="was changed"):
        pull(here, capsys)


def test_a_pull_goes_on_where_it_was_cut_off(here, capsys, monkeypatch):
    made = push(here, capsys)
    content = {file.name: file.read_bytes() for file in here.trainer.data_files}
    for file in here.trainer.data_files:
        file.unlink()
    part = here.trainer.folder / "data" / f".cloudkite-pull-{made['hash'][:16]}"
    part.mkdir()
    (part / "part-3.csv").write_bytes(content["part-3.csv"][:5])
    (part / "part-2.csv").write_bytes(content["part-2.csv"] + b"too long")
    (part / "part-1.csv").symlink_to(here.trainer.folder / "trainer" / "task.py")
    asked, session = {}, type(here.target.session())
    real = session.request

    def request(self, method, url, **options):
        asked[url.rpartition("%2F")[2]] = (options.get("headers") or {}).get("Range")
        return real(self, method, url, **options)

    monkeypatch.setattr(session, "request", request)
    pull(here, capsys)
    assert asked["part-3.csv"] == "bytes=5-" and asked["part-2.csv"] == "bytes=0-"
    assert {file.name: file.read_bytes() for file in here.trainer.data_files} == content
    assert not part.exists() and (here.trainer.folder / "trainer" / "task.py").stat().st_size > 100


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX; on Windows run the other tests of this file")
def test_a_killed_pull_leaves_no_file_in_place_and_the_next_one_ends_it(here, capsys):
    big = here.trainer.folder / "data" / "part-big.csv"
    big.write_bytes(os.urandom(2**20) * 300)
    made = push(here, capsys)
    content = {file.name: staging.sha256(file) for file in here.trainer.data_files}
    for file in here.trainer.data_files:
        file.unlink()
    script = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(CLONE)!r})
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.jobs import pushed
nowhere = Path("x")
account = Account("a", "local", {here.account.project!r}, "us-central1", "paid", "", "USD", None, nowhere, nowhere)
target = Target(account, {here.target.environment!r}, {{}})
folder = Path({str(here.trainer.folder / "data")!r})
pushed.pull(target, pushed.wanted(target, {here.account.outputs().buckets["data"]!r}, {here.trainer.name!r},
                                  {made["hash"]!r}, folder))
"""
    part = here.trainer.folder / "data" / f".cloudkite-pull-{made['hash'][:16]}" / big.name
    child = subprocess.Popen([sys.executable, "-c", script])
    while not (part.exists() and part.stat().st_size > 20 * 2**20):
        time.sleep(0.005)
        assert child.poll() is None
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    received = part.stat().st_size
    assert 0 < received < 300 * 2**20
    assert here.trainer.data_files == ()
    pull(here, capsys)
    assert {file.name: staging.sha256(file) for file in here.trainer.data_files} == content


def test_who_may_not_read_the_accounts_data_stages_their_own(here, tmp_path):
    files = here.trainer.data_files
    bucket = here.account.outputs().buckets["staging"]
    staged = staging.stage_data(here.target, bucket, files, tmp_path / "h.json", pushed=["gs://somebody-elses-bucket"])
    assert staged.uri.startswith(f"{bucket}/data/") and staged.sent == len(files)


def test_data_that_are_not_there_are_told(here, capsys):
    with pytest.raises(BadValue, match="pushed no data yet"):
        pull(here, capsys)
    push(here, capsys)
    with pytest.raises(BadValue, match="hash begins with ffff0000"):
        pull(here, capsys, start="ffff0000")
    found = pushed.stored(here.target, here.account.outputs().buckets["data"])
    assert pushed.newest(found, here.trainer.name).trainers == (here.trainer.name,)
    for file in here.trainer.data_files:
        file.unlink()
    with pytest.raises(BadValue, match="no file matches the data"):
        push(here, capsys)
