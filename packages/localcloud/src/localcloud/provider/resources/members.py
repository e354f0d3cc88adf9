"""The kinds ...IAMMember: one member has one role on one resource."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.artifacts.store import get_repository
from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError
from localcloud.functions import resources as services
from localcloud.functions.host import Functions
from localcloud.iam import access
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects
from localcloud.provider.kinds import BadId, Kind, parts
from localcloud.provider.scope import Scope, Values
from localcloud.pubsub import resources as topics
from localcloud.pubsub.store import PubSub
from localcloud.storage.store import Storage

# RESOURCE/ROLE/MEMBER; on import with spaces between, as the real provider has it.
_ID = re.compile(
    r"(?P<resource>.+?)[ /](?P<role>(?:(?:projects|organizations)/[^/ ]+/)?roles/[^/ ]+)[ /](?P<member>[^ ]+)"
)


@dataclass(frozen=True)
class Members:
    """The members of one kind of resource.

    `label(values)` is how an id names the resource, `told(label)` the properties out of such a label,
    `policy(scope, values)` the name that Iam keeps the policy under; it raises ApiError when there is no such resource.
    """

    label: Callable[[Values], str]
    told: Callable[[str], Values]
    policy: Callable[[Scope, Values], str]

    def create(self, scope: Scope, inputs: Values) -> str:
        values = {"project": scope.project, "location": scope.region, **inputs}
        resource, condition = self.policy(scope, values), _condition(inputs)
        if resource.startswith("buckets/"):
            binding = {"members": [inputs["member"]], "condition": condition}
            scope.cloud.of(Storage).buckets.check_bindings(resource.removeprefix("buckets/"), [binding])
        scope.cloud.of(Iam).add_member(resource, inputs["role"], inputs["member"], condition)
        return f"{self.label(values)}/{inputs['role']}/{inputs['member']}"

    def read(self, scope: Scope, resource_id: str, known: Values) -> Values | None:
        values = self._named(resource_id)
        if condition := known.get("condition"):
            values["condition"] = condition
        try:
            policy = scope.cloud.of(Iam).get_policy(self.policy(scope, values))
        except ApiError as error:
            if error.code in (403, 404):  # the resource itself is gone
                return None
            raise
        for binding in policy.get("bindings", []):
            same = binding["role"] == values["role"] and binding.get("condition") == _condition(values)
            if same and values["member"] in binding["members"]:
                return {**values, "etag": policy["etag"]}
        return None

    def delete(self, scope: Scope, resource_id: str, known: Values) -> None:
        values = self._values(scope, resource_id, known)
        try:
            resource = self.policy(scope, values)
        except ApiError as error:
            if error.code in (403, 404):  # went with its resource
                return
            raise
        scope.cloud.of(Iam).remove_member(resource, values["role"], values["member"], _condition(known))

    def on(self, scope: Scope, resource_id: str, known: Values) -> Resource | None:
        """The resource whose policy it is, None when that is gone."""
        try:
            return _resource(scope, self.policy(scope, self._values(scope, resource_id, known)))
        except ApiError:
            return None

    def _values(self, scope: Scope, resource_id: str, known: Values) -> Values:
        """All that is known of one; what its id says goes before all. Raises BadId."""
        values = {"project": scope.project, "location": scope.region, **known}
        return values | (self._named(resource_id) if resource_id else {})

    def _named(self, resource_id: str) -> Values:
        match = _ID.fullmatch(resource_id)
        if match is None:
            raise BadId(f"{resource_id!r} isn't of the form RESOURCE ROLE MEMBER")
        return {**self.told(match["resource"]), "role": match["role"], "member": match["member"]}

    def kind(self, api: str, of: str) -> Kind:
        """The kind, in the policies of `of` ("storage.buckets")."""
        rights = {"create": f"{of}.setIamPolicy", "read": f"{of}.getIamPolicy", "delete": f"{of}.setIamPolicy"}
        return Kind(self.create, self.read, delete=self.delete, api=api, rights=rights, on=self.on)


def _resource(scope: Scope, policy: str) -> Resource:
    """What a policy is of, by the name that Iam keeps it under."""
    if policy.startswith("buckets/"):
        bucket = policy.removeprefix("buckets/")
        return access.bucket(bucket, scope.cloud.of(Storage).metadata.bucket_project(bucket))
    if "/serviceAccounts/" in policy:
        return access.service_account(scope.cloud.of(Iam).get_service_account(policy.rpartition("/")[2]))
    if "/topics/" in policy:
        return topics.resource(policy)
    if "/services/" in policy:
        return services.service(policy)
    return access.repository(policy) if "/repositories/" in policy else access.project(policy.partition("/")[2])


def _condition(values: Values) -> dict[str, Any] | None:
    given = values.get("condition")
    return {name: value for name, value in given.items() if value} if given else None


def _project(scope: Scope, values: Values) -> str:
    return f"projects/{scope.cloud.of(Projects).get(values['project'])['projectId']}"


def _account(scope: Scope, values: Values) -> str:
    name = values["serviceAccountId"]
    return scope.cloud.of(Iam).get_service_account(name.rpartition("/")[2])["name"]


def _bucket(scope: Scope, values: Values) -> str:
    name = values["bucket"].removeprefix("b/")
    scope.cloud.of(Storage).get_bucket(name)
    return f"buckets/{name}"


_REPOSITORY = "projects/{project}/locations/{location}/repositories/{repository}"


def _repository(scope: Scope, values: Values) -> str:
    name = values["repository"]
    full = name if "/" in name else _REPOSITORY.format_map(values)
    return get_repository(scope.cloud, full)["name"]


_TOPIC = "projects/{project}/topics/{topic}"
_SERVICE = "projects/{project}/locations/{location}/services/{name}"


def _topic(scope: Scope, values: Values) -> str:
    name = values["topic"]
    full = topics.full_name(scope.cloud, name if "/" in name else _TOPIC.format_map(values))
    return scope.cloud.of(PubSub).get(full)["name"]


def _service(scope: Scope, values: Values) -> str:
    """A Cloud Run service: there are those of functions."""
    name = values["name"]
    full = name if "/" in name else _SERVICE.format_map(values)
    return services.Place.of(scope.cloud.of(Functions).get(full.replace("/services/", "/functions/"))["name"]).service


KINDS = {
    "projects/iAMMember:IAMMember": Members(
        label=lambda values: values["project"], told=lambda label: {"project": label}, policy=_project
    ).kind("cloudresourcemanager", "resourcemanager.projects"),
    "serviceaccount/iAMMember:IAMMember": Members(
        label=lambda values: values["serviceAccountId"],
        told=lambda label: {"serviceAccountId": label},
        policy=_account,
    ).kind("iam", "iam.serviceAccounts"),
    "storage/bucketIAMMember:BucketIAMMember": Members(
        label=lambda values: f"b/{values['bucket'].removeprefix('b/')}",
        told=lambda label: {"bucket": label.removeprefix("b/")},
        policy=_bucket,
    ).kind("storage", "storage.buckets"),
    "artifactregistry/repositoryIamMember:RepositoryIamMember": Members(
        label=lambda values: values["repository"] if "/" in values["repository"] else _REPOSITORY.format_map(values),
        told=lambda label: parts(_REPOSITORY, label),
        policy=_repository,
    ).kind("artifactregistry", "artifactregistry.repositories"),
    "pubsub/topicIAMMember:TopicIAMMember": Members(
        label=lambda values: values["topic"] if "/" in values["topic"] else _TOPIC.format_map(values),
        told=lambda label: parts(_TOPIC, label),
        policy=_topic,
    ).kind("pubsub", "pubsub.topics"),
    "cloudrunv2/serviceIamMember:ServiceIamMember": Members(
        label=lambda values: values["name"] if "/" in values["name"] else _SERVICE.format_map(values),
        told=lambda label: parts(_SERVICE, label),
        policy=_service,
    ).kind("run", "run.services"),
}
