"""What topics and subscriptions are: names, what Google fills in, and what it refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError, NotEmulated, error_info
from localcloud.iam.access import Access
from localcloud.services.enabled import require

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
SERVICE = "pubsub.googleapis.com"
TOPIC, SUBSCRIPTION = "pubsub.topic", "pubsub.subscription"
DELETED_TOPIC = "_deleted-topic_"
# https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names
_ID = re.compile(r"[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}")
_NAME = re.compile(r"projects/([^/]+)/(topics|subscriptions)/([^/]+)")
# https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions#Subscription
_SHORTEST, _LONGEST, _USUAL = 10, 600, 10  # seconds of ackDeadlineSeconds
_RETENTION = (600, 31 * 86_400)  # seconds of messageRetentionDuration
_WEEK = "604800s"
_MONTH = {"ttl": "2678400s"}
_TOPIC_FIELDS = frozenset({"name", "labels", "messageStoragePolicy"})
_SUBSCRIPTION_FIELDS = frozenset(
    {"name", "topic", "labels", "ackDeadlineSeconds", "messageRetentionDuration", "expirationPolicy", "pushConfig",
     "retryPolicy", "detached"}
)  # fmt: skip


def resource(name: str) -> Resource:
    """What a permission on a topic or subscription "projects/P/topics/T" is asked on."""
    kind = "Topic" if "/topics/" in name else "Subscription"
    return Resource(name, (name, "/".join(name.split("/")[:2])), SERVICE, f"{SERVICE}/{kind}")


def of_project(project_id: str) -> Resource:
    """What a permission to make or list them is asked on."""
    name = f"projects/{project_id}"
    return Resource(name, (name,), SERVICE, "cloudresourcemanager.googleapis.com/Project")


def allow(cloud: Cloud, caller: Caller, permission: str, on: Resource) -> None:
    """Raises 403 in Pub/Sub's words when the caller lacks `permission`."""
    if not cloud.of(Access).allows(caller, permission, on):
        raise denied(permission, on)


def denied(permission: str, on: Resource) -> ApiError:
    """403 in Pub/Sub's words."""
    details = [error_info("IAM_PERMISSION_DENIED", SERVICE, permission=permission, resource=on.name)]
    return ApiError(403, "User not authorized to perform this action.", reason="forbidden", details=details)


def full_name(cloud: Cloud, name: str) -> str:
    """The name with the project's id in it; the API must be on there. Raises 400, 403."""
    matched = _NAME.fullmatch(name)
    if matched is None or not _ID.fullmatch(matched[3]):
        raise _bad_name(name)
    project = require(cloud, matched[1], SERVICE)["projectId"]
    return f"projects/{project}/{matched[2]}/{matched[3]}"


def check_new(name: str) -> None:
    """Raises 400 for an id that is Google's own, or can't be."""
    short = name.rpartition("/")[2]
    if short.startswith("goog") or not _ID.fullmatch(short):
        raise _bad_name(name)


def topic(name: str, body: Body) -> Body:
    """The topic as Google shows it. Raises 400, or 501 for what would have no effect here."""
    _only("topics", body, _TOPIC_FIELDS)
    return {"name": name, **{f: body[f] for f in ("labels", "messageStoragePolicy") if body.get(f)}}


def subscription(name: str, body: Body, push_config: Body) -> Body:
    """The subscription as Google shows it, with a pushConfig that was checked ({}: it is pulled from).

    Raises 400, or 501 for what would have no effect here.
    """
    _only("subscriptions", body, _SUBSCRIPTION_FIELDS)
    if body.get("retryPolicy") and not push_config:
        raise NotEmulated("subscriptions with retryPolicy that are pulled from")
    seconds = body.get("ackDeadlineSeconds") or _USUAL
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not _SHORTEST <= seconds <= _LONGEST:
        raise ApiError(
            400,
            f"Invalid ack deadline given (ackDeadlineSeconds={seconds}). It must be between {_SHORTEST} and {_LONGEST} "
            "seconds.",
        )
    retention = body.get("messageRetentionDuration") or _WEEK
    if not _RETENTION[0] <= duration(retention) <= _RETENTION[1]:
        raise ApiError(400, f"Invalid message retention duration given ({retention}): 10 minutes to 31 days.")
    return {
        "name": name,
        "topic": body["topic"],
        "pushConfig": push_config,
        "ackDeadlineSeconds": seconds,
        "messageRetentionDuration": retention,
        "expirationPolicy": body.get("expirationPolicy", _MONTH),
        "state": "ACTIVE",
        **({"retryPolicy": _retries(body["retryPolicy"])} if body.get("retryPolicy") else {}),
        **{field: body[field] for field in ("labels", "detached") if body.get(field)},
    }


def _retries(policy: Body) -> Body:
    """Raises 400. https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions#RetryPolicy"""
    made = {"minimumBackoff": "10s", "maximumBackoff": "600s", **policy}
    least, most = duration(made["minimumBackoff"]), duration(made["maximumBackoff"])
    if not 0 <= least <= most <= _LONGEST:
        raise ApiError(400, f"Invalid retry policy given: backoffs must be 0 to {_LONGEST} seconds, the minimum first.")
    return made


def duration(text: Any) -> float:
    """Seconds of a google.protobuf.Duration in JSON ("604800s"). Raises 400."""
    matched = re.fullmatch(r"(\d+(?:\.\d{1,9})?)s", str(text))
    if matched is None:
        raise ApiError(400, f"Request contains an invalid argument: {text!r} isn't a duration.")
    return float(matched[1])


def _only(what: str, body: Body, known: frozenset[str]) -> None:
    """Raises 501 for a field that is set and would have no effect."""
    if strange := sorted(name for name, value in body.items() if value and name not in known | {"state"}):
        raise NotEmulated(f"{what} with {', '.join(strange)}")


def missing(name: str) -> ApiError:
    return ApiError(404, f"Resource not found (resource={name.rpartition('/')[2]}).")


def exists(name: str) -> ApiError:
    return ApiError(409, f"Resource already exists in the project (resource={name.rpartition('/')[2]}).")


def _bad_name(name: str) -> ApiError:
    return ApiError(
        400,
        f"Invalid resource name given (name={name}). Refer to "
        "https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information.",
    )
