"""Notification channels and alert policies: what is kept, and what Google refuses."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError
from localcloud.core.state.documents import apply_mask
from localcloud.projects.store import Projects

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
CHANNEL, POLICY = "monitoring.channel", "monitoring.policy"
# What a channel of each type must be labelled with:
# https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.notificationChannelDescriptors/list
_CHANNEL_LABELS = {
    "email": ("email_address",),
    "sms": ("number",),
    "pubsub": ("topic",),
    "webhook_tokenauth": ("url",),
    "webhook_basicauth": ("url",),
    "slack": ("channel_name",),
    "pagerduty": (),
    "google_chat": ("space",),
}
_MOST_RECORDS = 10  # of changes, the newest first
_COMBINERS = ("AND", "OR", "AND_WITH_MATCHING_RESOURCE")
_CONDITIONS = (
    "conditionThreshold conditionAbsent conditionMatchedLog conditionMonitoringQueryLanguage "
    "conditionPrometheusQueryLanguage conditionSql"
).split()


def descriptors(project: str) -> list[Body]:
    """The types of channels that there are, and what each must be labelled with."""
    return [
        {
            "name": f"projects/{project}/notificationChannelDescriptors/{kind}",
            "type": kind,
            "displayName": kind.replace("_", " ").capitalize(),
            "labels": [{"key": label} for label in labels],
        }
        for kind, labels in sorted(_CHANNEL_LABELS.items())
    ]


def find_channel(cloud: Cloud, name: str) -> Body | None:
    """The channel "projects/P/notificationChannels/N", where P is the project's id or number; None: there is none."""
    matched = re.fullmatch(r"projects/([^/]+)/notificationChannels/([^/]+)", name)
    project = cloud.of(Projects).find(matched[1]) if matched else None
    return project and cloud.documents.find(
        f"projects/{project['projectId']}/notificationChannels/{name.split('/')[3]}"
    )


def create_channel(cloud: Cloud, project: str, body: Body) -> Body:
    """A new notification channel of a project. Raises 400."""
    name = f"projects/{project}/notificationChannels/{_number()}"
    made = {"creationRecord": {"mutateTime": cloud.clock.stamp()}}
    return cloud.documents.create(name, CHANNEL, _channel(body) | made | {"name": name})


def update_channel(cloud: Cloud, name: str, changes: Body, mask: str | None = None) -> Body:
    """Change a channel. Raises 404, 400."""
    changed = _channel(apply_mask(cloud.documents.get(name), changes, mask))
    before = changed.get("mutationRecords", [])
    changed["mutationRecords"] = [{"mutateTime": cloud.clock.stamp()}, *before][:_MOST_RECORDS]
    return cloud.documents.put(name, CHANNEL, changed)


def delete_channel(cloud: Cloud, name: str, force: bool = False) -> None:
    """Raises 404; 400 when an alert policy names it and `force` is not given (then it is taken out of the policy)."""
    cloud.documents.get(name)
    project = "/".join(name.split("/")[:2])
    for policy in cloud.documents.list(POLICY, f"{project}/alertPolicies/"):
        named = policy.get("notificationChannels", [])
        if name in named:
            if not force:
                raise ApiError(
                    400,
                    f"Cannot delete channel {name} because it is still in use by policy {policy['name']}.",
                    "FAILED_PRECONDITION",
                )
            left = [channel for channel in named if channel != name]
            cloud.documents.put(policy["name"], POLICY, policy | {"notificationChannels": left})
    cloud.documents.delete(name)


def create_policy(cloud: Cloud, project: str, body: Body) -> Body:
    """A new alert policy of a project. Raises 400."""
    name = f"projects/{project}/alertPolicies/{_number()}"
    conditions = [
        condition | {"name": f"{name}/conditions/{_number()}"} for condition in body.get("conditions") or []
    ]  # fmt: skip
    now = {"mutateTime": cloud.clock.stamp(), "mutatedBy": ""}
    policy = body | {"name": name, "conditions": conditions, "creationRecord": now, "mutationRecord": now}
    return cloud.documents.create(name, POLICY, _policy(cloud, policy))


def update_policy(cloud: Cloud, name: str, changes: Body, mask: str | None = None) -> Body:
    """Change an alert policy; conditions that are new get names. Raises 404, 400."""
    merged = apply_mask(cloud.documents.get(name), changes, mask)
    merged["conditions"] = [
        condition if condition.get("name") else condition | {"name": f"{name}/conditions/{_number()}"}
        for condition in merged.get("conditions") or []
    ]
    merged["mutationRecord"] = {"mutateTime": cloud.clock.stamp(), "mutatedBy": ""}
    return cloud.documents.put(name, POLICY, _policy(cloud, merged))


def _channel(body: Body) -> Body:
    kind, labels = body.get("type", ""), body.get("labels") or {}
    if kind not in _CHANNEL_LABELS:
        raise _bad(f"notification_channel.type had an invalid value of {kind!r}: unknown type")
    for label in _CHANNEL_LABELS[kind]:
        if not labels.get(label):
            raise _bad(f"notification_channel.labels must have {label} for a channel of type {kind}")
    if kind == "email" and "@" not in labels["email_address"]:
        raise _bad(f"notification_channel.labels.email_address had an invalid value of {labels['email_address']!r}")
    return {"enabled": True, **body}


def _policy(cloud: Cloud, body: Body) -> Body:
    if not body.get("displayName"):
        raise _bad("alert_policy.display_name is required")
    if body.get("combiner") not in _COMBINERS:
        raise _bad(f"alert_policy.combiner had an invalid value of {body.get('combiner')!r}")
    if not body["conditions"]:
        raise _bad("alert_policy.conditions must not be empty")
    for condition in body["conditions"]:
        if len(set(_CONDITIONS) & condition.keys()) != 1:
            raise _bad("alert_policy.conditions must each have exactly one condition")
        limit = (body.get("alertStrategy") or {}).get("notificationRateLimit")
        if "conditionMatchedLog" in condition and not limit:
            raise _bad("alert_policy.alert_strategy.notification_rate_limit is required for log-based alerts")
    project = "/".join(body["name"].split("/")[:2])
    for channel in body.get("notificationChannels") or []:
        if not re.fullmatch(r"projects/[^/]+/notificationChannels/[^/]+", channel):
            # https://github.com/crossplane-contrib/provider-upjet-gcp/issues/498
            form = "'projects/{project_id}/notificationChannels/{channel_id}'"
            raise ApiError(400, f"Name must begin with {form}, got: {channel}")
        found = find_channel(cloud, channel)
        if found is None or not found["name"].startswith(f"{project}/"):
            raise ApiError(404, f"Cannot find notification channel {channel}.")
    return {"enabled": True, **body}


def _number() -> str:
    return str(secrets.randbelow(9 * 10**18) + 10**18)


def _bad(message: str) -> ApiError:
    return ApiError(400, f"Field {message}.")
