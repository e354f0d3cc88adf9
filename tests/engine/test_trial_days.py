"""A free trial by the clock of its cloud: what each command says on which day, its end, the grace, and the deletion."""

from __future__ import annotations

import dataclasses
import datetime
import json
import time

import pytest

from cloudkite import engine
from cloudkite.accounts import local, registry, trial
from cloudkite.jobs.plans import Wishes
from cloudkite.journey import data, ending, outlook, results, setup, teardown, training
from cloudkite.journey import trial as told
from cloudkite.show.errors import UserError
from tests.engine import trials

pytestmark = pytest.mark.slow

mine = trials.mine
NAME, described, forward, put = trials.NAME, trials.described, trials.forward, trials.put

COMMANDS = {
    "up": lambda space: setup.up(space, NAME, yes=True),
    "up --preview": lambda space: setup.up(space, NAME, look=True),
    "jobs": lambda space: results.list_jobs(space, NAME),
    "jobs --json": lambda space: results.list_jobs(space, NAME, as_json=True),
    "logs": lambda space: results.show_logs(space, NAME, ""),
    "cancel": lambda space: results.cancel(space, NAME, ""),
    "fetch": lambda space: results.fetch(space, NAME, ""),
    "quota": lambda space: outlook.show_quotas(space, NAME),
    "data.list": lambda space: data.list_stored(space, NAME),
    "data.pull": lambda space: data.pull(space, "tiny", NAME),
    "train": lambda space: training.train(space, "tiny", NAME, Wishes(gpu="t4")),
    "down": lambda space: teardown.down(space, NAME),
    "account.end": lambda space: ending.end(space, NAME),
}
# The day, and what each command says on it.
DAYS = {
    75: "",
    76: "14 days of the free trial of account mine are left, until {ends}: then all stops. Upgrade: uv run invoke "
    "local.pay mine, or save data and models: uv run invoke account.end --account mine",
    89: "1 day of the free trial of account mine is left, until {ends}: then all stops. Upgrade: uv run invoke "
    "local.pay mine, or save data and models: uv run invoke account.end --account mine",
    90: "the free trial of account mine ended on {ends}: nothing runs, and what it holds can't be read. Upgrade within "
    "30 days, or Google deletes it from {deletes} on: uv run invoke local.pay mine",
    91: "the free trial of account mine ended on {ends}: nothing runs, and what it holds can't be read. Upgrade within "
    "29 days, or Google deletes it from {deletes} on: uv run invoke local.pay mine",
    119: "the free trial of account mine ended on {ends}: nothing runs, and what it holds can't be read. Upgrade "
    "within 1 day, or Google deletes it from {deletes} on: uv run invoke local.pay mine",
    121: "the free trial of account mine ended on {ends}, and its 30 days of grace on {deletes}: Google deletes what "
    "it held, and nothing can be saved any more. uv run invoke account.add describes another account",
}


def test_what_every_command_says_on_which_day(mine, capsys):
    before, started = 0, mine.account.trial_started
    ends = started + datetime.timedelta(days=trial.DAYS)
    for day, said in DAYS.items():
        forward(mine.space, day - before)
        before = day
        wanted = said.format(ends=ends, deletes=ends + datetime.timedelta(days=trial.GRACE))
        for name, command in COMMANDS.items():
            capsys.readouterr()
            failed = ""
            try:
                command(mine.space)
            except UserError as error:
                failed = error.message
            out, err = capsys.readouterr()
            lines = [line for line in err.splitlines() if "free trial of account" in line]
            assert lines == ([wanted] if wanted else []), (day, name)
            assert "free trial of account" not in out, (day, name)
            if name == "jobs --json" and day < 90:
                assert json.loads(out) == []
            if day >= 90 and name not in ("quota", "up --preview"):  # those that need no paid API may answer
                assert failed, (day, name)


def test_up_asks_the_cloud_when_the_trial_began_and_remembers_it_beside_the_comments(mine):
    text = mine.account.settings.read_text(encoding="utf-8")
    assert text.count("cloudkite:trialStarted") == 1
    assert mine.account.trial_started == mine.target.now().date()
    setup.up(mine.space, NAME, trial_started="2026-01-02")
    assert registry.load(mine.space, NAME).trial_started == datetime.date(2026, 1, 2)
    assert mine.account.settings.read_text(encoding="utf-8").count("cloudkite:trialStarted") == 1


def test_at_a_terminal_a_person_is_asked_with_the_projects_day_as_the_proposal(mine, monkeypatch, capsys):
    """As on Google, where a project may be younger than its trial."""
    account = dataclasses.replace(mine.account, target="google", trial_started=None)
    on_google = dataclasses.replace(mine.target, account=account)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answers, asked, today = iter(["soon", ""]), [], mine.target.now().date()
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or next(answers))
    told.settle_start(mine.space, on_google, may_ask=True)
    question = "on which day did the free trial begin? Billing > Credits shows its end, 90 days later"
    assert asked == [f"{question} [{today}]: "] * 2
    assert capsys.readouterr().err == (
        f"error: 'soon' isn't a day on which the trial may have begun\n\nhint: a day until today, such as {today}\n"
    )
    assert registry.load(mine.space, NAME).trial_started == today


def test_without_a_terminal_it_is_said_that_nobody_knows(mine, capsys):
    account = dataclasses.replace(mine.account, target="google", trial_started=None)
    on_google = dataclasses.replace(mine.target, account=account)
    before = mine.account.settings.read_text(encoding="utf-8")
    assert told.settle_start(mine.space, on_google, may_ask=True) is on_google
    told.tell_unknown_start(on_google)
    assert capsys.readouterr().err.splitlines() == [
        "it isn't known when the free trial of account mine began, so its end isn't announced: uv run invoke up "
        f"--account mine --trial-started {mine.target.now().date()}"
    ]
    assert mine.account.settings.read_text(encoding="utf-8") == before


def test_a_paid_account_has_no_trial(mine):
    text = mine.account.settings.read_text(encoding="utf-8").replace("cloudkite:tier: trial", "cloudkite:tier: paid")
    mine.account.settings.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as refused:
        setup.up(mine.space, NAME, trial_started="2026-11-29")
    assert refused.value.message == "--trial-started is for accounts on a free trial, and mine is described as paid"
    assert (refused.value.hint, refused.value.code) == ("leave --trial-started out", 2)


@pytest.mark.parametrize("text", ["soon", "2026-13-01", "2999-01-01", "1999-01-01"])
def test_a_day_on_which_no_trial_can_have_begun(mine, text):
    with pytest.raises(UserError) as refused:
        setup.up(mine.space, NAME, trial_started=text)
    assert refused.value.message == f"{text!r} isn't a day on which the trial may have begun"
    assert refused.value.hint == f"a day until today, such as {mine.target.now().date()}"
    assert refused.value.code == 2


def test_the_credit_that_is_used_up_closes_early_and_is_told_by_all(mine, capsys):
    """Charged by another program's machines, of which only the billing account tells."""
    (mine.space.localcloud / "images.json").write_text(json.dumps({"local/plain:1": {}}), encoding="utf-8")
    container = {"imageUri": "local/plain:1", "command": ["python", "-c", "import time; time.sleep(600)"]}
    pool = {"machineSpec": {"machineType": "n1-standard-96"}, "replicaCount": 1, "containerSpec": container}
    session, base = mine.target.session(), "https://us-central1-aiplatform.googleapis.com/v1"
    jobs = f"{base}/projects/cloudkite-mine/locations/us-central1/customJobs"
    answer = session.post(jobs, json={"displayName": "x", "jobSpec": {"workerPoolSpecs": [pool]}})
    assert answer.ok, answer.text
    while session.get(f"{base}/{answer.json()['name']}").json()["state"] != "JOB_STATE_RUNNING":
        time.sleep(0.1)
    results.list_jobs(mine.space, NAME)  # seen open today
    local.run(mine.space, "clock", "--forward", "70h")
    today = mine.target.now().date()
    capsys.readouterr()
    with pytest.raises(UserError):
        results.list_jobs(mine.space, NAME)
    deletes = today + datetime.timedelta(days=30)
    said = (
        f"the free trial of account mine was seen closed on {today} (is its credit used up?): nothing runs, and what "
        f"it holds can't be read. Upgrade within 30 days, or Google deletes it from {deletes} on: uv run invoke "
        "local.pay mine"
    )
    assert capsys.readouterr().err.splitlines()[0] == said
    forward(mine.space, 2)
    with pytest.raises(UserError):
        results.list_jobs(mine.space, NAME)
    assert f"seen closed on {today}" in capsys.readouterr().err  # the day stays
    assert trial.by_days(mine.account, mine.target.now().date()).phase is trial.Phase.CLOSED


def test_a_refusal_on_a_day_on_which_it_was_seen_open_makes_the_next_command_look(mine, capsys):
    results.list_jobs(mine.space, NAME)
    url = "https://cloudbilling.googleapis.com/v1/projects/cloudkite-mine/billingInfo"
    kept = json.loads(mine.account.trial_file.read_text(encoding="utf-8"))
    assert kept == {"day": mine.target.now().date().isoformat(), "closed": None}
    assert mine.target.session().put(url, json={"billingAccountName": ""}).ok
    with pytest.raises(UserError):
        results.list_jobs(mine.space, NAME)
    assert not mine.account.trial_file.exists()


def test_an_upgrade_within_the_grace_is_seen(mine, capsys):
    put(mine, "data")
    forward(mine.space, 100)
    with pytest.raises(UserError):
        results.list_jobs(mine.space, NAME)
    local.run(mine.space, "upgrade", "cloudkite-mine")
    capsys.readouterr()
    results.list_jobs(mine.space, NAME)
    assert capsys.readouterr().err.splitlines()[0] == (
        "account mine is described as a free trial, whose 90 days are over, and its billing account is open: it was "
        f"upgraded. Set cloudkite:tier to paid in {mine.account.settings}"
    )
    names = [blob.name for blob in mine.target.storage().list_blobs("cloudkite-mine-data")]
    assert names == ["x/0.csv", "x/1.csv", "x/2.csv"]
    forward(mine.space, 300)
    assert len(list(mine.target.storage().list_blobs("cloudkite-mine-data"))) == 3


def test_the_list_of_accounts_says_how_many_days_are_left(mine, capsys):
    rows = {}
    for days, short, left in ((0, "trial, 90 days left", 90), (89, "trial, 1 day left", 1), (2, "trial, closed", 0)):
        forward(mine.space, days)
        capsys.readouterr()
        setup.list_accounts(mine.space)
        assert short in capsys.readouterr().out
        setup.list_accounts(mine.space, as_json=True)
        [rows] = json.loads(capsys.readouterr().out)
        assert rows["trial_days_left"] == left
    assert rows["trial_started"] == mine.account.trial_started.isoformat()


def test_the_credit_that_is_left_is_called_an_estimate(mine, capsys):
    capsys.readouterr()
    setup.up(mine.space, NAME)
    assert (
        "credit of the trial: about 300.00 USD of 300 USD left (an estimate: jobs that Cloudkite started, without "
        "storage, network and tax; no billing export is read)"
    ) in capsys.readouterr().out.splitlines()


# account.end


def saved(folder):
    """What a person put there; beside it are copies of what `up` made, and the record of what was fetched."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if ".cloudkite" not in name)


DATA = ["data/x/0.csv", "data/x/1.csv", "data/x/2.csv"]


def test_an_account_is_ended_once_and_again(mine, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    put(mine, "data")
    put(mine, "models", 1)
    forward(mine.space, 80)
    with pytest.raises(UserError) as refused:
        ending.end(mine.space, NAME)
    assert refused.value.message == "this ends account mine: its data and models are deleted once they are saved"
    assert (refused.value.hint, refused.value.code) == ("add --confirm mine", 2)
    with pytest.raises(UserError, match="'other' isn't the account's name"):
        ending.end(mine.space, NAME, confirmed="other")
    assert not (tmp_path / "mine-saved").exists()
    capsys.readouterr()
    ending.end(mine.space, NAME, confirmed=NAME)
    out = capsys.readouterr().out
    assert "first saved to mine-saved: " in out and " for the download" in out
    assert engine.left(mine.account) == []
    assert saved(tmp_path / "mine-saved") == [*DATA, "models/x/0.csv"]
    ends = mine.account.trial_started + datetime.timedelta(days=90)
    tail = [
        "nothing is left of what `up` made",
        "nothing in the project costs a cent a month",
        "data and models are in mine-saved",
        "account mine is ended: nothing that `up` made is left",
        f"to go on, upgrade: uv run invoke local.pay mine (the trial ends on {ends}); then uv run invoke up --account "
        "mine",
        "to leave, close the billing account: https://console.cloud.google.com/billing/012345-6789AB-CDEF01/manage",
        "and delete the project: uv run invoke account.end --account mine --delete-project",
    ]
    assert out.splitlines()[-7:] == tail
    ending.end(mine.space, NAME)  # nobody is asked where nothing goes
    assert capsys.readouterr().out.splitlines()[-7:] == tail
    assert saved(tmp_path / "mine-saved")[:3] == DATA
    forward(mine.space, 20)
    capsys.readouterr()
    ending.end(mine.space, NAME)  # after the closing: it was done in time
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("account mine was ended on ") and lines[0].endswith(
        ", in time: it held nothing when the trial closed"
    )
    assert lines[1] == "to leave, there is nothing more to do"


def test_what_can_not_be_saved_any_more(mine, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    put(mine, "data")
    forward(mine.space, 90)
    ends = mine.account.trial_started + datetime.timedelta(days=90)
    deletes = ends + datetime.timedelta(days=30)
    with pytest.raises(UserError) as refused:
        ending.end(mine.space, NAME, confirmed=NAME)
    assert refused.value.message == (
        "nothing of account mine can be saved while its billing account is closed: its data, models, jobs and images "
        f"are deleted from {deletes} on"
    )
    assert refused.value.hint == (
        "upgrade before: uv run invoke local.pay mine; then run the same command again. To leave, there is nothing to "
        "do"
    )
    forward(mine.space, 31)
    with pytest.raises(UserError) as refused:
        ending.end(mine.space, NAME, confirmed=NAME)
    assert refused.value.message == (
        "nothing of account mine can be saved any more: its data, models, jobs and images are deleted"
    )
    assert refused.value.hint == "describe another account: uv run invoke account.add"
    status = json.loads(local.run(mine.space, "status", "--json"))["counts"]
    assert (status["buckets"], status["objects"]) == (0, 0)
    assert not (tmp_path / "mine-saved").exists()


def test_an_upgrade_in_the_grace_lets_all_be_saved_after_all(mine, tmp_path):
    put(mine, "data")
    forward(mine.space, 110)
    with pytest.raises(UserError):
        ending.end(mine.space, NAME, save=tmp_path / "kept", confirmed=NAME)
    local.run(mine.space, "upgrade", "cloudkite-mine")
    ending.end(mine.space, NAME, save=tmp_path / "kept", confirmed=NAME)
    assert saved(tmp_path / "kept")[:3] == DATA


def test_interrupted_in_the_middle_it_goes_on_and_loses_nothing_that_was_saved(mine, tmp_path, monkeypatch, capsys):
    """The engine fails when buckets are emptied already in part: what was saved before is not replaced by the rest."""
    monkeypatch.chdir(tmp_path)
    put(mine, "data")
    local.run(mine.space, "fault", "pulumi.storage.Bucket.delete", "--code", "403", "--times", "0")
    with pytest.raises(UserError):
        ending.end(mine.space, NAME, confirmed=NAME)
    assert saved(tmp_path / "mine-saved")[:3] == DATA
    mine.target.storage().bucket("cloudkite-mine-data").blob("x/1.csv").delete()  # as a deletion that was cut off does
    local.run(mine.space, "fault", "--clear")
    other = tmp_path / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)  # it goes on where it began to save
    capsys.readouterr()
    ending.end(mine.space, NAME, confirmed=NAME)
    assert saved(tmp_path / "mine-saved")[:3] == DATA
    assert not list(other.iterdir())
    assert engine.left(registry.load(mine.space, NAME)) == []
    assert "account mine is ended: nothing that `up` made is left" in capsys.readouterr().out


def test_killed_at_every_stage_the_same_command_goes_on(mine, tmp_path):
    put(mine, "data")
    folder = tmp_path / "kept"
    for words in ("fetching", "delete BucketIAMMember", "delete Bucket ", ""):
        with mine.process("end", str(folder)) as run:
            for line in run.stdout:
                if words and words in line:
                    run.kill()
                    break
            run.communicate()
    assert run.returncode == 0
    assert saved(folder)[:3] == DATA
    assert engine.left(registry.load(mine.space, NAME)) == []


def test_new_data_never_replace_what_is_only_in_the_folder(mine, tmp_path):
    put(mine, "data")
    folder = tmp_path / "kept"
    local.run(mine.space, "fault", "pulumi.storage.Bucket.delete", "--code", "403", "--times", "0")
    with pytest.raises(UserError):
        ending.end(mine.space, NAME, save=folder, confirmed=NAME)
    local.run(mine.space, "fault", "--clear")
    bucket = mine.target.storage().bucket("cloudkite-mine-data")
    bucket.blob("x/1.csv").delete()
    bucket.blob("x/new.csv").upload_from_string("new")
    with pytest.raises(UserError) as refused:
        ending.end(mine.space, NAME, save=folder, confirmed=NAME)
    assert "has 1 file that gs://cloudkite-mine-data has no longer: it is not replaced" in refused.value.message
    assert refused.value.hint == "save to another folder: --save DIR"
    assert saved(folder)[:3] == DATA
    ending.end(mine.space, NAME, save=tmp_path / "second", confirmed=NAME)
    assert saved(tmp_path / "second")[:3] == ["data/x/0.csv", "data/x/2.csv", "data/x/new.csv"]


def test_what_others_made_is_left_and_told_and_goes_with_the_project(mine, tmp_path, capsys):
    session = mine.target.session()
    bucket = {"name": "cloudkite-mine-other", "location": "EU"}
    url = "https://storage.googleapis.com"
    assert session.post(f"{url}/storage/v1/b", params={"project": "cloudkite-mine"}, json=bucket).ok
    big = {"uploadType": "media", "name": "big"}
    upload = f"{url}/upload/storage/v1/b/cloudkite-mine-other/o"
    assert session.post(upload, params=big, data=bytes(500_000_000)).ok
    with pytest.raises(UserError) as refused:
        ending.end(mine.space, NAME, save=tmp_path / "kept", confirmed=NAME)
    assert refused.value.hint == (
        "remove what others made, or the whole project: uv run invoke account.end --account mine --delete-project"
    )
    capsys.readouterr()
    ending.end(mine.space, NAME, save=tmp_path / "kept", confirmed=NAME, delete_project=True, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["project_deleted"], told["left"], told["standing"]) == (True, [], [])
    ending.end(mine.space, NAME)
    today = mine.target.now().date()
    assert capsys.readouterr().out == (
        f"project cloudkite-mine is being deleted since {today}: gcloud projects undelete cloudkite-mine brings it "
        "back\n"
    )
