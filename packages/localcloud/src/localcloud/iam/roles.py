"""The predefined roles that this cloud has, and what each of them permits."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from localcloud.core.errors import ApiError, NotEmulated
from localcloud.iam.permissions import asked_on

Permissions = frozenset[str]


@cache
def _file() -> dict[str, Any]:
    """roles.json, which names its source and date."""
    return json.loads((Path(__file__).parent / "roles.json").read_text(encoding="utf-8"))


def _book() -> dict[str, Any]:
    """Role -> title, stage, permissions by resource."""
    return _file()["roles"]


def names() -> list[str]:
    """All of them, such as "roles/storage.objectViewer"."""
    return list(_book())


def is_elsewhere(role: str) -> bool:
    """Whether Google has this predefined role and this cloud does not."""
    group, _, name = role.removeprefix("roles/").rpartition(".")
    return role.startswith("roles/") and name in _file()["others"].get(group, "").split()


# https://cloud.google.com/iam/docs/roles-permissions ("Lowest-level resources where you can grant this role") and
# https://cloud.google.com/storage/docs/access-control/iam-roles
_NOT_ON_PROJECTS = ("roles/storage.legacy", "roles/billing.", "roles/iam.organizationRoleAdmin")
_PROJECT_BILLING = ("roles/billing.projectManager", "roles/billing.projectCostsManager")
_BASIC = ("roles/owner", "roles/editor", "roles/viewer")


def grantable(role: str, kind: str) -> bool:
    """Whether a predefined role may be in the policy of a kind of resource (see permissions.kind_of).

    It may where one of its permissions is asked; some roles are for other places all the same.
    """
    if kind == "billingAccount" and not role.startswith("roles/billing."):
        return False
    if kind == "project" and role.startswith(_NOT_ON_PROJECTS) and role not in _PROJECT_BILLING:
        return False
    if kind == "bucket" and role in _BASIC:
        return False
    return not permissions(role).isdisjoint(asked_on(kind))


@cache
def permissions(role: str) -> Permissions:
    """What a predefined role permits, as far as it concerns this cloud's APIs; nothing for one that isn't known."""
    groups: dict[str, str] = _book().get(role, {}).get("permissions", {})
    return frozenset(f"{resource}.{verb}" for resource, verbs in groups.items() for verb in verbs.split())


def predefined(name: str, full: bool = True) -> dict[str, Any]:
    """A predefined role, with its permissions if `full`. Raises 404, 501."""
    found = _book().get(name)
    if found is None and is_elsewhere(name):
        raise NotEmulated(name)
    if found is None:
        raise ApiError(404, f"The role named {name} was not found.")
    shown = {"name": name, "title": found["title"], "stage": found["stage"], "etag": "AA=="}
    return shown | ({"includedPermissions": sorted(permissions(name))} if full else {})
