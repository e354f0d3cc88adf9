"""Workload identity federation: who has a token of somebody else's issuer signs in with Google's own client."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth import exceptions, identity_pool
from google.auth.transport.requests import AuthorizedSession, Request

from localcloud import launch
from localcloud.iam import jwt

ISSUER = "https://token.actions.githubusercontent.com"
PARENT = "https://iam.googleapis.com/v1/projects/test-project/locations/global/workloadIdentityPools"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
KEY, OTHER = jwt.new_key(), jwt.new_key()
PROVIDER = {
    "oidc": {"issuerUri": ISSUER, "jwksJson": json.dumps({"keys": [jwt.web_key(KEY, "one")]})},
    "attributeMapping": {
        "google.subject": "assertion.sub",
        "attribute.repository": "assertion.repository",
        "attribute.run": "assertion.event_name + ':' + assertion.ref",
    },
    "attributeCondition": "assertion.repository == 'kim/grades'",
}


@pytest.fixture(scope="module")
def owner(local_cloud: Any) -> Iterator[AuthorizedSession]:
    local_cloud.enable("sts")
    with local_cloud.session() as session:
        yield session


@pytest.fixture(scope="module")
def provider(owner: AuthorizedSession) -> str:
    """The full name of a provider that lets one repository in."""
    made = owner.post(PARENT, params={"workloadIdentityPoolId": "github"}, json={"displayName": "GitHub"})
    assert made.ok, made.text
    pool = made.json()["response"]["name"]
    assert pool.split("/")[1].isdigit()
    url = f"https://iam.googleapis.com/v1/{pool}/providers"
    made = owner.post(url, params={"workloadIdentityPoolProviderId": "actions"}, json=PROVIDER)
    assert made.ok, made.text
    return made.json()["response"]["name"]


@pytest.fixture(scope="module")
def robot(local_cloud: Any, owner: AuthorizedSession, provider: str) -> str:
    """An account that may look at the project, and that runs of the main branch may act as."""
    email = local_cloud.account("robot-ci", "roles/viewer")
    pool = provider.rpartition("/providers/")[0]
    member = f"principalSet://iam.googleapis.com/{pool}/attribute.run/push:refs/heads/main"
    url = f"https://iam.googleapis.com/v1/projects/test-project/serviceAccounts/{email}:setIamPolicy"
    binding = {"role": "roles/iam.workloadIdentityUser", "members": [member]}
    answer = owner.post(url, json={"policy": {"bindings": [binding]}})
    assert answer.ok, answer.text
    return email


def claims(provider: str, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": f"https://iam.googleapis.com/{provider}",
        "sub": "repo:kim/grades:ref:refs/heads/main",
        "repository": "kim/grades",
        "event_name": "push",
        "ref": "refs/heads/main",
        "iat": now,
        "exp": now + 600,
        **changes,
    }


def signed_in(
    cloud: Any, folder: Path, provider: str, robot: str = "", key: Any = KEY, **changes: Any
) -> AuthorizedSession:
    """A session as a runner has it, by the file that google-github-actions/auth writes."""
    token = folder / "token"
    token.write_text(jwt.sign(claims(provider, **changes), key, "one"), encoding="utf-8")
    base = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
    credentials = identity_pool.Credentials.from_info(
        {
            "type": "external_account",
            "audience": f"//iam.googleapis.com/{provider}",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": {"file": str(token)},
            **({"service_account_impersonation_url": f"{base}/{robot}:generateAccessToken"} if robot else {}),
        }
    ).with_scopes([SCOPE])
    session = AuthorizedSession(credentials, auth_request=Request(cloud.plain_session()))
    cloud._prepare(session)
    return session


def projects(session: AuthorizedSession) -> Any:
    return session.get("https://cloudresourcemanager.googleapis.com/v3/projects/test-project")


def test_a_run_of_the_main_branch_acts_as_the_account(local_cloud: Any, tmp_path: Path, provider: str, robot: str):
    session = signed_in(local_cloud, tmp_path, provider, robot)
    assert projects(session).json()["projectId"] == "test-project"
    # The account's roles hold, and no others.
    denied = session.post("https://iam.googleapis.com/v1/projects/test-project/serviceAccounts", json={})
    assert denied.status_code == 403


REFUSED = [
    ({"repository": "eve/grades"}, "unauthorized_client: The given credential is rejected by the attribute condition"),
    ({"ref": "refs/pull/1/merge", "event_name": "pull_request"}, "iam.serviceAccounts.getAccessToken.+ denied"),
    ({"ref": "refs/heads/other"}, "iam.serviceAccounts.getAccessToken.+ denied"),
    ({"key": OTHER}, "invalid_grant: Error verifying the ID Token"),
    ({"iss": "https://example.com"}, "invalid_grant: The issuer in ID Token https://example.com does not match"),
    ({"aud": "https://example.com"}, r"invalid_grant: The audience in ID Token \[https://example.com\] does not"),
    ({"iat": 1_000_000, "exp": 1_000_600}, "invalid_grant: ID Token issued at 1000000 is stale"),
    ({"exp": "soon"}, "invalid_grant: The ID Token must have iat and exp"),
    ({"repository": None, "event_name": 3, "sub": "x" * 128}, "invalid_request: Error in attribute mapping"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_nobody_else_does(
    local_cloud: Any, tmp_path: Path, provider: str, robot: str, changes: dict[str, Any], words: str
):
    session = signed_in(local_cloud, tmp_path, provider, robot, **changes)
    with pytest.raises(exceptions.GoogleAuthError, match=words):
        projects(session)


def test_a_token_without_an_account_may_what_policies_say_of_its_principal(
    local_cloud: Any, owner: AuthorizedSession, tmp_path: Path, provider: str
):
    session = signed_in(local_cloud, tmp_path, provider)
    assert projects(session).status_code == 403
    pool = provider.rpartition("/providers/")[0]
    local_cloud.grant("roles/viewer", f"principalSet://iam.googleapis.com/{pool}/attribute.repository/kim/grades")
    assert projects(session).ok
    # It is not one of Google's accounts.
    info = session.get("https://openidconnect.googleapis.com/v1/userinfo")
    assert not info.ok


def test_a_deleted_pool_ends_its_tokens_and_keeps_its_id_for_thirty_days(new_cloud: Any, tmp_path: Path):
    cloud = new_cloud()
    cloud.enable("sts")
    owner = cloud.session()
    made = owner.post(PARENT, params={"workloadIdentityPoolId": "github"}, json={}).json()["response"]
    url = f"https://iam.googleapis.com/v1/{made['name']}"
    created = owner.post(f"{url}/providers", params={"workloadIdentityPoolProviderId": "actions"}, json=PROVIDER)
    provider = created.json()["response"]["name"]
    cloud.grant("roles/viewer", f"principalSet://iam.googleapis.com/{made['name']}/*")
    session = signed_in(cloud, tmp_path, provider)
    assert projects(session).ok
    assert owner.delete(url).json()["done"]
    session.credentials.token, token = None, session.credentials.token
    with pytest.raises(exceptions.GoogleAuthError, match="invalid_target"):
        projects(session)
    with cloud.plain_session() as plain:
        answer = plain.get(
            "https://cloudresourcemanager.googleapis.com/v3/projects/test-project",
            headers={"Authorization": f"Bearer {token}"},
        )
    assert answer.status_code == 401
    again = owner.post(PARENT, params={"workloadIdentityPoolId": "github"}, json={})
    assert again.status_code == 409
    assert owner.get(PARENT).json() == {"workloadIdentityPools": []}
    (shown,) = owner.get(PARENT, params={"showDeleted": "true"}).json()["workloadIdentityPools"]
    assert shown["state"] == "DELETED"
    assert owner.post(f"{url}:undelete").ok
    assert owner.post(f"{url}:undelete").status_code == 400
    assert projects(signed_in(cloud, tmp_path, provider)).ok
    assert owner.delete(url).ok
    launch.forward(cloud.root, 31 * 86_400)
    assert owner.post(f"{url}:undelete").status_code == 404
    assert owner.post(PARENT, params={"workloadIdentityPoolId": "github"}, json={}).ok
    assert owner.get(f"{url}/providers").json() == {"workloadIdentityPoolProviders": []}
    owner.close()


WRONG = [
    ({"attributeCondition": ""}, "The attribute condition must reference one of the provider's claims."),
    ({"attributeCondition": "assertion.repository"}, "Error in attribute condition: expected type 'bool'"),
    ({"attributeMapping": {}}, "Attribute mapping must contain google.subject."),
    ({"attributeMapping": {"google.subject": "assertion.sub", "attribute.X": "'x'"}}, "Invalid attribute mapping key"),
    ({"attributeMapping": {"google.subject": "token.sub"}}, "Invalid attribute mapping for google.subject"),
    ({"oidc": {"issuerUri": "http://example.com"}}, "must start with https://"),
    ({"oidc": {"issuerUri": ISSUER, "jwksJson": "{}"}}, "must be a JSON object with public keys"),
    ({"displayName": "x" * 33}, "at most 32 characters"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_what_google_refuses_of_a_provider(
    owner: AuthorizedSession, provider: str, changes: dict[str, Any], words: str
):
    url = f"https://iam.googleapis.com/v1/{provider.rpartition('/')[0]}"
    refused = owner.post(url, params={"workloadIdentityPoolProviderId": "wrong"}, json=PROVIDER | changes)
    assert refused.status_code == 400
    assert words in refused.json()["error"]["message"]
