"""Every permission that there is, and on what kind of resource each is asked: so which roles apply there."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from localcloud.core.errors import ApiError

# Permissions by the kind of resource that they are asked on, itself or what is in it. What makes or lists such
# resources is asked on its parent. https://cloud.google.com/iam/docs/permissions-reference
_ASKED = {
    "project": r"(?!resourcemanager\.(organizations|folders|capabilities)\.|resourcemanager\.projects\.(create|list)$"
    r"|billing\.(?!resourceCosts|resourcebudgets)).*",
    "bucket": r"storage\.(?!hmacKeys|intelligenceConfigs|featureConfigs|buckets\.(create|list|restore)$).*",
    "serviceAccount": r"iam\.serviceAccount(s\.(?!create$|list$)|Keys\.|ApiKeyBindings\.).*",
    "repository": r"artifactregistry\.(?!locations|project(configs|settings)|repositories\.(create|list)$).*",
    "runJob": r"run\.(jobs\.(?!create$|list$)|executions\.|tasks\.).*",
    "topic": r"pubsub\.topics\.(?!create$|list$).*",
    "subscription": r"pubsub\.subscriptions\.(?!create$|list$).*",
    "billingAccount": r"billing\.(?!accounts\.create$|resourceCosts|resourcebudgets).*",
}
# Names as Iam keeps policies under them.
_KINDS = {
    "project": r"projects/[^/]+",
    "bucket": r"buckets/[^/]+",
    "serviceAccount": r"projects/[^/]+/serviceAccounts/[^/]+",
    "repository": r"projects/[^/]+/locations/[^/]+/repositories/[^/]+",
    "runJob": r"projects/[^/]+/locations/[^/]+/jobs/[^/]+",
    "topic": r"projects/[^/]+/topics/[^/]+",
    "subscription": r"projects/[^/]+/subscriptions/[^/]+",
    "billingAccount": r"billingAccounts/[^/]+",
}
# https://cloud.google.com/iam/docs/full-resource-names
_FULL = re.compile(
    r"//(?:cloudresourcemanager|storage|iam|artifactregistry|pubsub|run|cloudbilling)\.googleapis\.com/(.+)"
)


@cache
def known() -> frozenset[str]:
    """All of them: permissions.json, which names its source and date."""
    text = (Path(__file__).parent / "permissions.json").read_text(encoding="utf-8")
    groups: dict[str, str] = json.loads(text)["permissions"]
    return frozenset(f"{resource}.{verb}" for resource, verbs in groups.items() for verb in verbs.split())


def kind_of(resource: str) -> str:
    """The kind of a resource that can have a policy, by the name that Iam keeps it under; "" for no such name."""
    return next((kind for kind, pattern in _KINDS.items() if re.fullmatch(pattern, resource)), "")


def kind_named(full_name: str) -> str:
    """The same by a full resource name such as "//storage.googleapis.com/projects/_/buckets/b". Raises 400."""
    found = _FULL.fullmatch(full_name)
    kind = kind_of(re.sub(r"^projects/_/(?=buckets/)", "", found[1])) if found else ""
    if not kind:
        raise ApiError(400, f"Invalid resource name: {full_name}" if full_name else "A full resource name is required.")
    return kind


@cache
def asked_on(kind: str) -> frozenset[str]:
    """The permissions that are asked on resources of a kind: a role needs one of them to be granted there."""
    pattern = re.compile(_ASKED.get(kind, "(?!)"))
    return frozenset(permission for permission in known() if pattern.fullmatch(permission))


def check_custom(wanted: object) -> None:
    """Raises 400 for what a custom role of a project can't have."""
    if not isinstance(wanted, list | tuple):
        raise ApiError(400, "Request contains an invalid argument.")
    for permission in wanted:
        if permission not in asked_on("project"):
            raise ApiError(400, f"Permission {permission} is not valid.")
