"""`report JOB`: a job on the local cloud, whose model and logs are brought here, with what it cost.

And how fast it was: `prices penguins`.
"""

from __future__ import annotations

import pytest

from cloudkite.jobs import logs, service, submit
from cloudkite.jobs.plans import Wishes
from cloudkite.journey import reporting
from cloudkite.models.evaluating import pages
from cloudkite.money import measured
from cloudkite.trainers import folders, making
from tests.local.place import Place

pytestmark = pytest.mark.slow


def test_a_jobs_model_is_asked_about_what_it_held_out(place: Place):
    making.new(place.workspace, "penguins")
    trainer = folders.find(place.workspace, "penguins")
    plan = submit.plan(place.account, trainer, Wishes(arguments=("--epochs", "3")))
    made = submit.submit(place.workspace, place.target, plan)
    said = [event.text for event in logs.follow(place.target, made)]
    job = service.get(place.target, made.id)
    assert job.state == "SUCCEEDED", "\n".join(said)
    run = reporting.of_job(place.workspace, place.target, made.name)
    assert run.model and run.model.is_relative_to(place.workspace.state) and run.job
    report = reporting.look(place.workspace, run, place.target)
    (part,) = report.parts
    assert all(one.same for one in part.compared) and part.compared
    assert sorted(report.curves.values["loss"]["validation"]) == [1, 2, 3]
    # The file here is what the job was sent, by its hash: nothing was downloaded but the model and the logs.
    assert [file.name for file in report.data] == ["penguins.csv"] and not report.data_changed
    assert report.repeat == (
        f"uv run invoke train penguins --machine {job.machine} --limit {job.limit_seconds // 60}m -- "
        "--validation 0.2 --test 0.0 --epochs 3 --model mlp --layers 2 --units 64 --rate 0.005 --seed 0"
    )
    rows = dict(pages.cost(report))
    assert rows["job"] == f"{job.name} ({job.id}), SUCCEEDED" and job.region in rows["machine"]
    assert rows["estimate"].startswith("at most ") and rows["cost"].endswith(f"by prices of {job.price_date}")
    # With other rows here, those that it was sent are read from the bucket.
    table = trainer.folder / "data" / "penguins.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("Biscoe", "Dream"), encoding="utf-8")
    there = reporting.look(place.workspace, run, place.target)
    assert there.parts[0].measured == part.measured and not there.data_changed
    (fast,) = measured.of_trainer(place.target, "penguins").runs
    assert (fast.job, fast.epochs, fast.rows) == (job.name, 3, 275)
    assert fast.given == {} and fast.used == {"model": "mlp", "layers": "2", "units": "64"}
    assert 0 < fast.epoch_seconds < job.seconds
    assert fast.rest_seconds == pytest.approx(job.seconds - 3 * fast.epoch_seconds)
