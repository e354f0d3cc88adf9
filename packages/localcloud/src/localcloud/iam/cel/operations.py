"""What the operators, methods and functions of the Common Expression Language give, in conditions on grants.

https://cloud.google.com/iam/docs/conditions-attribute-reference, https://github.com/google/cel-spec/blob/master/doc/langdef.md
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

Env = Mapping[str, Any]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_PARTS: dict[str, Callable[[datetime], int]] = {
    "getFullYear": lambda t: t.year,
    "getMonth": lambda t: t.month - 1,
    "getDate": lambda t: t.day,
    "getDayOfMonth": lambda t: t.day - 1,
    "getDayOfWeek": lambda t: t.isoweekday() % 7,
    "getDayOfYear": lambda t: t.timetuple().tm_yday - 1,
    "getHours": lambda t: t.hour,
    "getMinutes": lambda t: t.minute,
    "getSeconds": lambda t: t.second,
}
_TEXT: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "startsWith": ("bool", str.startswith),
    "endsWith": ("bool", str.endswith),
    "contains": ("bool", str.__contains__),
    "extract": ("string", lambda text, template: _extract(text, template)),
}
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


class BadExpression(ValueError):
    """What is wrong with an expression, or with the values it met."""


@dataclass(frozen=True)
class Compiled:
    """An expression of a known `type` ("bool", "string", "int", "timestamp", "duration", "list"); `run(env)` is its
    value, and raises BadExpression for what only values show."""

    type: str
    run: Callable[[Env], Any]


def constant(kind: str, value: Any) -> Compiled:
    """A literal."""
    return Compiled(kind, lambda _env: value)


def need(one: Compiled, *kinds: str) -> None:
    """Raises BadExpression unless `one` is of one of the types."""
    if one.type not in kinds:
        raise BadExpression(f"found no matching overload: expected '{kinds[0]}' but found '{one.type}'")


def either(left: Compiled, right: Compiled, wins: bool) -> Compiled:
    """|| where `wins` is true, && where false: one side that settles it makes up for an error of the other."""
    need(left, "bool")
    need(right, "bool")

    def run(env: Env) -> bool:
        try:
            if left.run(env) is wins:
                return wins
        except BadExpression:
            if right.run(env) is wins:
                return wins
            raise
        return right.run(env)

    return Compiled("bool", run)


def relation(left: Compiled, sign: str, right: Compiled) -> Compiled:
    """A comparison, or membership in a list. Raises BadExpression for types that can't be compared."""
    if sign == "in":
        need(right, "list")
        return Compiled("bool", lambda env: left.run(env) in right.run(env))
    if left.type != right.type or (sign not in ("==", "!=") and left.type in ("bool", "list")):
        raise BadExpression(f"found no matching overload for '_{sign}_' applied to '({left.type}, {right.type})'")
    compare = _COMPARE[sign]
    return Compiled("bool", lambda env: compare(left.run(env), right.run(env)))


# What can be added and subtracted, and what that gives.
_SUMS = {
    ("int", "+", "int"): "int",
    ("int", "-", "int"): "int",
    ("string", "+", "string"): "string",
    ("timestamp", "+", "duration"): "timestamp",
    ("duration", "+", "timestamp"): "timestamp",
    ("timestamp", "-", "duration"): "timestamp",
    ("timestamp", "-", "timestamp"): "duration",
    ("duration", "+", "duration"): "duration",
    ("duration", "-", "duration"): "duration",
}


def total(left: Compiled, sign: str, right: Compiled) -> Compiled:
    """A sum or difference. Raises BadExpression for types that have none."""
    kind = _SUMS.get((left.type, sign, right.type))
    if kind is None:
        raise BadExpression(f"found no matching overload for '_{sign}_' applied to '({left.type}, {right.type})'")

    def run(env: Env) -> Any:
        try:
            return left.run(env) + right.run(env) if sign == "+" else left.run(env) - right.run(env)
        except OverflowError:
            raise BadExpression("timestamp overflow") from None

    return Compiled(kind, run)


def method(of: Compiled, name: str, arguments: list[Compiled]) -> Compiled:
    """`of.name(arguments)`. Raises BadExpression for one that isn't there."""
    kinds = [argument.type for argument in arguments]
    if of.type == "string" and name in _TEXT and kinds == ["string"]:
        kind, work = _TEXT[name]
        return Compiled(kind, lambda env: work(of.run(env), arguments[0].run(env)))
    if of.type == "timestamp" and name in _PARTS and kinds in ([], ["string"]):
        part = _PARTS[name]
        zone = arguments[0] if arguments else constant("string", "UTC")
        return Compiled("int", lambda env: part(of.run(env).astimezone(_zone(zone.run(env)))))
    if of.type == "list" and name == "hasOnly" and kinds == ["list"]:
        return Compiled("bool", lambda env: set(of.run(env)) <= set(arguments[0].run(env)))
    raise BadExpression(f"undeclared reference to '{name}' or no matching overload applied to '{of.type}.({kinds})'")


def function(name: str, arguments: list[Compiled]) -> Compiled:
    """`name(arguments)`. Raises BadExpression for one that isn't there, or a constant that can't be."""
    kinds = [argument.type for argument in arguments]
    makers = {"timestamp": _timestamp, "date": _timestamp, "duration": _duration}
    if name in makers and kinds == ["string"]:
        make, text = makers[name], arguments[0]
        kind = "duration" if name == "duration" else "timestamp"
        if _is_constant(text):  # a bad one is told when the condition is set
            return constant(kind, make(text.run({})))
        return Compiled(kind, lambda env: make(text.run(env)))
    if name == "size" and kinds in (["string"], ["list"]):
        return Compiled("int", lambda env: len(arguments[0].run(env)))
    raise BadExpression(f"undeclared reference to '{name}' (in container '')")


def _is_constant(one: Compiled) -> bool:
    try:
        one.run({})
    except (KeyError, BadExpression):
        return False
    return True


def special(name: str, arguments: list[Compiled]) -> Compiled:
    """What a request changes is not known where a permission is asked, so a condition on it holds for nothing; and no
    resource here has a tag."""
    if name == "api.getAttribute":
        if len(arguments) != 2 or arguments[0].type != "string":
            raise BadExpression("found no matching overload for 'getAttribute'")

        def unknown(_env: Env) -> Any:
            raise BadExpression("the local cloud knows no attributes of the API")

        return Compiled(arguments[1].type, unknown)
    if any(argument.type != "string" for argument in arguments):
        raise BadExpression(f"found no matching overload for '{name.partition('.')[2]}'")
    return constant("bool", False)


def _extract(text: str, template: str) -> str:
    """https://cloud.google.com/iam/docs/extract-from-resource-name"""
    match = re.fullmatch(r"([^{}]*)\{\w+\}([^{}]*)", template)
    if match is None:
        raise BadExpression(f"invalid extraction template '{template}'")
    before, after = match[1], match[2]
    start = text.find(before)
    if start < 0:
        return ""
    rest = text[start + len(before) :]
    end = rest.find(after) if after else len(rest)
    return rest[:end] if end >= 0 else ""


def _timestamp(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        raise BadExpression(f"invalid timestamp '{text}'") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _duration(text: str) -> timedelta:
    found = re.findall(r"(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)", text)
    if not found or "".join(number + unit for number, unit in found) != text.lstrip("-"):
        raise BadExpression(f"invalid duration '{text}'")
    try:
        made = timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in found))
    except OverflowError:
        raise BadExpression(f"invalid duration '{text}'") from None
    return -made if text.startswith("-") else made


def _zone(name: str) -> tzinfo:
    if match := re.fullmatch(r"([+-]?)(\d\d):(\d\d)", name):
        ahead = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-ahead if match[1] == "-" else ahead)
    from zoneinfo import ZoneInfo  # read from the disk by few conditions only

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadExpression(f"unknown time zone '{name}'") from None
