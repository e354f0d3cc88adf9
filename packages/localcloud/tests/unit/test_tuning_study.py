"""Studies of tuning jobs without a server: parameters, suggestions, measurements, early stopping."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from localcloud.vertex.tuning import measurements, space, stopping

MODEL = {
    "parameterId": "model",
    "categoricalValueSpec": {"values": ["tree", "net"]},
    "conditionalParameterSpecs": [
        {
            "parentCategoricalValues": {"values": ["tree"]},
            "parameterSpec": {"parameterId": "depth", "integerValueSpec": {"minValue": "1", "maxValue": "2"}},
        },
        {
            "parentCategoricalValues": {"values": ["net"]},
            "parameterSpec": {"parameterId": "rate", "discreteValueSpec": {"values": [0.1, 0.5]}},
        },
    ],
}
RATE = {"parameterId": "lr", "doubleValueSpec": {"minValue": 1e-4, "maxValue": 1.0}, "scaleType": "UNIT_LOG_SCALE"}


def values(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {one["parameterId"]: one["value"] for one in parameters}


def request(parameters: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    base = {"goals": ["MAXIMIZE"], "algorithm": "", "seed": 1, "startup": 4, "trials": []}
    return {"parameters": parameters, **base, **more}


def test_a_grid_has_each_point_once_and_children_only_with_their_parent() -> None:
    size = {"parameterId": "size", "discreteValueSpec": {"values": [1.0, 2.5]}}
    points = [values(space.as_body(point)) for point in space.grid(space.parameters([MODEL, size]))]
    assert points[:3] == [
        {"model": "tree", "depth": 1.0, "size": 1.0},
        {"model": "tree", "depth": 1.0, "size": 2.5},
        {"model": "tree", "depth": 2.0, "size": 1.0},
    ]
    assert points[-1] == {"model": "net", "rate": 0.5, "size": 2.5}
    assert len(points) == 8


@pytest.mark.parametrize(
    ("value", "written"),
    [(3.0, "3"), (0.5, "0.5"), (1e-5, "1e-05"), (-2.0, "-2"), ("adam", "adam"), (0.1 + 0.2, "0.30000000000000004")],
)
def test_arguments(value: Any, written: str) -> None:
    assert space.arguments([{"parameterId": "x", "value": value}]) == [f"--x={written}"]


def test_suggestions_depend_on_the_request_alone() -> None:
    from localcloud.vertex.tuning.suggest import suggestion

    trials = [{"parameters": suggestion(request([RATE, MODEL], seed=n)), "values": [float(n)]} for n in range(6)]
    asked = request([RATE, MODEL], trials=trials)
    assert suggestion(asked) == suggestion(asked)
    assert suggestion(asked) != suggestion(asked | {"seed": 2})


@pytest.mark.parametrize("algorithm", ["", "RANDOM_SEARCH"])
@pytest.mark.parametrize(
    "scale", ["SCALE_TYPE_UNSPECIFIED", "UNIT_LINEAR_SCALE", "UNIT_LOG_SCALE", "UNIT_REVERSE_LOG_SCALE"]
)
def test_suggestions_are_within_the_space(algorithm: str, scale: str) -> None:
    from localcloud.vertex.tuning.suggest import suggestion

    given = [
        RATE | {"scaleType": scale},
        {"parameterId": "units", "integerValueSpec": {"minValue": "2", "maxValue": "9"}, "scaleType": scale},
        {"parameterId": "batch", "discreteValueSpec": {"values": [16.0, 64.0]}, "scaleType": scale},
        MODEL | {"parameterId": "kind"},
    ]
    trials: list[dict[str, Any]] = []
    for seed in range(12):
        made = suggestion(request(given, algorithm=algorithm, seed=seed, trials=trials))
        found = values(made)
        assert 1e-4 <= found["lr"] <= 1.0
        assert found["units"] in range(2, 10)
        assert found["batch"] in (16.0, 64.0)
        assert found["kind"] in ("tree", "net")
        assert ("depth" in found) == (found["kind"] == "tree")
        trials.append({"parameters": made, "values": [[seed], None, []][seed % 3]})


def test_suggestions_learn() -> None:
    from localcloud.vertex.tuning.suggest import suggestion

    trials: list[dict[str, Any]] = []
    for seed in range(30):
        made = suggestion(request([RATE], seed=seed, trials=trials))
        trials.append({"parameters": made, "values": [-abs(math.log10(values(made)["lr"]) + 2)]})
    late = [trial["values"][0] for trial in trials[-10:]]
    assert sum(late) / 10 > sum(trial["values"][0] for trial in trials[:10]) / 10
    assert max(late) > -0.2


def report(path: Path, *rows: dict[str, Any], torn: str = "") -> list[str]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + torn, encoding="utf-8")
    return measurements.lines(path)


def test_reports_are_taken_once_whole_and_in_order(tmp_path: Path) -> None:
    rows = [{"timestamp": 100.0 + n, "trial": "1", "acc": str(n / 10), "global_step": str(n)} for n in (2, 1)]
    trial: dict[str, Any] = {}
    seen: list[str] = []
    path = tmp_path / "metrics"
    assert measurements.take(trial, seen, report(path, rows[0], torn='{"timest'), ["acc"], 100.0, 0.0)
    assert not measurements.take(trial, seen, measurements.lines(path), ["acc"], 100.0, 0.0)
    assert measurements.take(trial, seen, report(path, *rows), ["acc"], 100.0, 0.0)
    assert trial["measurements"] == [
        {"elapsedDuration": "1.000000s", "stepCount": "1", "metrics": [{"metricId": "acc", "value": 0.1}]},
        {"elapsedDuration": "2.000000s", "stepCount": "2", "metrics": [{"metricId": "acc", "value": 0.2}]},
    ]


@pytest.mark.parametrize(
    "line",
    ["", "no json", "[1]", '{"acc": "nan"}', '{"acc": "x"}', '{"other": "1"}', '{"acc": "1", "global_step": "x"}'],
)
def test_a_report_that_says_nothing_is_passed_over(line: str) -> None:
    trial: dict[str, Any] = {}
    assert not measurements.take(trial, [], [line], ["acc"], 0.0, 1.0)
    assert "measurements" not in trial


def test_two_metrics_of_one_step_are_one_measurement() -> None:
    trial: dict[str, Any] = {}
    rows = [
        {"timestamp": 1.0, name: value, "global_step": 5} for name, value in (("acc", 0.5), ("loss", 2), ("acc", 0.6))
    ]
    measurements.take(trial, [], [json.dumps(row) for row in rows], ["acc", "loss"], 0.0, 0.0)
    assert [[row["value"] for row in one["metrics"]] for one in trial["measurements"]] == [[0.5, 2.0], [0.6]]


def trial_of(*objectives: float) -> dict[str, Any]:
    return {
        "measurements": [
            {"elapsedDuration": f"{n}s", "stepCount": str(n), "metrics": [{"metricId": "acc", "value": y}]}
            for n, y in enumerate(objectives, 1)
        ]
    }


@pytest.mark.parametrize(
    ("goal", "selection", "expected"),
    [
        ("MAXIMIZE", "", 0.4),
        ("MAXIMIZE", "LAST_MEASUREMENT", 0.4),
        ("MAXIMIZE", "BEST_MEASUREMENT", 0.9),
        ("MINIMIZE", "BEST_MEASUREMENT", 0.1),
    ],
)
def test_the_measurement_that_counts(goal: str, selection: str, expected: float) -> None:
    found = measurements.final(trial_of(0.1, 0.9, 0.4), [{"metricId": "acc", "goal": goal}], selection)
    assert found is not None and found["metrics"] == [{"metricId": "acc", "value": expected}]


def test_nothing_counts_while_a_metric_is_missing() -> None:
    specs = [{"metricId": "acc", "goal": "MAXIMIZE"}, {"metricId": "loss", "goal": "MINIMIZE"}]
    assert measurements.final({}, specs, "") is None
    assert measurements.final(trial_of(0.1), specs, "") is None


MEDIAN, DECAY = "medianAutomatedStoppingSpec", "decayCurveStoppingSpec"
GOOD = [trial_of(0.5, 0.7, 0.8, 0.85, 0.87)] * 3


@pytest.mark.parametrize(
    ("rule", "own", "done", "stops"),
    [
        (MEDIAN, (0.1, 0.2), GOOD, True),
        (MEDIAN, (0.1, 0.9), GOOD, False),
        (MEDIAN, (0.1, 0.2), GOOD[:2], False),
        (MEDIAN, (), GOOD, False),
        (DECAY, (0.1, 0.15, 0.17, 0.18), GOOD, True),
        (DECAY, (0.5, 0.75, 0.83, 0.87), GOOD, False),
        (DECAY, (0.1, 0.15, 0.17), GOOD, False),
        ("", (0.1, 0.2), GOOD, False),
    ],
)
def test_a_trial_without_hope_stops(rule: str, own: tuple[float, ...], done: list[Any], stops: bool) -> None:
    for sign, goal in ((1, "MAXIMIZE"), (-1, "MINIMIZE")):
        turned = [trial_of(*(sign * row["metrics"][0]["value"] for row in one["measurements"])) for one in done]
        for by_time in (True, False):
            study = {
                "metrics": [{"metricId": "acc", "goal": goal}],
                **({rule: {"useElapsedDuration": by_time}} if rule else {}),
            }
            assert stopping.hopeless(trial_of(*(sign * y for y in own)), turned, study) == stops


def test_each_replica_of_a_trial_knows_it() -> None:
    from localcloud.vertex.replicas import contract

    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "containerSpec": {"imageUri": "local/plain:1"}}
    spec = {"workerPoolSpecs": [pool, pool]}
    everyone = contract.replicas(spec)
    addresses = {replica.name: f"127.0.0.1:{number}" for number, replica in enumerate(everyone)}
    for own in contract.variables("7", "1", spec, everyone, addresses, "3").values():
        assert (own["CLOUD_ML_JOB_ID"], own["CLOUD_ML_TRIAL_ID"]) == ("7", "3")
        assert json.loads(own["TF_CONFIG"])["task"]["trial"] == "3"
        assert json.loads(own["CLUSTER_SPEC"])["task"]["trial"] == "3"


@pytest.mark.slow
def test_a_process_that_was_ended_is_started_again(tmp_path: Path) -> None:
    import asyncio

    import psutil

    from localcloud.vertex.tuning.suggester import CantSuggest, Suggester

    async def run() -> None:
        suggester = Suggester(tmp_path / "log")
        before = set(psutil.Process().children())
        first = await suggester.ask(request([RATE]))
        (process,) = set(psutil.Process().children()) - before
        process.kill()
        assert await suggester.ask(request([RATE])) == first
        with pytest.raises(CantSuggest):
            await suggester.ask({"no": "question"})
        await suggester.close()
        assert set(psutil.Process().children()) == before

    asyncio.run(run())
