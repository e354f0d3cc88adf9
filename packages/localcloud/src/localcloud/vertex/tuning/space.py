"""The parameters of a study: their values, their grid, and what a trainer is given of them.

A study's specification in Google's JSON: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/StudySpec
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]
Value = float | str
Chosen = list[tuple["Parameter", Value]]

KINDS = {
    "doubleValueSpec": "DOUBLE",
    "integerValueSpec": "INTEGER",
    "categoricalValueSpec": "CATEGORICAL",
    "discreteValueSpec": "DISCRETE",
}
# Kind of the parent -> the condition that fits it.
CONDITIONS = {
    "INTEGER": "parentIntValues",
    "CATEGORICAL": "parentCategoricalValues",
    "DISCRETE": "parentDiscreteValues",
}
_SAME = 1e-10  # discrete values that differ by less are one


@dataclass(frozen=True)
class Parameter:
    """One parameter; `key` tells it from all others of the study, also from one of the same `id` under another parent.

    `low` and `high` bound numbers, `values` are the choices of the other kinds. `scale` is LINEAR, LOG or REVERSE_LOG.
    `children` are the parameters that there are only when this one has one of their values.
    """

    key: str
    id: str
    kind: str
    low: float = 0.0
    high: float = 0.0
    values: tuple[Value, ...] = ()
    scale: str = "LINEAR"
    children: tuple[tuple[tuple[Value, ...], Parameter], ...] = ()

    def below(self, value: Value) -> list[Parameter]:
        """The children that there are with this value."""
        return [child for condition, child in self.children if any(_equal(value, one) for one in condition)]

    def points(self) -> Iterator[Value]:
        """All values in their order; a parameter that is not DOUBLE has such."""
        if self.kind == "INTEGER":
            yield from (float(number) for number in range(int(self.low), int(self.high) + 1))
        else:
            yield from self.values


def _equal(one: Value, other: Value) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return abs(one - other) < _SAME


def parameters(specs: Sequence[Body], above: str = "") -> list[Parameter]:
    """The parameters of a valid study's `parameters`."""
    return [_parameter(spec, f"{above}{number}:{spec['parameterId']}") for number, spec in enumerate(specs)]


def _parameter(spec: Body, key: str) -> Parameter:
    field = next(field for field in KINDS if field in spec)
    kind, given = KINDS[field], spec[field]
    choices = tuple(float(v) if kind == "DISCRETE" else str(v) for v in given.get("values", ()))
    children = []
    for number, condition in enumerate(spec.get("conditionalParameterSpecs", ())):
        wanted = condition[CONDITIONS[kind]].get("values", ())
        child = _parameter(condition["parameterSpec"], f"{key}/{number}:{condition['parameterSpec']['parameterId']}")
        children.append((tuple(v if kind == "CATEGORICAL" else float(v) for v in wanted), child))
    return Parameter(
        key,
        spec["parameterId"],
        kind,
        float(given.get("minValue", 0)),
        float(given.get("maxValue", 0)),
        choices,
        spec.get("scaleType", "").removeprefix("UNIT_").removesuffix("_SCALE") or "LINEAR",
        tuple(children),
    )


def grid(those: Sequence[Parameter]) -> Iterator[Chosen]:
    """All combinations, the last parameter changing fastest; children of a value only together with it."""
    if not those:
        yield []
        return
    first, *rest = those
    for value in first.points():
        for others in grid([*first.below(value), *rest]):
            yield [(first, value), *others]


def chosen(those: Sequence[Parameter], given: Sequence[Body]) -> Chosen:
    """Which parameters a trial's `parameters` (Google's JSON) are, with their values."""
    values = {one["parameterId"]: one["value"] for one in given}
    found: Chosen = []
    waiting = list(those)
    while waiting:
        parameter = waiting.pop(0)
        if parameter.id in values:
            value = values[parameter.id]
            found.append((parameter, value))
            waiting = [*parameter.below(value), *waiting]
    return found


def as_body(values: Chosen) -> list[dict[str, Any]]:
    """A trial's `parameters` in Google's JSON."""
    return [{"parameterId": parameter.id, "value": value} for parameter, value in values]


def arguments(given: Sequence[Body]) -> list[str]:
    """What is appended to the trainer's command line: --name=value, numbers that are whole without a fraction.

    https://cloud.google.com/vertex-ai/docs/training/using-hyperparameter-tuning#command-line-arguments
    """
    return [f"--{one['parameterId']}={_written(one['value'])}" for one in given]


def _written(value: Value) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
