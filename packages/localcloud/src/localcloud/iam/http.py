"""iam.googleapis.com/v1: service accounts, their keys and policies, roles.

https://cloud.google.com/iam/docs/reference/rest
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.directory import Directory
from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError, error_info
from localcloud.core.paging import page
from localcloud.iam import access, permissions, policies, roles
from localcloud.iam.access import Access
from localcloud.iam.store import Iam
from localcloud.transport.rest import App, Call, Router, decode_base64, project_of

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
SERVICE = "iam.googleapis.com"
_PUBLIC = "predefined roles are the same for everybody"
_ACCOUNT = "/v1/projects/{project}/serviceAccounts/{account}"
_KEY_FIELDS = ("name", "keyAlgorithm", "keyOrigin", "keyType", "validAfterTime", "validBeforeTime", "disabled")


def refusal(_call: Call, permission: str, _resource: Resource) -> ApiError:
    """403 for a route."""
    return denied_by_iam(permission)


def denied_by_iam(permission: str) -> ApiError:
    """403 in IAM's own words, which name no resource."""
    info = error_info("IAM_PERMISSION_DENIED", SERVICE, permission=permission)
    words = f"Permission '{permission}' denied on resource (or it may not exist)."
    return ApiError(403, words, reason="forbidden", details=[info])


router = Router(SERVICE, refusal)


def app(cloud: Cloud) -> App:
    return router.app(cloud)


def _where(call: Call) -> Resource:
    """The account of the path; where there is none, its project: who may not see it is not told so."""
    found = call.cloud.of(Iam).find_managed(call.params["account"])
    if found is None and (call.params["account"].isdigit() or call.params["project"] == "-"):
        found = call.cloud.of(Iam).get_managed(call.params["account"])
    return access.service_account(found) if found else project_of(call)


def _account(call: Call) -> Body:
    """The account that the path names by e-mail or unique id, in its project or in "-". Raises 404."""
    account = call.cloud.of(Iam).get_managed(call.params["account"])
    project = call.params["project"]
    if project != "-" and call.cloud.of(Directory).get(project)["projectId"] != account["projectId"]:
        raise ApiError(404, "Unknown service account")
    return account


@router.route("POST", "/v1/projects/{project}/serviceAccounts", needs="iam.serviceAccounts.create")
async def create_account(call: Call) -> Body:
    wanted = call.body.get("serviceAccount", {})
    project = call.cloud.of(Directory).get(call.params["project"])["projectId"]
    return call.cloud.of(Iam).create_service_account(
        project, call.body.get("accountId", ""), wanted.get("displayName", ""), wanted.get("description", "")
    )


@router.route("GET", "/v1/projects/{project}/serviceAccounts", needs="iam.serviceAccounts.list")
async def list_accounts(call: Call) -> Body:
    project = call.cloud.of(Directory).get(call.params["project"])["projectId"]
    return page("accounts", call.cloud.of(Iam).list_service_accounts(project), call.query)


@router.route("GET", _ACCOUNT, needs="iam.serviceAccounts.get", on=_where)
async def get_account(call: Call) -> Body:
    return _account(call)


@router.route("PATCH", _ACCOUNT, needs="iam.serviceAccounts.update", on=_where)
async def patch_account(call: Call) -> Body:
    wanted = call.body.get("serviceAccount", {})
    return call.cloud.of(Iam).update_service_account(_account(call)["email"], wanted, call.body.get("updateMask"))


@router.route("PUT", _ACCOUNT, needs="iam.serviceAccounts.update", on=_where)
async def update_account(call: Call) -> Body:
    return call.cloud.of(Iam).update_service_account(_account(call)["email"], call.body)


@router.route("DELETE", _ACCOUNT, needs="iam.serviceAccounts.delete", on=_where)
async def delete_account(call: Call) -> None:
    call.cloud.of(Iam).delete_service_account(_account(call)["email"])


@router.route("POST", _ACCOUNT + ":disable", needs="iam.serviceAccounts.disable", on=_where)
async def disable_account(call: Call) -> None:
    call.cloud.of(Iam).update_service_account(_account(call)["email"], {"disabled": True}, "disabled")


@router.route("POST", _ACCOUNT + ":enable", needs="iam.serviceAccounts.enable", on=_where)
async def enable_account(call: Call) -> None:
    call.cloud.of(Iam).update_service_account(_account(call)["email"], {}, "disabled")


@router.route("POST", _ACCOUNT + ":getIamPolicy", needs="iam.serviceAccounts.getIamPolicy", on=_where)
async def get_policy(call: Call) -> Body:
    kept = call.cloud.of(Iam).get_policy(_account(call)["name"])
    return policies.shown(kept, policies.requested_version(call.body, call.query))


@router.route("POST", _ACCOUNT + ":setIamPolicy", needs="iam.serviceAccounts.setIamPolicy", on=_where)
async def set_policy(call: Call) -> Body:
    return call.cloud.of(Iam).set_policy(_account(call)["name"], call.body.get("policy", {}))


@router.route("POST", _ACCOUNT + ":testIamPermissions", open="tells the caller its own permissions")
async def test_permissions(call: Call) -> Body:
    asked = access.service_account(_account(call))
    return {"permissions": call.cloud.of(Access).permitted(call.caller, call.body.get("permissions", []), asked)}


@router.route("POST", _ACCOUNT + ":signBlob", needs="iam.serviceAccounts.signBlob", on=_where)
async def sign_blob(call: Call) -> Body:
    data = decode_base64(call.body.get("bytesToSign", ""), "bytes_to_sign")
    key_id, signature = call.cloud.of(Iam).sign(_account(call)["email"], data)
    return {"keyId": key_id, "signature": base64.b64encode(signature).decode()}


# Keys


@router.route("POST", _ACCOUNT + "/keys", needs="iam.serviceAccountKeys.create", on=_where)
async def create_key(call: Call) -> Body:
    made = call.cloud.of(Iam).new_key(_account(call)["email"])
    text = base64.b64encode(json.dumps(made, indent=2).encode()).decode()
    private = {"privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE", "privateKeyData": text}
    return _key(call.cloud.of(Iam).find_key(made["private_key_id"])) | private


@router.route("GET", _ACCOUNT + "/keys", needs="iam.serviceAccountKeys.list", on=_where)
async def list_keys(call: Call) -> Body:
    kinds = call.queries.get("keyTypes", [])
    keys = [_key(key) for key in call.cloud.of(Iam).list_keys(_account(call)["email"])]
    return {"keys": [key for key in keys if not kinds or key["keyType"] in kinds]}


@router.route("GET", _ACCOUNT + "/keys/{key}", needs="iam.serviceAccountKeys.get", on=_where)
async def get_key(call: Call) -> Body:
    return _key(call.cloud.of(Iam).get_key(_account(call)["email"], call.params["key"]))


@router.route("DELETE", _ACCOUNT + "/keys/{key}", needs="iam.serviceAccountKeys.delete", on=_where)
async def delete_key(call: Call) -> None:
    call.cloud.of(Iam).delete_key(_account(call)["email"], call.params["key"])


@router.route("POST", _ACCOUNT + "/keys/{key}:disable", needs="iam.serviceAccountKeys.disable", on=_where)
async def disable_key(call: Call) -> None:
    call.cloud.of(Iam).disable_key(_account(call)["email"], call.params["key"], True)


@router.route("POST", _ACCOUNT + "/keys/{key}:enable", needs="iam.serviceAccountKeys.enable", on=_where)
async def enable_key(call: Call) -> None:
    call.cloud.of(Iam).disable_key(_account(call)["email"], call.params["key"], False)


def _key(key: Body | None) -> Body:
    assert key is not None
    return {name: key[name] for name in _KEY_FIELDS if name in key}


# Roles


@router.route("POST", "/v1/projects/{project}/roles", needs="iam.roles.create")
async def create_role(call: Call) -> Body:
    project = call.cloud.of(Directory).get(call.params["project"])["projectId"]
    return call.cloud.of(Iam).custom_roles.create(project, call.body.get("roleId", ""), call.body.get("role", {}))


@router.route("GET", "/v1/projects/{project}/roles", needs="iam.roles.list")
async def list_roles(call: Call) -> Body:
    project = call.cloud.of(Directory).get(call.params["project"])["projectId"]
    return page(
        "roles",
        call.cloud.of(Iam).custom_roles.of_project(project, call.query.get("showDeleted") == "true"),
        call.query,
    )


@router.route("GET", "/v1/{name=projects/*/roles/*}", needs="iam.roles.get")
async def get_role(call: Call) -> Body:
    return call.cloud.of(Iam).custom_roles.get(call.params["name"])


@router.route("PATCH", "/v1/{name=projects/*/roles/*}", needs="iam.roles.update")
async def patch_role(call: Call) -> Body:
    return call.cloud.of(Iam).custom_roles.update(call.params["name"], call.body, call.query.get("updateMask"))


@router.route("DELETE", "/v1/{name=projects/*/roles/*}", needs="iam.roles.delete")
async def delete_role(call: Call) -> Body:
    return call.cloud.of(Iam).custom_roles.delete(call.params["name"])


@router.route("POST", "/v1/{name=projects/*/roles/*}:undelete", needs="iam.roles.undelete")
async def undelete_role(call: Call) -> Body:
    return call.cloud.of(Iam).custom_roles.undelete(call.params["name"])


@router.route("POST", "/v1/permissions:queryTestablePermissions", open="what there is to permit is public")
async def testable_permissions(call: Call) -> Body:
    kind = permissions.kind_named(str(call.body.get("fullResourceName", "")))
    found = [{"name": name, "stage": "GA"} for name in sorted(permissions.asked_on(kind))]
    return page("permissions", found, call.body, default=100, most=1000)


@router.route("POST", "/v1/roles:queryGrantableRoles", open=_PUBLIC)
async def grantable_roles(call: Call) -> Body:
    kind, full = permissions.kind_named(str(call.body.get("fullResourceName", ""))), call.body.get("view") == "FULL"
    found = [roles.predefined(name, full) for name in roles.names() if roles.grantable(name, kind)]
    return page("roles", found, call.body, default=300, most=2000)


@router.route("GET", "/v1/roles", open=_PUBLIC)
async def list_predefined(call: Call) -> Body:
    full = call.query.get("view") == "FULL"
    return page("roles", [roles.predefined(name, full) for name in roles.names()], call.query)


@router.route("GET", "/v1/{name=roles/*}", open=_PUBLIC)
async def get_predefined(call: Call) -> Body:
    return roles.predefined(call.params["name"])
