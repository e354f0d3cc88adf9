"""What calls of the JSON API need where that is more than one permission on what their path names.

https://cloud.google.com/storage/docs/access-control/iam-json
"""

from __future__ import annotations

from collections.abc import Callable

from localcloud.storage import listing
from localcloud.storage.errors import required
from localcloud.storage.json.call import Call

Needs = Callable[[Call], None]  # raises unless the caller has the permissions that the call needs


def of_project(permission: str) -> Needs:
    def needs(call: Call) -> None:
        if not call.query.get("project"):
            raise required("Required parameter: project")
        call.asker.project(call.query["project"], permission)
        if permission == "storage.buckets.create" and listing.flag(call.query, "enableObjectRetention"):
            call.asker.project(call.query["project"], "storage.buckets.enableObjectRetention")

    return needs


def to_get_bucket(call: Call) -> None:
    """A soft-deleted one keeps its policy."""
    if listing.flag(call.query, "softDeleted"):
        _on_soft_deleted(call, "storage.buckets.get")
    else:
        call.asker.bucket(call.bucket, "storage.buckets.get")


def to_restore_bucket(call: Call) -> None:
    _on_soft_deleted(call, "storage.buckets.restore")


def _on_soft_deleted(call: Call, permission: str) -> None:
    call.asker.soft_deleted_bucket(call.bucket, call.needed_generation, permission)


def to_change_bucket(call: Call) -> None:
    """https://cloud.google.com/storage/docs/access-control/iam-json: footnotes on public access and lists."""
    call.asker.bucket(call.bucket, "storage.buckets.update")
    access = call.body.get("iamConfiguration")
    open_to_all = isinstance(access, dict) and "publicAccessPrevention" in access
    if open_to_all or call.body.get("acl") or call.body.get("defaultObjectAcl"):
        call.asker.bucket(call.bucket, "storage.buckets.setIamPolicy")


def nothing(call: Call) -> None:
    """Anybody may ask."""


def to_know_agent(call: Call) -> None:
    call.asker.project(call.params[0], "resourcemanager.projects.get")


def to_update_object(call: Call) -> None:
    needed = ["storage.objects.update"]
    if "retention" in call.body:
        needed.append("storage.objects.setRetention")
    if listing.flag(call.query, "overrideUnlockedRetention"):
        needed.append("storage.objects.overrideUnlockedRetention")
    for permission in needed:
        call.asker.object(call.bucket, call.name, permission)


def to_restore_object(call: Call) -> None:
    call.asker.object(call.bucket, call.name, "storage.objects.restore")
    call.asker.write(call.bucket, call.name)


def to_compose(call: Call) -> None:
    sources = call.body.get("sourceObjects")
    for source in sources if isinstance(sources, list) else []:
        if isinstance(source, dict) and isinstance(source.get("name"), str):
            call.asker.object(call.bucket, source["name"], "storage.objects.get")
            if call.body.get("deleteSourceObjects"):
                call.asker.object(call.bucket, source["name"], "storage.objects.delete")
    call.asker.write(call.bucket, call.name)


def to_copy(call: Call) -> None:
    call.asker.object(call.bucket, call.name, "storage.objects.get")
    call.asker.write(call.params[2], call.params[3])


def to_move(call: Call) -> None:
    call.asker.move(call.bucket, call.name)
    call.asker.write(call.bucket, call.params[2])
