"""cloudfunctionsv2.Function, and pubsub.Topic, by whose events it is called."""

from __future__ import annotations

import time

from localcloud.core.asked.permits import Resource
from localcloud.core.errors import GRPC_CODES, ApiError
from localcloud.functions import resources
from localcloud.functions.host import Functions
from localcloud.functions.http import allow
from localcloud.provider import permits
from localcloud.provider.kinds import Kind, names, parts
from localcloud.provider.scope import Scope, Values
from localcloud.pubsub import resources as topics
from localcloud.pubsub.store import PubSub

_ID = "projects/{project}/locations/{location}/functions/{name}"
_MUTABLE = "description,labels,buildConfig,serviceConfig,eventTrigger"
_LONGEST = 900.0  # seconds that a deployment is waited for
_STATUSES = {number: status for status, number in GRPC_CODES.items()}


def _body(scope: Scope, inputs: Values) -> Values:
    same = {
        name: inputs[name]
        for name in names("description buildConfig serviceConfig eventTrigger kmsKeyName")
        if inputs.get(name) is not None
    }
    return same | {"labels": scope.labels_of(inputs)}


def _create(scope: Scope, inputs: Values) -> str:
    project = scope.project_of(inputs)
    name = f"projects/{project}/locations/{inputs['location']}/functions/{inputs['name']}"
    body = _body(scope, inputs)
    allow(scope.cloud, scope.caller, project, body)
    _finish(scope, scope.cloud.of(Functions).create(name, body))
    return name


def _finish(scope: Scope, operation: Values) -> None:
    """Wait for an operation, as the real provider does. Raises its error."""
    until = time.monotonic() + _LONGEST
    while not operation["done"]:
        if time.monotonic() > until:
            raise ApiError(504, "timeout while waiting for the function")
        time.sleep(0.05)
        operation = scope.cloud.of(Functions).operation(operation["name"])
    if error := operation.get("error"):
        raise ApiError(400, error["message"], _STATUSES.get(error["code"], "UNKNOWN"))


def _read(scope: Scope, resource_id: str, _known: Values) -> Values | None:
    found = scope.cloud.documents.find(resource_id)
    if found is None:
        return None
    labels = found.get("labels") or {}
    return found | {
        **parts(_ID, resource_id),
        "effectiveLabels": labels,
        "pulumiLabels": labels,
        "labels": {name: value for name, value in labels.items() if scope.labels.get(name) != value},
    }


def _update(scope: Scope, resource_id: str, inputs: Values) -> None:
    body = _body(scope, inputs)
    allow(scope.cloud, scope.caller, resource_id.split("/")[1], body)
    _finish(scope, scope.cloud.of(Functions).update(resource_id, body, _MUTABLE))


def _delete(scope: Scope, resource_id: str, _known: Values) -> None:
    try:
        _finish(scope, scope.cloud.of(Functions).delete(resource_id))
    except ApiError as error:
        if error.code != 404:
            raise


def _on(scope: Scope, resource_id: str, values: Values) -> Resource:
    project = permits.project(scope, resource_id, values)
    return Resource(resource_id or project.name, project.policies, resources.SERVICE)


_TOPIC = "projects/{project}/topics/{name}"


def _body_topic(scope: Scope, inputs: Values) -> Values:
    same = {"messageStoragePolicy": inputs["messageStoragePolicy"]} if inputs.get("messageStoragePolicy") else {}
    return same | {"labels": scope.labels_of(inputs)}


def _create_topic(scope: Scope, inputs: Values) -> str:
    name = topics.full_name(scope.cloud, f"projects/{scope.project_of(inputs)}/topics/{inputs['name']}")
    return scope.cloud.of(PubSub).create_topic(name, _body_topic(scope, inputs))["name"]


def _read_topic(scope: Scope, resource_id: str, _known: Values) -> Values | None:
    try:
        found = scope.cloud.of(PubSub).get(resource_id)
    except ApiError as error:
        if error.code == 404:
            return None
        raise
    labels = found.get("labels") or {}
    return {
        **parts(_TOPIC, resource_id),
        "messageStoragePolicy": found.get("messageStoragePolicy"),
        "effectiveLabels": labels,
        "pulumiLabels": labels,
        "labels": {name: value for name, value in labels.items() if scope.labels.get(name) != value},
    }


def _update_topic(scope: Scope, resource_id: str, inputs: Values) -> None:
    scope.cloud.of(PubSub).update(resource_id, _body_topic(scope, inputs), "labels,messageStoragePolicy")


def _delete_topic(scope: Scope, resource_id: str, _known: Values) -> None:
    try:
        scope.cloud.of(PubSub).delete_topic(resource_id)
    except ApiError as error:
        if error.code != 404:
            raise


def _on_topic(scope: Scope, resource_id: str, values: Values) -> Resource:
    return topics.resource(resource_id) if resource_id else permits.project(scope, "", values)


KINDS = {
    "cloudfunctionsv2/function:Function": Kind(
        _create,
        _read,
        _update,
        _delete,
        ids=_ID,
        api="cloudfunctions",
        rights=permits.rights("cloudfunctions.functions"),
        on=_on,
        autoname="name",
        refused=names("kmsKeyName"),
        choices={
            "eventTrigger.retryPolicy": ("RETRY_POLICY_UNSPECIFIED", "RETRY_POLICY_DO_NOT_RETRY", "RETRY_POLICY_RETRY"),
            "serviceConfig.ingressSettings": ("ALLOW_ALL", "ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB"),
        },
    ),
    "pubsub/topic:Topic": Kind(
        _create_topic,
        _read_topic,
        _update_topic,
        _delete_topic,
        ids=_TOPIC,
        api="pubsub",
        rights=permits.rights("pubsub.topics"),
        on=_on_topic,
        autoname="name",
        refused=names(
            "kmsKeyName messageRetentionDuration ingestionDataSourceSettings messageTransforms schemaSettings tags"
        ),
    ),
}
