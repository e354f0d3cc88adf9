"""projects.Service: an API that is on in a project. projects.ServiceIdentity: Google's own account for one."""

from __future__ import annotations

from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects
from localcloud.provider import permits
from localcloud.provider.kinds import Kind, parts
from localcloud.provider.scope import Scope, Values
from localcloud.services.enabled import require


def _create(scope: Scope, inputs: Values) -> str:
    project = scope.project_of(inputs)
    if scope.cloud.of(Projects).enable(project, inputs["service"]):
        _look_at(scope, project)
    return f"{project}/{inputs['service']}"


def _look_at(scope: Scope, project: str) -> None:
    """The real provider asks Resource Manager for the project before it reads which APIs are on."""
    require(scope.cloud, scope.project or scope.caller.project, "cloudresourcemanager.googleapis.com")
    permits.require(scope, "resourcemanager.projects.get", permits.project(scope, "", {"project": project}))


def _read(scope: Scope, resource_id: str, _known: Values) -> Values | None:
    project, _, service = resource_id.partition("/")
    on = scope.cloud.of(Projects).services(project)
    return {"project": project, "service": service} if service in on else None


def _update(scope: Scope, resource_id: str, inputs: Values) -> None:
    """Only how it ends can change, and that is kept in the state."""


def _delete(scope: Scope, resource_id: str, known: Values) -> None:
    project, _, service = resource_id.partition("/")
    if known.get("disableOnDestroy"):
        try:
            scope.cloud.of(Projects).disable(project, service)
        except ApiError as error:
            if error.status != "FAILED_PRECONDITION":  # it is off already
                raise


def _on(scope: Scope, resource_id: str, values: Values) -> Resource:
    return permits.project(scope, "", {"project": resource_id.partition("/")[0] or values.get("project")})


def _permit(scope: Scope, action: str, resource_id: str, values: Values) -> None:
    """Nothing is called to change it, and to delete it only where that turns the API off."""
    if action == "create" or action == "read" or (action == "delete" and values.get("disableOnDestroy")):
        verb = {"create": "enable", "read": "get", "delete": "disable"}[action]
        permits.require(scope, f"serviceusage.services.{verb}", _on(scope, resource_id, values))
    if action == "read":
        _look_at(scope, resource_id.partition("/")[0])


def _create_identity(scope: Scope, inputs: Values) -> str:
    project, service = scope.project_of(inputs), inputs["service"]
    scope.cloud.of(Iam).service_agent(project, _agent(service))
    return f"projects/{project}/services/{service}"


def _read_identity(scope: Scope, resource_id: str, _known: Values) -> Values | None:
    """The real provider looks up nothing: once it was made, it is there."""
    named = parts(_IDENTITY, resource_id)
    email = scope.cloud.of(Iam).service_agent(named["project"], _agent(named["service"]))
    return named | {"email": email, "member": f"serviceAccount:{email}"}


def _permit_identity(scope: Scope, action: str, _resource_id: str, values: Values) -> None:
    if action == "create":
        permits.require(scope, "serviceusage.services.enable", permits.project(scope, "", values))


def _agent(service: str) -> str:
    name = service.removesuffix(".googleapis.com")
    return "gs-project-accounts" if name == "storage" else f"gcp-sa-{name}"


_IDENTITY = "projects/{project}/services/{service}"
KINDS = {
    "projects/serviceIdentity:ServiceIdentity": Kind(
        _create_identity,
        _read_identity,
        ids=_IDENTITY,
        permit=_permit_identity,
    ),
    "projects/service:Service": Kind(
        _create,
        _read,
        _update,
        _delete,
        ids="{project}/{service}",
        permit=_permit,
    ),
}
