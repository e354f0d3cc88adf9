"""The calls of the JSON API about objects that carry no media; uploads and downloads have modules of their own."""

from __future__ import annotations

from localcloud.storage import listing, rewrites
from localcloud.storage.errors import invalid
from localcloud.storage.json import needs
from localcloud.storage.json.call import Call
from localcloud.storage.json.routes import Routes
from localcloud.storage.metadata import Resource
from localcloud.storage.objects import check_soft_deletes

routes = Routes()


@routes.add("GET", "/b/*/o", "storage.objects.list", slow=True)
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


@routes.add("POST", "/b/*/o", "storage.objects.create")
def _insert_object(call: Call) -> Resource:
    raise invalid("Upload requests must include an uploadType URL parameter and a URL path beginning with /upload/")


@routes.add("GET", "/b/*/o/*", "storage.objects.get")
def _get_object(call: Call) -> Resource:
    find = call.storage.objects.get
    if listing.flag(call.query, "softDeleted"):
        find = call.storage.objects.get_soft_deleted
    record = find(call.bucket, call.name, call.generation)
    call.conditions.check_read(record)
    return record.resource()


@routes.add("PATCH", "/b/*/o/*", needs.to_update_object)
def _patch_object(call: Call) -> Resource:
    return _changed(call, whole=False)


@routes.add("PUT", "/b/*/o/*", needs.to_update_object)
def _update_object(call: Call) -> Resource:
    return _changed(call, whole=True)


def _changed(call: Call, whole: bool) -> Resource:
    override = listing.flag(call.query, "overrideUnlockedRetention")
    change = call.storage.objects.change
    made = change(call.bucket, call.name, call.body, call.generation, call.conditions, whole, override)
    return made.resource()


@routes.add("DELETE", "/b/*/o/*", "storage.objects.delete")
def _delete_object(call: Call) -> None:
    call.storage.objects.delete(call.bucket, call.name, call.generation, call.conditions)


@routes.add("POST", "/b/*/o/*/restore", needs.to_restore_object)
def _restore_object(call: Call) -> Resource:
    generation = call.needed_generation
    return call.storage.objects.restore(call.bucket, call.name, generation, call.conditions).resource()


@routes.add("POST", "/b/*/o/*/compose", needs.to_compose, slow=True)
def _compose(call: Call) -> Resource:
    return call.storage.copies.compose(call.bucket, call.name, call.body, call.conditions).resource()


@routes.add("POST", "/b/*/o/*/copyTo/b/*/o/*", needs.to_copy)
def _copy(call: Call) -> Resource:
    return call.storage.copies.copy(call.source, call.params[2], call.params[3], call.body, call.conditions).resource()


@routes.add("POST", "/b/*/o/*/rewriteTo/b/*/o/*", needs.to_copy)
def _rewrite(call: Call) -> Resource:
    copy = rewrites.Copy(call.source, call.params[2], call.params[3], call.body, call.conditions)
    return rewrites.rewrite(call.storage, copy, call.query)


@routes.add("POST", "/b/*/o/*/moveTo/o/*", needs.to_move)
def _move(call: Call) -> Resource:
    return call.storage.copies.move(call.source, call.params[2], call.conditions).resource()
