"""Compiles the part of the Common Expression Language that conditions on grants may use.

https://cloud.google.com/iam/docs/conditions-attribute-reference, https://github.com/google/cel-spec
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from localcloud.iam.cel.operations import (
    BadExpression,
    Compiled,
    constant,
    either,
    function,
    method,
    need,
    relation,
    special,
    total,
)

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>[rR]?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))|(?P<number>\d+)
    |(?P<name>[A-Za-z_]\w*)|(?P<sign>&&|\|\||[=!<>]=|[<>!()\[\].,?:+-]))""",
    re.VERBOSE,
)
_DEEPEST = 50  # brackets in brackets


def compiled(text: str, attributes: Mapping[str, str]) -> Compiled:
    """The condition `text` over `attributes` (name -> type). Raises BadExpression unless it is a boolean."""
    made = expression(text, attributes)
    if made.type != "bool":
        raise BadExpression(f"expected type 'bool' but found '{made.type}'")
    return made


def expression(text: str, attributes: Mapping[str, str]) -> Compiled:
    """The same, of whatever type it is."""
    return _Parser(text, attributes).whole()


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
            need(made, "bool")
            yes = self._or()
            self._expect(":")
            no = self._expression()
            need(no, yes.type)
            condition = made
            made = Compiled(yes.type, lambda env: yes.run(env) if condition.run(env) else no.run(env))
        self._depth -= 1
        return made

    def _or(self) -> Compiled:
        made = self._and()
        while self._take("||"):
            made = either(made, self._and(), True)
        return made

    def _and(self) -> Compiled:
        made = self._relation()
        while self._take("&&"):
            made = either(made, self._relation(), False)
        return made

    def _relation(self) -> Compiled:
        left = self._sum()
        while sign := self._take("==", "!=", "<=", ">=", "<", ">", "in"):
            left = relation(left, sign, self._sum())
        return left

    def _sum(self) -> Compiled:
        made = self._unary()
        while sign := self._take("+", "-"):
            made = total(made, sign, self._unary())
        return made

    def _unary(self) -> Compiled:
        not_ = 0
        while self._take("!"):
            not_ += 1
        if self._take("-"):
            inner = self._member()
            need(inner, "int")
            return Compiled("int", lambda env: -inner.run(env))
        made = self._member()
        if not_:
            need(made, "bool")
        return Compiled("bool", lambda env: not made.run(env)) if not_ % 2 else made

    def _member(self) -> Compiled:
        made = self._primary()
        while self._take("."):
            kind, name = self._next()
            if kind != "name" or not self._take("("):
                raise BadExpression(f"undefined field '{name}'")
            made = method(made, name, self._arguments(")"))
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
            return constant("string", _string(text))
        if kind == "number":
            return constant("int", int(text))
        if text in ("true", "false"):
            return constant("bool", text == "true")
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
            return function(name, self._arguments(")"))
        if self._take("."):
            _, field = self._next()
            full = f"{name}.{field}"
            if full in self._attributes:
                return Compiled(self._attributes[full], lambda env: env[full])
            if full in ("api.getAttribute", "resource.matchTag", "resource.matchTagId") and self._take("("):
                return special(full, self._arguments(")"))
            if full in ("resource.hasTagKey", "resource.hasTagKeyId") and self._take("("):
                return special(full, self._arguments(")"))
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
