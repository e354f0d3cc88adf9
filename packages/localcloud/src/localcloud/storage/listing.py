"""Listing objects: https://cloud.google.com/storage/docs/json_api/v1/objects/list"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.storage import contexts
from localcloud.storage.conditions import number
from localcloud.storage.errors import invalid
from localcloud.storage.metadata import Metadata
from localcloud.storage.records import ObjectRecord

_LARGEST_PAGE = 1000
_FEW = 32  # rows asked for where a jump over a group is likely to come next
_FIRST = -1  # before all generations of a name
_TOLD = 0  # the same for a group that was listed already, where objects of its very name follow
Position = tuple[str, int]  # (name, generation): what comes after it is still to be listed


@dataclass(frozen=True)
class Query:
    """What to list. `after` is where the last page ended."""

    prefix: str = ""
    delimiter: str = ""
    start: str = ""
    end: str = ""
    glob: re.Pattern[str] | None = None
    has: Callable[[Mapping[str, Any]], bool] | None = None  # asked of an object's settings
    versions: bool = False
    soft_deleted: bool = False
    trailing_delimiter: bool = False
    after: Position | None = None
    limit: int = _LARGEST_PAGE


@dataclass
class Page:
    """One page: objects and prefixes in the order of their names, and the token of the next page ("" for none)."""

    items: list[ObjectRecord] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    token: str = ""

    @property
    def size(self) -> int:
        return len(self.items) + len(self.prefixes)


def from_request(query: Mapping[str, str]) -> Query:
    """The query of a request. Raises 400 for a value that can't be."""
    if flag(query, "softDeleted") and flag(query, "versions"):
        raise invalid("Invalid argument.")
    return Query(
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        start=query.get("startOffset", ""),
        end=query.get("endOffset", ""),
        glob=glob_pattern(query["matchGlob"]) if query.get("matchGlob") else None,
        has=contexts.matcher(query["filter"]) if query.get("filter") else None,
        versions=flag(query, "versions"),
        soft_deleted=flag(query, "softDeleted"),
        trailing_delimiter=flag(query, "includeTrailingDelimiter"),
        after=_position(query["pageToken"]) if query.get("pageToken") else None,
        limit=page_size(query),
    )


def flag(query: Mapping[str, str], name: str) -> bool:
    """Whether a query says "true"; Python's client says "True"."""
    return query.get(name, "").lower() == "true"


def page_size(query: Mapping[str, str]) -> int:
    """`maxResults`, at most 1000. Raises 400."""
    text = query.get("maxResults") or str(_LARGEST_PAGE)
    if not text.isdecimal():
        raise invalid(f"Invalid unsigned integer value: '{text}'.")
    return min(number(text), _LARGEST_PAGE) or _LARGEST_PAGE


def page(metadata: Metadata, bucket: str, query: Query, now: str = "") -> Page:
    """The next page; `now` as RFC 3339 for those that are soft-deleted.

    Groups under a prefix are jumped over, so that a large folder costs no more than a small one.
    """
    result = Page()
    position = query.after or (max(query.prefix, query.start), _FIRST)
    below = _least(successor(query.prefix), query.end)
    step = first = _FEW if query.delimiter else _LARGEST_PAGE
    while True:
        if query.soft_deleted:
            records = metadata.scan_soft(bucket, position, below, now, step)
        else:
            records = metadata.scan(bucket, position, below, query.versions, step)
        fetched, step = step, min(4 * step, _LARGEST_PAGE)
        for record in records:
            if (record.name, record.generation) <= position or not _wanted(record, query):
                continue
            if result.size >= query.limit:
                result.token = _token(position)
                return result
            group = _group(record.name, query)
            itself = query.trailing_delimiter and record.name == group
            if group and not (query.trailing_delimiter and position[0] == group and position[1] >= _TOLD):
                result.prefixes.append(group)
                position = (group, _TOLD)
                if itself and result.size >= query.limit:
                    result.token = _token(position)
                    return result
            if group and not itself:
                jump = successor(group)
                if not jump:
                    return result
                position, step = (jump, _FIRST), first
            else:
                result.items.append(record)
                position = (record.name, record.generation)
        if len(records) < fetched:
            return result
        # A page of names that all failed the glob moved nothing on.
        position = max(position, (records[-1].name, records[-1].generation))


def _wanted(record: ObjectRecord, query: Query) -> bool:
    if query.glob and not query.glob.fullmatch(record.name):
        return False
    return not query.has or query.has(record.settings)


def _group(name: str, query: Query) -> str:
    """The prefix that stands for this name, "" when it stands for itself."""
    if not query.delimiter:
        return ""
    found = name.find(query.delimiter, len(query.prefix))
    return "" if found < 0 else name[: found + len(query.delimiter)]


def successor(prefix: str) -> str:
    """The least text above all texts that begin with `prefix`; "" when there is none."""
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        prefix = prefix[:-1]
    return ""


def _least(*bounds: str) -> str:
    return min((bound for bound in bounds if bound), default="")


def _token(position: Position) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _position(token: str) -> Position:
    try:
        name, generation = json.loads(base64.urlsafe_b64decode(token))
        return str(name), number(str(generation))
    except (ValueError, TypeError):
        raise invalid("Invalid argument.") from None


def glob_pattern(glob: str) -> re.Pattern[str]:
    """`*`, `**`, `?`, `[a-z]`, `[!a]`, `{a,b}`: https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob

    Raises 400 for brackets or braces that are not closed.
    """
    expression, at, braces = "", 0, 0
    while at < len(glob):
        sign = glob[at]
        at += 1
        if sign == "*":
            deep = glob.startswith("*", at)
            at += deep
            # "**/" also matches no folder at all.
            if deep and glob.startswith("/", at) and (not expression or expression.endswith("/")):
                expression, at = expression + "(?:.*/)?", at + 1
            else:
                expression += ".*" if deep else "[^/]*"
        elif sign == "?":
            expression += "[^/]"
        elif sign == "[":
            end = glob.find("]", at + 1)
            if end < 0:
                raise invalid("Invalid argument.")
            inner = glob[at:end].replace("\\", "\\\\")
            negated = inner[:1] in ("!", "^")
            expression += f"[{'^' if negated else ''}{inner[1:] if negated else inner}]".replace("[[", r"[\[")
            at = end + 1
        elif sign == "{":
            expression, braces = expression + "(?:", braces + 1
        elif sign == "}" and braces:
            expression, braces = expression + ")", braces - 1
        elif sign == "," and braces:
            expression += "|"
        else:
            expression += re.escape(sign)
    try:
        if braces:
            raise invalid("Invalid argument.")
        return re.compile(expression, re.DOTALL)
    except re.error:
        raise invalid("Invalid argument.") from None
