"""artifactregistry.Repository."""

from __future__ import annotations

from localcloud.artifacts import store
from localcloud.core.asked.permits import Resource
from localcloud.iam import access
from localcloud.provider import permits
from localcloud.provider.kinds import Kind, names, parts
from localcloud.provider.scope import Scope, Values

_ID = "projects/{project}/locations/{location}/repositories/{repositoryId}"
_FIELDS = names("format description mode kmsKeyName dockerConfig cleanupPolicyDryRun vulnerabilityScanningConfig")
_MUTABLE = "description,labels,cleanupPolicies,cleanupPolicyDryRun,dockerConfig,vulnerabilityScanningConfig"


def _body(scope: Scope, inputs: Values) -> Values:
    """Pulumi has the cleanup policies as a list, Google as a map by their id."""
    policies = {policy["id"]: policy for policy in inputs.get("cleanupPolicies") or []}
    same = {name: inputs[name] for name in _FIELDS if inputs.get(name) is not None}
    return same | {"labels": scope.labels_of(inputs), "cleanupPolicies": policies}


def _create(scope: Scope, inputs: Values) -> str:
    parent = f"projects/{scope.project_of(inputs)}/locations/{scope.region_of(inputs)}"
    return store.create_repository(scope.cloud, parent, inputs["repositoryId"], _body(scope, inputs))["name"]


def _read(scope: Scope, resource_id: str, known: Values) -> Values | None:
    found = scope.cloud.documents.find(resource_id)
    if found is None:
        return None
    labels = found.get("labels") or {}
    named = parts(_ID, resource_id)
    # Pulumi's order of the policies is the program's; Google's map has none.
    order = [policy["id"] for policy in known.get("cleanupPolicies") or []]
    policies = sorted(
        (found.get("cleanupPolicies") or {}).values(),
        key=lambda policy: (order.index(policy["id"]) if policy["id"] in order else len(order), policy["id"]),
    )
    return found | {
        **named,
        "name": named["repositoryId"],
        "cleanupPolicies": policies,
        "effectiveLabels": labels,
        "pulumiLabels": labels,
        "labels": {name: value for name, value in labels.items() if scope.labels.get(name) != value},
    }


def _update(scope: Scope, resource_id: str, inputs: Values) -> None:
    store.update_repository(scope.cloud, resource_id, _body(scope, inputs), _MUTABLE)


def _delete(scope: Scope, resource_id: str, _known: Values) -> None:
    store.delete_repository(scope.cloud, resource_id)


def _on(scope: Scope, resource_id: str, values: Values) -> Resource:
    return access.repository(resource_id) if resource_id else permits.project(scope, "", values)


KINDS = {
    "artifactregistry/repository:Repository": Kind(
        _create,
        _read,
        _update,
        _delete,
        ids=_ID,
        api="artifactregistry",
        rights=permits.rights("artifactregistry.repositories"),
        on=_on,
        refused=names("mavenConfig remoteRepositoryConfig virtualRepositoryConfig"),
        choices={
            "format": store.FORMATS,
            "mode": ("STANDARD_REPOSITORY", "VIRTUAL_REPOSITORY", "REMOTE_REPOSITORY"),
            "cleanupPolicies[].action": ("KEEP", "DELETE"),
            "cleanupPolicies[].condition.tagState": ("TAGGED", "UNTAGGED", "ANY"),
            "vulnerabilityScanningConfig.enablementConfig": ("INHERITED", "DISABLED"),
        },
    )
}
