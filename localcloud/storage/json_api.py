"""The calls of the JSON API that carry no media: https://cloud.google.com/storage/docs/json_api/v1"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial as partial_function
from urllib.parse import unquote

from localcloud.iam import policies
from localcloud.storage import fields, listing, needs
from localcloud.storage.admission import Asker
from localcloud.storage.errors import StorageError, invalid, not_emulated, required
from localcloud.storage.json_call import Call
from localcloud.storage.metadata import Resource
from localcloud.storage.needs import Needs
from localcloud.storage.objects import check_soft_deletes
from localcloud.storage.store import Storage

Handler = Callable[[Call], Resource | None]


@dataclass(frozen=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    needs: Needs
    handler: Handler
    slow: bool


_ROUTES: list[_Route] = []
_VERSION = "options.requestedPolicyVersion"  # as other APIs call it


def _route(method: str, pattern: str, needed: str | Needs, slow: bool = False) -> Callable[[Handler], Handler]:
    """Register a handler; each * is one path segment. A `slow` one runs in a thread.

    `needed` is the permission on the first bucket or object of the path, or a function for what is more than that:
    https://cloud.google.com/storage/docs/access-control/iam-json
    """

    def on_target(permission: str, call: Call) -> None:
        if permission.startswith("storage.objects.") and len(call.params) > 1:
            call.asker.object(call.bucket, call.name, permission)
        else:
            call.asker.bucket(call.bucket, permission)

    def register(handler: Handler) -> Handler:
        expression = re.escape(pattern).replace(r"\*", "([^/]+)")
        asked = partial_function(on_target, needed) if isinstance(needed, str) else needed
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


# Buckets


@_route("GET", "/b", needs.of_project("storage.buckets.list"))
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


@_route("POST", "/b", needs.of_project("storage.buckets.create"))
def _insert_bucket(call: Call) -> Resource:
    project = call.query.get("project")
    if not project:
        raise required("Required parameter: project")
    retention = listing.flag(call.query, "enableObjectRetention")
    return call.storage.buckets.create(project, call.body, call.email, retention)


@_route("GET", "/b/*", needs.to_get_bucket)
def _get_bucket(call: Call) -> Resource:
    if listing.flag(call.query, "softDeleted"):
        return call.storage.buckets.get_soft_deleted(call.bucket, call.needed_generation)
    bucket = call.storage.buckets.get(call.bucket)
    call.conditions.check_metageneration(int(bucket["metageneration"]), bucket["etag"])
    return bucket


@_route("POST", "/b/*/restore", needs.to_restore_bucket)
def _restore_bucket(call: Call) -> Resource:
    return call.storage.buckets.restore(call.bucket, call.needed_generation)


@_route("POST", "/b/*/lockRetentionPolicy", "storage.buckets.update")
def _lock_retention_policy(call: Call) -> Resource:
    return call.storage.buckets.lock(call.bucket, call.conditions)


@_route("PATCH", "/b/*", needs.to_change_bucket)
def _patch_bucket(call: Call) -> Resource:
    return call.storage.buckets.change(call.bucket, call.body, call.conditions)


@_route("PUT", "/b/*", needs.to_change_bucket)
def _update_bucket(call: Call) -> Resource:
    return call.storage.buckets.change(call.bucket, call.body, call.conditions, whole=True)


@_route("DELETE", "/b/*", "storage.buckets.delete")
def _delete_bucket(call: Call) -> None:
    call.storage.buckets.delete(call.bucket, call.conditions)


@_route("GET", "/b/*/iam", "storage.buckets.getIamPolicy")
def _get_policy(call: Call) -> Resource:
    version = policies.requested_version({}, {_VERSION: call.query.get("optionsRequestedPolicyVersion", "")})
    return policies.shown(call.storage.buckets.policy(call.bucket), version)


@_route("PUT", "/b/*/iam", "storage.buckets.setIamPolicy")
def _set_policy(call: Call) -> Resource:
    return call.storage.buckets.set_policy(call.bucket, call.body)


@_route("GET", "/b/*/iam/testPermissions", needs.nothing)
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


@_route("GET", "/projects/*/serviceAccount", needs.to_know_agent)
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


@_route("PATCH", "/b/*/o/*", needs.to_update_object)
def _patch_object(call: Call) -> Resource:
    return _changed(call, whole=False)


@_route("PUT", "/b/*/o/*", needs.to_update_object)
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


@_route("POST", "/b/*/o/*/restore", needs.to_restore_object)
def _restore_object(call: Call) -> Resource:
    generation = call.needed_generation
    return call.storage.objects.restore(call.bucket, call.name, generation, call.conditions).resource()


@_route("POST", "/b/*/o/*/compose", needs.to_compose, slow=True)
def _compose(call: Call) -> Resource:
    return call.storage.copies.compose(call.bucket, call.name, call.body, call.conditions).resource()


@_route("POST", "/b/*/o/*/copyTo/b/*/o/*", needs.to_copy)
def _copy(call: Call) -> Resource:
    return call.storage.copies.copy(call.source, call.params[2], call.params[3], call.body, call.conditions).resource()


@_route("POST", "/b/*/o/*/rewriteTo/b/*/o/*", needs.to_copy)
def _rewrite(call: Call) -> Resource:
    made = call.storage.copies.copy(call.source, call.params[2], call.params[3], call.body, call.conditions)
    return {
        "kind": "storage#rewriteResponse",
        "totalBytesRewritten": str(made.size),
        "objectSize": str(made.size),
        "done": True,
        "resource": made.resource(),
    }


@_route("POST", "/b/*/o/*/moveTo/o/*", needs.to_move)
def _move(call: Call) -> Resource:
    return call.storage.copies.move(call.source, call.params[2], call.conditions).resource()
