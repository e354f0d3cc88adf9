"""Quotas in effect, and the preferences that change them.

Simplified: a preference is granted at once and in full, where Google reviews a request to raise one for up to days.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from catalog.quotas import SERVICE
from localcloud.core.asked.usage import Usage
from localcloud.core.errors import ApiError
from localcloud.core.state.documents import apply_mask
from localcloud.iam.policies import new_etag
from localcloud.projects.store import Projects
from localcloud.quotas.limits import UNLIMITED, Limit, by_metric, limits

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
KIND = "quotas.preference"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
# https://cloud.google.com/docs/quotas/reference/rest/v1/QuotaSafetyCheck
NO_HISTORY = "NOT_ENOUGH_USAGE_HISTORY"
TOO_HIGH = "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH"
_LARGEST_DECREASE = 0.10
_lock = threading.RLock()


def effective(cloud: Cloud, project: str, region: str, quota: str, service: str = SERVICE) -> int | None:
    """The value that holds for a quota, named by its id or its metric: -1 is unlimited, None a quota unknown here."""
    limit = limits(service).get(quota) or by_metric(service, quota)
    if limit is None:
        return None
    return _values(cloud, project, limit, service).get(region, 0)


def _values(cloud: Cloud, project: str, limit: Limit, service: str) -> dict[str, int]:
    """What holds in each region: on a free trial no accelerator at all, and no more of anything else.

    https://cloud.google.com/free/docs/free-cloud-features#free-trial
    """
    values = {**limit.values, **_preferred(cloud, project, limit.id, service)}
    if limit.accelerator and _on_trial(cloud, project):
        return dict.fromkeys(values, 0)
    return values


def _on_trial(cloud: Cloud, project: str) -> bool:
    return cloud.of(Usage).on_trial(cloud.of(Projects).get(project)["projectId"])


def _preferred(cloud: Cloud, project: str, quota_id: str, service: str) -> dict[str, int]:
    """What preferences granted, by region."""
    project = cloud.of(Projects).get(project)["projectId"]
    return {
        found["dimensions"]["region"]: int(found["quotaConfig"]["grantedValue"])
        for found in cloud.documents.list(KIND, f"projects/{project}/")
        if found["quotaId"] == quota_id and found["service"] == service
    }


def quota_infos(cloud: Cloud, project: str, service: str) -> list[Body]:
    """All quotas of a service in a project, as QuotaInfo."""
    number = cloud.of(Projects).get(project)["projectNumber"]
    return [_info(cloud, project, number, service, limit) for limit in limits(service).values()]


def quota_info(cloud: Cloud, project: str, service: str, quota_id: str) -> Body:
    """One quota. Raises 404."""
    limit = limits(service).get(quota_id)
    if limit is None:
        raise ApiError(404, f"Quota info {quota_id} is not found for service {service}.")
    return _info(cloud, project, cloud.of(Projects).get(project)["projectNumber"], service, limit)


def _info(cloud: Cloud, project: str, number: str, service: str, limit: Limit) -> Body:
    preferred = _preferred(cloud, project, limit.id, service)
    own = [
        {"dimensions": {"region": region}, "details": {"value": str(value)}, "applicableLocations": [region]}
        for region, value in sorted(preferred.items())
    ]
    by_value: dict[int, list[str]] = defaultdict(list)
    for region, value in _values(cloud, project, limit, service).items():
        if region not in preferred:
            by_value[value].append(region)
    rest = [
        {"details": {"value": str(value)}, "applicableLocations": sorted(names)}
        for value, names in sorted(by_value.items())
    ]
    return {
        "name": f"projects/{number}/locations/global/services/{service}/quotaInfos/{limit.id}",
        "quotaId": limit.id,
        "metric": limit.metric,
        "service": service,
        "isPrecise": True,
        "containerType": "PROJECT",
        "dimensions": ["region"],
        "metricDisplayName": limit.title,
        "quotaDisplayName": limit.title,
        "metricUnit": "1",
        "quotaIncreaseEligibility": _eligibility(cloud, project),
        "dimensionsInfos": own + rest,
    }


def _eligibility(cloud: Cloud, project: str) -> Body:
    if _on_trial(cloud, project):
        return {"isEligible": False, "ineligibilityReason": NO_HISTORY}
    return {"isEligible": True}


def create(cloud: Cloud, project: str, preference_id: str, body: Body, ignored: str = "") -> Body:
    """A new preference; `ignored` are the safety checks to skip. Without an id it gets one, as on Google.

    Raises 400, 404 for an unknown quota, 409.
    """
    preference_id = preference_id or str(uuid.uuid4())
    if not _ID.fullmatch(preference_id):
        raise ApiError(400, f"Invalid quota preference id {preference_id!r}.")
    project = cloud.of(Projects).get(project)["projectId"]
    name = f"projects/{project}/locations/global/quotaPreferences/{preference_id}"
    with _lock:
        for field in ("service", "quotaId", "dimensions", "quotaConfig"):
            if not body.get(field):
                raise ApiError(400, f"Request contains an invalid argument: {field} is required.")
        for found in cloud.documents.list(KIND, f"projects/{project}/"):
            if all(found.get(field) == body.get(field) for field in ("service", "quotaId", "dimensions")):
                raise ApiError(409, f"Quota preference for the same quota already exists: {found['name']}.")
        now = cloud.clock.stamp()
        made = _granted(cloud, project, body, ignored) | {"name": name, "createTime": now, "updateTime": now}
        return cloud.documents.create(name, KIND, made)


def update(cloud: Cloud, name: str, changes: Body, mask: str | None = None, ignored: str = "") -> Body:
    """Change what is preferred. Raises 404, 400."""
    with _lock:
        present = cloud.documents.get(name)
        merged = apply_mask(present, changes, mask)
        for field in ("service", "quotaId", "dimensions"):
            if merged.get(field) != present[field]:
                raise ApiError(400, f"Request contains an invalid argument: {field} can't be changed.")
        made = _granted(cloud, name.split("/")[1], merged, ignored)
        return cloud.documents.put(name, KIND, made | {"name": name, "updateTime": cloud.clock.stamp()})


def _granted(cloud: Cloud, project: str, body: Body, ignored: str) -> Body:
    """The preference with what Google fills in. Raises 400 for one that it refuses."""
    limit = limits(body["service"]).get(body["quotaId"])
    region = body["dimensions"].get("region", "")
    if limit is None or region not in limit.values:
        raise ApiError(404, f"Quota {body['quotaId']} is not found for service {body['service']} in {region!r}.")
    try:
        wanted = int(body["quotaConfig"]["preferredValue"])
    except (KeyError, ValueError):
        raise ApiError(400, "Request contains an invalid argument: quota_config.preferred_value.") from None
    present = effective(cloud, project, region, limit.id, body["service"])
    assert present is not None
    if wanted < UNLIMITED:
        raise ApiError(400, "Request contains an invalid argument: quota_config.preferred_value is below -1.")
    if _more(wanted, present) and not body.get("contactEmail"):
        raise ApiError(400, "Request contains an invalid argument: contact_email is required to increase a quota.")
    if _more(wanted, present) and _on_trial(cloud, project):
        raise ApiError(
            400,
            f"The quota {limit.id} is not eligible for an increase: {NO_HISTORY}. A free trial can't ask for more; "
            "upgrade the billing account first.",
            "FAILED_PRECONDITION",
        )
    if _more(present, wanted) and _share(wanted, present) > _LARGEST_DECREASE and ignored != TOO_HIGH:
        raise ApiError(
            400,
            f"Failed the safety check {TOO_HIGH}: {present} to {wanted} is a decrease of more than 10 percent.",
            "FAILED_PRECONDITION",
        )
    config = body["quotaConfig"] | {"preferredValue": str(wanted), "grantedValue": str(wanted), "traceId": new_etag()}
    config["stateDetail"] = "Approved"
    return body | {"quotaConfig": config, "etag": new_etag(), "reconciling": False}


def _more(one: int, other: int) -> bool:
    """Whether `one` allows more than `other`."""
    return one != other and other != UNLIMITED and (one == UNLIMITED or one > other)


def _share(wanted: int, present: int) -> float:
    return 1.0 if present in (UNLIMITED, 0) else (present - wanted) / present
