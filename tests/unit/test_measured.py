"""How fast a trainer's jobs were: what is read of their lines, what is comparable, what is told before consent."""

import datetime
import json
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from cloudkite.jobs.logs import Line
from cloudkite.journey import speeds as told
from cloudkite.money import measured, prices
from cloudkite.money.currency import DOLLAR
from cloudkite.money.measured import Measurements, Run, Setup, reading, speed
from cloudkite.trainers import arguments
from cloudkite.trainers.folders import Trainer
from tests.jobs import plan

HERE, T4 = "us-central1", "NVIDIA_TESLA_T4"
BEGAN = datetime.datetime(2026, 11, 24, 15, tzinfo=datetime.UTC)
CPU = Setup("vertex", "e2-standard-4")
USED = {"model": "mlp", "units": "64"}


def lines(*told):
    return [Line(BEGAN + datetime.timedelta(seconds=at), "INFO", "t", "", {"epoch": epoch}) for epoch, at in told]


@pytest.mark.parametrize(
    "written, seconds",
    [
        ([(1, 10), (2, 12), (3, 14)], 2.0),
        ([(1, 10), (2, 12), (3, 15)], 2.5),
        ([], None),
        ([(1, 10)], None),
        ([(2, 10), (4, 20)], None),
        ([(1, 10), (2, 12), (3, 14), (4, 16), (5, 900), (6, 902)], 2.0),  # preempted, and gone on elsewhere
        ([(1, 10), (2, 12), (3, 14), (1, 60), (2, 62), (3, 64)], 2.0),  # started anew
        ([(1, 10), (2, 10)], None),
    ],
)
def test_seconds_of_an_epoch(written, seconds):
    assert reading.epoch_seconds(lines(*written)) == seconds


@pytest.mark.parametrize(
    "words, found, epochs",
    [
        ((), {}, None),
        (("--data", "gs://b/x.csv", "--epochs", "20", "--rate=0.1", "--seed", "3"), {}, 20),
        (("--units", "128", "--model=wide", "--dropout", "0.2"), {"units": "128", "model": "wide", "dropout": "0.2"},
         None),
        (("--wide", "--epochs=5"), {"wide": ""}, 5),
        (("--epochs", "many"), {}, None),
        (("stray", "--units"), {"units": ""}, None),
    ],
)  # fmt: skip
def test_options_that_change_the_work_of_an_epoch(words, found, epochs):
    assert measured.options(words) == found
    assert measured.epochs(words) == epochs


def test_what_a_run_says_it_used():
    said = {"units": 64, "model": "mlp", "batch": None, "rate": 0.1, "widen": False, "own": True, "save_every": 3}
    assert speed.relevant(said) == {"units": "64", "model": "mlp", "own": ""}


def run(setup=CPU, seconds=2.0, **changes):
    values = dict(job="a", created="2026-11-24", setup=setup, spot=False, epochs=10, epoch_seconds=seconds,
                  rest_seconds=60.0, rows=1000, given={}, used=USED)  # fmt: skip
    return Run(**{**values, **changes})


WIDE = run(job="wide", given={"model": "wide"}, used={"model": "wide", "units": "64"})


@pytest.mark.parametrize(
    "runs, given, jobs",
    [
        ([run(), run(job="b")], {}, "ab"),
        ([run(), run(job="b")], {"units": "64"}, "ab"),  # the default, said aloud
        ([run(), run(job="b")], {"units": "128"}, ""),
        ([WIDE, run()], {}, "a"),
        ([WIDE, run()], {"model": "wide"}, ["wide"]),
        ([run(job="c", given={"units": "64"}), run()], {}, "ac"),
        ([run(job="c", used={"model": "mlp", "units": "32"}), run()], {}, "c"),  # the default was changed since
        ([run(given={"x": "1"}, used={"x": "1"})], {}, ""),  # the default of x is not known
        ([], {}, ""),
    ],
)
def test_only_runs_with_the_same_work_are_compared(runs, given, jobs):
    assert {one.job for one in Measurements(tuple(runs)).like(given)} == set(jobs)


def test_speeds_are_medians_by_what_the_runs_had():
    gpu = Setup("vertex", "n1-standard-4", T4, 1)
    runs = [run(job=str(n), seconds=s) for n, s in enumerate((2, 9, 3, 2, 2, 100))] + [run(gpu, 0.5, rows=500)]
    slow, fast = measured.speeds(runs)
    assert (slow.setup, slow.epoch_seconds, slow.jobs, slow.scaled) == (CPU, 2, tuple("01234"), False)
    assert (fast.setup, fast.epoch_seconds, fast.scaled) == (gpu, 1.0, True)  # twice the rows
    assert slow.seconds(10) == 80
    assert slow.price(Decimal(36), 10) == Decimal(36) * 90 / 3600  # by the half minute
    (same,) = measured.speeds([run(rows=1000), run(rows=500, seconds=99)])
    assert (same.epoch_seconds, same.scaled) == (2.0, False)
    (unknown,) = measured.speeds([run(rows=None), run(rows=None, seconds=4)])
    assert (unknown.epoch_seconds, unknown.scaled) == (3.0, False)


# --- before consent

GPU = Setup("vertex", "n1-standard-4", T4, 1)
TWO = replace(CPU, workers=2)


@pytest.mark.parametrize(
    "wishes, runs, said",
    [
        ({"gpu": "t4"}, [run(GPU, 1.9, job="gpu"), run()],
         "this GPU or TPU hasn't paid so far: 10 epochs cost about {gpu} and take 1m 19s with it, {cpu} and 1m 20s "
         "on e2-standard-4, so it saves 1s (measured on gpu, a)"),
        ({"gpu": "t4"}, [run(GPU, 4.0, job="gpu"), run()],
         "this GPU or TPU hasn't paid so far: 10 epochs cost about {gpu} and take 1m 40s with it, {cpu} and 1m 20s "
         "on e2-standard-4, so it takes 20s longer (measured on gpu, a)"),
        ({"gpu": "t4"}, [run(GPU, 1.0, job="gpu", rows=500), run(seconds=0.5, rows=1000, rest_seconds=1)],
         "this GPU or TPU hasn't paid so far: 10 epochs cost about {gpu} and take 1m 10s with it, {less} and 4s "
         "on e2-standard-4, so it takes 1m 06s longer (measured on gpu, a); an estimate, as they had different numbers "
         "of rows"),
        ({"gpu": "t4"}, [run(GPU, 1.0), run(seconds=600)], ""),  # it pays
        ({"gpu": "t4"}, [run()], ""),  # never measured: nothing is said
        ({"gpu": "t4"}, [run(GPU, 1.0)], ""),
        ({"gpu": "t4"}, [], ""),
        ({}, [run()], ""),
        ({"workers": 2}, [run(TWO, 1.0, job="two"), run(job="one")],
         "2 workers did an epoch 2x as fast as 1, and a run of 10 epochs cost 1.8x as much: measured on two, one"),
        ({"workers": 2}, [run(job="one")],
         "whether 2 workers are faster than 1 was never measured with this trainer: no job with 2 of e2-standard-4 has "
         "succeeded"),
        ({"workers": 2}, [],
         "whether 2 workers are faster than 1 was never measured with this trainer: no job with 1 or 2 of "
         "e2-standard-4 has succeeded"),
        ({"workers": 3}, [run(TWO), run()],
         "whether 3 workers are faster than 1 was never measured with this trainer: no job with 3 of e2-standard-4 has "
         "succeeded"),
    ],
)  # fmt: skip
def test_what_measurements_tell_before_consent(wishes, runs, said, tmp_path):
    wanted = replace(plan(arguments=("--epochs", "10"), **wishes), trainer=Trainer("tiny", tmp_path))
    hour, gpu_hour = prices.job_hour(CPU.machine, HERE).amount, prices.job_hour(GPU.machine, HERE, T4, 1).amount
    assert hour and gpu_hour
    long = 120 if "1m 40s" in said else 90
    amounts = {"cpu": hour * 90 / 3600, "less": hour * 30 / 3600, "gpu": gpu_hour * long / 3600}
    said = said.format(**{name: DOLLAR.beside(amount) for name, amount in amounts.items()})
    assert told.foreseen(Measurements(tuple(runs)), wanted, DOLLAR) == ([said] if said else [])


def test_runs_are_sorted_by_their_price_and_the_unmeasured_have_none():
    from cloudkite.money.offered.machines import Wish

    runs = [run(GPU, 0.1), run(seconds=60), run(TWO, 40.0), run(Setup("run", "4cpu-8gb"), 1.0)]
    rows = told._priced(measured.speeds(runs), "us-central1", Wish(), "vertex", 20)
    assert [(row.offer.machine, row.workers) for row in rows] == [
        ("n1-standard-4", 1), ("e2-standard-4", 1), ("e2-standard-4", 2),
    ]  # fmt: skip
    hour = prices.job_hour("e2-standard-4", "us-central1").amount
    assert rows[1].cost == hour * 1260 / 3600 and rows[2].cost == hour * 2 * 870 / 3600
    assert [row.offer.machine for row in told._priced(measured.speeds(runs), "us-central1", Wish(), "run", 20)] == [
        "4cpu-8gb"
    ]


@pytest.mark.parametrize(
    "text, expected",
    [
        ('option("--epochs", type=whole(1), default=30, help="x")', 30),
        ('parser.add_argument("-e", "--epochs", default=7)', 7),
        ('option("--epochs", default=EPOCHS)', None),
        ('option("--epochs", type=int)', None),
        ('option("--steps", default=3)', None),
        ("def broken(", None),
    ],
)
def test_the_default_of_an_option(tmp_path, text, expected):
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "task.py").write_text(text, encoding="utf-8")
    assert arguments.default_of(Trainer("tiny", tmp_path), "--epochs") == expected


# --- what is kept

_ROW = {"trainer": "tiny", "run": json.loads(json.dumps(run(), default=vars))}
_GOOD = {"format": 1, "cloud": "here", "jobs": {"7": _ROW, "8": {"trainer": "tiny", "run": None}}}


def _without(key):
    return {**_GOOD, "jobs": {"7": {**_ROW, "run": {k: v for k, v in _ROW["run"].items() if k != key}}}}


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "[]", "\x00" * 50, "[" * 100_000, json.dumps(_GOOD)[:-20],
        json.dumps({**_GOOD, "format": 2}), json.dumps({**_GOOD, "cloud": "another"}),
        json.dumps({**_GOOD, "jobs": []}),
        json.dumps({**_GOOD, "jobs": {"7": None}}), json.dumps(_without("rows")), json.dumps(_without("setup")),
        json.dumps({**_GOOD, "jobs": {"7": {**_ROW, "run": {**_ROW["run"], "epoch_seconds": "fast"}}}}),
        json.dumps({**_GOOD, "jobs": {"7": {**_ROW, "run": {**_ROW["run"], "epoch_seconds": -1}}}}),
        json.dumps({**_GOOD, "jobs": {"7": {**_ROW, "run": {**_ROW["run"], "more": 1}}}}),
    ],
    ids=range(16),
)  # fmt: skip
def test_what_is_kept_is_ignored_when_it_is_damaged(tmp_path, text):
    path = tmp_path / "measured.json"
    path.write_text(text, encoding="utf-8")
    assert reading._kept(path, "here") == {}


def test_what_is_kept_comes_back(tmp_path):
    path = tmp_path / "measured.json"
    rows = {"7": reading._Row("tiny", run()), "8": reading._Row("tiny", None)}
    reading._keep(path, "here", rows)
    assert reading._kept(path, "here") == rows
    assert json.loads(path.read_text(encoding="utf-8")) == _GOOD
    assert reading._kept(tmp_path / "nothing.json", "here") == {}


def test_a_log_is_whole_a_while_after_the_end():
    google = SimpleNamespace(account=SimpleNamespace(costs_money=True), now=lambda: BEGAN)
    ends = {0: False, 60: False, 600: True}
    for ago, whole in ends.items():
        job = SimpleNamespace(ended=BEGAN - datetime.timedelta(seconds=ago))
        assert reading._indexed(google, job) is whole  # pyright: ignore[reportArgumentType]
