"""Who may do what in Cloud Storage: asked where a request comes in, once for all of its interfaces.

Permissions of each call: https://cloud.google.com/storage/docs/access-control/iam-json and .../iam-xml
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from localcloud.core.asked.callers import ANONYMOUS, Caller
from localcloud.core.asked.permits import Resource
from localcloud.core.asked.usage import Usage
from localcloud.core.errors import ApiError
from localcloud.iam import access
from localcloud.iam.access import Access
from localcloud.projects.store import Projects
from localcloud.services.enabled import deleted, require
from localcloud.storage.bucket_settings import is_private, is_uniform
from localcloud.storage.buckets import aside_name
from localcloud.storage.errors import StorageError, denied_by_storage, no_bucket

if TYPE_CHECKING:
    from localcloud.storage.store import Storage

# Where access is not uniform, a new object's access control list is "projectPrivate", the only one that is emulated:
# https://cloud.google.com/storage/docs/access-control/lists#default
_READER = frozenset({"storage.objects.get"})
_OWNER = _READER | {
    "storage.objects.getIamPolicy",
    "storage.objects.overrideUnlockedRetention",
    "storage.objects.setIamPolicy",
    "storage.objects.setRetention",
    "storage.objects.update",
}
SERVICE = "storage.googleapis.com"
_PAYER_MISSING = "Bucket is a requester pays bucket but no user project provided."


@dataclass(frozen=True)
class _Bucket:
    """What of a bucket counts for access."""

    project: str
    private: bool
    uniform: bool
    requester_pays: bool


class Admission:
    """Knows the buckets of one cloud, so that asking costs no query."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._known: dict[str, _Bucket] = {}
        self._changes = -1

    def of(self, caller: Caller, query: Mapping[str, str], headers: Mapping[str, str]) -> Asker:
        """What this caller may do, who names a project to pay in the query or a header."""
        payer = query.get("userProject") or headers.get("x-goog-user-project", "")
        return Asker(self, caller, payer)

    def bucket(self, name: str) -> _Bucket:
        """Raises 404."""
        metadata = self.storage.metadata
        changes = metadata.bucket_changes  # first: a change in between must not be missed
        if changes != self._changes:
            self._known, self._changes = {}, changes
        known = self._known
        found = known.get(name)
        if found is None:
            with metadata.transaction():
                resource, project = metadata.bucket(name), metadata.bucket_project(name)
            if resource is None:
                raise no_bucket()
            pays = bool((resource.get("billing") or {}).get("requesterPays"))
            found = known[name] = _Bucket(project, is_private(resource), is_uniform(resource), pays)
        return found


@dataclass(frozen=True)
class Asker:
    """One caller of one request. Its methods raise in Storage's words what stands against a permission."""

    _admission: Admission
    caller: Caller
    payer: str = ""

    def enter(self) -> None:
        """Raises 403 unless the API is on where a request is charged, and the caller may use the project it names.

        https://cloud.google.com/storage/docs/requester-pays#using: who names a project is charged for each request.
        """
        if not self.caller.email:
            return  # a public object, or a signed URL
        cloud, project = self._admission.storage.cloud, self.caller.project
        if self.payer and self.payer != project:
            self.project(self.payer, "serviceusage.services.use")
            project = cloud.of(Projects).get(self.payer)["projectId"]
        if not cloud.of(Projects).is_on(project, SERVICE):
            try:
                require(cloud, project, SERVICE)
            except ApiError as error:
                raise StorageError(403, error.message, "accessNotConfigured", "AccessDenied") from None

    def bucket(self, name: str, permission: str) -> None:
        """Raises 404, 403, 401, and 400 when somebody else must pay and nobody is named."""
        self._require(permission, name, "")

    def soft_deleted_bucket(self, name: str, generation: int, permission: str) -> None:
        """What the policy that the bucket had when it was deleted says. Raises 404, 403, 401."""
        storage = self._admission.storage
        project = storage.buckets.soft_deleted_project(name, generation)
        resource = access.bucket(name, project)
        aside = (f"buckets/{aside_name(name, generation)}", *resource.policies[1:])
        if not storage.cloud.of(Access).allows(self.caller, permission, replace(resource, policies=aside)):
            raise denied_by_storage(self.caller.email, permission)
        self._check_paid(project)

    def object(self, bucket: str, name: str, permission: str) -> None:
        """The same; whether the object is there makes no difference."""
        self._require(permission, bucket, name)

    def write(self, bucket: str, name: str) -> None:
        """Whether the caller may make the object, and replace the one that is there."""
        self.object(bucket, name, "storage.objects.create")
        if self._admission.storage.metadata.live(bucket, name) is not None:
            self.object(bucket, name, "storage.objects.delete")

    def move(self, bucket: str, name: str) -> None:
        """Whether the caller may take an object from its name."""
        if not self.permitted(bucket, ["storage.objects.move"], name):
            self.object(bucket, name, "storage.objects.get")
            self.object(bucket, name, "storage.objects.delete")

    def project(self, project: str, permission: str) -> None:
        """Raises 403, 401; an unknown project is refused in the same words."""
        cloud = self._admission.storage.cloud
        found = cloud.of(Projects).find(project)
        if found is None or not cloud.of(Access).allows(self.caller, permission, access.project(found["projectId"])):
            raise denied_by_storage(self.caller.email, permission)
        self._check_paid(found["projectId"])

    def permitted(self, bucket: str, permissions: Iterable[str], name: str = "") -> list[str]:
        """Those of the permissions that the caller has. Raises 404."""
        known = self._admission.bucket(bucket)
        resource = self._resource(known, bucket, name)
        found = self._admission.storage.cloud.of(Access).permitted
        return [p for p in permissions if self._by_list(known, p) or found(self.caller, [p], resource)]

    def is_public(self, bucket: str, name: str) -> bool:
        """Whether everybody may read the object. Raises 404."""
        return bool(replace(self, caller=ANONYMOUS).permitted(bucket, ["storage.objects.get"], name))

    def told(self, error: ApiError) -> ApiError:
        """The error that this caller may see: who may not list a bucket isn't told what is not there."""
        bucket = error.bucket if isinstance(error, StorageError) else ""
        if not bucket:
            return error
        try:
            self.bucket(bucket, "storage.objects.list")
        except ApiError as refusal:
            return refusal
        return error

    def _require(self, permission: str, bucket: str, name: str) -> None:
        known = self._admission.bucket(bucket)
        if known.requester_pays:
            self._check_payer(known)
        resource = self._resource(known, bucket, name)
        asked = self._admission.storage.cloud.of(Access)
        if self._by_list(known, permission):
            asked.audit.note(self.caller, permission, resource, True)
        elif not asked.allows(self.caller, permission, resource):
            raise denied_by_storage(self.caller.email, permission)
        self._check_paid(known.project)

    def _check_paid(self, project: str) -> None:
        """Nothing of a project answers which is being deleted, or whose billing account is missing or closed."""
        cloud = self._admission.storage.cloud
        if (state := cloud.of(Usage).state(project)) == "deleted":
            raise deleted(cloud.of(Projects).get(project), SERVICE)
        if state:
            words = f"The billing account for the owning project is disabled in state {state}"
            raise StorageError(403, words, "accountDisabled", "UserProjectAccountProblem")

    def _check_payer(self, bucket: _Bucket) -> None:
        """https://cloud.google.com/storage/docs/requester-pays#requirements: who may bill the owner names nobody."""
        if self.payer:
            self.project(self.payer, "serviceusage.services.use")
            return
        may = self._admission.storage.cloud.of(Access).permitted
        if not may(self.caller, ["resourcemanager.projects.createBillingAssignment"], access.project(bucket.project)):
            raise StorageError(400, _PAYER_MISSING, "required", "UserProjectMissing")

    def _resource(self, known: _Bucket, bucket: str, name: str) -> Resource:
        made = access.storage_object(bucket, name, known.project) if name else access.bucket(bucket, known.project)
        return replace(made, private=True) if known.private else made

    def _by_list(self, bucket: _Bucket, permission: str) -> bool:
        """Whether the access control list that each object has without uniform access gives the permission."""
        if bucket.uniform or permission not in _OWNER:
            return False
        kinds = ["projectOwner", "projectEditor", *(["projectViewer"] if permission in _READER else [])]
        has = self._admission.storage.cloud.of(Access).has_basic
        return any(has(self.caller.email, f"{kind}:{bucket.project}") for kind in kinds)
