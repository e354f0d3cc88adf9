"""Which job a word means: a name, an id, a part of one, a trainer; and jobs listed by state and trainer."""

from __future__ import annotations

import dataclasses
import json
import time

import pytest

from cloudkite.accounts import api
from cloudkite.jobs import choosing, service
from cloudkite.jobs.places import vertex
from cloudkite.journey import results, training
from cloudkite.show.errors import BadValue, UserError
from tests.jobs import SPEC
from tests.local.place import Place

TRICKY = 'a "quoted" \\ star*'


def made(place: Place, name: str, trainer: str, folder: str = "") -> service.Job:
    """A job that has failed, as nobody knows its image."""
    outputs = place.account.outputs()
    spec = dataclasses.replace(
        SPEC, name=name, trainer=trainer, image="nobody/knows:1", service_account=outputs.trainer,
        output=f"{outputs.buckets['models']}/{trainer}/{folder or time.time_ns()}/",
    )  # fmt: skip
    job = service.create(place.target, spec)
    while job.active:
        time.sleep(0.05)
        job = service.get(place.target, job.id)
    return job


@pytest.fixture(scope="module")
def jobs(place: Place) -> dict[str, service.Job]:
    names = ("task8", "과제 8", TRICKY, "grades-20261124-143005-9f3c", "grades-20261124-143006-0000")
    found = {name: made(place, name, "grades") for name in names}
    return {**found, "last": made(place, "digits", "digits")}


def test_a_word_means_a_name_then_a_trainer_then_a_part(place, jobs):
    def means(text: str) -> service.Job:
        return choosing.choose(place.target, text)

    for name in ("task8", "과제 8", TRICKY):
        assert means(name).id == jobs[name].id
    assert means(jobs["task8"].id).name == "task8"
    assert means("grades").id == jobs["grades-20261124-143006-0000"].id, (
        "the newest of the trainer, not a part of names"
    )
    assert means("0000").id == jobs["grades-20261124-143006-0000"].id
    assert means("grades-20261124-143005").name.endswith("9f3c")
    assert means("").id == jobs["last"].id
    with pytest.raises(UserError, match="no job matches nonsense"):
        means("nonsense")
    with pytest.raises(BadValue) as several:
        means("grades-2026")
    assert "grades-2026 may be any of 2 jobs" in several.value.message
    assert all(jobs[name].id in several.value.message for name in jobs if name.startswith("grades-"))
    assert means("*").id == jobs[TRICKY].id, "a star is a star, here the end of a name"


def test_a_trainers_name_means_its_newest_job_that_fits(place, jobs):
    succeeded = choosing.Purpose(lambda job: job.name == "task8", "none of {name}")
    assert choosing.choose(place.target, "grades", succeeded).id == jobs["task8"].id
    for purpose, said in ((choosing.FETCH, "no job of grades has succeeded"), (choosing.CANCEL, "queued or running")):
        with pytest.raises(UserError, match=said) as none:
            choosing.choose(place.target, "grades", purpose)
        assert none.value.hint == "uv run invoke jobs --trainer grades"
    with pytest.raises(UserError, match="trainer new has no job yet") as none:
        choosing.choose(place.target, "new", trainers=["new"])
    assert none.value.hint == "uv run invoke train new"


def test_a_name_means_one_job_for_ever(place, jobs):
    with pytest.raises(BadValue, match="a job is called task8 already: FAILED, of ") as taken:
        choosing.refuse_taken(place.target, "task8")
    assert taken.value.hint == "--name task8-2"
    choosing.refuse_taken(place.target, "task")
    choosing.refuse_taken(place.target, "task*")
    somebodys = made(place, "task8", "digits")  # by another tool, or by two people at the same moment
    with pytest.raises(BadValue, match="task8 may be any of 2 jobs") as several:
        choosing.choose(place.target, "task8")
    assert somebodys.id in several.value.message and jobs["task8"].id in several.value.message
    lost = dataclasses.replace(SPEC, name="task8", output=jobs["task8"].output)
    found = vertex._submitted(place.target, lost, api.Passing("the connection was cut"), vertex.search)
    assert found is not None and found.id == jobs["task8"].id, "whose answer was lost is told by its output alone"


def test_jobs_are_listed_by_state_and_trainer(place, jobs, capsys, monkeypatch):
    monkeypatch.setattr(results.registry, "load", lambda *_: place.account)
    monkeypatch.setattr(results, "connect", lambda *_: place.target)

    def names(**wanted) -> set[str]:
        results.list_jobs(place.workspace, "", as_json=True, **wanted)
        return {job["name"] for job in json.loads(capsys.readouterr().out)}

    assert names(trainer="digits") >= {"digits"} and "grades" not in names(trainer="digits")
    assert names(trainer="grades", states=["failed"]) == set(jobs) - {"last"}
    assert names(trainer="grades", states=["succeeded,JOB_STATE_RUNNING", "queued"]) == set()
    assert names(trainer="grades", states=["succeeded", "Failed"]) == names(trainer="grades")
    assert names(trainer='x" OR state="JOB_STATE_FAILED') == set(), "a name is no filter"
    with pytest.raises(BadValue, match="'broken' isn't the state of a job") as unknown:
        results.list_jobs(place.workspace, "", states=["failed,broken"])
    assert "partially_succeeded" in (unknown.value.hint or "")
    results.list_jobs(place.workspace, "", states=["succeeded"], trainer="grades")
    assert "no such job" in capsys.readouterr().out


def test_a_local_job_has_no_page_in_googles_console(place, jobs, capsys):
    assert {job.console for job in jobs.values()} == {job.console_logs for job in jobs.values()} == {""}
    training._show_console(jobs["task8"], print)
    assert capsys.readouterr().out == ""
