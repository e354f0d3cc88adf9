"""Refuses calls to an API that the project has not turned on, as Google does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.core.asked.settling import API, Settling
from localcloud.core.asked.usage import Usage
from localcloud.core.errors import ApiError, error_info
from localcloud.iam import access
from localcloud.iam.access import Access
from localcloud.projects.services import title
from localcloud.projects.store import Projects

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

# Answers for a project that is being deleted too: its owner, who undeletes it, is an account of the project itself.
_PROJECTS = "cloudresourcemanager.googleapis.com"
_CLIENTS_PROJECT = "764086051850"  # gcloud's own
_CHARGED_TO_CLIENTS = frozenset(("billingbudgets.googleapis.com", "cloudquotas.googleapis.com"))
Body = dict[str, Any]
_CONSOLE = "https://console.developers.google.com/apis/api"


class Enabled:
    """What the routes of an API ask before anything else."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def require_for(self, caller: Caller, consumer: str, service: str) -> None:
        """Raises 403 unless `service` is on where a call is charged."""
        require_for(self._cloud, caller, consumer, service)

    def refuse_deleted(self, project: str, service: str) -> None:
        """Raises 403 for a project (by id or number) that is being deleted; it costs no query."""
        if service != _PROJECTS and self._cloud.of(Usage).state(project) == "deleted":
            raise deleted(self._cloud.of(Projects).get(project), service)


def require_for(cloud: Cloud, caller: Caller, consumer: str, service: str) -> None:
    """Raises 403 unless `service` is on in the project that a call is charged to.

    That is the one which the call names for it, `consumer`, if the caller may use it, else the caller's own.
    https://cloud.google.com/apis/docs/system-parameters
    """
    require_quota_project(caller, consumer, service)
    if caller.person and not consumer and service == _PROJECTS:
        return  # charged to the project of gcloud, in which it is on: Terraform makes projects so
    if consumer and consumer != caller.project:
        require_named(cloud, caller, consumer, service)
    else:
        require(cloud, caller.project, service)


def require_quota_project(caller: Caller, consumer: str, service: str) -> None:
    """Raises 403 where a person calls an API that belongs to no project, and names none that the call is charged to.

    It is then charged to the project of the program that the person signed in with, where the API is off:
    https://cloud.google.com/docs/authentication/adc-troubleshooting/user-creds
    """
    if not caller.person or consumer or service not in _CHARGED_TO_CLIENTS:
        return
    message = (
        "Your application is authenticating by using local Application Default Credentials. "
        f"The {service} API requires a quota project, which is not set by default. To learn how to set your quota "
        "project, see https://cloud.google.com/docs/authentication/adc-troubleshooting/user-creds ."
    )
    details = [
        error_info("SERVICE_DISABLED", "googleapis.com", consumer=f"projects/{_CLIENTS_PROJECT}", service=service),
        {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message},
    ]
    raise ApiError(403, message, reason="forbidden", details=details)


def require_named(cloud: Cloud, caller: Caller, consumer: str, service: str) -> None:
    """Raises 403 unless the caller may use the project that a call names to be charged, and `service` is on there.

    "" names none: then an API asks in the project of the resource, or in the caller's own.
    """
    if not consumer or consumer == caller.project:
        return
    found = cloud.of(Projects).find(consumer)
    asked = access.project(found["projectId"] if found else consumer)
    if found is None or not cloud.of(Access).allows(caller, "serviceusage.services.use", asked):
        raise _not_to_be_used(consumer, service)
    require(cloud, found["projectId"], service)


def _not_to_be_used(project: str, service: str) -> ApiError:
    message = (
        f"Caller does not have required permission to use project {project}. Grant the caller the "
        "roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission, "
        f"by visiting https://console.developers.google.com/iam-admin/iam/project?project={project} and then retry. "
        "Propagation of the new permission may take a few minutes."
    )
    info = error_info("USER_PROJECT_DENIED", "googleapis.com", consumer=f"projects/{project}", service=service)
    return ApiError(403, message, reason="forbidden", details=[info])


def require(cloud: Cloud, project: str, service: str) -> dict[str, Any]:
    """The project (by id or number), in which `service` ("storage.googleapis.com") is on.

    Raises 403 SERVICE_DISABLED when it is off, 403 BILLING_DISABLED when nobody pays for it, 403 when there is no such
    project, 403 CONSUMER_INVALID when the project is being deleted.
    """
    found = cloud.of(Projects).get(project)
    Enabled(cloud).refuse_deleted(project, service)
    if service in found["services"] and not _too_early(cloud, found, service):
        cloud.of(Usage).check_paid(found, service)
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


def _too_early(cloud: Cloud, project: Body, service: str) -> bool:
    since = project.get("enabledAt", {}).get(service)
    return since is not None and cloud.of(Settling).refuses(since, API)


def deleted(project: dict[str, Any], service: str) -> ApiError:
    """403 of the APIs of a project that is being deleted: https://github.com/googleapis/google-api-php-client/issues/2422"""
    number = project["projectNumber"]
    link = {"description": "Google developers console", "url": "https://console.developers.google.com"}
    details = [
        {"@type": "type.googleapis.com/google.rpc.Help", "links": [link]},
        error_info("CONSUMER_INVALID", "googleapis.com", consumer=f"projects/{number}", service=service),
    ]
    return ApiError(403, f"Project #{number} has been deleted.", reason="forbidden", details=details)


def not_paid(project: Body, service: str) -> ApiError:
    """403 BILLING_DISABLED, as Google's APIs say it."""
    number = project["projectNumber"]
    url = f"https://console.developers.google.com/billing/enable?project={number}"
    message = (
        f"This API method requires billing to be enabled. Please enable billing on project #{number} by visiting {url} "
        "then retry. If you enabled billing for this project recently, wait a few minutes for the action to propagate "
        "to our systems and retry."
    )
    details = [
        {
            "@type": "type.googleapis.com/google.rpc.Help",
            "links": [{"description": "Google developers console billing", "url": url}],
        },
        error_info("BILLING_DISABLED", "googleapis.com", service=service, consumer=f"projects/{number}"),
    ]
    return ApiError(403, message, reason="forbidden", details=details)
