"""Refuses calls to an API that the project has not turned on, as Google does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.errors import ApiError, error_info
from localcloud.projects.services import title

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

_CONSOLE = "https://console.developers.google.com/apis/api"


def require(cloud: Cloud, project: str, service: str) -> dict[str, Any]:
    """The project (by id or number), in which `service` ("storage.googleapis.com") is on.

    Raises 403 SERVICE_DISABLED when it is off, 403 BILLING_DISABLED when nobody pays for it, 403 when there is no such
    project.
    """
    found = cloud.projects.get(project)
    if service in found["services"]:
        cloud.billing.check_paid(found, service)
        return found
    name, url = title(service), f"{_CONSOLE}/{service}/overview?project={found['projectId']}"
    message = (
        f"{name} has not been used in project {found['projectId']} before or it is disabled. Enable it by visiting "
        f"{url} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our "
        "systems and retry."
    )
    consumer = f"projects/{found['projectNumber']}"
    details = [
        error_info(
            "SERVICE_DISABLED",
            "googleapis.com",
            service=service,
            serviceTitle=name,
            consumer=consumer,
            containerInfo=found["projectNumber"],
            activationUrl=url,
        ),
        {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message},
        {
            "@type": "type.googleapis.com/google.rpc.Help",
            "links": [{"description": "Google developers console API activation", "url": url}],
        },
    ]
    raise ApiError(403, message, reason="forbidden", details=details)
