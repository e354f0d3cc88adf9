"""`down` looks at the project itself: what it says goes, stays and costs is so, and the budget stays while it costs."""

from __future__ import annotations

import dataclasses
import time

import pytest

from cloudkite.engine import state
from cloudkite.jobs import body, service
from cloudkite.jobs.places import vertex
from cloudkite.journey import teardown
from cloudkite.show.errors import UserError
from tests.jobs import SPEC

pytestmark = pytest.mark.slow
WATCHES = {"Budget", "NotificationChannel", "AlertPolicy"}


def kinds(place) -> set[str]:
    return {one.kind for one in place.left()}


def tuning(place) -> service.Job:
    """A tuning job, two tries of which run and would for an hour."""
    study = {
        "metrics": [{"metricId": "accuracy", "goal": "MAXIMIZE"}],
        "parameters": [{"parameterId": "units", "discreteValueSpec": {"values": [32, 64]}}],
    }
    outputs = place.account.outputs()
    spec = dataclasses.replace(
        SPEC, name="tuned", image="python:3.11", service_account=outputs.trainer, place="tuning", study=study, tries=4,
        parallel=2, output=f"{outputs.buckets['models']}/penguins/tuned/",
    )  # fmt: skip
    made = body.tuning_body(spec)
    container = made["trialJobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    container |= {"command": ["python", "-c", "import time; time.sleep(3600)"], "args": []}
    assert place.target.session().post(vertex.url(place.target, "hyperparameterTuningJobs"), json=made).ok
    while True:
        (job,) = service.running(place.target)
        if job.tries.get("running") == 2:
            return job
        time.sleep(0.2)


def test_the_budget_stays_as_long_as_something_costs(place, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    place.up()
    session, project = place.target.session(), place.account.project
    logs = f"https://logging.googleapis.com/v2/projects/{project}/locations/global/buckets"
    assert session.post(logs, params={"bucketId": "kept"}, json={"retentionDays": 400}).ok
    bucket = f"{project}-models"
    upload = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o?uploadType=media&name=model.keras"
    assert session.post(upload, data=b"x" * 2000).ok

    with pytest.raises(UserError):  # nobody to agree: but all is shown
        teardown.down(place.space, place.account.name)
    shown = capsys.readouterr().out
    before, costs = shown.split("what goes on costing; the budget and its alerts stay with it")
    assert "delete   Budget" not in before and "delete   Repository" in before
    assert "kept" in costs and "keeps logs for 400 days" in costs
    assert kinds(place) > WATCHES | {"Bucket", "Repository"}

    teardown.down(place.space, place.account.name, yes=True)
    assert kinds(place) >= WATCHES and "Repository" not in kinds(place)
    first = capsys.readouterr().out
    assert "what is in the project and costs" in first and "keeps logs for 400 days" in first

    teardown.down(place.space, place.account.name, yes=True)  # twice in a row says the same
    second = capsys.readouterr().out
    assert "nothing to remove" in second
    assert second.split("left on purpose")[1] == first.split("left on purpose")[1]

    assert place.up().failures == ()
    assert place.preview().changes == ()
    assert session.delete(f"{logs}/kept").ok
    job = tuning(place)
    capsys.readouterr()
    teardown.down(place.space, place.account.name, yes=True)
    assert not WATCHES & kinds(place)
    shown = capsys.readouterr().out
    assert "jobs that are cancelled first: tuned" in shown and "cancelled job tuned" in shown
    assert "nothing in the project costs a cent a month" in shown
    ended = service.get(place.target, job)
    assert ended.state == "CANCELLED" and ended.tries == {"all": 4, "killed": 2} and service.running(place.target) == []

    assert place.up().failures == ()
    saved = tmp_path / "saved"
    teardown.down(place.space, place.account.name, everything=True, save=saved, confirmed=place.account.name)
    assert (saved / "models" / "model.keras").read_bytes() == b"x" * 2000
    shown = capsys.readouterr().out
    row = next((line for line in shown.splitlines() if f"gs://{bucket}" in line), shown)
    assert "3 objects" in row and "kB" in row  # the model, and copies of the state and the settings
    assert place.left() == []
    assert "nothing is left of what `up` made" in shown


def test_what_stays_for_its_own_sake():
    def row(kind, **more):
        return {"type": kind, "urn": kind, **more}

    data, budget = row("gcp:storage/bucket:Bucket", protect=True), row("gcp:billing/budget:Budget", protect=True)
    assert state.stays(data, everything=False, watched=False)
    assert not state.stays(data, everything=True, watched=True)
    assert not state.stays(budget, everything=False, watched=False)  # protected by an earlier `down`
    assert state.stays(budget, everything=True, watched=True)
