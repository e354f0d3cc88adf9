"""storage.Bucket and storage.BucketObject: Pulumi's names for what the Storage JSON API has."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError
from localcloud.iam import access
from localcloud.provider import permits
from localcloud.provider.kinds import BadId, Kind, names
from localcloud.provider.scope import Scope, Values
from localcloud.provider.wire import content
from localcloud.storage.store import Storage

# The same under both names.
_SAME = names(
    "storageClass labels cors defaultEventBasedHold encryption logging rpo softDeletePolicy versioning website"
)
_CONDITIONS = {
    "matchesPrefixes": "matchesPrefix",
    "matchesSuffixes": "matchesSuffix",
    "matchesStorageClasses": "matchesStorageClass",
}
_STATES = {"LIVE": True, "ARCHIVED": False}  # Pulumi's withState is the API's isLive; "ANY" says nothing
# Zero is what a program did not give, unless it says so: storage_bucket's expandStorageBucketLifecycleRuleCondition in
# https://github.com/hashicorp/terraform-provider-google. The API has none of these, so they are told as they are known.
_SEND_ZERO = {
    "sendAgeIfZero": "age",
    "sendDaysSinceCustomTimeIfZero": "daysSinceCustomTime",
    "sendDaysSinceNoncurrentTimeIfZero": "daysSinceNoncurrentTime",
    "sendNumNewerVersionsIfZero": "numNewerVersions",
}
_STORAGE_CLASSES = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE", "MULTI_REGIONAL", "REGIONAL")


def _resource(scope: Scope, inputs: Values) -> Values:
    """The Storage resource; None takes away what was set before."""
    made: Values = {name: inputs.get(name) for name in _SAME}
    made["labels"] = scope.labels_of(inputs)
    made["iamConfiguration"] = {
        "uniformBucketLevelAccess": {"enabled": bool(inputs.get("uniformBucketLevelAccess"))},
        "publicAccessPrevention": inputs.get("publicAccessPrevention") or "inherited",
    }
    rules = inputs.get("lifecycleRules") or []
    made["lifecycle"] = {"rule": [_rule(rule) for rule in rules]} if rules else None
    if inputs.get("requesterPays") is not None:
        made["billing"] = {"requesterPays": inputs["requesterPays"]}
    if policy := inputs.get("retentionPolicy"):
        made["retentionPolicy"] = {"retentionPeriod": policy["retentionPeriod"]}
    return made


def _rule(rule: Values) -> Values:
    given: Values = rule["condition"]
    condition: Values = {name: 0 for flag, name in _SEND_ZERO.items() if given.get(flag)}
    condition |= {
        _CONDITIONS.get(name, name): value
        for name, value in given.items()
        if name != "withState" and name not in _SEND_ZERO and value
    }
    if (state := given.get("withState")) in _STATES:
        condition["isLive"] = _STATES[state]
    return {"action": rule["action"], "condition": condition}


def _rules_as_told(rules: list[Values], known: list[Values]) -> list[Values]:
    """Each rule by Pulumi's names, with what was known of it and the API has no word for."""
    return [_rule_as_told(rule, before) for rule, before in zip_longest(rules, known[: len(rules)], fillvalue={})]


def _rule_as_told(rule: Values, known: Values) -> Values:
    back = {theirs: ours for ours, theirs in _CONDITIONS.items()}
    given: Values = rule["condition"]
    condition = {back.get(name, name): value for name, value in given.items() if name != "isLive"}
    live = given.get("isLive")
    for name, value in (known.get("condition") or {}).items():
        if name in _SEND_ZERO or (name not in condition and name != "withState" and not value):
            condition[name] = value
        elif name == "withState" and live is None:
            condition[name] = "ANY"
    if live is not None:
        condition["withState"] = "LIVE" if live else "ARCHIVED"
    return {"action": rule["action"], "condition": condition}


def _create(scope: Scope, inputs: Values) -> str:
    resource = {name: value for name, value in _resource(scope, inputs).items() if value is not None}
    resource |= {"name": inputs["name"], "location": inputs["location"]}
    retention = bool(inputs.get("enableObjectRetention"))
    if retention:
        permits.require(scope, "storage.buckets.enableObjectRetention", permits.project(scope, "", inputs))
    return scope.cloud.of(Storage).create_bucket(scope.project_of(inputs), resource, retention)["name"]


def _read(scope: Scope, resource_id: str, known: Values) -> Values | None:
    owner = scope.cloud.of(Storage).metadata.bucket_project(resource_id)
    if not owner:
        return None
    found = scope.cloud.of(Storage).get_bucket(resource_id)
    labels = found.get("labels") or {}
    access = found["iamConfiguration"]
    told: Values = {name: found.get(name) for name in _SAME}
    return told | {
        "name": found["name"],
        "project": owner,
        "projectNumber": found["projectNumber"],
        "location": _as_written(found["location"], known.get("location")),
        "uniformBucketLevelAccess": access["uniformBucketLevelAccess"]["enabled"],
        "publicAccessPrevention": access["publicAccessPrevention"],
        "lifecycleRules": _rules_as_told(
            (found.get("lifecycle") or {}).get("rule", []), known.get("lifecycleRules") or []
        ),
        "enableObjectRetention": "objectRetention" in found or known.get("enableObjectRetention"),
        "requesterPays": (found.get("billing") or {}).get("requesterPays"),
        "retentionPolicy": found.get("retentionPolicy"),
        "labels": {name: value for name, value in labels.items() if scope.labels.get(name) != value},
        "effectiveLabels": labels,
        "pulumiLabels": labels,
        "selfLink": found["selfLink"],
        "timeCreated": found["timeCreated"],
        "updated": found["updated"],
        "url": f"gs://{found['name']}",
    }


def _as_written(location: str, known: Any) -> str:
    """Google writes locations in capitals; a program's own spelling is no difference."""
    return known if isinstance(known, str) and known.upper() == location.upper() else location


def _update(scope: Scope, resource_id: str, inputs: Values) -> None:
    wanted = _resource(scope, inputs)
    present = scope.cloud.of(Storage).get_bucket(resource_id).get("labels") or {}
    wanted["labels"] = {**dict.fromkeys(present), **wanted["labels"]}
    if inputs.get("storageClass") is None:
        del wanted["storageClass"]
    scope.cloud.of(Storage).patch_bucket(resource_id, wanted)


def _delete(scope: Scope, resource_id: str, known: Values) -> None:
    scope.cloud.of(Storage).delete_bucket(resource_id, force=bool(known.get("forceDestroy")))


def _on(scope: Scope, resource_id: str, values: Values) -> Resource | None:
    if not resource_id:
        return permits.project(scope, "", values)
    owner = scope.cloud.of(Storage).metadata.bucket_project(resource_id)
    return access.bucket(resource_id, owner) if owner else None


def _taken_apart(resource_id: str) -> tuple[str, str]:
    """Bucket and name out of "BUCKET-NAME", which the real provider's ids are; Google's names hold hyphens, too."""
    bucket, dash, name = resource_id.partition("/")
    if not dash:
        raise BadId(f"{resource_id!r} isn't an id like BUCKET/NAME")
    return bucket, name


def _create_object(scope: Scope, inputs: Values) -> str:
    bucket, name = inputs["bucket"], inputs["name"]
    try:
        data = content(inputs["source"]) if inputs.get("source") else str(inputs.get("content", "")).encode()
    except ValueError as error:
        raise ApiError(400, f"source: {error}") from None
    scope.cloud.of(Storage).put_object(bucket, name, data, inputs.get("contentType") or "application/octet-stream")
    return f"{bucket}/{name}"


def _read_object(scope: Scope, resource_id: str, _known: Values) -> Values | None:
    bucket, name = _taken_apart(resource_id)
    try:
        found = scope.cloud.of(Storage).get_object_resource(bucket, name)
    except ApiError as error:
        if error.code == 404:
            return None
        raise
    return {
        "bucket": bucket,
        "name": name,
        "outputName": name,
        "contentType": found.get("contentType"),
        "crc32c": found.get("crc32c"),
        "md5hash": found.get("md5Hash"),
        "mediaLink": found.get("mediaLink"),
        "selfLink": found.get("selfLink"),
        "storageClass": found.get("storageClass"),
        "generation": int(found["generation"]),
    }


def _delete_object(scope: Scope, resource_id: str, _known: Values) -> None:
    try:
        scope.cloud.of(Storage).delete_object(*_taken_apart(resource_id))
    except ApiError as error:
        if error.code != 404:
            raise


def _on_object(scope: Scope, resource_id: str, values: Values) -> Resource | None:
    bucket, name = _taken_apart(resource_id) if resource_id else (values["bucket"], values.get("name", ""))
    project = scope.cloud.of(Storage).metadata.bucket_project(bucket)
    return access.storage_object(bucket, name, project) if project else None


KINDS = {
    "storage/bucket:Bucket": Kind(
        _create,
        _read,
        _update,
        _delete,
        api="storage",
        rights=permits.rights("storage.buckets"),
        on=_on,
        refused=names("autoclass customPlacementConfig hierarchicalNamespace ipFilter"),
        autoname="name",
        choices={
            "storageClass": _STORAGE_CLASSES,
            "publicAccessPrevention": ("enforced", "inherited"),
            "lifecycleRules[].action.type": ("Delete", "SetStorageClass", "AbortIncompleteMultipartUpload"),
            "lifecycleRules[].action.storageClass": _STORAGE_CLASSES,
            "lifecycleRules[].condition.withState": ("LIVE", "ARCHIVED", "ANY"),
        },
    ),
    "storage/bucketObject:BucketObject": Kind(
        _create_object,
        _read_object,
        delete=_delete_object,
        ids="",
        api="storage",
        rights={
            "create": "storage.objects.create",
            "read": "storage.objects.get",
            "delete": "storage.objects.delete",
        },
        on=_on_object,
        autoname="name",
        refused=names(
            "cacheControl contentDisposition contentEncoding contentLanguage contexts customerEncryption "
            "eventBasedHold kmsKeyName metadata retention temporaryHold sourceMd5hash detectMd5hash "
            "forceEmptyContentType"
        ),
    ),
}
