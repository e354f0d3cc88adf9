"""logging.ProjectBucketConfig, ProjectExclusion, ProjectSink and Metric."""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.core.errors import ApiError
from localcloud.logging.store import Logs
from localcloud.provider import permits
from localcloud.provider.kinds import Kind, names, parts
from localcloud.provider.scope import Scope, Values

_BUCKET = "projects/{project}/locations/{location}/buckets/{bucketId}"
# Every project has these; the real provider leaves them when it is told to delete.
_BUILTIN = ("_Default", "_Required")
_SHARED = "serviceAccount:cloud-logs@system.gserviceaccount.com"  # who writes for the sinks of everybody


def _bucket(inputs: Values) -> Values:
    return {
        "description": inputs.get("description", ""),
        "retentionDays": inputs.get("retentionDays", 30),
        "locked": inputs.get("locked", False),
        "analyticsEnabled": inputs.get("enableAnalytics", False),
        "indexConfigs": inputs.get("indexConfigs") or [],
    }


def _create_bucket(scope: Scope, inputs: Values) -> str:
    """The real provider takes over a bucket that is there."""
    parent = f"projects/{inputs['project'].removeprefix('projects/')}/locations/{inputs['location']}"
    name = f"{parent}/buckets/{inputs['bucketId']}"
    if _find(scope, name):
        _update_bucket(scope, name, inputs)
        return name
    return scope.cloud.of(Logs).configs.create("buckets", parent, _bucket(inputs), inputs["bucketId"])["name"]


def _read_bucket(scope: Scope, resource_id: str, _known: Values) -> Values | None:
    found = _find(scope, resource_id)
    return found and found | parts(_BUCKET, resource_id) | {"enableAnalytics": found.get("analyticsEnabled")}


def _update_bucket(scope: Scope, resource_id: str, inputs: Values) -> None:
    wanted = _bucket(inputs)
    if "description" not in inputs and resource_id.endswith(_BUILTIN):
        del wanted["description"]
    scope.cloud.of(Logs).configs.update(resource_id, wanted)


def _delete_bucket(scope: Scope, resource_id: str, _known: Values) -> None:
    if not resource_id.endswith(_BUILTIN):
        scope.cloud.of(Logs).configs.delete(resource_id)


def _find(scope: Scope, name: str) -> Values | None:
    try:
        return scope.cloud.of(Logs).configs.get(name)
    except ApiError as error:
        if error.code in (403, 404):
            return None
        raise


@dataclass(frozen=True)
class _Named:
    """A collection of a project whose resources have the same fields in Pulumi and in Google's JSON.

    The real provider's id of a metric is its bare name; of the others it is the full one.
    """

    collection: str
    fields: frozenset[str]
    bare_id: bool = False

    def full(self, scope: Scope, resource_id: str, known: Values) -> str:
        if not self.bare_id:
            return resource_id
        return f"projects/{scope.project_of(known)}/{self.collection}/{resource_id}"

    def body(self, inputs: Values) -> Values:
        return {name: inputs[name] for name in self.fields if inputs.get(name) is not None}

    def create(self, scope: Scope, inputs: Values) -> str:
        parent = f"projects/{scope.project_of(inputs)}"
        body = self.body(inputs) | {"name": inputs["name"]}
        made = scope.cloud.of(Logs).configs.create(self.collection, parent, body)
        return made["name"] if self.bare_id else f"{parent}/{self.collection}/{made['name']}"

    def read(self, scope: Scope, resource_id: str, known: Values) -> Values | None:
        name = self.full(scope, resource_id, known)
        found = _find(scope, name)
        if found and self.collection == "sinks":
            found["uniqueWriterIdentity"] = found.get("writerIdentity") != _SHARED
        return found and found | {"project": name.split("/")[1]}

    def update(self, scope: Scope, resource_id: str, inputs: Values) -> None:
        name = self.full(scope, resource_id, inputs)
        scope.cloud.of(Logs).configs.update(name, self.body(inputs), ",".join(sorted(self.fields)))

    def delete(self, scope: Scope, resource_id: str, known: Values) -> None:
        scope.cloud.of(Logs).configs.delete(self.full(scope, resource_id, known))

    def kind(self) -> Kind:
        """The kind."""
        return Kind(
            self.create,
            self.read,
            self.update,
            self.delete,
            ids="{name}" if self.bare_id else f"projects/{{project}}/{self.collection}/{{name}}",
            api="logging",
            rights=permits.rights(f"logging.{'logMetrics' if self.collection == 'metrics' else self.collection}"),
            autoname="name",
        )


KINDS = {
    "logging/projectBucketConfig:ProjectBucketConfig": Kind(
        _create_bucket,
        _read_bucket,
        _update_bucket,
        _delete_bucket,
        ids=_BUCKET,
        api="logging",
        rights=permits.rights("logging.buckets"),
        refused=names("cmekSettings"),
    ),
    "logging/projectExclusion:ProjectExclusion": _Named("exclusions", names("description filter disabled")).kind(),
    "logging/projectSink:ProjectSink": _Named(
        "sinks", names("destination filter description disabled exclusions bigqueryOptions")
    ).kind(),
    "logging/metric:Metric": _Named(
        "metrics",
        names("filter description disabled bucketName metricDescriptor labelExtractors valueExtractor bucketOptions"),
        bare_id=True,
    ).kind(),
}
