"""What lies in a project and isn't the account's own: where there is any, billing is never unlinked.

Cloud Asset Inventory tells it, which sees (nearly) every kind of resource with its labels, in one list:
https://cloud.google.com/asset-inventory/docs/reference/rest/v1/TopLevel/searchAllResources. What it can't tell, counts
as foreign: the caller must refuse on whatever this raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .cloud import Session, pages
from .running import is_ours

_SEARCH = "https://cloudasset.googleapis.com/v1/projects/{project}:searchAllResources"
# What every project has, what costs nothing by itself, and what is but a part of something that carries labels.
_NOTHING = (
    "apikeys.googleapis.com/",
    "artifactregistry.googleapis.com/DockerImage",
    "cloudbilling.googleapis.com/ProjectBillingInfo",
    "cloudbuild.googleapis.com/Build",
    "cloudresourcemanager.googleapis.com/",
    "compute.googleapis.com/Firewall",
    "compute.googleapis.com/Network",
    "compute.googleapis.com/Project",
    "compute.googleapis.com/Route",
    "compute.googleapis.com/Subnetwork",
    "iam.googleapis.com/",
    "logging.googleapis.com/",
    "monitoring.googleapis.com/",
    "pubsub.googleapis.com/Subscription",
    "run.googleapis.com/Execution",
    "run.googleapis.com/Revision",
    "serviceusage.googleapis.com/",
    "aiplatform.googleapis.com/ModelEvaluation",
)
# Cloud Run functions keeps the source and the image of a function in these, by names of its own.
_OF_FUNCTIONS = ("gcf-v2-", "gcf-artifacts")
# It has one record for each job that ever ran, which costs nothing; what runs was ended at 90 %.
_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")


def find(session: Session, project: str, own: tuple[str, ...] = ()) -> list[str]:
    """The names of what isn't ours; `own` are names that are ours without a label. Raises Refused.

    An API that is off raises too: then nobody can tell.
    """
    return sorted(
        f"{one['assetType']} {_short(one)}"
        for one in pages(session, _SEARCH.format(project=project), "results", strict=True, pageSize=500)
        if not _is_known(one, own)
    )


def _is_known(one: Mapping[str, Any], own: tuple[str, ...]) -> bool:
    kind, name = str(one.get("assetType", "")), _short(one)
    ended = str(one.get("state", "")).removeprefix("JOB_STATE_").removeprefix("PIPELINE_STATE_") in _ENDED
    return (
        kind.startswith(_NOTHING)
        or is_ours(one.get("labels"))
        or name in own
        or name.startswith(_OF_FUNCTIONS)
        or (ended and kind.startswith("aiplatform.googleapis.com/"))
    )


def _short(one: Mapping[str, Any]) -> str:
    return str(one.get("name", "")).rpartition("/")[2]
