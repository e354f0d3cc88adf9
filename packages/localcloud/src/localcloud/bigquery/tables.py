"""Rows as BigQuery's REST API tells them: cells in the order of the schema, numbers as texts, parts on request.

https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/list
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from localcloud.bigquery.refusals import refused

Body = dict[str, Any]


def selected(schema: Sequence[Body], wanted: str) -> list[Body]:
    """The fields that `selectedFields` names ("a,b.c"), in the schema's order; all for "". Raises 400."""
    if not wanted:
        return [*schema]
    paths = [path.strip().split(".") for path in wanted.split(",") if path.strip()]
    known = {one["name"]: one for one in schema}
    for path in paths:
        if path[0] not in known:
            raise refused(400, "invalid", f"No such field: {'.'.join(path)}")
    made = []
    for name, one in known.items():
        inner = [path[1:] for path in paths if path[0] == name]
        if not inner:
            continue
        parts = [] if any(not path for path in inner) else [".".join(path) for path in inner]
        made.append(one | {"fields": selected(one.get("fields", []), ",".join(parts))} if parts else one)
    return made


def row(values: Body, schema: Sequence[Body], whole: bool) -> Body:
    """A row; times in microseconds where they are to be `whole` numbers, else in seconds."""
    return {"f": [{"v": _cell(values.get(one["name"]), one, whole)} for one in schema]}


def _cell(value: Any, field: Body, whole: bool) -> Any:
    if field["mode"] == "REPEATED":
        return [{"v": _cell(one, field | {"mode": "NULLABLE"}, whole)} for one in value or []]
    if value is None:
        return None
    if field["type"] == "RECORD":
        return row(value, field["fields"], whole)
    if isinstance(value, datetime):
        return str(round(value.timestamp() * 1_000_000)) if whole else repr(value.timestamp())
    return str(value)
