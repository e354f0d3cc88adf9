"""Which roles, members, permissions and projects Google refuses, in its words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from clouds import LocalCloud, started
from localcloud import launch

MANAGER, IAM = "https://cloudresourcemanager.googleapis.com", "https://iam.googleapis.com/v1"
PUBSUB, STORAGE = "https://pubsub.googleapis.com/v1", "https://storage.googleapis.com/storage/v1"
REPOSITORIES = "https://artifactregistry.googleapis.com/v1/projects/ruled-project/locations/us-central1/repositories"
OWNER = "serviceAccount:owner@ruled-project.iam.gserviceaccount.com"
ACCOUNT = "projects/ruled-project/serviceAccounts/ruled-one@ruled-project.iam.gserviceaccount.com"


@pytest.fixture(scope="module")
def local_cloud(local_cloud: LocalCloud) -> LocalCloud:
    """A project of its own on it."""
    return started(local_cloud.root, "ruled-project")


@pytest.fixture(scope="module")
def session(local_cloud: LocalCloud) -> Iterator[Any]:
    """Its owner's."""
    with local_cloud.session() as made:
        yield made


@pytest.fixture(scope="module")
def policies(local_cloud: Any, session: Any) -> dict[str, Any]:
    """For each kind of resource a function that tries to grant a role to a member, and gives the answer."""
    local_cloud.enable("pubsub", "artifactregistry")
    local_cloud.account("ruled-one")
    assert session.post(f"{STORAGE}/b", params={"project": "ruled-project"}, json={"name": "ruled-bucket"}).ok
    assert session.put(f"{PUBSUB}/projects/ruled-project/topics/ruled", json={}).ok
    assert session.post(f"{REPOSITORIES}?repositoryId=ruled", json={"format": "DOCKER"}).ok

    def posted(url: str) -> Any:
        def grant(role: str, member: str) -> Any:
            before = session.post(f"{url}:getIamPolicy", json={"options": {"requestedPolicyVersion": 3}})
            policy = (before if before.ok else session.get(f"{url}:getIamPolicy")).json() | {"version": 3}
            bindings = [*policy.get("bindings", []), {"role": role, "members": [member]}]
            return session.post(f"{url}:setIamPolicy", json={"policy": policy | {"bindings": bindings}})

        return grant

    def on_bucket(role: str, member: str) -> Any:
        policy = session.get(f"{STORAGE}/b/ruled-bucket/iam").json()
        policy["bindings"].append({"role": role, "members": [member]})
        return session.put(f"{STORAGE}/b/ruled-bucket/iam", json=policy)

    return {
        "project": posted(f"{MANAGER}/v1/projects/ruled-project"),
        "bucket": on_bucket,
        "account": posted(f"{IAM}/{ACCOUNT}"),
        "topic": posted(f"{PUBSUB}/projects/ruled-project/topics/ruled"),
        "repository": posted(f"{REPOSITORIES}/ruled"),
    }


GRANTS = [
    ("project", "roles/storage.legacyBucketReader", False),
    ("project", "roles/storage.objectViewer", True),
    ("bucket", "roles/editor", False),
    ("bucket", "roles/storage.nobody", False),
    ("bucket", "roles/pubsub.publisher", False),
    ("bucket", "roles/storage.legacyObjectReader", True),
    ("account", "roles/storage.objectCreator", False),
    ("account", "roles/iam.serviceAccountUser", True),
    ("account", "roles/editor", True),
    ("topic", "roles/pubsub.subscriber", True),  # attachSubscription is asked on topics
    ("topic", "roles/logging.logWriter", False),
    ("repository", "roles/artifactregistry.writer", True),
    ("repository", "roles/aiplatform.user", False),
]


def test_roles_that_only_google_has_are_not_called_unknown(session: Any, policies: Any) -> None:
    for kind in ("project", "bucket"):
        answer = policies[kind]("roles/spanner.viewer", OWNER)
        told = (answer.status_code, answer.json()["error"]["message"])
        assert told == (501, "not emulated by the local cloud: roles/spanner.viewer")
    assert session.get(f"{IAM}/roles/spanner.viewer").status_code == 501
    assert session.get(f"{IAM}/roles/spanner.nobody").status_code == 404


@pytest.mark.parametrize(("kind", "role", "may"), GRANTS)
def test_a_role_is_granted_where_one_of_its_permissions_is_asked(
    policies: Any, kind: str, role: str, may: bool
) -> None:
    answer = policies[kind](role, OWNER)
    assert answer.ok is may, answer.text
    if not may:
        error = answer.json()["error"]
        assert (error["code"], error["message"]) == (400, f"Role {role} is not supported for this resource.")


def test_custom_roles_are_of_the_resources_project_and_apply_to_it(
    local_cloud: Any, session: Any, policies: Any
) -> None:
    def make(client: Any, project: str, role_id: str, *included: str) -> str:
        body = {"roleId": role_id, "role": {"title": role_id, "includedPermissions": list(included)}}
        answer = client.post(f"{IAM}/projects/{project}/roles", json=body)
        assert answer.ok, answer.text
        return answer.json()["name"]

    reads = make(session, "ruled-project", "ruledReads", "storage.objects.get", "storage.objects.list")
    logs = make(session, "ruled-project", "ruledLogs", "logging.logEntries.create")
    with started(local_cloud.root, "ruled-another").session() as other:
        theirs = make(other, "ruled-another", "ruledTheirs", "storage.objects.get")
    for role, may in ((reads, True), (logs, False), (theirs, False), (f"{reads}Not", False)):
        answer = policies["bucket"](role, OWNER)
        assert answer.ok is may, answer.text
        assert may or answer.json()["error"]["message"] == f"Role {role} is not supported for this resource."
    assert policies["project"](logs, OWNER).ok and not policies["project"](theirs, OWNER).ok


@pytest.mark.parametrize(
    "wrong", ["storage.objects.fly", "storage", "", "resourcemanager.projects.list", "resourcemanager.folders.get"]
)
def test_custom_roles_have_permissions_that_there_are(session: Any, wrong: str) -> None:
    role = {"title": "x", "includedPermissions": ["compute.instances.list", wrong]}
    answer = session.post(f"{IAM}/projects/ruled-project/roles", json={"roleId": "ruledWrong", "role": role})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, f"Permission {wrong} is not valid.")
    assert session.get(f"{IAM}/projects/ruled-project/roles/ruledWrong").status_code == 404


def test_a_custom_role_is_not_changed_into_one_that_cannot_be(session: Any) -> None:
    role = {"title": "x", "includedPermissions": ["storage.objects.get"]}
    url = f"{IAM}/projects/ruled-project/roles"
    assert session.post(url, json={"roleId": "ruledChanged", "role": role}).ok
    answer = session.patch(f"{url}/ruledChanged", json={"includedPermissions": ["storage.objects.fly"]})
    assert answer.json()["error"]["message"] == "Permission storage.objects.fly is not valid."
    assert session.patch(f"{url}/ruledChanged?updateMask=title", json={"title": "y"}).json()["title"] == "y"
    assert session.get(f"{url}/ruledChanged").json()["includedPermissions"] == ["storage.objects.get"]


MEMBERS = [
    ("project", "me@example.com", 'Policy members must be of the form "<type>:<value>".'),
    (
        "bucket",
        "me@example.com",
        "The member me@example.com is of an unknown type. Please set a valid type prefix for the member.",
    ),
    ("project", "allUsers", "Request contains an invalid argument."),
    ("project", "allAuthenticatedUsers", "Request contains an invalid argument."),
    ("project", "projectOwner:ruled-project", "Request contains an invalid argument."),
    ("project", "serviceAccount:somebody", "Service account somebody does not exist."),
    ("project", "serviceAccount:a@example.com", "Service account a@example.com does not exist."),
    (
        "bucket",
        "serviceAccount:x@p.iam.gserviceaccount.com",
        "Service account x@p.iam.gserviceaccount.com does not exist.",
    ),
    ("bucket", "allUsers", ""),
    ("bucket", "projectViewer:ruled-project", ""),
    ("project", "user:me@example.com", ""),
    ("project", "group:us@example.com", ""),
    ("project", "domain:example.com", ""),
    ("project", "serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com", ""),
    ("project", "serviceAccount:cloud-logs@system.gserviceaccount.com", ""),
    ("project", "serviceAccount:p.svc.id.goog[ns/name]", ""),
]


@pytest.mark.parametrize(("kind", "member", "words"), MEMBERS)
def test_members(policies: Any, kind: str, member: str, words: str) -> None:
    answer = policies[kind]("roles/storage.objectViewer", member)
    assert answer.ok is (not words), answer.text
    assert answer.ok or answer.json()["error"]["message"] == words


def test_owners_are_people_who_were_invited_and_never_none(session: Any, policies: Any) -> None:
    error = policies["project"]("roles/owner", "user:me@example.com").json()["error"]
    assert (error["code"], error["message"]) == (400, "Request contains an invalid argument.")
    (told,) = error["details"]
    assert (told["type"], told["member"], told["role"]) == (
        "SOLO_MUST_INVITE_OWNERS",
        "user:me@example.com",
        "roles/owner",
    )
    url = f"{MANAGER}/v1/projects/ruled-project"
    policy = session.post(f"{url}:getIamPolicy", json={"options": {"requestedPolicyVersion": 3}}).json()
    kept = [binding for binding in policy["bindings"] if binding["role"] != "roles/owner"]
    error = session.post(f"{url}:setIamPolicy", json={"policy": policy | {"bindings": kept}}).json()["error"]
    assert (error["code"], error["details"][0]["type"]) == (400, "SOLO_REQUIRE_TOS_ACCEPTOR")
    assert session.get(f"{MANAGER}/v3/projects/ruled-project").ok


def test_what_can_be_granted_and_permitted_is_told(local_cloud: Any) -> None:
    """With Google's own client, over gRPC."""
    done = local_cloud.run(
        """
        import json
        from google.api_core import exceptions
        from google.cloud import iam_admin_v1, resourcemanager_v3
        client = iam_admin_v1.IAMClient()
        bucket = "//storage.googleapis.com/projects/_/buckets/any"
        project = "//cloudresourcemanager.googleapis.com/projects/ruled-project"
        def roles(name):
            return [r.name for r in client.query_grantable_roles(request={"full_resource_name": name})]
        def permissions(name):
            asked = {"full_resource_name": name, "page_size": 1000}
            return [p.name for p in client.query_testable_permissions(request=asked)]
        said = {"bucket": roles(bucket), "project": roles(project), "tests": permissions(bucket)}
        try:
            roles("//storage.googleapis.com/nothing")
        except exceptions.InvalidArgument as error:
            said["wrong"] = error.message
        manager = resourcemanager_v3.ProjectsClient()
        policy = manager.get_iam_policy(resource="projects/ruled-project")
        policy.bindings.add(role="roles/owner", members=["user:me@example.com"])
        try:
            manager.set_iam_policy(request={"resource": "projects/ruled-project", "policy": policy})
        except exceptions.InvalidArgument as error:
            said["owner"] = error.message
        print(json.dumps(said))
        """
    )
    said = json.loads(done.stdout)
    assert "roles/storage.objectViewer" in said["bucket"] and "roles/storage.objectViewer" in said["project"]
    assert "roles/storage.legacyBucketReader" in said["bucket"]
    assert "roles/storage.legacyBucketReader" not in said["project"] and "roles/owner" in said["project"]
    assert not {"roles/owner", "roles/logging.logWriter"} & set(said["bucket"])
    assert "storage.objects.get" in said["tests"]
    assert not {"storage.buckets.create", "logging.logEntries.create"} & set(said["tests"])
    assert said["wrong"] == "Invalid resource name: //storage.googleapis.com/nothing"
    assert said["owner"] == "Request contains an invalid argument."


@pytest.mark.slow
def test_a_person_makes_as_many_projects_as_a_new_customer_may(new_cloud: Any) -> None:
    cloud = new_cloud()
    with cloud.session() as person:
        made = [
            person.post(f"{MANAGER}/v3/projects", json={"projectId": f"one-of-many-{number}"}).json()
            for number in range(12)
        ]
        assert ["error" in operation for operation in made] == [False] * 11 + [True]  # and the one that was there
        assert made[-1]["error"]["code"] == 8
        words = "The project cannot be created because you have exceeded your allotted project quota."
        assert made[-1]["error"]["message"] == words
        assert person.get(f"{MANAGER}/v3/projects/one-of-many-11").status_code == 403
        failed = cloud.run(
            """
            from google.api_core import exceptions
            from google.cloud import resourcemanager_v3
            try:
                resourcemanager_v3.ProjectsClient().create_project(project={"project_id": "one-too-many"}).result()
            except exceptions.ResourceExhausted as error:
                print(error.message)
            """
        )
        assert failed.stdout.strip() == words
        gone = person.delete(f"{MANAGER}/v3/projects/one-of-many-0").json()["response"]
        assert gone["deleteTime"] > gone["createTime"]
        assert "error" in person.post(f"{MANAGER}/v3/projects", json={"projectId": "after-a-deletion"}).json()
        launch.forward(cloud.root, 31 * 24 * 3600)
        assert "error" not in person.post(f"{MANAGER}/v3/projects", json={"projectId": "after-a-month"}).json()
