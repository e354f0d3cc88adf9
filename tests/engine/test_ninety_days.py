"""The 90 days of one person's trial and the 30 after them, by the clock: what runs, what stops, what each command says.

Nothing here is told to the account but by its cloud: charges, quotas, messages, time.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import time
from decimal import Decimal

import pytest
import yaml

from catalog import quotas
from cloudkite.accounts import local, registry
from cloudkite.jobs import logs, service, submit
from cloudkite.jobs.plans import Wishes
from cloudkite.journey import ending, probe, results, setup
from cloudkite.money import costs, gate
from cloudkite.show.errors import UserError
from cloudkite.trainers import folders
from tests import trainer_folder
from tests.engine import trials
from tests.engine.conftest import Place

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
mine = trials.mine
NAME = trials.NAME
RUN = "https://run.googleapis.com/v2"
TASK = """\
import os, pathlib, sys

out = pathlib.Path("model")
out.mkdir(exist_ok=True)
print("epoch 1/1 loss=0.5", flush=True)
"""


def no_cpus(place):
    """As on many new trials: no vCPU for training, on Vertex AI."""
    url = f"https://cloudquotas.googleapis.com/v1/projects/{place.account.project}/locations/global/quotaPreferences"
    for meter in {quotas.vcpus(family, False) for family in ("e2", "n2", "n4", "c2", "m1")} - {None}:
        body = {
            "service": quotas.SERVICE, "quotaId": meter.id, "dimensions": {"region": place.account.region},
            "quotaConfig": {"preferredValue": "0"},
        }  # fmt: skip
        name = meter.id[-30:].lower()
        checks = {"ignoreSafetyChecks": "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH", "quotaPreferenceId": name}
        answer = place.target.session().post(url, params=checks, json=body)
        assert answer.ok, answer.text


def forgotten(place):
    """A job on Cloud Run that somebody began by hand, which no gate has seen, and that has our label."""
    session, parent = place.target.session(), f"{RUN}/projects/{place.account.project}/locations/us-central1/jobs"
    container = {
        "image": "local/plain:1", "command": ["python", "-c", "import time; time.sleep(6000)"],
        "resources": {"limits": {"cpu": "8", "memory": "32Gi"}},
    }  # fmt: skip
    account = f"trainer@{place.account.project}.iam.gserviceaccount.com"
    task = {"containers": [container], "serviceAccount": account, "timeout": "604800s", "maxRetries": 0}
    body = {"labels": {"managed-by": "cloudkite"}, "template": {"template": task}}
    for answer in (
        session.post(f"{parent}?jobId=forgotten", json=body),
        session.post(f"{parent}/forgotten:run", json={}),
    ):
        assert answer.ok, answer.text
    name = answer.json()["metadata"]["name"]
    while not session.get(f"{RUN}/{name}").json().get("runningCount"):
        time.sleep(0.05)
    return name


def words(place):
    """What the function that stops has written."""
    wanted = {
        "resourceNames": [f"projects/{place.account.project}"],
        "filter": 'resource.type="cloud_run_revision" AND jsonPayload.message:*', "pageSize": 1000,
    }  # fmt: skip
    answer = place.target.session().post("https://logging.googleapis.com/v2/entries:list", json=wanted)
    return [one["jsonPayload"]["message"] for one in answer.json().get("entries", [])]


def until(true, what):
    """Wait until it is so."""
    ends = time.monotonic() + 60
    while not true():
        assert time.monotonic() < ends, what()
        time.sleep(0.1)


def changed(place, change):
    """The account after `change` of its settings."""
    document = yaml.safe_load(place.account.settings.read_text(encoding="utf-8"))
    change(document["config"])
    place.account.settings.write_text(yaml.safe_dump(document), encoding="utf-8")
    account = registry.load(place.space, NAME)
    return Place(place.space, account, dataclasses.replace(place.target, account=account))


def test_from_the_first_day_to_the_deletion(mine, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space, began = mine.space, mine.account.trial_started
    (space.localcloud / "images.json").write_text(json.dumps({"local/plain:1": {}}), encoding="utf-8")
    ends = began + datetime.timedelta(days=90)

    # Day 0. What can it run? No CPUs for training, no GPU on a trial; Cloud Run has some.
    no_cpus(mine)
    capsys.readouterr()
    probe.probe(space, NAME)
    can = capsys.readouterr().out.splitlines()[0]
    assert can.startswith("laptop yes · cloud CPU no (0, needs 4) · GPU no (trial)")
    assert can.endswith("Cloud Run jobs yes")

    # The job that training has no quota for is refused, with Cloud Run as the way on, and runs there.
    trainer_folder.make(space, "tiny", task=TASK)
    trainer = folders.find(space, "tiny")
    with pytest.raises(UserError) as refused:
        gate.judge(mine.target, submit.plan(mine.account, trainer, Wishes()))
    assert refused.value.hint == (
        "a trial can't ask for quota: train on Cloud Run (--on run), or upgrade to a paid account"
    )
    plan = submit.plan(mine.account, trainer, Wishes(on="run", max_cost="0.10", image="local/plain:1"))
    assert plan.worst_case <= Decimal("0.10")
    gate.judge(mine.target, plan)
    job = submit.submit(space, mine.target, plan)
    lines = [event.text for event in logs.follow(mine.target, job)]
    assert "epoch 1/1 loss=0.5" in lines, lines
    assert service.get(mine.target, job.id).state == "SUCCEEDED"
    assert 0 < costs.spent(mine.target).spent.amount < Decimal("0.10")

    # More quota can't be had on a trial: said before anybody is asked.
    more = [{"cpus": "n1", "value": 8, "request": True}]
    with pytest.raises(UserError, match="a trial account can't ask for more quota"):
        changed(mine, lambda config: config.update({"cloudkite:quotas": more}))
    with pytest.raises(UserError, match="a trial account can't ask for more quota"):
        setup.up(space, NAME, yes=True)

    # Day 1: stops are opted into, and a job is forgotten that the gate never saw. At 90 % it is ended, once.
    def stop(config):
        del config["cloudkite:quotas"]
        config["cloudkite:stops"] = {"jobs": True}

    stopped = changed(mine, stop)
    setup.up(space, NAME, yes=True)
    trials.put(stopped, "models", 1)
    execution = forgotten(stopped)
    local.run(space, "clock", "--forward", "2h")
    assert [line for line in words(stopped) if "%" in line] == []
    local.run(space, "clock", "--forward", "20h")
    session = stopped.target.session()
    until(lambda: session.get(f"{RUN}/{execution}").json().get("cancelledCount"), lambda: words(stopped))
    until(lambda: any(line.startswith("90 %") for line in words(stopped)), lambda: words(stopped))
    for stage in ("50 %", "90 %"):
        assert len([line for line in words(stopped) if line.startswith(f"{stage} of the budget")]) == 1

    # Day 76: each command says how many days are left.
    trials.forward(space, (began + datetime.timedelta(days=76) - stopped.target.now().date()).days)
    capsys.readouterr()
    results.list_jobs(space, NAME)
    told = capsys.readouterr().err
    assert f"14 days of the free trial of account {NAME} are left, until {ends}: then all stops." in told

    # Day 91: it is closed. Nothing runs, and what it holds can't be read.
    trials.forward(space, 15)
    capsys.readouterr()
    with pytest.raises(UserError):
        results.list_jobs(space, NAME)
    assert f"the free trial of account {NAME} ended on {ends}: nothing runs" in capsys.readouterr().err
    with pytest.raises(UserError, match=f"nothing of account {NAME} can be saved while its billing account is closed"):
        ending.end(space, NAME, confirmed=NAME)

    # Day 122: what it held is deleted, and the account is one to forget.
    trials.forward(space, 31)
    with pytest.raises(UserError, match="can be saved any more: its data, models, jobs and images are deleted"):
        ending.end(space, NAME, confirmed=NAME)
    counts = json.loads(local.run(space, "status", "--json"))["counts"]
    assert (counts["buckets"], counts["objects"]) == (0, 0)
