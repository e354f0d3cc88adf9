"""A person's own credentials, as gcloud leaves them: with and without a project that calls are charged to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.credentials import Credentials

pytestmark = pytest.mark.slow

PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
USERINFO = "https://openidconnect.googleapis.com/v1/userinfo"
OWNER = "owner@test-project.iam.gserviceaccount.com"
BUDGETS = "https://billingbudgets.googleapis.com/v1/billingAccounts/012345-6789AB-CDEF01/budgets"
QUOTAS = "https://cloudquotas.googleapis.com/v1/projects/test-project/locations/global/quotaPreferences"
BUCKETS = "https://storage.googleapis.com/storage/v1/b?project=test-project"
PROJECT = "https://cloudresourcemanager.googleapis.com/v3/projects/test-project"


@pytest.fixture
def person(local_cloud: Any) -> Any:
    """Makes a session of the person: for which scopes, charged to which project."""
    local_cloud.enable("billingbudgets", "cloudquotas")
    file = local_cloud.root / "projects" / "test-project" / "adc.json"
    info = json.loads(file.read_text(encoding="utf-8"))

    def session(scopes: list[str] | None = None, quota_project: str = "", **changes: str) -> AuthorizedSession:
        credentials = Credentials.from_authorized_user_info({**info, **changes}, scopes=scopes)
        if quota_project:
            credentials = credentials.with_quota_project(quota_project)
        made = AuthorizedSession(credentials, auth_request=Request(local_cloud.plain_session()))
        return local_cloud._prepare(made)

    return session


def test_budgets_and_quotas_want_a_project_that_is_charged(person: Any) -> None:
    alone, charged = person(), person(quota_project="test-project")
    for url, service in ((BUDGETS, "billingbudgets.googleapis.com"), (QUOTAS, "cloudquotas.googleapis.com")):
        assert charged.get(url).ok, charged.get(url).text
        refused = alone.get(url)
        error = refused.json()["error"]
        assert (refused.status_code, error["status"]) == (403, "PERMISSION_DENIED")
        assert error["message"] == (
            "Your application is authenticating by using local Application Default Credentials. "
            f"The {service} API requires a quota project, which is not set by default. To learn how to set your quota "
            "project, see https://cloud.google.com/docs/authentication/adc-troubleshooting/user-creds ."
        )
        assert error["details"][0]["reason"] == "SERVICE_DISABLED"
        assert error["details"][0]["metadata"] == {"consumer": "projects/764086051850", "service": service}
    # What is in a project is charged to that project.
    assert alone.get(BUCKETS).ok and alone.get(PROJECT).ok


def test_a_quota_project_that_the_person_may_not_use_is_refused(person: Any) -> None:
    refused = person(quota_project="nobodys-project").get(PROJECT)
    assert refused.status_code == 403
    assert refused.json()["error"]["details"][0]["reason"] == "USER_PROJECT_DENIED"


def test_who_asks_for_less_is_told_no_address(person: Any, local_cloud: Any) -> None:
    assert person().get(USERINFO).json()["email"] == OWNER
    narrow = person([PLATFORM])
    assert narrow.get(BUCKETS).ok
    assert narrow.get(USERINFO).status_code == 401
    about = local_cloud.plain_session().get(
        "https://oauth2.googleapis.com/tokeninfo", params={"access_token": narrow.credentials.token}
    )
    assert about.ok and "email" not in about.json() and about.json()["scope"] == PLATFORM


def test_what_is_no_credential_of_a_person_signs_nobody_in(local_cloud: Any, person: Any) -> None:
    plain = local_cloud.plain_session()
    good = person().credentials
    wrong = [
        {"client_id": good.client_id, "refresh_token": "1//forged"},
        {"client_id": good.client_id, "refresh_token": local_cloud.token()},  # an access token is none
        {"client_id": "another", "refresh_token": good.refresh_token},
        {"client_id": good.client_id, "refresh_token": good.refresh_token, "scope": "https://mail.google.com/"},
    ]
    for fields in wrong:
        answer = plain.post("https://oauth2.googleapis.com/token", data={"grant_type": "refresh_token", **fields})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), fields
    shown = {"Authorization": f"Bearer {good.refresh_token}"}  # and a refresh token opens nothing
    assert plain.get(PROJECT, headers=shown).status_code == 401
