"""What a JSON body has that its message type can't hold, in the words of Google's front ends.

The words are those of replies such as https://github.com/GoogleContainerTools/skaffold/pull/1040 (durations) and
https://github.com/GoogleCloudPlatform/cloud-foundation-fabric/issues/1770 (several at once).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

_DURATION = "google.protobuf.Duration"
_LONGEST = 315_576_000_000  # seconds of a Duration
_WHOLE = re.compile(r"-?\d+(\.0+)?", re.ASCII)


@dataclass(frozen=True)
class Violation:
    """What is wrong with one field; `path` in snake_case with indexes."""

    path: str
    message: str


def wrong(descriptor: Any, value: Mapping[str, Any], path: str = "") -> Iterator[Violation]:
    """All that is wrong with `value` as a message of the type `descriptor` (protobuf's), which is at `path`."""
    fields = _fields(descriptor)
    chosen: set[str] = set()
    for name, inner in value.items():
        field = fields.get(name)
        at = f" at '{path}'" if path else ""
        unknown = f'Invalid JSON payload received. Unknown name "{name}"{at}: '
        if field is None:
            yield Violation(path, f"{unknown}Cannot find field.")
        elif inner is None:
            continue
        elif isinstance(inner, list) and _is_map(field):
            yield Violation(path, f"{unknown}Cannot bind a list to map for field '{name}'.")
        elif isinstance(inner, list) and not field.is_repeated and not _free(field):
            yield Violation(path, f"{unknown}Proto field is not repeating, cannot start list.")
        else:
            if (group := field.containing_oneof) is not None and group.name in chosen:
                words = f"(oneof), oneof field '{group.name}' is already set. Cannot set '{name}'"
                yield Violation(path, f"Invalid value at '{path}' {words}")
            chosen |= {group.name} if group is not None else set()
            yield from _of_field(field, inner, f"{path}.{field.name}" if path else field.name)


def _of_field(field: Any, value: Any, path: str) -> Iterator[Violation]:
    if _is_map(field):
        if not isinstance(value, dict):
            yield _invalid(path, f"type.googleapis.com/{field.message_type.full_name}", value)
            return
        of_value = field.message_type.fields_by_name["value"]
        for number, inner in enumerate(value.values()):
            yield from _of_one(of_value, inner, f"{path}[{number}].value")
    elif not field.is_repeated:
        yield from _of_one(field, value, path)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _of_one(field, inner, f"{path}[{number}]")
    else:
        yield _invalid(path, _type(field), value)


def _of_one(field: Any, value: Any, path: str) -> Iterator[Violation]:
    kind = field.message_type
    if kind is not None and _free(field):
        words = _duration(value) if kind.full_name == _DURATION else ""
        if words:
            told = f"Field '{field.json_name}', {words}"
            yield Violation(path, f"Invalid value at '{path}' ({_type(field)}), {told}")
        elif not _reads(kind, value):
            yield _invalid(path, _type(field), value)
    elif kind is not None:
        if isinstance(value, dict):
            yield from wrong(kind, value, path)
        else:
            yield _invalid(path, _type(field), value)
    elif field.enum_type is not None:
        known = isinstance(value, str) and value in field.enum_type.values_by_name
        if not known and not _whole(value, 32):
            yield _invalid(path, _type(field), value)
    elif not _fits(field, value):
        yield _invalid(path, _type(field), value)


def _duration(value: Any) -> str:
    """What is wrong with a duration, in the words of protobuf's own converter, "" if nothing is."""
    if not isinstance(value, str) or not value.endswith("s"):
        return "Illegal duration format; duration must end with 's'"
    seconds, dot, fraction = value.removesuffix("s").partition(".")
    if not re.fullmatch(r"-?\d+", seconds, re.ASCII):
        return "Invalid duration format, failed to parse seconds"
    if dot and not re.fullmatch(r"\d{1,9}", fraction, re.ASCII):
        return "Invalid duration format, failed to parse nano seconds"
    return "Duration value exceeds limits" if len(seconds) > 15 or abs(int(seconds)) > _LONGEST else ""


def _reads(kind: Any, value: Any) -> bool:
    """Whether protobuf reads the value as its own type `kind`. Its Value is anything; so its parser isn't asked."""
    from google.protobuf import json_format, message_factory

    if kind.full_name == "google.protobuf.Value":
        return True
    try:
        json_format.ParseDict(value, message_factory.GetMessageClass(kind)())
    except (json_format.ParseError, TypeError, ValueError, AttributeError):
        return False
    return True


def _fits(field: Any, value: Any) -> bool:
    if field.type == field.TYPE_BYTES:
        return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9+/_-]*={0,2}", value) is not None
    if field.cpp_type == field.CPPTYPE_STRING:
        return isinstance(value, str)
    if field.cpp_type == field.CPPTYPE_BOOL:
        return isinstance(value, bool)
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return _number(value)
    unsigned = field.cpp_type in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64)
    wide = field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64)
    return _whole(value, 64 if wide else 32, unsigned)


def _number(value: Any) -> bool:
    if isinstance(value, str):
        if value in ("NaN", "Infinity", "-Infinity"):
            return True
        return re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", value, re.ASCII) is not None and _finite(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and _finite(value)


def _finite(value: str | float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _whole(value: Any, bits: int, unsigned: bool = False) -> bool:
    """Whether it is an integer of so many bits, as a number or as text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or not _WHOLE.fullmatch(text := str(value)):
        return False
    if len(digits := text.partition(".")[0]) > 20:
        return False
    least, most = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return least <= int(digits) <= most


def _type(field: Any) -> str:
    """What a field holds, as Google's front ends call it."""
    if (named := field.message_type or field.enum_type) is not None:
        return f"type.googleapis.com/{named.full_name}"
    return next(name for name, number in vars(type(field)).items() if name.startswith("TYPE_") and number == field.type)


def _invalid(path: str, kind: str, value: Any) -> Violation:
    return Violation(path, f"Invalid value at '{path}' ({kind}), {json.dumps(value, ensure_ascii=False)}")


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _free(field: Any) -> bool:
    """Whether the field has a type with a form of its own in JSON, such as google.protobuf.Struct."""
    return field.message_type is not None and field.message_type.full_name.startswith("google.protobuf.")


@cache
def _fields(descriptor: Any) -> dict[str, Any]:
    """A type's fields by their names, in either spelling."""
    return {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
