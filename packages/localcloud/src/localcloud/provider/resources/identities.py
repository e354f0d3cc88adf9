"""serviceaccount.Account and projects.IAMCustomRole."""

from __future__ import annotations

from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError
from localcloud.iam import access
from localcloud.iam.store import Iam
from localcloud.provider import permits
from localcloud.provider.kinds import Kind, parts
from localcloud.provider.scope import Scope, Values

_ACCOUNT = "projects/{project}/serviceAccounts/{email}"


def _create_account(scope: Scope, inputs: Values) -> str:
    project = scope.project_of(inputs)
    account_id = inputs.get("accountId", "")
    try:
        made = scope.cloud.of(Iam).create_service_account(
            project, account_id, inputs.get("displayName", ""), inputs.get("description", "")
        )
    except ApiError as error:
        if error.code != 409 or not inputs.get("createIgnoreAlreadyExists"):
            raise
        made = scope.cloud.of(Iam).get_service_account(f"{account_id}@{project}.iam.gserviceaccount.com")
        _update_account(scope, made["name"], inputs)
    if inputs.get("disabled"):
        _update_account(scope, made["name"], inputs)
    return made["name"]


def _read_account(scope: Scope, resource_id: str, _known: Values) -> Values | None:
    named = parts(_ACCOUNT, resource_id)
    found = scope.cloud.of(Iam).find_service_account(named["email"])
    if found is None:
        return None
    return {
        "accountId": named["email"].partition("@")[0],
        "project": found["projectId"],
        "displayName": found.get("displayName") or None,
        "description": found.get("description") or None,
        "disabled": found.get("disabled", False),
        "email": found["email"],
        "member": f"serviceAccount:{found['email']}",
        "name": found["name"],
        "uniqueId": found["uniqueId"],
    }


def _update_account(scope: Scope, resource_id: str, inputs: Values) -> None:
    changes = {
        "displayName": inputs.get("displayName", ""),
        "description": inputs.get("description", ""),
        "disabled": inputs.get("disabled", False),
    }
    scope.cloud.of(Iam).update_service_account(parts(_ACCOUNT, resource_id)["email"], changes)


def _delete_account(scope: Scope, resource_id: str, _known: Values) -> None:
    scope.cloud.of(Iam).delete_service_account(parts(_ACCOUNT, resource_id)["email"])


def _account_on(scope: Scope, resource_id: str, values: Values) -> Resource:
    found = scope.cloud.of(Iam).find_service_account(resource_id.rpartition("/")[2]) if resource_id else None
    return access.service_account(found) if found else permits.project(scope, resource_id, values)


_ROLE = "projects/{project}/roles/{roleId}"


def _role(inputs: Values) -> Values:
    return {
        "title": inputs["title"],
        "description": inputs.get("description", ""),
        "includedPermissions": inputs["permissions"],
        "stage": inputs.get("stage", "GA"),
    }


def _create_role(scope: Scope, inputs: Values) -> str:
    """A deleted role of the same id is taken up again, as the real provider does: its id can't be used otherwise."""
    project = scope.project_of(inputs)
    name = f"projects/{project}/roles/{inputs['roleId']}"
    try:
        scope.cloud.of(Iam).custom_roles.create(project, inputs["roleId"], _role(inputs))
    except ApiError as error:
        if error.code != 409 or not scope.cloud.of(Iam).custom_roles.get(name).get("deleted"):
            raise
        scope.cloud.of(Iam).custom_roles.undelete(name)
        scope.cloud.of(Iam).custom_roles.update(name, _role(inputs))
    return name


def _read_role(scope: Scope, resource_id: str, _known: Values) -> Values | None:
    named = parts(_ROLE, resource_id)
    try:
        found = scope.cloud.of(Iam).custom_roles.get(resource_id)
    except ApiError as error:
        if error.code == 404:
            return None
        raise
    if found.get("deleted"):
        return None
    return {
        **named,
        "name": resource_id,
        "title": found["title"],
        "description": found.get("description") or None,
        "permissions": found["includedPermissions"],
        "stage": found["stage"],
        "deleted": False,
    }


def _update_role(scope: Scope, resource_id: str, inputs: Values) -> None:
    scope.cloud.of(Iam).custom_roles.update(resource_id, _role(inputs))


def _delete_role(scope: Scope, resource_id: str, _known: Values) -> None:
    scope.cloud.of(Iam).custom_roles.delete(resource_id)


KINDS = {
    "serviceaccount/account:Account": Kind(
        _create_account,
        _read_account,
        _update_account,
        _delete_account,
        ids=_ACCOUNT,
        api="iam",
        rights=permits.rights("iam.serviceAccounts"),
        on=_account_on,
    ),
    "projects/iAMCustomRole:IAMCustomRole": Kind(
        _create_role,
        _read_role,
        _update_role,
        _delete_role,
        ids=_ROLE,
        api="iam",
        rights=permits.rights("iam.roles"),
    ),
}
