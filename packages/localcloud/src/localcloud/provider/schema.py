"""The shapes of what the provider has, as the pulumi_gcp SDK declares them, and the check of values against them.

schema.json is a snapshot of the SDK (snapshot.py). A type is written "string", "boolean", "integer", "number", "any",
"#name" for an entry of "types", with "[]" for a list of it and "{}" for a map to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from localcloud.provider.wire import SECRET, is_unknown, mark

PATH = Path(__file__).parent / "schema.json"

Mistake = tuple[str, str]  # (path of the property, what is wrong with it)


@dataclass(frozen=True)
class Shape:
    """Properties by name with their types, and which must be there. `outputs` are those of a resource."""

    inputs: Mapping[str, str]
    required: tuple[str, ...]
    outputs: Mapping[str, str]


@cache
def _book() -> dict[str, Any]:
    return json.loads(PATH.read_text(encoding="utf-8"))


@cache
def resource(token: str) -> Shape | None:
    """The shape of a kind such as "gcp:storage/bucket:Bucket", None for one that the snapshot has not."""
    row = _book()["resources"].get(token)
    return Shape(row["inputs"], tuple(row["required"]), row["outputs"]) if row else None


@cache
def nested(name: str) -> Shape:
    """The shape of an entry of "types"."""
    row = _book()["types"][name]
    return Shape(row["inputs"], tuple(row["required"]), {})


def sdk_version() -> str:
    """The version of pulumi_gcp that the snapshot is of."""
    return _book()["sdk"]


def mistakes(token: str, inputs: Mapping[str, Any], choices: Mapping[str, tuple[str, ...]]) -> list[Mistake]:
    """All ways in which `inputs` don't fit the kind `token`.

    `choices` gives the values that a string may have, by its path with "[]" for any place of a list.
    """
    shape = resource(token)
    assert shape is not None
    return list(_Check(choices).properties(shape, inputs, "", ""))


@dataclass(frozen=True)
class _Check:
    choices: Mapping[str, tuple[str, ...]]

    def properties(self, shape: Shape, values: Mapping[str, Any], path: str, pattern: str) -> Iterator[Mistake]:
        dot = "." if path else ""
        for name in shape.required:
            if values.get(name) is None:
                yield path + dot + name, "is required"
        for name, value in values.items():
            here, there = path + dot + name, pattern + dot + name
            if name.startswith("__"):  # the engine's own, such as __defaults
                continue
            if name not in shape.inputs:
                yield here, f"isn't a property; known are {', '.join(sorted(shape.inputs))}"
            else:
                yield from self.value(shape.inputs[name], value, here, there)

    def value(self, kind: str, value: Any, path: str, pattern: str) -> Iterator[Mistake]:
        if value is None or is_unknown(value) or kind == "any":
            return
        if mark(value) == SECRET:
            yield from self.value(kind, value.get("value"), path, pattern)
        elif kind.endswith("[]"):
            if not isinstance(value, list):
                yield path, f"is {_shown(value)}; a list is needed"
                return
            for index, item in enumerate(value):
                yield from self.value(kind[:-2], item, f"{path}[{index}]", f"{pattern}[]")
        elif kind.endswith("{}"):
            if not isinstance(value, dict):
                yield path, f"is {_shown(value)}; a map is needed"
                return
            for name, item in value.items():
                yield from self.value(kind[:-2], item, f"{path}.{name}", f"{pattern}.*")
        elif kind.startswith("#"):
            if not isinstance(value, dict):
                yield path, f"is {_shown(value)}; an object is needed"
                return
            yield from self.properties(nested(kind[1:]), value, path, pattern)
        elif not _fits(kind, value):
            yield path, f"is {_shown(value)}; a {kind} is needed"
        elif (allowed := self.choices.get(pattern)) and value not in allowed:
            yield path, f"is {_shown(value)}; one of {', '.join(allowed)} is needed"


def _fits(kind: str, value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": number and float(value).is_integer(),
        "number": number,
    }[kind]


def _shown(value: Any) -> str:
    return json.dumps(value)[:80]


def function_inputs(token: str) -> tuple[str, ...]:
    """The names of a function's arguments."""
    return tuple(_book()["functions"][token]["inputs"])


def coerce(token: str, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the cloud answered, in the kind's declared types (an int64 comes as text), without what it declares not."""
    shape = resource(token)
    assert shape is not None
    return {
        name: _coerced(shape.outputs[name], value)
        for name, value in outputs.items()
        if name in shape.outputs and value is not None
    }


def inputs_of(token: str, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `outputs` that a program could have given: the inputs of a resource that is imported."""
    shape = resource(token)
    assert shape is not None
    return {
        name: _without_computed(shape.inputs[name], value)
        for name, value in outputs.items()
        if name in shape.inputs and value not in (None, [], {})
    }


def _without_computed(kind: str, value: Any) -> Any:
    if kind.endswith("[]") and isinstance(value, list):
        return [_without_computed(kind[:-2], item) for item in value]
    if kind.startswith("#") and isinstance(value, dict):
        types = nested(kind[1:]).inputs
        return {name: _without_computed(types[name], item) for name, item in value.items() if name in types}
    return value


def refreshed(token: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """`inputs` with what the cloud has now instead: what a program did not give stays out, so defaults are no drift."""
    shape = resource(token)
    assert shape is not None
    told = outputs.keys() & shape.inputs.keys()
    return {
        name: _refreshed(shape.inputs[name], value, outputs[name]) if name in told else value
        for name, value in inputs.items()
    }


def _refreshed(kind: str, before: Any, now: Any) -> Any:
    if kind.startswith("#") and isinstance(before, dict) and isinstance(now, dict):
        types = nested(kind[1:]).inputs
        return {name: _refreshed(types[name], before[name], now.get(name)) for name in before if name in types}
    if kind.endswith("[]") and isinstance(before, list) and isinstance(now, list):
        if len(before) == len(now):
            return [_refreshed(kind[:-2], old, new) for old, new in zip(before, now, strict=True)]
        return _without_computed(kind, now)
    return now


def _coerced(kind: str, value: Any) -> Any:
    if value is None or kind == "any":
        return value
    if kind.endswith("[]"):
        return [_coerced(kind[:-2], item) for item in value] if isinstance(value, list) else value
    if kind.endswith("{}"):
        return {name: _coerced(kind[:-2], item) for name, item in value.items()} if isinstance(value, dict) else value
    if kind.startswith("#"):
        types = nested(kind[1:]).inputs
        return {name: _coerced(types[name], item) for name, item in value.items() if name in types}
    if kind in ("integer", "number") and isinstance(value, str):
        number = float(value)
        return int(number) if number.is_integer() else number
    return str(value) if kind == "string" and not isinstance(value, str) else value
