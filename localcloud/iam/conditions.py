"""Conditions on grants, in Google's Common Expression Language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any


def holds(condition: Mapping[str, Any], name: str, service: str, kind: str, now: datetime) -> bool:
    """Whether a condition of a binding is true for a resource at a time; one that can't be understood is not."""
    return False
