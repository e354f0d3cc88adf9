"""What a METHOD means, and which requests it hits, over REST and over gRPC."""

from __future__ import annotations

import pytest

from localcloud.core.errors import Advised
from localcloud.faults.names import Seen, aim, method_id, rpc_id

_VERTEX = "us-central1-aiplatform.googleapis.com"
_JOBS = "/v1/projects/p/locations/us-central1/customJobs"
_STORAGE = "storage.googleapis.com"
_LOGGING = "google.logging.v2.LoggingServiceV2"


@pytest.mark.parametrize(
    ("verb", "host", "path", "expected"),
    [
        ("POST", _VERTEX, _JOBS, "aiplatform.projects.locations.customJobs.create"),
        ("GET", _VERTEX, f"{_JOBS}/1", "aiplatform.projects.locations.customJobs.get"),
        ("POST", _VERTEX, f"{_JOBS}/1:cancel", "aiplatform.projects.locations.customJobs.cancel"),
        ("POST", "logging.googleapis.com", "/v2/entries:write", "logging.entries.write"),
        ("DELETE", "logging.googleapis.com", "/v2/projects/p/logs/a%2Fb", "logging.projects.logs.delete"),
        ("PUT", "cloudbilling.googleapis.com", "/v1/projects/p/billingInfo", "cloudbilling.projects.updateBillingInfo"),
        ("GET", _STORAGE, "/storage/v1/b", "storage.buckets.list"),
        ("GET", _STORAGE, "/storage/v1/b/x/o/a%2Fb", "storage.objects.get"),
        ("GET", _STORAGE, "/download/storage/v1/b/x/o/a", "storage.objects.get"),
        ("POST", _STORAGE, "/upload/storage/v1/b/x/o", "storage.objects.insert"),
        ("PUT", _STORAGE, "/resumable/upload/storage/v1/b/x/o", "storage.objects.insert"),
        ("POST", _STORAGE, "/storage/v1/b/x/o/a/rewriteTo/b/y/o/z", "storage.objects.rewrite"),
        ("PUT", _STORAGE, "/storage/v1/b/x/iam", "storage.buckets.setIamPolicy"),
        ("GET", _STORAGE, "/x/a/b.txt", "storage.objects.get"),
        ("HEAD", "x.storage.googleapis.com", "/a/b.txt", "storage.objects.get"),
        ("GET", _STORAGE, "/x", "storage.objects.list"),
        ("POST", _STORAGE, "/batch/storage/v1", ""),
        ("POST", "oauth2.googleapis.com", "/token", ""),
    ],
)
def test_a_request_has_the_id_that_google_gives_its_method(verb: str, host: str, path: str, expected: str) -> None:
    assert method_id(verb, host, path) == expected


@pytest.mark.parametrize(
    ("rpc", "expected"),
    [
        ("google.cloud.aiplatform.v1.JobService/CreateCustomJob", "aiplatform.customJobs.create"),
        (f"{_LOGGING}/WriteLogEntries", "logging.entries.write"),
        (f"{_LOGGING}/ListLogs", "logging.logs.list"),
        ("google.logging.v2.MetricsServiceV2/CreateLogMetric", "logging.metrics.create"),
        ("google.iam.credentials.v1.IAMCredentials/SignBlob", "iamcredentials.serviceAccounts.signBlob"),
        ("google.api.serviceusage.v1.ServiceUsage/BatchEnableServices", "serviceusage.services.batchEnable"),
        ("google.longrunning.Operations/GetOperation", "*.operations.get"),
    ],
)
def test_a_grpc_method_has_an_id_too(rpc: str, expected: str) -> None:
    assert rpc_id(rpc) == expected


_CREATE = Seen("POST", _VERTEX, _JOBS)
_CREATE_RPC = Seen(rpc="google.cloud.aiplatform.v1.JobService/CreateCustomJob")
_GET_RPC = Seen(rpc="google.cloud.aiplatform.v1.JobService/GetCustomJob")
_READ = Seen("GET", _STORAGE, "/storage/v1/b/x/o/a")


@pytest.mark.parametrize(
    ("method", "hit", "missed"),
    [
        ("aiplatform.customJobs.create", [_CREATE, _CREATE_RPC], [_GET_RPC, _READ]),
        ("aiplatform.projects.locations.customJobs.create", [_CREATE, _CREATE_RPC], [_GET_RPC]),
        ("aiplatform.customJobs.*", [_CREATE, _CREATE_RPC, _GET_RPC], [_READ]),
        ("aiplatform.*", [_CREATE, _CREATE_RPC, _GET_RPC], [_READ]),
        (_CREATE_RPC.rpc, [_CREATE, _CREATE_RPC], [_GET_RPC]),
        ("google.cloud.aiplatform.*/Get*", [_GET_RPC], [_CREATE_RPC]),
        ("POST *aiplatform.googleapis.com/v1/*/customJobs", [_CREATE, _CREATE_RPC], [_GET_RPC, _READ]),
        ("GET *aiplatform.googleapis.com/v1/*/customJobs/*", [_GET_RPC], [_CREATE, _CREATE_RPC]),
        ("*.googleapis.com/*", [_CREATE, _CREATE_RPC, _GET_RPC, _READ], []),
        ("storage.googleapis.com", [_READ], [_CREATE, _CREATE_RPC]),
        ("storage.objects.get", [_READ], [_CREATE]),
        ("storage.objects.create", [Seen("PUT", _STORAGE, "/x/a")], [_READ]),
        ("storage.objects.update", [Seen("PATCH", _STORAGE, "/storage/v1/b/x/o/a")], [_READ]),
        ("logging.entries.write", [Seen(rpc=f"{_LOGGING}/WriteLogEntries")], [Seen(rpc=f"{_LOGGING}/ListLogEntries")]),
        (
            "iam.serviceAccounts.keys.create",
            [Seen(rpc="google.iam.admin.v1.IAM/CreateServiceAccountKey")],
            [Seen(rpc="google.iam.admin.v1.IAM/CreateServiceAccount")],
        ),
        ("cloudresourcemanager.projects.getIamPolicy", [Seen(rpc="google.iam.v1.IAMPolicy/GetIamPolicy")], []),
    ],
)
def test_a_method_hits_what_it_names(method: str, hit: list[Seen], missed: list[Seen]) -> None:
    aimed = aim(method)
    assert [seen for seen in hit if not aimed.fits(seen)] == []
    assert [seen for seen in missed if aimed.fits(seen)] == []


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("", "'' names no method"),
        ("storage", "'storage' names no method"),
        ("compute.instances.insert", "the local cloud has no API compute"),
        ("example.com/x", "'example.com' isn't a host of the local cloud"),
        ("FETCH storage.googleapis.com/x", "'FETCH' isn't an HTTP method"),
        ("google.spanner.v1.Spanner/Read", "google.spanner.v1.Spanner isn't a service of the local cloud"),
    ],
)
def test_a_method_that_cant_be_is_refused_with_a_hint(method: str, message: str) -> None:
    with pytest.raises(Advised) as refused:
        aim(method)
    assert (str(refused.value), bool(refused.value.hint)) == (message, True)
