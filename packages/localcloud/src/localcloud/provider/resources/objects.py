"""storage.BucketObject."""

from __future__ import annotations

from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError
from localcloud.iam import access
from localcloud.provider.kinds import BadId, Kind, names
from localcloud.provider.scope import Scope, Values
from localcloud.provider.wire import content
from localcloud.storage.store import Storage


def _taken_apart(resource_id: str) -> tuple[str, str]:
    """Bucket and name out of "BUCKET-NAME", which the real provider's ids are; Google's names hold hyphens, too."""
    bucket, dash, name = resource_id.partition("/")
    if not dash:
        raise BadId(f"{resource_id!r} isn't an id like BUCKET/NAME")
    return bucket, name


def _create(scope: Scope, inputs: Values) -> str:
    bucket, name = inputs["bucket"], inputs["name"]
    try:
        data = content(inputs["source"]) if inputs.get("source") else str(inputs.get("content", "")).encode()
    except ValueError as error:
        raise ApiError(400, f"source: {error}") from None
    scope.cloud.of(Storage).put_object(bucket, name, data, inputs.get("contentType") or "application/octet-stream")
    return f"{bucket}/{name}"


def _read(scope: Scope, resource_id: str, _known: Values) -> Values | None:
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


def _delete(scope: Scope, resource_id: str, _known: Values) -> None:
    try:
        scope.cloud.of(Storage).delete_object(*_taken_apart(resource_id))
    except ApiError as error:
        if error.code != 404:
            raise


def _on(scope: Scope, resource_id: str, values: Values) -> Resource | None:
    bucket, name = _taken_apart(resource_id) if resource_id else (values["bucket"], values.get("name", ""))
    project = scope.cloud.of(Storage).metadata.bucket_project(bucket)
    return access.storage_object(bucket, name, project) if project else None


KINDS = {
    "storage/bucketObject:BucketObject": Kind(
        _create,
        _read,
        delete=_delete,
        ids="",
        api="storage",
        rights={
            "create": "storage.objects.create",
            "read": "storage.objects.get",
            "delete": "storage.objects.delete",
        },
        on=_on,
        autoname="name",
        refused=names(
            "cacheControl contentDisposition contentEncoding contentLanguage contexts customerEncryption "
            "eventBasedHold kmsKeyName metadata retention temporaryHold sourceMd5hash detectMd5hash "
            "forceEmptyContentType"
        ),
    )
}
