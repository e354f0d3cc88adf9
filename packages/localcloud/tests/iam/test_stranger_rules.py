"""Rights that are easy to forget: of operations, projects that are charged, budgets that move, old policies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc as services

from localcloud import launch

pytestmark = pytest.mark.slow

ACCOUNT = "billingAccounts/10CA1C-10D000-000001"  # which pays for the project
BUDGETS = "https://billingbudgets.googleapis.com/v1"
STORAGE = "https://storage.googleapis.com/storage/v1"
PUBSUB = "https://pubsub.googleapis.com/v1/projects/test-project"
VERTEX = "https://us-central1-aiplatform.googleapis.com/v1"
PLACE = "projects/test-project/locations/us-central1"


@pytest.fixture(scope="module")
def other(local_cloud: Any) -> Any:
    """Another project, in which the accounts of the first may do nothing."""
    launch.start(local_cloud.root, local_cloud.root / "envs", ["strangers-payer"])
    made = type(local_cloud)(local_cloud.root, "strangers-payer")
    made.enable("aiplatform", "pubsub")
    return made


@pytest.fixture(scope="module", autouse=True)
def apis(local_cloud: Any) -> None:
    local_cloud.enable("aiplatform", "pubsub", "billingbudgets")


def info_of(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 403, answer.text
    return next(one for one in answer.json()["error"]["details"] if "reason" in one)


def test_who_may_look_at_operations_deletes_none(local_cloud: Any, session: Any) -> None:
    looker = local_cloud.session(local_cloud.key(local_cloud.account("op-looker", "roles/aiplatform.viewer")))
    operation = session.post(f"{VERTEX}/{PLACE}/endpoints", json={"displayName": "looked-at"}).json()["name"]
    assert looker.get(f"{VERTEX}/{operation}").json()["done"]
    assert looker.post(f"{VERTEX}/{operation}:wait", json={}).ok
    info = info_of(looker.delete(f"{VERTEX}/{operation}"))
    assert info["metadata"]["permission"] == "aiplatform.endpoints.delete"
    assert session.delete(f"{VERTEX}/{operation}").ok
    assert session.get(f"{VERTEX}/{operation}").status_code == 404
    session.delete(f"{VERTEX}/{operation.partition('/operations/')[0]}").raise_for_status()


def test_an_operation_is_found_by_the_api_that_began_it(local_cloud: Any) -> None:
    """Over gRPC all APIs have them under one path: what has read one of Vertex AI before must not stand in the way."""
    done = local_cloud.run(
        """
        from google.cloud import aiplatform_v1, resourcemanager_v3
        from google.api_core.client_options import ClientOptions
        from google.longrunning.operations_pb2 import GetOperationRequest
        options = ClientOptions(api_endpoint="us-central1-aiplatform.googleapis.com")
        made = aiplatform_v1.EndpointServiceClient(client_options=options).create_endpoint(
            parent="projects/test-project/locations/us-central1", endpoint={"display_name": "first"})
        made.result()
        client = resourcemanager_v3.ProjectsClient()
        project = client.update_project(project={"name": "projects/test-project", "display_name": "renamed"})
        name = project.operation.name
        print(client.get_operation(GetOperationRequest(name=name)).done)
        """
    )
    assert done.stdout.split() == ["True"]


CHARGED = [
    ("GET", f"{VERTEX}/{PLACE}/customJobs", "aiplatform.googleapis.com"),
    ("POST", "https://logging.googleapis.com/v2/entries:list", "logging.googleapis.com"),
    ("GET", f"{PUBSUB}/topics", "pubsub.googleapis.com"),
    ("GET", "https://iam.googleapis.com/v1/projects/test-project/serviceAccounts", "iam.googleapis.com"),
]


@pytest.mark.parametrize(("method", "url", "service"), CHARGED, ids=[service for _, _, service in CHARGED])
def test_a_call_is_charged_to_no_project_that_its_caller_may_not_use(
    session: Any, other: Any, method: str, url: str, service: str
) -> None:
    body = {"resourceNames": ["projects/test-project"]} if method == "POST" else None
    for charged in (other.project, "no-such-project"):
        answer = session.request(method, url, json=body, headers={"x-goog-user-project": charged})
        info = info_of(answer)
        assert (info["reason"], info["metadata"]["service"]) == ("USER_PROJECT_DENIED", service)
    assert session.request(method, url, json=body, headers={"x-goog-user-project": "test-project"}).ok


def test_over_grpc_neither(local_cloud: Any, other: Any) -> None:
    done = local_cloud.run(
        """
        from google.api_core.client_options import ClientOptions
        from google.api_core.exceptions import PermissionDenied
        from google.cloud import aiplatform_v1, logging_v2, pubsub_v1
        def charged(**more):
            return {"client_options": ClientOptions(quota_project_id="strangers-payer", **more)}
        vertex = charged(api_endpoint="us-central1-aiplatform.googleapis.com")
        where = "projects/test-project"
        from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
        calls = [
            lambda: aiplatform_v1.JobServiceClient(**vertex).list_custom_jobs(parent=where + "/locations/us-central1"),
            lambda: LoggingServiceV2Client(**charged()).list_log_entries(resource_names=[where]),
            lambda: pubsub_v1.PublisherClient(**charged()).list_topics(project=where),
        ]
        for call in calls:
            try:
                list(call())
                print("answered")
            except PermissionDenied as error:
                print(error.reason)
        """
    )
    assert done.stdout.split() == ["USER_PROJECT_DENIED"] * 3


def test_storage_charges_no_project_that_its_caller_may_not_use(session: Any, other: Any) -> None:
    session.post(f"{STORAGE}/b?project=test-project", json={"name": "rules-charged"}).raise_for_status()
    for extra in ({"params": {"userProject": other.project}}, {"headers": {"x-goog-user-project": other.project}}):
        refused = session.get(f"{STORAGE}/b/rules-charged", **extra)
        assert refused.status_code == 403, refused.text
        assert "does not have serviceusage.services.use access" in refused.json()["error"]["message"]
    assert session.get(f"{STORAGE}/b/rules-charged", params={"userProject": "test-project"}).ok


def test_a_budget_of_one_project_becomes_none_of_another(local_cloud: Any, session: Any, other: Any) -> None:
    editor = local_cloud.session(local_cloud.key(local_cloud.account("budget-mover", "roles/editor")))
    budget = {"amount": {"specifiedAmount": {"units": "10"}}, "budgetFilter": {"projects": ["projects/test-project"]}}
    made = editor.post(f"{BUDGETS}/{ACCOUNT}/budgets", json=budget)
    assert made.ok, made.text
    url = f"{BUDGETS}/{made.json()['name']}"
    for change in ({"budgetFilter": {"projects": [f"projects/{other.project}"]}}, {"budgetFilter": {}}, {}):
        info = info_of(editor.patch(url, params={"updateMask": "budgetFilter"}, json=change))
        assert info["metadata"]["permission"] == "billing.budgets.update"
    assert session.get(url).json()["budgetFilter"]["projects"] == made.json()["budgetFilter"]["projects"]
    assert editor.patch(url, params={"updateMask": "displayName"}, json={"displayName": "mine"}).ok
    assert editor.delete(url).ok


def test_who_may_not_grant_on_a_topic_lets_no_budget_publish_there(local_cloud: Any, session: Any) -> None:
    editor = local_cloud.session(local_cloud.key(local_cloud.account("topic-borrower", "roles/editor")))
    session.put(f"{PUBSUB}/topics/rules-budgets", json={}).raise_for_status()
    topic = {"notificationsRule": {"pubsubTopic": "projects/test-project/topics/rules-budgets"}}
    budget = {"amount": {"specifiedAmount": {"units": "10"}}, "budgetFilter": {"projects": ["projects/test-project"]}}
    info = info_of(editor.post(f"{BUDGETS}/{ACCOUNT}/budgets", json=budget | topic))
    assert info["metadata"]["permission"] == "pubsub.topics.setIamPolicy"
    made = editor.post(f"{BUDGETS}/{ACCOUNT}/budgets", json=budget).json()["name"]
    assert info_of(editor.patch(f"{BUDGETS}/{made}", json=topic)) == info
    assert session.get(f"{PUBSUB}/topics/rules-budgets:getIamPolicy").json().get("bindings", []) == []
    assert session.patch(f"{BUDGETS}/{made}", json=topic).ok
    assert editor.patch(f"{BUDGETS}/{made}", json={"displayName": "the topic is as it was"}).ok
    assert editor.delete(f"{BUDGETS}/{made}").ok


CONDITION = {"title": "for a while", "expression": 'request.time < timestamp("2100-01-01T00:00:00Z")'}


def test_who_asks_for_an_old_policy_of_a_topic_is_not_shown_conditions(session: Any) -> None:
    session.put(f"{PUBSUB}/topics/rules-topic", json={}).raise_for_status()
    url = f"{PUBSUB}/topics/rules-topic"
    member = "serviceAccount:owner@test-project.iam.gserviceaccount.com"
    binding = {"role": "roles/pubsub.viewer", "members": [member], "condition": CONDITION}
    session.post(f"{url}:setIamPolicy", json={"policy": {"version": 3, "bindings": [binding]}}).raise_for_status()
    old = session.get(f"{url}:getIamPolicy").json()
    assert old["version"] == 1
    assert old["bindings"][0]["role"].startswith("roles/pubsub.viewer_withcond_")
    assert "condition" not in old["bindings"][0]
    new = session.get(f"{url}:getIamPolicy", params={"options.requestedPolicyVersion": 3}).json()
    assert (new["version"], new["bindings"][0]["condition"]) == (3, CONDITION)


def test_who_asks_for_an_old_policy_of_a_bucket_neither(local_cloud: Any, session: Any) -> None:
    body = {"name": "rules-policy", "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}}}
    session.post(f"{STORAGE}/b?project=test-project", json=body).raise_for_status()
    done = local_cloud.run(
        """
        import json
        from google.cloud import storage
        bucket = storage.Client(project="test-project").bucket("rules-policy")
        policy = bucket.get_iam_policy(requested_policy_version=3)
        policy.version = 3
        condition = {"title": "c", "expression": 'request.time < timestamp("2100-01-01T00:00:00Z")'}
        who = {"serviceAccount:owner@test-project.iam.gserviceaccount.com"}
        policy.bindings.append({"role": "roles/storage.objectViewer", "members": who, "condition": condition})
        bucket.set_iam_policy(policy)
        found = [bucket.get_iam_policy(requested_policy_version=version) for version in (1, 3)]
        print(json.dumps([[p.version, [b["role"] for b in p.bindings if b.get("condition")]] for p in found]))
        """
    )
    assert json.loads(done.stdout) == [[1, []], [3, ["roles/storage.objectViewer"]]]


@contextmanager
def provider(cloud: Any) -> Iterator[services.ResourceProviderStub]:
    token = cloud.token()
    with grpc.insecure_channel(f"127.0.0.1:{cloud.server['provider']}") as channel:
        stub = services.ResourceProviderStub(channel)
        given = struct({"accessToken": token, "project": "test-project", "region": "us-central1"})
        stub.Configure(pb.ConfigureRequest(args=given), timeout=60)
        yield stub


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


def test_the_provider_makes_buckets_whose_objects_are_kept_and_soft_deletes_them(
    local_cloud: Any, session: Any
) -> None:
    urn = "urn:pulumi:dev::p::gcp:storage/bucket:Bucket::x"
    inputs = {"name": "rules-kept", "location": "us-central1", "enableObjectRetention": True, "forceDestroy": True}
    inputs["softDeletePolicy"] = {"retentionDurationSeconds": 7 * 86_400}
    with provider(local_cloud) as stub:
        made = stub.Create(pb.CreateRequest(urn=urn, properties=struct(inputs)), timeout=60)
        assert made.properties["enableObjectRetention"] is True
        assert session.get(f"{STORAGE}/b/rules-kept").json()["objectRetention"] == {"mode": "Enabled"}
        upload = "https://storage.googleapis.com/upload/storage/v1/b/rules-kept/o?uploadType=media&name=kept"
        session.post(upload, data=b"bytes").raise_for_status()
        stub.Delete(pb.DeleteRequest(id=made.id, urn=urn, properties=made.properties), timeout=60)
    assert session.get(f"{STORAGE}/b/rules-kept").status_code == 404
    gone = session.get(f"{STORAGE}/b", params={"project": "test-project", "softDeleted": "true"}).json()["items"]
    assert "rules-kept" in [bucket["name"] for bucket in gone]
