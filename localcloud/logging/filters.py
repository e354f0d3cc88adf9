"""Reads the filter language of Cloud Logging into a tree.

Language: https://cloud.google.com/logging/docs/view/logging-query-language. NOT binds tighter than OR, and OR tighter
than AND; terms side by side are joined by AND. Vertex AI's list filters are of the same grammar (https://google.aip.dev/160).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from localcloud.errors import ApiError


@dataclass(frozen=True)
class Compare:
    """`path operator value`. `quoted`: the value was in quotes, so that "*" is a star and "true" a text.

    `at` is the offset of the term in the filter, for messages.
    """

    path: tuple[str, ...]
    operator: str
    value: str
    quoted: bool = False
    at: int = 0


@dataclass(frozen=True)
class Text:
    """A bare word or quoted text: matches entries that have it in any field."""

    value: str
    at: int = 0


@dataclass(frozen=True)
class Function:
    """`name(argument, …)`; an argument is a text or, where it was not quoted, a path written out."""

    name: str
    arguments: tuple[str, ...]
    at: int = 0


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
_VALUE = re.compile(r"[^\s()\"',=<>!~:][^\s()\"',]*")
_KEYWORD = re.compile(r"(AND|OR|NOT)(?![\w.])")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}
_DEEPEST = 100  # nested parentheses; Google limits the whole filter's length instead
_LONGEST = 20_000  # characters: https://cloud.google.com/logging/quotas#log-query


def parse(text: str) -> Filter | None:
    """The tree of a filter, None for an empty one. Raises 400 INVALID_ARGUMENT with line and column."""
    if len(text) > _LONGEST:
        raise ApiError(400, f"Filter is too long: {len(text)} characters, at most {_LONGEST} are allowed.")
    return _Parser(text).whole()


def unparseable(text: str, at: int, why: str = "") -> ApiError:
    """The refusal of a filter for what is at offset `at`."""
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    rest = re.match(r"\s*(\"[^\"]*\"?|[^\s()]+|.)?", text[at:])
    token = (rest[1] if rest and rest[1] else "") or "end of filter"
    message = f"Unparseable filter: syntax error at line {line}, column {column}, token '{token}'"
    return ApiError(400, message + (f": {why}" if why else ""))


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> Filter | None:
        self._skip()
        if self._at == len(self._text):
            return None
        tree = self._conjunction()
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

    def _conjunction(self) -> Filter:
        parts = [self._disjunction()]
        while self._at < len(self._text) and not self._text.startswith(")", self._at):
            self._keyword("AND")
            parts.append(self._disjunction())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _disjunction(self) -> Filter:
        parts = [self._negation()]
        while self._keyword("OR"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _negation(self) -> Filter:
        if self._keyword("NOT") or self._symbol("-"):
            return Not(self._negation())
        if self._text.startswith("(", self._at):
            return self._parenthesis(self._conjunction)
        return self._term()

    def _parenthesis(self, inside: object) -> Filter:
        opened = self._at
        self._symbol("(")
        self._depth += 1
        if self._depth > _DEEPEST:
            self._fail(opened, "too many nested parentheses")
        tree = inside()  # type: ignore[operator]
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
                return self._function(name[0], start)
            path = [name[0], *self._more_path()]
        operator = self._take(_OPERATOR)
        if operator is None:
            return Text(self._text[start : self._at].strip(), start)
        if self._text.startswith("(", self._at):
            return self._parenthesis(lambda: self._values(tuple(path), operator[0], start))
        value, quoted = self._value()
        return Compare(tuple(path), operator[0], value, quoted, start)

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
        return re.sub(
            r"\\(.)",
            lambda m: m[1] if m[1] in "\"'\\" else _ESCAPES.get(m[1], m[0]),
            inner,
            flags=re.DOTALL,
        )

    def _value(self) -> tuple[str, bool]:
        if self._text.startswith(('"', "'"), self._at):
            return self._quoted(), True
        match = self._take(_VALUE)
        if match is None:
            self._fail()
        return match[0], False

    def _values(self, path: tuple[str, ...], operator: str, start: int) -> Filter:
        """What follows in `field = ("a" OR "b")`: the comparison with each value, joined as the values are."""

        def one() -> Filter:
            if self._keyword("NOT") or self._symbol("-"):
                return Not(one())
            if self._text.startswith("(", self._at):
                return self._parenthesis(both)
            value, quoted = self._value()
            return Compare(path, operator, value, quoted, start)

        def either() -> Filter:
            parts = [one()]
            while self._keyword("OR"):
                parts.append(one())
            return parts[0] if len(parts) == 1 else Either(tuple(parts))

        def both() -> Filter:
            parts = [either()]
            while self._at < len(self._text) and not self._text.startswith(")", self._at):
                self._keyword("AND")
                parts.append(either())
            return parts[0] if len(parts) == 1 else Both(tuple(parts))

        return both()

    def _function(self, name: str, start: int) -> Filter:
        self._symbol("(")
        arguments = []
        while not self._symbol(")"):
            if arguments and not self._symbol(","):
                self._fail()
            arguments.append(self._value()[0])
        return Function(name, tuple(arguments), start)
