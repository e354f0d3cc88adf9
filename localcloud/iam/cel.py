"""Compiles the part of the Common Expression Language that conditions on grants may use.

https://cloud.google.com/iam/docs/conditions-attribute-reference, https://github.com/google/cel-spec
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

Env = Mapping[str, Any]
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>[rR]?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))|(?P<number>\d+)
    |(?P<name>[A-Za-z_]\w*)|(?P<sign>&&|\|\||[=!<>]=|[<>!()\[\].,?:+-]))""",
    re.VERBOSE,
)
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
_DEEPEST = 50  # brackets in brackets


class BadExpression(ValueError):
    """What is wrong with an expression, or with the values it met."""


@dataclass(frozen=True)
class Compiled:
    """An expression of a known `type` ("bool", "string", "int", "timestamp", "duration", "list"); `run(env)` is its
    value, and raises BadExpression for what only values show."""

    type: str
    run: Callable[[Env], Any]


def compiled(text: str, attributes: Mapping[str, str]) -> Compiled:
    """The condition `text` over `attributes` (name -> type). Raises BadExpression unless it is a boolean."""
    parser = _Parser(text, attributes)
    made = parser.whole()
    if made.type != "bool":
        raise BadExpression(f"expected type 'bool' but found '{made.type}'")
    return made


class _Parser:
    """Recursive descent; what follows binds tighter."""

    def __init__(self, text: str, attributes: Mapping[str, str]) -> None:
        self._attributes = attributes
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def whole(self) -> Compiled:
        made = self._expression()
        if self._tokens[self._at][0] != "end":
            raise self._unexpected()
        return made

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _take(self, *signs: str) -> str:
        kind, text = self._tokens[self._at]
        if (kind == "sign" or text == "in") and text in signs:
            self._at += 1
            return text
        return ""

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise self._unexpected()

    def _unexpected(self) -> BadExpression:
        kind, text = self._tokens[self._at]
        return BadExpression("mismatched input '<EOF>'" if kind == "end" else f"mismatched input '{text}'")

    def _expression(self) -> Compiled:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadExpression("expression recursion limit exceeded")
        made = self._or()
        if self._take("?"):
            _need(made, "bool")
            yes = self._or()
            self._expect(":")
            no = self._expression()
            _need(no, yes.type)
            condition = made
            made = Compiled(yes.type, lambda env: yes.run(env) if condition.run(env) else no.run(env))
        self._depth -= 1
        return made

    def _or(self) -> Compiled:
        made = self._and()
        while self._take("||"):
            made = _either(made, self._and(), True)
        return made

    def _and(self) -> Compiled:
        made = self._relation()
        while self._take("&&"):
            made = _either(made, self._relation(), False)
        return made

    def _relation(self) -> Compiled:
        left = self._sum()
        while sign := self._take("==", "!=", "<=", ">=", "<", ">", "in"):
            left = _relation(left, sign, self._sum())
        return left

    def _sum(self) -> Compiled:
        made = self._unary()
        while sign := self._take("+", "-"):
            made = _sum(made, sign, self._unary())
        return made

    def _unary(self) -> Compiled:
        not_ = 0
        while self._take("!"):
            not_ += 1
        if self._take("-"):
            inner = self._member()
            _need(inner, "int")
            return Compiled("int", lambda env: -inner.run(env))
        made = self._member()
        if not_:
            _need(made, "bool")
        return Compiled("bool", lambda env: not made.run(env)) if not_ % 2 else made

    def _member(self) -> Compiled:
        made = self._primary()
        while self._take("."):
            kind, name = self._next()
            if kind != "name" or not self._take("("):
                raise BadExpression(f"undefined field '{name}'")
            made = _method(made, name, self._arguments(")"))
        return made

    def _arguments(self, end: str) -> list[Compiled]:
        found: list[Compiled] = []
        if self._take(end):
            return found
        while True:
            found.append(self._expression())
            if self._take(end):
                return found
            self._expect(",")

    def _primary(self) -> Compiled:
        kind, text = self._next()
        if kind == "string":
            return _constant("string", _string(text))
        if kind == "number":
            return _constant("int", int(text))
        if text in ("true", "false"):
            return _constant("bool", text == "true")
        if text == "(":
            inner = self._expression()
            self._expect(")")
            return inner
        if text == "[":
            items = self._arguments("]")
            return Compiled("list", lambda env: [item.run(env) for item in items])
        if kind == "name" and text != "in":
            return self._named(text)
        self._at -= 1
        raise self._unexpected()

    def _named(self, name: str) -> Compiled:
        if self._take("("):
            return _function(name, self._arguments(")"))
        if self._take("."):
            _, field = self._next()
            full = f"{name}.{field}"
            if full in self._attributes:
                return Compiled(self._attributes[full], lambda env: env[full])
            if full in ("api.getAttribute", "resource.matchTag", "resource.matchTagId") and self._take("("):
                return _special(full, self._arguments(")"))
            if full in ("resource.hasTagKey", "resource.hasTagKeyId") and self._take("("):
                return _special(full, self._arguments(")"))
            if any(known.startswith(f"{name}.") for known in self._attributes):
                raise BadExpression(f"undefined field '{field}'")
        raise BadExpression(f"undeclared reference to '{name}' (in container '')")


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise BadExpression(f"Syntax error: token recognition error at: '{text[at:].strip()[:1]}'")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return [*found, ("end", "")]


def _string(text: str) -> str:
    """The value of a literal; a raw one (r"...") keeps its backslashes."""
    if text[0] in "rR":
        return text[2:-1]
    if strange := re.search(r"\\(?!u[0-9a-fA-F]{4})[^\\\"'`?abfnrtv]", text):
        raise BadExpression(f"Syntax error: token recognition error at: '{strange[0]}'")
    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", _unescaped, text[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    what = match[1]
    if len(what) > 1:
        return chr(int(what[1:], 16))
    return {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}.get(what, what)


def _constant(kind: str, value: Any) -> Compiled:
    return Compiled(kind, lambda _env: value)


def _need(one: Compiled, *kinds: str) -> None:
    if one.type not in kinds:
        raise BadExpression(f"found no matching overload: expected '{kinds[0]}' but found '{one.type}'")


def _either(left: Compiled, right: Compiled, wins: bool) -> Compiled:
    """|| where `wins` is true, && where false: one side that settles it makes up for an error of the other."""
    _need(left, "bool")
    _need(right, "bool")

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


def _relation(left: Compiled, sign: str, right: Compiled) -> Compiled:
    if sign == "in":
        _need(right, "list")
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


def _sum(left: Compiled, sign: str, right: Compiled) -> Compiled:
    kind = _SUMS.get((left.type, sign, right.type))
    if kind is None:
        raise BadExpression(f"found no matching overload for '_{sign}_' applied to '({left.type}, {right.type})'")

    def run(env: Env) -> Any:
        try:
            return left.run(env) + right.run(env) if sign == "+" else left.run(env) - right.run(env)
        except OverflowError:
            raise BadExpression("timestamp overflow") from None

    return Compiled(kind, run)


def _method(of: Compiled, name: str, arguments: list[Compiled]) -> Compiled:
    kinds = [argument.type for argument in arguments]
    if of.type == "string" and name in _TEXT and kinds == ["string"]:
        kind, work = _TEXT[name]
        return Compiled(kind, lambda env: work(of.run(env), arguments[0].run(env)))
    if of.type == "timestamp" and name in _PARTS and kinds in ([], ["string"]):
        part = _PARTS[name]
        zone = arguments[0] if arguments else _constant("string", "UTC")
        return Compiled("int", lambda env: part(of.run(env).astimezone(_zone(zone.run(env)))))
    if of.type == "list" and name == "hasOnly" and kinds == ["list"]:
        return Compiled("bool", lambda env: set(of.run(env)) <= set(arguments[0].run(env)))
    raise BadExpression(f"undeclared reference to '{name}' or no matching overload applied to '{of.type}.({kinds})'")


def _function(name: str, arguments: list[Compiled]) -> Compiled:
    kinds = [argument.type for argument in arguments]
    makers = {"timestamp": _timestamp, "date": _timestamp, "duration": _duration}
    if name in makers and kinds == ["string"]:
        make, text = makers[name], arguments[0]
        kind = "duration" if name == "duration" else "timestamp"
        if _is_constant(text):  # a bad one is told when the condition is set
            return _constant(kind, make(text.run({})))
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


def _special(name: str, arguments: list[Compiled]) -> Compiled:
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
    return _constant("bool", False)


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
