"""Tells which entries a filter matches.

Comparisons ignore letter case, regular expressions do not; a field that an entry lacks matches nothing, so
`NOT field=x` matches such an entry and `field!=x` does not (documentation of the language, "Missing fields").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.core.filters import Both, Compare, Either, Filter, Function, Not, Text, unparseable
from localcloud.logging.entries import SEVERITIES, Entry, log_id, nanoseconds
from localcloud.logging.filtering import functions
from localcloud.logging.filtering.fields import DURATIONS, INSTANTS, NUMBERS, field_path, values_at
from localcloud.logging.filtering.functions import plain, written

Match = Callable[[Entry], bool]
Test = Callable[[Any], bool]

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
    ":": lambda a, b: a == b,
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
        return functions.condition(tree, text)
    return _compare(tree, text)


def _anywhere(text: str) -> Match:
    wanted = text.casefold()

    def search(value: Any) -> bool:
        if isinstance(value, dict):
            return any(search(part) for part in value.values())
        if isinstance(value, list):
            return any(search(part) for part in value)
        return wanted in written(value)

    return search


def _compare(term: Compare, text: str) -> Match:
    if term.call is not None:
        return _compare_call(term, term.call, text)
    path = field_path(term.path)
    if path is None:
        raise unparseable(text, term.at, f"Field not found: '{'.'.join(term.path)}'")
    test = _test(term, path, text)
    if path == ("logName",):
        return lambda entry: (
            test(entry["logName"]) or test(f"{entry['logName'].partition('/logs/')[0]}/logs/{log_id(entry['logName'])}")
        )
    default = "DEFAULT" if path == ("severity",) else None

    def match(entry: Entry) -> bool:
        found = False
        for value in values_at(entry, path):
            found = True
            if test(value):
                return True
        return not found and default is not None and test(default)

    return match


def _compare_call(term: Compare, call: Function, text: str) -> Match:
    """`cast(field, TYPE) operator value`: the value is read as that type, too."""
    read, kind = functions.reading(call, text)
    if kind == "STRING" or term.operator in ("=~", "!~"):
        test = _test(term, ("textPayload",), text)
    else:
        wanted = {"INT64": _whole, "FLOAT64": float, "BOOL": _boolean, "TIMESTAMP": nanoseconds}.get(
            kind, functions.duration
        )
        try:
            value = wanted(term.value)
        except ValueError:
            raise unparseable(text, term.at, f"'{term.value}' is no {kind}") from None
        order = _ORDER[term.operator]
        test = lambda own: order(own, value)  # noqa: E731
    return lambda entry: any(test(own) for own in read(entry))


def _whole(text: str) -> int:
    return int(text)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _test(term: Compare, path: tuple[str, ...], text: str) -> Test:
    operator, wanted = term.operator, term.value
    if operator == ":" and wanted == "*" and not term.quoted:
        return lambda value: True
    if operator in ("=~", "!~"):
        return _expression(term, text)
    if wanted == "NULL_VALUE" and not term.quoted:
        return _null(term, text)
    if path == ("severity",):
        return _severity(term, text)
    try:
        if path in INSTANTS:
            instant = nanoseconds(wanted)
            return lambda value: _ORDER[operator](nanoseconds(value), instant)
        if path in DURATIONS:
            length = functions.duration(wanted)
            return lambda value: _ORDER[operator](functions.duration(value), length)
    except ValueError as error:
        raise unparseable(text, term.at, str(error)) from None
    number = _number(wanted)
    if path in NUMBERS and number is None:
        raise unparseable(text, term.at, f"'{wanted}' is no number")
    if operator == ":" and path not in NUMBERS:
        return _has(wanted)
    order, folded = _ORDER[operator], wanted.casefold()

    def test(value: Any) -> bool:
        if isinstance(value, dict) or value is None:
            return False
        if not isinstance(value, bool) and number is not None and (own := _number(value)) is not None:
            return order(own, number)
        return order(written(value), folded)

    return test


def _null(term: Compare, text: str) -> Test:
    """JSON's null, which equals only itself."""
    if term.operator not in ("=", "!=", ":"):
        raise unparseable(text, term.at, f"NULL_VALUE can't be compared by '{term.operator}'")
    negated = term.operator == "!="
    return lambda value: (value is None) != negated


def _severity(term: Compare, text: str) -> Test:
    level = SEVERITIES.get(term.value.upper(), int(term.value) if term.value.isdigit() else None)
    if level is None:
        raise unparseable(text, term.at, f"Unrecognized severity '{term.value}'")
    order = _ORDER[term.operator]
    return lambda value: order(SEVERITIES.get(value, 0), level)


def _has(wanted: str) -> Test:
    folded = wanted.casefold()

    def test(value: Any) -> bool:
        if isinstance(value, dict):
            return any(folded == str(key).casefold() for key in value)
        return value is not None and folded in written(value)

    return test


def _expression(term: Compare, text: str) -> Test:
    expression = functions.regular(term.value, text, term.at)
    negated = term.operator == "!~"
    return lambda value: not isinstance(value, dict) and ((expression.search(plain(value)) is None) == negated)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
