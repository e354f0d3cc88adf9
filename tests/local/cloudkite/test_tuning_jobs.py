"""A tiny trainer tuned by tuning jobs of the local cloud: refused, tried, watched, found again, counted, ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cloudkite.jobs import choosing, logs, service
from cloudkite.jobs.job import Wanted
from cloudkite.jobs.places import tuning
from cloudkite.journey import results
from cloudkite.models import fetching
from cloudkite.money import costs, gate, inventory, measured, reservations
from cloudkite.show.errors import UserError
from cloudkite.tuning import google
from cloudkite.tuning.study import Study, Try, Wishes
from localcloud import launch
from tests.local.place import Place
from tests.local.tuned import SPACE, killed, prepare, tune, tuned

pytestmark = pytest.mark.slow

CPUS = "CustomModelTrainingCPUsPerProjectPerRegion"


@pytest.fixture(scope="module")
def place(place: Place) -> Iterator[Place]:
    made = tuned(place)
    with pytest.MonkeyPatch.context() as patch:
        prepare(made, patch)
        yield made


@pytest.fixture(scope="module")
def study(place: Place) -> list[Try]:
    """Four tries that ran to their end, one of them in vain."""
    return tune(place, "--break", "2", name="first")


def of_tuning(place: Place) -> list[service.Job]:
    return list(tuning.search(place.target, Wanted(trainer="tuned")))


def ended(place: Place, job: service.Job) -> service.Job:
    while (now := service.get(place.target, job)).active:
        time.sleep(0.2)
    return now


def test_all_tries_are_told_with_what_they_tried_and_cost(place: Place, study: list[Try], local_cloud: Any) -> None:
    (job,) = of_tuning(place)
    assert (job.name, job.state, job.place, job.parallel) == ("first", "SUCCEEDED", "tuning", 2)
    assert job.tries == {"all": 4, "done": 3, "failed": 1}
    assert job.labels["tuning"] == "first" and job.labels["managed-by"] == "cloudkite" and job.labels["started-by"]
    assert [(one.number, one.state) for one in study] == [(1, "done"), (2, "failed"), (3, "done"), (4, "done")]
    assert "exited with a non-zero status of 1" in study[1].why and study[1].metric is None
    for one in study:
        assert one.values["units"] in (32, 64) and isinstance(one.values["units"], int)
        assert 0.0001 <= float(one.values["rate"]) <= 0.01 and one.values["model"] in ("wide", "mlp")
        assert one.output == f"{job.output}{one.number}/"
        if one.state == "done":
            expected = min(float(one.values["rate"]) * 50, 0.5) + int(one.values["units"]) / 200
            assert one.metric == pytest.approx(expected)
    # The local cloud's own ledger, of these very jobs.
    bill = launch.control(local_cloud.root, "GET", f"/bill?project={place.account.project}")
    ran = {run.id for run in tuning.look(place.target, job.id).runs.values()}
    billed = sum(Decimal(line["cost"]) for line in bill["lines"] if line["resource"].rpartition("/")[2] in ran)
    assert job.cost is not None and job.cost == sum(one.cost for one in study if one.cost) == job.worst_case
    assert job.hourly is not None and abs(job.hourly * job.billed / 3600 - job.cost) < Decimal("0.0001")
    assert len(ran) == 4 and abs(billed - job.cost) < Decimal("0.0005") < billed


def test_jobs_logs_costs_and_fetch_know_it(place: Place, study: list[Try]) -> None:
    (job,) = of_tuning(place)
    assert choosing.choose(place.target, "first").id == job.id == service.get(place.target, job.id).id
    assert choosing.choose(place.target, job.id).place == "tuning"
    assert job.id in [one.id for one in service.search(place.target, name="first")]
    assert measured.of_trainer(place.target, "tuned").runs == ()  # the tries did different things
    assert [row.amount for row in costs.spent(place.target).rows if row.job.id == job.id] == [job.cost]
    lines = [line for line in logs.read(place.target, job) if line.attempt == "3" and line.fields.get("epoch")]
    assert [line.shown for line in lines] == ["try 3: epoch 1/2", "try 3: epoch 2/2"]
    best = Study("first", "tuned", "google", SPACE, Wishes(), "", "", tries=tuple(study)).best
    assert best and best.metric == max(one.metric for one in study if one.metric is not None)
    folder = results.fetch_job(place.workspace, place.target, job)
    assert float((folder / "saved_model.pb").read_text()) == pytest.approx(best.values["rate"])
    with pytest.raises(UserError, match="left no model"):  # the folder of all tries has none of its own
        fetching.fetch(place.target, job, folder.parent / "none")


def test_the_same_again_starts_nothing_and_more_tries_only_what_is_missing(
    place: Place, study: list[Try], capsys: pytest.CaptureFixture[str]
) -> None:
    again = tune(place, "--break", "2", tries=3)
    said = capsys.readouterr().out
    assert len(of_tuning(place)) == 1 and len(again) == 4
    assert "study first ended as SUCCEEDED on" in said and "with 3 of 3 tries (3 done, 1 failed)" in said
    assert "nothing is missing, and nothing is started" in said
    more = tune(place, "--break", "2", quiet=True, name="first")
    told = capsys.readouterr()
    assert "a new job would make the 1 try that is missing" in told.err and not told.out
    assert [one.number for one in more] == [1, 2, 3, 4, 5] and more[-1].state == "done"
    newest = of_tuning(place)[0]
    assert (newest.name, newest.tries) == ("first-2", {"all": 1, "done": 1})
    with pytest.raises(UserError, match="study first was begun with other code, data, arguments or another") as other:
        tune(place, "--break", "3", name="first")
    assert other.value.hint == "--name first-2 begins another one"


def test_what_is_too_dear_or_too_much_at_once_is_refused_with_what_fits(place: Place, session: Any) -> None:
    month = costs.spent(place.target)
    used = float(month.spent.amount + month.committed.amount)
    each = google.planned(place.plan(), SPACE, "x", "m", 12, 3, "", "").each
    before = len(of_tuning(place))
    with pytest.raises(UserError, match="this job may cost 2") as told:
        tune(place, tries=12, parallel=3, budget=used + 8.5 * float(each))
    assert told.value.hint == "8 of 12 tries fit what is left of the budget: --tries 8"
    limit = gate.judge(place.target, place.plan()).readings[0].limit
    assert limit is not None
    place.set_quota(session, CPUS, 9)
    try:
        with pytest.raises(UserError, match=r"needs 12, has 9") as short:
            tune(place, tries=12, parallel=3)
        assert short.value.hint == "--parallel 2 fits: the tries take longer, and cost the same"
    finally:
        place.set_quota(session, CPUS, limit)
    assert len(of_tuning(place)) == before


@pytest.mark.parametrize("stage", ["reserved", "created", "followed"])
def test_a_command_that_is_killed_is_gone_on_with_by_the_next(
    place: Place, stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"killed-{stage}"
    killed(place, tmp_path, stage, name)
    left = [job for job in of_tuning(place) if job.labels["tuning"] == name]
    assert len(left) == (0 if stage == "reserved" else 1)
    if stage == "reserved":  # what it reserved counts for ten minutes at most, and no job is there that is paid for
        tight = float(costs.spent(place.target).spent.amount) + 0.8
        with pytest.raises(UserError, match=r"are for jobs that \S+ is submitting now"):
            tune(place, "--pause", "1.5", name=name, budget=tight)
        bucket = place.target.storage().bucket(place.account.outputs().buckets["staging"].removeprefix("gs://"))
        bucket.blob(reservations.NAME).delete()
    tries = tune(place, "--pause", "1.5", name=name)
    said = capsys.readouterr().out
    (job,) = [job for job in of_tuning(place) if job.labels["tuning"] == name]
    # The last may be stopped early, for the three before it are done.
    assert job.state == "SUCCEEDED" and len(tries) == 4 and {one.state for one in tries} <= {"done", "pruned"}
    followed = f"study {name} runs already, as job {name}: it is followed, and nothing new is started"
    assert (followed in said) == (stage != "reserved")


def test_it_is_cancelled_by_its_name_and_counts_while_it_runs(place: Place) -> None:
    tune(place, "--pause", "60", name="stopped", tries=3, follow=False)
    (job,) = [job for job in service.running(place.target) if job.name == "stopped"]
    each = google.planned(place.plan(), SPACE, "x", "m", 3, 2, "", "").each
    assert job.worst_case is not None and abs(job.worst_case - each * 3) < Decimal("0.001")
    assert costs.spent(place.target).committed.amount >= job.worst_case
    while service.get(place.target, job).tries.get("running", 0) < 2:
        time.sleep(0.3)
    (listed,) = [one for one in inventory.take(place.target).found if one.name.startswith("stopped ")]
    assert listed.running and listed.kind == "tuning job"
    tries = google.find(place.target, "tuned", "stopped", job.labels[google.SPACE]).tries
    assert [one.state for one in tries] == ["running", "running"] and all(one.cost for one in tries)
    service.cancel(place.target, choosing.choose(place.target, "stopped", choosing.CANCEL))
    over = ended(place, job)
    assert over.state == "CANCELLED" and over.tries == {"all": 3, "killed": 2}
    assert over.worst_case == over.cost and over.cost
    assert job.id not in [one.id for one in service.running(place.target)]
    service.cancel(place.target, over)  # twice does no harm
    with pytest.raises(UserError, match="no try of stopped has succeeded"):
        results.fetch_job(place.workspace, place.target, over)
