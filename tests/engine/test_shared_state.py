"""A team: the state is in a bucket of the project, and two people work on it from two computers."""

import dataclasses
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from google.api_core.exceptions import NotFound

from cloudkite import engine
from cloudkite.accounts import registry
from cloudkite.accounts.target import Target
from cloudkite.engine import shared, state
from cloudkite.engine.folder import Folder
from cloudkite.show.errors import UserError
from tests.engine.conftest import Place

pytestmark = pytest.mark.slow


def joint(place):
    return place.settings(
        lambda text: text.replace("  cloudkite:tier:", "  cloudkite:state: bucket\n  cloudkite:tier:")
    )


def on_another_computer(place, tmp_path):
    """The same account, with a state folder of its own: what a colleague has who cloned the same repository."""
    folder = tmp_path / "another-computer"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    account = dataclasses.replace(place.account, state=folder)
    here = place.target
    return Place(place.space, account, Target(account, here.environment, here.pulumi_environment, here.cloud))


@pytest.fixture
def team(place, tmp_path):
    """Two people of a team, on an account that was never set up."""
    mine = joint(place)
    return mine, on_another_computer(mine, tmp_path)


def bucket(place):
    return place.target.storage().bucket(f"{place.account.project}-state")


def lock(place, **changes):
    """What an engine writes before it works: as on another computer that died, or of a process here that is gone."""
    folder = Folder(place.account)
    name = f"{folder.engine_locks.relative_to(folder.backend).as_posix()}/11111111-2222-3333-4444-555555555555.json"
    content = {"pid": 4_000_000, "username": "kim", "hostname": "lab-7", "timestamp": "2026-11-29T10:00:00Z", **changes}
    blob = bucket(place).blob(name)
    blob.upload_from_string(json.dumps(content))
    return blob


def test_a_preview_makes_no_bucket_up_makes_one_and_a_colleague_finds_all_done(team, monkeypatch):
    mine, yours = team
    seen = mine.preview()
    assert {change.op for change in seen.changes} == {"create"}
    assert not bucket(mine).exists()
    assert mine.up().changes == {"create": len(seen.changes)}
    found = bucket(mine)
    found.reload()
    assert found.iam_configuration.uniform_bucket_level_access_enabled
    assert found.iam_configuration.public_access_prevention == "enforced"
    # The second computer knows nothing, and finds all done.
    assert yours.preview().changes == ()
    assert yours.account.outputs() == mine.account.outputs()
    assert yours.folder.passphrase.read_text() == mine.folder.passphrase.read_text()
    # A run of another computer that never ends is told with a way on; one of this computer that died stops nobody.
    held, told = lock(mine), []
    with monkeypatch.context() as patched, pytest.raises(UserError, match="by kim on lab-7") as caught:
        patched.setattr(shared, "_PATIENCE", 0.5)
        engine.up(yours.account, yours.target, progress=told.append)
    assert caught.value.hint.endswith("then in infra: pulumi cancel --yes")
    assert len([line for line in told if "kim on lab-7 (process 4000000" in line]) == 1
    held.delete()
    gone = lock(mine, hostname=socket.gethostname())
    assert yours.up().changes == {}
    assert not gone.exists()
    # Without the bucket nothing is known any more: `up` would take over what exists.
    found.delete(force=True)
    assert {change.op for change in mine.preview().changes} == {"create"}
    assert (mine.account.state / "state.own.json").is_file()


def test_an_account_moves_to_the_bucket_with_what_it_has(place, tmp_path):
    made = place.up().changes["create"]
    phrase = place.folder.passphrase.read_text()
    mine, told = joint(place), []
    assert engine.up(mine.account, mine.target, progress=told.append).changes == {}
    assert f"the state of account {mine.account.name} is in gs://{mine.account.project}-state from now on" in told
    yours = on_another_computer(mine, tmp_path)
    mine = mine.settings(lambda text: text.replace("logRetentionDays: 30", "logRetentionDays: 31"))
    assert yours.up().changes == {"update": 1}
    assert mine.up().changes == {}
    # What was changed beside the state is seen, here as in a folder.
    data = mine.target.storage().get_bucket(f"{mine.account.project}-data")
    data.iam_configuration.public_access_prevention = "inherited"
    data.patch()
    assert mine.up().changes == {"update": 1}
    data.reload()
    assert data.iam_configuration.public_access_prevention == "enforced"
    assert yours.folder.passphrase.read_text() == phrase
    own = mine.settings(lambda text: text.replace("  cloudkite:state: bucket\n", ""))
    with pytest.raises(UserError, match="its settings no longer say so"):
        own.preview()
    mine = joint(own)
    # Who takes it down sees what goes before anything does, on a computer that never set it up.
    third = on_another_computer(mine, tmp_path / "third")
    assert engine.leaving(third.account)[0] == []
    engine.fetch(third.account, third.target)
    assert len(engine.leaving(third.account, everything=True)[0]) == made
    # Down by one is down for both, and with everything the bucket goes, too: also one that keeps what was deleted.
    kept = bucket(yours)
    kept.versioning_enabled = True
    kept.patch()
    assert yours.down(everything=True).changes == {"delete": made}
    assert not bucket(mine).exists()
    assert mine.down().changes == {}
    assert mine.left() == []
    assert {change.op for change in mine.preview().changes} == {"create"}


def test_of_two_who_set_up_at_once_one_waits_and_says_for_whom(team):
    mine, yours = team
    started, told = threading.Event(), []

    def slowly(step):
        started.set()
        if len(told) < 1 and step.phase == "done":
            time.sleep(0.2)

    def first():
        return engine.up(mine.account, mine.target, slowly)

    def second():
        started.wait(60)
        return engine.up(yours.account, yours.target, progress=told.append)

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.submit(first), pool.submit(second)
        assert one.result().changes["create"] > 20
        assert two.result().changes == {}
    assert any(f"account {mine.account.name} is being changed by" in line for line in told), told
    assert any(socket.gethostname() in line for line in told)
    assert yours.account.outputs() == mine.account.outputs()


def test_where_one_object_changes_once_a_second_up_comes_through_and_a_small_change_is_few_writes(another_cloud):
    mine = joint(another_cloud)  # a local cloud that is as strict as any
    storage = mine.target.storage()
    made = storage.bucket(f"{mine.account.project}-state")
    made.versioning_enabled = True
    storage.create_bucket(made, location="us-central1")

    def writes():
        key = Folder(mine.account).checkpoint.relative_to(Folder(mine.account).backend).as_posix()
        return len([one for one in storage.list_blobs(made, prefix=key, versions=True) if one.name == key])

    assert mine.up().failures == ()
    first = writes()
    assert first > 100  # more than pass at once
    mine = mine.settings(lambda text: text.replace("logRetentionDays: 30", "logRetentionDays: 31"))
    assert mine.up().changes == {"update": 1}
    assert writes() - first < 10


def test_a_bucket_of_somebody_else_gets_no_state(team, describe):
    mine, _yours = team
    other = describe(mine.space)
    other.target.storage().create_bucket(f"{mine.account.project}-state", location="us-central1")
    with pytest.raises(UserError, match=f"the bucket {mine.account.project}-state is somebody else's"):
        mine.up()
    assert registry.load(mine.space, mine.account.name).outputs_file.is_file() is False


def rows_in_the_bucket(place):
    try:
        text = bucket(place).blob(f".pulumi/stacks/cloudkite/{place.account.name}.json").download_as_text()
    except NotFound:
        return ()
    return state.parse(text).rows


def test_an_engine_that_was_killed_is_taken_up_by_a_colleague(team):
    mine, yours = team
    process = mine.process()
    assert process.stdout
    try:
        deadline = time.monotonic() + 60
        while len(rows_in_the_bucket(mine)) < 12 and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        for one in (*psutil.Process(process.pid).children(recursive=True), process):
            one.kill()
        process.wait()
        process.stdout.close()
    outcome = yours.up()
    assert outcome.failures == ()
    assert mine.up().changes == {}
    names = [one.name for one in mine.target.storage().list_buckets()]
    assert len([name for name in names if name.startswith(mine.account.project)]) == 4
