"""Buckets, views, sinks, exclusions and log-based metrics: JSON resources, of which some exist in every project."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError, NotEmulated
from localcloud.core.filters import parse
from localcloud.core.state.documents import apply_mask
from localcloud.logging.filtering.matching import matcher
from localcloud.logging.routes.destinations import BUCKET, check_destination
from localcloud.logging.routes.views import check_view
from localcloud.projects.store import Projects

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
# https://cloud.google.com/logging/docs/routing/overview#sinks
_AUDIT = 'LOG_ID("cloudaudit.googleapis.com/activity") OR LOG_ID("externalaudit.googleapis.com/activity")'
_AUDIT += (
    ' OR LOG_ID("cloudaudit.googleapis.com/system_event") OR LOG_ID("cloudaudit.googleapis.com/access_transparency")'
)
DELETED = "DELETE_REQUESTED"
_NOT_AUDIT = " AND ".join(f"NOT {part}" for part in _AUDIT.split(" OR "))
# https://cloud.google.com/logging/docs/region-support
_LOCATION = re.compile(r"global|us|eu|[a-z]+-[a-z]+\d+")


@dataclass(frozen=True)
class Kind:
    """One kind of resource: its collection, which documents hold it, and the field that names it in a create call."""

    collection: str
    document: str
    id_field: str
    checked: tuple[str, ...] = ()  # fields that hold a filter


KINDS = {
    "buckets": Kind("buckets", "logging-bucket", "bucketId"),
    "views": Kind("views", "logging-view", "viewId", ("filter",)),
    "sinks": Kind("sinks", "logging-sink", "name", ("filter",)),
    "exclusions": Kind("exclusions", "logging-exclusion", "name", ("filter",)),
    "metrics": Kind("metrics", "logging-metric", "name", ("filter",)),
}


class Configs:
    """The resources by full name, "projects/P/sinks/S". They are kept in `cloud.documents`.

    Sinks, exclusions and metrics call themselves by their short name, buckets and views by the full one.
    """

    def __init__(self, cloud: Cloud, changed: Callable[[], None]) -> None:
        """`changed()` is called after each change of where entries go."""
        self._cloud = cloud
        self._changed = changed

    def get(self, name: str) -> Body:
        """The resource. Raises 404."""
        name = self.canonical(name)
        found = self._cloud.documents.find(name) or _builtin(name)
        if found is None:
            collection, _, short = name.rpartition("/")
            raise ApiError(404, f"{collection.rpartition('/')[2].rstrip('s').capitalize()} `{short}` does not exist")
        return found

    def list(self, collection: str, parent: str) -> list[Body]:
        """All of one collection ("sinks") below `parent`, by name. In "locations/-" are those of all places."""
        prefix = self.canonical(parent)
        anywhere = prefix.endswith("/locations/-")
        prefix = prefix.removesuffix("/-") + "/" if anywhere else f"{prefix}/{collection}/"
        builtin = {
            name: body
            for name in _builtin_names(prefix.split("/")[1])
            if name.startswith(prefix) and name.split("/")[-2] == collection and (body := _builtin(name))
        }
        kept = self._cloud.documents.list(KINDS[collection].document, prefix)
        full = {self._full_name(collection, prefix, body): body for body in kept}
        return [body for _, body in sorted((builtin | full).items())]

    def create(self, collection: str, parent: str, body: Mapping[str, Any], identifier: str = "") -> Body:
        """A new resource. Raises 400 for a missing name or a filter that can't be read, 409 when it exists."""
        kind = KINDS[collection]
        short = identifier or str(body.get("name", ""))
        if not re.fullmatch(r"[A-Za-z0-9._/%-]{1,100}", short):
            raise ApiError(400, f"Invalid {kind.id_field}: '{short}'")
        name = f"{self.canonical(parent)}/{collection}/{short}"
        if _builtin(name):
            raise ApiError(409, f"Resource '{name}' already exists.")
        made = self._cloud.documents.create(name, kind.document, self._completed(collection, name, body))
        self._changed()
        return made

    def update(self, name: str, changes: Mapping[str, Any], mask: str = "", create: bool = False) -> Body:
        """Change fields that `mask` names, or all given ones. `create`: make it if needed. Raises 400, 404.

        A bucket that is being deleted can't be changed: https://cloud.google.com/logging/docs/reference/v2/rest,
        projects.locations.buckets.patch.
        """
        name = self.canonical(name)
        collection = name.split("/")[-2]
        present = self._cloud.documents.find(name) or _builtin(name)
        if present is None and create:
            return self.create(collection, name.rpartition(f"/{collection}/")[0], changes, name.rpartition("/")[2])
        if name.endswith("/_Required"):
            raise ApiError(400, "The _Required bucket and sink can't be changed.", "FAILED_PRECONDITION")
        if collection == "buckets" and present and present["lifecycleState"] == DELETED:
            raise ApiError(400, "Buckets must be in an ACTIVE state to be modified", "FAILED_PRECONDITION")
        merged = apply_mask(self.get(name), dict(changes), mask)
        made = self._completed(collection, name, merged | {"updateTime": self._cloud.clock.stamp()})
        put = self._cloud.documents.put(name, KINDS[collection].document, made)
        self._changed()
        return put

    def delete(self, name: str) -> None:
        """Forget a resource; a bucket goes on for a week, in which `undelete` brings it back.

        https://cloud.google.com/logging/docs/buckets#delete. Raises 400 for one that every project has, 404.
        """
        name = self.canonical(name)
        if _builtin(name):
            raise ApiError(400, f"{name.rpartition('/')[2]} can't be deleted", "FAILED_PRECONDITION")
        found = self.get(name)
        if name.split("/")[-2] == "buckets":
            found = found | {"lifecycleState": DELETED, "updateTime": self._cloud.clock.stamp()}
            self._cloud.documents.put(name, KINDS["buckets"].document, found)
            return
        self._cloud.documents.delete(name)
        self._changed()

    def undelete(self, name: str) -> None:
        """Keep a bucket that is being deleted. Raises 404, 400 for one that is not."""
        name = self.canonical(name)
        found = self.get(name)
        if found["lifecycleState"] != DELETED:
            raise ApiError(400, f"Bucket {name} is not in the DELETE_REQUESTED state", "FAILED_PRECONDITION")
        back = found | {"lifecycleState": "ACTIVE", "updateTime": self._cloud.clock.stamp()}
        self._cloud.documents.put(name, KINDS["buckets"].document, back)

    def purge(self, before: str) -> None:
        """Forget the buckets whose deletion was asked for before that instant."""
        for found in self._cloud.documents.list(KINDS["buckets"].document):
            if found["lifecycleState"] == DELETED and found["updateTime"] < before:
                for view in self._cloud.documents.list(KINDS["views"].document, f"{found['name']}/views/"):
                    self._cloud.documents.delete(view["name"])
                self._cloud.documents.delete(found["name"])
                self._changed()

    def canonical(self, name: str) -> str:
        """The name by the project's id, also where it was given by its number. Raises 403 for an unknown project."""
        match = re.fullmatch(r"projects/([^/]+)(.*)", name)
        if match is None:
            raise ApiError(400, f"Invalid resource name: '{name}'. The local cloud has projects only.")
        return f"projects/{self._cloud.of(Projects).get(match[1])['projectId']}{match[2]}"

    def _completed(self, collection: str, name: str, body: Mapping[str, Any]) -> Body:
        for text in [str(body.get(field, "")) for field in KINDS[collection].checked] + [
            str(exclusion.get("filter", "")) for exclusion in body.get("exclusions", [])
        ]:
            matcher(parse(text), text)
        if collection == "views":
            check_view(parse(str(body.get("filter", ""))), str(body.get("filter", "")))
        now = self._cloud.clock.stamp()
        made = ({} if _builtin(name) else {"createTime": now}) | {"updateTime": now} | dict(body)
        made["name"] = name if collection in ("buckets", "views") else name.rpartition(f"/{collection}/")[2]
        if collection == "sinks":
            check_destination(str(body.get("destination", "")))
            project = self._cloud.of(Projects).get(name.split("/")[1])
            made.pop("writerIdentity", None)
            if not _at_home(project, str(body.get("destination", ""))):
                writer = f"service-{project['projectNumber']}@gcp-sa-logging.iam.gserviceaccount.com"
                made["writerIdentity"] = f"serviceAccount:{writer}"
        if collection == "metrics":
            kind = f"logging.googleapis.com/user/{made['name']}"
            full = {"name": f"{name.partition('/metrics/')[0]}/metricDescriptors/{kind}", "type": kind}
            counted = {"metricKind": "DELTA", "valueType": "INT64", "unit": "1"}
            told = {"description": made["description"]} if made.get("description") else {}
            made["metricDescriptor"] = counted | (body.get("metricDescriptor") or {}) | told | full
        if collection == "buckets":
            _check_bucket(name, body)
            made = {"lifecycleState": "ACTIVE"} | made | {"retentionDays": _days(body.get("retentionDays") or 30)}
        return made

    def _full_name(self, collection: str, prefix: str, body: Body) -> str:
        return body["name"] if collection in ("buckets", "views") else prefix + body["name"]


def _at_home(project: Body, destination: str) -> bool:
    """Whether a sink leads to a log bucket of its own project, for which nobody needs a right.

    https://cloud.google.com/logging/docs/reference/v2/rest/v2/projects.sinks#LogSink (writerIdentity)
    """
    found = BUCKET.fullmatch(destination)
    return found is not None and found[1] in (project["projectId"], project["projectNumber"])


def _check_bucket(name: str, body: Mapping[str, Any]) -> None:
    """Raises 400 for a location that is none, 501 for what would have no effect."""
    location = name.split("/")[3]
    if not _LOCATION.fullmatch(location):
        raise ApiError(400, f"Location '{location}' is not supported for log buckets.")
    if strange := [field for field in ("analyticsEnabled", "cmekSettings") if body.get(field)]:
        raise NotEmulated(f"log buckets with {', '.join(strange)}")


def _days(given: Any) -> int:
    """https://cloud.google.com/logging/docs/buckets#custom-retention. Raises 400."""
    try:
        days = int(given)
    except (TypeError, ValueError):
        days = 0
    if not 1 <= days <= 3650:
        raise ApiError(400, f"Invalid retention_days: {given}. It must be between 1 and 3650 days.")
    return days


def _builtin_names(project: str) -> list[str]:
    return [
        *(f"projects/{project}/locations/global/buckets/{bucket}" for bucket in ("_Default", "_Required")),
        *(f"projects/{project}/sinks/{sink}" for sink in ("_Default", "_Required")),
        f"projects/{project}/locations/global/buckets/_Default/views/_AllLogs",
        f"projects/{project}/locations/global/buckets/_Default/views/_Default",
        f"projects/{project}/locations/global/buckets/_Required/views/_AllLogs",
    ]


def _builtin(name: str) -> Body | None:
    """What every project has from its start: https://cloud.google.com/logging/docs/store-log-entries#default-bucket"""
    project = name.split("/")[1]
    if name not in _builtin_names(project):
        return None
    short = name.rpartition("/")[2]
    required = short == "_Required"
    if "/views/" in name:
        return {"name": name, "filter": "" if short == "_AllLogs" else _NOT_AUDIT.replace("LOG_ID", "log_id")}
    if "/buckets/" in name:
        return {
            "name": name,
            "description": "Audit bucket" if required else "Default bucket",
            "retentionDays": 400 if required else 30,
            "lifecycleState": "ACTIVE",
            **({"locked": True} if required else {}),
        }
    return {
        "name": short,
        "destination": f"logging.googleapis.com/projects/{project}/locations/global/buckets/{short}",
        "filter": _AUDIT if required else _NOT_AUDIT,
    }
