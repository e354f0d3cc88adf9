"""The filters of projects: https://cloud.google.com/resource-manager/reference/rest/v1/projects/list.

Terms `field:value`, `field=value` or `field!=value` with * in values, joined by AND, OR, NOT and parentheses; side by
side they are joined by AND, which binds tighter than OR.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from localcloud.core.errors import ApiError

Body = dict[str, Any]
Match = Callable[[Body], bool]

_TOKEN = re.compile(r"\s*(?:([()])|(AND|OR|NOT)\b|(-?[\w.\-]+)\s*(!=|[:=])\s*(\"[^\"]*\"|'[^']*'|[^\s()]+))")
_FIELDS = {
    "id": "projectId",
    "projectid": "projectId",
    "projectnumber": "projectNumber",
    "name": "name",
    "displayname": "name",
    "lifecyclestate": "state",
    "state": "state",
    "createtime": "createTime",
}
_OF_PARENT = ("parent", "parent.id", "parent.type")  # no project here has one


def matcher(text: str) -> Match:
    """What a project must be. Raises 400 for a filter that can't be read."""
    return _Reader(text).whole()


def names_state(text: str) -> bool:
    """Whether a filter says which states it is after."""
    return re.search(r"\b(lifecycleState|state)\s*[:=!]", text, re.IGNORECASE) is not None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, str, str, str]] = []
        end = 0
        while text[end:].strip():
            found = _TOKEN.match(text, end)
            if found is None:
                raise self._refusal()
            self._tokens.append(tuple(part or "" for part in found.groups()))  # type: ignore[arg-type]
            end = found.end()

    def whole(self) -> Match:
        if not self._tokens:
            return lambda _project: True
        made = self._either()
        if self._tokens:
            raise self._refusal()
        return made

    def _refusal(self) -> ApiError:
        return ApiError(400, f"Invalid filter: {self._text}")

    def _next(self, *words: str) -> bool:
        """Take the next token if it is one of these words or signs."""
        if self._tokens and (self._tokens[0][0] or self._tokens[0][1]) in words:
            self._tokens.pop(0)
            return True
        return False

    def _either(self) -> Match:
        parts = [self._both()]
        while self._next("OR"):
            parts.append(self._both())
        return lambda project: any(part(project) for part in parts)

    def _both(self) -> Match:
        parts = [self._one()]
        while self._next("AND") or (self._tokens and not (self._tokens[0][0] == ")" or self._tokens[0][1] == "OR")):
            parts.append(self._one())
        return lambda project: all(part(project) for part in parts)

    def _one(self) -> Match:
        if self._next("NOT"):
            part = self._one()
            return lambda project: not part(project)
        if self._next("("):
            inside = self._either()
            if not self._next(")"):
                raise self._refusal()
            return inside
        if not self._tokens or not self._tokens[0][2]:
            raise self._refusal()
        _, _, field, operator, value = self._tokens.pop(0)
        value = value.strip("\"'").lower()
        negated = field.startswith("-") != (operator == "!=")
        field = field.removeprefix("-")
        return lambda project: _holds(project, field, value) != negated


def _holds(project: Body, field: str, value: str) -> bool:
    if field.lower() in _OF_PARENT:
        return True
    if field.startswith("labels."):
        present = project.get("labels", {}).get(field[7:])
    else:
        present = project.get(_FIELDS.get(field.lower(), field))
    return present is not None and fnmatchcase(str(present).lower(), value)
