"""The functions of the filter language: conditions (log_id, SEARCH, ...) and conversions (cast, regexp_extract).

https://cloud.google.com/logging/docs/view/logging-query-language#functions
"""

from __future__ import annotations

import ipaddress
import json
import re
import zlib
import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localcloud.core.errors import NotEmulated
from localcloud.core.filters import Function, misread, unparseable
from localcloud.logging.entries import Entry, log_id, nanoseconds
from localcloud.logging.filtering.fields import field_path, values_at

Condition = Callable[[Entry], bool]
Reading = Callable[[Entry], list[Any]]

# What parts a text into the tokens that SEARCH compares:
# https://cloud.google.com/bigquery/docs/reference/standard-sql/text-analysis#log_analyzer
_TOKEN = re.compile(r"[^\s\[\]<>(){}|!;,'\"*&?+/:=@.\-$%\\_`]+")
_TYPES = ("STRING", "INT64", "FLOAT64", "BOOL", "TIMESTAMP", "DURATION")


def condition(call: Function, text: str) -> Condition:
    """What a function that stands alone says of an entry. Raises 400."""
    name, count = call.name.lower(), len(call.arguments)
    if name == "log_id" and count == 1:
        wanted = call.arguments[0].casefold()
        return lambda entry: log_id(entry["logName"]).casefold() == wanted
    if name == "source" and count == 1:
        wanted = call.arguments[0].casefold()
        return lambda entry: entry["logName"].partition("/logs/")[0].casefold() == wanted
    if call.name == "SEARCH" and count in (1, 2):
        return _search(call, text)
    if name == "sample" and count == 2:
        path, fraction = _field(call, 0, text), _fraction(call.arguments[1])
        if fraction is None:
            raise unparseable(text, call.at, "sample needs a field and a fraction from 0 to 1")
        return lambda entry: any(
            zlib.crc32(written(value).encode()) / 2**32 < fraction for value in values_at(entry, path)
        )
    if name == "ip_in_net" and count == 2:
        path = _field(call, 0, text)
        try:
            network = ipaddress.ip_network(call.arguments[1], strict=False)
        except ValueError:
            raise unparseable(text, call.at, f"'{call.arguments[1]}' is no network") from None
        return lambda entry: any(_is_in(value, network) for value in values_at(entry, path))
    if name in ("cast", "regexp_extract"):
        raise unparseable(text, call.at, f"{name} needs a comparison after it")
    if name in ("log_id", "source", "search", "sample", "ip_in_net"):
        raise unparseable(text, call.at, f"wrong arguments of the function '{call.name}'")
    raise misread(text, call.at, f"unknown function '{call.name}'")


def reading(call: Function, text: str) -> tuple[Reading, str]:
    """What `cast` or `regexp_extract` reads from an entry, and the type that it has then. Raises 400."""
    name = call.name.lower()
    if name == "cast" and len(call.arguments) in (2, 3):
        kind = call.arguments[1].upper()
        if kind not in _TYPES:
            raise unparseable(text, call.at, f"cast is to one of {', '.join(_TYPES)}")
        zone = _zone(call, text)
        source = _source(call, text)
        return lambda entry: [made for value in source(entry) if (made := _cast(value, kind, zone)) is not None], kind
    if name == "regexp_extract" and len(call.arguments) == 2:
        expression = regular(call.arguments[1], text, call.at)
        if expression.groups > 1:
            raise unparseable(text, call.at, "regexp_extract takes one group at most")
        source = _source(call, text)
        return lambda entry: [
            found[expression.groups] or "" for value in source(entry) if (found := expression.search(plain(value)))
        ], "STRING"
    raise unparseable(text, call.at, f"the function '{call.name}' can't be compared")


def _source(call: Function, text: str) -> Reading:
    for place, inner in call.inner:
        if place == 0:
            return reading(inner, text)[0]
    path = _field(call, 0, text)
    return lambda entry: list(values_at(entry, path))


def _field(call: Function, place: int, text: str) -> tuple[str, ...]:
    given = call.field(place)
    path = field_path(given) if given else None
    if path is None:
        shown = ".".join(given) if given else call.arguments[place]
        raise unparseable(text, call.at, f"Field not found: '{shown}'")
    return path


def _zone(call: Function, text: str) -> Any:
    for place, inner in call.inner:
        if place == 2 and inner.name.lower() == "timezone" and len(inner.arguments) == 1:
            try:
                return zoneinfo.ZoneInfo(inner.arguments[0])
            except (ValueError, zoneinfo.ZoneInfoNotFoundError):
                raise unparseable(text, call.at, f"unknown time zone '{inner.arguments[0]}'") from None
    if len(call.arguments) == 3:
        raise unparseable(text, call.at, 'the third argument of cast is TIMEZONE("Area/City")')
    return UTC


def _cast(value: Any, kind: str, zone: Any) -> Any:
    """The value as that type; None where it can't be."""
    try:
        if kind == "STRING":
            if zone is not UTC and isinstance(value, str):
                moved = datetime.fromtimestamp(nanoseconds(value) // 10**9, UTC).astimezone(zone)
                return moved.isoformat()
            return plain(value)
        if kind == "INT64":
            return int(value)
        if kind == "FLOAT64":
            return float(value)
        if kind == "BOOL":
            return {"true": True, "false": False}[plain(value).lower()]
        return nanoseconds(value) if kind == "TIMESTAMP" else duration(plain(value))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def duration(text: str) -> float:
    """Seconds of "1.5s", "30m", "2h" or a number of seconds. Raises ValueError."""
    found = re.fullmatch(r"(-?\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d)?", text.strip())
    if found is None:
        raise ValueError(f"Invalid duration: {text!r}")
    units = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    return float(found[1]) * units[found[2] or "s"]


def plain(value: Any) -> str:
    """A scalar as a filter writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def written(value: Any) -> str:
    """The same, for comparisons that ignore case."""
    return plain(value).casefold()


def _fraction(text: str) -> float | None:
    try:
        return fraction if 0 <= (fraction := float(text)) <= 1 else None
    except ValueError:
        return None


def _is_in(value: Any, network: Any) -> bool:
    try:
        return ipaddress.ip_address(value) in network
    except ValueError:
        return False


def _search(call: Function, text: str) -> Condition:
    path = _field(call, 0, text) if len(call.arguments) == 2 else None
    # A text between backticks is one phrase; of other text each token is looked for by itself.
    phrases = [_tokens(part) for part in re.findall(r"`([^`]+)`", call.arguments[-1])]
    phrases += [[token] for token in _tokens(re.sub(r"`[^`]+`", " ", call.arguments[-1]))]
    if not any(phrases):
        raise unparseable(text, call.at, "SEARCH needs something to look for")

    def search(entry: Entry) -> bool:
        held = [tokens for value in (values_at(entry, path) if path else [entry]) for tokens in _held(value)]
        return all(any(_follows(phrase, tokens) for tokens in held) for phrase in phrases)

    return search


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.casefold())


def _held(value: Any) -> list[list[str]]:
    """The tokens of each text in a value."""
    if isinstance(value, dict):
        return [tokens for part in value.values() for tokens in _held(part)]
    if isinstance(value, list):
        return [tokens for part in value for tokens in _held(part)]
    return [_tokens(plain(value))]


def _follows(phrase: list[str], tokens: list[str]) -> bool:
    return any(tokens[at : at + len(phrase)] == phrase for at in range(len(tokens) - len(phrase) + 1))


_NO_RE2 = re.compile(r"(?<!\\)(?:\\\\)*(\(\?(?:[=!>]|<[=!]|P=|\()|\\[1-9]|[*+?}]\+)")
_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": "\\x00-\\x7F", "blank": "\\t ", "cntrl": "\\x00-\\x1F\\x7F",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@\\[-`{-~",
    "space": "\\t\\n\\v\\f\\r ", "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip


def regular(expression: str, text: str, at: int) -> re.Pattern[str]:
    """An expression of RE2, which has no look-around and no back-references. Raises 400, 501 for what Python lacks.

    https://github.com/google/re2/wiki/Syntax
    """
    if found := _NO_RE2.search(expression):
        raise unparseable(text, at, f"invalid regular expression: invalid perl operator: {found[1]}")
    if re.search(r"(?<!\\)\\[pPC]", expression):
        raise NotEmulated("Unicode classes in regular expressions of log filters")
    python = re.sub(r"\[:(\w+):\]", lambda m: _POSIX.get(m[1], m[0]), expression)
    python = re.sub(r"(?<!\\)\\z", r"\\Z", python)
    try:
        return re.compile(python, re.ASCII)
    except (re.error, OverflowError) as error:
        raise unparseable(text, at, f"invalid regular expression: {error}") from None
