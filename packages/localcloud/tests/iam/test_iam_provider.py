"""Pulumi's provider does what the account of its token may, and tells the rest in Google's words."""

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

from clouds import started

IAM = "https://iam.googleapis.com/v1/projects/test-project/serviceAccounts"


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


@contextmanager
def provider(cloud: Any, token: str, **more: str) -> Iterator[services.ResourceProviderStub]:
    with grpc.insecure_channel(f"127.0.0.1:{cloud.server['provider']}") as channel:
        stub = services.ResourceProviderStub(channel)
        given = struct({"accessToken": token, "project": "test-project", "region": "us-central1", **more})
        stub.Configure(pb.ConfigureRequest(args=given), timeout=60)
        yield stub


@pytest.fixture(scope="module")
def token(local_cloud: Any) -> str:
    """Of an account that may look at the project and do nothing else."""
    local_cloud.enable("artifactregistry", "monitoring", "cloudquotas", "billingbudgets")
    return local_cloud.token(local_cloud.key(local_cloud.account("looker", "roles/viewer")))


PROJECT = "projects/test-project"
OTHER = "serviceAccount:looker@test-project.iam.gserviceaccount.com"
CREATES = [
    (
        "storage/bucket:Bucket",
        {"name": "not-to-be", "location": "us-central1"},
        "looker@test-project.iam.gserviceaccount.com does not have storage.buckets.create access to the Google Cloud "
        "project. Permission 'storage.buckets.create' denied on resource (or it may not exist)., forbidden",
    ),
    (
        "serviceaccount/account:Account",
        {"accountId": "not-to-be"},
        "Permission 'iam.serviceAccounts.create' denied on resource (or it may not exist)., forbidden",
    ),
    (
        "projects/iAMMember:IAMMember",
        {"project": "test-project", "role": "roles/owner", "member": OTHER},
        "Permission 'resourcemanager.projects.setIamPolicy' denied on resource "
        f"'//cloudresourcemanager.googleapis.com/{PROJECT}' (or it may not exist)., forbidden",
    ),
    (
        "artifactregistry/repository:Repository",
        {"repositoryId": "not-to-be", "location": "us-central1", "format": "DOCKER"},
        "Permission 'artifactregistry.repositories.create' denied on resource "
        f"'//artifactregistry.googleapis.com/{PROJECT}'",
    ),
    (
        "monitoring/notificationChannel:NotificationChannel",
        {"type": "email", "labels": {"email_address": "me@example.com"}},
        "Permission monitoring.notificationChannels.create denied (or the resource may not exist)., forbidden",
    ),
    (
        "projects/service:Service",
        {"service": "pubsub.googleapis.com"},
        "Permission 'serviceusage.services.enable' denied",
    ),
    (
        "logging/projectExclusion:ProjectExclusion",
        {"name": "x", "filter": "a"},
        "Permission 'logging.exclusions.create'",
    ),
    (
        "billing/budget:Budget",
        {"billingAccount": "012345-6789AB-CDEF01", "amount": {"specifiedAmount": {"units": "5"}}},
        "Permission 'billing.budgets.create' denied on resource "
        "'//billingbudgets.googleapis.com/billingAccounts/012345-6789AB-CDEF01'",
    ),
]


@pytest.mark.parametrize(("token_of_kind", "inputs", "words"), CREATES, ids=[kind for kind, _, _ in CREATES])
def test_what_the_account_may_not_make(
    local_cloud: Any, token: str, token_of_kind: str, inputs: dict[str, Any], words: str
) -> None:
    request = pb.CreateRequest(urn=f"urn:pulumi:dev::p::gcp:{token_of_kind}::x", properties=struct(inputs))
    with provider(local_cloud, token) as stub, pytest.raises(grpc.RpcError) as refused:
        stub.Create(request, timeout=60)
    told = refused.value.details()  # type: ignore[attr-defined]
    assert str(told).startswith(f"googleapi: Error 403: {words}")


def test_what_the_account_may_not_take_away_or_look_up(local_cloud: Any, token: str) -> None:
    owner = local_cloud.token()
    urn = "urn:pulumi:dev::p::gcp:storage/bucket:Bucket::x"
    inputs = struct({"name": "test-project-kept", "location": "us-central1"})
    with provider(local_cloud, owner) as stub:
        made = stub.Create(pb.CreateRequest(urn=urn, properties=inputs), timeout=60)
    delete = pb.DeleteRequest(id=made.id, urn=urn, properties=made.properties)
    with provider(local_cloud, token) as stub:
        with pytest.raises(grpc.RpcError, match=r"does not have storage\.buckets\.delete access"):
            stub.Delete(delete, timeout=60)
        account = struct({"billingAccount": "012345-6789AB-CDEF01"})
        look = pb.InvokeRequest(tok="gcp:organizations/getBillingAccount:getBillingAccount", args=account)
        with pytest.raises(grpc.RpcError, match=r"403: Permission 'billing\.accounts\.get' denied"):
            stub.Invoke(look, timeout=60)
        stub.Invoke(pb.InvokeRequest(tok="gcp:organizations/getProject:getProject", args=struct({})), timeout=60)
    with provider(local_cloud, owner) as stub:
        stub.Delete(delete, timeout=60)


def test_googles_own_account_is_made_before_it_is_needed(local_cloud: Any, token: str) -> None:
    urn = "urn:pulumi:dev::p::gcp:projects/serviceIdentity:ServiceIdentity::x"
    request = pb.CreateRequest(urn=urn, properties=struct({"service": "aiplatform.googleapis.com"}))
    with provider(local_cloud, token) as stub, pytest.raises(grpc.RpcError, match=r"serviceusage\.services\.enable"):
        stub.Create(request, timeout=60)
    with provider(local_cloud, local_cloud.token()) as stub:
        made = stub.Create(request, timeout=60)
        told = stub.Read(pb.ReadRequest(id=made.id, urn=urn, properties=made.properties), timeout=60)
    assert made.properties["email"].endswith("@gcp-sa-aiplatform.iam.gserviceaccount.com")
    assert told.properties["member"] == f"serviceAccount:{made.properties['email']}"


def test_a_person_names_the_project_that_budgets_are_charged_to(local_cloud: Any, token: str) -> None:
    """As `user_project_override` and `billing_project` of a program do."""
    adc = json.loads((local_cloud.root / "projects" / "test-project" / "adc.json").read_text(encoding="utf-8"))
    fields = {name: adc[name] for name in ("client_id", "refresh_token")} | {"grant_type": "refresh_token"}
    person = local_cloud.plain_session().post("https://oauth2.googleapis.com/token", data=fields).json()["access_token"]
    budget = struct({"billingAccount": "012345-6789AB-CDEF01", "amount": {"specifiedAmount": {"units": "5"}}})
    request = pb.CreateRequest(urn="urn:pulumi:dev::p::gcp:billing/budget:Budget::x", properties=budget)
    with provider(local_cloud, person) as stub:
        with pytest.raises(grpc.RpcError, match=r"billingbudgets\.googleapis\.com API requires a quota project"):
            stub.Create(request, timeout=60)
        quotas = struct({"parent": "projects/test-project", "service": "aiplatform.googleapis.com"})
        look = pb.InvokeRequest(tok="gcp:cloudquota/getSQuotaInfos:getSQuotaInfos", args=quotas)
        with pytest.raises(grpc.RpcError, match=r"cloudquotas\.googleapis\.com API requires a quota project"):
            stub.Invoke(look, timeout=60)
    with provider(local_cloud, person, userProjectOverride="true", billingProject="test-project") as stub:
        made = stub.Create(request, timeout=60)
        stub.Delete(pb.DeleteRequest(id=made.id, urn=request.urn, properties=made.properties), timeout=60)


def refusal(stub: services.ResourceProviderStub, verb: str, kind: str, resource_id: str, values: dict[str, Any]) -> str:
    """How the provider refuses to read, update or delete a resource by its id; fails when it does not."""
    urn = f"urn:pulumi:dev::p::gcp:{kind}::x"
    given = struct(values)
    requests = {
        "Read": pb.ReadRequest(id=resource_id, urn=urn, properties=given),
        "Update": pb.UpdateRequest(id=resource_id, urn=urn, olds=given, news=given),
        "Delete": pb.DeleteRequest(id=resource_id, urn=urn, properties=given),
    }
    with pytest.raises(grpc.RpcError) as refused:
        getattr(stub, verb)(requests[verb], timeout=60)
    return str(refused.value.details())  # type: ignore[attr-defined]


ANOTHER = "projects/provider-attacked"
ATTACKS = [
    ("monitoring/alertPolicy:AlertPolicy", f"{ANOTHER}/alertPolicies/1", "monitoring.alertPolicies"),
    ("monitoring/notificationChannel:NotificationChannel", f"{ANOTHER}/notificationChannels/1", "monitoring.notif"),
    ("logging/projectSink:ProjectSink", f"{ANOTHER}/sinks/x", "logging.sinks"),
    (
        "logging/projectBucketConfig:ProjectBucketConfig",
        f"{ANOTHER}/locations/global/buckets/_Default",
        "logging.buckets",
    ),
    ("artifactregistry/repository:Repository", f"{ANOTHER}/locations/us-central1/repositories/x", "artifactregistry."),
    ("projects/iAMCustomRole:IAMCustomRole", f"{ANOTHER}/roles/one", "iam.roles"),
    (
        "serviceaccount/account:Account",
        f"{ANOTHER}/serviceAccounts/a@provider-attacked.iam.gserviceaccount.com",
        "iam.",
    ),
    ("projects/iAMMember:IAMMember", f"provider-attacked/roles/owner/{OTHER}", "resourcemanager.projects"),
    ("cloudquota/sQuotaPreference:SQuotaPreference", f"{ANOTHER}/locations/global/quotaPreferences/x", "cloudquotas."),
]


@pytest.mark.parametrize(("kind", "resource_id", "permission"), ATTACKS, ids=[kind for kind, _, _ in ATTACKS])
def test_what_an_id_names_is_what_is_asked_for(
    local_cloud: Any, attacker: str, kind: str, resource_id: str, permission: str
) -> None:
    """Inputs that name a project of one's own do not open another's."""
    own = {"project": "test-project", "parent": PROJECT, "role": "roles/owner", "member": OTHER, "name": "x"}
    with provider(local_cloud, attacker) as stub:
        for verb in ("Read", "Delete") if "iAMMember" in kind or "Quota" in kind else ("Read", "Update", "Delete"):
            if "Quota" in kind and verb == "Delete":
                continue  # it is only forgotten
            assert f"Error 403: Permission {permission}" in refusal(stub, verb, kind, resource_id, own).replace(
                "'", ""
            ), verb


@pytest.fixture(scope="module")
def attacker(local_cloud: Any) -> str:
    """A token of the owner of test-project; there is another project, in which it may nothing."""
    started(local_cloud.root, "provider-attacked")
    return local_cloud.token()


def test_an_id_is_of_its_kind(local_cloud: Any, attacker: str) -> None:
    """Else a right to delete one kind would be one to delete everything."""
    wrong = [
        ("monitoring/alertPolicy:AlertPolicy", f"{PROJECT}/locations/us-central1/repositories/x"),
        ("monitoring/notificationChannel:NotificationChannel", "billingAccounts/012345-6789AB-CDEF01/budgets/1"),
        ("projects/iAMCustomRole:IAMCustomRole", "accounts/owner@test-project.iam.gserviceaccount.com"),
        ("billing/budget:Budget", f"{PROJECT}/alertPolicies/1"),
        ("projects/iAMMember:IAMMember", "nothing"),
    ]
    with provider(local_cloud, attacker) as stub:
        for kind, resource_id in wrong:
            told = refusal(stub, "Read", kind, resource_id, {"project": "test-project", "billingAccount": "x"})
            assert told.startswith(f"'{resource_id}' isn't"), told


def test_pulumi_is_refused_a_condition_where_other_clients_are(local_cloud: Any) -> None:
    owner = local_cloud.token()
    bucket = "test-project-without-uniform-access"
    condition = {"title": "always", "expression": "true"}
    given = {"bucket": bucket, "role": "roles/storage.objectViewer", "member": "user:me@example.com"}
    urn = "urn:pulumi:dev::p::gcp:storage/bucketIAMMember:BucketIAMMember::x"
    request = pb.CreateRequest(urn=urn, properties=struct(given | {"condition": condition}))
    with local_cloud.session() as session, provider(local_cloud, owner) as stub:
        url = "https://storage.googleapis.com/storage/v1/b"
        assert session.post(f"{url}?project=test-project", json={"name": bucket}).ok
        with pytest.raises(grpc.RpcError, match="first enable uniform bucket-level access"):
            stub.Create(request, timeout=60)
        assert session.delete(f"{url}/{bucket}").ok
