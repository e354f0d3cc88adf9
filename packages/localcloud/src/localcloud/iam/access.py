"""Decides who may do what: the allow policies of a resource and of what it is in, roles, and conditions on grants."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.permits import Resource, denied
from localcloud.core.asked.settling import Settling
from localcloud.core.errors import ApiError
from localcloud.iam import roles, scopes
from localcloud.iam.audit import Audit
from localcloud.iam.cel import conditions
from localcloud.iam.store import Iam

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

# Who has one of these roles on a project is meant by projectOwner:ID and so on.
_BASIC = {"projectOwner": "roles/owner", "projectEditor": "roles/editor", "projectViewer": "roles/viewer"}


def project(project_id: str, service: str = "cloudresourcemanager.googleapis.com") -> Resource:
    """A project, or what has no policy of its own in one."""
    name = f"projects/{project_id}"
    return Resource(name, (name,), service, "cloudresourcemanager.googleapis.com/Project")


def bucket(name: str, project_id: str) -> Resource:
    """A bucket of a project."""
    policies = (f"buckets/{name}", f"projects/{project_id}")
    return Resource(f"projects/_/buckets/{name}", policies, "storage.googleapis.com", "storage.googleapis.com/Bucket")


def storage_object(bucket_name: str, name: str, project_id: str) -> Resource:
    """An object: its bucket's policy is what counts."""
    full = f"projects/_/buckets/{bucket_name}/objects/{name}"
    policies = (f"buckets/{bucket_name}", f"projects/{project_id}")
    return Resource(full, policies, "storage.googleapis.com", "storage.googleapis.com/Object")


def service_account(account: Mapping[str, Any]) -> Resource:
    """A service account, as Iam gives it."""
    name, kind = account["name"], "iam.googleapis.com/ServiceAccount"
    person = account["email"] if account["email"].startswith("owner@") else ""  # too short for anybody to make one
    policies = (name, f"projects/{account['projectId']}")
    return Resource(name, policies, "iam.googleapis.com", kind, person=person)


def repository(name: str) -> Resource:
    """A repository "projects/P/locations/L/repositories/R" by its project's id."""
    kind = "artifactregistry.googleapis.com/Repository"
    policies = (name, "/".join(name.split("/")[:2]))
    return Resource(name, policies, "artifactregistry.googleapis.com", kind)


@dataclass(frozen=True)
class _Grant:
    role: str
    permissions: roles.Permissions
    members: frozenset[str]
    condition: Mapping[str, Any] | None


class Access:
    """Answers for one cloud; any thread may ask. What it answered is kept in `audit`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._generation = -1
        self._grants: dict[str, list[_Grant]] = {}
        self.audit = Audit(cloud, self.has_basic, self.role_permissions)

    def allows(self, caller: Caller, permission: str, resource: Resource) -> bool:
        """Whether `caller` has `permission` ("storage.objects.get") on `resource`. Raises 403 by its token's scopes."""
        self.check_scopes(caller, permission)
        allowed = self._allows(caller, permission, resource)
        self.audit.note(caller, permission, resource, allowed)
        return allowed

    def check_scopes(self, caller: Caller, permission: str) -> None:
        """Raises 403 when the caller's token is not for what the permission is asked for."""
        if caller.scopes is not None and not scopes.covers(caller.scopes, permission):
            raise scopes.insufficient(permission)

    def permitted(self, caller: Caller, permissions: Iterable[str], resource: Resource) -> list[str]:
        """Those of the permissions that the caller has: what `testIamPermissions` answers."""
        return [permission for permission in permissions if self._allows(caller, permission, resource)]

    def require(self, caller: Caller, permission: str, resource: Resource, domain: str = "") -> None:
        """Raises 403 IAM_PERMISSION_DENIED in the words that most APIs have; `domain` is the API that says so."""
        if not self.allows(caller, permission, resource):
            raise denied(permission, resource.name, domain or resource.service)

    def _allows(self, caller: Caller, permission: str, resource: Resource) -> bool:
        policies, iam = resource.policies, self._cloud.of(Iam)
        if resource.person not in ("", caller.email) and not permission.endswith((".get", ".list", ".getIamPolicy")):
            policies = policies[:1]
        early = False
        for policy in policies:
            for grant in self._of(policy):
                if permission not in grant.permissions or not self._is_one(caller, grant.members, resource.private):
                    continue
                if grant.condition is None or conditions.holds(
                    grant.condition, resource.name, resource.service, resource.type, self._cloud.clock.now()
                ):
                    named = (caller.members & grant.members) or {f"serviceAccount:{caller.email}"}
                    if not all(iam.is_early(policy, grant.role, member) for member in named):
                        return True
                    early = True
        if early:
            self._cloud.of(Settling).wait()
        return False

    def _of(self, policy: str) -> list[_Grant]:
        """What a policy grants; kept until any policy or role changes."""
        generation = self._cloud.of(Iam).policy_generation
        with self._lock:
            if self._generation != generation:
                self._grants.clear()
                self._generation = generation
            found = self._grants.get(policy)
        if found is None:
            bindings = self._cloud.of(Iam).get_policy(policy).get("bindings", [])
            found = [
                _Grant(b["role"], self.role_permissions(b["role"]), frozenset(b["members"]), b.get("condition"))
                for b in bindings
            ]
            with self._lock:
                if self._generation == generation:
                    self._grants[policy] = found
        return found

    def role_permissions(self, role: str) -> roles.Permissions:
        """What a role permits, predefined or custom; nothing for one that isn't there."""
        if role.startswith("roles/"):
            return roles.permissions(role)
        try:
            custom = self._cloud.of(Iam).custom_roles.get(role)
        except ApiError:
            return frozenset()
        return frozenset() if custom.get("deleted") else frozenset(custom.get("includedPermissions", ()))

    def _is_one(self, caller: Caller, members: frozenset[str], private: bool = False) -> bool:
        if "allUsers" in members and not private:
            return True
        if not caller.email:
            return False
        if caller.members:  # no one of Google's accounts: allAuthenticatedUsers are others
            return not caller.members.isdisjoint(members)
        if f"serviceAccount:{caller.email}" in members or ("allAuthenticatedUsers" in members and not private):
            return True
        return any(self.has_basic(caller.email, member) for member in members if member.startswith("project"))

    def has_basic(self, email: str, member: str) -> bool:
        """Whether a member such as projectOwner:my-project means the account of this e-mail address."""
        kind, _, project_id = member.partition(":")
        role, who = _BASIC.get(kind, ""), f"serviceAccount:{email}"
        return bool(role) and any(
            grant.role == role and who in grant.members for grant in self._of(f"projects/{project_id}")
        )
