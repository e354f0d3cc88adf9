"""What goes wrong before or while the engine runs, and how it is told: one error, one step that helps."""

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import uuid

import psutil
import pytest

from cloudkite import engine, locks
from cloudkite.accounts import local, registry, target
from cloudkite.engine import backup
from cloudkite.show.errors import BadValue, UserError
from cloudkite.workspace import CLONE

pytestmark = pytest.mark.slow


def refused(call):
    with pytest.raises(UserError) as caught:
        call()
    assert "Traceback" not in caught.value.message
    return caught.value


def test_a_settings_error_is_told_once_before_the_engine_starts(place):
    text = place.account.settings.read_text(encoding="utf-8")
    wrong = text.replace("tier: paid", "tier: free").replace("amount: 10", "amount: -1")
    place.account.settings.write_text(wrong, encoding="utf-8")
    for call in (place.preview, place.up, lambda: registry.load(place.space, place.account.name)):
        mistake = refused(call)
        assert isinstance(mistake, BadValue)
        assert mistake.message.count("cloudkite:tier is 'free'") == 1
        assert mistake.message.count("amount is -1") == 1
    assert not place.folder.checkpoint.exists()


def test_a_mistake_that_only_the_program_sees_is_told_once(place):
    place = place.settings(lambda text: text.replace("CustomModelTrainingT4GPUs", "CustomModelTrainingT5GPUs"))
    mistake = refused(place.up)
    assert mistake.message.count("CustomModelTrainingT5GPUsPerProjectPerRegion") == 1
    assert "has no such quota" in mistake.message
    assert mistake.code == 2
    assert str(place.account.settings) in mistake.hint


def test_settings_that_are_gone(place):
    place.account.settings.unlink()
    mistake = refused(place.up)
    assert mistake.message == f"{place.account.settings} can't be read: No such file or directory"


def test_another_target_than_the_states(standing):
    other = dataclasses.replace(standing.account, project="another-project")
    mistake = refused(lambda: engine.up(other, standing.target))
    assert mistake.message == (
        f"the state of account {other.name} is of project {standing.account.project} (local); "
        "its settings name another-project (local)"
    )
    assert "put gcp:project and cloudkite:target back" in mistake.hint


def test_a_provider_that_is_dead(place):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**place.target.pulumi_environment, "PULUMI_DEBUG_PROVIDERS": f"gcp:{port}"}
    dead = dataclasses.replace(place.target, pulumi_environment=environment)
    mistake = refused(lambda: engine.up(place.account, dead))
    assert mistake.message == f"the local cloud of account {place.account.name} does not answer on port {port}"


def test_a_token_that_the_cloud_does_not_know(place):
    foreign = dataclasses.replace(place.target)
    foreign.__dict__["provider_token"] = lambda: "stolen"
    mistake = refused(lambda: engine.up(place.account, foreign))
    assert "stolen" not in mistake.message
    assert "the local cloud takes only accounts of its own" in mistake.message
    assert place.left() == []


def test_a_wrong_passphrase(standing):
    standing.folder.passphrase.write_text("another", encoding="utf-8")
    mistake = refused(standing.up)
    assert mistake.message == (
        f"{standing.folder.passphrase} is not the pass-phrase that the state of account {standing.account.name} "
        "was made with"
    )


def test_a_lost_passphrase(standing):
    standing.folder.passphrase.unlink()
    mistake = refused(standing.up)
    assert (
        mistake.message == f"the pass-phrase of account {standing.account.name} is lost: {standing.folder.passphrase}"
    )
    assert not standing.folder.passphrase.exists()


def test_the_way_out_of_a_lost_passphrase_takes_over_what_exists(place):
    made = place.up().changes["create"]
    shutil.move(place.account.state, place.account.state.with_name(f"{place.account.name}-moved"))
    place.up()
    assert len(place.left()) == made
    assert place.up().changes == {}


def test_a_state_that_an_older_version_recorded_is_gone_on_with(standing):
    """It knew its cloud by a token that there is no more."""
    record = standing.account.state / "target.json"
    old = {"target": "local", "project": standing.account.project, "instance": "0123456789abcdef"}
    record.write_text(json.dumps(old), encoding="utf-8")
    assert standing.preview().changes == ()
    assert json.loads(record.read_text(encoding="utf-8"))["cloud"] == standing.target.cloud != ""


def test_a_cloud_that_was_emptied(another_cloud):
    place = another_cloud
    made = place.up().changes["create"]
    local.run(place.space, "stop")
    local.run(place.space, "reset", "--yes")
    place = dataclasses.replace(place, target=target.connect(place.space, place.account))
    told = []
    seen = engine.preview(place.account, place.target, told.append)
    assert len(seen.changes) == made
    assert told[0].startswith(f"the cloud of account {place.account.name} was emptied since the last run")
    assert place.up().changes == {"create": made}
    assert place.down(everything=True).changes == {"delete": made}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: Expecting value"),
        ('{"version": 3,\n "checkp', "line 2: Unterminated string starting at"),
        ('{"version": 3}', "KeyError"),
        ("[]", "TypeError"),
    ],
)
def test_a_state_that_is_cut_off_makes_way_for_its_newest_whole_copy(standing, text, said):
    made = len(standing.left())
    checkpoint = standing.folder.checkpoint
    standing.folder.before.unlink(missing_ok=True)
    checkpoint.write_text(text, encoding="utf-8")
    for call in (standing.down, standing.left):
        mistake = refused(call)
        assert mistake.message == f"the state {checkpoint} can't be read: {said}"
        assert mistake.hint.startswith("`uv run invoke up` goes on from the newest copy that is whole")
    told = []
    assert engine.preview(standing.account, standing.target, told.append).changes == ()
    aside, copy = standing.account.state / "state.torn.json", standing.account.state / "state.last-good.json"
    assert told == [
        f"the state {checkpoint} can't be read: {said}; it is in {aside} now, and the copy {copy} in its place: "
        "what exists besides is taken over"
    ]
    assert aside.read_text(encoding="utf-8") == text
    assert standing.up().changes == {}
    assert len(standing.left()) == made


def test_a_state_that_is_cut_off_and_has_no_copy_is_made_anew(standing):
    made = len(standing.left())
    for copy in (standing.folder.before, standing.folder.last_good):
        copy.write_text("{", encoding="utf-8")
    standing.folder.checkpoint.write_text("{", encoding="utf-8")
    assert standing.up().changes
    assert len(standing.left()) == made
    assert standing.up().changes == {}


def test_what_is_cut_off_never_replaces_a_copy_that_is_whole(standing):
    good = standing.folder.last_good.read_text(encoding="utf-8")
    standing.folder.checkpoint.write_text(good[: len(good) // 2], encoding="utf-8")
    assert "could not be copied" in backup.keep(standing.folder)
    assert standing.folder.last_good.read_text(encoding="utf-8") == good


def test_another_run_of_ours_at_work(place):
    with locks.exclusive(place.folder.lock):
        mistake = refused(place.up)
    assert mistake.message == f"another run is at work on account {place.account.name}: process {os.getpid()}"


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for an engine is a copy of sleep; run on POSIX")
def test_an_engine_that_somebody_started_by_hand(standing, tmp_path):
    engine_program = tmp_path / "pulumi"
    shutil.copy(shutil.which("sleep"), engine_program)
    engine_program.chmod(0o700)
    at_work = subprocess.Popen([engine_program, "60"])
    try:
        leave_lock(standing, at_work.pid)
        mistake = refused(standing.up)
        assert mistake.message == f"another run is at work on account {standing.account.name}: process {at_work.pid}"
        assert engine.status(standing.account).held_by == at_work.pid
    finally:
        at_work.kill()
        at_work.wait()
    assert standing.up().changes == {}  # its lock is a dead one now
    assert not list(standing.folder.engine_locks.glob("*.json"))


def test_a_lock_of_another_machine_is_never_taken(standing):
    leave_lock(standing, 1, hostname="elsewhere")
    mistake = refused(standing.up)
    assert mistake.message == f"another run is at work on account {standing.account.name}: process unknown"


@pytest.mark.parametrize("text", ["", "{", "{}"])
def test_a_torn_lock_is_dead(standing, text):
    standing.folder.engine_locks.mkdir(parents=True, exist_ok=True)
    (standing.folder.engine_locks / f"{uuid.uuid4()}.json").write_text(text, encoding="utf-8")
    assert standing.up().changes == {}


def test_an_engine_that_was_killed_while_it_made_the_stack(place):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    leave_lock(place, dead.pid)
    assert not place.folder.checkpoint.exists()
    assert place.preview().changes
    assert not list(place.folder.engine_locks.glob("*.json"))


def leave_lock(place, pid, hostname=None):
    place.folder.engine_locks.mkdir(parents=True, exist_ok=True)
    lock = {
        "pid": pid,
        "username": "me",
        "hostname": hostname or socket.gethostname(),
        "timestamp": "2026-01-01T00:00:00Z",
    }
    (place.folder.engine_locks / f"{uuid.uuid4()}.json").write_text(json.dumps(lock), encoding="utf-8")


def test_a_program_that_cannot_be_run(standing, tmp_path, monkeypatch):
    broken = tmp_path / "pulumi"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o700)
    monkeypatch.setenv("CLOUDKITE_PULUMI", str(broken))
    assert f"{broken} can't be run" in refused(standing.up).message


def _can_mount():
    words = ["unshare", "--user", "--map-root-user", "--mount", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(words, capture_output=True).returncode == 0


@pytest.mark.skipif(not _can_mount(), reason="needs a small disk: `unshare --user --mount` must be allowed")
def test_a_full_disk(place):
    made = place.up().changes["create"]
    small = place.folder.backend
    script = (
        f"cp -a {small} {small}.copy && mount -t tmpfs -o size=1m none {small} && cp -a {small}.copy/. {small} "
        f"&& (dd if=/dev/zero of={small}/filler bs=1k 2>/dev/null; true) "
        f"&& {sys.executable} -m tests.engine.run_engine up {place.space.state} {place.account.name}"
    )
    place.settings(lambda text: text.replace("logRetentionDays: 30", "logRetentionDays: 33"))
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=CLONE, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "error: the disk is full" in done.stderr
    assert str(small) in done.stderr
    place.up()
    assert len(place.left()) == made
    # Other tests may run engines of their own meanwhile: each works in its account's folder.
    here = str(place.space.state)
    engines = [p for p in psutil.process_iter(["name", "cwd"]) if p.info["name"] == "pulumi"]
    assert not [p for p in engines if (p.info["cwd"] or "").startswith(here)]
