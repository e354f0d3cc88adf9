"""pubsub.Topic."""

from __future__ import annotations

from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError
from localcloud.provider import permits
from localcloud.provider.kinds import Kind, names, parts
from localcloud.provider.scope import Scope, Values
from localcloud.pubsub import resources
from localcloud.pubsub.store import PubSub

_ID = "projects/{project}/topics/{name}"


def _body(scope: Scope, inputs: Values) -> Values:
    same = {"messageStoragePolicy": inputs["messageStoragePolicy"]} if inputs.get("messageStoragePolicy") else {}
    return same | {"labels": scope.labels_of(inputs)}


def _create(scope: Scope, inputs: Values) -> str:
    name = resources.full_name(scope.cloud, f"projects/{scope.project_of(inputs)}/topics/{inputs['name']}")
    return scope.cloud.of(PubSub).create_topic(name, _body(scope, inputs))["name"]


def _read(scope: Scope, resource_id: str, _known: Values) -> Values | None:
    try:
        found = scope.cloud.of(PubSub).get(resource_id)
    except ApiError as error:
        if error.code == 404:
            return None
        raise
    labels = found.get("labels") or {}
    return {
        **parts(_ID, resource_id),
        "messageStoragePolicy": found.get("messageStoragePolicy"),
        "effectiveLabels": labels,
        "pulumiLabels": labels,
        "labels": {name: value for name, value in labels.items() if scope.labels.get(name) != value},
    }


def _update(scope: Scope, resource_id: str, inputs: Values) -> None:
    scope.cloud.of(PubSub).update(resource_id, _body(scope, inputs), "labels,messageStoragePolicy")


def _delete(scope: Scope, resource_id: str, _known: Values) -> None:
    try:
        scope.cloud.of(PubSub).delete_topic(resource_id)
    except ApiError as error:
        if error.code != 404:
            raise


def _on(scope: Scope, resource_id: str, values: Values) -> Resource:
    return resources.resource(resource_id) if resource_id else permits.project(scope, "", values)


KINDS = {
    "pubsub/topic:Topic": Kind(
        _create,
        _read,
        _update,
        _delete,
        ids=_ID,
        api="pubsub",
        rights=permits.rights("pubsub.topics"),
        on=_on,
        autoname="name",
        refused=names(
            "kmsKeyName messageRetentionDuration ingestionDataSourceSettings messageTransforms schemaSettings tags"
        ),
    )
}
