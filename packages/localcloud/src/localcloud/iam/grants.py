"""What may be granted, by where and to whom: the rules for what is new in an allow policy."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.core.errors import ApiError, NotEmulated
from localcloud.iam import permissions, roles
from localcloud.iam.policies import Policy, members_of, roles_of

Body = dict[str, Any]
_INVALID = "Request contains an invalid argument."
_NOT_ON_PROJECTS = re.compile("allUsers|allAuthenticatedUsers|project(Owner|Editor|Viewer):.*")


@dataclass(frozen=True)
class Known:
    """What there is: custom roles and service accounts, None for one that isn't there; whether one of Google's own
    agents is there yet.
    """

    role: Callable[[str], Body | None]
    account: Callable[[str], Body | None]
    agent: Callable[[str], bool]


def check(known: Known, resource: str, policy: Policy, before: Policy, project: str) -> None:
    """Raises 400 for a role that does not apply to the resource, or a member that is not there or can't be; 501.

    `project` is whose a bucket is.
    """
    kind = permissions.kind_of(resource)
    for role in roles_of(policy) - roles_of(before):
        if not _grantable(known, role, resource, kind, project):
            raise ApiError(400, f"Role {role} is not supported for this resource.")
    new = members_of(policy) - members_of(before)
    for member in new:
        prefix, _, email = member.partition(":")
        if prefix == "serviceAccount" and not _exists(known, email):
            raise ApiError(400, f"Service account {email} does not exist.")
    if kind == "project":
        if any(_NOT_ON_PROJECTS.fullmatch(member) for member in new):
            raise ApiError(400, _INVALID)
        _check_owners(_owners(policy), _owners(before))


def _grantable(known: Known, role: str, resource: str, kind: str, of_bucket: str) -> bool:
    if roles.is_elsewhere(role):
        raise NotEmulated(role)
    if role.startswith("roles/"):
        return roles.grantable(role, kind)
    name = resource.split("/")[1]
    project = of_bucket if kind == "bucket" else name
    custom = known.role(role)
    if custom is None or custom.get("deleted") or not role.startswith(f"projects/{project}/"):
        return False
    included = custom.get("includedPermissions") or ()
    return not included or not permissions.asked_on(kind).isdisjoint(included)


def _exists(known: Known, email: str) -> bool:
    # Google's own service agents come into being when they are named: gcp-sa-..., NUMBER@cloudservices, ...
    if re.fullmatch(r"[^@]+@(?!gcp-sa-)[^@.]+\.iam\.gserviceaccount\.com", email):
        return known.account(email) is not None
    workload = re.fullmatch(r"[^@\[\]]+\.svc\.id\.goog\[[^/\]]+/[^/\]]+\]", email)
    return bool(workload or (re.fullmatch(r"[^@]+@[^@]+\.gserviceaccount\.com", email) and known.agent(email)))


def _check_owners(owners: set[str], before: set[str]) -> None:
    """People are invited to own a project, which its last owner can't leave.

    https://cloud.google.com/resource-manager/reference/rest/v1/projects/setIamPolicy
    """
    if people := sorted(member for member in owners - before if member.startswith("user:")):
        raise ApiError(400, _INVALID, details=[_owner_error("SOLO_MUST_INVITE_OWNERS", member=one) for one in people])
    if before and not owners:
        raise ApiError(400, _INVALID, details=[_owner_error("SOLO_REQUIRE_TOS_ACCEPTOR")])


def _owners(policy: Policy) -> set[str]:
    found = members_of({"bindings": [b for b in policy.get("bindings", []) if b["role"] == "roles/owner"]})
    return {member for member in found if not member.startswith("deleted:")}


def _owner_error(kind: str, **more: str) -> dict[str, Any]:
    """As gcloud shows it in https://github.com/hashicorp/terraform-provider-google/issues/4276"""
    name = "type.googleapis.com/google.cloudresourcemanager.v1.ProjectIamPolicyError"
    return {"@type": name, "type": kind, "role": "roles/owner", **more}
