"""Partial responses: the `fields` parameter, such as "kind,items(name,metadata/owner),nextPageToken".

https://cloud.google.com/apis/docs/system-parameters and https://cloud.google.com/storage/docs/json_api#partial-response.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localcloud.core.errors import ApiError

# name -> what is wanted inside it; an empty selection is everything.
Selection = dict[str, "Selection"]
_TOKEN = re.compile(r"[^,()/\s]+|[,()/]")


def asked(query: Mapping[str, str]) -> Selection:
    """The selection that a call asks for; empty, everything. Raises 400 for one that can't be."""
    return parse(query.get("fields") or query.get("$fields") or "")


def parse(text: str) -> Selection:
    """The selection that a `fields` value says. Raises 400."""
    tokens = _TOKEN.findall(text)
    selection, rest = _parse(tokens)
    if rest:
        raise _invalid(f"Invalid field selection {text}")
    return selection


def _parse(tokens: list[str]) -> tuple[Selection, list[str]]:
    selection: Selection = {}
    while tokens and tokens[0] != ")":
        name, tokens = tokens[0], tokens[1:]
        if name in (",", "(", "/"):
            raise _invalid(f"Invalid field selection {name}")
        inner: Selection = {}
        path = [name]
        while tokens[:1] == ["/"] and len(tokens) > 1:
            path.append(tokens[1])
            tokens = tokens[2:]
        if tokens[:1] == ["("]:
            inner, tokens = _parse(tokens[1:])
            if tokens[:1] != [")"]:
                raise _invalid("Invalid field selection: ( is not closed")
            tokens = tokens[1:]
        for step in reversed(path[1:]):
            inner = {step: inner}
        _add(selection, path[0], inner)
        if tokens[:1] == [","]:
            tokens = tokens[1:]
    return selection, tokens


def _add(selection: Selection, name: str, inner: Selection) -> None:
    """ "a/b,a/c" wants both; "a,a/b" wants all of a."""
    if name not in selection:
        selection[name] = inner
    elif selection[name] and inner:
        for step, deeper in inner.items():
            _add(selection[name], step, deeper)
    else:
        selection[name] = {}


def select(body: Any, selection: Selection) -> Any:
    """The wanted part of a JSON value; lists are looked through."""
    if not selection or ("*" in selection and not selection["*"]):
        return body
    if isinstance(body, list):
        return [select(item, selection) for item in body]
    if not isinstance(body, dict):
        return body
    every = selection.get("*")
    chosen = {}
    for name, value in body.items():
        inner = selection.get(name, every)
        if inner is not None:
            chosen[name] = select(value, inner)
    return chosen


def _invalid(message: str) -> ApiError:
    return ApiError(400, message, reason="invalid")
