"""Decides whether a trial is so much worse than those that are done that it should stop.

The rules of https://cloud.google.com/vertex-ai/docs/reference/rest/v1/StudySpec (automated_stopping_spec).
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.vertex.tuning.measurements import seconds, value

Trial = Mapping[str, Any]
Curve = list[tuple[float, float]]  # steps or seconds, and the objective, which is to grow

_ENOUGH_TRIALS = 3  # that are done, before any is stopped; Google does not say its number
_ENOUGH_POINTS = 4  # of a curve, before it is predicted
_DEVIATIONS = 3.0  # that a prediction is given


def hopeless(trial: Trial, done: Sequence[Trial], study: Mapping[str, Any]) -> bool:
    """Whether the study's rule stops the trial; `done` are those that succeeded. Without a rule none is stopped."""
    rule = study.get("medianAutomatedStoppingSpec", study.get("decayCurveStoppingSpec"))
    if rule is None:
        return False
    by_time = bool(rule.get("useElapsedDuration"))
    own = _curve(trial, study, by_time)
    others = [curve for one in done if (curve := _curve(one, study, by_time))]
    if not own or len(others) < _ENOUGH_TRIALS:
        return False
    return _below_median(own, others) if "medianAutomatedStoppingSpec" in study else _decays(own, others)


def _curve(trial: Trial, study: Mapping[str, Any], by_time: bool) -> Curve:
    metric = study["metrics"][0]
    sign = 1.0 if metric["goal"] == "MAXIMIZE" else -1.0
    return [
        (seconds(one) if by_time else float(one["stepCount"]), sign * found)
        for one in trial.get("measurements", [])
        if (found := value(one, metric["metricId"])) is not None
    ]


def _below_median(own: Curve, others: Sequence[Curve]) -> bool:
    """Its best is below the median of the others' averages up to where it is."""
    last = own[-1][0]
    averages = [statistics.fmean(reached) for curve in others if (reached := [y for x, y in curve if x <= last])]
    return len(averages) >= _ENOUGH_TRIALS and max(y for _, y in own) < statistics.median(averages)


def _decays(own: Curve, others: Sequence[Curve]) -> bool:
    """Where it would end, by the line y = a + b / (x + 1) through its points, is below the best with all allowance.

    A simple stand-in for Google's Gaussian process.
    """
    if len(own) < _ENOUGH_POINTS or len({x for x, _ in own}) < 2:
        return False
    end = max(curve[-1][0] for curve in others)
    inverse, objective = [1 / (x + 1) for x, _ in own], [y for _, y in own]
    slope, intercept = statistics.linear_regression(inverse, objective)
    off = [y - (intercept + slope * u) for u, y in zip(inverse, objective, strict=True)]
    predicted = intercept + slope / (max(end, own[-1][0]) + 1)
    best = max(y for curve in others for _, y in curve)
    return max(predicted, max(objective)) + _DEVIATIONS * statistics.pstdev(off) < best
