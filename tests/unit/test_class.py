"""class.toml: what is read, what each mistake is told as; codes, seals, and settings with learners in them."""

from __future__ import annotations

import dataclasses
import datetime
import json
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from cloudkite.accounts import membership, settings
from cloudkite.accounts.membership import Membership
from cloudkite.classes import codes, description, ledger, linked, submission, written
from cloudkite.classes.codes import Invitation
from cloudkite.show.errors import BadValue, UserError
from cloudkite.workspace import CLONE, throw_away

SHARED = 'name = "ml-1"\nform = "shared"\nstarts = 2026-09-01\nends = 2026-12-18\naccount = "school"\ncap = 5\n'
OWN = SHARED.replace("shared", "projects").replace('account = "school"\n', "")
PAYS = '[projects]\nprefix = "ml"\nbilling = "012345-6789AB-CDEF01"\n'
KIM = '[[learners]]\nname = "kim"\nemail = "kim@example.com"\n'
LEE = '[[learners]]\nname = "lee"\n'
ID = "1 to 20 lower-case letters, digits and hyphens are needed, starting with a letter"
AMOUNT = "a number above 0 is needed: USD for each learner"
DAY = "a day is needed, like 2026-09-01, without quotation marks"

BAD = [
    ("x", "isn't valid TOML: Expected '=' after a key in a key/value pair (at end of document)"),
    (SHARED, "learners is missing; at least one learner is needed: [[learners]] with a name"),
    (SHARED + "learners = []\n", "learners is []; at least one learner is needed: [[learners]] with a name"),
    (SHARED.replace('"shared"', '"open"') + LEE, "form is 'open'; allowed are trials (each has a free trial of"),
    (SHARED.replace("ml-1", "ML 1") + LEE, "name is 'ML 1'; 2 to 20 lower-case letters, digits and hyphens are needed"),
    (SHARED.replace("2026-09-01", '"2026-09-01"') + LEE, f"starts is '2026-09-01'; {DAY}"),
    (SHARED.replace("2026-09-01", "2026-09-01T08:00:00") + LEE, "starts is datetime.datetime(2026, 9, 1, 8, 0);"),
    (SHARED.replace("2026-12-18", "2026-08-01") + LEE, "ends is 2026-08-01; a day after starts (2026-09-01) is needed"),
    (SHARED.replace("cap = 5", "cap = -1") + LEE, f"cap is -1; {AMOUNT}"),
    (SHARED.replace("cap = 5", 'cap = "5"') + LEE, f"cap is '5'; {AMOUNT}"),
    (SHARED.replace("cap = 5", "cap = inf") + LEE, f"cap is inf; {AMOUNT}"),
    (SHARED.replace("cap = 5\n", "") + KIM, "cap is missing; kim has none either, and could spend what"),
    (SHARED.replace('account = "school"\n', "") + LEE,
     "account is missing; form shared needs the name of the account whose project all share"),
    (SHARED + PAYS + LEE, "projects is given; it goes with form projects alone"),
    (SHARED + 'perod = "month"\n' + LEE, "perod isn't a setting; did you mean period?"),
    (SHARED + 'period = "week"\n' + LEE, "period is 'week'; allowed are month and term"),
    (OWN + LEE, "projects is missing; form projects needs a table [projects] with prefix and billing"),
    (OWN + 'account = "school"\n' + PAYS + LEE, "account is 'school'; it goes with form shared alone"),
    (OWN + PAYS.replace('"ml"', '"machine-learning"') + LEE, "projects.prefix is 'machine-learning'; 2 to 9"),
    (OWN + PAYS.replace("012345-6789AB-CDEF01", "12") + LEE, "projects.billing is '12'; a billing account's"),
    (OWN + PAYS + "limit = 0\n" + LEE, "projects.limit is 0; a whole number from 1 is needed: how many"),
    (OWN + PAYS + 'region = "us-centrl1"\n' + LEE,
     "projects.region is 'us-centrl1'; a region with custom training is needed, did you mean us-central1?"),
    (SHARED + '[[learners]]\nname = "김하늘"\n', f"learners[0].name is '김하늘'; {ID}"),
    (SHARED + '[[learners]]\nname = "../kim"\n', f"learners[0].name is '../kim'; {ID}"),
    (SHARED + KIM + '[[learners]]\nnmae = "lee"\n', "learners[1].name is missing; " + ID),
    (SHARED + '[[learners]]\nname = "kim"\nemail = "kim"\n', "learners[0].email is 'kim'; an e-mail address is needed"),
    (SHARED + LEE + LEE, "learners has the name lee twice; each learner needs one of their own"),
    (SHARED + KIM + KIM.replace('name = "kim"', 'name = "jo"'),
     "learners has the email kim@example.com twice; each learner needs one of their own"),
    (SHARED + LEE + "cap = 0\n", f"learners[0].cap is 0; {AMOUNT}"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), BAD, ids=[told[:50] for _text, told in BAD])
def test_a_mistake_is_told_with_key_value_and_what_is_allowed(text, told):
    with pytest.raises(BadValue) as caught:
        description.parse(text)
    lines = caught.value.message.splitlines()
    assert any(line.removeprefix("class.toml").lstrip(": ").startswith(told) for line in lines), lines
    assert caught.value.hint == "compare with infra/examples/class.toml"
    assert "Traceback" not in caught.value.message


def test_all_mistakes_are_told_at_once():
    with pytest.raises(BadValue) as caught:
        description.parse(SHARED.replace("cap = 5", "cap = 0").replace("ml-1", "M") + LEE + LEE)
    assert len(caught.value.message.splitlines()) == 3


def test_a_file_that_is_none(tmp_path: Path):
    with pytest.raises(BadValue) as caught:
        description.read(tmp_path / "class.toml")
    assert caught.value.message.endswith("class.toml can't be read: No such file or directory")
    (tmp_path / "class.toml").write_bytes(b"\xff\xfe" * 10)
    with pytest.raises(BadValue, match="isn't a text of at most 200 kB"):
        description.read(tmp_path / "class.toml")


def test_the_example_is_one():
    made = description.read(CLONE / "infra" / "examples" / "class.toml")
    assert made.form == "shared" and len(made.learners) == 3


def test_caps_of_learners_and_the_class():
    made = description.parse(SHARED + KIM + "cap = 7.5\n" + LEE)
    assert [made.cap_of(one) for one in made.learners] == [Decimal("7.5"), Decimal(5)]
    assert [one.member for one in made.learners] == ["user:kim@example.com", ""]
    robot = description.parse(SHARED + KIM.replace("kim@example.com", "k@p.iam.gserviceaccount.com"))
    assert robot.learners[0].member == "serviceAccount:k@p.iam.gserviceaccount.com"
    with pytest.raises(BadValue) as caught:
        made.learner("kin")
    assert (caught.value.message, caught.value.hint) == ("class ml-1 has no learner kin", "did you mean kim?")


# --- a learner who leaves


def test_leaving_adds_one_line_and_keeps_all_else(tmp_path: Path):
    path = tmp_path / "class.toml"
    path.write_text(
        f"# our class\n{SHARED}\n{KIM}# the last\n  [[learners]]\n  name = 'lee'  # Lee\n", encoding="utf-8"
    )
    description.leave(path, "lee", datetime.date(2026, 10, 1))
    text = path.read_text(encoding="utf-8")
    assert text.endswith("  name = 'lee'  # Lee\n  left = 2026-10-01\n") and text.startswith("# our class\n")
    made = description.read(path)
    assert [one.name for one in made.present] == ["kim"]


def test_a_file_in_another_shape_is_left_alone(tmp_path: Path):
    path = tmp_path / "class.toml"
    path.write_text(f'{SHARED}learners = [{{name = "lee"}}]\n', encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(UserError) as caught:
        description.leave(path, "lee", datetime.date(2026, 10, 1))
    assert caught.value.hint == 'add a line "left = 2026-10-01" below the name of lee there'
    assert path.read_bytes() == before


# --- how many projects a billing account may link


def test_a_class_that_needs_more_projects_than_may_be_linked_is_refused():
    made = description.parse(OWN + PAYS + "".join(KIM.replace("kim", f"l{i}") for i in range(6)))
    with pytest.raises(UserError) as caught:
        linked.refuse(made, ["another", "ml-l0"])
    assert caught.value.message == (
        "billing account 012345-6789AB-CDEF01 may link 5 projects: it pays for 2, and the class needs 5 more"
    )
    assert caught.value.hint.startswith(
        "ask Google for 7: https://support.google.com/code/contact/billing_quota_increase; once that is granted, "
        "write limit = 7 below [projects]."
    )
    granted = description.parse(OWN + PAYS + "limit = 7\n" + "".join(KIM.replace("kim", f"l{i}") for i in range(6)))
    linked.refuse(granted, ["another", "ml-l0"])
    linked.refuse(made, [f"ml-l{i}" for i in range(6)])  # all are there: nothing is to be linked


# --- codes


MEMBER = Membership("kim", "ml-1", "shared", "ml-1", Decimal("0.30"), "term", datetime.date(2026, 9, 1),
                    datetime.date(2026, 12, 18), "ab" * 32)  # fmt: skip


def test_a_code_says_what_was_put_in():
    one = Invitation(MEMBER, {"gcp:project": "my-project"}, {"schema": 1})
    code = codes.encoded(one)
    assert codes.decoded(code) == one
    assert codes.decoded(f"  {code[:30]}\n{code[30:]}\n") == one  # as mail breaks it
    assert code.isascii() and " " not in code


@pytest.mark.parametrize("spoil", [
    lambda code: code[:-1], lambda code: code[:40] + code[41:], lambda code: code.swapcase().replace("CK1", "ck1"),
    lambda _code: "ck1-", lambda _code: "ck1-aaaa-00000000", lambda code: code + "00",
])  # fmt: skip
def test_a_damaged_code_is_told(spoil):
    with pytest.raises(BadValue) as caught:
        codes.decoded(spoil(codes.encoded(Invitation(MEMBER, {}, None))))
    assert caught.value.message == "the code is damaged: a part of it is missing or was changed"
    assert caught.value.hint.startswith("copy all of it, from ck1- to its end")


@pytest.mark.parametrize("word", ["", "penguins", "ck2-abc-def", "x" * 30_000])
def test_what_is_no_code_is_told(word):
    with pytest.raises(BadValue, match="that isn't a class's code, and no such file exists"):
        codes.decoded(word)


@pytest.mark.parametrize(
    "changes", [{"name": "../kim"}, {"of": "a/b"}, {"account": ".."}, {"form": "\x1b[2J"}, {"name": ""}]
)
def test_a_code_whose_words_would_lead_elsewhere_is_refused(changes):
    spoilt = dataclasses.replace(MEMBER, **changes)
    with pytest.raises(BadValue, match="the code is damaged"):
        codes.decoded(codes.encoded(Invitation(spoilt, {}, None)))


def test_each_learner_has_a_key_of_their_own_that_is_made_of_the_teachers(tmp_path: Path):
    space = throw_away(tmp_path)
    key = codes.key_of(space, "ml-1")
    assert codes.key_of(space, "ml-1") == key != codes.key_of(space, "ml-2")
    assert (space.state / "classes" / "ml-1.key").stat().st_mode & 0o777 == 0o600
    assert codes.learners_key(key, "kim") != codes.learners_key(key, "lee")


def test_who_joined_is_written_down_for_its_owner_alone(tmp_path: Path):
    space = throw_away(tmp_path)
    assert membership.read(space) is None
    membership.write(space, MEMBER)
    assert membership.read(space) == MEMBER
    assert membership.path(space).stat().st_mode & 0o777 == 0o600
    membership.path(space).write_text("{}", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        membership.read(space)
    assert caught.value.hint == "join again: uv run invoke class.join CODE"


@pytest.mark.parametrize("outputs", [None, {}, {"schema": 2}, {"buckets": {"data": "gs://x/../../y"}}])
def test_outputs_of_another_version_are_refused(outputs):
    with pytest.raises(BadValue, match="the code is of another version of this program"):
        written.refuse_bad_outputs(outputs)


# --- the teacher's settings


def test_learners_are_written_into_settings_and_taken_out_again(tmp_path: Path):
    path = tmp_path / "Pulumi.school.yaml"
    path.write_text((CLONE / "infra" / "Pulumi.local.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    made = description.parse(SHARED + KIM + LEE)
    assert written.learners(path, made)
    text = path.read_text(encoding="utf-8")
    assert text == before + (
        "  cloudkite:learners:\n"
        '  - {name: kim, member: "user:kim@example.com"}\n'
        '  cloudkite:learnersUntil: "2026-12-18"\n'
    )
    assert not written.learners(path, made)
    more = description.parse(SHARED + KIM + KIM.replace("kim", "mo") + LEE)
    assert written.learners(path, more)
    assert [one.name for one in settings.check(settings.read(path), "school").learners] == ["kim", "mo"]
    gone = description.parse(SHARED + LEE)
    assert written.learners(path, gone)
    assert path.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("block", [
    "  cloudkite:learners: [{name: jo, member: 'user:jo@example.com'}]\n",
    "  cloudkite:learners:\n    - name: jo\n      member: user:j@a.com\n\n    - name: mo\n      member: user:m@a.com\n",
    "  cloudkite:learners:\n  - name: jo\n    member: user:jo@example.com\n",
])  # fmt: skip
def test_learners_that_a_person_wrote_are_replaced(tmp_path: Path, block: str):
    path = tmp_path / "Pulumi.school.yaml"
    path.write_text(f"config:\n  gcp:project: my-project\n{block}  cloudkite:tier: paid  # ours\n", encoding="utf-8")
    assert written.learners(path, description.parse(SHARED + KIM))
    text = path.read_text(encoding="utf-8")
    assert yaml.safe_load(text)["config"]["cloudkite:learners"] == [{"name": "kim", "member": "user:kim@example.com"}]
    assert "tier: paid  # ours" in text and "jo" not in text


def test_settings_in_a_shape_that_is_not_ours_are_left_alone(tmp_path: Path):
    path = tmp_path / "Pulumi.school.yaml"
    path.write_text('{"config": {"gcp:project": "my-project"}}\n', encoding="utf-8")
    with pytest.raises(UserError) as caught:
        written.learners(path, description.parse(SHARED + KIM))
    assert caught.value.message.startswith("the learners could not be written into ")
    assert '- {name: kim, member: "user:kim@example.com"}' in caught.value.hint
    assert json.loads(path.read_text(encoding="utf-8")) == {"config": {"gcp:project": "my-project"}}


# --- what was submitted


def content(**changes):
    made = {
        "schema": 1, "class": "ml-1", "learner": "kim", "form": "trials", "made": "2026-11-29T10:00:00Z",
        "account": {"where": "google", "project": "0123456789abcdef"},
        "jobs": {"all": 3, "running": 0}, "spent": {"amount": "6.00", "running": "0"}, "taken_down": True,
    }  # fmt: skip
    return {**made, **changes}


def sent(folder: Path, name: str, made, key: bytes = b""):
    own = codes.learners_key(key, made["learner"]) if key else ""
    path = folder / name
    path.write_text(json.dumps({**made, "seal": codes.seal(own, made)}), encoding="utf-8")
    return path


def test_the_newest_sound_file_of_a_learner_counts(tmp_path: Path):
    made, key = (
        description.parse(SHARED.replace("shared", "trials").replace('account = "school"\n', "") + KIM + LEE),
        b"k" * 32,
    )
    files = [
        submission.read(sent(tmp_path, "1.json", content(made="2026-11-28T10:00:00Z"), key), key),
        submission.read(sent(tmp_path, "2.json", content(jobs={"all": 9, "running": 1}), key), key),
        submission.read(sent(tmp_path, "3.json", content(learner="lee")), key),
        submission.read(sent(tmp_path, "4.json", content(learner="mo"), key), key),
        submission.read(sent(tmp_path, "5.json", content(**{"class": "ml-2"}), key), key),
    ]
    rows = ledger.rows(made)
    notes = ledger.submitted(made, files, rows)
    kim, lee = rows["kim"], rows["lee"]
    assert (kim.jobs, kim.running, kim.spent, kim.over, kim.taken_down) == (9, 1, Decimal("6.00"), True, True)
    assert kim.seen == "2026-11-29 10:00" and kim.notes == []
    assert lee.notes == ["the same project as kim", "not signed: joined without a code"]
    assert len([one for one in notes if "of another class, or of no learner of this one" in one]) == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seal": 1}', "[" * 100_000, json.dumps({**content(), "schema": 9}),
                                  json.dumps({**content(), "seal": "x", "jobs": 3})])  # fmt: skip
def test_what_is_no_submission_is_told(tmp_path: Path, text: str):
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadValue) as caught:
        submission.read(tmp_path / "x.json", b"")
    assert caught.value.message.endswith("x.json isn't what a learner submits")
    assert caught.value.hint == "the file that uv run invoke class.submit wrote is needed"


@pytest.mark.parametrize("change", [
    {"spent": {"amount": "0.00"}}, {"taken_down": False}, {"made": "2026-12-01"}, {"learner": "lee"}, {"x": 1},
])  # fmt: skip
def test_each_change_by_hand_is_seen(tmp_path: Path, change):
    key = b"k" * 32
    whole = json.loads(sent(tmp_path, "1.json", content(), key).read_text(encoding="utf-8"))
    (tmp_path / "2.json").write_text(json.dumps({**whole, **change}), encoding="utf-8")
    assert submission.read(tmp_path / "1.json", key).sound
    assert not submission.read(tmp_path / "2.json", key).sound
    assert not submission.read(tmp_path / "1.json", b"another" * 5).sound
