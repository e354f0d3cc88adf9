"""Tuning jobs: their requests are Google's, what they may cost is counted to the last try, and each try is told."""

import dataclasses
import json
import re
from decimal import Decimal

import pytest

from catalog.quotas import Need
from cloudkite.jobs import body, logs
from cloudkite.jobs.job import TUNING
from cloudkite.jobs.places import tuning
from cloudkite.journey import results
from cloudkite.money import gate, limits, quota
from cloudkite.money.quota import Reading
from cloudkite.show.errors import BadValue, UserError
from cloudkite.tuning import google
from cloudkite.tuning.space import Parameter, Space
from cloudkite.tuning.study import Study, Wishes
from tests.jobs import NOW, SPEC, account, plan

SPACE = Space(
    "val_accuracy",
    "maximize",
    (
        Parameter("rate", "real", 1e-4, 1e-2, log=True),
        Parameter("momentum", "real", 0, 0.9),
        Parameter("layers", "whole", 1, 3),
        Parameter("batch-size", "whole", 8, 512, log=True),
        Parameter("units", "choice", choices=(64, 32, 128)),
        Parameter("dropout", "choice", choices=(0, 0.25)),
        Parameter("model", "choice", choices=("linear", "mlp")),
    ),
)
TUNED = dataclasses.replace(SPEC, place=TUNING, study=google.study_spec(SPACE), tries=12, parallel=3)


def planned(tries=12, parallel=3, max_cost="", limit="", budget=10.0, **wishes):
    made = google.planned(plan(**wishes), SPACE, "best", "m" * 16, tries, parallel, max_cost, limit)
    return dataclasses.replace(made, account=account(budget=budget))


@pytest.mark.slow
@pytest.mark.parametrize("spot", [False, True])
def test_a_body_is_a_tuning_job(spot):
    from google.cloud.aiplatform_v1.types import HyperparameterTuningJob
    from google.protobuf import json_format

    spec = dataclasses.replace(TUNED, spot=spot, labels={"tuning": "best", "learner": "kim"})
    message = HyperparameterTuningJob()
    json_format.ParseDict(body.tuning_body(spec), message._pb)
    assert (message.max_trial_count, message.parallel_trial_count, message.max_failed_trial_count) == (12, 3, 4)
    assert dict(message.labels) == {
        "managed-by": "cloudkite", "account": "home", "trainer": "penguins", "tuning": "best", "learner": "kim",
    }  # fmt: skip
    (metric,) = message.study_spec.metrics
    assert (metric.metric_id, metric.goal.name) == ("accuracy", "MAXIMIZE")
    assert message.study_spec.median_automated_stopping_spec.use_elapsed_duration is False
    assert "median_automated_stopping_spec" in message.study_spec
    found = {one.parameter_id: one for one in message.study_spec.parameters}
    assert [name for name in found] == [one.name for one in SPACE.parameters]
    rate, layers, batch = found["rate"], found["layers"], found["batch-size"]
    assert (rate.double_value_spec.min_value, rate.double_value_spec.max_value) == (1e-4, 1e-2)
    assert (layers.integer_value_spec.min_value, layers.integer_value_spec.max_value) == (1, 3)
    assert list(found["units"].discrete_value_spec.values) == [32, 64, 128]
    assert list(found["dropout"].discrete_value_spec.values) == [0, 0.25]
    assert list(found["model"].categorical_value_spec.values) == ["linear", "mlp"]
    assert [one.scale_type.name for one in (rate, layers, batch, found["momentum"])] == [
        "UNIT_LOG_SCALE", "UNIT_LINEAR_SCALE", "UNIT_LOG_SCALE", "UNIT_LINEAR_SCALE",
    ]  # fmt: skip
    assert found["model"].scale_type.name == "SCALE_TYPE_UNSPECIFIED"
    each = message.trial_job_spec
    assert each.scheduling.timeout.total_seconds() == 3600 and each.service_account == SPEC.service_account
    assert each.scheduling.disable_retries is not spot
    assert each.base_output_directory.output_uri_prefix == SPEC.output


def test_each_try_is_the_job_that_train_would_start():
    made = body.tuning_body(TUNED)
    assert made["trialJobSpec"] == body.body(SPEC)["jobSpec"]
    assert made["trialJobSpec"]["workerPoolSpecs"][0]["containerSpec"]["args"][-2:] == ["--epochs", "20"]


def test_a_trainer_is_asked_whether_it_takes_one_value_of_each():
    words = "--rate=0.0001 --momentum=0.0 --layers=1 --batch-size=8 --units=32 --dropout=0 --model=linear"
    assert google.sample(TUNED.study) == words.split()
    assert google.sample({}) == []


def test_an_option_without_a_value_is_refused():
    flag = Space("loss", "minimize", (Parameter("widen", "choice", choices=(True, False)),))
    with pytest.raises(BadValue, match="--widen has no value"):
        google.study_spec(flag)


@pytest.mark.parametrize(
    ("tries", "most"), [(1, 1), (2, 2), (3, 3), (9, 3), (12, 4), (100, 33)], ids=lambda value: str(value)
)  # fmt: skip
def test_what_never_works_is_not_tried_to_the_end(tries, most):
    assert body.tuning_body(dataclasses.replace(TUNED, tries=tries))["maxFailedTrialCount"] == most


# --- what it may cost


def test_the_worst_case_counts_every_try_and_quotas_those_at_once():
    one, made = plan(), planned()
    assert made.each == one.worst_case
    assert made.worst_case == limits.worst_case(one.price.amount * 12, 3600, 0)
    assert made.needs() == [Need(one.needs()[0].meter, one.needs()[0].amount * 3)]
    assert planned(tries=2, parallel=5).parallel == 2
    spot = planned(spot=True)
    assert spot.worst_case == limits.worst_case(spot.price.amount * 12, 3600, 6)
    assert made.labels == {"tuning": "best", "tuning-space": "m" * 16} and made.name == "best"


@pytest.mark.parametrize(
    ("max_cost", "limit", "seconds"),
    [("", "", 3600), ("100", "", 3600), ("1", "", 1620), ("0.20", "", 300), ("", "30m", 1800), ("2", "30m", 1800)],
)
def test_a_cap_shortens_each_try_and_never_lengthens_it(max_cost, limit, seconds):
    made = planned(max_cost=max_cost, limit=limit)
    assert made.limit_seconds == seconds
    if max_cost:
        assert made.max_cost == Decimal(max_cost) >= made.worst_case


@pytest.mark.parametrize(
    ("max_cost", "limit", "message", "hint"),
    [
        ("0.10", "", "12 tries of 5m may cost 0.18 USD, more than --max-cost 0.10", "--tries 6 fits"),
        ("1", "1h", "12 tries of 1h may cost 2.17 USD, more than --max-cost 1", "--tries 5 fits"),
        ("0.10", "1h", "12 tries of 1h may cost 2.17 USD, more than --max-cost 0.10",
         "--max-cost 2.18 pays for all of them; or take a shorter --try-limit"),
        ("0.01", "", "12 tries of 5m may cost 0.18 USD, more than --max-cost 0.01",
         "--max-cost 0.19 pays for all of them; or take a smaller machine"),
    ],
)  # fmt: skip
def test_a_cap_that_is_too_small_says_how_many_tries_it_pays_for(max_cost, limit, message, hint):
    with pytest.raises(BadValue) as told:
        planned(max_cost=max_cost, limit=limit)
    assert (told.value.message, told.value.hint) == (message, hint)


def test_as_many_tries_as_a_cap_pays_for_pass():
    assert planned(tries=5, max_cost="1", limit="1h").worst_case <= 1
    assert planned(tries=6, max_cost="0.10").worst_case <= Decimal("0.10")


@pytest.mark.parametrize(
    ("tries", "parallel", "wishes", "message"),
    [
        (0, 1, {}, "--tries must be 1 to 1000, not 0"),
        (1001, 1, {}, "--tries must be 1 to 1000, not 1001"),
        (4, 0, {}, "--parallel must be 1 to 100, not 0"),
        (4, 1, {"on": "run"}, "tuning jobs run on Vertex AI, not on Cloud Run"),
    ],
)
def test_what_can_never_be(tries, parallel, wishes, message):
    with pytest.raises(BadValue) as told:
        google.planned(plan(**wishes), SPACE, "best", "m", tries, parallel, "", "")
    assert told.value.message == message


def spending(spent="0"):
    return gate.Spending("2026-11", gate.costs.Money(Decimal(spent), "USD"), gate.costs.Money(Decimal(0), "USD"), (), 0)


def test_where_no_try_fits_a_shorter_limit_for_all_of_them_does():
    with pytest.raises(UserError) as told:
        gate.fit(planned(), spending("9.82"))  # 0.18 USD are left, and twelve tries of five minutes cost more
    assert re.fullmatch(r"--machine \S+ --try-limit \d+m fits", told.value.hint)
    assert gate.fit(planned(limit="5m"), spending("9.81"))[0] is not None


@pytest.mark.parametrize(
    ("spent", "hint"),
    [
        ("8.50", "8 of 12 tries fit what is left of the budget: --tries 8"),
        ("9.80", "1 of 12 tries fit what is left of the budget: --tries 1"),
        ("10", "wait for running jobs to end or for the next month, or raise the budget in the account's settings"),
    ],
)
def test_the_gate_says_how_many_tries_fit(spent, hint):
    with pytest.raises(UserError, match=r"this job may cost 2\.17 USD") as told:
        gate.fit(planned(), spending(spent))
    assert told.value.hint == hint


def test_the_quota_says_how_many_at_once_fit():
    readings = [Reading("vCPUs", "q", "m", 12, 9), Reading("T4", "t", "m", 3, 2)]
    refused = quota.refuse(readings, "paid", "us-central1", parallel=3)
    assert refused and refused.hint == "--parallel 2 fits: the tries take longer, and cost the same"
    none = quota.refuse([Reading("T4", "t", "m", 3, 0)], "paid", "us-central1", parallel=3)
    assert none and none.hint.startswith("ask for it: add {quotaId: t, value: 3")


def test_consent_names_tries_and_all_that_they_may_cost(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked = []
    gate.consent(account(), planned(), yes=False, ask=lambda question: asked.append(question) or True)
    gate.consent(account(), planned(tries=1), yes=False, ask=lambda question: asked.append(question) or True)
    assert asked == ["start 12 tries, for at most 2.17 USD in all?", "start 1 try, for at most 0.18 USD?"]


# --- what the service tells

CUSTOM = "projects/123/locations/us-central1/customJobs/"


def trial(number, state, **more):
    values = [{"parameterId": "rate", "value": 0.001}, {"parameterId": "layers", "value": 2.0},
              {"parameterId": "units", "value": 64.0}, {"parameterId": "dropout", "value": 0.25},
              {"parameterId": "model", "value": "mlp"}]  # fmt: skip
    return {"id": str(number), "state": state, "parameters": values, "customJob": f"{CUSTOM}{number}", **more}


def measured(value):
    return {"finalMeasurement": {"stepCount": "10", "metrics": [{"metricId": "accuracy", "value": value}]}}


def ran(state, start=None, end=None, **more):
    times = {"startTime": f"2026-11-24T14:{start}Z"} if start else {}
    times |= {"endTime": f"2026-11-24T14:{end}Z"} if end else {}
    return {"state": f"JOB_STATE_{state}", **times, **more}


TRIALS = [
    (trial(1, "SUCCEEDED", **measured(0.8)), ran("SUCCEEDED", "32:00", "42:00")),
    (trial(2, "SUCCEEDED", **measured(0.9)), ran("CANCELLED", "32:00", "33:00")),
    (trial(3, "INFEASIBLE", infeasibleReason="The replica workerpool0-0 exited with a non-zero status of 1."),
     ran("FAILED", "32:00", "32:10")),
    (trial(4, "INFEASIBLE"), ran("FAILED", "32:00", "32:10", error={"message": "it was preempted too often"})),
    (trial(5, "STOPPING"), ran("RUNNING", "52:00")),
    (trial(6, "ACTIVE"), ran("PENDING")),
    (trial(7, "SUCCEEDED", **measured(0.85)), ran("SUCCEEDED", "32:00", "42:00")),
]  # fmt: skip
RAN = {f"{CUSTOM}{one['id']}": run for one, run in TRIALS}


def told(**changes):
    raw = {
        **body.tuning_body(TUNED),
        "name": "projects/123/locations/us-central1/hyperparameterTuningJobs/4567890123456789012",
        "state": "JOB_STATE_RUNNING",
        "createTime": "2026-11-24T14:30:05.123456789Z",
        "startTime": "2026-11-24T14:32:00Z",
        "trials": [one for one, _run in TRIALS],
        **changes,
    }
    job, runs = tuning.parse(raw, RAN, NOW)
    return tuning.Look(raw, job, runs)


def test_each_try_has_its_own_state_cost_and_reason():
    tries = google.tries_of(told())
    assert [one.state for one in tries] == ["done", "pruned", "failed", "failed", "running", "waiting", "done"]
    assert tries[0].values == {"rate": 0.001, "layers": 2, "units": 64, "dropout": 0.25, "model": "mlp"}
    assert isinstance(tries[0].values["layers"], int) and isinstance(tries[0].values["units"], int)
    assert [one.metric for one in tries] == [0.8, 0.9, None, None, None, None, 0.85]
    assert [one.seconds for one in tries] == [600, 60, 10, 10, 600, 0, 600]
    assert tries[2].cost == Decimal("0.0015")  # half a minute at least
    assert tries[0].output == f"{SPEC.output}1/"
    assert tries[1].why == "stopped early: it was below the median of the others"
    assert "non-zero status" in tries[2].why and tries[3].why == "it was preempted too often"
    assert tries[4].why == "being stopped early" and tries[0].why == ""
    assert [one.number for one in google.tries_of(told(), 12)][:2] == [13, 14]
    best = best_of(tries, "maximize")
    assert best and best.number == 7  # what was stopped early has no model
    lowest = best_of(tries, "minimize")
    assert lowest and lowest.number == 1 and best_of(tries[1:4], "maximize") is None


def best_of(tries, goal):
    return Study("s", "t", "google", dataclasses.replace(SPACE, goal=goal), Wishes(), "m", "", tries=tuple(tries)).best


def test_the_whole_costs_what_its_tries_ran_and_may_cost_what_is_left():
    job, one = told().job, plan()
    assert (job.place, job.parallel, job.trainer, job.machine) == ("tuning", 3, "penguins", "e2-standard-4")
    assert job.tries == {"all": 12, "done": 2, "pruned": 1, "failed": 2, "running": 1, "waiting": 1}
    assert job.hourly == one.price.amount * 3 and job.limit_seconds == 3600
    assert job.cost == sum(each.cost or 0 for each in google.tries_of(told()))
    ended = [each.cost or 0 for each in google.tries_of(told()) if each.state not in ("running", "waiting")]
    assert job.worst_case == sum(ended) + limits.worst_case(one.price.amount * 7, 3600, 0)
    over = told(state="JOB_STATE_CANCELLED", endTime="2026-11-24T15:02:00Z").job
    assert over.cost == over.worst_case == job.cost
    assert over.tries == {"all": 12, "done": 2, "pruned": 1, "failed": 2, "killed": 2}
    assert results.machines(job) == "3/12 tries, e2-standard-4"
    assert logs.tries(job) == "3 of 12 tries done, 1 running, 2 failed"
    assert "3 of 12 tries done" in logs.status(job, None)


def test_a_job_of_a_try_that_is_gone_is_counted_by_the_times_of_the_trial():
    raw = told().raw
    timed = {"startTime": "2026-11-24T14:32:00Z", "endTime": "2026-11-24T14:33:00Z"}
    job, runs = tuning.parse({**raw, "trials": [{**trial(1, "SUCCEEDED", **measured(0.8)), **timed}]}, {}, NOW)
    assert runs["1"].seconds == 60 and job.cost == Decimal("0.0030") and job.tries == {"all": 12, "done": 1}


def test_a_job_that_has_no_try_yet():
    job = told(trials=[], state="JOB_STATE_PENDING").job
    assert job.cost == 0 and job.tries == {"all": 12} and job.worst_case == planned().worst_case


def test_a_line_of_a_try_says_which():
    entry = {"textPayload": "epoch 1/2\n", "timestamp": "2026-11-24T14:32:00Z",
             "labels": {"ml.googleapis.com/trial_id": "3"}}  # fmt: skip
    line = logs.parse(entry)
    assert (line.text, line.shown, line.attempt) == ("epoch 1/2", "try 3: epoch 1/2", "3")
    assert logs.parse({**entry, "labels": {}}).shown == "epoch 1/2"
    fields = dataclasses.replace(line, fields={"epoch": 1, "epochs": 2})
    assert logs.progress_of(fields, told().job) is None  # of one try among several


@pytest.fixture
def asked(monkeypatch):
    asked = []

    def call(_target, _method, url, _doing):
        name = url.partition("/v1/")[2]
        asked.append(name)
        if name.endswith("/6"):
            raise UserError("not found")
        return {**RAN[name], "jobSpec": {"large": "x"}}

    monkeypatch.setattr(tuning, "call", call)
    return asked


def test_what_ended_is_asked_once(asked, tmp_path):
    target = type("Target", (), {"account": account(state=tmp_path)})()
    found = tuning._ran(target, told().raw)  # type: ignore[arg-type]
    assert found.keys() == RAN.keys() - {f"{CUSTOM}6"} and len(asked) == 7
    assert found[f"{CUSTOM}1"] == {key: RAN[f"{CUSTOM}1"][key] for key in ("state", "startTime", "endTime")}
    asked.clear()
    assert tuning._ran(target, told().raw) == found  # type: ignore[arg-type]
    assert sorted(asked) == [f"{CUSTOM}5", f"{CUSTOM}6"]  # those that go on
    (tmp_path / "tries.json").write_text('{"x": 1, ', encoding="utf-8")
    assert tuning._ran(target, told().raw) == found  # type: ignore[arg-type]
    assert set(json.loads((tmp_path / "tries.json").read_text())) == {f"{CUSTOM}{n}" for n in (1, 2, 3, 4, 7)}
