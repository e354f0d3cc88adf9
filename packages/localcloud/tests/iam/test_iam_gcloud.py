"""The gcloud command line, as its users use it: projects, services, accounts, keys, roles, and its refusals."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from clouds.gcloud import gcloud

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed"),
]
ROBOT = "helper@test-project.iam.gserviceaccount.com"


def test_projects_and_their_policies(local_cloud: Any) -> None:
    assert gcloud(local_cloud, "projects", "describe", "test-project")["lifecycleState"] == "ACTIVE"
    assert "test-project" in [one["projectId"] for one in gcloud(local_cloud, "projects", "list")]
    gcloud(local_cloud, "iam", "service-accounts", "create", "helper", "--display-name=Helper")
    change = ["test-project", f"--member=serviceAccount:{ROBOT}", "--role=roles/logging.viewer"]
    end = 'expression=request.time < timestamp("2100-01-01T00:00:00Z"),title=soon over'
    gcloud(local_cloud, "projects", "add-iam-policy-binding", *change, f"--condition={end}")
    found = gcloud(local_cloud, "projects", "get-iam-policy", "test-project")
    (binding,) = [one for one in found["bindings"] if _is_the_robots(one)]
    assert binding["condition"]["title"] == "soon over"
    gcloud(local_cloud, "projects", "remove-iam-policy-binding", *change, "--all")
    found = gcloud(local_cloud, "projects", "get-iam-policy", "test-project")
    assert not [one for one in found["bindings"] if _is_the_robots(one)]


def _is_the_robots(binding: dict[str, Any]) -> bool:
    return binding["role"] == "roles/logging.viewer" and f"serviceAccount:{ROBOT}" in binding["members"]


def test_services(local_cloud: Any) -> None:
    gcloud(local_cloud, "services", "enable", "pubsub.googleapis.com")
    on = {one["config"]["name"] for one in gcloud(local_cloud, "services", "list", "--enabled")}
    assert {"pubsub.googleapis.com", "storage.googleapis.com"} <= on
    gcloud(local_cloud, "services", "disable", "pubsub.googleapis.com")


def test_accounts_keys_and_roles(local_cloud: Any, tmp_path: Path) -> None:
    email = "keyed-robot@test-project.iam.gserviceaccount.com"
    gcloud(local_cloud, "iam", "service-accounts", "create", "keyed-robot")
    assert email in {one["email"] for one in gcloud(local_cloud, "iam", "service-accounts", "list")}
    assert gcloud(local_cloud, "iam", "service-accounts", "describe", email)["email"] == email
    binding = [email, "--member=serviceAccount:" + email, "--role=roles/iam.serviceAccountUser"]
    gcloud(local_cloud, "iam", "service-accounts", "add-iam-policy-binding", *binding)
    policy = gcloud(local_cloud, "iam", "service-accounts", "get-iam-policy", email)
    assert [one["role"] for one in policy["bindings"]] == ["roles/iam.serviceAccountUser"]
    described = gcloud(local_cloud, "iam", "roles", "describe", "roles/storage.objectViewer")
    assert "storage.objects.get" in described["includedPermissions"]
    custom = ["small", "--project=test-project", "--permissions=storage.objects.get", "--title=Small"]
    assert gcloud(local_cloud, "iam", "roles", "create", *custom)["includedPermissions"] == ["storage.objects.get"]
    listed = gcloud(local_cloud, "iam", "roles", "list", "--project=test-project")
    assert "projects/test-project/roles/small" in [one["name"] for one in listed]
    key = tmp_path / "key.json"
    gcloud(local_cloud, "iam", "service-accounts", "keys", "create", str(key), f"--iam-account={email}")
    as_ = {"CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": str(key), "GOOGLE_APPLICATION_CREDENTIALS": str(key)}
    assert gcloud(local_cloud, "auth", "print-access-token", **as_)
    refused = "does not have permission to access projects instance [test-project]"
    gcloud(local_cloud, "projects", "describe", "test-project", fails=refused, **as_)
    words = "PERMISSION_DENIED: Permission 'iam.serviceAccounts.list' denied on resource (or it may not exist)."
    told = gcloud(
        local_cloud, "iam", "service-accounts", "list", fails="ERROR: (gcloud.iam.service-accounts.list)", **as_
    )
    assert words in told or "Permission 'iam.serviceAccounts.list' denied on resource" in told
    gcloud(local_cloud, "iam", "service-accounts", "delete", email)
    assert email not in {one["email"] for one in gcloud(local_cloud, "iam", "service-accounts", "list")}


def test_what_can_be_granted_and_what_is_refused(local_cloud: Any) -> None:
    bucket = "//storage.googleapis.com/projects/_/buckets/any"
    found = {one["name"] for one in gcloud(local_cloud, "iam", "list-grantable-roles", bucket)}
    assert "roles/storage.objectViewer" in found and "roles/logging.viewer" not in found
    found = {one["name"] for one in gcloud(local_cloud, "iam", "list-testable-permissions", bucket)}
    assert "storage.objects.get" in found and "storage.buckets.list" not in found
    owner = ["projects", "add-iam-policy-binding", "test-project", "--role=roles/owner"]
    told = gcloud(local_cloud, *owner, "--member=user:me@example.com", fails="Request contains an invalid argument.")
    assert "type: SOLO_MUST_INVITE_OWNERS" in told and "member: user:me@example.com" in told
    role = ["iam", "roles", "create", "refused", "--project=test-project", "--permissions=storage.objects.fly"]
    gcloud(local_cloud, *role, fails="Permission storage.objects.fly is not valid.")
