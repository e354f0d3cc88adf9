"""`prices TRAINER` and what a network that fails leaves of `prices`: on a local cloud, by real jobs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cloudkite.accounts import registry
from cloudkite.jobs import logs, service, submit
from cloudkite.journey import speeds
from cloudkite.money import measured
from cloudkite.money.offered import machines, means
from cloudkite.money.offered.machines import Wish
from cloudkite.trainers.folders import Trainer
from tests.local.place import Place, make_trainer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(place: Place) -> Place:
    """With a trainer of its own: the cloud has jobs of others."""
    return replace(place, trainer=Trainer("paced", make_trainer(place.workspace.trainers / "paced").folder))


@pytest.fixture(scope="module")
def ended(place: Place) -> service.Job:
    """A job of four epochs of about 0.3 seconds, one with another option, a rehearsal for a GPU, all at their end."""
    made = [place.submit("--epochs", "4", "--pause", "0.3"), place.submit("--epochs", "3", "--pause", "0.1")]
    rehearsal = place.plan("--epochs", "3", "--pause", "0.3", gpu="t4", rehearse=True)
    made.append(submit.submit(place.workspace, place.target, rehearsal))
    for one in made:
        list(logs.follow(place.target, one))
    return service.get(place.target, made[0].id)


def test_each_ended_job_is_read_once_and_compared_with_its_like(place: Place, ended: service.Job, monkeypatch):
    found = measured.of_trainer(place.target, "paced")
    assert len(found.runs) == 2 and not found.unread  # a rehearsal tells nothing about a GPU
    (run,) = found.like({"pause": "0.3"})
    assert (run.job, run.epochs, run.rows, run.used) == (ended.name, 4, None, {"pause": "0.3"})
    assert 0.3 <= run.epoch_seconds < 2
    assert run.rest_seconds == pytest.approx(ended.seconds - 4 * run.epoch_seconds)
    wanted = place.plan("--epochs", "4", "--pause", "0.3")
    estimated = measured.estimate(measured.of_trainer(place.target, "paced"), wanted)
    assert estimated and abs(estimated / ended.cost - 1) < 0.1  # it is the same job
    assert measured.estimate(measured.of_trainer(place.target, "paced"), place.plan("--pause", "9")) is None
    monkeypatch.setattr(logs, "read", None)  # whoever reads a log again fails
    assert measured.of_trainer(place.target, "paced") == found
    assert not measured.of_trainer(place.target, "pace").runs


def test_a_file_that_is_damaged_is_made_anew(place: Place, ended: service.Job):
    found, path = measured.of_trainer(place.target, "paced"), place.account.state / "measured.json"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert measured.of_trainer(place.target, "paced") == found
    assert json.loads(path.read_bytes()) == json.loads(whole)


def test_a_whole_run_has_a_price_where_it_was_measured(place: Place, ended: service.Job, monkeypatch, capsys):
    monkeypatch.setattr(registry, "load", lambda *_arguments: place.account)
    monkeypatch.setattr(speeds.target, "connect", lambda *_arguments: place.target)
    wishes = speeds.Wishes()
    speeds.show(place.workspace, "paced", "", wishes, epochs=100)
    out, _err = capsys.readouterr()
    (first, *rest) = out.splitlines()[2:]
    assert first.split()[0] == ended.machine and "not measured" not in first
    assert (
        sum("not measured" in line for line in rest) == len(machines.first(machines.offers(ended.region, Wish()))) - 1
    )
    assert "1 job with other options isn't compared" in out and "is on this machine" in out
    speeds.show(place.workspace, "paced", "", wishes, epochs=100, as_json=True)
    told = json.loads(capsys.readouterr().out)
    (row,) = told["measured"]
    assert row["seconds"] == pytest.approx(row["rest_seconds"] + 100 * row["epoch_seconds"])
    assert 0 < row["cost"] < 1 and told["epochs"] == 100 and told["not_measured"]
    assert ended.machine not in {one["machine"] for one in told["not_measured"]}


def test_what_an_account_has_is_read_at_once_and_what_cannot_be_is_told(place: Place, ended: service.Job, tmp_path):
    offer = machines.offers(place.account.region, Wish())[0]
    found = means.look(place.target, offer.needs())
    assert found.left is not None and 0 < found.left < 10 and found.notes == ()
    assert found.allowance(offer.needs()).word == "granted"
    lost = {**place.target.environment, "https_proxy": "http://127.0.0.1:9"}
    account = replace(place.account, state=tmp_path)
    found = means.look(replace(place.target, account=account, environment=lost), offer.needs())
    assert found.left is None and found.allowance(offer.needs()).word == "unknown"
    assert len(found.notes) == 2
    assert found.notes[0].startswith("what is left of the budget isn't known: ")
    assert found.notes[1].startswith("the quotas aren't known: ")
