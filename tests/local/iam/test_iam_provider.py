"""Pulumi's provider does what the account of its token may, and tells the rest in Google's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc as services

IAM = "https://iam.googleapis.com/v1/projects/test-project/serviceAccounts"


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


@contextmanager
def provider(cloud: Any, token: str) -> Iterator[services.ResourceProviderStub]:
    with grpc.insecure_channel(f"127.0.0.1:{cloud.server['provider']}") as channel:
        stub = services.ResourceProviderStub(channel)
        given = struct({"accessToken": token, "project": "test-project", "region": "us-central1"})
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
