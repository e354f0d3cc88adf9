"""The predefined roles that this cloud has, and what each of them permits."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from localcloud.errors import ApiError

Permissions = frozenset[str]


@cache
def _book() -> dict[str, Any]:
    """Role -> title, stage, permissions by resource: roles.json, which names its source and date."""
    return json.loads((Path(__file__).parent / "roles.json").read_text(encoding="utf-8"))["roles"]


def names() -> list[str]:
    """All of them, such as "roles/storage.objectViewer"."""
    return list(_book())


def known(role: str) -> bool:
    """Whether this cloud has a predefined role of this name."""
    return role in _book()


@cache
def permissions(role: str) -> Permissions:
    """What a predefined role permits, as far as it concerns this cloud's APIs; nothing for one that isn't known."""
    groups: dict[str, str] = _book().get(role, {}).get("permissions", {})
    return frozenset(f"{resource}.{verb}" for resource, verbs in groups.items() for verb in verbs.split())


@cache
def all_permissions() -> list[str]:
    """Each permission that any of the roles has, in order."""
    return sorted(frozenset().union(*map(permissions, names())))


def predefined(name: str, full: bool = True) -> dict[str, Any]:
    """A predefined role, with its permissions if `full`. Raises 404."""
    found = _book().get(name)
    if found is None:
        raise ApiError(404, f"The role named {name} was not found.")
    shown = {"name": name, "title": found["title"], "stage": found["stage"], "etag": "AA=="}
    return shown | ({"includedPermissions": sorted(permissions(name))} if full else {})
