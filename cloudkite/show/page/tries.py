"""Drawings of many tries: how the best grew, and which values went together, as parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from cloudkite.show import amounts
from cloudkite.show.page import plots
from cloudkite.show.page.document import Html
from cloudkite.show.page.plots import Axis

_GREY, _BEST = "#b8c4d4", plots.COLOURS[1]
_WIDE, _HIGH, _TOP, _BOTTOM = 640, 300, 40, 34


def history(
    title: str,
    told: str,
    points: Sequence[tuple[int, float]],
    level: Sequence[tuple[str, float]],
    across: str,
    names: tuple[str, str],
    *,
    larger: bool,
    caption: str = "",
) -> Html:
    """A point for each try (number, metric), the best so far as a line, and dashed levels that are to be beaten.

    `names` are those of points and line.
    """
    finite = [(number, value) for number, value in points if math.isfinite(value)]
    if not finite:
        return Html()
    values = [value for _number, value in finite] + [value for _name, value in level]
    x, y = plots.axes(plots.ends([number for number, _value in finite]), plots.ends(values))
    best = list(accumulate((value for _number, value in finite), max if larger else min))
    steps = [f"{x.at(finite[0][0]):.1f},{y.at(best[0]):.1f}"]
    for (number, _value), before, now in zip(finite[1:], best, best[1:], strict=False):
        steps += [f"{x.at(number):.1f},{y.at(before):.1f}", f"{x.at(number):.1f},{y.at(now):.1f}"]
    body = [plots.frame(x, y, across, whole=True)]
    for i, (name, value) in enumerate(level):
        body.append(
            f'<line x1="{x.start}" x2="{x.start + x.length}" y1="{y.at(value):.1f}" y2="{y.at(value):.1f}" '
            f'stroke="{plots.COLOURS[2 + i % 2]}" stroke-dasharray="{plots.DASHES[1 + i % 3]}"/>'
        )
        body.append(plots.said(x.start + 4, y.at(value) - 4, name, anchor="start", size=10))
    body.append(f'<polyline points="{" ".join(steps)}" fill="none" stroke="{_BEST}" stroke-width="1.6"/>')
    body += [
        f'<circle cx="{x.at(number):.1f}" cy="{y.at(value):.1f}" r="3" fill="{plots.COLOURS[0]}" fill-opacity=".7"/>'
        for number, value in finite
    ]
    return plots.figure(title, told, body, caption or f"{names[0]} ●  {names[1]} ―")


@dataclass(frozen=True)
class Coordinate:
    """An upright axis. `values` has one for each try, None where it has none; with `choices` they are among those; else
    numbers, `log` by their factors."""

    name: str
    values: Sequence[float | str | None]
    choices: Sequence[str] = ()
    log: bool = False


def coordinates(title: str, told: str, axes: Sequence[Coordinate], best: int, caption: str = "") -> Html:
    """A line for each try through its values; that of the try in the place `best` stands out. An axis that a try has no
    value on is passed below its end."""
    if not axes or not axes[0].values:
        return Html()
    step = (_WIDE - 120) / max(len(axes) - 1, 1)
    drawn, body = [], []
    for i, one in enumerate(axes):
        at = 60 + i * step
        scale, marks = _scale(one)
        drawn.append([(at, scale.at(value)) for value in _places(one)])
        body.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{scale.start}" y2="{scale.start + scale.length}" stroke="#888"/>'
        )
        body.append(plots.said(at, _TOP - 10, one.name, size=12))
        body += [plots.said(at + 5, scale.at(value) + 4, name, anchor="start", size=10) for value, name in marks]
    order = [k for k in range(len(axes[0].values)) if k != best] + [best] * (0 <= best < len(axes[0].values))
    for k in order:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (axis[k] for axis in drawn))
        stroke = f'stroke="{_BEST}" stroke-width="2.4"' if k == best else f'stroke="{_GREY}" stroke-width="1.2"'
        # Lines first, so that the axes' words can be read over them.
        body.insert(0 if k != best else len(body), f'<polyline points="{path}" fill="none" {stroke}/>')
    return plots.figure(title, told, body, caption, size=(_WIDE, _HIGH))


def _places(one: Coordinate) -> list[float]:
    """Where each value lies on its axis; -1 stands for none: `_scale` leaves room for it."""
    if one.choices:
        return [-1.0 if value is None else float(one.choices.index(str(value))) for value in one.values]
    low, high = _range(one)
    return [low - (high - low) * 0.12 if value is None else _as_number(one, value) for value in one.values]


def _scale(one: Coordinate) -> tuple[Axis, list[tuple[float, str]]]:
    """The axis, and the places of its words."""
    length = _HIGH - _TOP - _BOTTOM
    if one.choices:
        last = len(one.choices) - 1
        return Axis(-1.0, max(last, 0.5), _TOP, length, upwards=True), [(i, n) for i, n in enumerate(one.choices)]
    low, high = _range(one)
    back = (lambda value: 10**value) if one.log else (lambda value: value)
    marks = [(value, amounts.number(back(value), 3)) for value in (low, (low + high) / 2, high)]
    return Axis(low - (high - low) * 0.12, high, _TOP, length, upwards=True), marks


def _range(one: Coordinate) -> tuple[float, float]:
    return plots.ends([_as_number(one, value) for value in one.values if value is not None] or [0.0])


def _as_number(one: Coordinate, value: float | str) -> float:
    return math.log10(float(value)) if one.log else float(value)
