"""What a JSON body has that its message type can't hold, in the words of Google's front ends.

The words are those of replies such as https://github.com/GoogleContainerTools/skaffold/pull/1040 (durations) and
https://github.com/GoogleCloudPlatform/cloud-foundation-fabric/issues/1770 (several at once).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from localcloud.vertex.jobs.validation import Violation

_DURATION = "google.protobuf.Duration"
_WHOLE = re.compile(r"-?\d+(\.0+)?")


def wrong(descriptor: Any, value: Mapping[str, Any], path: str = "") -> Iterator[Violation]:
    """All that is wrong with `value` as a message of the type `descriptor` (protobuf's), which is at `path`."""
    fields = _fields(descriptor)
    for name, inner in value.items():
        field = fields.get(name)
        at = f" at '{path}'" if path else ""
        unknown = f'Invalid JSON payload received. Unknown name "{name}"{at}: '
        if field is None:
            yield Violation(path, f"{unknown}Cannot find field.")
        elif inner is None:
            continue
        elif isinstance(inner, list) and not field.is_repeated and not _free(field):
            yield Violation(path, f"{unknown}Proto field is not repeating, cannot start list.")
        else:
            yield from _of_field(field, inner, f"{path}.{field.name}" if path else field.name)


def _of_field(field: Any, value: Any, path: str) -> Iterator[Violation]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        if isinstance(value, dict):
            of_value = field.message_type.fields_by_name["value"]
            for number, inner in enumerate(value.values()):
                yield from _of_one(of_value, inner, f"{path}[{number}].value")
    elif field.is_repeated and isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _of_one(field, inner, f"{path}[{number}]")
    else:
        yield from _of_one(field, value, path)


def _of_one(field: Any, value: Any, path: str) -> Iterator[Violation]:
    kind = field.message_type
    if kind is not None:
        if kind.full_name == _DURATION and not (isinstance(value, str) and value.endswith("s")):
            words = f"Field '{field.json_name}', Illegal duration format; duration must end with 's'"
            yield Violation(path, f"Invalid value at '{path}' (type.googleapis.com/{_DURATION}), {words}")
        elif not _free(field) and isinstance(value, dict):
            yield from wrong(kind, value, path)
        elif not _free(field):
            yield _invalid(path, f"type.googleapis.com/{kind.full_name}", value)
    elif field.enum_type is not None:
        known = isinstance(value, str) and (value in field.enum_type.values_by_name or _WHOLE.fullmatch(value))
        if not known and not isinstance(value, int | float):
            yield _invalid(path, f"type.googleapis.com/{field.enum_type.full_name}", value)
    elif not _fits(field, value):
        types = {number: name for name, number in vars(type(field)).items() if name.startswith("TYPE_")}
        yield _invalid(path, types[field.type], value)


def _fits(field: Any, value: Any) -> bool:
    if field.cpp_type == field.CPPTYPE_STRING:
        return isinstance(value, str)
    if field.cpp_type == field.CPPTYPE_BOOL:
        return isinstance(value, bool)
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return True
    return not isinstance(value, bool) and _WHOLE.fullmatch(str(value)) is not None


def _invalid(path: str, kind: str, value: Any) -> Violation:
    return Violation(path, f"Invalid value at '{path}' ({kind}), {json.dumps(value, ensure_ascii=False)}")


def _free(field: Any) -> bool:
    """Whether the field has a type with a form of its own in JSON, such as google.protobuf.Struct: not looked at."""
    return field.message_type is not None and field.message_type.full_name.startswith("google.protobuf.")


@cache
def _fields(descriptor: Any) -> dict[str, Any]:
    """A type's fields by their names, in either spelling."""
    return {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
