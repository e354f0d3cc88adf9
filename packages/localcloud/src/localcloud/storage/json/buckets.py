"""The calls of the JSON API about buckets, their policies and notifications."""

from __future__ import annotations

import re

from localcloud.iam import policies
from localcloud.iam.store import Iam
from localcloud.storage import listing
from localcloud.storage.errors import invalid, required
from localcloud.storage.json import needs
from localcloud.storage.json.call import Call
from localcloud.storage.json.routes import Routes
from localcloud.storage.metadata import Resource

routes = Routes()
_VERSION = "options.requestedPolicyVersion"  # as other APIs call it


@routes.add("GET", "/b", needs.of_project("storage.buckets.list"))
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


@routes.add("POST", "/b", needs.of_project("storage.buckets.create"))
def _insert_bucket(call: Call) -> Resource:
    project = call.query.get("project")
    if not project:
        raise required("Required parameter: project")
    retention = listing.flag(call.query, "enableObjectRetention")
    return call.storage.buckets.create(project, call.body, call.email, retention)


@routes.add("GET", "/b/*", needs.to_get_bucket)
def _get_bucket(call: Call) -> Resource:
    if listing.flag(call.query, "softDeleted"):
        return call.storage.buckets.get_soft_deleted(call.bucket, call.needed_generation)
    bucket = call.storage.buckets.get(call.bucket)
    call.conditions.check_bucket_read(int(bucket["metageneration"]), bucket["etag"])
    return bucket


@routes.add("POST", "/b/*/restore", needs.to_restore_bucket)
def _restore_bucket(call: Call) -> Resource:
    return call.storage.buckets.restore(call.bucket, call.needed_generation)


@routes.add("POST", "/b/*/lockRetentionPolicy", "storage.buckets.update")
def _lock_retention_policy(call: Call) -> Resource:
    return call.storage.buckets.lock(call.bucket, call.conditions)


@routes.add("PATCH", "/b/*", needs.to_change_bucket)
def _patch_bucket(call: Call) -> Resource:
    return call.storage.buckets.change(call.bucket, call.body, call.conditions)


@routes.add("PUT", "/b/*", needs.to_change_bucket)
def _update_bucket(call: Call) -> Resource:
    return call.storage.buckets.change(call.bucket, call.body, call.conditions, whole=True)


@routes.add("DELETE", "/b/*", "storage.buckets.delete")
def _delete_bucket(call: Call) -> None:
    call.storage.buckets.delete(call.bucket, call.conditions)


@routes.add("GET", "/b/*/iam", "storage.buckets.getIamPolicy")
def _get_policy(call: Call) -> Resource:
    version = policies.requested_version({}, {_VERSION: call.query.get("optionsRequestedPolicyVersion", "")})
    return policies.shown(call.storage.buckets.policy(call.bucket), version)


@routes.add("PUT", "/b/*/iam", "storage.buckets.setIamPolicy")
def _set_policy(call: Call) -> Resource:
    return call.storage.buckets.set_policy(call.bucket, call.body)


@routes.add("GET", "/b/*/iam/testPermissions", needs.nothing)
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


@routes.add("GET", "/b/*/storageLayout", "storage.objects.list")
def _storage_layout(call: Call) -> Resource:
    bucket = call.storage.buckets.get(call.bucket)
    return {
        "kind": "storage#storageLayout",
        "bucket": bucket["name"],
        "location": bucket["location"],
        "locationType": bucket["locationType"],
        "hierarchicalNamespace": {"enabled": False},
    }


@routes.add("GET", "/b/*/managedFolders", "storage.managedFolders.list")
@routes.add("GET", "/b/*/folders", "storage.folders.list")
@routes.add("GET", "/b/*/anywhereCaches", "storage.anywhereCaches.list")
def _nothing(call: Call) -> Resource:
    """There are none of these here, which is all that gcloud wants to know before it deletes a bucket."""
    call.storage.buckets.get(call.bucket)
    return {"items": []}


@routes.add("GET", "/b/*/notificationConfigs", "storage.buckets.get")
def _list_notifications(call: Call) -> Resource:
    found = call.storage.notifications.list(call.bucket)
    return {"kind": "storage#notifications"} | ({"items": found} if found else {})


@routes.add("POST", "/b/*/notificationConfigs", "storage.buckets.update")
def _insert_notification(call: Call) -> Resource:
    return call.storage.notifications.insert(call.storage.buckets, call.bucket, call.body)


@routes.add("GET", "/b/*/notificationConfigs/*", "storage.buckets.get")
def _get_notification(call: Call) -> Resource:
    return call.storage.notifications.get(call.bucket, call.params[1])


@routes.add("DELETE", "/b/*/notificationConfigs/*", "storage.buckets.update")
def _delete_notification(call: Call) -> None:
    call.storage.notifications.delete(call.storage.buckets, call.bucket, call.params[1])


@routes.add("GET", "/projects/*/serviceAccount", needs.to_know_agent)
def _service_account(call: Call) -> Resource:
    email = call.storage.cloud.of(Iam).service_agent(call.params[0], "gs-project-accounts")
    return {"kind": "storage#serviceAccount", "email_address": email}
