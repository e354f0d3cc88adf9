"""monitoring.NotificationChannel and monitoring.AlertPolicy."""

from __future__ import annotations

from localcloud.monitoring import store
from localcloud.provider import permits
from localcloud.provider.kinds import Kind, names
from localcloud.provider.scope import Scope, Values

_CHANNEL_FIELDS = names("type displayName description enabled labels sensitiveLabels userLabels")
_POLICY_FIELDS = names(
    "displayName combiner conditions enabled notificationChannels alertStrategy documentation userLabels severity"
)


def _project(resource_id: str) -> str:
    return resource_id.split("/")[1]


def _create_channel(scope: Scope, inputs: Values) -> str:
    body = {name: value for name, value in inputs.items() if name in _CHANNEL_FIELDS}
    return store.create_channel(scope.cloud, scope.project_of(inputs), body)["name"]


def _read_channel(scope: Scope, resource_id: str, _known: Values) -> Values | None:
    found = scope.cloud.documents.find(resource_id)
    return found and found | {"project": _project(resource_id), "verificationStatus": ""}


def _update_channel(scope: Scope, resource_id: str, inputs: Values) -> None:
    changes = {name: inputs.get(name) for name in _CHANNEL_FIELDS if inputs.get(name) is not None}
    store.update_channel(scope.cloud, resource_id, changes, ",".join(sorted(_CHANNEL_FIELDS)))


def _delete_channel(scope: Scope, resource_id: str, known: Values) -> None:
    store.delete_channel(scope.cloud, resource_id, bool(known.get("forceDelete")))


def _create_policy(scope: Scope, inputs: Values) -> str:
    body = {name: value for name, value in inputs.items() if name in _POLICY_FIELDS}
    return store.create_policy(scope.cloud, scope.project_of(inputs), body)["name"]


def _read_policy(scope: Scope, resource_id: str, _known: Values) -> Values | None:
    found = scope.cloud.documents.find(resource_id)
    if found is None:
        return None
    return found | {"project": _project(resource_id), "creationRecords": [found["creationRecord"]]}


def _update_policy(scope: Scope, resource_id: str, inputs: Values) -> None:
    changes = {name: inputs.get(name) for name in _POLICY_FIELDS if inputs.get(name) is not None}
    store.update_policy(scope.cloud, resource_id, changes, ",".join(sorted(_POLICY_FIELDS)))


def _delete_policy(scope: Scope, resource_id: str, _known: Values) -> None:
    scope.cloud.documents.delete(resource_id)


KINDS = {
    "monitoring/notificationChannel:NotificationChannel": Kind(
        _create_channel,
        _read_channel,
        _update_channel,
        _delete_channel,
        ids="projects/{project}/notificationChannels/{name}",
        api="monitoring",
        rights=permits.rights("monitoring.notificationChannels"),
        named_by_cloud=True,
    ),
    "monitoring/alertPolicy:AlertPolicy": Kind(
        _create_policy,
        _read_policy,
        _update_policy,
        _delete_policy,
        ids="projects/{project}/alertPolicies/{name}",
        api="monitoring",
        rights=permits.rights("monitoring.alertPolicies"),
        named_by_cloud=True,
        choices={
            "combiner": ("AND", "OR", "AND_WITH_MATCHING_RESOURCE"),
            "severity": ("CRITICAL", "ERROR", "WARNING"),
        },
    ),
}
