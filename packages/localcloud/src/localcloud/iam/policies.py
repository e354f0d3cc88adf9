"""What an allow policy is: normalised, validated, with an etag against lost updates."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from typing import Any

from localcloud.core.errors import ApiError
from localcloud.iam.cel import conditions

Policy = dict[str, Any]
EMPTY: Policy = {"etag": "ACAB"}  # what Google answers where no policy was ever set

# https://cloud.google.com/iam/docs/reference/rest/v1/Policy#Binding (members)
_MEMBER = re.compile(
    r"allUsers|allAuthenticatedUsers|(user|serviceAccount|group|domain|projectOwner|projectEditor|projectViewer"
    r"|principal|principalSet|deleted:user|deleted:serviceAccount|deleted:group):\S+"
)
_ROLE = re.compile(r"roles/[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*|(projects|organizations)/[^/]+/roles/[A-Za-z0-9_.]+")


class BadMember(ApiError):
    """400 for a member of no type; Cloud Storage has words of its own for it."""

    def __init__(self, member: str) -> None:
        # https://github.com/GoogleCloudPlatform/oss-test-infra/pull/2440
        what = "Policy members must be prefixed of the form '<type>:<value>', where <type> is 'domain', 'group', "
        violation = {"field": "policy.bindings.member", "description": what + "'serviceAccount', or 'user'."}
        detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
        super().__init__(400, 'Policy members must be of the form "<type>:<value>".', details=[detail])
        self.member = member


def new_etag() -> str:
    """Eight bytes in base64, as Google's etags look."""
    return base64.b64encode(b"\x07\x05" + secrets.token_bytes(6)).decode()


def check_etag(given: Policy, present: Policy) -> None:
    """Raises 409 ABORTED when `given` has the etag of an older state than `present`."""
    if given.get("etag") and _plain(given["etag"]) != _plain(present.get("etag", "")):
        raise ApiError(
            409,
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
            "ABORTED",
        )


def _plain(etag: str) -> str:
    """An etag in one spelling: clients send it in either base64 alphabet, and with or without padding."""
    return etag.replace("-", "+").replace("_", "/").rstrip("=")


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
                raise BadMember(member)
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
    # "If the policy has no conditional role bindings, the response uses version 1"
    version = 3 if any("condition" in binding for binding in bindings) else 1
    return {"version": version, "etag": new_etag(), "bindings": bindings, **extra}


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


def requested_version(body: Policy, query: dict[str, str]) -> int:
    """Which version of a policy a call to get one asks for. Raises 400 for one that there is not."""
    wanted = (body.get("options") or {}).get("requestedPolicyVersion") or query.get("options.requestedPolicyVersion")
    if str(wanted or 0) not in ("0", "1", "2", "3"):
        raise ApiError(400, f"Invalid policy version {wanted}: it must be 0, 1 or 3.")
    return int(wanted or 0)


def shown(policy: Policy, version: int) -> Policy:
    """The policy as who asked for `version` gets it: below 3 without conditions, and with roles that tell so.

    https://cloud.google.com/iam/docs/policies#specifying-version-get
    """
    bindings = policy.get("bindings", [])
    if version >= 3 or not any(binding.get("condition") for binding in bindings):
        return policy
    return policy | {"version": 1, "bindings": [_without_condition(binding) for binding in bindings]}


def _without_condition(binding: Policy) -> Policy:
    if not binding.get("condition"):
        return binding
    digest = hashlib.sha256(json.dumps(binding["condition"], sort_keys=True).encode()).hexdigest()[:20]
    return {"role": f"{binding['role']}_withcond_{digest}", "members": binding["members"]}


def roles_of(policy: Policy) -> set[str]:
    """Every role that the policy grants."""
    return {binding["role"] for binding in policy.get("bindings", [])}


def pairs(policy: Policy) -> set[tuple[str, str]]:
    """(role, member) of all that a policy grants."""
    return {(binding["role"], member) for binding in policy.get("bindings", []) for member in binding["members"]}


def members_of(policy: Policy) -> set[str]:
    """Everybody whom the policy names."""
    return {member for binding in policy.get("bindings", []) for member in binding.get("members", [])}
