"""What a sink may leave out: https://cloud.google.com/logging/docs/reference/v2/rest/v2/projects.exclusions"""

from __future__ import annotations

import re
from typing import Any

from localcloud.core.errors import ApiError
from localcloud.core.filters import parse
from localcloud.logging.filtering.matching import matcher

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_MOST = 50  # of a sink: https://cloud.google.com/logging/quotas


def check(exclusions: Any, at: str) -> None:
    """Raises 400 for the exclusions of a sink that can't be; `at` is the field that they are in."""
    if not isinstance(exclusions, list) or not all(isinstance(one, dict) for one in exclusions):
        raise ApiError(400, f"Invalid value at '{at}'")
    if len(exclusions) > _MOST:
        raise ApiError(400, f"Too many exclusions: a sink can have at most {_MOST}, not {len(exclusions)}.")
    names = [str(one["name"]) for one in exclusions if one.get("name")]
    for name in names:
        if not _NAME.fullmatch(name):
            raise ApiError(400, f"Invalid exclusion name: '{name}'")
        if names.count(name) > 1:
            raise ApiError(400, f"Duplicate exclusion name: '{name}'")
    for one in exclusions:
        text = str(one.get("filter") or "")
        if not text.strip():
            raise ApiError(400, f"Exclusion '{one.get('name', '')}' must have a filter.")
        matcher(parse(text), text)
