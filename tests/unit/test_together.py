"""Many jobs at once: what is typed, how they are called, what they may cost together, what is told of them."""

import dataclasses
import datetime
import os
import stat
from decimal import Decimal
from types import SimpleNamespace

import pytest

from cloudkite import desktop
from cloudkite.jobs.places import vertex
from cloudkite.jobs.together import comparing, following, members, verdict
from cloudkite.jobs.together.comparing import Compared
from cloudkite.journey import watching
from cloudkite.money.quota import Reading
from cloudkite.show.errors import BadValue, UserError
from tests.jobs import NOW, answer, plan

_SEEDS = "--seeds must be how many, 1 to 50, or the seeds themselves, not "


@pytest.mark.parametrize(
    "text, found",
    [
        ("", ()),
        ("1", (0,)),
        ("5", (0, 1, 2, 3, 4)),
        ("0,7,9", (0, 7, 9)),
        ("7,", (7,)),
        ("3, 1", (3, 1)),
    ],
)
def test_seeds_are_how_many_or_which(text, found):
    assert members.seeds(text) == found


@pytest.mark.parametrize(
    "text, said",
    [
        ("0", f"{_SEEDS}0"),
        ("51", f"{_SEEDS}51"),
        ("-1", f"{_SEEDS}-1"),
        ("x", f"{_SEEDS}x"),
        (",", f"{_SEEDS},"),
        ("1,,2", f"{_SEEDS}1,,2"),
        ("1.5", f"{_SEEDS}1.5"),
        ("4,4", "--seeds names 4 twice"),
    ],
)
def test_what_are_no_seeds_is_refused(text, said):
    with pytest.raises(BadValue) as refused:
        members.seeds(text)
    assert refused.value.message == said


def planned(count=1, **wishes):
    made = plan(**wishes)
    return [dataclasses.replace(made, trainer=SimpleNamespace(name=name)) for name in "abc"[:count]]


@pytest.mark.parametrize(
    "trainers, seeds, name, names, stems",
    [
        (1, (), "N", ["N"], [""]),
        (3, (), "N", ["N-1", "N-2", "N-3"], [""] * 3),
        (1, (0, 7), "N", ["N-seed-0", "N-seed-7"], ["a-seed-0", "a-seed-7"]),
        (2, (7,), "N", ["N-1-seed-7", "N-2-seed-7"], ["a-seed-7", "b-seed-7"]),
        (2, (), "", ["", ""], ["", ""]),
        (1, (3,), "", [""], ["a-seed-3"]),
    ],
)
def test_each_job_has_a_name_of_its_own(trainers, seeds, name, names, stems):
    found = members.members(planned(trainers, arguments=("--epochs", "2")), seeds, name)
    assert [one.name for one in found] == names and [one.stem for one in found] == stems
    assert [one.arguments[2:] for one in found] == [("--seed", str(s)) for s in seeds] * trainers or not seeds


@pytest.mark.parametrize("arguments", [("--seed", "3"), ("--epochs", "2", "--seed=3")])
def test_a_seed_is_said_once(arguments):
    with pytest.raises(BadValue, match="--seeds and --seed after -- exclude each other"):
        members.members(planned(arguments=arguments), (1, 2), "")


def test_more_than_go_at_once_are_refused():
    with pytest.raises(BadValue, match="60 jobs at once are more than 50"):
        members.members(planned(3), tuple(range(20)), "")


def test_what_is_to_be_spent_is_for_all_of_them_together():
    three = planned(3)
    assert {one.limit_seconds for one in members.within(three, "", "")} == {3600}
    some = members.within(three, "", "0.30")
    assert {one.limit_seconds for one in some} == {33 * 60}
    assert members.total(some) <= Decimal("0.30") and {one.max_cost for one in some} == {Decimal("0.30")}
    assert {one.limit_seconds for one in members.within(three, "10m", "5")} == {600}
    with pytest.raises(BadValue) as refused:
        members.within(three, "1h", "0.30")
    assert refused.value.message == "--limit 1h may cost 0.54 USD, more than --max-cost 0.30"
    spot = members.within([plan(spot=True), plan(spot=True)], "", "1")
    assert members.total(spot) <= 1, "each may start again"


def test_those_that_compute_the_same_are_found_the_running_first():
    def job(state, content):
        return dataclasses.replace(vertex.parse(answer(), NOW), state=state, labels={"content": content}, id=state)

    known = [job("FAILED", "x"), job("SUCCEEDED", "x"), job("RUNNING", "x"), job("CANCELLED", "y")]
    twins = [members.twin(content, known, "content") for content in ("x", "y", "z")]
    assert [one and one.id for one in twins] == ["RUNNING", None, None]
    assert members.twin("x", known[:2], "content") == known[1]


def test_what_the_quota_lets_run_at_once_is_told():
    four = [plan() for _ in range(4)]
    title, each = four[0].needs()[0].meter.title, four[0].needs()[0].amount
    for limit, said in ((each * 2 + 1, "lets 2 of them run at once"), (each * 4, ""), (-1, ""), (None, "")):
        (*notes,) = verdict._waiting(four, [Reading(title, "id", "metric", each, limit)])
        assert (said in notes[0]) if said else not notes


def test_waits_between_looks_grow_to_a_bound():
    assert [following.pause(quiet, 15) for quiet in (0, 1, 50, 10_000)] == [0.5, 0.5, 5.0, 15]


def test_the_arguments_of_a_job_are_read_back_from_it():
    assert vertex.parse(answer(), NOW).arguments == ("--epochs", "20")


@pytest.mark.parametrize(
    "scheduling, state, hours",
    [
        ({"strategy": "FLEX_START", "maxWaitDuration": "21600s"}, "JOB_STATE_PENDING", 6),
        ({"strategy": "FLEX_START"}, "JOB_STATE_QUEUED", 24),
        ({"strategy": "FLEX_START", "maxWaitDuration": "0s"}, "JOB_STATE_PENDING", None),
        ({"strategy": "FLEX_START"}, "JOB_STATE_FAILED", None),
        ({"strategy": "SPOT"}, "JOB_STATE_PENDING", None),
    ],
)
def test_until_when_a_job_waits_for_machines(scheduling, state, hours):
    raw = answer(state=state)
    del raw["startTime"]
    raw["jobSpec"]["scheduling"] = {**raw["jobSpec"]["scheduling"], **scheduling}
    job = vertex.parse(raw, NOW)
    assert job.waits_until == (job.created + datetime.timedelta(hours=hours) if hours else None)


@pytest.mark.parametrize(
    "words, found",
    [
        (("--epochs", "20", "--deep", "--rate=0.1"), {"epochs": "20", "deep": "yes", "rate": "0.1"}),
        (("--low", "-3", "rest", "--end"), {"low": "-3", "end": "yes", "arguments": "rest"}),
        ((), {}),
    ],
)
def test_options_are_read_from_a_command_line(words, found):
    assert comparing.options(words) == found


def compared(name, **changes):
    job = dataclasses.replace(vertex.parse(answer(), NOW), name=name)
    made = Compared(
        job, {"epochs": "20", "seed": name}, frozenset(), "gs://b/x.csv", "", {"training": 10}, {"loss": 0.5}
    )
    return dataclasses.replace(made, **changes)


def test_what_differs_comes_first_and_what_is_missing_is_empty():
    found = comparing.lines([compared("1"), compared("2", metrics={}, rows={"training": 12})])
    assert [(line.name, line.cells) for line in found] == [
        ("seed", ("1", "2")),
        ("rows, training", ("10", "12")),
        ("loss", ("0.5", "")),
        ("epochs", ("20", "20")),
        ("data", ("gs://b/x.csv", "gs://b/x.csv")),
    ]


def test_jobs_that_did_not_succeed_are_told_by_their_names(capsys):
    job = vertex.parse(answer(endTime="2026-11-24T14:32:30Z", state="JOB_STATE_SUCCEEDED"), NOW)
    lost = dataclasses.replace(job, name="b", id="2", state="FAILED")
    watching.summary([job, lost])
    assert capsys.readouterr().out.startswith("2 jobs: 1 SUCCEEDED, 1 FAILED; 0.00")
    watching.refuse_failed([job])
    with pytest.raises(UserError) as told:
        watching.refuse_failed([job, lost])
    assert (told.value.message, told.value.hint) == ("1 of 2 jobs did not succeed: b", "uv run invoke logs --job 2")


@pytest.mark.skipif(
    os.name == "nt", reason="a stand-in for notify-send is a shell script; Windows has PowerShell's toast"
)
def test_a_message_on_the_desktop_is_text_whatever_is_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not desktop.available() and not desktop.tell("a", "b")
    tool = tmp_path / "notify-send"
    tool.write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/said\nexit ${{CODE:-0}}\n', encoding="utf-8")
    tool.chmod(stat.S_IRWXU)
    assert desktop.available() and desktop.tell("job --x failed", "<b>1</b> & `id`")
    said = (tmp_path / "said").read_text(encoding="utf-8").split("|")
    assert said == ["--app-name=Cloudkite", "--", "job --x failed", "&lt;b&gt;1&lt;/b&gt; &amp; `id`", ""]
    tool.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    assert not desktop.tell("a", "b")
