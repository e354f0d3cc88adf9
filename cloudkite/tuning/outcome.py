"""What a study's results say, and what they don't: intervals, baselines, and whether one try is better than another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cloudkite.models.evaluating.measures import Share, Z
from cloudkite.show.text import _, counted
from cloudkite.tuning.study import Study, Try

MAJORITY = "baseline_accuracy"  # what a trainer calls the accuracy of always answering the commonest class


def of_model(study: Study, one: Try, about: Mapping[str, Any]) -> Try:
    """The try with the metric of its exported model over all held-out rows, where the model tells it: what is reported
    while it trains may be about some of them. With its interval, and the metric on the rows kept for the last look."""
    metrics, rows = about.get("metrics", {}), about.get("rows", {})
    value, test = (_number(metrics.get(name)) for name in (study.space.tag, f"test_{study.space.tag}"))
    value = one.metric if value is None else value
    return replace(one, metric=value, test=test, interval=interval(study.space.tag, metrics, rows.get("held_out")))


def interval(tag: str, metrics: Mapping[str, Any], rows: Any) -> tuple[float, float] | None:
    """Where the metric of all such rows is, 95 times in 100: of an accuracy Wilson's interval, of a mean absolute error
    the normal one, as its squares are told too (a trainer's loss for numbers is their mean). None where it isn't known.
    """
    value, loss = _number(metrics.get(tag)), _number(metrics.get("loss"))
    if value is None or not isinstance(rows, int) or rows < 1:
        return None
    if tag == "accuracy":
        return Share(round(value * rows), rows).interval
    if tag == "mae" and loss is not None:
        half = Z * math.sqrt(max(loss - value**2, 0.0) / rows)
        return max(value - half, 0.0), value + half
    return None


def with_facts(study: Study, one: Try, about: Mapping[str, Any]) -> Study:
    """The study with what the model of a try tells of the rows."""
    metrics, rows = about.get("metrics", {}), about.get("rows", {})
    found = {"held_out": rows.get("held_out"), "test": rows.get("test"), "training": rows.get("training")}
    if study.space.tag == "accuracy":
        found["majority"] = _number(metrics.get(MAJORITY))
    known = {name: value for name, value in found.items() if value is not None}
    return replace(study, facts={**study.facts, **known}) if one.state == "done" and known else study


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def patience_over(study: Study) -> str:
    """Why no more is tried: none of the newest tries was better than those before; "" while there is hope."""
    patience, best = study.wishes.patience, study.best
    if not patience or best is None:
        return ""
    since = sum(one.ended for one in study.own if one.number > best.number)
    if since < patience:
        return ""
    return counted("no better one in {count} try", "no better one in {count} tries", since)


@dataclass(frozen=True)
class Baseline:
    """What is to be beaten: its name, the metric, and its interval if one is known."""

    name: str
    metric: float | None
    interval: tuple[float, float] | None = None
    note: str = ""


def baselines(study: Study) -> tuple[Baseline, ...]:
    """The majority, or the mean; and the linear model as it comes."""
    found = []
    if "majority" in study.facts:
        found.append(Baseline(_("always the commonest class"), study.facts["majority"]))
    if "mean" in study.facts:
        found.append(Baseline(_("always the mean"), study.facts["mean"]))
    if linear := study.linear:
        done, name = linear.state == "done", _("linear, as it comes")
        found.append(Baseline(name, linear.metric if done else None, linear.interval, "" if done else linear.why))
    return tuple(found)


def verdict(study: Study) -> tuple[str, ...]:
    """What may be said of the best, one sentence each. A difference that the rows don't show isn't claimed."""
    best = study.best
    if best is None or best.metric is None:
        return ()
    said, value = [], f"{best.metric:.4g}"
    rows = study.facts.get("held_out")
    done = [one for one in study.own if one.state == "done"]
    if best.interval and rows:
        said.append(
            _("the best has {metric} {value} on {rows} held-out rows: {low} to {high}, 95 times in 100").format(
                metric=study.space.metric, value=value, rows=rows, low=_short(best.interval[0]),
                high=_short(best.interval[1]),
            )
        )  # fmt: skip
    else:
        said.append(
            _("the best has {metric} {value}; how far chance moves it isn't known").format(
                metric=study.space.metric, value=value
            )
        )
    for baseline in baselines(study):
        if baseline.metric is not None:
            said.append(_beside(study, best, baseline))
    level = [one for one in done if one is not best and _overlap(one.interval, best.interval)]
    if level:
        said.append(
            counted(
                "{count} other try is so near that these rows don't tell which is better",
                "{count} other tries are so near that these rows don't tell which is better",
                len(level),
            )
        )
    if len(done) > 1:
        said.append(
            counted(
                "the best of {count} tries looks better than it is: it was chosen by these very rows",
                "the best of {count} tries looks better than it is: it was chosen by these very rows",
                len(done),
            )
        )
    if best.test is not None:
        said.append(
            _("on the {rows} rows kept for the last look, which chose nothing, it has {value}").format(
                rows=study.facts.get("test", "?"), value=f"{best.test:.4g}"
            )
        )
    elif len(done) > 1:
        said.append(_("rows that choose nothing tell more: add `-- --test 0.2` to a new study"))
    return tuple(said)


def _beside(study: Study, best: Try, baseline: Baseline) -> str:
    value, other = best.metric or 0.0, baseline.metric or 0.0
    shown = f"{other:.4g}"
    if not study.space.better(value, other):
        return _("{name}: {value}, which the best doesn't beat: the simpler one will do").format(
            name=baseline.name, value=shown
        )
    there = baseline.interval or (other, other)
    if best.interval is None:
        return _("{name}: {value}").format(name=baseline.name, value=shown)
    if _overlap(there, best.interval):
        return _("{name}: {value}; these rows don't show that the best is better").format(
            name=baseline.name, value=shown
        )
    return _("{name}: {value}, which the best beats").format(name=baseline.name, value=shown)


def _overlap(one: tuple[float, float] | None, other: tuple[float, float] | None) -> bool:
    return bool(one and other and one[0] <= other[1] and other[0] <= one[1])


def _short(value: float) -> str:
    return f"{value:.3g}"
