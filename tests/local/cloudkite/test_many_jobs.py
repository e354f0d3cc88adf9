"""Several jobs by one command on the local cloud: as many as the budget holds, waited for, watched, compared."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from cloudkite import desktop
from cloudkite.check import steps
from cloudkite.jobs import service, submit
from cloudkite.jobs.places import regions
from cloudkite.jobs.plans import Wishes
from cloudkite.jobs.together import following
from cloudkite.journey import comparing, many, results, training, watching
from cloudkite.money import costs, gate
from cloudkite.show.errors import BadValue, UserError
from infra.logs import JOB_FAILED
from localcloud import launch
from tests.local.place import Place, make_trainer

pytestmark = pytest.mark.slow  # jobs are processes, with an environment of their own


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The messages that would be on the desktop."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(desktop, "available", lambda: True)
    monkeypatch.setattr(desktop, "tell", lambda title, text: bool(found.append((title, text))))
    return found


@pytest.fixture(autouse=True)
def ours(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The commands work with the place's account, and take its trainers for checked: they declare next to nothing."""
    for module in (many, watching, results, comparing):
        monkeypatch.setattr(module.registry, "load", lambda *_: place.account)
        monkeypatch.setattr(module, "connect", lambda *_: place.target)
    monkeypatch.setattr(steps, "passed", lambda *_: True)
    monkeypatch.setattr(training, "environment", lambda *_: None)
    monkeypatch.setattr("cloudkite.trainers.arguments.refuse_bad", lambda *_: None)
    yield
    for job in service.running(place.target):
        service.cancel(place.target, job.id)
    while service.running(place.target):  # else what they may cost is set free in the midst of the next test
        time.sleep(0.1)


def train(place: Place, *names: str, words: str = "--epochs 1", **options: Any) -> None:
    wishes = Wishes(image="python:3.11", arguments=tuple(words.split()), name=options.pop("name", ""))
    many.train(place.workspace, names, "", wishes, **options)


def limited(place: Place, monkeypatch: pytest.MonkeyPatch, jobs: float) -> None:
    """Leave the budget room for so many jobs of an hour."""
    month = costs.spent(place.target)
    used = float(month.spent.amount + month.committed.amount)
    budget = used + float(place.plan().worst_case) * jobs
    account = dataclasses.replace(place.account, budget=budget)
    for module in (many, watching, results, comparing):
        monkeypatch.setattr(module.registry, "load", lambda *_: account)
    monkeypatch.setattr(many, "connect", lambda *_: dataclasses.replace(place.target, account=account))


def of_trainer(place: Place, trainer: str = "tiny") -> dict[str, service.Job]:
    return {job.name: job for job in service.search(place.target, trainer=trainer)}


def test_what_the_budget_does_not_hold_together_is_told_and_none_starts(place, monkeypatch, capsys):
    limited(place, monkeypatch, 2.5)
    before = set(of_trainer(place))
    with pytest.raises(UserError) as refused:
        train(place, "tiny", seeds="3")
    assert refused.value.message == ("these 3 jobs may cost 0.54 USD together, and what is free holds only the first 2")
    assert refused.value.hint == "--limit 40m fits for all of them; or start fewer"
    assert set(of_trainer(place)) == before
    assert "staged" not in capsys.readouterr().out


def test_seeds_are_followed_together_compared_and_not_computed_twice(place, capsys):
    train(place, "tiny", seeds="0,7", name="pair")
    said = capsys.readouterr().out
    assert said.count("staged   gs://") == 1
    assert "2 jobs in us-central1, at most 0.36 USD together, each up to 1h 00m" in said
    for name in ("pair-seed-0", "pair-seed-7"):
        assert f"{name}: SUCCEEDED after " in said
    assert "2 jobs: 2 SUCCEEDED; " in said
    assert "next: uv run invoke jobs --compare pair-seed-0 pair-seed-7" in said
    jobs = of_trainer(place)
    assert jobs["pair-seed-7"].arguments[-2:] == ("--seed", "7")
    assert jobs["pair-seed-0"].labels["content"] != jobs["pair-seed-7"].labels["content"]

    train(place, "tiny", seeds="7,8", name="pair")  # as if it had been killed after the first
    said = capsys.readouterr().out
    assert "pair-seed-7: job pair-seed-7 has computed the same already; --again computes it anew" in said
    assert set(of_trainer(place)) - set(jobs) == {"pair-seed-8"}

    comparing.compare(place.workspace, "", ["pair-seed-0", "pair-seed-7"], as_json=True)
    first, second = json.loads(capsys.readouterr().out)
    assert (first["parameters"]["seed"], second["parameters"]["seed"]) == ("0", "7")
    assert first["content"] == second["content"] != ""
    assert first["lacks"] == "its model has no trainer.json" and first["cost"] > 0
    comparing.compare(place.workspace, "", ["pair-seed-0", "pair-seed-7"])
    told = capsys.readouterr()
    rows = [line.split() for line in told.out.splitlines() if line.strip()]
    assert [row[0] for row in rows if row[0] in ("seed", "epochs")] == ["seed", "epochs"], "what differs comes first"
    assert "pair-seed-0 has no metrics: its model has no trainer.json" in told.err
    comparing.compare(place.workspace, "", ["pair-seed-0", "pair-seed-7"], as_csv=True)
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["seed"] for row in table] == ["0", "7"] and table[0]["state"] == "SUCCEEDED"


def leave_facts(place: Place, job: service.Job, accuracy: float) -> None:
    """What a trainer of ours writes beside its model."""
    told = {
        "metrics": {"accuracy": accuracy},
        "rows": {"training": 300, "held_out": 44},
        "run": {"options": {"batch": 32}},
    }
    bucket, _slash, base = job.output.removeprefix("gs://").partition("/")
    blob = place.target.storage().bucket(bucket).blob(f"{base}model/assets.extra/trainer.json")
    blob.upload_from_string(json.dumps(told))


def test_metrics_and_rows_are_compared(place, capsys):
    train(place, "tiny", seeds="21,22", name="told", words="--epochs 1 --rate 0.1")
    jobs = of_trainer(place)
    for name, accuracy in (("told-seed-21", 0.91), ("told-seed-22", 0.89)):
        leave_facts(place, jobs[name], accuracy)
    capsys.readouterr()
    comparing.compare(place.workspace, "", ["told-seed-21", "told-seed-22"])
    lines = {row.split("  ")[0]: row.split()[-2:] for row in capsys.readouterr().out.splitlines() if row.strip()}
    assert lines["accuracy"] == ["0.91", "0.89"]
    assert (
        lines["rows, training"] == ["300", "300"] and lines["batch"] == ["32", "32"] and lines["rate"] == ["0.1", "0.1"]
    )
    with pytest.raises(UserError, match="two jobs or more can be compared, not 1"):
        comparing.compare(place.workspace, "", ["told-seed-21"])


def test_one_that_is_refused_stops_no_other_and_one_that_fails_is_told(place, monkeypatch, capsys, shown):
    make_trainer(place.workspace.trainers / "other")
    create, made = submit.create, []

    def failing(workspace: Any, target: Any, plan: Any, *rest: Any) -> Any:
        made.append(plan.trainer.name)
        if len(made) == 1:
            raise UserError("the service refused it", "try later")
        return create(workspace, target, plan, *rest)

    monkeypatch.setattr(submit, "create", failing)
    with pytest.raises(UserError) as refused:
        train(place, "tiny", "other", words="--epochs 1 --fail yes", notify=True)
    assert made == ["tiny", "other"]
    assert refused.value.message.startswith("1 of 1 jobs did not succeed: other-")
    assert refused.value.message.endswith("; others were not submitted: the service refused it")
    assert refused.value.code == 1
    said = capsys.readouterr().out
    assert "tiny: not submitted: the service refused it" in said and ": FAILED after" in said
    ((title, text),) = shown
    assert title.startswith("job other-") and title.endswith(" failed") and "exited with a non-zero status" in text


def test_a_command_that_is_interrupted_or_killed_goes_on_with_those_that_are_missing(place, monkeypatch, capsys):
    create, made = submit.create, []

    def killed(*given: Any) -> Any:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(create(*given))
        return made[-1]

    words = "--epochs 1 --pause 30"
    monkeypatch.setattr(submit, "create", killed)
    with pytest.raises(UserError) as cut:
        train(place, "tiny", seeds="31,32,33", words=words, follow=False)
    assert (cut.value.message, cut.value.code) == ("interrupted: 2 of 3 jobs were submitted and go on", 130)
    monkeypatch.setattr(submit, "create", create)
    capsys.readouterr()
    train(place, "tiny", seeds="31,32,33", words=words, as_json=True)
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert [job["arguments"][-1] for job in found["jobs"]] == ["33"]
    assert [job["id"] for job in found["already"]] == [job.id for job in made] and found["refused"] == []
    assert told.err.count("computes the same and runs already") == 2
    train(place, "tiny", seeds="31,32", words=words, as_json=True, again=True)
    assert len(json.loads(capsys.readouterr().out)["jobs"]) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no fork; there the label does the same")
def test_a_command_that_is_killed_between_two_submissions_submits_nothing_twice(place, monkeypatch, capsys):
    words = "--epochs 1 --pause 20"
    child = os.fork()
    if not child:
        own = dataclasses.replace(place.target)  # connections of its own
        many.connect = lambda *_: own  # type: ignore[assignment]
        create, count = submit.create, []

        def dies(*given: Any) -> Any:
            if len(count) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            count.append(create(*given))
            return count[-1]

        submit.create = dies
        try:
            train(place, "tiny", seeds="41,42,43", words=words, follow=False)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    capsys.readouterr()
    train(place, "tiny", seeds="41,42,43", words=words, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert [job["arguments"][-1] for job in found["jobs"]] == ["43"] and len(found["already"]) == 2
    seeds = [job.arguments[-1] for job in service.running(place.target)]
    assert sorted(seeds) == ["41", "42", "43"]


def test_waiting_ends_with_the_jobs_and_tells_which_failed(place, capsys, shown):
    good, bad = place.submit("--epochs", "2"), place.submit("--epochs", "1", "--fail", "yes")
    with pytest.raises(UserError) as failed:
        watching.wait(place.workspace, "", [], notify=True)
    assert failed.value.message == f"1 of 2 jobs did not succeed: {bad.name}" and failed.value.code == 1
    assert failed.value.hint == f"uv run invoke logs --job {bad.id}"
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert {line.split(" after ")[0] for line in lines[:2]} == {f"{good.name}: SUCCEEDED", f"{bad.name}: FAILED"}
    assert lines[2].startswith("2 jobs: ") and len(lines) == 3 and told.err == ""
    assert [title for title, _text in shown] == [f"job {bad.name} failed"]
    watching.wait(place.workspace, "", [good.name])
    assert capsys.readouterr().out.startswith(f"{good.name}: SUCCEEDED after ")
    watching.wait(place.workspace, "", [], trainer="tiny")
    assert capsys.readouterr().out == "no job runs\n"


def test_waiting_has_a_limit_and_outlives_a_network_that_is_gone(place, monkeypatch, capsys):
    job = place.submit("--epochs", "1", "--pause", "30")
    began = time.monotonic()
    with pytest.raises(UserError, match=f"1 job still goes on after 2s: {job.name}"):
        watching.wait(place.workspace, "", [job.name], limit="2s")
    assert 2 <= time.monotonic() - began < 20
    monkeypatch.setattr("cloudkite.accounts.api._PAUSES", ())
    proxy = place.target.environment["https_proxy"]
    place.target.session().proxies.update({"https": "http://127.0.0.1:9", "http": "http://127.0.0.1:9"})
    looked: list[following.Look] = []
    try:
        for look in following.looks(place.target, [job], longest=0.5):
            looked.append(look)
            if len(looked) == 2:
                place.target.session().proxies.update({"https": proxy, "http": proxy})
            if not look.problem:
                break
    finally:
        place.target.session().proxies.update({"https": proxy, "http": proxy})
    assert looked[0].problem and looked[0].jobs == (job,), "what was known is still known"
    assert not looked[-1].problem
    monkeypatch.setattr(following, "OUTAGE", -1)
    place.target.session().proxies.update({"https": "http://127.0.0.1:9", "http": "http://127.0.0.1:9"})
    try:
        with pytest.raises(UserError) as gone:
            next(following.looks(place.target, [job]))
    finally:
        place.target.session().proxies.update({"https": proxy, "http": proxy})
    assert gone.value.hint == "the jobs go on without this command: uv run invoke wait"
    capsys.readouterr()


def test_progress_of_several_is_read_at_once(place):
    jobs = [place.submit("--epochs", "50", "--pause", "0.3"), place.submit("--epochs", "40", "--pause", "0.3")]
    until = time.monotonic() + 60
    found: dict[str, Any] = {}
    while len(found) < 2 and time.monotonic() < until:
        time.sleep(0.3)
        found = following.progress_of(place.target, following.states(place.target, jobs))
    assert {found[job.id].epochs for job in jobs} == {40, 50}


def test_the_list_that_is_watched_tells_what_changes(place, monkeypatch, capsys, shown):
    job = place.submit("--epochs", "1", "--fail", "yes")
    seen: list[str] = []

    def pause(_quiet: float, _longest: float) -> float:
        seen.append(service.get(place.target, job.id).state)
        if seen[-1] == "FAILED" and seen.count("FAILED") > 2:
            raise KeyboardInterrupt
        return 0.1

    monkeypatch.setattr(following, "pause", pause)
    results.list_jobs(place.workspace, "", trainer="tiny", watch=True, notify=True)
    lines = [line for line in capsys.readouterr().out.splitlines() if job.name in line]
    assert ": FAILED after " in lines[-1] and 2 <= len(lines) <= 4
    assert [title for title, _text in shown] == [f"job {job.name} failed"]
    with pytest.raises(BadValue, match="--watch and --json exclude each other"):
        results.list_jobs(place.workspace, "", watch=True, as_json=True)


def test_the_accounts_policy_tells_by_mail_of_a_job_that_failed(place, local_cloud, session):
    """The policy as infra/logs.py makes it, and a job whose end the service itself reports."""
    url, project = "https://monitoring.googleapis.com/v3/projects", place.account.project
    service_url = f"https://serviceusage.googleapis.com/v1/projects/{project}/services/monitoring.googleapis.com"
    assert session.post(f"{service_url}:enable", json={}).ok
    channel = {"type": "email", "labels": {"email_address": "me@example.com"}}
    named = session.post(f"{url}/{project}/notificationChannels", json=channel).json()["name"]
    condition = {"filter": JOB_FAILED, "labelExtractors": {"job": "EXTRACT(resource.labels.job_id)"}}
    policy = {
        "displayName": "A training job failed", "combiner": "OR", "notificationChannels": [named],
        "conditions": [{"displayName": "x", "conditionMatchedLog": condition}],
        "alertStrategy": {"notificationRateLimit": {"period": "300s"}},
        "documentation": {"subject": "Training job ${log.extracted_label.job} failed"},
    }  # fmt: skip
    assert session.post(f"{url}/{project}/alertPolicies", json=policy).ok
    good, bad = place.submit("--epochs", "1"), place.submit("--epochs", "1", "--fail", "yes")
    with pytest.raises(UserError):
        watching.wait(place.workspace, "", [good.name, bad.name])
    until, subject = time.monotonic() + 10, f"Training job {bad.id} failed"
    while subject not in (told := [one["subject"] for one in launch.control(local_cloud.root, "GET", "/bill")["mail"]]):
        assert time.monotonic() < until, told
        time.sleep(0.1)
    assert f"Training job {good.id} failed" not in told


@pytest.fixture
def elsewhere(place: Place, session: Any) -> Iterator[Place]:
    """The place with another region, as `up` makes it for cloudkite:alsoIn, and no T4 left at home."""
    outputs = place.account.outputs()
    home, other = outputs.buckets["models"], f"{outputs.buckets['models']}-us-west1"
    storage, name = "https://storage.googleapis.com/storage/v1", other.removeprefix("gs://")
    made = session.post(f"{storage}/b?project={place.account.project}", json={"name": name, "location": "us-west1"})
    assert made.ok
    policy = session.get(f"{storage}/b/{home.removeprefix('gs://')}/iam").json()
    assert session.put(f"{storage}/b/{name}/iam", json={"bindings": policy["bindings"]}).ok
    found = dataclasses.replace(place.account, also=("us-west1",), state=place.account.state / "elsewhere")
    found.state.mkdir()
    told = json.loads((place.account.state / "outputs.json").read_text(encoding="utf-8"))
    told["buckets"] |= {"models-us-west1": other}
    (found.state / "outputs.json").write_text(json.dumps(told), encoding="utf-8")
    quotas = f"https://cloudquotas.googleapis.com/v1/projects/{place.account.project}/locations/global/quotaPreferences"
    preference = {
        "service": "aiplatform.googleapis.com", "quotaId": "CustomModelTrainingT4GPUsPerProjectPerRegion",
        "dimensions": {"region": "us-central1"}, "quotaConfig": {"preferredValue": "0"},
    }  # fmt: skip
    lowered = session.post(
        f"{quotas}?quotaPreferenceId=t4-at-home&ignoreSafetyChecks=QUOTA_DECREASE_PERCENTAGE_TOO_HIGH", json=preference
    )
    assert lowered.ok, lowered.text
    yield dataclasses.replace(place, account=found, target=dataclasses.replace(place.target, account=found))
    back = {**preference, "quotaConfig": {"preferredValue": "12"}}
    assert session.patch(f"{quotas}/t4-at-home", json=back).ok


def test_a_job_goes_where_its_quota_is_with_the_way_of_its_data_in_the_price(place, elsewhere, session):
    wishes = Wishes(gpu="t4", limit="30m", rehearse=True, image="python:3.11", arguments=("--epochs", "1"))
    with pytest.raises(UserError, match="the quota in us-central1 is too small") as refused:
        gate.judge(elsewhere.target, submit.plan(elsewhere.account, elsewhere.trainer, wishes))
    assert (refused.value.hint or "").endswith("or --also looks in us-west1")
    with pytest.raises(BadValue, match="account jobs-sub has no other region"):
        regions.choose(place.target, place.trainer, wishes)
    plan = regions.choose(elsewhere.target, elsewhere.trainer, wishes)
    assert plan.region == "us-west1" and plan.transfer == Decimal("0.0001")
    assert any(note.startswith("it reads 8 B from us-central1: at most 0.0001 USD for the way") for note in plan.notes)
    assert any("us-central1: the quota in us-central1 is too small" in note for note in plan.notes)
    gate.judge(elsewhere.target, plan)
    job = submit.submit(place.workspace, elsewhere.target, submit.on_this_machine(place.workspace, plan))
    assert job.region == "us-west1" and job.output.startswith(elsewhere.account.outputs().buckets["models-us-west1"])
    home = submit.submit(place.workspace, elsewhere.target, place.plan("--epochs", "1"))
    (*ended,) = list(following.looks(elsewhere.target, [job, home], longest=0.5))[-1].jobs
    assert [(one.region, one.state) for one in ended] == [("us-west1", "SUCCEEDED"), ("us-central1", "SUCCEEDED")]
    found = [one.id for one in service.recent(elsewhere.target, trainer="tiny", most=2)]
    assert found == [home.id, job.id], "both regions in one list, the newest first"
    assert {row.job.id for row in costs.spent(elsewhere.target).rows} >= {home.id, job.id}
    service.cancel(elsewhere.target, job.id)  # it has ended: nothing happens
    nothing = dataclasses.replace(wishes, gpu="t4", gpus=4, workers=4)
    with pytest.raises(
        UserError, match=r"no region of account jobs-sub has what the job needs: us-central1: .*us-west1: "
    ):
        regions.choose(elsewhere.target, elsewhere.trainer, nothing)


def test_a_job_that_waits_for_a_gpu_is_priced_judged_and_told(place, local_cloud, capsys):
    with pytest.raises(BadValue, match=r"Google queues jobs for L4, A100, .* not for T4"):
        place.plan(gpu="t4", queue="6h")
    plan = place.plan("--epochs", "1", gpu="l4", queue="6h", limit="30m", rehearse=True)
    assert [need.meter.title for need in plan.needs()] == ["spot vCPUs", "spot L4"]
    with pytest.raises(UserError, match=r"the quota in us-central1 is too small \(.*spot L4: needs 1, has 0\)"):
        gate.judge(place.target, plan)
    plan = place.plan("--epochs", "1", gpu="a100", queue="6h", limit="30m", rehearse=True)
    gate.judge(place.target, plan)
    launch.control(local_cloud.root, "POST", "/stockouts", {"region": "us-central1", "accelerator": plan.accelerator})
    try:
        job = submit.submit(place.workspace, place.target, submit.on_this_machine(place.workspace, plan))
        while (now := service.get(place.target, job.id)).state == "QUEUED":
            time.sleep(0.1)
        assert (now.state, now.cost) == ("PENDING", 0)
        assert now.waits_until is not None and round((now.waits_until - now.created).total_seconds()) == 6 * 3600
        results.list_jobs(place.workspace, "", trainer="tiny", states=["pending"])
        assert f"queued, waits until {now.waits_until:%m-%d %H:%M} UTC" in capsys.readouterr().out
    finally:
        launch.control(local_cloud.root, "DELETE", "/faults")
    watching.wait(place.workspace, "", [job.name])
    lines = launch.control(local_cloud.root, "GET", "/bill")["lines"]
    (line,) = [one for one in lines if f"on {plan.machine.name} " in one["sku"]]
    assert line["sku"].startswith("Vertex AI: Training"), "as the gate counted it: on demand"
