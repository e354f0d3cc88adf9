"""A tiny trainer as a Cloud Run job: refused by Vertex AI's quota, trained, logged, fetched, counted, taken away."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest

from cloudkite.jobs import choosing, earlier, logs, service, submit
from cloudkite.models import fetching
from cloudkite.money import costs, gate, inventory
from cloudkite.show.errors import UserError
from tests.local.place import Place

pytestmark = pytest.mark.slow

RUN = "https://run.googleapis.com/v2"


@pytest.fixture(scope="module")
def place(place: Place, session) -> Place:
    url = f"https://serviceusage.googleapis.com/v1/projects/{place.account.project}/services/run.googleapis.com:enable"
    # Where the API is off, there is nothing in it.
    assert "run" not in {job.place for job in service.search(place.target)}
    assert session.post(url, json={}).ok
    return place


@pytest.fixture(scope="module")
def finished(place: Place) -> tuple[submit.Submitted, list[logs.Event], service.Job]:
    """A job that ran to its end, and what following it gave."""
    made = submit.submit(place.workspace, place.target, place.plan("--epochs", "3", on="run", name="수영 기록 8"))
    events = list(logs.follow(place.target, made))
    return made, events, service.get(place.target, made.id)


def test_where_training_has_no_quota_cloud_run_is_named(place: Place, session) -> None:
    plan = place.plan()
    before = gate.judge(place.target, plan).readings[0].limit
    assert before is not None
    place.set_quota(session, "CustomModelTrainingCPUsPerProjectPerRegion", 0)
    try:
        with pytest.raises(UserError) as refused:
            gate.judge(place.target, plan)
        assert "N1 and E2 vCPUs: needs 4, has 0" in refused.value.message
        assert refused.value.hint.endswith("; until then train on Cloud Run: --on run")
        trial = dataclasses.replace(plan, account=dataclasses.replace(plan.account, tier="trial"))
        with pytest.raises(UserError) as refused:
            gate.judge(place.target, trial)
        assert refused.value.hint == (
            "a trial can't ask for quota: train on Cloud Run (--on run), or upgrade to a paid account"
        )
        there = place.plan(on="run")
        verdict = gate.judge(place.target, there)
        assert {reading.title: (reading.needed, reading.limit) for reading in verdict.readings} == {
            "Cloud Run milli-vCPUs": (4000, 20_000),
            "Cloud Run memory bytes": (8 << 30, 40 << 30),
        }
        place.set_quota(session, "CpuAllocPerProjectRegion", 2000, "run.googleapis.com")
        with pytest.raises(UserError, match="Cloud Run milli-vCPUs: needs 4000, has 2000"):
            gate.judge(place.target, there)
    finally:
        place.set_quota(session, "CustomModelTrainingCPUsPerProjectPerRegion", before)
        place.set_quota(session, "CpuAllocPerProjectRegion", 20_000, "run.googleapis.com")


def test_it_trains_and_says_so(place: Place, finished) -> None:
    _made, events, ended = finished
    assert ended.state == "SUCCEEDED", [e.text for e in events]
    assert (ended.place, ended.name, ended.machine) == ("run", "수영 기록 8", "4cpu-8gb")
    assert ended.trainer == "tiny"
    assert ended.labels["managed-by"] == "cloudkite"
    assert ended.limit_seconds == 3600
    assert ended.restarts == 0
    lines = [e for e in events if e.fields.get("epoch")]
    assert [e.text for e in lines] == [f"epoch {n}/3 loss={1 / n:.2f}" for n in (1, 2, 3)]
    assert {e.task for e in lines} == {"task0"}
    assert lines[-1].progress is not None and lines[-1].progress.epoch == 3
    assert any(e.task == "service" and e.text == "Container called exit(0)." for e in events)
    assert [line.text for line in logs.read(place.target, ended.id) if line.fields.get("epoch")] == [
        e.text for e in lines
    ]
    # At least a minute is charged.
    least = Decimal("0.3168") / 60
    assert ended.cost is not None and abs(ended.cost - least) < Decimal("0.0002")


def test_it_is_found_listed_and_counted_as_any_job(place: Place, finished) -> None:
    made, _events, ended = finished
    on_vertex = place.submit("--epochs", "1")
    try:
        for text in (made.id, "수영 기록 8", made.id[:9], "수영"):
            assert choosing.choose(place.target, text).id == made.id
        newest = service.recent(place.target)
        assert [job.place for job in newest[:2]] == ["vertex", "run"]
        assert choosing.choose(place.target, "tiny", choosing.FETCH).state == "SUCCEEDED"
        with pytest.raises(UserError, match="a job is called 수영 기록 8 already"):
            choosing.refuse_taken(place.target, "수영 기록 8")
        assert made.id in [job.id for job in service.search(place.target, trainer="tiny", states=("SUCCEEDED",))]
        assert service.recent(place.target, trainer="other") == []
        spending = costs.spent(place.target)
        row = next(row for row in spending.rows if row.job.id == made.id)
        assert row.amount == ended.cost
        assert spending.spent.amount >= (ended.cost or 0)
        both = spending.spent.amount + spending.committed.amount
        assert both > (ended.cost or 0)  # with the one on Vertex AI, be it over or not
    finally:
        service.cancel(place.target, on_vertex.id)


def test_its_model_is_fetched_and_learned_on_from(place: Place, finished, tmp_path) -> None:
    _made, _events, ended = finished
    fetched = fetching.fetch(place.target, ended, tmp_path / "model")
    assert fetched.files == 3
    assert (tmp_path / "model" / "saved_model.pb").read_text() == "a,b"
    found = earlier._place(place.target, "수영 기록 8", ())
    assert found.shown == ended.output.rstrip("/")


def test_a_job_that_fails_says_why_and_costs_once(place: Place) -> None:
    made = submit.submit(place.workspace, place.target, place.plan("--fail", "yes", on="run"))
    list(logs.follow(place.target, made))
    ended = service.get(place.target, made.id)
    assert ended.state == "FAILED"
    assert ended.error.endswith("failed with exit code: 1 and message: The container exited with an error.")
    assert any("the trainer failed on purpose" in line.text for line in logs.read(place.target, ended))


def test_what_runs_is_held_cancelled_and_taken_away(place: Place, session) -> None:
    made = submit.submit(place.workspace, place.target, place.plan("--pause", "60", on="run"))
    assert made.active
    assert made.id in {job.id for job in service.running(place.target)}
    spending = costs.spent(place.target)
    assert spending.committed.amount >= Decimal("0.3168")
    standing = [one for one in inventory.take(place.target, everywhere=False).found if one.kind == "Cloud Run job"]
    (runs,) = [one for one in standing if made.id in one.name]
    assert runs.running
    assert runs.monthly == Decimal("0.3168") * inventory.HOURS
    assert all(not one.running and one.monthly == 0 for one in standing if one is not runs)
    service.cancel(place.target, made.id)
    list(logs.follow(place.target, made))
    assert service.get(place.target, made.id).state == "CANCELLED"
    service.cancel(place.target, made.id)  # twice does no harm
    again = submit.submit(place.workspace, place.target, place.plan("--pause", "60", on="run"))
    parent = f"{RUN}/projects/{place.account.project}/locations/{place.account.region}/jobs"
    assert service.forget(place.target) == len(standing) + 1
    assert session.get(parent).json() == {}
    with pytest.raises(UserError):
        service.get(place.target, again.id)
    assert all(job.place != "run" for job in service.search(place.target))
    assert service.forget(place.target) == 0
