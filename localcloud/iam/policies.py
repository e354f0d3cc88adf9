"""What an allow policy is: normalised, validated, with an etag against lost updates."""

from __future__ import annotations

import base64
import re
import secrets
from typing import Any

from localcloud.errors import ApiError
from localcloud.iam import conditions

Policy = dict[str, Any]
EMPTY: Policy = {"version": 1, "etag": "ACAB"}  # what Google answers where no policy was ever set

# https://cloud.google.com/iam/docs/reference/rest/v1/Policy#Binding (members)
_MEMBER = re.compile(
    r"allUsers|allAuthenticatedUsers|(user|serviceAccount|group|domain|projectOwner|projectEditor|projectViewer"
    r"|principal|principalSet|deleted:user|deleted:serviceAccount|deleted:group):\S+"
)
_ROLE = re.compile(r"roles/[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*|(projects|organizations)/[^/]+/roles/[A-Za-z0-9_.]+")


def new_etag() -> str:
    """Eight bytes in base64, as Google's etags look."""
    return base64.b64encode(b"\x07\x05" + secrets.token_bytes(6)).decode()


def normalise(policy: Policy) -> Policy:
    """The policy with one binding a role and condition, each member once, empty bindings dropped, and a new etag.

    Raises 400 for a role or member that can't be, or a condition under a version below 3.
    """
    merged: dict[tuple[str, str], Policy] = {}
    for binding in policy.get("bindings", []):
        role, members = binding.get("role", ""), binding.get("members", [])
        if not _ROLE.fullmatch(role):
            raise ApiError(400, f"Role {role} is not supported for this resource.")
        for member in members:
            if not _MEMBER.fullmatch(member):
                raise ApiError(400, f"Invalid member {member}. Members must be prefixed by their type.")
        condition = binding.get("condition")
        if condition and policy.get("version", 1) != 3:
            raise ApiError(400, "Policies with conditional bindings must have version 3.")
        if condition:
            conditions.check(condition, role, members)
        kept = merged.setdefault((role, repr(condition)), {"role": role, "members": []})
        kept["members"] += [member for member in members if member not in kept["members"]]
        if condition:
            kept["condition"] = condition
    bindings = [binding for binding in merged.values() if binding["members"]]
    extra = {name: policy[name] for name in ("auditConfigs",) if policy.get(name)}
    return {"version": policy.get("version") or 1, "etag": new_etag(), "bindings": bindings, **extra}


def with_member(policy: Policy, role: str, member: str, condition: Policy | None) -> Policy:
    """The policy in which `member` has `role` (under `condition`)."""
    binding: Policy = {"role": role, "members": [member]}
    version = policy.get("version", 1)
    if condition:
        binding["condition"], version = condition, 3
    return policy | {"version": version, "bindings": [*policy.get("bindings", []), binding]}


def without_member(policy: Policy, role: str, member: str, condition: Policy | None) -> Policy:
    """The policy in which `member` has no longer `role` under `condition` (None: without a condition)."""
    bindings = []
    for binding in policy.get("bindings", []):
        if binding["role"] == role and binding.get("condition") == (condition or None):
            binding = binding | {"members": [m for m in binding["members"] if m != member]}
        bindings.append(binding)
    return policy | {"bindings": bindings}


def members_of(policy: Policy) -> set[str]:
    """Everybody whom the policy names."""
    return {member for binding in policy.get("bindings", []) for member in binding.get("members", [])}
