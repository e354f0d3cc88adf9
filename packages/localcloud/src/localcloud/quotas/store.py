"""Quotas in effect, and the preferences that change them.

A decrease holds at once. An increase beyond the reset value is a request, which Google reviews for up to days; here it
is decided after a minute of this cloud's clock in a fresh project, and at once in a settled one. By which rule Google
decides is not public: here up to four times the reset value is granted, up to sixteen times in part, and no more.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from catalog.quotas import SERVICE
from localcloud.core.asked.settling import Settling
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
_REVIEW = 50.0  # seconds of the clock
_IN_FULL, _IN_PART = 4, 16  # times the reset value, which counts as at least 2
_REVIEWED = "reviewed"  # in a kept preference: what is told from which moment on
_NEVER_TOLD = (_REVIEWED, "contactEmail")  # the e-mail is for input only
_lock = threading.RLock()


def effective(cloud: Cloud, project: str, region: str, quota: str, service: str = SERVICE) -> int | None:
    """The value that holds for a quota, named by its id or its metric: -1 is unlimited, None a quota unknown here."""
    limit = limits(service).get(quota) or by_metric(service, quota)
    if limit is None:
        return None
    return _values(cloud, project, limit, service).get(region, 0)


def _values(cloud: Cloud, project: str, limit: Limit, service: str) -> dict[str, int]:
    """What holds in each region."""
    reset = _reset(cloud, project, limit)
    preferred = _preferred(cloud, project, limit.id, service)
    if limit.accelerator and _on_trial(cloud, project):
        preferred = {region: 0 for region in preferred}
    return {**reset, **preferred}


def _reset(cloud: Cloud, project: str, limit: Limit) -> dict[str, int]:
    """What would hold in each region without any preference: on a free trial no accelerator at all.

    https://cloud.google.com/free/docs/free-cloud-features#free-trial
    """
    none = limit.accelerator and _on_trial(cloud, project)
    return dict.fromkeys(limit.values, 0) if none else dict(limit.values)


def _on_trial(cloud: Cloud, project: str) -> bool:
    return cloud.of(Usage).on_trial(cloud.of(Projects).get(project)["projectId"])


def _preferred(cloud: Cloud, project: str, quota_id: str, service: str) -> dict[str, int]:
    """What preferences granted, by region."""
    project = cloud.of(Projects).get(project)["projectId"]
    return {
        found["dimensions"]["region"]: int(found["quotaConfig"]["grantedValue"])
        for found in preferences(cloud, project)
        if found["quotaId"] == quota_id and found["service"] == service
    }


def preferences(cloud: Cloud, project: str) -> list[Body]:
    """The preferences of a project, by its id."""
    return [_told(cloud, found) for found in cloud.documents.list(KIND, f"projects/{project}/")]


def find(cloud: Cloud, name: str) -> Body | None:
    """A preference, or None. Whoever waits for a review brings the clock on."""
    found = cloud.documents.find(name)
    if found is None:
        return None
    told = _told(cloud, found)
    if told["reconciling"]:
        cloud.of(Settling).wait()
    return told


def get(cloud: Cloud, name: str) -> Body:
    """A preference. Raises 404."""
    found = find(cloud, name)
    return cloud.documents.get(name) if found is None else found


def _told(cloud: Cloud, kept: Body) -> Body:
    """A preference as Google tells it now."""
    told = {name: value for name, value in kept.items() if name not in _NEVER_TOLD}
    reviewed = kept.get(_REVIEWED)
    if reviewed and cloud.clock.time() >= reviewed["from"]:
        told["quotaConfig"] = {**told["quotaConfig"], **reviewed["quotaConfig"]}
        told["reconciling"] = False
    return told


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
    values, reset = _values(cloud, project, limit, service), _reset(cloud, project, limit)
    own = [
        {
            "dimensions": {"region": region},
            "details": {"value": str(values[region]), "resetValue": str(reset[region])},
            "applicableLocations": [region],
        }
        for region in sorted(preferred)
    ]
    by_value: dict[int, list[str]] = defaultdict(list)
    for region, value in values.items():
        if region not in preferred:
            by_value[value].append(region)
    rest = [
        {"details": {"value": str(value), "resetValue": str(value)}, "applicableLocations": sorted(names)}
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
        return _told(cloud, cloud.documents.create(name, KIND, made))


def update(cloud: Cloud, name: str, changes: Body, mask: str | None = None, ignored: str = "") -> Body:
    """Change what is preferred. Raises 404, 400."""
    with _lock:
        present = cloud.documents.get(name)
        merged = apply_mask(present, changes, mask)
        for field in ("service", "quotaId", "dimensions"):
            if merged.get(field) != present[field]:
                raise ApiError(400, f"Request contains an invalid argument: {field} can't be changed.")
        if merged["quotaConfig"].get("preferredValue") == present["quotaConfig"]["preferredValue"]:
            made = {**present, **{k: v for k, v in merged.items() if k != "quotaConfig"}}  # asked for already
        else:
            made = _granted(cloud, name.split("/")[1], merged, ignored)
        return _told(cloud, cloud.documents.put(name, KIND, made | {"name": name, "updateTime": cloud.clock.stamp()}))


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
    reset = _reset(cloud, project, limit)[region]
    request = _more(wanted, reset)  # what was lowered is brought back without a question
    if request and not body.get("contactEmail"):
        raise ApiError(400, "Request contains an invalid argument: contact_email is required to increase a quota.")
    if request and _on_trial(cloud, project):
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
    config = {name: value for name, value in body["quotaConfig"].items() if name in ("annotations", "requestOrigin")}
    config |= {"preferredValue": str(wanted)}
    if not request:
        config |= {"grantedValue": str(wanted), "stateDetail": "Approved"}
        return body | {"quotaConfig": config, "etag": new_etag(), "reconciling": False, _REVIEWED: None}
    config |= {"traceId": new_etag(), "grantedValue": str(present), "stateDetail": "Pending review"}
    takes = _REVIEW if cloud.of(Settling).is_fresh(project) else 0.0
    reviewed = {"from": cloud.clock.time() + takes, "quotaConfig": _decided(wanted, reset, present)}
    return body | {"quotaConfig": config, "etag": new_etag(), "reconciling": True, _REVIEWED: reviewed}


def _decided(wanted: int, reset: int, present: int) -> Body:
    """What becomes of a request."""
    most = _IN_FULL * max(reset, 2)
    if wanted == UNLIMITED or wanted > _IN_PART * max(reset, 2):
        return {"grantedValue": str(present), "stateDetail": "Denied"}
    if wanted > most:
        return {"grantedValue": str(max(most, present)), "stateDetail": "Partially approved"}
    return {"grantedValue": str(wanted), "stateDetail": "Approved"}


def _more(one: int, other: int) -> bool:
    """Whether `one` allows more than `other`."""
    return one != other and other != UNLIMITED and (one == UNLIMITED or one > other)


def _share(wanted: int, present: int) -> float:
    return 1.0 if present in (UNLIMITED, 0) else (present - wanted) / present
