"""A class of thirty in one project: planned, joined, capped, kept apart, reported, and left by one of them."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import json
import re
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import Forbidden, NotFound

from cloudkite.accounts import membership, registry
from cloudkite.accounts.target import Target
from cloudkite.classes import codes, description, folders, submission
from cloudkite.jobs import pushed, service, staging
from cloudkite.journey import classes, learning, several
from cloudkite.models import fetching
from cloudkite.money import gate
from cloudkite.show.errors import UserError
from cloudkite.workspace import Workspace, throw_away
from tests.engine.conftest import Place, _describe
from tests.local.place import Place as Desk  # a clone of one's own, and a sign-in
from tests.local.place import make_trainer

pytestmark = pytest.mark.slow

ABLE = ("kim", "lee", "mo")  # who can be signed in as here
ALONE = "l30"  # has no sign-in
EACH = 13  # grants and accounts of a learner
TERM = datetime.date.today()


def sheet(account: str, project: str) -> str:
    """class.toml of thirty learners."""
    rows = []
    for number in range(1, 31):
        name = ABLE[number - 1] if number <= len(ABLE) else f"l{number:02d}"
        email = f"{name}-signs-in@{project}.iam.gserviceaccount.com" if name in ABLE else f"{name}@example.com"
        rows.append(f'[[learners]]\nname = "{name}"\n' + (f'email = "{email}"\n' if name != ALONE else ""))
    rows[0] += "cap = 0.30\n"
    return (
        f'name = "ml-1"\nform = "shared"\naccount = "{account}"\nstarts = {TERM - datetime.timedelta(30)}\n'
        f"ends = {TERM + datetime.timedelta(60)}\ncap = 2\n\n" + "\n".join(rows)
    )


@dataclass(frozen=True)
class Room:
    """The class-room: the teacher's place, class.toml, and what the learners sign in with."""

    place: Place
    file: Path
    keys: dict[str, Path]

    @property
    def space(self) -> Workspace:
        return self.place.space


@pytest.fixture(scope="module")
def room(pulumi, space, tmp_path_factory) -> Room:
    place = _describe(space)
    place.up()
    folder, keys = tmp_path_factory.mktemp("class"), {}
    project, session = place.account.project, place.target.session()
    for name in ABLE:
        url = f"https://iam.googleapis.com/v1/projects/{project}/serviceAccounts"
        made = session.post(url, json={"accountId": f"{name}-signs-in"})
        assert made.ok, made.text
        key = session.post(f"{url}/{made.json()['email']}/keys", json={}).json()
        keys[name] = folder / f"{name}.json"
        keys[name].write_bytes(base64.b64decode(key["privateKeyData"]))
    file = folder / "class.toml"
    file.write_text(sheet(place.account.name, project), encoding="utf-8")
    classes.plan(space, str(file), "")
    outcome = place.up()
    assert outcome.changes == {"create": 29 * EACH}
    return Room(place, file, keys)


def code(room: Room, name: str, capsys) -> str:
    capsys.readouterr()
    classes.show_codes(room.space, str(room.file), name, "")
    return capsys.readouterr().out.split()[1]


@pytest.fixture
def desk(room, tmp_path, capsys):
    """Makes a learner's desk, joined by their code."""

    def sit(name: str) -> Desk:
        own = throw_away(tmp_path / name)
        learning.join(own, code(room, name, capsys), "")
        account = registry.load(own, "ml-1")
        environment = {**room.place.target.environment, "GOOGLE_APPLICATION_CREDENTIALS": str(room.keys[name])}
        return Desk(own, account, Target(account, environment, {}), make_trainer(own.trainers / "tiny"))

    return sit


def test_nothing_is_to_be_changed_once_the_class_is_there(room):
    assert room.place.preview().changes == ()
    text = room.place.account.settings.read_text(encoding="utf-8")
    assert "# A guard-rail" in text, "a person's own lines stay as they are"
    classes.plan(room.space, str(room.file), "")
    assert room.place.account.settings.read_text(encoding="utf-8") == text


def test_a_learner_trains_up_to_the_cap_and_is_refused_beyond_in_these_words(room, desk, capsys):
    kim = desk("kim")
    verdict = gate.judge(kim.target, kim.plan())
    assert "of kim's cap of 0.30 USD for the term 0.12 USD are left after this job" in verdict.notes
    job = kim.submit("--pause", "60")
    assert job.labels["learner"] == "kim"
    assert job.output.startswith(f"gs://{kim.account.project}-models/learners/kim/tiny/")
    assert job.staged.startswith(f"gs://{kim.account.project}-staging/learners/kim/")
    with pytest.raises(UserError) as caught:
        gate.judge(kim.target, kim.plan())
    assert caught.value.message == (
        "this job may cost 0.18 USD, and of kim's cap of 0.30 USD for the term only 0.12 are free (0.00 spent, 0.18 "
        "held for running jobs)"
    )
    assert caught.value.hint == "--limit 39m fits"
    gate.judge(kim.target, kim.plan(limit="39m"))
    with pytest.raises(UserError, match=r"of kim's cap of 0\.30 USD"):  # also where the look before it was earlier
        kim.submit()
    # The others of the class aren't bound by it.
    lee = desk("lee")
    assert gate.judge(lee.target, lee.plan()).left
    # The teacher sees who is where.
    capsys.readouterr()
    classes.report(room.space, str(room.file), "", "", as_json=True)
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["learners"]}
    assert rows["kim"]["jobs"] == rows["kim"]["running"] == 1 and rows["kim"]["held"] == pytest.approx(0.181, abs=1e-3)
    assert rows["lee"]["jobs"] == 0 and rows["lee"]["spent"] == 0
    assert rows[ALONE]["jobs"] is None and len(rows) == 30
    service.cancel(kim.target, job.id)


def test_a_learner_over_a_cap_that_was_lowered_stands_in_the_report(room, desk, tmp_path, capsys):
    lee = desk("lee")
    job = lee.submit("--epochs", "1")
    while service.get(lee.target, job.id).active:
        time.sleep(0.05)
    ended = service.get(lee.target, job.id)
    fetched = fetching.fetch(lee.target, ended, tmp_path / "model")
    assert "saved_model.pb" in fetched.names
    paid = ended.cost
    assert paid and paid > 0
    lowered = tmp_path / "class.toml"
    text = room.file.read_text(encoding="utf-8")
    lowered.write_text(text.replace('name = "lee"\n', f'name = "lee"\ncap = {paid / 2}\n'), encoding="utf-8")
    table = tmp_path / "class.csv"
    capsys.readouterr()
    classes.report(room.space, str(lowered), "", str(table))
    shown = capsys.readouterr().out
    assert re.search(r"^lee +1 .* over ", shown, re.M), shown
    lines = table.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("learner,jobs,running,spent,held,cap,over?") and len(lines) == 31
    assert lines[2].startswith("lee,1,,") and ",over," in lines[2]


def test_what_is_in_anothers_folder_can_be_neither_read_nor_deleted_nor_written(room, desk):
    kim, lee = desk("kim"), desk("lee")
    staged = staging.stage_data(
        kim.target,
        kim.account.outputs().buckets["staging"],
        (kim.trainer.folder / "data" / "rows.csv",),
        room.file.parent / "h",
    )
    bucket, name = staged.uri.removeprefix("gs://").split("/", 1)
    assert name.startswith("learners/kim/data/")
    for who in (lee.target, _as_job(room, lee, "lee")):
        theirs = who.storage().bucket(bucket).blob(name)
        for act in (theirs.download_as_bytes, theirs.delete, lambda one=theirs: one.upload_from_string("x")):
            with pytest.raises(Forbidden, match=re.escape("does not have storage.objects.")):
                act()
        with pytest.raises(Forbidden):
            who.storage().bucket(bucket).blob("of-nobody").upload_from_string("x")
        mine = who.storage().bucket(bucket).blob("learners/lee/mine")
        mine.upload_from_string("mine")
        assert mine.download_as_bytes() == b"mine"
        mine.delete()
        # A list of names is asked of the bucket: what the page for teachers says can be seen.
        assert name in [one.name for one in who.storage().list_blobs(bucket)]
    assert kim.target.storage().bucket(bucket).blob(name).download_as_bytes().startswith(b"a,b")
    # Nor can a learner's job run as another's account.
    stolen = dataclasses.replace(lee.account)
    outputs = json.loads(stolen.outputs_file.read_text(encoding="utf-8"))
    stolen.outputs_file.write_text(json.dumps({**outputs, "trainer": outputs["trainer"].replace("lee", "kim")}))
    thief = Desk(lee.workspace, registry.load(lee.workspace, "ml-1"), lee.target, lee.trainer)
    with pytest.raises(UserError, match="You do not have permission to act as service_account: learner-kim@"):
        thief.submit()


def test_data_that_a_learner_pushes_lie_in_their_folder_and_come_back(room, desk, tmp_path):
    kim, lee = desk("kim"), desk("lee")
    bucket = kim.account.outputs().buckets["data"]
    assert bucket.endswith("-data/learners/kim")
    files = (kim.trainer.folder / "data" / "rows.csv",)
    found = staging.look(kim.target, bucket, files, tmp_path / "hashes.json")
    pushed.push(kim.target, "tiny", found)
    stored = pushed.newest(pushed.stored(kim.target, bucket), "tiny")
    what = pushed.wanted(kim.target, bucket, "tiny", stored.hash, tmp_path / "back")
    pushed.pull(kim.target, what)
    assert (tmp_path / "back" / "rows.csv").read_bytes() == files[0].read_bytes()
    assert staging.look(kim.target, bucket, files, tmp_path / "hashes.json").todo == ()
    assert pushed.stored(lee.target, lee.account.outputs().buckets["data"]) == []
    names = [one.name for one in room.place.target.storage().list_blobs(staging.apart(bucket)[0])]
    assert names and all(name.startswith("learners/kim/") for name in names)


def test_data_that_the_teacher_pushed_are_used_by_all_and_changed_by_nobody(room, desk, tmp_path):
    lee = desk("lee")
    teacher = room.place.target
    whole = lee.trainer.folder / "data" / "rows.csv"
    whole.write_text("a,b\n7,8\n", encoding="utf-8")
    bucket = room.place.account.outputs().buckets["data"]
    pushed.push(teacher, "tiny", staging.look(teacher, bucket, (whole,), tmp_path / "hashes.json"))
    job = lee.submit("--epochs", "1")
    assert job.data.startswith(f"{bucket}/data/"), "nothing of it is sent again"
    while service.get(lee.target, job.id).active:
        time.sleep(0.05)
    assert service.get(lee.target, job.id).state == "SUCCEEDED"
    blob = lee.target.storage().bucket(bucket.removeprefix("gs://")).blob(job.data.split("/", 3)[3])
    assert blob.download_as_bytes() == whole.read_bytes()
    for act in (blob.delete, lambda: blob.upload_from_string("x")):
        with pytest.raises(Forbidden):
            act()


def _as_job(room: Room, desk: Desk, name: str) -> Target:
    """The account that a learner's jobs run as, with a key that the teacher made to look."""
    project = room.place.account.project
    url = f"https://iam.googleapis.com/v1/projects/{project}/serviceAccounts"
    key = room.place.target.session().post(f"{url}/learner-{name}@{project}.iam.gserviceaccount.com/keys", json={})
    path = room.file.parent / f"job-{name}.json"
    path.write_bytes(base64.b64decode(key.json()["privateKeyData"]))
    return Target(desk.account, {**desk.target.environment, "GOOGLE_APPLICATION_CREDENTIALS": str(path)}, {})


def test_a_learner_without_a_sign_in_stays_on_this_machine(room, tmp_path, capsys):
    own = throw_away(tmp_path / "own")
    learning.join(own, code(room, ALONE, capsys), "")
    said = capsys.readouterr().out
    assert "without a sign-in all of it runs on this machine, in account local, and costs nothing" in said
    assert "next: uv run invoke up --account local" in said
    joined = membership.read(own)
    assert joined and (joined.name, joined.account, joined.cap) == (ALONE, "", Decimal(2))
    assert registry.names(own) == []


def test_what_is_submitted_tells_no_name_and_a_change_by_hand_is_seen(room, desk, tmp_path, capsys):
    kim = desk("kim")
    member = kim.account.learner
    assert member
    content = submission.made(kim.target, member, datetime.datetime.now(datetime.UTC))
    text = json.dumps(content)
    assert content["taken_down"] is False and content["standing"]["bytes"]["staging"] > 0
    assert kim.account.project not in text and "@" not in text
    sent = tmp_path / "sent"
    sent.mkdir()
    good = sent / "a.json"
    good.write_text(text, encoding="utf-8")
    key = codes.key_of(room.space, "ml-1")
    assert (read := submission.read(good, key)).sound and read.signed
    changed = [
        {**content, "spent": {**content["spent"], "amount": "0.00", "cap": "9"}},
        {**content, "learner": "lee"},
        {**content, "seal": codes.seal("", {k: v for k, v in content.items() if k != "seal"})},
    ]
    assert [submission.read(_written(sent / f"b{i}.json", one), key).sound for i, one in enumerate(changed)] == [
        False, False, True,
    ]  # fmt: skip
    assert not submission.read(sent / "b2.json", key).signed  # whoever has no key can make a hash, and it is told
    (sent / "c.json").write_text("{}", encoding="utf-8")
    capsys.readouterr()
    classes.report(room.space, str(room.file), str(sent), "")
    said = capsys.readouterr().err
    assert "kim: b0.json: changed by hand, not believed" in said
    assert "lee: b1.json: changed by hand, not believed" in said
    assert "c.json isn't what a learner submits" in said


def _written(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_who_leaves_takes_what_they_have_along_and_their_permissions_go(room, desk, tmp_path, capsys):
    mo = desk("mo")
    bucket = f"{mo.account.project}-models"
    blob = mo.target.storage().bucket(bucket).blob("learners/mo/tiny/one/model/saved_model.pb")
    blob.upload_from_string("a model")
    job = mo.submit("--pause", "60")
    with pytest.raises(UserError) as caught:
        classes.leave(room.space, "mo", str(room.file))
    assert (caught.value.message, caught.value.hint) == (
        "what becomes of the data and models of mo?", "--save DIR, --delete, or both",
    )  # fmt: skip
    assert service.get(mo.target, job.id).active
    classes.leave(room.space, "mo", str(room.file), save=str(tmp_path / "saved"), delete=True, yes=True)
    said = capsys.readouterr().out
    assert f"cancelled job {job.name}" in said and "mo left class ml-1" in said
    assert (tmp_path / "saved" / "models" / "tiny" / "one" / "model" / "saved_model.pb").read_text() == "a model"
    assert folders.held(room.place.target, "mo") == []
    assert description.read(room.file).learner("mo").left == room.place.target.now().date()
    assert room.place.up().changes == {"delete": EACH}
    for act in (blob.exists, lambda: blob.upload_from_string("again")):
        with pytest.raises((Forbidden, NotFound)):
            act()
    with pytest.raises(UserError, match="denied"):
        next(service.search(mo.target), None)
    # The others go on.
    lee = desk("lee")
    lee.target.storage().bucket(bucket).blob("learners/lee/x").upload_from_string("x")


def test_the_shared_account_is_not_a_learners_to_set_up(desk):
    from cloudkite.journey import setup

    kim = desk("kim")
    with pytest.raises(UserError) as caught:
        setup.set_up(kim.workspace, kim.account, kim.target, yes=True)
    assert caught.value.message == (
        "account ml-1 is the one that class ml-1 shares: its teacher sets it up and takes it down"
    )


OWN = """
name = "ml-2"
form = "projects"
starts = 2026-09-01
ends = 2099-12-18
cap = 3

[projects]
prefix = "ml2"
billing = "012345-6789AB-CDEF01"
target = "local"
"""


def test_a_project_each_is_refused_beyond_what_may_be_linked_and_described_within(another_cloud, tmp_path, capsys):
    space, teacher = another_cloud.space, another_cloud.account.name
    another_cloud.opened().up()
    names = [f"l{number}" for number in range(5)]
    rows = "".join(f'[[learners]]\nname = "{name}"\nemail = "{name}@example.com"\n' for name in names)
    file = tmp_path / "class.toml"
    file.write_text(OWN + rows, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        classes.plan(space, str(file), teacher)
    assert caught.value.message == (
        "billing account 012345-6789AB-CDEF01 may link 5 projects: it pays for 1, and the class needs 5 more"
    )
    assert "https://support.google.com/code/contact/billing_quota_increase" in caught.value.hint
    assert registry.names(space) == [teacher], "nothing was described"
    file.write_text(OWN + "limit = 6\n" + rows, encoding="utf-8")
    capsys.readouterr()
    classes.plan(space, str(file), teacher)
    said = capsys.readouterr().out
    assert "described 5 accounts: ml2-l0, ml2-l1, ml2-l2, ml2-l3, ..." in said
    assert "gcloud projects create ml2-l0" in said and "--billing-account=012345-6789AB-CDEF01" in said
    assert "next: uv run invoke up --accounts ml2-l0,ml2-l1,ml2-l2,ml2-l3,ml2-l4" in said
    one = registry.load(space, "ml2-l0")
    assert (one.project, one.owner, one.budget) == ("ml2-l0", "user:l0@example.com", 3.0)
    several.up(space, ["ml2-l0", "ml2-l1"], yes=True)
    with pytest.raises(UserError, match="account ml2-l2 is not set up"):
        classes.show_codes(space, str(file), "l2", "")
    capsys.readouterr()
    classes.report(space, str(file), "", "", as_json=True)
    report = {row["name"]: row for row in json.loads(capsys.readouterr().out)["learners"]}
    assert report["l0"] == report["l0"] | {"jobs": 0, "spent": 0, "taken_down": False, "notes": []}
    assert report["l4"]["notes"] == ["not set up"] and report["l4"]["taken_down"] is True
    capsys.readouterr()
    classes.show_codes(space, str(file), "l1", "")
    own = throw_away(tmp_path / "l1")
    learning.join(own, capsys.readouterr().out.split()[1], "")
    mine = registry.load(own, "ml-2")
    assert mine.project == "ml2-l1" and mine.outputs().buckets["models"] == "gs://ml2-l1-models"
    assert mine.learner and not mine.learner.shares
    # Of another class one is not at the same time; the same code again is no mistake.
    learning.join(own, codes.encoded(codes.Invitation(mine.learner, {}, None)), "")
    with pytest.raises(UserError, match="this clone is l1's of class ml-2"):
        learning.join(own, codes.encoded(codes.Invitation(dataclasses.replace(mine.learner, of="ml-3"), {}, None)), "")
