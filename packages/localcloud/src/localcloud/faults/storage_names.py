"""The ids of Cloud Storage's methods, which follow rules of their own, by verb, host and path."""

from __future__ import annotations

import re

_VERBS = {"POST": "insert", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
# Everything that `storage_id` can give, which is what a fault on Storage can be aimed at.
STORAGE_IDS = frozenset(
    [
        f"storage.buckets.{verb}"
        for verb in ("insert", "list", "get", "patch", "update", "delete", "lockRetentionPolicy")
    ]
    + [
        f"storage.buckets.{verb}"
        for verb in ("getIamPolicy", "setIamPolicy", "testIamPermissions", "restore", "relocate")
    ]
    + [f"storage.objects.{verb}" for verb in ("insert", "list", "get", "patch", "update", "delete")]
    + [f"storage.objects.{verb}" for verb in ("compose", "copy", "rewrite", "restore", "move")]
    + [
        f"storage.{kind}.{verb}"
        for kind in ("bucketAccessControls", "defaultObjectAccessControls", "objectAccessControls", "notifications")
        for verb in ("insert", "list", "get", "patch", "update", "delete")
    ]
    + [f"storage.projects.hmacKeys.{verb}" for verb in ("create", "list", "get", "update", "delete")]
    + ["storage.projects.serviceAccount.get"]
)
_PARTS = {
    "acl": "bucketAccessControls",
    "defaultObjectAcl": "defaultObjectAccessControls",
    "notificationConfigs": "notifications",
}
_ACTIONS = {"copyTo": "copy", "rewriteTo": "rewrite", "moveTo": "move"}


def storage_id(verb: str, host: str, path: str) -> str:
    """The id of a call of Cloud Storage, through its JSON or its XML API; a batch has none itself."""
    if path.startswith("/batch"):
        return ""
    found = re.search(r"/storage/v1(/.*)?$", path)
    if found is None:
        own = host.removesuffix("storage.googleapis.com").rstrip(".")
        parts = [part for part in path.split("/", 1 if own else 2) if part]
        parts = [own, *parts] if own else parts
        if not parts:
            return "storage.buckets.list"
        if len(parts) == 1:
            return "storage." + {"PUT": "buckets.insert", "DELETE": "buckets.delete"}.get(verb, "objects.list")
        return "storage.objects." + {"DELETE": "delete", "GET": "get", "HEAD": "get"}.get(verb, "insert")
    if "/upload/" in path:
        return "storage.objects.insert"
    parts = [part for part in (found[1] or "").split("/") if part]
    name = _VERBS.get(verb, "")
    match parts:
        case ["projects", _, "serviceAccount"]:
            return "storage.projects.serviceAccount.get"
        case ["projects", _, "hmacKeys", *rest]:
            return "storage.projects.hmacKeys." + (name if rest else {"GET": "list"}.get(verb, "create"))
        case ["b"]:
            return f"storage.buckets.{'list' if verb == 'GET' else 'insert'}"
        case ["b", _]:
            return f"storage.buckets.{name}"
        case ["b", _, "iam"]:
            return f"storage.buckets.{'getIamPolicy' if verb == 'GET' else 'setIamPolicy'}"
        case ["b", _, "iam", "testPermissions"]:
            return "storage.buckets.testIamPermissions"
        case ["b", _, "o"]:
            return f"storage.objects.{'list' if verb == 'GET' else 'insert'}"
        case ["b", _, "o", _]:
            return f"storage.objects.{name}"
        case ["b", _, "o", _, "acl", *rest]:
            return "storage.objectAccessControls." + ("list" if verb == "GET" and not rest else name)
        case ["b", _, "o", _, action, *_]:
            return f"storage.objects.{_ACTIONS.get(action, action)}"
        case ["b", _, part, *rest] if part in _PARTS:
            return f"storage.{_PARTS[part]}." + ("list" if verb == "GET" and not rest else name)
        case ["b", _, action]:
            return f"storage.buckets.{action}"
    return ""
