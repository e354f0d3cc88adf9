"""Buckets, views, sinks, exclusions and log-based metrics: JSON resources, of which some exist in every project."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError, NotEmulated
from localcloud.core.filters import parse
from localcloud.core.state.documents import apply_mask
from localcloud.logging.filtering.matching import matcher
from localcloud.logging.routes import exclusions, given
from localcloud.logging.routes.destinations import BUCKET, check_destination
from localcloud.logging.routes.views import check_view
from localcloud.projects.store import Projects

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
DELETED = "DELETE_REQUESTED"
_GONE = "logging-view-gone"  # kind, and end of the name, of what says that a view which was there from the start is not
# https://cloud.google.com/logging/docs/region-support
_LOCATION = re.compile(r"global|us|eu|[a-z]+-[a-z]+\d+")
# https://cloud.google.com/logging/quotas; of exclusions, which are the _Default sink's, what CreateExclusion says.
_MOST = {"sinks": 200, "buckets": 100, "views": 30, "exclusions": 10}


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
    "exclusions": Kind("exclusions", "logging-exclusion", "name"),  # a document only if an older version wrote it
    "metrics": Kind("metrics", "logging-metric", "name", ("filter",)),
}


class Configs:
    """The resources by full name, "projects/P/sinks/S". They are kept in `cloud.documents`, a project's exclusions in
    its _Default sink.

    Sinks, exclusions and metrics call themselves by their short name, buckets and views by the full one.
    """

    def __init__(self, cloud: Cloud, changed: Callable[[], None]) -> None:
        """`changed()` is called after each change of where entries go."""
        self._cloud = cloud
        self._changed = changed
        self._lock = threading.RLock()

    def get(self, name: str) -> Body:
        """The resource. Raises 404."""
        name = self.canonical(name)
        found = self._find(name)
        if found is None:
            collection, _, short = name.rpartition("/")
            raise ApiError(404, f"{collection.rpartition('/')[2].rstrip('s').capitalize()} `{short}` does not exist")
        return found

    def list(self, collection: str, parent: str) -> list[Body]:
        """All of one collection ("sinks") below `parent`, by name. In "locations/-" are those of all places.

        Raises 404 for the views of a bucket that there is not.
        """
        prefix = self.canonical(parent)
        if collection == "exclusions":
            return sorted(self._default_sink(prefix).get("exclusions", []), key=lambda one: one.get("name", ""))
        if collection == "views":
            self.get(prefix)
        anywhere = prefix.endswith("/locations/-")
        prefix = prefix.removesuffix("/-") + "/" if anywhere else f"{prefix}/{collection}/"
        there = {name: body for name in given.names(collection, prefix) if (body := self._find(name))}
        kept = self._cloud.documents.list(KINDS[collection].document, prefix)
        full = {self._full_name(collection, prefix, body): body for body in kept}
        return [body for _, body in sorted((full | there).items())]

    def create(self, collection: str, parent: str, body: Mapping[str, Any], identifier: str = "") -> Body:
        """A new resource. Raises 400 for a missing name or a filter that can't be read, 409 if it exists, 404, 429."""
        kind = KINDS[collection]
        short = identifier or str(body.get("name", ""))
        if not re.fullmatch(r"[A-Za-z0-9._/%-]{1,100}", short):
            raise ApiError(400, f"Invalid {kind.id_field}: '{short}'")
        parent = self.canonical(parent)
        name = f"{parent}/{collection}/{short}"
        with self._lock:
            if self._find(name):
                raise ApiError(409, f"Resource '{name}' already exists.", reason="alreadyExists")
            self._check_count(collection, parent)
            return self._put(name, self._completed(collection, name, {**body, "name": short}))

    def update(self, name: str, changes: Mapping[str, Any], mask: str = "", create: bool = False) -> Body:
        """Change fields that `mask` names, or all given ones. `create`: make it if needed. Raises 400, 404.

        A bucket that is being deleted can't be changed: https://cloud.google.com/logging/docs/reference/v2/rest,
        projects.locations.buckets.patch.
        """
        name = self.canonical(name)
        collection = name.split("/")[-2]
        with self._lock:
            return self._update(name, collection, changes, mask, create)

    def _update(self, name: str, collection: str, changes: Mapping[str, Any], mask: str, create: bool) -> Body:
        present = self._find(name)
        if present is None and create:
            return self.create(collection, name.rpartition(f"/{collection}/")[0], changes, name.rpartition("/")[2])
        if collection == "views" and present and present == given.resource(name):
            raise ApiError(400, f"{name.rpartition('/')[2]} can't be modified", "FAILED_PRECONDITION")
        if name.endswith("/_Required"):
            raise ApiError(400, "The _Required bucket and sink can't be changed.", "FAILED_PRECONDITION")
        if collection == "buckets" and present and present["lifecycleState"] == DELETED:
            raise ApiError(400, "Buckets must be in an ACTIVE state to be modified", "FAILED_PRECONDITION")
        merged = apply_mask(self.get(name), dict(changes), mask)
        return self._put(name, self._completed(collection, name, merged | {"updateTime": self._cloud.clock.stamp()}))

    def delete(self, name: str) -> None:
        """Forget a resource; a bucket goes on for a week, in which `undelete` brings it back.

        https://cloud.google.com/logging/docs/buckets#delete. Raises 400 for one that every project has, 404. Of what is
        there from the start only the view of all logs can be deleted: https://cloud.google.com/logging/docs/logs-views
        """
        name = self.canonical(name)
        short = name.rpartition("/")[2]
        with self._lock:
            found = self.get(name)
            if given.resource(name) and short != "_AllLogs":
                raise ApiError(400, f"{short} can't be deleted", "FAILED_PRECONDITION")
            if name.split("/")[-2] == "buckets":
                found = found | {"lifecycleState": DELETED, "updateTime": self._cloud.clock.stamp()}
                self._cloud.documents.put(name, KINDS["buckets"].document, found)
            else:
                self._remove(name)

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
                views = f"{found['name']}/views/"
                for view in self._cloud.documents.list(KINDS["views"].document, views):
                    self._cloud.documents.delete(view["name"])
                for gone in self._cloud.documents.list(_GONE, views):
                    self._cloud.documents.delete(f"{gone['name']}{_GONE}")
                self._cloud.documents.delete(found["name"])
                self._changed()

    def canonical(self, name: str) -> str:
        """The name by the project's id, also where it was given by its number. Raises 403 for an unknown project."""
        match = re.fullmatch(r"projects/([^/]+)(.*)", name)
        if match is None:
            raise ApiError(400, f"Invalid resource name: '{name}'. The local cloud has projects only.")
        return f"projects/{self._cloud.of(Projects).get(match[1])['projectId']}{match[2]}"

    def _find(self, name: str) -> Body | None:
        project, collection, short = "/".join(name.split("/")[:2]), name.split("/")[-2], name.rpartition("/")[2]
        if collection == "exclusions":
            return next((o for o in self._default_sink(project).get("exclusions", []) if o.get("name") == short), None)
        if name == f"{project}/sinks/_Default":
            return self._default_sink(project)
        if found := self._cloud.documents.find(name):
            return found
        found = given.resource(name)
        if found is None or collection != "views":
            return found
        bucket = self._find(name.rpartition("/views/")[0])
        return found if bucket and not self._cloud.documents.find(f"{name}{_GONE}") else None

    def _put(self, name: str, made: Body) -> Body:
        project, collection = "/".join(name.split("/")[:2]), name.split("/")[-2]
        if collection == "exclusions":
            self._exclude(project, made["name"], made)
        else:
            self._cloud.documents.put(name, KINDS[collection].document, made)
            if name == f"{project}/sinks/_Default":
                for older in self._older_exclusions(project):
                    self._cloud.documents.delete(f"{project}/exclusions/{older['name']}")
        self._changed()
        return made

    def _remove(self, name: str) -> None:
        if name.split("/")[-2] == "exclusions":
            self._exclude("/".join(name.split("/")[:2]), name.rpartition("/")[2], None)
        elif self._cloud.documents.find(name):
            self._cloud.documents.delete(name)
        if given.resource(name):
            self._cloud.documents.put(f"{name}{_GONE}", _GONE, {"name": name})
        self._changed()

    def _exclude(self, project: str, short: str, made: Body | None) -> None:
        """Put a project's exclusion in the place of the one with that name, or at the end; None: take that out."""
        sink = self._default_sink(project)
        before: list[Body] = sink.get("exclusions", [])
        after = [made if one.get("name") == short else one for one in before]
        if made and made not in after:
            after.append(made)
        self._put(f"{project}/sinks/_Default", sink | {"exclusions": [one for one in after if one]})

    def _default_sink(self, project: str) -> Body:
        """The _Default sink of "projects/P", with all that is excluded from it."""
        name = f"{project}/sinks/_Default"
        sink = self._cloud.documents.find(name) or given.resource(name) or {}
        own = sink.get("exclusions", [])
        names = {one.get("name") for one in own}
        older = [one for one in self._older_exclusions(project) if one["name"] not in names]
        return sink | {"exclusions": [*own, *older]} if own or older else sink

    def _older_exclusions(self, project: str) -> list[Body]:
        """A project's exclusions that an older version kept beside its _Default sink, until that is written again."""
        return self._cloud.documents.list(KINDS["exclusions"].document, f"{project}/exclusions/")

    def _check_count(self, collection: str, parent: str) -> None:
        """Raises 404 for a view of no bucket, 429 for one more than Google keeps."""
        of = f"{parent.partition('/locations/')[0]}/locations/-" if collection == "buckets" else parent
        made = [one for one in self.list(collection, of) if not one["name"].rpartition("/")[2].startswith("_")]
        if (most := _MOST.get(collection)) and (count := len(made)) >= most:
            raise ApiError(429, f"Existing {collection} count: {count} is greater than the limit: {most}.")

    def _completed(self, collection: str, name: str, body: Mapping[str, Any]) -> Body:
        for text in [str(body.get(field, "")) for field in KINDS[collection].checked]:
            matcher(parse(text), text)
        if collection in ("sinks", "exclusions"):
            own = collection == "exclusions"
            exclusions.check([body] if own else body.get("exclusions") or [], "exclusion" if own else "sink.exclusions")
        if collection == "views":
            check_view(parse(str(body.get("filter", ""))), str(body.get("filter", "")))
        now = self._cloud.clock.stamp()
        made = ({} if given.resource(name) else {"createTime": now}) | {"updateTime": now} | dict(body)
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
