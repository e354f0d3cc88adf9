"""Each thing that can be broken: the doctor names that one, and one fix; `--fix` heals what it says it heals."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from cloudkite import engine
from cloudkite.accounts import checkup, local, registry, settings
from cloudkite.check import looks
from cloudkite.engine import cli
from cloudkite.engine.folder import Folder
from cloudkite.journey import doctor
from cloudkite.show.errors import UserError
from cloudkite.workspace import CLONE

pytestmark = pytest.mark.slow
PROJECTS = "https://cloudresourcemanager.googleapis.com/v3/projects"
USAGE = "https://serviceusage.googleapis.com/v1/projects"
BILLING = "https://cloudbilling.googleapis.com/v1"


def look(place, capsys, **options):
    """What the doctor says: {name: look}, and its error and hint, None for all well."""
    capsys.readouterr()
    told = None
    try:
        doctor.doctor(place.space, place.account.name, as_json=True, **options)
    except UserError as problem:
        told = (problem.message, problem.hint, problem.code)
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is (told is None)
    return {one["name"]: one for one in found["looks"]}, told, found


def wrong(found):
    return {name: (one["said"], one["fix"]) for name, one in found.items() if one["verdict"] == "wrong"}


@pytest.fixture(scope="module")
def standing(space, pulumi):
    from tests.engine.conftest import _describe

    made = _describe(space)
    made.up()
    return made


def post(place, url, **body):
    answer = place.target.session().post(url, json=body)
    assert answer.ok, answer.text


def test_all_is_well_with_an_account_that_is_set_up(standing, capsys):
    found, told, _all = look(standing, capsys)
    assert told is None and wrong(found) == {}
    assert set(found) >= {
        "Python", "uv", "git", "Pulumi CLI", "processor", "disk", "memory", "TensorFlow", "account", "sign-in",
        "project", "clock", "billing", "APIs", "permissions", "buckets", "quota", "up",
    }  # fmt: skip
    assert {one["verdict"] for one in found.values()} == {"ok"}
    table = (CLONE / "docs" / "start.md").read_text(encoding="utf-8").split("## What is wrong?")[1]
    told = {name for line in table.splitlines() if line.startswith("| `") for name in re.findall("`(.+?)`", line[:60])}
    assert set(found) == told - {"gcloud", "Pulumi plug-in", "quota project"}  # of accounts on Google
    doctor.doctor(standing.space, standing.account.name)
    assert "APIs          12 of 12 are on" in capsys.readouterr().out.replace("  of", " of")


def test_before_up_nothing_is_wrong_and_what_cannot_be_asked_is_said(place, capsys):
    found, told, _all = look(place, capsys)
    assert told is None
    assert found["account"]["said"] == f"{place.account.name}, not set up yet: uv run invoke up --account " + (
        place.account.name
    )
    assert {name for name, one in found.items() if one["verdict"] == "unknown"} == {
        "project", "billing", "permissions", "buckets", "quota"
    }  # fmt: skip


def test_an_api_that_is_off_is_turned_on_again(standing, capsys):
    name, project = standing.account.name, standing.account.project
    for api in ("aiplatform", "cloudquotas"):
        post(standing, f"{USAGE}/{project}/services/{api}.googleapis.com:disable")
    found, told, _all = look(standing, capsys)
    fix = f"uv run invoke doctor --fix --account {name}"
    assert wrong(found) == {"APIs": ("off: aiplatform, cloudquotas", fix)}
    assert told == ("1 thing is wrong", "--fix fixes these, at no cost: APIs", 1)
    found, told, everything = look(standing, capsys, fix=True)
    assert (told, wrong(found), everything["fixed"], everything["failed"]) == (None, {}, ["APIs"], {})
    assert found["quota"]["verdict"] == "ok"


def test_a_project_that_nobody_pays_for(standing, capsys):
    url = f"{BILLING}/projects/{standing.account.project}/billingInfo"
    assert standing.target.session().put(url, json={"billingAccountName": ""}).ok
    try:
        found, told, _all = look(standing, capsys, fix=True)  # that costs: it is not fixed
        assert wrong(found) == {"billing": (
            f"no billing account is linked to project {standing.account.project}",
            f"gcloud billing projects link {standing.account.project} --billing-account {standing.account.payer}",
        )}  # fmt: skip
        assert told == ("1 thing is wrong", wrong(found)["billing"][1], 1)
    finally:
        body = {"billingAccountName": f"billingAccounts/{standing.account.payer}"}
        assert standing.target.session().put(url, json=body).ok
    assert look(standing, capsys)[1] is None


def test_a_project_that_is_being_deleted(standing, capsys):
    session, project = standing.target.session(), standing.account.project
    assert session.delete(f"{PROJECTS}/{project}").ok
    try:
        found, _told, _all = look(standing, capsys)
        said = f"project {project} is being deleted"
        assert wrong(found) == {"project": (said, f"gcloud projects undelete {project}")}
        assert found["billing"]["said"] == "the project can't be used"
    finally:
        assert session.post(f"{PROJECTS}/{project}:undelete").ok
    assert look(standing, capsys)[1] is None


def test_a_bucket_that_is_gone(place, capsys):
    place.up()
    assert (
        place.target.session().delete(f"https://storage.googleapis.com/storage/v1/b/{place.account.project}-staging").ok
    )
    found, _told, _all = look(place, capsys)
    again = f"uv run invoke up --account {place.account.name}"
    assert wrong(found) == {"buckets": (f"gone: {place.account.project}-staging", again)}
    place.up()
    assert look(place, capsys)[1] is None


def test_a_quota_of_nothing(place, capsys):
    place.up()
    body = {
        "service": "aiplatform.googleapis.com", "quotaId": "CustomModelTrainingCPUsPerProjectPerRegion",
        "dimensions": {"region": "us-central1"}, "quotaConfig": {"preferredValue": "0"},
    }  # fmt: skip
    url = f"https://cloudquotas.googleapis.com/v1/projects/{place.account.project}/locations/global/quotaPreferences"
    post(place, f"{url}?quotaPreferenceId=none&ignoreSafetyChecks=QUOTA_DECREASE_PERCENTAGE_TOO_HIGH", **body)
    found, _told, _all = look(place, capsys)
    assert wrong(found) == {"quota": (
        "N1 and E2 vCPUs in us-central1: 0, a small job needs 4",
        f"uv run invoke account.probe --account {place.account.name}",
    )}  # fmt: skip


def test_a_state_that_is_cut_off(place, capsys):
    place.up()
    Folder(place.account).checkpoint.write_text("{", encoding="utf-8")
    found, _told, _all = look(place, capsys)
    assert list(wrong(found)) == ["account"]
    assert wrong(found)["account"][1] == f"uv run invoke up --account {place.account.name}"
    place.up()
    assert look(place, capsys)[1] is None


def test_settings_that_do_not_fit_who_pays(place, capsys):
    place.up()
    wanted = place.settings(lambda text: text.replace("currency: USD", "currency: KRW"))
    found, _told, _all = look(wanted, capsys)
    assert list(wrong(found)) == ["up"]
    assert found["up"]["fix"].startswith("give the amount in USD")


def test_who_may_not_submit(standing, capsys):
    """As an account of the project with no rights in it."""
    project, email = standing.account.project, f"nobody@{standing.account.project}.iam.gserviceaccount.com"
    iam = f"https://iam.googleapis.com/v1/projects/{project}/serviceAccounts"
    session = standing.target.session()
    post(standing, iam, accountId="nobody")
    key = session.post(f"{iam}/{email}/keys", json={}).json()
    path = standing.account.state / "nobody.json"
    import base64

    path.write_bytes(base64.b64decode(key["privateKeyData"]))
    other = dataclasses.replace(
        standing.target, environment={**standing.target.environment, "GOOGLE_APPLICATION_CREDENTIALS": str(path)}
    )
    found = {one.name: one for one in checkup.look(standing.account, lambda: other)}
    assert found["sign-in"].said == email
    assert found["project"].verdict == "wrong" and email in found["project"].said
    # Who may see it and no more lacks the rest.
    policy = session.post(f"{PROJECTS}/{project}:getIamPolicy", json={}).json()
    policy["bindings"].append({"role": "roles/viewer", "members": [f"serviceAccount:{email}"]})
    post(standing, f"{PROJECTS}/{project}:setIamPolicy", policy=policy)
    found = {one.name: one for one in checkup.look(standing.account, lambda: other)}
    assert found["permissions"].verdict == "wrong"
    assert "aiplatform.customJobs.create" in found["permissions"].said
    assert found["permissions"].fix == (
        f"an owner names them in cloudkite:members and runs: uv run invoke up --account {standing.account.name}"
    )


def test_signed_out_and_without_an_account_this_machine_is_looked_at(space, capsys, monkeypatch, tmp_path):
    for name in ("HOME", "APPDATA", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    registry.add(space, "far", settings.describe("far-away-project"))
    try:
        with pytest.raises(UserError):
            doctor.doctor(space, "far", as_json=True)
        found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["looks"]}
        assert wrong(found)["sign-in"] == (
            "not signed in to Google for account far", "gcloud auth application-default login"
        )  # fmt: skip
        assert found["project"]["said"] == "no one is signed in" and found["Python"]["verdict"] == "ok"
    finally:
        (space.accounts / "Pulumi.far.yaml").unlink()
    with pytest.raises(UserError) as refused:
        doctor.doctor(space, "nosuch")
    assert refused.value.code == 1
    assert "no account is called nosuch" in capsys.readouterr().out


def test_a_trial_that_has_ended(another_cloud, capsys):
    place = another_cloud
    from tests.engine.conftest import _describe

    student = _describe(place.space, tier="trial")
    student = student.settings(lambda text: text)
    engine.up(student.account, student.target)
    local.run(place.space, "clock", "--forward", "91d")
    found, _told, _all = look(student, capsys)
    assert {name: fix for name, (_said, fix) in wrong(found).items()} == {
        "billing": f"uv run invoke local.pay {student.account.name}"
    }


@pytest.mark.parametrize("missing", ["uv", "git"])
def test_a_program_that_is_not_there(missing, space, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {one.name: one for ask in looks.of_machine(space, False)[:1] for one in ask()}
    assert found[missing].verdict == "wrong" and found[missing].said == "not found on PATH"


def test_the_engine_is_got_by_the_fix(space, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CLOUDKITE_PULUMI", raising=False)
    monkeypatch.setenv("CLOUDKITE_TOOLS", str(tmp_path / "tools"))
    [engine_look] = looks._engine(False)
    assert (engine_look.verdict, engine_look.fix) == ("wrong", "uv run invoke doctor --fix")
    assert engine_look.mend is cli.find
    monkeypatch.setenv("CLOUDKITE_PULUMI", str(tmp_path / "none"))
    [engine_look] = looks._engine(False)
    assert engine_look.verdict == "wrong" and "isn't a file" in engine_look.said and engine_look.mend is None


NOW = 1_795_000_000.0
STAMP = "Wed, 18 Nov 2026 11:06:40 GMT"  # of NOW


@pytest.mark.parametrize(
    ("date", "now", "verdict", "said"),
    [
        (STAMP, NOW, "ok", "+0 s against the cloud's"),
        (STAMP, NOW + 60, "ok", "+60 s against the cloud's"),
        (STAMP, NOW + 300, "wrong", "300 s ahead of the cloud's"),
        (STAMP, NOW - 86_400, "wrong", "86400 s behind the cloud's"),
        ("", NOW, "unknown", "the answer has no date"),
        ("yesterday", NOW, "unknown", "the answer has no date"),
    ],
)
def test_this_machines_clock_against_the_clouds(date, now, verdict, said):
    found = checkup.of_clock(date, now)
    assert (found.verdict, found.said) == (verdict, said)
    assert bool(found.fix) == (verdict == "wrong")
