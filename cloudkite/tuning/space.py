"""What may be tried: a trainer's tuning.toml, read and checked as far as that goes without the trainer itself.

metric = "val_accuracy"
goal = "maximize"

[parameters]
rate = { from = 1e-4, to = 1e-2, scale = "log" }
units = [32, 64, 128]
layers = { from = 1, to = 3 }
model = ["linear", "mlp", "wide"]
"""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, near

FILE = "tuning.toml"
Value = float | int | str  # of an option; True and False of one that stands alone, such as --widen
Goal = Literal["maximize", "minimize"]

GOALS: tuple[Goal, ...] = ("maximize", "minimize")
SCALES = ("linear", "log")
_HELD = "val_"  # begins the name of a metric of held-out rows; trainers report those without it
_DIGITS = 4  # of a real value that mean something: what is tried can be typed
# Which way is better, of the metrics that Keras has and everybody knows.
_BETTER: dict[str, Goal] = {"accuracy": "maximize", "auc": "maximize", "precision": "maximize", "recall": "maximize",
                            "loss": "minimize", "mae": "minimize", "mse": "minimize"}  # fmt: skip
# What means nothing beside what: a linear model has no hidden layers.
_IDLE = {("model", "linear"): frozenset({"units", "layers"})}
# What decides where results go, or which rows they are measured on: tries would overwrite each other, or not compare.
_NEVER = frozenset({"output", "help", "h", "ask", "data", "validation", "test", "steps", "continue"})


@dataclass(frozen=True)
class Parameter:
    """An option of the trainer, without its dashes. Numbers lie from `low` to `high`, both included; a choice is one of
    `choices`."""

    name: str
    kind: Literal["real", "whole", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Value, ...] = ()

    @property
    def samples(self) -> tuple[Value, ...]:
        """Values that the trainer must take if it takes them all: every choice, or both ends and the middle."""
        if self.kind == "choice":
            return self.choices
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return tuple(dict.fromkeys(self.rounded(one) for one in (self.low, middle, self.high)))

    def rounded(self, value: float) -> Value:
        """A number as it is tried and typed: whole, or with four digits that mean something; within the ends."""
        if self.kind == "whole":
            return round(value)
        return min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)

    @property
    def told(self) -> str:
        """The range as people read it."""
        if self.kind == "choice":
            return "|".join(map(shown, self.choices))
        return f"{shown(self.rounded(self.low))}..{shown(self.rounded(self.high))}{' log' if self.log else ''}"


@dataclass(frozen=True)
class Space:
    """What is measured, which way is better, and what may be tried."""

    metric: str
    goal: Goal
    parameters: tuple[Parameter, ...]

    @property
    def tag(self) -> str:
        """The metric as the trainer reports it to a tuning service: that of the held-out rows, without `val_`."""
        return self.metric.removeprefix(_HELD)

    @property
    def size(self) -> int | None:
        """How many tries can differ; None where a real number is among the parameters."""
        if any(parameter.kind == "real" for parameter in self.parameters):
            return None
        count = math.prod(len(all_of(parameter)) for parameter in self.parameters)
        return len(set(map(key, self.combinations()))) if count <= 10_000 else count

    def combinations(self) -> Iterable[dict[str, Value]]:
        """Every try of a space without real numbers; those that come to the same are told alike by `key`."""
        names = [parameter.name for parameter in self.parameters]
        for values in itertools.product(*map(all_of, self.parameters)):
            yield effective(dict(zip(names, values, strict=True)))

    def better(self, one: float, other: float) -> bool:
        """Whether a metric is better than another one."""
        return one > other if self.goal == "maximize" else one < other

    def facts(self) -> dict[str, Any]:
        """For JSON, and to tell whether a space is still the same."""
        own = [{"name": p.name, "kind": p.kind, "low": p.low, "high": p.high, "log": p.log, "choices": list(p.choices)}
               for p in self.parameters]  # fmt: skip
        return {"metric": self.metric, "goal": self.goal, "parameters": own}


def of_facts(facts: Mapping[str, Any]) -> Space:
    """The space that `facts` told of."""
    own = tuple(Parameter(**{**one, "choices": tuple(one["choices"])}) for one in facts["parameters"])
    return Space(facts["metric"], facts["goal"], own)


def all_of(parameter: Parameter) -> tuple[Value, ...]:
    """Every value of a parameter that isn't a real number."""
    return parameter.choices or tuple(range(int(parameter.low), int(parameter.high) + 1))


def shown(value: Value) -> str:
    """A value as it is typed."""
    return f"{value:.10g}" if isinstance(value, float) else str(value).lower() if value in (True, False) else str(value)


def effective(values: Mapping[str, Value]) -> dict[str, Value]:
    """The values that mean something beside the others."""
    idle = {name for (at, value), names in _IDLE.items() if values.get(at) == value for name in names}
    return {name: value for name, value in values.items() if name not in idle}


def idle(space: Space, fixed: Mapping[str, Value] | None = None) -> dict[str, list[str]]:
    """The parameters that mean nothing beside some value of another one: {"model=linear": ["units", "layers"]}."""
    names = {parameter.name: parameter for parameter in space.parameters}
    found = {}
    for (at, value), others in _IDLE.items():
        can_be = (at in names and value in names[at].choices) or (fixed or {}).get(at) == value
        if can_be and (left := [name for name in names if name in others]):
            found[f"{at}={value}"] = left
    return found


def key(values: Mapping[str, Value]) -> str:
    """What is the same for tries that train the same."""
    return " ".join(f"{name}={shown(value)}" for name, value in sorted(effective(values).items()))


def arguments(values: Mapping[str, Value]) -> tuple[str, ...]:
    """The values as a trainer's options on a command line."""
    words: list[str] = []
    for name, value in effective(values).items():
        text = shown(value)
        if isinstance(value, bool):
            words += [f"--{name}"] if value else []
        else:
            words += [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]
    return tuple(words)


def read(path: Path) -> Space:
    """The space of a tuning.toml. Raises BadValue that names the file, the key, and what is allowed."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadValue(
            _("{path} doesn't exist: it says what may be tried").format(path=path),
            _('write one: metric = "val_accuracy", and under [parameters] for example units = [32, 64, 128]'),
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadValue(f"{path}: {error}", _("fix that line")) from None
    except RecursionError:
        raise BadValue(_("{path}: nested too deeply").format(path=path), _("compare with template/")) from None
    return _File(path).space(raw)


class _File:
    """One tuning.toml while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def wrong(self, where: str, what: str, hint: str) -> BadValue:
        return BadValue(f"{self.path}: {where}: {what}", hint)

    def space(self, raw: dict[str, Any]) -> Space:
        for unknown in raw.keys() - {"metric", "goal", "parameters"}:
            raise self.wrong(unknown, _("unknown key"), _("allowed: metric, goal, [parameters]"))
        metric = raw.get("metric")
        if not isinstance(metric, str) or not metric:
            raise self.wrong("metric", _("must be the name of what is measured"), _('for example "val_accuracy"'))
        goal, known = raw.get("goal"), _BETTER.get(metric.removeprefix(_HELD))
        if (goal if goal is not None else known) not in GOALS:
            raise self.wrong("goal", _('must be "maximize" or "minimize"'), _("the one that is better"))
        if goal and known and goal != known:
            raise self.wrong(
                "goal",
                _("{metric} is better when it is {way}").format(
                    metric=metric, way=_("smaller") if known == "minimize" else _("larger")
                ),
                f'goal = "{known}"',
            )
        own = raw.get("parameters")
        if not isinstance(own, dict) or not own:
            raise self.wrong("parameters", _("must be a table of what may be tried"), _("units = [32, 64, 128]"))
        parameters = [self.parameter(name, value) for name, value in own.items()]
        # What decides whether others mean anything is chosen first.
        first = {at for at, _value in _IDLE}
        parameters.sort(key=lambda parameter: parameter.name not in first)
        return Space(metric, goal or known or "maximize", tuple(parameters))

    def parameter(self, name: str, value: Any) -> Parameter:
        where = f"parameters.{name}"
        if name in _NEVER:
            raise self.wrong(
                where,
                _("can't be tuned: it decides where results go, or which rows they are measured on"),
                _("leave it out, or give it to all tries: uv run invoke tune NAME -- --{name} ...").format(name=name),
            )
        if isinstance(value, list):
            return Parameter(name, "choice", choices=self.choices(where, value))
        if not isinstance(value, dict):
            raise self.wrong(
                where,
                _("must be a list of values or a range, not {value!r}").format(value=value),
                _("for example [32, 64, 128], or {braces}").format(braces='{ from = 1e-4, to = 1e-2, scale = "log" }'),
            )
        return self.range(name, where, value)

    def choices(self, where: str, values: list[Any]) -> tuple[Value, ...]:
        if not values:
            raise self.wrong(where, _("the list is empty"), _("for example [32, 64, 128]"))
        for value in values:
            simple = isinstance(value, str | int | float)
            if not simple or (isinstance(value, float) and not math.isfinite(value)):
                raise self.wrong(where, _("{value!r} isn't a number or a text").format(value=value),
                                 _("for example [32, 64, 128]"))  # fmt: skip
        # 1 and true are the same to Python, and not to who wrote them.
        twice = [value for value, others in _repeated(map(shown, values)) if others]
        if twice:
            raise self.wrong(where, _("{value} stands there twice").format(value=twice[0]), _("leave one out"))
        if len({isinstance(value, bool) for value in values}) > 1 or len({isinstance(v, str) for v in values}) > 1:
            raise self.wrong(where, _("the values are of several kinds"), _("only numbers, or only texts"))
        return tuple(values)

    def range(self, name: str, where: str, value: dict[str, Any]) -> Parameter:
        for unknown in value.keys() - {"from", "to", "scale"}:
            hint = near(unknown, ["from", "to", "scale"])
            raise self.wrong(f"{where}.{unknown}", _("unknown key"), hint or _("allowed: from, to, scale"))
        ends = []
        for end in ("from", "to"):
            number = value.get(end)
            if not isinstance(number, int | float) or isinstance(number, bool) or not math.isfinite(number):
                said = _("must be a number, not {value!r}").format(value=number) if end in value else _("is missing")
                raise self.wrong(f"{where}.{end}", said, _("for example from = 1, to = 3"))
            ends.append(number)
        low, high = ends
        if not low < high:
            raise self.wrong(
                where,
                _("the range is empty: from {low} to {high}").format(low=low, high=high),
                _("`from` must be smaller than `to`"),
            )
        scale = value.get("scale", "linear")
        if scale not in SCALES:
            raise self.wrong(f"{where}.scale", _("{scale!r} isn't a scale").format(scale=scale),
                             _('allowed: "linear", "log"'))  # fmt: skip
        if scale == "log" and low <= 0:
            raise self.wrong(
                f"{where}.from",
                _('{low} is impossible with scale = "log"').format(low=low),
                _('a number above 0, or scale = "linear"'),
            )
        whole = isinstance(low, int) and isinstance(high, int)
        return Parameter(name, "whole" if whole else "real", low, high, scale == "log")


def _repeated(texts: Iterable[str]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for text in texts:
        counts[text] = counts.get(text, -1) + 1
    return list(counts.items())
