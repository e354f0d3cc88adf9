"""Google's own Python clients for IAM, Resource Manager and Service Usage, unmodified, over gRPC and REST."""

from __future__ import annotations

import json

import pytest

PROJECT = "https://cloudresourcemanager.googleapis.com/{}/projects/test-project"


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_resource_manager(local_cloud, transport):
    done = local_cloud.run(
        f"""
        import json
        from google.api_core import exceptions
        from google.cloud import resourcemanager_v3
        client = resourcemanager_v3.ProjectsClient(transport={transport!r})
        found = client.get_project(name="projects/test-project")
        said = [found.project_id, found.name, found.state.name]
        said.append([p.project_id for p in client.search_projects(query="id:test-project")])
        policy = client.get_iam_policy(resource="projects/test-project")
        said.append([[b.role, list(b.members)] for b in policy.bindings if b.role == "roles/owner"])
        client.set_iam_policy(request={{"resource": "projects/test-project", "policy": policy}})
        try:
            client.set_iam_policy(request={{"resource": "projects/test-project", "policy": policy}})
        except exceptions.GoogleAPICallError as error:
            said.append([type(error).__name__, int(error.code)])
        try:
            client.get_project(name="projects/no-such-project")
        except exceptions.PermissionDenied as error:
            said += [error.reason, error.domain, error.metadata["permission"]]
        except exceptions.Forbidden as error:
            said += [error.reason, error.domain, error.metadata["permission"]]
        made = client.create_project(project={{"project_id": "made-by-{transport}", "display_name": "Made"}}).result()
        said.append([made.project_id, made.display_name])
        said.append(client.delete_project(name=made.name).result().state.name)
        print(json.dumps(said))
        """
    )
    said = json.loads(done.stdout)
    assert said[0] == "test-project" and said[1].startswith("projects/") and said[2] == "ACTIVE"
    assert said[3] == ["test-project"]
    assert said[4] == [["roles/owner", ["serviceAccount:owner@test-project.iam.gserviceaccount.com"]]]
    assert said[5] == ["Aborted" if transport == "grpc" else "Conflict", 409]
    assert said[6:9] == [
        "IAM_PERMISSION_DENIED",
        "cloudresourcemanager.googleapis.com",
        "resourcemanager.projects.get",
    ]
    assert said[9:] == [[f"made-by-{transport}", "Made"], "DELETE_REQUESTED"]


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_service_usage(local_cloud, transport):
    service = {"grpc": "spanner", "rest": "redis"}[transport]
    done = local_cloud.run(
        f"""
        import json
        from google.api_core import exceptions
        from google.cloud import service_usage_v1
        client = service_usage_v1.ServiceUsageClient(transport={transport!r})
        name = "projects/test-project/services/{service}.googleapis.com"
        said = [client.get_service(request={{"name": name}}).state.name]
        said.append(client.enable_service(request={{"name": name}}).result().service.state.name)
        said.append(client.get_service(request={{"name": name}}).state.name)
        on = client.list_services(request={{"parent": "projects/test-project", "filter": "state:ENABLED"}})
        names = [service.config.name for service in on]
        said.append(["{service}.googleapis.com" in names, "storage.googleapis.com" in names])
        said.append(client.disable_service(request={{"name": name}}).result().service.state.name)
        ids = ["{service}.googleapis.com", "aiplatform.googleapis.com"]
        many = client.batch_enable_services(request={{"parent": "projects/test-project", "service_ids": ids}}).result()
        said.append([service.state.name for service in many.services])
        for bad in ("nonsense.googleapis.com", "example.com"):
            try:
                client.enable_service(request={{"name": "projects/test-project/services/" + bad}})
            except exceptions.Forbidden as error:
                said.append(error.reason)
        try:
            client.disable_service(request={{"name": "projects/test-project/services/dns.googleapis.com"}})
        except exceptions.GoogleAPICallError as error:
            said.append(int(error.code))
        print(json.dumps(said))
        """
    )
    unknown = "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED"
    assert json.loads(done.stdout) == [
        *["DISABLED", "ENABLED", "ENABLED", [True, True], "DISABLED", ["ENABLED", "ENABLED"], unknown, unknown, 400]
    ]


def test_iam(local_cloud):
    done = local_cloud.run(
        """
        import json
        from google.api_core import exceptions
        from google.auth.transport.requests import AuthorizedSession
        from google.cloud import iam_admin_v1 as admin
        from google.oauth2 import service_account
        client = admin.IAMClient()
        project = "projects/test-project"
        made = client.create_service_account(
            request={"name": project, "account_id": "by-client", "service_account": {"display_name": "First"}}
        )
        said = [made.email, made.display_name]
        try:
            client.create_service_account(request={"name": project, "account_id": "by-client"})
        except exceptions.AlreadyExists as error:
            said.append(error.message)
        made.display_name = "Second"
        client.patch_service_account(
            request={"service_account": made, "update_mask": {"paths": ["display_name"]}}
        )
        said.append(client.get_service_account(name=made.name).display_name)
        said.append(made.email in [account.email for account in client.list_service_accounts(name=project)])
        key = client.create_service_account_key(name=made.name)
        credentials = service_account.Credentials.from_service_account_info(
            json.loads(key.private_key_data), scopes=["https://www.googleapis.com/auth/cloud-platform"]
        )
        session = AuthorizedSession(credentials)
        said.append(session.get("https://openidconnect.googleapis.com/v1/userinfo").json()["email"])
        client.delete_service_account_key(name=key.name)
        said.append(len(client.list_service_account_keys(name=made.name).keys))
        policy = client.get_iam_policy(resource=made.name)
        policy.bindings.add(role="roles/iam.serviceAccountUser", members=["user:me@example.com"])
        client.set_iam_policy(request={"resource": made.name, "policy": policy})
        said.append([b.role for b in client.get_iam_policy(resource=made.name).bindings])
        wanted = {"title": "T", "included_permissions": ["run.jobs.run"]}
        role = client.create_role(request={"parent": project, "role_id": "runner", "role": wanted})
        said.append([role.name, list(client.get_role(request={"name": role.name}).included_permissions)])
        said.append(client.delete_role(request={"name": role.name}).deleted)
        said.append(client.undelete_role(request={"name": role.name}).deleted)
        client.delete_service_account(name=made.name)
        try:
            client.get_service_account(name=made.name)
        except exceptions.NotFound as error:
            said.append(error.message)
        print(json.dumps(said))
        """
    )
    email = "by-client@test-project.iam.gserviceaccount.com"
    assert json.loads(done.stdout) == [
        email,
        "First",
        "Service account by-client already exists within project projects/test-project.",
        "Second",
        True,
        email,
        0,
        ["roles/iam.serviceAccountUser"],
        ["projects/test-project/roles/runner", ["run.jobs.run"]],
        True,
        False,
        "Unknown service account",
    ]


def test_impersonation_and_signatures(local_cloud):
    local_cloud.grant("roles/iam.serviceAccountTokenCreator")
    done = local_cloud.run(
        """
        import base64, google.auth, json
        from google.auth import impersonated_credentials
        from google.auth.transport.requests import AuthorizedSession, Request
        from google.cloud import iam_credentials_v1
        scopes = ["https://www.googleapis.com/auth/cloud-platform"]
        source, project = google.auth.default(scopes)
        session = AuthorizedSession(source)
        session.post(f"https://iam.googleapis.com/v1/projects/{project}/serviceAccounts", json={"accountId": "worker"})
        email = f"worker@{project}.iam.gserviceaccount.com"
        worker = impersonated_credentials.Credentials(source, email, scopes, lifetime=600)
        said = [AuthorizedSession(worker).get("https://openidconnect.googleapis.com/v1/userinfo").json()["email"]]
        client = iam_credentials_v1.IAMCredentialsClient()
        said.append(len(client.sign_blob(name=f"projects/-/serviceAccounts/{email}", payload=b"x").signed_blob))
        said.append(len(worker.sign_bytes(b"x")))
        print(json.dumps(said))
        """
    )
    assert json.loads(done.stdout) == ["worker@test-project.iam.gserviceaccount.com", 256, 256]


def test_a_self_signed_token_needs_no_token_endpoint(local_cloud):
    session = local_cloud.session(self_signed=True)
    assert session.get(PROJECT.format("v1")).json()["lifecycleState"] == "ACTIVE"
    assert session.credentials.token.startswith("eyJ")


def test_v1_has_its_own_words_for_a_project_that_is_not_there(session):
    answer = session.get("https://cloudresourcemanager.googleapis.com/v1/projects/no-such-project")
    assert (answer.status_code, answer.json()["error"]["message"]) == (403, "The caller does not have permission")


def test_projects_are_found_by_number_and_by_filter(session):
    number = session.get(PROJECT.format("v1")).json()["projectNumber"]
    assert len(number) == 12
    by_number = session.get(f"https://cloudresourcemanager.googleapis.com/v3/projects/{number}").json()
    assert by_number["projectId"] == "test-project"
    url = "https://cloudresourcemanager.googleapis.com/v1/projects"
    found = session.get(url, params={"filter": "lifecycleState:ACTIVE AND projectId:test-project"}).json()
    assert [project["projectId"] for project in found["projects"]] == ["test-project"]
    assert session.get(url, params={"pageToken": "nonsense"}).status_code == 400


BAD_POLICIES = [
    ({"bindings": [{"role": "owner", "members": []}]}, "Role owner is not supported for this resource."),
    (
        {"bindings": [{"role": "roles/viewer", "members": ["me@example.com"]}]},
        'Policy members must be of the form "<type>:<value>".',
    ),
    (
        {
            "bindings": [
                {
                    "role": "roles/viewer",
                    "members": ["serviceAccount:no-one@test-project.iam.gserviceaccount.com"],
                }
            ]
        },
        "Service account no-one@test-project.iam.gserviceaccount.com does not exist.",
    ),
    (
        {"bindings": [{"role": "roles/viewer", "members": ["allUsers"], "condition": {"expression": "true"}}]},
        "Policies with conditional bindings must have version 3.",
    ),
]


@pytest.mark.parametrize(("policy", "message"), BAD_POLICIES)
def test_policies_that_cannot_be(session, policy, message):
    answer = session.post(PROJECT.format("v1") + ":setIamPolicy", json={"policy": policy})
    error = answer.json()["error"]
    assert (answer.status_code, error["status"], error["message"]) == (400, "INVALID_ARGUMENT", message)


@pytest.mark.parametrize("account_id", ["", "short", "Upper-case", "1-first", "ends-with-", "x" * 31, "under_score"])
def test_account_ids_that_cannot_be(session, account_id):
    url = "https://iam.googleapis.com/v1/projects/test-project/serviceAccounts"
    answer = session.post(url, json={"accountId": account_id})
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    if 6 <= len(account_id) <= 30:
        assert message.startswith(f"Invalid service account ID '{account_id}'.")
    else:
        assert message == f'The account ID "{account_id}" does not have a length between 6 and 30.'


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ("", {"filtered-a", "filtered-b", "filtered-gone"}),
        ("lifecycleState:ACTIVE AND (id:filtered-*)", {"filtered-a", "filtered-b"}),
        ("id:filtered", set()),
        ("name:First", {"filtered-a"}),
        ('name="Second one" lifecycleState=ACTIVE', {"filtered-b"}),
        ("labels.color:*", {"filtered-a", "filtered-b"}),
        ("labels.color=red OR labels.color=green", {"filtered-a"}),
        ("id:filtered-* AND NOT (labels.color=blue)", {"filtered-a", "filtered-gone"}),
        ("id:filtered-* -labels.color=blue", {"filtered-a", "filtered-gone"}),
        ("lifecycleState:DELETE_REQUESTED", {"filtered-gone"}),
    ],
)
def test_filters_of_projects(session, filter, names):
    url = "https://cloudresourcemanager.googleapis.com/v1/projects"
    for name, title, color in (("a", "First", "red"), ("b", "Second one", "blue"), ("gone", "", "")):
        labels = {"color": color} if color else {}
        session.post(url, json={"projectId": f"filtered-{name}", "name": title, "labels": labels})
    session.delete(f"{url}/filtered-gone")
    found = session.get(url, params={"filter": filter}).json()["projects"]
    assert {one["projectId"] for one in found if one["projectId"].startswith("filtered-")} == names


@pytest.mark.parametrize("filter", ["id", "(id:x", "id:x)", "id:x OR", "NOT", "= x"])
def test_filters_of_projects_that_cannot_be(session, filter):
    answer = session.get("https://cloudresourcemanager.googleapis.com/v1/projects", params={"filter": filter})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, f"Invalid filter: {filter}")


def test_a_project_is_put_as_gcloud_does(session):
    url = "https://cloudresourcemanager.googleapis.com/v1/projects"
    session.post(url, json={"projectId": "put-project", "name": "Before"})
    body = session.get(f"{url}/put-project").json() | {"name": "After", "labels": {"a": "b"}}
    assert session.put(f"{url}/put-project", json=body).json()["name"] == "After"
    assert session.get(f"{url}/put-project").json()["labels"] == {"a": "b"}


def test_a_policy_has_the_version_that_its_conditions_ask_for(session):
    account = "https://iam.googleapis.com/v1/projects/test-project/serviceAccounts"
    session.post(account, json={"accountId": "versioned"})
    policy = f"{account}/versioned@test-project.iam.gserviceaccount.com"
    assert session.post(f"{policy}:getIamPolicy").json() == {"etag": "ACAB"}
    plain = {"role": "roles/iam.serviceAccountUser", "members": ["user:me@example.com"]}
    made = session.post(f"{policy}:setIamPolicy", json={"policy": {"version": 3, "bindings": [plain]}}).json()
    assert made["version"] == 1
    conditional = plain | {"condition": {"title": "t", "expression": "true"}}
    made = session.post(f"{policy}:setIamPolicy", json={"policy": {"version": 3, "bindings": [conditional]}}).json()
    assert made["version"] == 3
    typeless = {"role": "roles/iam.serviceAccountUser", "members": ["me@example.com"]}
    refused = session.post(f"{policy}:setIamPolicy", json={"policy": {"bindings": [typeless]}}).json()["error"]
    assert refused["details"][0]["fieldViolations"][0]["field"] == "policy.bindings.member"


def test_parts_of_answers(session):
    project = "https://cloudresourcemanager.googleapis.com/v3/projects/test-project"
    assert session.get(project, params={"fields": "projectId,state"}).json() == {
        "projectId": "test-project",
        "state": "ACTIVE",
    }
    made = session.post(f"{project}:testIamPermissions?$fields=none", json={"permissions": []})
    assert made.json() == {}
    accounts = "https://iam.googleapis.com/v1/projects/test-project/serviceAccounts"
    refused = session.post(accounts, params={"fields": "name,("}, json={"accountId": "never-made"})
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, "Invalid field selection (")
    found = session.get(accounts, params={"fields": "accounts/email"}).json()
    assert {"email": "owner@test-project.iam.gserviceaccount.com"} in found["accounts"]
    assert not any("never-made" in account["email"] for account in found["accounts"])
