"""Custom roles of projects: what is kept, and what may be."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError
from localcloud.core.state.documents import Documents, apply_mask
from localcloud.iam import permissions, policies

if TYPE_CHECKING:
    from localcloud.core.clock import Clock

Body = dict[str, Any]
_ID = re.compile(r"[A-Za-z0-9_.]{3,64}")
_WEEK = 7 * 24 * 3600  # seconds for which a deleted role can be undeleted


class CustomRoles:
    """Kept in `kept`; `changed()` is called when what a role permits may have changed."""

    def __init__(self, kept: Documents, clock: Clock, changed: Callable[[], None]) -> None:
        self._kept = kept
        self._clock = clock
        self._changed = changed
        self._lock = threading.RLock()

    def create(self, project: str, role_id: str, role: Body) -> Body:
        """A custom role of a project. Raises 400 for a bad id or permission, 409 when there is one (also deleted)."""
        if not _ID.fullmatch(role_id):
            raise ApiError(400, f"The role_id {role_id} must match regex '[a-zA-Z0-9_\\.]{{3,64}}'.")
        name = f"projects/{project}/roles/{role_id}"
        if self._kept.find(name):
            raise ApiError(409, f"A role named {role_id} in {name.rpartition('/roles/')[0]} already exists.")
        permissions.check_custom(role.get("includedPermissions") or [])
        body = {"stage": "ALPHA"} | role | {"name": name, "etag": policies.new_etag()}
        return self._kept.put(name, "role", body)

    def find(self, name: str) -> Body | None:
        """A custom role by its full name, also a deleted one ("deleted": true), or None."""
        found = self._kept.find(name)
        return {field: value for field, value in found.items() if field != "deletedAt"} if found else None

    def get(self, name: str) -> Body:
        """The same. Raises 404."""
        found = self.find(name)
        if found is None:
            raise ApiError(404, f"The role named {name} was not found.")
        return found

    def of_project(self, project: str, deleted: bool = False) -> list[Body]:
        """The custom roles of a project, without the deleted ones unless asked."""
        found = self._kept.list("role", f"projects/{project}/roles/")
        return [self.get(role["name"]) for role in found if deleted or not role.get("deleted")]

    def update(self, name: str, changes: Body, mask: str | None = None) -> Body:
        """Change a custom role. Raises 404, 400 for a permission that can't be, or 409 ABORTED for a stale etag."""
        with self._lock:
            role = self.get(name)
            policies.check_etag(changes, role)
            merged = apply_mask(role, changes, mask)
            if merged.get("includedPermissions") != role.get("includedPermissions"):
                permissions.check_custom(merged.get("includedPermissions") or [])
            merged |= {"name": name, "etag": policies.new_etag()}
            kept = self._kept.put(name, "role", merged)
            self._changed()  # afterwards: whoever asks in between must not take the old for the new
            return kept

    def delete(self, name: str) -> Body:
        """Mark a custom role deleted; its id can't be used again. Raises 404."""
        with self._lock:
            role = self.get(name)
            gone = role | {"deleted": True, "etag": policies.new_etag(), "deletedAt": self._clock.time()}
            self._kept.put(name, "role", gone)
            self._changed()
            return self.get(name)

    def undelete(self, name: str) -> Body:
        """Take a deletion back. Raises 404, or 400 when the role is not deleted or was more than a week ago."""
        with self._lock:
            role = self._kept.find(name)
            if role is None:
                raise ApiError(404, f"The role named {name} was not found.")
            if not role.get("deleted") or self._clock.time() - role["deletedAt"] > _WEEK:
                raise ApiError(400, f"You can't undelete {name} because it is not deleted.", "FAILED_PRECONDITION")
            back = {k: v for k, v in role.items() if k not in ("deleted", "deletedAt")}
            kept = self._kept.put(name, "role", back | {"etag": policies.new_etag()})
            self._changed()
            return kept
