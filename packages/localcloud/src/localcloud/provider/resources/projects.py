"""projects.Service: an API that is on in a project."""

from __future__ import annotations

from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError
from localcloud.projects.store import Projects
from localcloud.provider import permits
from localcloud.provider.kinds import Kind
from localcloud.provider.scope import Scope, Values


def _create(scope: Scope, inputs: Values) -> str:
    project = scope.project_of(inputs)
    scope.cloud.of(Projects).enable(project, inputs["service"])
    return f"{project}/{inputs['service']}"


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


KINDS = {
    "projects/service:Service": Kind(
        _create,
        _read,
        _update,
        _delete,
        ids="{project}/{service}",
        permit=_permit,
    )
}
