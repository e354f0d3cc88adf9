"""The IAM admin API over gRPC, answered by its REST routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.iam.http import router
from localcloud.transport.transcoding import Rules, Table, transcoded

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_ACCOUNT = "{name=projects/*/serviceAccounts/*}"
_RESOURCE = "{resource=projects/*/serviceAccounts/*}"
_ROLE = "{name=projects/*/roles/*}"
# The client library has no REST transport to read these from:
# https://github.com/googleapis/googleapis/blob/master/google/iam/admin/v1/iam.proto
RULES: Rules = {
    "ListServiceAccounts": ("get", "/v1/{name=projects/*}/serviceAccounts", ""),
    "GetServiceAccount": ("get", f"/v1/{_ACCOUNT}", ""),
    "CreateServiceAccount": ("post", "/v1/{name=projects/*}/serviceAccounts", "*"),
    "UpdateServiceAccount": ("put", f"/v1/{_ACCOUNT}", "*"),
    "PatchServiceAccount": ("patch", "/v1/{service_account.name=projects/*/serviceAccounts/*}", "*"),
    "DeleteServiceAccount": ("delete", f"/v1/{_ACCOUNT}", ""),
    "EnableServiceAccount": ("post", f"/v1/{_ACCOUNT}:enable", "*"),
    "DisableServiceAccount": ("post", f"/v1/{_ACCOUNT}:disable", "*"),
    "ListServiceAccountKeys": ("get", f"/v1/{_ACCOUNT}/keys", ""),
    "GetServiceAccountKey": ("get", "/v1/{name=projects/*/serviceAccounts/*/keys/*}", ""),
    "CreateServiceAccountKey": ("post", f"/v1/{_ACCOUNT}/keys", "*"),
    "DeleteServiceAccountKey": ("delete", "/v1/{name=projects/*/serviceAccounts/*/keys/*}", ""),
    "DisableServiceAccountKey": ("post", "/v1/{name=projects/*/serviceAccounts/*/keys/*}:disable", "*"),
    "EnableServiceAccountKey": ("post", "/v1/{name=projects/*/serviceAccounts/*/keys/*}:enable", "*"),
    "SignBlob": ("post", f"/v1/{_ACCOUNT}:signBlob", "*"),
    "GetIamPolicy": ("post", f"/v1/{_RESOURCE}:getIamPolicy", "*"),
    "SetIamPolicy": ("post", f"/v1/{_RESOURCE}:setIamPolicy", "*"),
    "TestIamPermissions": ("post", f"/v1/{_RESOURCE}:testIamPermissions", "*"),
    "ListRoles": ("get", "/v1/{parent=projects/*}/roles", ""),
    "GetRole": ("get", f"/v1/{_ROLE}", ""),
    "CreateRole": ("post", "/v1/{parent=projects/*}/roles", "*"),
    "UpdateRole": ("patch", f"/v1/{_ROLE}", "role"),
    "DeleteRole": ("delete", f"/v1/{_ROLE}", ""),
    "QueryGrantableRoles": ("post", "/v1/roles:queryGrantableRoles", "*"),
    "QueryTestablePermissions": ("post", "/v1/permissions:queryTestablePermissions", "*"),
    "UndeleteRole": ("post", f"/v1/{_ROLE}:undelete", "*"),
}


def table(cloud: Cloud) -> Table:
    return transcoded(cloud, "google.cloud.iam_admin_v1", router, RULES)
