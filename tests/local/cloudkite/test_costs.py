"""What an account cost, beside the local cloud's bill: one of each thing that costs, with hours that pass."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession

from cloudkite.jobs import service, submit
from cloudkite.journey import spending
from cloudkite.money.spent import account as accounts
from cloudkite.money.spent import charge, rows
from cloudkite.money.spent.account import Costs
from cloudkite.show.errors import BadValue
from clouds import PROJECT, LocalCloud, batches, end, started
from clouds.charged import command
from clouds.serving import IMAGE, Api
from localcloud import launch
from tests.local.place import REGION, Place

pytestmark = pytest.mark.slow

PAYER, SEOUL = "0C0575-6789AB-CDEF01", "asia-northeast3"
PLAIN = "local/plain:1"
TRIAL = """
import argparse, json, os, time
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
row = {"timestamp": time.time(), "trial": os.environ["CLOUD_ML_TRIAL_ID"], "accuracy": "1", "global_step": "1"}
with open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "w") as file:
    file.write(json.dumps(row) + chr(10))
"""


@pytest.fixture(scope="module")
def local_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A cloud of one's own whose project is paid in won: hours pass in it, and all that costs is seen."""
    root = tmp_path_factory.mktemp("costs") / "localcloud"
    root.mkdir(mode=0o700)
    (root / "images.json").write_text(json.dumps({IMAGE: {}, PLAIN: {}}), encoding="utf-8")
    cloud = started(root, PROJECT)
    command(cloud, "start", "--project", PROJECT, "--billing-account", f"{PROJECT}={PAYER}:KRW")
    cloud.enable("aiplatform", "run", "storage", "cloudbilling", "artifactregistry", "monitoring")
    yield cloud
    end(root)


@pytest.fixture(scope="module")
def session(local_cloud: LocalCloud) -> Iterator[AuthorizedSession]:
    made = local_cloud.session()
    yield made
    made.close()


@dataclasses.dataclass(frozen=True)
class Scene:
    """What was made, and what it cost, by the price book and by the local cloud's bill at about the same moment."""

    job: service.Job
    run: service.Job
    found: Costs
    bill: dict[str, Any]


@pytest.fixture(scope="module")
def place(place: Place, local_cloud: LocalCloud) -> Place:
    account = dataclasses.replace(place.account, currency="KRW", budget=50_000.0, payer=PAYER)
    space = dataclasses.replace(place.workspace, state=local_cloud.root.parent)  # whose clock it goes by
    target = dataclasses.replace(place.target, account=account, workspace=space)
    return dataclasses.replace(place, account=account, target=target)


@pytest.fixture(scope="module")
def scene(place: Place, local_cloud: LocalCloud, session: AuthorizedSession) -> Scene:
    """One of each, and eight hours pass: a job that runs into its limit, others that ended, an endpoint that stays."""
    api = Api(session)
    launch.control(local_cloud.root, "POST", "/export", {"dataset": f"{PROJECT}.billing"})
    plan = place.plan("--epochs", "1", "--pause", "500", limit="2h")
    plan = dataclasses.replace(plan, max_cost=None, estimate=Decimal("0.3"))
    long = submit.submit(place.workspace, place.target, plan)
    short = submit.submit(place.workspace, place.target, place.plan("--epochs", "2", "--pause", "0.1", on="run"))
    pool = {"machineSpec": {"machineType": "e2-standard-4"}, "replicaCount": 1}
    pool["containerSpec"] = {"imageUri": PLAIN, "command": ["python", "-c", TRIAL]}
    study = {
        "metrics": [{"metricId": "accuracy", "goal": "MAXIMIZE"}],
        "parameters": [{"parameterId": "rate", "doubleValueSpec": {"minValue": 0.1, "maxValue": 1}}],
    }
    body = {"displayName": "theirs", "studySpec": study, "maxTrialCount": 2, "parallelTrialCount": 2,
            "trialJobSpec": {"workerPoolSpecs": [pool]}}  # fmt: skip
    tuning = api.call("POST", "hyperparameterTuningJobs", body)
    model = api.model("costly")
    endpoint = api.endpoint("costly")
    api.deploy(endpoint, model)
    storage = "https://storage.googleapis.com"
    for bucket, location in ((f"{PROJECT}-batch", REGION), (f"{PROJECT}-far", SEOUL)):
        url = f"{storage}/storage/v1/b?project={PROJECT}"
        assert session.post(url, json={"name": bucket, "location": location}).ok
    upload = f"{storage}/upload/storage/v1/b/{PROJECT}-{{}}/o?uploadType=media&name={{}}"
    assert session.post(upload.format("batch", "rows.jsonl"), data=b'"sleep:2"\n').ok
    for _again in range(2):  # the first is deleted softly by the second, and is billed all the same
        assert session.post(upload.format("far", "large"), data=bytes(30_000_000)).ok
    rows_of, to = f"gs://{PROJECT}-batch/rows.jsonl", f"gs://{PROJECT}-batch/out"
    batch = api.call("POST", "batchPredictionJobs", batches.body(model, rows_of, to))
    ended = batches.ended(api, batch)
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    while api.call("GET", tuning["name"])["state"] not in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED"):
        time.sleep(0.2)
    until(place, short, "SUCCEEDED")
    until(place, long, "RUNNING")
    launch.forward(local_cloud.root, 8 * 3600)
    found, bill = both(place, local_cloud)
    return Scene(service.get(place.target, long.id), service.get(place.target, short.id), found, bill)


def both(place: Place, local_cloud: LocalCloud) -> tuple[Costs, dict[str, Any]]:
    """The costs and the bill, of the same half minute: what runs costs more in the next."""
    while True:
        found = accounts.read_costs(place.target)
        bill = launch.control(local_cloud.root, "GET", f"/bill?project={PROJECT}&month={found.month.name}")
        again = accounts.read_costs(place.target)
        if machines(found) == machines(again):
            return found, bill


def machines(found: Costs) -> Decimal:
    return rows.total(row for row in found.rows if row.kind not in (rows.STORAGE, rows.FREE))


def until(place: Place, job: service.Job, state: str) -> None:
    while (now := service.get(place.target, job.id)).state != state:
        assert now.active, now.error
        time.sleep(0.2)


def billed(scene: Scene, service: str, words: str = "", without: str = "Operations") -> Decimal:
    """What the bill has for a service and a SKU, without what `costs` says that it doesn't look at."""
    found = [line for line in scene.bill["lines"] if line["service"] == service and words in line["sku"]]
    return sum((Decimal(line["cost"]) for line in found if without not in line["sku"]), Decimal(0))


def of_kind(found: Costs, *kinds: str) -> list[rows.Row]:
    return [row for row in found.rows if row.kind in kinds]


def row_of(scene: Scene, job: service.Job) -> rows.Row:
    return next(row for row in scene.found.rows if row.ref == job.resource)


def test_costs_and_the_bill_agree(scene: Scene):
    """To the cent in all; a job and what is stored to the won, the smallest amount there is in Korea."""
    found, rate = scene.found, scene.found.rate
    assert rate is not None and (rate.currency, rate.per_dollar) == ("KRW", Decimal("1335.266738"))
    (told,) = scene.bill["other_currencies"]
    apart = abs(found.total - Decimal(scene.bill["total"]))
    assert apart < Decimal("0.005")
    assert abs(rate.of(found.total) - Decimal(told["total"].split()[0].replace(",", ""))) < rate.of(Decimal("0.005"))
    lines = [line for line in scene.bill["lines"] if line["title"] == scene.job.name]
    job = sum((Decimal(line["cost"]) for line in lines), Decimal(0))
    mine = row_of(scene, scene.job)
    assert scene.job.state == "FAILED" and scene.job.billed == 7200  # its limit, and not a moment later
    assert mine.amount is not None and abs(mine.amount - job) < Decimal("0.000001")
    stored = rows.total(of_kind(found, rows.STORAGE)) - charge.free_storage(
        (one, charge.gib_months(one, found.month, found.seen.now)) for one in found.seen.kept
    )
    assert stored > 0 and abs(stored - billed(scene, "Cloud Storage")) < Decimal("0.0002")
    assert round(rate.of(mine.amount + stored)) == round(rate.of(job + billed(scene, "Cloud Storage")))


def test_what_is_free_is_taken_off(scene: Scene):
    """A short job on Cloud Run costs nothing while nothing else uses the free amounts; a minute counts at least."""
    run = row_of(scene, scene.run)
    assert run.job is not None and run.amount is not None and scene.run.hourly is not None
    assert run.job.billed == 60 and run.amount == scene.run.hourly / 60
    free = {row.name: row.amount for row in of_kind(scene.found, rows.FREE)}
    assert free["Cloud Run's free vCPU and GiB seconds"] == -run.amount
    assert billed(scene, "Cloud Run") == 0


def test_nothing_runs_that_is_not_known(scene: Scene):
    """Of each thing that costs there is a row; what Cloudkite did not make is told apart."""
    names = {(row.kind, row.name, row.ours) for row in scene.found.rows}
    job, run = scene.job.name, scene.run.name
    assert {("job", job, True), ("job", run, True), ("tuning", "theirs", False)} <= names
    assert {("endpoint", "costly: costly", False), ("batch prediction", "batch", False)} <= names
    assert ("storage", f"gs://{PROJECT}-far, standard", False) in names
    assert not scene.found.seen.unseen
    charged = {(line["service"], line["resource"], line["title"]) for line in scene.bill["lines"]}
    known = {row.ref.partition("/locations/")[2] for row in scene.found.rows}
    for service_of, resource, title in charged:
        if service_of == "Vertex AI" and not title.startswith("theirs-trial-"):
            assert resource.removeprefix("locations/") in known


def test_what_goes_on_and_what_it_comes_to(scene: Scene):
    (endpoint,) = of_kind(scene.found, rows.ENDPOINTS)
    assert endpoint.hourly is not None
    told = next(one for one in scene.bill["a_day"] if one["title"] == "costly")
    assert abs(endpoint.hourly * 24 - Decimal(told["cost"])) < Decimal("0.0001")
    found, ahead = scene.found, scene.found.forecast
    assert ahead is not None and ahead.unknown == 0 and ahead.pace is not None
    left = (found.month.ends - found.seen.now) / datetime.timedelta(hours=1)
    assert abs(ahead.runs - endpoint.hourly * Decimal(left)) < Decimal("0.001")
    assert ahead.total == ahead.spent + ahead.runs + ahead.stored > found.total


def test_what_the_gate_said_and_what_it_came_to(scene: Scene):
    row = row_of(scene, scene.job)
    assert scene.job.gate == Decimal("0.3619")  # two hours, rounded up
    assert (scene.job.estimate, row.unique) == (Decimal("0.3"), scene.job.output.rstrip("/").rpartition("/")[2])
    assert row.amount is not None and row.amount <= (scene.job.gate or 0)
    assert scene.run.estimate is None and scene.run.gate is not None


def test_a_trial_is_told_as_a_whole_and_other_months_as_far_as_they_are_known(place: Place, scene: Scene):
    began = scene.found.seen.now.date() - datetime.timedelta(days=80)
    account = dataclasses.replace(place.account, trial_started=began, period="trial")
    found = accounts.read_costs(dataclasses.replace(place.target, account=account))
    assert found.whole is not None and found.whole >= found.total > 0
    before = (found.month.begins - datetime.timedelta(days=40)).strftime("%Y-%m")
    old = accounts.read_costs(place.target, before)
    assert (old.total, old.forecast, old.hourly) == (0, None, 0)
    assert any("billing export" in note for note in old.notes)
    with pytest.raises(BadValue, match="has not begun"):
        accounts.read_costs(place.target, "2099-01")


def test_what_is_shown(place: Place, scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """By trainer and by job, in both currencies; as JSON with exact amounts, which add up to the total."""
    monkeypatch.setattr(spending.registry, "load", lambda *_: place.account)
    monkeypatch.setattr(spending, "connect", lambda *_: place.target)
    spending.show(place.workspace)
    out, err = capsys.readouterr()
    assert "1 USD = 1,335.27 KRW of" in out and "trainer tiny" in out and "not Cloudkite's" in out
    assert re.search(r"^tuning jobs +1 +not Cloudkite's +0\.00\d\d USD +\d KRW", out, re.MULTILINE)
    assert "goes on costing" in out and "endpoints, costly: costly" in out
    assert "if nothing new begins" in out and "of the month's budget of 50,000 KRW: " in out
    assert "not in it: network" in err and "--everywhere" in err
    spending.show(place.workspace, by="job")
    out = capsys.readouterr().out
    assert re.search(
        rf"^{scene.job.name} +failed +tiny +0\.3619 USD +0\.3000 USD +0\.3618 USD +483 KRW", out, re.MULTILINE
    )
    spending.show(place.workspace, by="person", as_json=True)
    told = json.loads(capsys.readouterr().out)
    amounts = [Decimal(row["amount"]["usd"]) for row in told["rows"]]
    assert abs(sum(amounts) - Decimal(told["total"]["usd"])) < Decimal("1e-20")
    sums = {by: sum(Decimal(one["amount"]["usd"]) for one in found) for by, found in told["by"].items()}
    assert set(sums) == {"trainer", "tuning", "learner", "person"}
    assert all(abs(one - Decimal(told["total"]["usd"])) < Decimal("1e-20") for one in sums.values())
    with pytest.raises(BadValue, match="--by 'week' isn't one of"):
        spending.show(place.workspace, by="week")


def test_the_bills_own_figures_stand_beside_it(place: Place, scene: Scene, local_cloud: LocalCloud):
    """As far as the export goes, by the job's label and the service; what can't be read is told, and stops nothing."""
    account = dataclasses.replace(place.account, billing_export=f"{PROJECT}.billing")
    there = dataclasses.replace(place.target, account=account)
    launch.forward(local_cloud.root, 14 * 3600)
    found = accounts.read_costs(there, scene.found.month.name)
    bill = found.bill
    assert bill is not None and bill.until is not None and not bill.problem
    assert (bill.source, bill.currency) == (f"{PROJECT}.billing.gcp_billing_export_v1_{PAYER.replace('-', '_')}", "KRW")
    assert bill.until <= found.seen.now - datetime.timedelta(hours=6)
    beside = {(one.kind, one.name): one for one in accounts.compare(found, "job")}
    job, run = (one.output.rstrip("/").rpartition("/")[2] for one in (scene.job, scene.run))
    mine = beside["job", job]
    assert mine.book is not None and abs(mine.bill.gross - mine.book) < Decimal("0.01") and not mine.far
    assert mine.bill.gross > 400 and beside["job", run].bill.gross == 0  # won; and what is free
    assert not beside["job", run].far
    assert beside["storage", ""].bill.gross > 0
    by_trainer = {(one.kind, one.name): one for one in accounts.compare(found, "trainer")}
    assert by_trainer["trainer", "tiny"].bill.gross == mine.bill.gross
    nowhere = dataclasses.replace(account, billing_export=f"{PROJECT}.nothing")
    lost = accounts.read_costs(dataclasses.replace(place.target, account=nowhere)).bill
    assert lost is not None and "test-project.nothing: it has no table" in lost.problem and not lost.lines
