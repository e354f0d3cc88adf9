"""The calls of the JSON API that carry no media: https://cloud.google.com/storage/docs/json_api/v1"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial as partial_function
from urllib.parse import unquote

from localcloud.storage import fields, listing
from localcloud.storage.admission import Asker
from localcloud.storage.conditions import Conditions, from_request
from localcloud.storage.copies import Source
from localcloud.storage.errors import StorageError, invalid, not_emulated, required
from localcloud.storage.metadata import Resource
from localcloud.storage.objects import as_generation, check_soft_deletes
from localcloud.storage.records import timestamp
from localcloud.storage.store import Storage


@dataclass(frozen=True)
class Call:
    """One call: `params` from the path (decoded), `body` parsed JSON or {}; `asker` is who calls."""

    storage: Storage
    params: tuple[str, ...]
    queries: Mapping[str, list[str]]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Resource
    asker: Asker

    @property
    def email(self) -> str:
        return self.asker.caller.email

    @property
    def bucket(self) -> str:
        return self.params[0]

    @property
    def name(self) -> str:
        """The object's name."""
        return self.params[1]

    @property
    def generation(self) -> int | None:
        return as_generation(self.query.get("generation"))

    @property
    def conditions(self) -> Conditions:
        return from_request(self.query, self.headers)

    @property
    def now(self) -> str:
        """As RFC 3339."""
        return timestamp(self.storage.cloud.clock.now())

    @property
    def source(self) -> Source:
        """What a copy takes from; that is the first bucket and object of the path."""
        generation = as_generation(self.query.get("sourceGeneration"))
        conditions = from_request(self.query, self.headers, "ifSource")
        return Source(self.bucket, self.name, generation, conditions)


Handler = Callable[[Call], Resource | None]
Needs = Callable[[Call], None]  # raises unless the caller has the permissions that the call needs


@dataclass(frozen=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    needs: Needs
    handler: Handler
    slow: bool


_ROUTES: list[_Route] = []


def _route(method: str, pattern: str, needs: str | Needs, slow: bool = False) -> Callable[[Handler], Handler]:
    """Register a handler; each * is one path segment. A `slow` one runs in a thread.

    `needs` is the permission on the first bucket or object of the path, or a function for what is more than that:
    https://cloud.google.com/storage/docs/access-control/iam-json
    """

    def on_target(permission: str, call: Call) -> None:
        if permission.startswith("storage.objects.") and len(call.params) > 1:
            call.asker.object(call.bucket, call.name, permission)
        else:
            call.asker.bucket(call.bucket, permission)

    def register(handler: Handler) -> Handler:
        expression = re.escape(pattern).replace(r"\*", "([^/]+)")
        asked = partial_function(on_target, needs) if isinstance(needs, str) else needs
        _ROUTES.append(_Route(method, re.compile(expression), asked, handler, slow))
        return handler

    return register


class JsonApi:
    """Finds the handler of a call and gives the wanted fields of its answer."""

    def __init__(self, storage: Storage, pool: ThreadPoolExecutor) -> None:
        self._storage = storage
        self._pool = pool

    async def answer(
        self,
        method: str,
        path: str,
        queries: Mapping[str, list[str]],
        headers: Mapping[str, str],
        body: Resource,
        asker: Asker,
    ) -> Resource | None:
        """The JSON answer, None for 204; `path` is percent-encoded and begins after /storage/v1. Raises ApiError."""
        query = {name: values[-1] for name, values in queries.items()}
        for route in _ROUTES:
            if route.method == method and (found := route.pattern.fullmatch(path)):
                params = tuple(unquote(group) for group in found.groups())
                call = Call(self._storage, params, queries, query, headers, body, asker)
                route.needs(call)
                if route.slow:
                    loop = asyncio.get_running_loop()
                    result = await loop.run_in_executor(self._pool, route.handler, call)
                else:
                    result = route.handler(call)
                return partial(result, query)
        if path.startswith(("/b", "/projects")):
            raise not_emulated(f"{method} /storage/v1{path}")
        raise StorageError(404, "Not Found", "notFound")


def partial(result: Resource | None, query: Mapping[str, str]) -> Resource | None:
    """The wanted fields of an answer. Raises 400 for a bad selection."""
    wanted = query.get("fields") or query.get("$fields")
    return fields.select(result, fields.parse(wanted)) if result is not None and wanted else result


# What a call needs where that is more than one permission


def _needs_of_project(permission: str) -> Needs:
    def needs(call: Call) -> None:
        if not call.query.get("project"):
            raise required("Required parameter: project")
        call.asker.project(call.query["project"], permission)
        if permission == "storage.buckets.create" and listing.flag(call.query, "enableObjectRetention"):
            call.asker.project(call.query["project"], "storage.buckets.enableObjectRetention")

    return needs


def _needs_bucket(call: Call) -> None:
    """A soft-deleted one keeps its policy."""
    if listing.flag(call.query, "softDeleted"):
        _on_soft_deleted(call, "storage.buckets.get")
    else:
        call.asker.bucket(call.bucket, "storage.buckets.get")


def _needs_restoring(call: Call) -> None:
    _on_soft_deleted(call, "storage.buckets.restore")


def _on_soft_deleted(call: Call, permission: str) -> None:
    call.asker.soft_deleted_bucket(call.bucket, _needed_generation(call), permission)


def _needs_changing(call: Call) -> None:
    """https://cloud.google.com/storage/docs/access-control/iam-json: footnotes on public access and lists."""
    call.asker.bucket(call.bucket, "storage.buckets.update")
    access = call.body.get("iamConfiguration")
    open_to_all = isinstance(access, dict) and "publicAccessPrevention" in access
    if open_to_all or call.body.get("acl") or call.body.get("defaultObjectAcl"):
        call.asker.bucket(call.bucket, "storage.buckets.setIamPolicy")


def _needs_nothing(call: Call) -> None:
    """Anybody may ask."""


def _needs_agent(call: Call) -> None:
    call.asker.project(call.params[0], "resourcemanager.projects.get")


def _needs_updating(call: Call) -> None:
    needed = ["storage.objects.update"]
    if "retention" in call.body:
        needed.append("storage.objects.setRetention")
    if listing.flag(call.query, "overrideUnlockedRetention"):
        needed.append("storage.objects.overrideUnlockedRetention")
    for permission in needed:
        call.asker.object(call.bucket, call.name, permission)


def _needs_restored_object(call: Call) -> None:
    call.asker.object(call.bucket, call.name, "storage.objects.restore")
    call.asker.write(call.bucket, call.name)


def _needs_composing(call: Call) -> None:
    for source in call.body.get("sourceObjects") or []:
        if isinstance(source, dict) and isinstance(source.get("name"), str):
            call.asker.object(call.bucket, source["name"], "storage.objects.get")
    call.asker.write(call.bucket, call.name)


def _needs_copying(call: Call) -> None:
    call.asker.object(call.bucket, call.name, "storage.objects.get")
    call.asker.write(call.params[2], call.params[3])


def _needs_moving(call: Call) -> None:
    call.asker.move(call.bucket, call.name)
    call.asker.write(call.bucket, call.params[2])


# Buckets


@_route("GET", "/b", _needs_of_project("storage.buckets.list"))
def _list_buckets(call: Call) -> Resource:
    project = call.query.get("project")
    if not project:
        raise required("Required parameter: project")
    prefix, token = call.query.get("prefix", ""), call.query.get("pageToken", "")
    limit = listing.page_size(call.query)
    soft_deleted = listing.flag(call.query, "softDeleted")
    every = call.storage.buckets.list_soft_deleted if soft_deleted else call.storage.buckets.list
    found = [bucket for bucket in every(project, call.email) if bucket["name"].startswith(prefix)]
    found = [bucket for bucket in found if bucket["name"] > token]
    answer: Resource = {"kind": "storage#buckets"}
    if found:
        answer["items"] = found[:limit]
    if len(found) > limit:
        answer["nextPageToken"] = found[limit - 1]["name"]
    return answer


@_route("POST", "/b", _needs_of_project("storage.buckets.create"))
def _insert_bucket(call: Call) -> Resource:
    project = call.query.get("project")
    if not project:
        raise required("Required parameter: project")
    retention = listing.flag(call.query, "enableObjectRetention")
    return call.storage.buckets.create(project, call.body, call.email, retention)


@_route("GET", "/b/*", _needs_bucket)
def _get_bucket(call: Call) -> Resource:
    if listing.flag(call.query, "softDeleted"):
        return call.storage.buckets.get_soft_deleted(call.bucket, _needed_generation(call))
    bucket = call.storage.buckets.get(call.bucket)
    call.conditions.check_metageneration(int(bucket["metageneration"]), bucket["etag"])
    return bucket


def _needed_generation(call: Call) -> int:
    if call.generation is None:
        raise required("Required parameter: generation")
    return call.generation


@_route("POST", "/b/*/restore", _needs_restoring)
def _restore_bucket(call: Call) -> Resource:
    return call.storage.buckets.restore(call.bucket, _needed_generation(call))


@_route("POST", "/b/*/lockRetentionPolicy", "storage.buckets.update")
def _lock_retention_policy(call: Call) -> Resource:
    return call.storage.buckets.lock(call.bucket, call.conditions)


@_route("PATCH", "/b/*", _needs_changing)
def _patch_bucket(call: Call) -> Resource:
    return call.storage.buckets.change(call.bucket, call.body, call.conditions)


@_route("PUT", "/b/*", _needs_changing)
def _update_bucket(call: Call) -> Resource:
    return call.storage.buckets.change(call.bucket, call.body, call.conditions, whole=True)


@_route("DELETE", "/b/*", "storage.buckets.delete")
def _delete_bucket(call: Call) -> None:
    call.storage.buckets.delete(call.bucket, call.conditions)


@_route("GET", "/b/*/iam", "storage.buckets.getIamPolicy")
def _get_policy(call: Call) -> Resource:
    return call.storage.buckets.policy(call.bucket)


@_route("PUT", "/b/*/iam", "storage.buckets.setIamPolicy")
def _set_policy(call: Call) -> Resource:
    return call.storage.buckets.set_policy(call.bucket, call.body)


@_route("GET", "/b/*/iam/testPermissions", _needs_nothing)
def _test_permissions(call: Call) -> Resource:
    call.storage.buckets.get(call.bucket)
    asked = call.queries.get("permissions", [])
    if not asked:
        raise required("Required parameter: permissions")
    for permission in asked:
        if not re.fullmatch(r"storage\.[a-zA-Z]+\.[a-zA-Z]+", permission):
            raise invalid(f"Invalid permission: {permission}")
    answer: Resource = {"kind": "storage#testIamPermissionsResponse"}
    if held := call.asker.permitted(call.bucket, asked):
        answer["permissions"] = held
    return answer


@_route("GET", "/b/*/storageLayout", "storage.objects.list")
def _storage_layout(call: Call) -> Resource:
    bucket = call.storage.buckets.get(call.bucket)
    return {
        "kind": "storage#storageLayout",
        "bucket": bucket["name"],
        "location": bucket["location"],
        "locationType": bucket["locationType"],
        "hierarchicalNamespace": {"enabled": False},
    }


@_route("GET", "/b/*/managedFolders", "storage.managedFolders.list")
@_route("GET", "/b/*/folders", "storage.folders.list")
@_route("GET", "/b/*/anywhereCaches", "storage.anywhereCaches.list")
def _nothing(call: Call) -> Resource:
    """There are none of these here, which is all that gcloud wants to know before it deletes a bucket."""
    call.storage.buckets.get(call.bucket)
    return {"items": []}


@_route("GET", "/b/*/notificationConfigs", "storage.buckets.get")
def _list_notifications(call: Call) -> Resource:
    found = call.storage.notifications.list(call.bucket)
    return {"kind": "storage#notifications"} | ({"items": found} if found else {})


@_route("POST", "/b/*/notificationConfigs", "storage.buckets.update")
def _insert_notification(call: Call) -> Resource:
    return call.storage.notifications.insert(call.storage.buckets, call.bucket, call.body)


@_route("GET", "/b/*/notificationConfigs/*", "storage.buckets.get")
def _get_notification(call: Call) -> Resource:
    return call.storage.notifications.get(call.bucket, call.params[1])


@_route("DELETE", "/b/*/notificationConfigs/*", "storage.buckets.update")
def _delete_notification(call: Call) -> None:
    call.storage.notifications.delete(call.storage.buckets, call.bucket, call.params[1])


@_route("GET", "/b/*/acl", "storage.buckets.getIamPolicy")
@_route("GET", "/b/*/defaultObjectAcl", "storage.buckets.getIamPolicy")
@_route("GET", "/b/*/o/*/acl", "storage.objects.getIamPolicy")
def _acl(call: Call) -> Resource:
    uniform = call.storage.buckets.get(call.bucket)["iamConfiguration"]["uniformBucketLevelAccess"]
    if uniform.get("enabled"):
        what = "an object" if len(call.params) > 1 else "a bucket"
        raise invalid(
            f"Cannot get legacy ACL for {what} when uniform bucket-level access is enabled. "
            "Read more at https://cloud.google.com/storage/docs/uniform-bucket-level-access"
        )
    raise not_emulated("access control lists")


@_route("GET", "/projects/*/serviceAccount", _needs_agent)
def _service_account(call: Call) -> Resource:
    email = call.storage.cloud.iam.service_agent(call.params[0], "gs-project-accounts")
    return {"kind": "storage#serviceAccount", "email_address": email}


# Objects


@_route("GET", "/b/*/o", "storage.objects.list", slow=True)
def _list_objects(call: Call) -> Resource:
    bucket = call.storage.buckets.get(call.bucket)
    query = listing.from_request(call.query)
    if query.soft_deleted:
        check_soft_deletes(bucket)
    found = listing.page(call.storage.metadata, call.bucket, query, call.now)
    answer: Resource = {"kind": "storage#objects"}
    if found.items:
        answer["items"] = [record.resource() for record in found.items]
    if found.prefixes:
        answer["prefixes"] = found.prefixes
    if found.token:
        answer["nextPageToken"] = found.token
    return answer


@_route("POST", "/b/*/o", "storage.objects.create")
def _insert_object(call: Call) -> Resource:
    raise invalid("Upload requests must include an uploadType URL parameter and a URL path beginning with /upload/")


@_route("GET", "/b/*/o/*", "storage.objects.get")
def _get_object(call: Call) -> Resource:
    find = call.storage.objects.get
    if listing.flag(call.query, "softDeleted"):
        find = call.storage.objects.get_soft_deleted
    record = find(call.bucket, call.name, call.generation)
    call.conditions.check_read(record)
    return record.resource()


@_route("PATCH", "/b/*/o/*", _needs_updating)
def _patch_object(call: Call) -> Resource:
    return _changed(call, whole=False)


@_route("PUT", "/b/*/o/*", _needs_updating)
def _update_object(call: Call) -> Resource:
    return _changed(call, whole=True)


def _changed(call: Call, whole: bool) -> Resource:
    override = listing.flag(call.query, "overrideUnlockedRetention")
    change = call.storage.objects.change
    made = change(call.bucket, call.name, call.body, call.generation, call.conditions, whole, override)
    return made.resource()


@_route("DELETE", "/b/*/o/*", "storage.objects.delete")
def _delete_object(call: Call) -> None:
    call.storage.objects.delete(call.bucket, call.name, call.generation, call.conditions)


@_route("POST", "/b/*/o/*/restore", _needs_restored_object)
def _restore_object(call: Call) -> Resource:
    generation = _needed_generation(call)
    return call.storage.objects.restore(call.bucket, call.name, generation, call.conditions).resource()


@_route("POST", "/b/*/o/*/compose", _needs_composing, slow=True)
def _compose(call: Call) -> Resource:
    return call.storage.copies.compose(call.bucket, call.name, call.body, call.conditions).resource()


@_route("POST", "/b/*/o/*/copyTo/b/*/o/*", _needs_copying)
def _copy(call: Call) -> Resource:
    return call.storage.copies.copy(call.source, call.params[2], call.params[3], call.body, call.conditions).resource()


@_route("POST", "/b/*/o/*/rewriteTo/b/*/o/*", _needs_copying)
def _rewrite(call: Call) -> Resource:
    made = call.storage.copies.copy(call.source, call.params[2], call.params[3], call.body, call.conditions)
    return {
        "kind": "storage#rewriteResponse",
        "totalBytesRewritten": str(made.size),
        "objectSize": str(made.size),
        "done": True,
        "resource": made.resource(),
    }


@_route("POST", "/b/*/o/*/moveTo/o/*", _needs_moving)
def _move(call: Call) -> Resource:
    return call.storage.copies.move(call.source, call.params[2], call.conditions).resource()
