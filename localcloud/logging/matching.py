"""Tells which entries a filter matches.

Comparisons ignore letter case, regular expressions do not; a field that an entry lacks matches nothing, so
`NOT field=x` matches such an entry and `field!=x` does not (documentation of the language, "Missing fields").
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from localcloud.errors import ApiError
from localcloud.logging.entries import FIELDS, SEVERITIES, Entry, log_id, nanoseconds
from localcloud.logging.filters import Both, Compare, Either, Filter, Function, Not, Text, unparseable

Match = Callable[[Entry], bool]

_INSTANTS = {"timestamp", "receiveTimestamp"}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


def matcher(tree: Filter | None, text: str) -> Match:
    """A function that says whether an entry matches. Raises 400 for unknown fields and values that can't be.

    `text` is the filter that `tree` was read from, for messages.
    """
    if tree is None:
        return lambda entry: True
    if isinstance(tree, Both | Either):
        parts = [matcher(part, text) for part in tree.parts]
        if isinstance(tree, Both):
            return lambda entry: all(part(entry) for part in parts)
        return lambda entry: any(part(entry) for part in parts)
    if isinstance(tree, Not):
        part = matcher(tree.part, text)
        return lambda entry: not part(entry)
    if isinstance(tree, Text):
        return _anywhere(tree.value)
    if isinstance(tree, Function):
        return _function(tree, text)
    return _compare(tree, text)


def field_path(path: tuple[str, ...]) -> tuple[str, ...] | None:
    """The path in an entry's JSON: snake_case names of LogEntry fields too. None for a field that it has not."""
    camel = re.sub(r"_([a-z])", lambda m: m[1].upper(), path[0])
    return (camel, *path[1:]) if camel in FIELDS else None


def _values(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """What is at `path`; of a list, what any of its elements has there."""
    if isinstance(value, list):
        for element in value:
            yield from _values(element, path)
    elif not path:
        yield value
    elif isinstance(value, dict):
        # A key may hold dots itself: labels.compute.googleapis.com/name
        for end in range(len(path), 0, -1):
            key = ".".join(path[:end])
            if key in value:
                yield from _values(value[key], path[end:])
                return


def _anywhere(text: str) -> Match:
    wanted = text.casefold()

    def search(value: Any) -> bool:
        if isinstance(value, dict):
            return any(search(part) for part in value.values())
        if isinstance(value, list):
            return any(search(part) for part in value)
        return wanted in _written(value)

    return search


def _written(value: Any) -> str:
    """A scalar as a filter writes it, for comparisons that ignore case."""
    return (value if isinstance(value, str) else json.dumps(value)).casefold()


def _compare(term: Compare, text: str) -> Match:
    path = field_path(term.path)
    if path is None:
        raise unparseable(text, term.at, f"Field not found: '{term.path[0]}'")
    test = _test(term, path, text)
    if path == ("logName",):
        return lambda entry: (
            test(entry["logName"]) or test(f"{entry['logName'].partition('/logs/')[0]}/logs/{log_id(entry['logName'])}")
        )
    default = "DEFAULT" if path == ("severity",) else None

    def match(entry: Entry) -> bool:
        found = False
        for value in _values(entry, path):
            found = True
            if test(value):
                return True
        return not found and default is not None and test(default)

    return match


def _test(term: Compare, path: tuple[str, ...], text: str) -> Callable[[Any], bool]:
    operator, wanted = term.operator, term.value
    if operator == ":" and wanted == "*" and not term.quoted:
        return lambda value: True
    if operator in ("=~", "!~"):
        return _expression(term, text)
    if path == ("severity",):
        level = SEVERITIES.get(wanted.upper(), int(wanted) if wanted.isdigit() else None)
        if level is None:
            raise unparseable(text, term.at, f"Unrecognized severity '{wanted}'")
        same = _ORDER.get("=" if operator == ":" else operator)
        assert same is not None
        return lambda value: same(SEVERITIES.get(value, 0), level)
    if path[0] in _INSTANTS and len(path) == 1:
        try:
            instant = nanoseconds(wanted)
        except ValueError as error:
            raise unparseable(text, term.at, str(error)) from None
        order = _ORDER["=" if operator == ":" else operator]
        return lambda value: order(nanoseconds(value), instant)
    if operator == ":":
        return _has(wanted)
    order = _ORDER[operator]
    folded, number = wanted.casefold(), _number(wanted)

    def test(value: Any) -> bool:
        if isinstance(value, dict):
            return False
        if not isinstance(value, bool) and number is not None and (own := _number(value)) is not None:
            return order(own, number)
        return order(_written(value), folded)

    return test


def _has(wanted: str) -> Callable[[Any], bool]:
    folded = wanted.casefold()

    def test(value: Any) -> bool:
        if isinstance(value, dict):
            return any(folded == str(key).casefold() for key in value)
        return folded in _written(value)

    return test


def _expression(term: Compare, text: str) -> Callable[[Any], bool]:
    try:
        expression = re.compile(term.value)
    except re.error as error:
        raise unparseable(text, term.at, f"invalid regular expression: {error}") from None
    negated = term.operator == "!~"
    return lambda value: (
        not isinstance(value, dict)
        and ((expression.search(value if isinstance(value, str) else json.dumps(value)) is None) == negated)
    )


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _function(call: Function, text: str) -> Match:
    if call.name.lower() == "log_id" and len(call.arguments) == 1:
        wanted = call.arguments[0].casefold()
        return lambda entry: log_id(entry["logName"]).casefold() == wanted
    if call.name == "SEARCH" and len(call.arguments) == 1:
        words = [_anywhere(word) for word in call.arguments[0].split()]
        return lambda entry: all(word(entry) for word in words)
    if call.name == "sample" and len(call.arguments) == 2:
        path, fraction = field_path(tuple(call.arguments[0].split("."))), _number(call.arguments[1])
        if path is None or fraction is None or not 0 <= fraction <= 1:
            raise unparseable(text, call.at, "sample needs a field and a fraction from 0 to 1")
        return lambda entry: any(
            zlib.crc32(_written(value).encode()) / 2**32 < fraction for value in _values(entry, path)
        )
    raise ApiError(400, f"Unparseable filter: the local cloud does not know the function '{call.name}'")
