"""Calls of the JSON API that name an access control list; none is kept here, so each is refused."""

from __future__ import annotations

from localcloud.storage.acl import INSERT, UPDATE, UPDATE_BUCKET, refusal, refuse_lists
from localcloud.storage.bucket_settings import is_uniform
from localcloud.storage.errors import not_emulated
from localcloud.storage.json.call import Call
from localcloud.storage.json.routes import Handler, Routes
from localcloud.storage.metadata import Resource

routes = Routes()
_OF_ONE = ("GET", "PUT", "PATCH", "DELETE")  # what can be asked of one entry
_PREDEFINED = ("predefinedAcl", "predefinedDefaultObjectAcl", "destinationPredefinedAcl")


def check(call: Call) -> None:
    """Raise 400, 501 for a call about something else that comes with a list."""
    predefined = [call.query.get(name) for name in _PREDEFINED if call.query.get(name)]
    bodies = [body for body in (call.body, call.body.get("destination")) if isinstance(body, dict)]
    given = [body[name] for body in bodies for name in ("acl", "defaultObjectAcl") if body.get(name)]
    if not predefined and not given:
        return
    depth = len(call.params)  # 0 for a new bucket, 4 for a copy
    bucket = call.storage.buckets.get(call.params[2 if depth == 4 else 0]) if depth else call.body
    update = UPDATE if depth == 2 and "destination" not in call.body else INSERT
    refuse_lists(is_uniform(bucket), update if depth > 1 else UPDATE_BUCKET, *predefined, given=given)


def _refusal(method: str, noun: str, change: str) -> Handler:
    def refuse(call: Call) -> Resource:
        if not is_uniform(call.storage.buckets.get(call.bucket)):
            raise not_emulated("access control lists")
        raise refusal(f"Cannot get legacy ACL for {noun}" if method == "GET" else change)

    return refuse


for _path, _of, _said in (
    ("/b/*/acl", "storage.buckets", ("a bucket", UPDATE_BUCKET)),
    ("/b/*/defaultObjectAcl", "storage.buckets", ("a bucket", UPDATE_BUCKET)),
    ("/b/*/o/*/acl", "storage.objects", ("an object", UPDATE)),
):
    for _method, _pattern in (("GET", _path), ("POST", _path), *((verb, f"{_path}/*") for verb in _OF_ONE)):
        _needed = f"{_of}.{'get' if _method == 'GET' else 'set'}IamPolicy"
        routes.add(_method, _pattern, _needed)(_refusal(_method, *_said))
