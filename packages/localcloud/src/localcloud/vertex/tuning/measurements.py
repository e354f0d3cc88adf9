"""Reads what a trial reports of its metrics, and decides which measurement counts.

A trainer reports through cloudml-hypertune, which writes a file of JSON lines anew at each report, with the last 100:
{"timestamp": ..., "trial": "1", "<metric>": "0.5", "global_step": "10", "checkpoint_path": ""}.
https://github.com/GoogleCloudPlatform/cloudml-hypertune/blob/master/hypertune/hypertune.py
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Body = dict[str, Any]

_LARGEST = 1 << 20  # bytes of a metric file that are read
_REMEMBERED = 1000  # lines by which a line that was seen is known again


def lines(path: Path) -> list[str]:
    """The whole lines of a metric file; [] when there is none. It may be cut short while it is written anew."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST)
    except OSError:
        return []
    return data[: data.rfind(b"\n") + 1].decode("utf-8", "replace").splitlines()


def take(trial: Body, seen: list[str], found: Sequence[str], metrics: Sequence[str], began: float, now: float) -> bool:
    """Add to the trial's measurements what is new in `found`; whether there was anything.

    `seen` remembers lines. `began` and `now` are seconds since the epoch: of the trial's start, and the report's
    instant where a line tells none.
    """
    new = [(mark, line) for line in found if (mark := _mark(line)) not in seen]
    moved = False
    for mark, line in new:
        seen.append(mark)
        moved |= _add(trial, line, metrics, began, now)
    del seen[:-_REMEMBERED]
    return moved


def _mark(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()[:16]


def _add(trial: Body, line: str, metrics: Sequence[str], began: float, now: float) -> bool:
    try:
        row = json.loads(line)
        values = {name: float(row[name]) for name in metrics if name in row}
        step, at = int(float(row.get("global_step") or 0)), float(row.get("timestamp") or now)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return False
    values = {name: value for name, value in values.items() if math.isfinite(value)}
    if not values:
        return False
    measured: list[Body] = trial.setdefault("measurements", [])
    rows = [{"metricId": name, "value": value} for name, value in values.items()]
    same = next((one for one in measured if int(one["stepCount"]) == step and not values.keys() & _ids(one)), None)
    if same is not None:  # another metric of the same step
        same["metrics"] += rows
        return True
    elapsed = max(at - began, 0.0)
    measured.append({"elapsedDuration": f"{elapsed:.6f}s", "stepCount": str(step), "metrics": rows})
    measured.sort(key=lambda one: (int(one["stepCount"]), seconds(one)))
    return True


def _ids(measurement: Body) -> set[str]:
    return {metric["metricId"] for metric in measurement["metrics"]}


def seconds(measurement: Mapping[str, Any]) -> float:
    """How long the trial ran until the measurement."""
    return float(measurement["elapsedDuration"].removesuffix("s"))


def value(measurement: Mapping[str, Any], metric: str) -> float | None:
    """A metric's value in a measurement, None where it is not in it."""
    return next((row["value"] for row in measurement["metrics"] if row["metricId"] == metric), None)


def final(trial: Mapping[str, Any], specs: Sequence[Mapping[str, Any]], selection: str) -> Body | None:
    """The measurement that counts: the last, or with "BEST_MEASUREMENT" the best by the first metric.

    None while a metric of the study is missing.
    """
    metrics = [spec["metricId"] for spec in specs]
    measured = [one for one in trial.get("measurements", []) if value(one, metrics[0]) is not None]
    if not measured:
        return None
    counts = measured[-1]
    if selection == "BEST_MEASUREMENT":
        best = max if specs[0]["goal"] == "MAXIMIZE" else min
        counts = best(measured, key=lambda one: value(one, metrics[0]) or 0.0)
    found: Body = {**counts, "metrics": list(counts["metrics"])}
    for metric in metrics[1:]:
        if value(found, metric) is None:
            others = [v for one in trial["measurements"] if (v := value(one, metric)) is not None]
            if not others:
                return None
            found["metrics"].append({"metricId": metric, "value": others[-1]})
    return found
