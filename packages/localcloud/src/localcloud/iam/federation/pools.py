"""Workload identity pools and their providers: what is kept, and what may be.

https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools
"""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.directory import Directory
from localcloud.core.errors import ApiError, NotEmulated
from localcloud.core.state.documents import apply_mask
from localcloud.iam.federation import attributes
from localcloud.iam.store import Iam

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
POOL, PROVIDER = "workloadIdentityPool", "workloadIdentityPoolProvider"
_ID = re.compile(r"(?!gcp-)[a-z0-9-]{4,32}")
_DAYS = 30  # for which what was deleted can be undeleted, and its id not be used again
_CHANGES = {
    POOL: ("displayName", "description", "disabled"),
    PROVIDER: ("displayName", "description", "disabled", "attributeMapping", "attributeCondition", "oidc"),
}
_ELSEWHERE = ("aws", "saml", "x509", "mode", "inlineCertificateIssuanceConfig", "inlineTrustConfig", "attestationRules")


class Pools:
    """The pools of one cloud, by names that have the project's number, whichever way they are asked for."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._kept = cloud.documents
        self._lock = threading.RLock()

    def name(self, given: str) -> str:
        """The full name with the project's number. Raises 403 for a project that isn't there."""
        _projects, project, rest = given.split("/", 2)
        return f"projects/{self._cloud.of(Directory).get(project)['projectNumber']}/{rest}"

    def create(self, kind: str, parent: str, resource_id: str, body: Body) -> Body:
        """A new pool or provider under its parent's name. Raises 400, 404, 409 also for one that was deleted, 501."""
        if not _ID.fullmatch(resource_id):
            raise ApiError(
                400, f"Invalid ID '{resource_id}': it must be 4 to 32 characters of [a-z0-9-], and not begin with gcp-."
            )
        parent = self.name(parent)
        with self._lock:
            if kind == PROVIDER:
                self.get(parent)
            name = f"{parent}/{'providers' if kind == PROVIDER else 'workloadIdentityPools'}/{resource_id}"
            if self.find(name):
                raise ApiError(409, "Requested entity already exists")
            return self._put(kind, {**self._checked(kind, body), "name": name, "state": "ACTIVE"})

    def find(self, name: str) -> Body | None:
        """One by its name, also a deleted one ("state": "DELETED"), or None."""
        name = self.name(name)
        found = self._kept.find(name)
        if found is not None and self._is_over(found):
            for one in self._kept.list(PROVIDER, f"{name}/"):
                self._kept.delete(one["name"])
            self._kept.delete(name)
            return None
        return found

    def _is_over(self, found: Body) -> bool:
        return "expireTime" in found and found["expireTime"] <= self._cloud.clock.stamp()

    def get(self, name: str) -> Body:
        """The same. Raises 404."""
        found = self.find(name)
        if found is None:
            raise ApiError(404, "Requested entity was not found.")
        return found

    def list(self, kind: str, parent: str, deleted: bool = False) -> list[Body]:
        """Those under a parent, without the deleted ones unless asked."""
        found = [self.find(one["name"]) for one in self._kept.list(kind, f"{self.name(parent)}/")]
        return [one for one in found if one and (deleted or one["state"] == "ACTIVE")]

    def update(self, kind: str, name: str, changes: Body, mask: str | None = None) -> Body:
        """Change one. Raises 400, 404 also for a deleted one."""
        with self._lock:
            before = self._active(name)
            return self._put(kind, before | self._checked(kind, apply_mask(before, changes, mask)))

    def delete(self, kind: str, name: str) -> Body:
        """Mark one deleted; its id can't be used again for 30 days. Raises 404."""
        with self._lock:
            ends = datetime.fromtimestamp(self._cloud.clock.time() + _DAYS * 86_400, UTC)
            return self._put(
                kind,
                {**self._active(name), "state": "DELETED", "expireTime": ends.strftime("%Y-%m-%dT%H:%M:%S.%fZ")},
            )

    def undelete(self, kind: str, name: str) -> Body:
        """Take a deletion back. Raises 404, 400 for one that is not deleted."""
        with self._lock:
            found = self.get(name)
            if found["state"] != "DELETED":
                raise ApiError(400, "The entity is not deleted.", "FAILED_PRECONDITION")
            del found["expireTime"]
            return self._put(kind, found | {"state": "ACTIVE"})

    def admitting(self, provider: str) -> Body | None:
        """A provider that lets in: neither it nor its pool is deleted or disabled, or gone. None: there is no such."""
        match = re.fullmatch(r"(projects/[^/]+/locations/global/workloadIdentityPools/[^/]+)/providers/[^/]+", provider)
        project = self._cloud.of(Directory).find(provider.split("/")[1]) if match else None
        if match is None or project is None:
            return None
        both = [self.find(match[1]), self.find(provider)]
        return both[1] if all(one and one["state"] == "ACTIVE" and not one.get("disabled") for one in both) else None

    def _active(self, name: str) -> Body:
        found = self.get(name)
        if found["state"] != "ACTIVE":
            raise ApiError(404, "Requested entity was not found.")
        return found

    def _put(self, kind: str, body: Body) -> Body:
        kept = self._kept.put(body["name"], kind, body)
        self._cloud.of(Iam).generation += 1  # a token may have ended with it
        return kept

    def _checked(self, kind: str, body: Body) -> Body:
        """What is kept of a body. Raises 400, 501."""
        for name in _ELSEWHERE:
            if body.get(name):
                raise NotEmulated(f"{name} of a {kind}")
        if len(body.get("displayName") or "") > 32 or len(body.get("description") or "") > 256:
            raise ApiError(400, "A display name has at most 32 characters, a description 256.")
        if kind == PROVIDER:
            oidc = body.get("oidc") or {}
            if not str(oidc.get("issuerUri", "")).startswith("https://"):
                raise ApiError(400, "The issuer URI of an OIDC provider must start with https://.")
            if oidc.get("jwksJson"):
                _check_keys(str(oidc["jwksJson"]))
            attributes.check(body.get("attributeMapping"), body.get("attributeCondition") or "", oidc["issuerUri"])
        return {name: body[name] for name in _CHANGES[kind] if body.get(name) not in (None, "", False)}


def _check_keys(text: str) -> None:
    try:
        keys = json.loads(text)["keys"]
        if not keys or any("private" in key or "d" in key or "kty" not in key for key in keys):
            raise ValueError
    except (ValueError, TypeError, KeyError):
        raise ApiError(400, "The JWKS of an OIDC provider must be a JSON object with public keys.") from None
