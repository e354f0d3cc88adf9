"""Ways to become somebody else, or to be let in after the end, that Google has closed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from google.auth.transport.requests import Request

from clouds import LocalCloud, started
from localcloud.iam import jwt

pytestmark = pytest.mark.slow

PROJECT = "projects/attacked-project"
MANAGER, IAM = "https://cloudresourcemanager.googleapis.com/v3", "https://iam.googleapis.com/v1"
BECOME = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
OWNER = "owner@attacked-project.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN = "https://oauth2.googleapis.com/token"


@pytest.fixture(scope="module")
def local_cloud(local_cloud: LocalCloud) -> LocalCloud:
    """A project of its own on it."""
    return started(local_cloud.root, "attacked-project")


@pytest.fixture(scope="module")
def session(local_cloud: LocalCloud) -> Iterator[Any]:
    """Its owner's."""
    with local_cloud.session() as made:
        yield made


def denied(permission: str) -> str:
    return f"Permission 'iam.serviceAccounts.{permission}' denied on resource (or it may not exist)."


def words(answer: Any) -> str:
    return "" if answer.ok else answer.json()["error"]["message"]


def let(local_cloud: Any, session: Any, who: str, become: str, role: str) -> None:
    binding = {"role": role, "members": [f"serviceAccount:{who}"]}
    answer = session.post(
        f"{IAM}/{PROJECT}/serviceAccounts/{become}:setIamPolicy", json={"policy": {"bindings": [binding]}}
    )
    assert answer.ok, answer.text


def test_a_chain_of_delegates_holds_by_each_of_its_links(local_cloud: Any, session: Any) -> None:
    first, second, third = (local_cloud.account(f"chain-{name}") for name in ("first", "second", "third"))
    role = "roles/iam.serviceAccountTokenCreator"
    let(local_cloud, session, first, second, role)
    let(local_cloud, session, second, third, role)
    with local_cloud.session(local_cloud.key(first)) as caller:

        def ask(*delegates: str) -> str:
            body = {"scope": [SCOPE], "delegates": [f"projects/-/serviceAccounts/{email}" for email in delegates]}
            return words(caller.post(f"{BECOME}/{third}:generateAccessToken", json=body))

        assert ask(second) == ""
        assert ask() == denied("getAccessToken")
        assert ask(third) == denied("implicitDelegation")
        assert ask(second, first) == denied("implicitDelegation")
        assert ask("nobody@attacked-project.iam.gserviceaccount.com") == denied("implicitDelegation")
        let(local_cloud, session, first, second, "roles/iam.serviceAccountUser")
        assert ask(second) == denied("implicitDelegation")


def test_tokens_live_an_hour_and_are_for_something(local_cloud: Any, session: Any) -> None:
    email = local_cloud.account("short-lived")
    let(
        local_cloud,
        session,
        "owner@attacked-project.iam.gserviceaccount.com",
        email,
        "roles/iam.serviceAccountTokenCreator",
    )
    url = f"{BECOME}/{email}:generateAccessToken"
    assert session.post(url, json={"scope": [SCOPE], "lifetime": "3600s"}).ok
    for wrong in ({"scope": [SCOPE], "lifetime": "3601s"}, {"scope": [SCOPE], "lifetime": "0s"}, {"lifetime": "60s"}):
        assert session.post(url, json=wrong).status_code == 400


def test_nobody_acts_as_googles_own_agents(local_cloud: Any, session: Any) -> None:
    """An owner may much with all accounts of the project; the agents are of Google's projects."""
    local_cloud.grant("roles/iam.serviceAccountTokenCreator")
    made = session.get("https://storage.googleapis.com/storage/v1/projects/attacked-project/serviceAccount")
    agent = made.json()["email_address"]
    assert agent.endswith("@gs-project-accounts.iam.gserviceaccount.com")
    url = f"{IAM}/{PROJECT}/serviceAccounts/{agent}"
    tries = [
        session.get(url),
        session.post(f"{url}/keys", json={}),
        session.post(f"{url}:setIamPolicy", json={"policy": {}}),
        session.post(f"{url}:disable", json={}),
        session.delete(url),
        session.post(f"{BECOME}/{agent}:generateAccessToken", json={"scope": [SCOPE]}),
        session.post(f"{BECOME}/{agent}:signBlob", json={"payload": "eA=="}),
    ]
    assert [answer.status_code for answer in tries] == [404] * len(tries)
    for taken in ("gs-project-accounts", "gcp-sa-aiplatform"):  # whose accounts would be the agents
        answer = session.post(f"{MANAGER}/projects", json={"projectId": taken})
        assert answer.status_code == 409


def test_a_job_runs_as_an_account_of_its_own_project(local_cloud: Any, session: Any) -> None:
    local_cloud.enable("aiplatform")
    lender = started(local_cloud.root, "lends-accounts")
    lent = lender.account("lent-one")
    lender_policy = {"bindings": [{"role": "roles/iam.serviceAccountUser", "members": [f"serviceAccount:{OWNER}"]}]}
    with lender.session() as theirs:
        name = f"{IAM}/projects/lends-accounts/serviceAccounts/{lent}"
        assert theirs.post(f"{name}:setIamPolicy", json={"policy": lender_policy}).ok
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "containerSpec": {"imageUri": "python:3.11"}}
    job = {"displayName": "x", "jobSpec": {"workerPoolSpecs": [pool | {"replicaCount": 1}]}}
    url = f"https://us-central1-aiplatform.googleapis.com/v1/{PROJECT}/locations/us-central1/customJobs"
    number = session.get(f"{MANAGER}/{PROJECT}").json()["name"].rpartition("/")[2]
    for email in (
        lent,
        f"service-{number}@gcp-sa-aiplatform-cc.iam.gserviceaccount.com",
    ):
        answer = session.post(url, json=job | {"jobSpec": job["jobSpec"] | {"serviceAccount": email}})
        told = f"You do not have permission to act as service_account: {email}. (or it may not exist)."
        assert (answer.status_code, words(answer)) == (400, told)


def test_a_disabled_key_and_a_disabled_account_sign_in_no_more(local_cloud: Any, session: Any) -> None:
    email = local_cloud.account("soon-disabled", "roles/viewer")
    key = local_cloud.key(email)
    account = f"{IAM}/{PROJECT}/serviceAccounts/{email}"
    with local_cloud.session(key) as bought, local_cloud.session(key, self_signed=True) as signed:
        switches = [
            (f"{account}/keys/{key['private_key_id']}", "invalid_grant: Invalid JWT Signature."),
            (account, "invalid_grant: Invalid grant: account not found"),
        ]
        for switch, told in switches:
            assert bought.get(f"{MANAGER}/{PROJECT}").ok and signed.get(f"{MANAGER}/{PROJECT}").ok
            assert session.post(f"{switch}:disable", json={}).ok
            assert session.get(switch).json()["disabled"] is True
            with local_cloud.plain_session() as plain:
                for client in (bought, signed):
                    header = {"Authorization": f"Bearer {client.credentials.token}"}
                    assert plain.get(f"{MANAGER}/{PROJECT}", headers=header).status_code == 401
                with pytest.raises(Exception, match=told):
                    bought.credentials.refresh(Request(plain))
            assert session.post(f"{switch}:enable", json={}).ok
            assert bought.get(f"{MANAGER}/{PROJECT}").ok and signed.get(f"{MANAGER}/{PROJECT}").ok
        assert session.delete(f"{account}/keys/{key['private_key_id']}").ok
        assert session.post(f"{account}/keys/{key['private_key_id']}:enable", json={}).status_code == 404


def test_a_self_signed_token_is_good_for_the_api_that_it_names(local_cloud: Any) -> None:
    key = json.loads((local_cloud.root / "projects" / "attacked-project" / "key.json").read_text(encoding="utf-8"))

    def token(audience: str) -> dict[str, str]:
        claims = {"iss": key["client_email"], "sub": key["client_email"], "aud": audience}
        claims |= {"iat": int(time.time()), "exp": int(time.time()) + 600}
        private = jwt.load_private_pem(key["private_key"])
        return {"Authorization": f"Bearer {jwt.sign(claims, private, key['private_key_id'])}"}

    buckets = "https://storage.googleapis.com/storage/v1/b?project=attacked-project"
    jobs = f"https://us-central1-aiplatform.googleapis.com/v1/{PROJECT}/locations/us-central1/customJobs"
    local_cloud.enable("aiplatform")
    with local_cloud.plain_session() as plain:
        assert plain.get(buckets, headers=token("https://storage.googleapis.com/")).ok
        assert plain.get(jobs, headers=token("https://aiplatform.googleapis.com/")).ok
        for url, audience in ((buckets, "https://logging.googleapis.com/"), (jobs, "https://storage.googleapis.com/")):
            assert plain.get(url, headers=token(audience)).status_code == 401


def test_who_may_use_a_project_cannot_grant_itself_more(local_cloud: Any, session: Any) -> None:
    """A submitter, as `up` makes it: no way to owner, to keys, to another account, to another's role."""
    email = local_cloud.account("only-submits", "roles/aiplatform.user", "roles/logging.viewer")
    owner = OWNER
    grab = {"policy": {"bindings": [{"role": "roles/owner", "members": [f"serviceAccount:{email}"]}]}}
    role = {
        "roleId": "grabbed",
        "role": {"title": "x", "includedPermissions": ["resourcemanager.projects.setIamPolicy"]},
    }
    with local_cloud.session(local_cloud.key(email)) as submitter:
        tries = [
            submitter.post(f"{MANAGER}/{PROJECT}:setIamPolicy", json=grab),
            submitter.post(f"{IAM}/{PROJECT}/serviceAccounts/{owner}:setIamPolicy", json=grab),
            submitter.post(f"{IAM}/{PROJECT}/serviceAccounts/{email}:setIamPolicy", json=grab),
            submitter.post(f"{IAM}/{PROJECT}/serviceAccounts/{owner}/keys", json={}),
            submitter.post(f"{IAM}/{PROJECT}/serviceAccounts/{email}/keys", json={}),
            submitter.post(f"{IAM}/{PROJECT}/roles", json=role),
            submitter.post(f"{BECOME}/{owner}:generateAccessToken", json={"scope": [SCOPE]}),
            submitter.post(f"{BECOME}/{owner}:signJwt", json={"payload": "{}"}),
            submitter.post(f"{BECOME}/{email}:generateAccessToken", json={"scope": [SCOPE]}),
        ]
    assert [answer.status_code for answer in tries] == [403] * len(tries)


def test_no_role_on_the_project_lets_one_act_as_the_person_who_owns_it(local_cloud: Any, session: Any) -> None:
    """On Google the owner is no service account: jobs have Vertex AI's agent, which may act as all of those."""
    owner, robot = OWNER, local_cloud.account("no-person")
    roles = ("roles/editor", "roles/owner", "roles/aiplatform.customCodeServiceAgent")
    email = local_cloud.account("acts-as-all", *roles, "roles/iam.serviceAccountTokenCreator")
    with local_cloud.session(local_cloud.key(email)) as caller:
        for who, codes in ((robot, {200}), (owner, {403})):
            account = f"{IAM}/{PROJECT}/serviceAccounts/{who}"
            tries = [
                caller.post(f"{BECOME}/{who}:generateAccessToken", json={"scope": [SCOPE]}),
                caller.post(f"{BECOME}/{who}:signJwt", json={"payload": "{}"}),
                caller.post(f"{account}/keys", json={}),
                caller.post(f"{account}:setIamPolicy", json={"policy": {}}),
                caller.post(f"{account}:disable", json={}),
            ]
            assert {answer.status_code for answer in tries} == codes
            assert caller.get(account).ok and caller.get(f"{account}/keys").ok
    url = f"{IAM}/{PROJECT}/serviceAccounts/{owner}"
    assert session.get(url).ok and session.get(f"{MANAGER}/{PROJECT}").ok


SCOPED = [
    ("devstorage.read_only", "GET", "https://storage.googleapis.com/storage/v1/b?project=attacked-project", True),
    ("devstorage.read_only", "POST", "https://storage.googleapis.com/storage/v1/b?project=attacked-project", False),
    ("devstorage.full_control", "GET", f"{MANAGER}/{PROJECT}", False),
    ("cloudplatformprojects.readonly", "GET", f"{MANAGER}/{PROJECT}", True),
    ("cloudplatformprojects.readonly", "POST", f"{MANAGER}/projects", False),
    ("cloud-platform.read-only", "GET", f"{MANAGER}/{PROJECT}", True),
    ("cloud-platform.read-only", "POST", f"{IAM}/{PROJECT}/serviceAccounts", False),
    ("logging.write", "POST", "https://logging.googleapis.com/v2/entries:write", True),
    ("logging.write", "POST", "https://logging.googleapis.com/v2/entries:list", False),
    ("userinfo.email", "GET", "https://openidconnect.googleapis.com/v1/userinfo", True),
    ("userinfo.email", "GET", f"{MANAGER}/{PROJECT}", False),
]


@pytest.mark.parametrize(("scope", "verb", "url", "may"), SCOPED)
def test_a_token_reaches_as_far_as_its_scopes(local_cloud: Any, scope: str, verb: str, url: str, may: bool) -> None:
    entry = {"logName": f"{PROJECT}/logs/scoped", "resource": {"type": "global"}, "textPayload": "x"}
    body = {"entries": [entry]} if url.endswith("write") else {"resourceNames": [PROJECT]} if "logging" in url else {}
    with local_cloud.session(self_signed=verb == "GET") as client:
        client.credentials = client.credentials.with_scopes([f"https://www.googleapis.com/auth/{scope}"])
        answer = client.request(verb, url, json=body if verb == "POST" else None)
    assert answer.ok is may, answer.text
    if not may:
        assert words(answer) == "Request had insufficient authentication scopes."
        assert (answer.status_code, "insufficient_scope" in answer.headers["WWW-Authenticate"]) == (403, True)


def test_scopes_are_heard_over_grpc_in_a_batch_and_by_pulumis_provider(local_cloud: Any) -> None:
    done = local_cloud.run(
        """
        import google.auth, os
        from google.api_core import exceptions
        from google.cloud import resourcemanager_v3, storage
        path = os.environ["GOOGLE_APPLICATION_CREDENTIALS"]
        def scoped(name):
            return google.auth.load_credentials_from_file(path, [f"https://www.googleapis.com/auth/{name}"])[0]
        try:
            manager = resourcemanager_v3.ProjectsClient(credentials=scoped("devstorage.read_only"))
            manager.get_project(name="projects/attacked-project")
        except exceptions.PermissionDenied as error:
            print(error.message, error.reason)
        bucket = storage.Client().create_bucket("scoped-in-a-batch", location="us-central1")
        bucket.blob("x").upload_from_string("x")
        reads = storage.Client(credentials=scoped("devstorage.read_only"))
        try:
            with reads.batch():
                reads.bucket(bucket.name).blob("x").delete()
        except exceptions.Forbidden as error:
            print("insufficient authentication scopes" in error.message)
        print(reads.bucket(bucket.name).blob("x").download_as_bytes())
        """
    )
    assert done.stdout.splitlines() == [
        "Request had insufficient authentication scopes. ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "True",
        "b'x'",
    ]
