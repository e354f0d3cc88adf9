"""Plots as SVG inside a page: small, in any script, with a title and a description for who can't see them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from cloudkite.show import amounts
from cloudkite.show.page.document import Html, escaped

COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1")
DASHES = ("", "5 3", "2 2", "8 3 2 3")  # lines differ without colours, too
_WIDTH, _HEIGHT = 420, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 26, 40
_ids = count()


@dataclass(frozen=True)
class Axis:
    """From `low` to `high` over so many pixels, from `start`; values grow to the right, or, `upwards`, up."""

    low: float
    high: float
    start: float
    length: float
    upwards: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value."""
        share = (value - self.low) / ((self.high - self.low) or 1)
        return self.start + (1 - share if self.upwards else share) * self.length

    def ticks(self) -> list[float]:
        """Round values, about five."""
        span = self.high - self.low
        if not span > 0:
            return [self.low]
        step = 10 ** math.floor(math.log10(span / 4))
        step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= 6)
        first = math.ceil(self.low / step - 1e-9)
        return [round((first + i) * step, 12) for i in range(8) if (first + i) * step <= self.high + step * 1e-9]


def axes(across: tuple[float, float], up: tuple[float, float]) -> tuple[Axis, Axis]:
    """Both axes of a plot, from end to end."""
    return (
        Axis(*across, _LEFT, _WIDTH - _LEFT - _RIGHT),
        Axis(*up, _TOP, _HEIGHT - _TOP - _BOTTOM, upwards=True),
    )


def figure(
    title: str, told: str, body: Iterable[str], caption: str = "", size: tuple[int, int] = (_WIDTH, _HEIGHT)
) -> Html:
    """A drawing of so many pixels with its title, what it shows in words, and a caption below."""
    width, height = size
    name = f"plot{next(_ids)}"
    below = f"<figcaption>{escaped(caption)}</figcaption>" if caption else ""
    return Html(
        f'<figure><svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-labelledby="{name}t {name}d"><title id="{name}t">{escaped(title)}</title>'
        f'<desc id="{name}d">{escaped(told)}</desc>'
        f'<text x="{_LEFT}" y="14" font-size="13" font-weight="600">{escaped(title)}</text>'
        f"{''.join(body)}</svg>{below}</figure>"
    )


def lines(
    title: str,
    told: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    across: str,
    *,
    whole: bool = True,
    caption: str = "",
) -> Html:
    """Lines through points (x, y), each with its name; where x is `whole`, marks stand at whole numbers."""
    points = [point for some in series.values() for point in some if all(map(math.isfinite, point))]
    if not points:
        return Html()
    x, y = axes(ends([p[0] for p in points]), ends([p[1] for p in points]))
    body = [frame(x, y, across, whole=whole)]
    for i, (name, some) in enumerate(series.items()):
        colour, dash = COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]
        finite = [(x.at(a), y.at(b)) for a, b in some if math.isfinite(b)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in finite)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"{dashed}/>')
        if len(finite) == 1:
            body.append(f'<circle cx="{finite[0][0]:.1f}" cy="{finite[0][1]:.1f}" r="3" fill="{colour}"/>')
        left = _WIDTH - _RIGHT - 130 * (len(series) - i)
        body.append(
            f'<line x1="{left}" x2="{left + 18}" y1="20" y2="20" stroke="{colour}" stroke-width="1.8"{dashed}/>'
        )
        body.append(f'<text x="{left + 23}" y="24" font-size="11">{escaped(name)}</text>')
    return figure(title, told, body, caption)


def reliability(
    title: str,
    told: str,
    bins: Sequence[tuple[float, float, float | None, float | None, int]],
    across: str,
    up: str,
    caption: str = "",
) -> Html:
    """How often answers are right that are so sure: (from, to, sure on average, share that is right, rows) each."""
    x, y = axes((0.0, 1.0), (0.0, 1.0))
    body = [frame(x, y, across, up)]
    body.append(f'<line x1="{x.at(0):.1f}" y1="{y.at(0):.1f}" x2="{x.at(1):.1f}" y2="{y.at(1):.1f}" '
                'stroke="#999" stroke-dasharray="4 3"/>')  # fmt: skip
    for low, high, sure, right, rows in bins:
        if sure is None or right is None:
            continue
        left, width, top = x.at(low) + 1, x.at(high) - x.at(low) - 2, y.at(right)
        body.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{y.at(0) - top:.1f}" '
            f'fill="{COLOURS[0]}" opacity=".45"/>'
        )
        body.append(f'<circle cx="{x.at(sure):.1f}" cy="{top:.1f}" r="3.5" fill="{COLOURS[1]}"/>')
        body.append(said(left + width / 2, y.at(0) - 4, f"{rows:,}", size=9))
    return figure(title, told, body, caption)


def scatter(
    title: str, told: str, points: Sequence[tuple[float, float]], across: str, up: str, caption: str = ""
) -> Html:
    """Points, and the line where both numbers are the same."""
    finite = [point for point in points if all(map(math.isfinite, point))]
    if not finite:
        return Html()
    both = ends([value for point in finite for value in point])
    x, y = axes(both, both)
    body = [frame(x, y, across, up)]
    body.append(f'<line x1="{x.at(both[0]):.1f}" y1="{y.at(both[0]):.1f}" x2="{x.at(both[1]):.1f}" '
                f'y2="{y.at(both[1]):.1f}" stroke="#999" stroke-dasharray="4 3"/>')  # fmt: skip
    body += [
        f'<circle cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="2.2" fill="{COLOURS[0]}" fill-opacity=".5"/>'
        for a, b in finite
    ]
    return figure(title, told, body, caption)


def histogram(
    title: str, told: str, values: Sequence[float], across: str, up: str, bars: int = 21, caption: str = ""
) -> Html:
    """How many values lie where; zero is in the middle."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Html()
    end = max(map(abs, finite)) or 1.0
    counts = [0] * bars
    for value in finite:
        counts[min(bars - 1, int((value + end) / (2 * end) * bars))] += 1
    x, y = axes((-end, end), (0, max(counts)))
    body = [frame(x, y, across, up)]
    width = x.length / bars
    for i, found in enumerate(counts):
        if found:
            top = y.at(found)
            body.append(f'<rect x="{x.start + i * width + 0.5:.1f}" y="{top:.1f}" width="{width - 1:.1f}" '
                        f'height="{y.at(0) - top:.1f}" fill="{COLOURS[0]}"/>')  # fmt: skip
    return figure(title, told, body, caption)


def bars(counts: Sequence[int], told: str) -> Html:
    """A small histogram, for a cell of a table; nothing where all is zero."""
    if not any(counts):
        return Html()
    made = "".join(
        f'<rect x="{i * 8}" y="{24 - 24 * found / max(counts):.1f}" width="7" height="{24 * found / max(counts):.1f}"/>'
        for i, found in enumerate(counts)
    )
    label = escaped(told)
    return Html(
        f'<svg width="{8 * len(counts)}" height="24" role="img" aria-label="{label}"><title>{label}</title>{made}</svg>'
    )


def ends(values: Sequence[float]) -> tuple[float, float]:
    """The smallest and the largest value, apart where they are one."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - (abs(low) or 1) * 0.1, high + (abs(high) or 1) * 0.1)


def frame(x: Axis, y: Axis, across: str, up: str = "", *, whole: bool = False) -> str:
    """The frame of a plot with its marks and names."""
    bottom, end = y.start + y.length, x.start + x.length
    made = [f'<rect x="{x.start}" y="{y.start}" width="{x.length}" height="{y.length}" fill="none" stroke="#bbb"/>']
    for value in x.ticks():
        if not whole or value == round(value):
            at = x.at(value)
            made.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{bottom}" y2="{bottom + 4}" stroke="#888"/>')
            made.append(said(at, bottom + 16, amounts.number(value)))
    for value in y.ticks():
        at = y.at(value)
        made.append(f'<line x1="{x.start}" x2="{end}" y1="{at:.1f}" y2="{at:.1f}" stroke="#eee"/>')
        made.append(said(x.start - 5, at + 4, amounts.number(value), anchor="end"))
    made.append(said((x.start + end) / 2, bottom + 33, across, size=12))
    if up:
        middle = y.start + y.length / 2
        made.append(said(13, middle, up, size=12, more=f' transform="rotate(-90 13 {middle:.1f})"'))
    return "".join(made)


def said(x: float, y: float, words: str, *, size: int = 11, anchor: str = "middle", more: str = "") -> str:
    """Words in a drawing."""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{more}>{escaped(words)}</text>'
