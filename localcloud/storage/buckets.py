"""Buckets: made, shown, changed and deleted, and who may use them.

The resource: https://cloud.google.com/storage/docs/json_api/v1/buckets#resource
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from localcloud.errors import ApiError
from localcloud.storage import names
from localcloud.storage.conditions import ANY, Conditions
from localcloud.storage.errors import StorageError, condition_failed, invalid, no_bucket
from localcloud.storage.metadata import Metadata, Resource
from localcloud.storage.records import merged, timestamp, version_etag

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

# What a client may set at any time; kept as given. README.md says which of them have no effect here.
_WRITABLE = (
    "acl",
    "autoclass",
    "billing",
    "cors",
    "customPlacementConfig",
    "defaultEventBasedHold",
    "defaultObjectAcl",
    "encryption",
    "hierarchicalNamespace",
    "iamConfiguration",
    "ipFilter",
    "labels",
    "lifecycle",
    "logging",
    "objectRetention",
    "retentionPolicy",
    "rpo",
    "softDeletePolicy",
    "storageClass",
    "versioning",
    "website",
)
_WEEK = 7 * 24 * 3600
_DAYS_TO_LOCK = 90  # uniform access can be turned off again within
_OWNED = "Your previous request to create the named bucket succeeded and you already own it."
_TAKEN = (
    "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
    "Please select a different name and try again."
)


class Buckets:
    """The buckets of one cloud; all methods may be called from any thread."""

    def __init__(self, cloud: Cloud, metadata: Metadata) -> None:
        self._cloud = cloud
        self._metadata = metadata

    def create(self, project: str, resource: Resource, caller: str = "") -> Resource:
        """A new bucket from a client's resource. Raises 400, 403 for an unknown project, 409 for a taken name."""
        owner = self._project(project, "storage.buckets.create", caller)
        name = names.check_bucket_name(resource.get("name"))
        location, kind = names.check_location(resource.get("location") or "US")
        now = timestamp(self._cloud.clock.now())
        made: Resource = {
            "kind": "storage#bucket",
            "id": name,
            "name": name,
            "selfLink": f"https://www.googleapis.com/storage/v1/b/{name}",
            "projectNumber": owner["projectNumber"],
            "location": location,
            "locationType": kind,
            "timeCreated": now,
            "updated": now,
            "metageneration": "1",
            "storageClass": "STANDARD",
            "softDeletePolicy": {"retentionDurationSeconds": str(_WEEK)},
            "iamConfiguration": {
                "uniformBucketLevelAccess": {"enabled": False},
                "publicAccessPrevention": "inherited",
            },
        }
        if kind != "region":
            made["rpo"] = "DEFAULT"
        made = self._settled(made, resource, {})
        with self._metadata.transaction():
            taken = self._metadata.bucket_project(name)
            if taken:
                own = taken == owner["projectId"]
                code = "BucketAlreadyOwnedByYou" if own else "BucketNameUnavailable"
                raise StorageError(409, _OWNED if own else _TAKEN, "conflict", code)
            # First the policy: a kill in between leaves one of no bucket, and the next bucket of this name replaces it.
            self._cloud.iam.set_policy(_policy_name(name), _first_policy(owner["projectId"], _is_uniform(made)))
            self._metadata.put_bucket(owner["projectId"], made)
        return made

    def get(self, name: str) -> Resource:
        """Raises 404."""
        found = self._metadata.bucket(name)
        if found is None:
            raise no_bucket()
        return found

    def list(self, project: str, caller: str = "") -> list[Resource]:
        """The buckets of a project, by name. Raises 403 for an unknown project."""
        return self._metadata.buckets(self._project(project, "storage.buckets.list", caller)["projectId"])

    def change(self, name: str, changes: Resource, conditions: Conditions = ANY, whole: bool = False) -> Resource:
        """PATCH (null removes), or with `whole` PUT. Raises 404, 412, 400."""
        with self._metadata.transaction():
            present = self.get(name)
            conditions.check_metageneration(int(present["metageneration"]), present["etag"])
            base = {field: value for field, value in present.items() if field not in _WRITABLE} if whole else present
            changed = base | {"metageneration": str(int(present["metageneration"]) + 1)}
            changed |= {"updated": timestamp(self._cloud.clock.now())}
            if whole:
                changed |= {"storageClass": present["storageClass"], "iamConfiguration": present["iamConfiguration"]}
            changed = self._settled(changed, changes, present)
            self._metadata.put_bucket(self._metadata.bucket_project(name), changed)
            return changed

    def delete(self, name: str, conditions: Conditions = ANY) -> None:
        """Raises 404, 412, 409 unless it is empty of all versions."""
        with self._metadata.transaction() as database:
            present = self.get(name)
            conditions.check_metageneration(int(present["metageneration"]), present["etag"])
            if self._metadata.has_objects(name):
                message = "The bucket you tried to delete is not empty."
                raise StorageError(409, message, "conflict", "BucketNotEmpty")
            # The files of its unfinished uploads go with the next start.
            database.execute("DELETE FROM parts WHERE upload IN (SELECT id FROM uploads WHERE bucket = ?)", (name,))
            database.execute("DELETE FROM uploads WHERE bucket = ?", (name,))
            database.execute("DELETE FROM buckets WHERE name = ?", (name,))
        self._cloud.iam.forget_policy(_policy_name(name))

    def policy(self, name: str) -> Resource:
        """The allow policy in Storage's form. Raises 404."""
        self.get(name)
        policy = self._cloud.iam.get_policy(_policy_name(name))
        return {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{name}", **policy}

    def set_policy(self, name: str, policy: Resource) -> Resource:
        """Replace the allow policy. Raises 404, 400, and 412 for a stale etag."""
        self.get(name)
        wanted = {key: value for key, value in policy.items() if key not in ("kind", "resourceId")}
        try:
            self._cloud.iam.set_policy(_policy_name(name), wanted)
        except ApiError as error:
            raise condition_failed() if error.status == "ABORTED" else invalid(error.message) from error
        return self.policy(name)

    def _project(self, project: str, permission: str, caller: str) -> Resource:
        found = self._cloud.projects.find(project)
        if found is None:
            raise StorageError(
                403,
                f"{caller or 'The caller'} does not have {permission} access to the Google Cloud project. "
                f"Permission '{permission}' denied on resource (or it may not exist).",
                "forbidden",
            )
        return found

    def _settled(self, bucket: Resource, changes: Resource, present: Resource) -> Resource:
        """The bucket with a client's changes, and what follows from them. Raises 400."""
        names.check_labels(changes.get("labels"))
        if changes.get("storageClass") is not None:
            names.check_storage_class(changes["storageClass"])
        for field in ("location", "name"):
            given = changes.get(field)
            if present and given and str(given).upper() != str(present[field]).upper():
                raise invalid("Invalid argument.")
        made = merged(bucket, {field: changes[field] for field in _WRITABLE if field in changes})
        made.setdefault("storageClass", "STANDARD")
        now = self._cloud.clock.now()
        uniform = made.setdefault("iamConfiguration", {}).setdefault("uniformBucketLevelAccess", {"enabled": False})
        if uniform.get("enabled"):
            uniform.setdefault("lockedTime", timestamp(now + timedelta(days=_DAYS_TO_LOCK)))
        else:
            uniform.pop("lockedTime", None)
        made["iamConfiguration"]["bucketPolicyOnly"] = dict(uniform)  # its older name
        made["iamConfiguration"].setdefault("publicAccessPrevention", "inherited")
        for field, seconds in (
            ("softDeletePolicy", "retentionDurationSeconds"),
            ("retentionPolicy", "retentionPeriod"),
        ):
            policy = made.get(field)
            if not policy:
                continue
            policy[seconds] = str(_whole(policy.get(seconds, 0)))
            before = present.get(field) or {}
            if policy[seconds] != before.get(seconds) or "effectiveTime" not in policy:
                policy["effectiveTime"] = timestamp(now)
        made["etag"] = version_etag(0, int(made["metageneration"]))
        return made


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise invalid("Invalid argument.") from None


def _policy_name(bucket: str) -> str:
    return f"buckets/{bucket}"


def _is_uniform(bucket: Resource) -> bool:
    """Whether access is by allow policies only."""
    return bool(bucket["iamConfiguration"]["uniformBucketLevelAccess"].get("enabled"))


def _first_policy(project: str, uniform: bool) -> Resource:
    """What a new bucket allows: https://cloud.google.com/storage/docs/access-control/iam-roles#basic-roles-modifiable"""
    owners = [f"projectEditor:{project}", f"projectOwner:{project}"]
    viewers = [f"projectViewer:{project}"]
    bindings = [
        {"role": "roles/storage.legacyBucketOwner", "members": owners},
        {"role": "roles/storage.legacyBucketReader", "members": viewers},
    ]
    if uniform:
        bindings += [
            {"role": "roles/storage.legacyObjectOwner", "members": owners},
            {"role": "roles/storage.legacyObjectReader", "members": viewers},
        ]
    return {"version": 1, "bindings": bindings}
