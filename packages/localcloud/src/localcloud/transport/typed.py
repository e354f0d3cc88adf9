"""Calls of APIs that are answered by Google's own message types: the routes of a client library, and strict requests.

A library is imported without its package's `__init__`, which would import all of its services and types.
"""

from __future__ import annotations

import importlib
import re
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.core.errors import ApiError
from localcloud.transport import shapes
from localcloud.transport.rest import Call
from localcloud.transport.shapes import Violation


@dataclass(frozen=True)
class Route:
    """One HTTP route of a method, as its google.api.http option says: `body` is "", "*" or a field."""

    verb: str
    pattern: str
    body: str


def pattern(route: Route) -> str:
    """The route as a Router takes it: `{model.name=...}` becomes a parameter `model__name`, see `request`."""
    return re.sub(r"\{(\w+)\.(\w+)=", r"{\1__\2=", route.pattern)


def request(message: Any, route: Route, call: Call) -> Any:
    """The request message of a call: its body, query and path. Raises 400 for what the type has not."""
    from google.protobuf import json_format

    given: dict[str, Any] = {}
    if not isinstance(call.body, dict):
        words = 'Invalid JSON payload received. Unknown name "": Root element must be a message.'
        raise invalid([Violation("", words)])
    if route.body == "*":
        given = dict(call.body)
    elif route.body:
        given = {route.body: call.body}
    fields = message.DESCRIPTOR.fields_by_name
    for name, value in call.query.items():
        field = fields.get(re.sub(r"[A-Z]", lambda m: "_" + m[0].lower(), name))
        if field is None:
            words = f"Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' could not be found"
            raise invalid([Violation(name, f"Invalid JSON payload received. {words} in request message.")])
        mask = field.message_type is not None and field.message_type.full_name == "google.protobuf.FieldMask"
        if mask:  # paths in either spelling
            value = re.sub(r"_([a-z])", lambda m: m[1].upper(), value)
        given[field.name] = value == "true" if field.type == field.TYPE_BOOL else value
    given = _placed(given, call.params)
    if wrong := [*shapes.wrong(message.DESCRIPTOR, given)]:
        raise invalid(wrong)
    try:
        return json_format.ParseDict(given, message)
    except json_format.ParseError:  # what `wrong` did not find; the parser's own words are not Google's
        raise invalid([Violation("", "Invalid JSON payload received.")]) from None


def _placed(given: dict[str, Any], params: Mapping[str, str]) -> dict[str, Any]:
    """The request with what its path says: `model__name` is the name in its field `model`."""
    placed = dict(given)
    for name, value in params.items():
        outer, _, inner = name.partition("__")
        placed[outer] = {**placed.get(outer, {}), inner: value} if inner else value
    return placed


def invalid(wrong: Sequence[Violation]) -> ApiError:
    """400 for a request that its message type can't hold, in the words of Google's front ends."""
    violations = [{"field": one.path, "description": one.message} for one in wrong]
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}
    return ApiError(400, "\n".join(one.message for one in wrong), details=[detail])


def routes_of(transport: Any) -> dict[str, tuple[Route, ...]]:
    """The routes of a library's REST transport (the class of its `rest_base`), by the name of the method."""
    return {
        name.removeprefix("_Base"): tuple(
            Route(rule["method"].upper(), rule["uri"], rule.get("body", "")) for rule in inner._get_http_options()
        )
        for name, inner in vars(transport).items()
        if name.startswith("_Base") and hasattr(inner, "_get_http_options")
    }


@contextmanager
def without_init(*packages: str) -> Iterator[None]:
    """Stand-ins for packages, so that their modules can be imported without their `__init__`, which imports all others.

    Afterwards the stand-ins are gone: who imports a package then gets the real one, with the same modules below it.
    """
    put = [name for name in packages if name not in sys.modules]
    for name in put:
        parent, _, own = name.rpartition(".")
        stand_in = types.ModuleType(name)
        stand_in.__path__ = [str(folder / own) for folder in _folders(parent) if (folder / own).is_dir()]
        sys.modules[name] = stand_in
    try:
        yield
    finally:
        for name in put:
            del sys.modules[name]


def _folders(package: str) -> list[Path]:
    return [Path(folder) for folder in importlib.import_module(package).__path__]
