"""Finds a resource that exists in the cloud though the state lacks it: by its name, or in a list of its kind.

Kinds that are missing here can be created twice without harm: enabling an API, granting a role.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudkite.accounts.api import table
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.show.text import _

_POOL = "projects/{project}/locations/global/workloadIdentityPools/{workloadIdentityPoolId}"
_EMAIL = "{accountId}@{project}.iam.gserviceaccount.com"

# Ids as the provider keeps them in the state; {} are inputs, or the account's own where the inputs leave them out:
# https://www.pulumi.com/registry/packages/gcp/api-docs/ ("Import" of each resource)
_NAMED = {
    "gcp:storage/bucket:Bucket": "{name}",
    "gcp:serviceaccount/account:Account": "projects/{project}/serviceAccounts/" + _EMAIL,
    "gcp:artifactregistry/repository:Repository": "projects/{project}/locations/{location}/repositories/{repositoryId}",
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": _POOL,
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": (
        _POOL + "/providers/{workloadIdentityPoolProviderId}"
    ),
    "gcp:logging/metric:Metric": "{name}",
    "gcp:logging/projectBucketConfig:ProjectBucketConfig": "projects/{project}/locations/{location}/buckets/{bucketId}",
    "gcp:logging/projectExclusion:ProjectExclusion": "projects/{project}/exclusions/{name}",
    "gcp:logging/projectSink:ProjectSink": "projects/{project}/sinks/{name}",
    "gcp:cloudquota/sQuotaPreference:SQuotaPreference": "{parent}/locations/global/quotaPreferences/{name}",
}

# What is deleted keeps its id for 30 days: it is taken back, so that it can be taken over.
_KEPT = "gcp:iam/workloadIdentityPool"
_UNDELETE = 20  # seconds that taking it back may last


@dataclass(frozen=True)
class _Listed:
    """A kind whose ids Google makes: where it is listed, and the input that tells ours."""

    url: str
    field: str
    title: str = "displayName"


_LISTED = {
    "gcp:billing/budget:Budget": _Listed(
        "https://billingbudgets.googleapis.com/v1/billingAccounts/{billingAccount}/budgets", "budgets"
    ),
    "gcp:monitoring/notificationChannel:NotificationChannel": _Listed(
        "https://monitoring.googleapis.com/v3/projects/{project}/notificationChannels", "notificationChannels"
    ),
    "gcp:monitoring/alertPolicy:AlertPolicy": _Listed(
        "https://monitoring.googleapis.com/v3/projects/{project}/alertPolicies", "alertPolicies"
    ),
}


# What makes one of these ours, whatever else differs: `up` then makes it as it should be. No other project can have
# it, or Google has one alone.
OURS_BY = {
    "gcp:storage/bucket:Bucket": ("name", "project", "location"),
    "gcp:cloudquota/sQuotaPreference:SQuotaPreference": ("parent", "service", "quotaId", "dimensions"),
}


def find(target: Target, kind: str, inputs: Mapping[str, Any]) -> str | None:
    """The id that a resource with these inputs has, or would have; None when there is none, or none can be told."""
    known = {**_defaults(target.account), **{k: v for k, v in inputs.items() if isinstance(v, str)}}
    try:
        if kind in _NAMED:
            found = _NAMED[kind].format_map(known)
            if kind.startswith(_KEPT):
                _undelete(target, f"https://iam.googleapis.com/v1/{found}")
            return found
        if kind in _LISTED:
            return _in_list(target, _LISTED[kind], known, inputs)
    except KeyError:  # an input that was not known yet when the engine died
        return None
    return None


def _undelete(target: Target, url: str) -> None:
    """Take back what was deleted; whether it worked, the engine finds out when it looks."""
    session, deadline, doing = target.session(), time.monotonic() + _UNDELETE, _("look at the account")
    while (answer := session.get(url, timeout=30)).ok and table(answer, doing).get("state") == "DELETED":
        if not session.post(f"{url}:undelete", json={}, timeout=30).ok or time.monotonic() > deadline:
            return
        time.sleep(0.5)


def _defaults(account: Account) -> dict[str, str]:
    return {"project": account.project, "region": account.region, "location": account.region}


def _in_list(target: Target, listed: _Listed, known: Mapping[str, str], inputs: Mapping[str, Any]) -> str | None:
    token = ""
    while True:
        query = {"pageToken": token} if token else {}
        response = target.session().get(listed.url.format_map(known), params=query, timeout=30)
        if not response.ok:
            return None
        page = table(response, _("look at the account"))
        for row in page.get(listed.field, ()):
            if row.get(listed.title) == known[listed.title] and same_where_both_say(inputs, row):
                return str(row["name"])
        token = page.get("nextPageToken", "")
        if not token:
            return None


def same_where_both_say(wanted: Any, found: Any) -> bool:
    """Whether nothing that both tell differs. Capitals don't count (Google returns US-CENTRAL1), nor 1 against 1.0."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        both = (k for k in wanted.keys() & found.keys() if not str(k).startswith("__"))
        return all(same_where_both_say(wanted[k], found[k]) for k in both)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(same_where_both_say, wanted, found))
    if isinstance(wanted, str) and isinstance(found, str):
        return wanted.casefold() == found.casefold()
    return wanted == found or type(wanted) is not type(found)
