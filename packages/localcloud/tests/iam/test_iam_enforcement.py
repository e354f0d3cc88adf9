"""What who may do: asked by Google's own clients, as an owner, as an account with one role, and as one with none."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from localcloud import launch

pytestmark = pytest.mark.slow

MANAGER, IAM = "https://cloudresourcemanager.googleapis.com", "https://iam.googleapis.com/v1"
USAGE, BILLING = "https://serviceusage.googleapis.com/v1", "https://cloudbilling.googleapis.com/v1"
BUDGETS = "https://billingbudgets.googleapis.com/v1"
PROJECT = "projects/test-project"
ACCOUNT = "billingAccounts/012345-6789AB-CDEF01"
PAYER = "billingAccounts/10CA1C-10D000-000001"  # which pays for the project


def new_key(cloud: Any, name: str, *roles: str) -> dict[str, Any]:
    """The key file of a new account that has `roles` on the project."""
    return cloud.key(cloud.account(name, *roles))


def new_account(cloud: Any, name: str, *roles: str) -> Any:
    """A session of such an account."""
    return cloud.session(new_key(cloud, name, *roles))


@pytest.fixture(scope="module")
def nobody(local_cloud: Any) -> Any:
    return new_account(local_cloud, "nobody")


@pytest.fixture(scope="module")
def viewer(local_cloud: Any) -> Any:
    return new_account(local_cloud, "a-viewer", "roles/viewer")


def error_of(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 403, answer.text
    return answer.json()["error"]


SELF = f"{PROJECT}/serviceAccounts/owner@test-project.iam.gserviceaccount.com"
REFUSED = [
    ("GET", f"{MANAGER}/v3/{PROJECT}", "resourcemanager.projects.get"),
    ("POST", f"{MANAGER}/v3/{PROJECT}:getIamPolicy", "resourcemanager.projects.getIamPolicy"),
    ("POST", f"{MANAGER}/v3/{PROJECT}:setIamPolicy", "resourcemanager.projects.setIamPolicy"),
    ("PATCH", f"{MANAGER}/v3/{PROJECT}", "resourcemanager.projects.update"),
    ("DELETE", f"{MANAGER}/v3/{PROJECT}", "resourcemanager.projects.delete"),
    ("GET", f"{IAM}/{PROJECT}/serviceAccounts", "iam.serviceAccounts.list"),
    ("POST", f"{IAM}/{PROJECT}/serviceAccounts", "iam.serviceAccounts.create"),
    ("GET", f"{IAM}/{SELF}", "iam.serviceAccounts.get"),
    ("DELETE", f"{IAM}/{SELF}", "iam.serviceAccounts.delete"),
    ("POST", f"{IAM}/{SELF}/keys", "iam.serviceAccountKeys.create"),
    ("POST", f"{IAM}/{SELF}:setIamPolicy", "iam.serviceAccounts.setIamPolicy"),
    ("POST", f"{IAM}/{PROJECT}/roles", "iam.roles.create"),
]


@pytest.mark.parametrize(("method", "url", "permission"), REFUSED, ids=lambda value: str(value).rpartition("/")[2])
def test_who_has_no_role_is_refused(nobody: Any, method: str, url: str, permission: str) -> None:
    error = error_of(nobody.request(method, url, json={} if method != "GET" else None))
    assert error["status"] == "PERMISSION_DENIED"
    (info,) = error["details"]
    domain = url.split("/")[2]
    assert (info["reason"], info["domain"]) == ("IAM_PERMISSION_DENIED", domain)
    assert info["metadata"]["permission"] == permission
    if domain == "iam.googleapis.com":
        assert error["message"] == f"Permission '{permission}' denied on resource (or it may not exist)."
    else:
        assert (
            error["message"]
            == f"Permission '{permission}' denied on resource '//{domain}/{PROJECT}' (or it may not exist)."
        )


def test_monitoring_and_artifact_registry_refuse_in_their_own_words(local_cloud: Any, nobody: Any) -> None:
    local_cloud.enable("monitoring", "artifactregistry")
    channels = nobody.get(f"https://monitoring.googleapis.com/v3/{PROJECT}/notificationChannels")
    words = "Permission monitoring.notificationChannels.list denied (or the resource may not exist)."
    assert (channels.status_code, error_of(channels)["message"]) == (403, words)
    place = f"artifactregistry.googleapis.com/{PROJECT}/locations/us-central1"
    made = nobody.post(f"https://{place.replace('.com/', '.com/v1/')}/repositories?repositoryId=x", json={})
    words = f"Permission 'artifactregistry.repositories.create' denied on resource '//{place}' (or it may not exist)."
    assert (made.status_code, error_of(made)["message"]) == (403, words)


def test_a_viewer_looks_and_changes_nothing(viewer: Any) -> None:
    for method, url, permission in REFUSED:
        looks = permission.endswith((".get", ".list", "projects.getIamPolicy"))
        answer = viewer.request(method, url, json={} if method != "GET" else None)
        assert (answer.status_code == 200) is looks, (url, answer.text)


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("GET", "", "Permission denied to list services for consumer container [projects/"),
        ("GET", "/storage.googleapis.com", "Permission denied to get service [storage.googleapis.com]"),
        ("POST", "/pubsub.googleapis.com:enable", "Permission denied to enable service [pubsub.googleapis.com]"),
        ("POST", "/storage.googleapis.com:disable", "Permission denied to disable service [storage.googleapis.com]"),
    ],
)
def test_service_usage_has_words_of_its_own(nobody: Any, method: str, path: str, words: str) -> None:
    error = error_of(nobody.request(method, f"{USAGE}/{PROJECT}/services{path}"))
    assert error["message"].startswith(words)
    assert error["details"][0]["reason"] == "AUTH_PERMISSION_DENIED"


def test_v1_has_words_of_its_own(nobody: Any) -> None:
    error = error_of(nobody.get(f"{MANAGER}/v1/{PROJECT}"))
    assert error["message"] == "The caller does not have permission"


def test_over_grpc_the_same(local_cloud: Any) -> None:
    key = json.dumps(new_key(local_cloud, "over-grpc"))
    done = local_cloud.run(
        """
        import json, os
        from google.api_core.exceptions import PermissionDenied
        from google.cloud import iam_admin_v1, resourcemanager_v3, service_usage_v1
        from google.oauth2 import service_account
        as_ = service_account.Credentials.from_service_account_info(json.loads(os.environ["KEY"]))
        name = "projects/test-project"
        said = []
        calls = [
            lambda: resourcemanager_v3.ProjectsClient(credentials=as_).get_project(name=name),
            lambda: list(service_usage_v1.ServiceUsageClient(credentials=as_).list_services(request={"parent": name})),
            lambda: list(iam_admin_v1.IAMClient(credentials=as_).list_service_accounts(name=name)),
        ]
        for call in calls:
            try:
                call()
            except PermissionDenied as error:
                said.append([error.reason, error.metadata["permission"]])
        print(json.dumps(said))
        """,
        env={"KEY": key},
    )
    assert json.loads(done.stdout) == [
        ["IAM_PERMISSION_DENIED", "resourcemanager.projects.get"],
        ["AUTH_PERMISSION_DENIED", "serviceusage.services.list"],
        ["IAM_PERMISSION_DENIED", "iam.serviceAccounts.list"],
    ]


def test_permissions_are_told_as_they_are(local_cloud: Any, nobody: Any, viewer: Any) -> None:
    asked = {"permissions": ["resourcemanager.projects.get", "resourcemanager.projects.delete"]}
    told = [
        one.post(f"{MANAGER}/v3/{PROJECT}:testIamPermissions", json=asked).json().get("permissions", [])
        for one in (nobody, viewer, local_cloud.session())
    ]
    assert told == [[], asked["permissions"][:1], asked["permissions"]]


def test_lists_show_what_one_may_get(nobody: Any, viewer: Any) -> None:
    for url in (f"{MANAGER}/v3/projects:search", f"{MANAGER}/v1/projects"):
        assert nobody.get(url).json().get("projects", []) == []
        assert [one["projectId"] for one in viewer.get(url).json()["projects"]] == ["test-project"]


def test_people_make_projects_and_own_them_and_service_accounts_make_none(local_cloud: Any, nobody: Any) -> None:
    with local_cloud.session() as maker:
        maker.post(f"{MANAGER}/v3/projects", json={"projectId": "made-by-maker"}).raise_for_status()
        assert maker.get(f"{MANAGER}/v3/projects/made-by-maker").json()["projectId"] == "made-by-maker"
        bindings = maker.post(f"{MANAGER}/v3/projects/made-by-maker:getIamPolicy", json={}).json()["bindings"]
        owners = next(one["members"] for one in bindings if one["role"] == "roles/owner")
        assert f"serviceAccount:{maker.credentials.service_account_email}" in owners
    assert nobody.get(f"{MANAGER}/v3/projects/made-by-maker").status_code == 403
    robot = new_account(local_cloud, "a-maker", "roles/owner")
    for version in ("v1", "v3"):
        error = error_of(robot.post(f"{MANAGER}/{version}/projects", json={"projectId": "made-by-robot"}))
        assert (error["code"], error["message"]) == (
            403,
            "Service accounts cannot create projects without a parent.",
        )
    error = error_of(robot.post(f"{MANAGER}/v3/projects", json={"projectId": "made-by", "parent": "folders/1"}))
    assert error["message"].startswith("Permission 'resourcemanager.projects.create' denied on resource '//cloud")


def test_calls_are_charged_to_a_project_that_one_may_use(viewer: Any, nobody: Any, local_cloud: Any) -> None:
    header = {"x-goog-user-project": "charged-project"}
    with local_cloud.session() as owner:
        owner.post(f"{MANAGER}/v3/projects", json={"projectId": "charged-project"}).raise_for_status()
        on = "projects/charged-project/services"
        wanted = {"serviceIds": ["cloudresourcemanager.googleapis.com"]}
        error = error_of(owner.get(f"{MANAGER}/v3/{PROJECT}", headers=header))
        assert error["details"][0]["reason"] == "SERVICE_DISABLED"
        owner.post(f"{USAGE}/{on}:batchEnable", json=wanted).raise_for_status()
        assert owner.get(f"{MANAGER}/v3/{PROJECT}", headers=header).status_code == 200
    error = error_of(viewer.get(f"{MANAGER}/v3/{PROJECT}", headers=header))
    assert error["message"].startswith("Caller does not have required permission to use project charged-project.")
    assert error["details"][0]["reason"] == "USER_PROJECT_DENIED"
    assert error["details"][0]["metadata"]["consumer"] == "projects/charged-project"


def test_an_api_that_is_off_refuses_before_all_else(new_cloud: Any) -> None:
    cloud = new_cloud()
    with cloud.session() as owner:
        off = f"{USAGE}/{PROJECT}/services/iam.googleapis.com:disable"
        owner.post(off, json={}).raise_for_status()
        error = error_of(owner.get(f"{IAM}/{PROJECT}/serviceAccounts"))
    assert error["details"][0]["reason"] == "SERVICE_DISABLED"
    assert "has not been used in project test-project before or it is disabled" in error["message"]


def test_tokens_of_others_need_a_role_on_them(local_cloud: Any, nobody: Any) -> None:
    maker = new_account(local_cloud, "a-creator")
    target = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{nobody.credentials.service_account_email}"
    calls = [
        (":generateAccessToken", {"scope": ["https://www.googleapis.com/auth/cloud-platform"]}, "getAccessToken"),
        (":generateIdToken", {"audience": "https://example.com"}, "getOpenIdToken"),
        (":signBlob", {"payload": "eA=="}, "signBlob"),
        (":signJwt", {"payload": "{}"}, "signJwt"),
    ]
    for verb, body, permission in calls:
        error = error_of(maker.post(target + verb, json=body))
        words = f"Permission 'iam.serviceAccounts.{permission}' denied on resource (or it may not exist)."
        assert error["message"] == words
    member = f"serviceAccount:{maker.credentials.service_account_email}"
    binding = {"role": "roles/iam.serviceAccountTokenCreator", "members": [member]}
    with local_cloud.session() as owner:
        name = f"{PROJECT}/serviceAccounts/{nobody.credentials.service_account_email}"
        set_ = owner.post(f"{IAM}/{name}:setIamPolicy", json={"policy": {"bindings": [binding]}})
        assert set_.ok, set_.text
    for verb, body, _permission in calls:
        answer = maker.post(target + verb, json=body)
        assert answer.ok, answer.text


def test_a_grant_ends_when_its_condition_says_so(new_cloud: Any) -> None:
    cloud = new_cloud()
    guest = new_account(cloud, "a-guest")
    member = f"serviceAccount:{guest.credentials.service_account_email}"
    with cloud.session() as owner:
        policy = owner.post(f"{MANAGER}/v3/{PROJECT}:getIamPolicy", json={}).json()
        now = launch.control(cloud.root, "GET", "/clock")["now"]
        end = (datetime.fromisoformat(now) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {"title": "two hours", "expression": f'request.time < timestamp("{end}")'}
        policy["bindings"].append({"role": "roles/browser", "members": [member], "condition": condition})
        unknown = owner.post(f"{MANAGER}/v3/{PROJECT}:setIamPolicy", json={"policy": policy | {"version": 3}})
        assert unknown.json()["error"]["message"] == "not emulated by the local cloud: roles/browser"
        policy["bindings"][-1]["role"] = "roles/resourcemanager.projectIamAdmin"
        old = owner.post(f"{MANAGER}/v3/{PROJECT}:setIamPolicy", json={"policy": policy})
        assert old.status_code == 400
        policy["version"] = 3
        owner.post(f"{MANAGER}/v3/{PROJECT}:setIamPolicy", json={"policy": policy}).raise_for_status()
        told = owner.post(f"{MANAGER}/v3/{PROJECT}:getIamPolicy", json={}).json()
        (hidden,) = [one for one in told["bindings"] if member in one["members"]]
        assert told["version"] == 1
        assert hidden["role"].startswith("roles/resourcemanager.projectIamAdmin_withcond_")
        assert "condition" not in hidden
        whole = {"options": {"requestedPolicyVersion": 3}}
        told = owner.post(f"{MANAGER}/v3/{PROJECT}:getIamPolicy", json=whole).json()
        assert [one.get("condition") for one in told["bindings"] if member in one["members"]] == [condition]
        wrong = owner.post(f"{MANAGER}/v3/{PROJECT}:getIamPolicy", json={"options": {"requestedPolicyVersion": 7}})
        assert wrong.status_code == 400
    assert guest.get(f"{MANAGER}/v3/{PROJECT}").status_code == 200
    launch.forward(cloud.root, 3 * 3600)
    assert guest.get(f"{MANAGER}/v3/{PROJECT}").status_code == 403


def test_billing_is_for_who_has_a_role_on_the_account(local_cloud: Any, nobody: Any) -> None:
    local_cloud.enable("cloudbilling", "billingbudgets")
    with local_cloud.session() as owner:
        assert owner.get(f"{BILLING}/{ACCOUNT}").status_code == 200
        error = error_of(nobody.get(f"{BILLING}/{ACCOUNT}"))
        assert error["details"][0]["metadata"]["permission"] == "billing.accounts.get"
        assert nobody.get(f"{BILLING}/billingAccounts").json().get("billingAccounts", []) == []
        assert error_of(nobody.get(f"{BUDGETS}/{ACCOUNT}/budgets"))["details"][0]["reason"] == "IAM_PERMISSION_DENIED"
        binding = {
            "role": "roles/billing.viewer",
            "members": [f"serviceAccount:{nobody.credentials.service_account_email}"],
        }
        policy = owner.get(f"{BILLING}/{ACCOUNT}:getIamPolicy").json()
        policy["bindings"].append(binding)
        owner.post(f"{BILLING}/{ACCOUNT}:setIamPolicy", json={"policy": policy}).raise_for_status()
    assert nobody.get(f"{BILLING}/{ACCOUNT}").status_code == 200
    assert nobody.get(f"{BUDGETS}/{ACCOUNT}/budgets").status_code == 200
    budget = {"amount": {"specifiedAmount": {"units": "10", "currencyCode": "USD"}}, "displayName": "x"}
    assert nobody.post(f"{BUDGETS}/{ACCOUNT}/budgets", json=budget).status_code == 403


def test_an_editor_makes_budgets_of_the_project_only(local_cloud: Any) -> None:
    editor = new_account(local_cloud, "an-editor", "roles/editor")
    local_cloud.enable("cloudbilling", "billingbudgets")
    budget = {"amount": {"specifiedAmount": {"units": "10", "currencyCode": "USD"}}, "displayName": "x"}
    assert editor.post(f"{BUDGETS}/{PAYER}/budgets", json=budget).status_code == 403
    own = budget | {"budgetFilter": {"projects": [PROJECT]}}
    made = editor.post(f"{BUDGETS}/{PAYER}/budgets", json=own)
    assert made.ok, made.text
    assert editor.delete(f"{BUDGETS}/{made.json()['name']}").ok
