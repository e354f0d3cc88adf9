"""A bucket's settings: what a client may say of them, and what follows from it.

https://cloud.google.com/storage/docs/json_api/v1/buckets#resource
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from localcloud.storage import lifecycle, names
from localcloud.storage.errors import StorageError, invalid, not_emulated
from localcloud.storage.records import merged, timestamp, version_etag

Resource = dict[str, Any]
# What a client may set at any time; kept as given. README.md says which of them have no effect here.
WRITABLE = (
    "autoclass",
    "billing",
    "cors",
    "defaultEventBasedHold",
    "encryption",
    "hierarchicalNamespace",
    "iamConfiguration",
    "ipFilter",
    "labels",
    "lifecycle",
    "logging",
    "retentionPolicy",
    "rpo",
    "softDeletePolicy",
    "storageClass",
    "versioning",
    "website",
)
_OWN_WAYS = ("lifecycle", "retentionPolicy", "softDeletePolicy")  # null or {} in these means something of its own
_DAY = 24 * 3600
_SOFT_DELETED_FOR = 7 * _DAY  # seconds, unless the bucket says otherwise
_LONGEST_SOFT_DELETION = 90 * _DAY
_LONGEST_RETENTION = 3_155_760_000  # seconds: 100 years
_ENFORCED = [
    f"{whose}EncryptionEnforcementConfig" for whose in ("googleManaged", "customerManaged", "customerSupplied")
]
_TURBO = ("ASYNC_TURBO", "dual-region")  # https://cloud.google.com/storage/docs/managing-turbo-replication
_DAYS_TO_LOCK = 90  # uniform access can be turned off again within


def settled(bucket: Resource, changes: Resource, present: Resource, now: datetime) -> Resource:
    """The bucket with a client's changes, and what follows from them. Raises 400, 403, 501."""
    if isinstance(changes.get("storageClass"), str):  # gcloud sends it as its user typed it
        changes = changes | {"storageClass": changes["storageClass"].upper()}
    access = changes.get("iamConfiguration")
    if isinstance(access, dict) and "uniformBucketLevelAccess" not in access and "bucketPolicyOnly" in access:
        access = access | {"uniformBucketLevelAccess": access["bucketPolicyOnly"]}  # by its older name: gsutil
        changes = changes | {"iamConfiguration": access}
    _check(changes, present)
    made = merged(bucket, {field: changes[field] for field in WRITABLE if field in changes and field not in _OWN_WAYS})
    made.setdefault("storageClass", "STANDARD")
    _settle_access(made, now)
    _settle_encryption(made, present, now)
    if made.get("rpo") not in ("DEFAULT", None) and (made.get("rpo"), made["locationType"]) != _TURBO:
        raise invalid("Invalid argument.")
    for field, settle in (
        ("lifecycle", _lifecycle),
        ("retentionPolicy", _retention),
        ("softDeletePolicy", _soft_delete),
    ):
        # A PUT that leaves a policy out takes it away.
        value = settle(changes[field], present, now) if field in changes else bucket.get(field)
        if field not in changes and field not in bucket and field in present:
            value = settle(None, present, now)
        made.pop(field, None)
        if value is not None:
            made[field] = value
    made["etag"] = version_etag(0, int(made["metageneration"]))
    return made


def check_encryption(bucket: Resource) -> None:
    """Raise 412 where no object may be made without a key of one's own, as none can be here.

    https://cloud.google.com/storage/docs/encryption/enforce-encryption-types
    """
    config = (bucket.get("encryption") or {}).get("googleManagedEncryptionEnforcementConfig") or {}
    if config.get("restrictionMode") == "FullyRestricted":
        message = f"Bucket '{bucket['name']}' does not allow new objects with Google-managed encryption."
        raise StorageError(412, message, "conditionNotMet", "PreconditionFailed")


def soft_deletion(bucket: Resource) -> int:
    """For how many seconds what is deleted in the bucket is kept; 0 for not at all."""
    return int((bucket.get("softDeletePolicy") or {}).get("retentionDurationSeconds", 0))


def keeps_versions(bucket: Resource) -> bool:
    """Whether what is overwritten or deleted becomes a noncurrent version."""
    return bool((bucket.get("versioning") or {}).get("enabled"))


def is_uniform(bucket: Resource) -> bool:
    """Whether access is by allow policies only."""
    access = bucket.get("iamConfiguration")
    uniform = access.get("uniformBucketLevelAccess") if isinstance(access, dict) else None
    return isinstance(uniform, dict) and bool(uniform.get("enabled"))


def is_private(bucket: Resource) -> bool:
    """Whether public access is prevented: https://cloud.google.com/storage/docs/public-access-prevention"""
    return bucket["iamConfiguration"].get("publicAccessPrevention") == "enforced"


def locked(bucket: Resource, now: datetime) -> Resource:
    """The bucket with its retention policy locked for good. Raises 400 when there is none to lock."""
    policy = bucket.get("retentionPolicy")
    if not policy or policy.get("isLocked"):
        raise invalid(f"Bucket '{bucket['name']}' does not have an unlocked retention policy.")
    made = bucket | {"retentionPolicy": policy | {"isLocked": True}, "updated": timestamp(now)}
    made["metageneration"] = str(int(bucket["metageneration"]) + 1)
    made["etag"] = version_etag(0, int(made["metageneration"]))
    return made


def _check(changes: Resource, present: Resource) -> None:
    names.check_labels(changes.get("labels"))
    if changes.get("storageClass") is not None:
        names.check_storage_class(changes["storageClass"])
    for field in ("location", "name", "customPlacementConfig"):
        given = changes.get(field)
        if present and given and str(given).upper() != str(present.get(field)).upper():
            raise invalid("Invalid argument.")
    if not isinstance(changes.get("defaultEventBasedHold"), bool | None):
        raise invalid("Invalid argument.")
    rules = changes.get("cors")
    if not isinstance(rules, list | None) or not all(map(_is_cors_rule, rules or [])):
        raise invalid("Invalid argument.")
    if not all(isinstance(changes.get(field), dict | None) for field in ("website", "logging")):
        raise invalid("Invalid argument.")
    _check_access(changes.get("iamConfiguration"))
    for field, flag in (("versioning", "enabled"), ("billing", "requesterPays"), ("hierarchicalNamespace", "enabled")):
        value = changes.get(field)
        if value is not None and (not isinstance(value, dict) or not isinstance(value.get(flag), bool | None)):
            raise invalid("Invalid argument.")
    if (changes.get("hierarchicalNamespace") or {}).get("enabled"):
        raise not_emulated("hierarchical namespaces")
    for field, what in (("autoclass", "Autoclass"), ("encryption", "encryption"), ("ipFilter", "IP filters")):
        if not isinstance(changes.get(field), dict | None):
            raise invalid("Invalid argument.")
        value = changes.get(field) or {}
        if value.get("enabled") or value.get("defaultKmsKeyName") or value.get("mode") == "Enabled":
            raise not_emulated("encryption with keys of your own" if what == "encryption" else what)


def _is_cors_rule(rule: Any) -> bool:
    if not isinstance(rule, dict) or not isinstance(rule.get("maxAgeSeconds", 0), int):
        return False
    lists = [rule.get(name) or [] for name in ("origin", "method", "responseHeader")]
    return all(isinstance(one, list) and all(isinstance(text, str) for text in one) for one in lists)


def _check_access(given: Any) -> None:
    if given is None:
        return
    uniform = given.get("uniformBucketLevelAccess") if isinstance(given, dict) else ""
    if not isinstance(uniform, dict | None) or not isinstance((uniform or {}).get("enabled"), bool | None):
        raise invalid("Invalid argument.")
    if given.get("publicAccessPrevention", "inherited") not in ("inherited", "unspecified", "enforced", None):
        raise invalid("Invalid argument.")


def _settle_encryption(made: Resource, present: Resource, now: datetime) -> None:
    """A restriction says since when it holds."""
    given = made.pop("encryption", None) or {}
    before = present.get("encryption") or {}
    settled: Resource = {}
    for name, config in given.items():
        if name in _ENFORCED:
            mode = config.get("restrictionMode") if isinstance(config, dict) else None
            if mode not in ("NotRestricted", "FullyRestricted"):
                raise invalid("Invalid argument.")
            since = (before.get(name) or {}).get("effectiveTime") or timestamp(now)
            config = {"restrictionMode": mode} | ({"effectiveTime": since} if mode == "FullyRestricted" else {})
        settled[name] = config
    if settled:
        made["encryption"] = settled


def _settle_access(made: Resource, now: datetime) -> None:
    uniform = made.setdefault("iamConfiguration", {}).setdefault("uniformBucketLevelAccess", {"enabled": False})
    if uniform.get("enabled"):
        uniform.setdefault("lockedTime", timestamp(now + timedelta(days=_DAYS_TO_LOCK)))
    else:
        uniform.pop("lockedTime", None)
    made["iamConfiguration"]["bucketPolicyOnly"] = dict(uniform)  # its older name
    made["iamConfiguration"].setdefault("publicAccessPrevention", "inherited")


def _lifecycle(value: Any, present: Resource, now: datetime) -> Resource | None:
    if value is None:
        return None
    if value == {}:
        return present.get("lifecycle")
    return lifecycle.checked(value)


def _retention(value: Any, present: Resource, now: datetime) -> Resource | None:
    """https://cloud.google.com/storage/docs/bucket-lock; a client can say the period only."""
    old = present.get("retentionPolicy") or {}
    if value is None:
        if old.get("isLocked"):
            raise StorageError(
                403,
                f"Bucket '{present['name']}' has a locked Retention Policy which cannot be removed.",
                "retentionPolicyNotMet",
                "AccessDenied",
            )
        return None
    if not isinstance(value, dict):
        raise invalid("Invalid argument.")
    if value.get("retentionPeriod") is None:
        return old or None
    period = _whole(value["retentionPeriod"])
    if not 0 < period <= _LONGEST_RETENTION:
        raise invalid("Retention policy must have a retention period greater than 0 and less than 100 years.")
    if old.get("isLocked") and period < int(old["retentionPeriod"]):
        message = f"Cannot reduce retention duration of a locked Retention Policy for bucket '{present['name']}'."
        raise StorageError(403, message, "forbidden", "AccessDenied")
    return {"effectiveTime": timestamp(now), **old, "retentionPeriod": str(period)}


def _soft_delete(value: Any, present: Resource, now: datetime) -> Resource | None:
    """https://cloud.google.com/storage/docs/soft-delete; null puts the default back."""
    if value is None:
        value = {"retentionDurationSeconds": _SOFT_DELETED_FOR}
    if not isinstance(value, dict):
        raise invalid("Invalid argument.")
    old = present.get("softDeletePolicy")
    if value.get("retentionDurationSeconds") is None:
        return old or _soft_delete(None, present, now)
    seconds = _whole(value["retentionDurationSeconds"])
    if seconds and not _SOFT_DELETED_FOR <= seconds <= _LONGEST_SOFT_DELETION:
        raise invalid("Soft delete policy must have a retention duration between 7 days and 90 days.")
    made = {"retentionDurationSeconds": str(seconds)}
    if old and old.get("retentionDurationSeconds") == made["retentionDurationSeconds"]:
        return old
    return made | ({"effectiveTime": timestamp(now)} if seconds else {})


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise invalid("Invalid argument.") from None
