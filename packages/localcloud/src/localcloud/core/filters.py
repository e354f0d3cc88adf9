"""Reads the filter language of Cloud Logging into a tree; GRAMMAR.md beside this file is what it reads.

Language: https://cloud.google.com/logging/docs/view/logging-query-language. NOT binds tighter than OR, and OR tighter
than AND; terms side by side are joined by AND. Vertex AI's list filters are of the same grammar (https://google.aip.dev/160),
and those of projects are but for AND, which binds tighter than OR.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from localcloud.core.errors import ApiError


@dataclass(frozen=True)
class Compare:
    """`path operator value`. `quoted`: the value was in quotes, so that "*" is a star and "true" a text.

    `at` is the offset of the term in the filter, for messages. `call` is what stands in the place of a path, as in
    `cast(field, INT64) > 5`; then the path is that of the field in it.
    """

    path: tuple[str, ...]
    operator: str
    value: str
    quoted: bool = False
    at: int = 0
    call: Function | None = None


@dataclass(frozen=True)
class Text:
    """A bare word or quoted text: matches entries that have it in any field."""

    value: str
    at: int = 0


@dataclass(frozen=True)
class Function:
    """`name(argument, …)`; `paths` has the fields among the arguments, by their place.

    An argument is a text, or where it was not quoted a path written out; `inner` is a function among them.
    """

    name: str
    arguments: tuple[str, ...]
    at: int = 0
    paths: tuple[tuple[int, tuple[str, ...]], ...] = ()
    inner: tuple[tuple[int, Function], ...] = ()

    def field(self, place: int) -> tuple[str, ...] | None:
        """The path that the argument at `place` is; None for a quoted text."""
        return dict(self.paths).get(place)


@dataclass(frozen=True)
class Not:
    part: Filter


@dataclass(frozen=True)
class Both:
    """All parts (AND)."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True)
class Either:
    """At least one part (OR)."""

    parts: tuple[Filter, ...]


Filter = Compare | Text | Function | Not | Both | Either

_SPACE = re.compile(r"(?:\s+|--[^\n]*)*")  # two hyphens open a comment
_OPERATOR = re.compile(r"!=|>=|<=|=~|!~|=|>|<|:")
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)
_NAME = re.compile(r"[\w@$\-/*%+\\\[\]{}#&|;?^`]+")
_VALUE = re.compile(r"[^\s()\"',=<>!~:]+")  # "Unquoted text must not contain any special characters"
_KEYWORD = re.compile(r"(AND|OR|NOT)(?![\w.])")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}
_DEEPEST = 100  # nested parentheses; Google limits the whole filter's length instead
_LONGEST = 20_000  # characters: https://cloud.google.com/logging/quotas#log-query


def parse(text: str, tight_and: bool = False) -> Filter | None:
    """The tree of a filter, None for an empty one; `tight_and`: AND binds tighter than OR.

    Raises 400 INVALID_ARGUMENT with line and column.
    """
    if len(text) > _LONGEST:
        raise ApiError(400, f"Filter is too long: {len(text)} characters, at most {_LONGEST} are allowed.")
    return _Parser(text, tight_and).whole()


def unparseable(text: str, at: int, why: str = "") -> ApiError:
    """The refusal of a filter for what is at offset `at`."""
    return misread(text, at, "syntax error", f": {why}" if why else "")


def misread(text: str, at: int, what: str, after: str = "") -> ApiError:
    """The refusal of a filter: `what` is wrong at offset `at`."""
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    rest = re.match(r"\s*(\"[^\"]*\"?|[^\s()]+|.)?", text[at:])
    token = (rest[1] if rest and rest[1] else "") or "end of filter"
    return ApiError(400, f"Unparseable filter: {what} at line {line}, column {column}, token '{token}'{after}")


def _unescaped(found: re.Match[str]) -> str:
    escaped = found[1]
    if len(escaped) > 1:
        return chr(int(escaped[1:], 16))
    return escaped if escaped in "\"'\\" else _ESCAPES.get(escaped, found[0])


class _Parser:
    def __init__(self, text: str, tight_and: bool) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._tight_and = tight_and

    def whole(self) -> Filter | None:
        self._skip()
        if self._at == len(self._text):
            return None
        tree = self._joined()
        if self._at < len(self._text):
            self._fail()
        return tree

    def _fail(self, at: int | None = None, why: str = "") -> NoReturn:
        raise unparseable(self._text, self._at if at is None else at, why)

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._text, self._at)
        if match:
            self._at = match.end()
            self._skip()
        return match

    def _keyword(self, word: str) -> bool:
        match = _KEYWORD.match(self._text, self._at)
        if match is None or match[1] != word:
            return False
        self._at = match.end()
        self._skip()
        return True

    def _symbol(self, symbol: str) -> bool:
        if not self._text.startswith(symbol, self._at):
            return False
        self._at += len(symbol)
        self._skip()
        return True

    def _joined(self) -> Filter:
        """What a whole filter is, or what stands in parentheses."""
        if self._tight_and:
            return self._either(lambda: self._both(self._negation))
        return self._both(lambda: self._either(self._negation))

    def _both(self, inner: Callable[[], Filter]) -> Filter:
        parts = [inner()]
        while self._at < len(self._text) and not self._text.startswith(")", self._at) and not self._before_or():
            self._keyword("AND")
            parts.append(inner())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _either(self, inner: Callable[[], Filter]) -> Filter:
        parts = [inner()]
        while self._keyword("OR"):
            parts.append(inner())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _before_or(self) -> bool:
        found = _KEYWORD.match(self._text, self._at)
        return self._tight_and and found is not None and found[1] == "OR"

    def _negation(self) -> Filter:
        if self._keyword("NOT") or self._symbol("-"):
            return Not(self._negation())
        if self._text.startswith("(", self._at):
            return self._parenthesis(self._joined)
        return self._term()

    def _parenthesis(self, inside: Callable[[], Filter]) -> Filter:
        opened = self._at
        self._symbol("(")
        self._depth += 1
        if self._depth > _DEEPEST:
            self._fail(opened, "too many nested parentheses")
        tree = inside()
        self._depth -= 1
        if not self._symbol(")"):
            self._fail()
        return tree

    def _term(self) -> Filter:
        start = self._at
        if _KEYWORD.match(self._text, start):
            self._fail()
        if self._text.startswith(('"', "'"), start):
            first = self._quoted()
            if not (self._text.startswith(".", self._at) or _OPERATOR.match(self._text, self._at)):
                return Text(first, start)
            path = [first, *self._more_path()]
        else:
            name = _NAME.match(self._text, start)
            if name is None:
                self._fail()
            self._at = name.end()
            if self._text.startswith("(", self._at):
                return self._call(name[0], start)
            path = [name[0], *self._more_path()]
        end = self._at
        operator = self._take(_OPERATOR)
        if operator is None:
            return Text(self._text[start:end].strip(), start)
        return self._comparison(tuple(path), operator[0], start, None)

    def _call(self, name: str, start: int) -> Filter:
        """A function that is a condition itself, or that stands in a field's place before an operator."""
        call = self._function(name, start)
        operator = self._take(_OPERATOR)
        if operator is None:
            return call
        innermost = call
        while innermost.inner:
            innermost = innermost.inner[0][1]
        return self._comparison(innermost.field(0) or (), operator[0], start, call)

    def _comparison(self, path: tuple[str, ...], operator: str, start: int, call: Function | None) -> Filter:
        if self._text.startswith("(", self._at):
            return self._parenthesis(lambda: self._values(path, operator, start, call))
        return self._compare(path, operator, start, call)

    def _compare(self, path: tuple[str, ...], operator: str, start: int, call: Function | None) -> Compare:
        at = self._at
        value, quoted = self._value()
        if operator in ("=~", "!~") and not quoted:
            raise misread(self._text, at, "regular expressions must begin and end with '\"'")
        return Compare(path, operator, value, quoted, start, call)

    def _more_path(self) -> list[str]:
        names = []
        while self._text.startswith(".", self._at):
            self._at += 1
            if self._text.startswith(('"', "'"), self._at):
                names.append(self._quoted(skip=False))
            elif name := _NAME.match(self._text, self._at):
                self._at = name.end()
                names.append(name[0])
            else:
                self._fail()
        self._skip()
        return names

    def _quoted(self, skip: bool = True) -> str:
        match = _QUOTED.match(self._text, self._at)
        if match is None:
            self._fail(why="a quotation mark is missing")
        self._at = match.end()
        after = self._at
        if skip:
            self._skip()
            if self._text.startswith(".", self._at):
                self._at = after
        inner = match[1] if match[1] is not None else match[2]
        # A backslash before any other character stays: regular expressions need it.
        return _ESCAPE.sub(_unescaped, inner)

    def _value(self) -> tuple[str, bool]:
        if self._text.startswith(('"', "'"), self._at):
            return self._quoted(), True
        match = self._take(_VALUE)
        if match is None:
            self._fail()
        return match[0], False

    def _values(self, path: tuple[str, ...], operator: str, start: int, call: Function | None) -> Filter:
        """What follows in `field = ("a" OR "b")`: the comparison with each value, joined as the values are."""

        def one() -> Filter:
            if self._keyword("NOT") or self._symbol("-"):
                return Not(one())
            if self._text.startswith("(", self._at):
                return self._parenthesis(every)
            if _KEYWORD.match(self._text, self._at):
                self._fail()
            return self._compare(path, operator, start, call)

        def every() -> Filter:
            return self._both(lambda: self._either(one))

        return every()

    def _function(self, name: str, start: int) -> Function:
        self._symbol("(")
        arguments: list[str] = []
        paths: list[tuple[int, tuple[str, ...]]] = []
        inner: list[tuple[int, Function]] = []
        while not self._symbol(")"):
            if arguments and not self._symbol(","):
                self._fail()
            at = self._at
            if self._text.startswith(('"', "'"), at):
                arguments.append(self._quoted())
                continue
            first = _NAME.match(self._text, at)
            if first is None:
                self._fail()
            self._at = first.end()
            if self._text.startswith("(", self._at):
                self._depth += 1
                if self._depth > _DEEPEST:
                    self._fail(at, "too many nested parentheses")
                inner.append((len(arguments), self._function(first[0], at)))
                self._depth -= 1
                arguments.append("")
                continue
            paths.append((len(arguments), (first[0], *self._more_path())))
            arguments.append(self._text[at : self._at].strip())
        return Function(name, tuple(arguments), start, tuple(paths), tuple(inner))
