"""Buckets: made, shown, changed and deleted, and who may use them.

The resource: https://cloud.google.com/storage/docs/json_api/v1/buckets#resource
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from localcloud.core.errors import ApiError, NotEmulated
from localcloud.iam.policies import BadMember
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects
from localcloud.storage import names
from localcloud.storage.bucket_settings import WRITABLE, is_private, is_uniform, locked, settled, soft_deletion
from localcloud.storage.conditions import ANY, Conditions
from localcloud.storage.errors import StorageError, condition_failed, invalid, no_bucket, not_emulated, required
from localcloud.storage.metadata import Metadata, Resource
from localcloud.storage.records import timestamp, version_etag
from localcloud.storage.times import later

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_OWNED = "Your previous request to create the named bucket succeeded and you already own it."
_TAKEN = (
    "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
    "Please select a different name and try again."
)
_NOT_UNIFORM = (
    "To set a policy with conditions, first enable uniform bucket-level access. "
    "Read more at https://cloud.google.com/storage/docs/uniform-bucket-level-access"
)
_STAYS_UNIFORM = (
    "Uniform bucket-level access cannot be disabled on a bucket {}. "
    "Read more at https://cloud.google.com/storage/docs/uniform-bucket-level-access"
)
_NOT_PUBLIC = (
    "The member bindings allUsers and allAuthenticatedUsers are not allowed since public access prevention is enforced."
)


class Buckets:
    """The buckets of one cloud; all methods may be called from any thread."""

    def __init__(self, cloud: Cloud, metadata: Metadata, forget: Callable[[str], None] | None = None) -> None:
        """`forget` is called with a bucket's name inside of the transaction in which it goes."""
        self._cloud = cloud
        self._metadata = metadata
        self._forget = forget or (lambda name: None)

    def create(self, project: str, resource: Resource, caller: str = "", object_retention: bool = False) -> Resource:
        """A new bucket from a client's resource; `object_retention`: objects may have retentions of their own.

        Raises 400, 403 for an unknown project, 409 for a taken name.
        """
        owner = self._project(project, "storage.buckets.create", caller)
        name = names.check_bucket_name(resource.get("name"))
        location, kind = names.check_location(resource.get("location") or "US")
        placement = resource.get("customPlacementConfig")
        if placement is not None:
            placement, kind = {"dataLocations": names.check_placement(location, placement)}, "dual-region"
        moment = self._cloud.clock.now()
        now = timestamp(moment)
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
            "generation": str(int(moment.timestamp() * 1_000_000) * 1000),
            "storageClass": "STANDARD",
            "iamConfiguration": {
                "uniformBucketLevelAccess": {"enabled": False},
                "publicAccessPrevention": "inherited",
            },
        }
        if kind != "region":
            made["rpo"] = "DEFAULT"
        if placement is not None:
            made["customPlacementConfig"] = placement
        if object_retention:
            made["objectRetention"] = {"mode": "Enabled"}
        made = settled(made, {"softDeletePolicy": None} | resource, {}, moment)
        with self._metadata.transaction():
            taken = self._metadata.bucket_project(name)
            if taken:
                own = taken == owner["projectId"]
                code = "BucketAlreadyOwnedByYou" if own else "BucketNameUnavailable"
                raise StorageError(409, _OWNED if own else _TAKEN, "conflict", code)
            # First the policy: a kill in between leaves one of no bucket, and the next bucket of this name replaces it.
            self._cloud.of(Iam).set_policy(_policy_name(name), _first_policy(owner["projectId"], is_uniform(made)))
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
        """PATCH (null removes), or with `whole` PUT. Raises 404, 412, 400, 403, 501."""
        with self._metadata.transaction():
            present = self.get(name)
            conditions.check_metageneration(int(present["metageneration"]), present["etag"])
            now = self._cloud.clock.now()
            base = {field: value for field, value in present.items() if field not in WRITABLE} if whole else present
            changed = base | {"metageneration": str(int(present["metageneration"]) + 1), "updated": timestamp(now)}
            if whole:
                changed |= {"storageClass": present["storageClass"], "iamConfiguration": present["iamConfiguration"]}
            changed = settled(changed, changes, present, now)
            project = self._metadata.bucket_project(name)
            if is_uniform(present) and not is_uniform(changed):
                self._check_uniform_may_end(present, timestamp(now))
            if is_uniform(changed) and not is_uniform(present):
                # What its lists gave to the project's own people goes on: from now on by the allow policy.
                for binding in _of_objects(project):
                    for member in binding["members"]:
                        self._cloud.of(Iam).add_member(_policy_name(name), binding["role"], member)
            self._metadata.put_bucket(project, changed)
            return changed

    def _check_uniform_may_end(self, bucket: Resource, now: str) -> None:
        locked = bucket["iamConfiguration"]["uniformBucketLevelAccess"]["lockedTime"] <= now
        if locked or _has_conditions(self.policy(bucket["name"])):
            why = "after its locked time" if locked else "whose policy has conditions"
            raise StorageError(412, _STAYS_UNIFORM.format(why), "conditionNotMet", "PreconditionFailed")

    def delete(self, name: str, conditions: Conditions = ANY) -> None:
        """Raises 404, 412, 409 unless it is empty of all versions; what is soft-deleted does not count."""
        with self._metadata.transaction() as database:
            present = self.get(name)
            conditions.check_metageneration(int(present["metageneration"]), present["etag"])
            if self._metadata.has_objects(name):
                message = "The bucket you tried to delete is not empty."
                raise StorageError(409, message, "conflict", "BucketNotEmpty")
            # The files of its unfinished uploads go with the next start.
            database.execute("DELETE FROM parts WHERE upload IN (SELECT id FROM uploads WHERE bucket = ?)", (name,))
            database.execute("DELETE FROM uploads WHERE bucket = ?", (name,))
            self._forget(name)
            self._put_aside(present)
            database.execute("DELETE FROM buckets WHERE name = ?", (name,))
            self._metadata.after_commit(self._metadata.note_bucket_change)
        self._cloud.of(Iam).forget_policy(_policy_name(name))

    def project_of(self, name: str) -> str:
        """The project that a bucket is of. Raises 404."""
        found = self._metadata.bucket_project(name)
        if not found:
            raise no_bucket()
        return found

    def bump(self, name: str) -> int:
        """Move the metageneration on; gives the one before. Raises 404."""
        with self._metadata.transaction():
            present = self.get(name)
            before = int(present["metageneration"])
            changed = present | {"metageneration": str(before + 1), "etag": version_etag(0, before + 1)}
            self._metadata.put_bucket(self._metadata.bucket_project(name), changed)
        return before

    def lock(self, name: str, conditions: Conditions) -> Resource:
        """Lock the retention policy for good; the metageneration must be given. Raises 404, 400, 412."""
        if conditions.metageneration_match is None:
            raise required("Required parameter: ifMetagenerationMatch")
        with self._metadata.transaction():
            present = self.get(name)
            changed = locked(present, self._cloud.clock.now())
            conditions.check_metageneration(int(present["metageneration"]), present["etag"])
            self._metadata.put_bucket(self._metadata.bucket_project(name), changed)
            return changed

    # Soft-deleted buckets: https://cloud.google.com/storage/docs/use-soft-deleted-buckets

    def list_soft_deleted(self, project: str, caller: str = "") -> list[Resource]:
        """Those of a project that can still be restored, by name. Raises 403 for an unknown project."""
        owner = self._project(project, "storage.buckets.list", caller)["projectId"]
        sql = "SELECT resource FROM deleted_buckets WHERE project = ? AND hard_deleted > ? ORDER BY name, generation"
        return [json.loads(row[0]) for row in self._metadata.rows(sql, owner, timestamp(self._cloud.clock.now()))]

    def get_soft_deleted(self, name: str, generation: int) -> Resource:
        """Raises 404."""
        return self._soft_deleted(name, generation)[0]

    def soft_deleted_project(self, name: str, generation: int) -> str:
        """The project that a soft-deleted bucket is of. Raises 404."""
        return self._soft_deleted(name, generation)[1]

    def restore(self, name: str, generation: int) -> Resource:
        """Make a soft-deleted bucket live again, with what was soft-deleted in it. Raises 404, 409."""
        with self._metadata.transaction() as database:
            resource, project = self._soft_deleted(name, generation)
            if self._metadata.bucket_project(name):
                message = (
                    "A live bucket with this name already exists. The live bucket must be deleted before this bucket "
                    "can be restored."
                )
                raise StorageError(409, message, "conflict", "BucketAlreadyExists")
            live = {key: value for key, value in resource.items() if key not in ("softDeleteTime", "hardDeleteTime")}
            live |= {"updated": timestamp(self._cloud.clock.now())}
            aside = aside_name(name, generation)
            self._cloud.of(Iam).copy_policy(_policy_name(aside), _policy_name(name))
            self._metadata.put_bucket(project, live)
            database.execute("UPDATE objects SET bucket = ? WHERE bucket = ?", (name, aside))
            database.execute("DELETE FROM deleted_buckets WHERE name = ? AND generation = ?", (name, generation))
        self._cloud.of(Iam).forget_policy(_policy_name(aside))
        return live

    def forget_expired(self) -> None:
        """Let go of soft-deleted buckets whose time is over; their objects' is over before."""
        with self._metadata.transaction() as database:
            now = timestamp(self._cloud.clock.now())
            gone = self._metadata.rows("SELECT name, generation FROM deleted_buckets WHERE hard_deleted <= ?", now)
            database.execute("DELETE FROM deleted_buckets WHERE hard_deleted <= ?", (now,))
        for name, generation in gone:
            self._cloud.of(Iam).forget_policy(_policy_name(aside_name(name, generation)))

    def of_project(self, project: str) -> list[str]:
        """The names by which objects know the buckets of a project (its id), those that are soft-deleted too."""
        sql = """
            SELECT name FROM buckets WHERE project = ? UNION ALL
            SELECT name || '@' || generation FROM deleted_buckets WHERE project = ?"""
        return [row[0] for row in self._metadata.rows(sql, project, project)]

    def forget_all(self, project: str) -> None:
        """Let go of all buckets of a project for good. What was in them must be gone."""
        for name in self.of_project(project):
            with self._metadata.transaction() as database:
                database.execute("DELETE FROM parts WHERE upload IN (SELECT id FROM uploads WHERE bucket = ?)", (name,))
                database.execute("DELETE FROM uploads WHERE bucket = ?", (name,))
                self._forget(name)
                database.execute("DELETE FROM buckets WHERE name = ?", (name,))
                database.execute("DELETE FROM deleted_buckets WHERE name || '@' || generation = ?", (name,))
                self._metadata.after_commit(self._metadata.note_bucket_change)
            self._cloud.of(Iam).forget_policy(_policy_name(name))

    def _soft_deleted(self, name: str, generation: int) -> tuple[Resource, str]:
        sql = "SELECT resource, project FROM deleted_buckets WHERE name = ? AND generation = ? AND hard_deleted > ?"
        found = self._metadata.rows(sql, name, generation, timestamp(self._cloud.clock.now()))
        if not found:
            raise no_bucket()
        return json.loads(found[0][0]), found[0][1]

    def _put_aside(self, bucket: Resource) -> None:
        """Keep a bucket that is deleted for as long as its policy says, or what is soft-deleted in it needs it."""
        name, now = bucket["name"], self._cloud.clock.now()
        seconds = soft_deletion(bucket)
        ends = [timestamp(later(now, seconds))] if seconds else []
        last = self._metadata.rows("SELECT max(hard_deleted) FROM objects WHERE bucket = ?", name)[0][0]
        if last and last > timestamp(now):
            ends.append(last)
        if not ends:
            return
        generation = int(bucket.get("generation") or self._metadata.next_generation(now.timestamp()) * 1000)
        gone = bucket | {"generation": str(generation), "softDeleteTime": timestamp(now), "hardDeleteTime": max(ends)}
        owner, aside = self._metadata.bucket_project(name), aside_name(name, generation)
        self._cloud.of(Iam).copy_policy(_policy_name(name), _policy_name(aside))
        with self._metadata.transaction() as database:
            values = (name, generation, owner, json.dumps(gone), max(ends))
            database.execute("INSERT OR REPLACE INTO deleted_buckets VALUES (?, ?, ?, ?, ?)", values)
            database.execute("UPDATE objects SET bucket = ? WHERE bucket = ?", (aside, name))

    def policy(self, name: str) -> Resource:
        """The allow policy in Storage's form. Raises 404."""
        self.get(name)
        policy = self._cloud.of(Iam).get_policy(_policy_name(name))
        return {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{name}", **policy}

    def set_policy(self, name: str, policy: Resource) -> Resource:
        """Replace the allow policy. Raises 404, 400, and 412 for a stale etag, or for everybody where that is off."""
        self.get(name)
        wanted = {key: value for key, value in policy.items() if key not in ("kind", "resourceId")}
        bindings = wanted.get("bindings") or []
        if not isinstance(bindings, list) or not all(map(_is_binding, bindings)):
            raise invalid("Invalid argument.")
        if wanted.get("version", 1) not in (0, 1, 3) or not isinstance(wanted.get("etag", ""), str | None):
            raise invalid("Invalid argument.")
        self.check_bindings(name, bindings)
        if _has_conditions(wanted) and wanted.get("version", 1) != 3:
            raise invalid("The version of a policy with conditional bindings must be at least 3.")
        try:
            self._cloud.of(Iam).set_policy(_policy_name(name), wanted)
        except BadMember as error:
            words = f"The member {error.member} is of an unknown type. Please set a valid type prefix for the member."
            raise invalid(words) from error
        except NotEmulated as error:
            raise not_emulated(error.what) from error
        except ApiError as error:
            raise condition_failed() if error.status == "ABORTED" else invalid(error.message) from error
        return self.policy(name)

    def check_bindings(self, name: str, bindings: Iterable[Resource]) -> None:
        """Raise 412 for bindings to everybody where that is off, and for conditions without uniform access; 404.

        https://cloud.google.com/storage/docs/access-control/iam#conditions
        """
        bucket = self.get(name)
        members = {str(member) for binding in bindings for member in binding.get("members") or []}
        if is_private(bucket) and members & {"allUsers", "allAuthenticatedUsers"}:
            raise StorageError(412, _NOT_PUBLIC, "conditionNotMet", "PreconditionFailed")
        if not is_uniform(bucket) and _has_conditions({"bindings": bindings}):
            raise StorageError(412, _NOT_UNIFORM, "conditionNotMet", "PreconditionFailed")

    def _project(self, project: str, permission: str, caller: str) -> Resource:
        found = self._cloud.of(Projects).find(project)
        if found is None:
            raise StorageError(
                403,
                f"{caller or 'The caller'} does not have {permission} access to the Google Cloud project. "
                f"Permission '{permission}' denied on resource (or it may not exist).",
                "forbidden",
            )
        return found


def aside_name(bucket: str, generation: int) -> str:
    """Under which name the objects and the policy of a soft-deleted bucket are kept: none that a bucket can have."""
    return f"{bucket}@{generation}"


def _is_binding(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("members"), list | None):
        return False
    texts = [value.get("role", ""), *(value.get("members") or [])]
    return all(isinstance(text, str) for text in texts) and isinstance(value.get("condition"), dict | None)


def _has_conditions(policy: Resource) -> bool:
    return any(binding.get("condition") for binding in policy.get("bindings") or [])


def _policy_name(bucket: str) -> str:
    return f"buckets/{bucket}"


def _first_policy(project: str, uniform: bool) -> Resource:
    """What a new bucket allows: https://cloud.google.com/storage/docs/access-control/iam-roles#basic-roles-modifiable"""
    owners = [f"projectEditor:{project}", f"projectOwner:{project}"]
    bindings = [
        {"role": "roles/storage.legacyBucketOwner", "members": owners},
        {"role": "roles/storage.legacyBucketReader", "members": [f"projectViewer:{project}"]},
    ]
    return {"version": 1, "bindings": bindings + (_of_objects(project) if uniform else [])}


def _of_objects(project: str) -> list[Resource]:
    """What the basic roles of its project have on the objects of a bucket with uniform access."""
    owners = [f"projectEditor:{project}", f"projectOwner:{project}"]
    return [
        {"role": "roles/storage.legacyObjectOwner", "members": owners},
        {"role": "roles/storage.legacyObjectReader", "members": [f"projectViewer:{project}"]},
    ]
