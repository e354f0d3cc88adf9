"""Fault drills as Google's own clients live through them, and the command line that makes them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY
from google.oauth2 import service_account

from localcloud import launch

pytestmark = pytest.mark.slow

SINKS = "https://logging.googleapis.com/v2/projects/test-project/sinks"
JOBS = "https://us-central1-aiplatform.googleapis.com/v1/projects/test-project/locations/us-central1/customJobs"


class Drill:
    """Makes faults on one local cloud, by its command line."""

    def __init__(self, local_cloud: Any) -> None:
        self._cloud = local_cloud

    def __call__(self, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "localcloud", "fault", "--root", str(self._cloud.root), *options]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
        assert not check or done.returncode == 0, done.stderr
        return done

    def left(self) -> list[dict[str, Any]]:
        """The faults that wait."""
        return json.loads(self("--list", "--json").stdout)


@pytest.fixture
def drill(local_cloud: Any) -> Iterator[Drill]:
    made = Drill(local_cloud)
    yield made
    made("--clear")


@pytest.fixture
def client(local_cloud: Any) -> Iterator[storage.Client]:
    with local_cloud.session(self_signed=True) as session:
        made = storage.Client(local_cloud.project, session.credentials, _http=session)
        yield made


@pytest.fixture(scope="module")
def bucket(local_cloud: Any) -> str:
    with local_cloud.session(self_signed=True) as session:
        storage.Client(local_cloud.project, session.credentials, _http=session).create_bucket("fault-drills")
    return "fault-drills"


# In a child: the library leaves the connections open that it has no more use for.
_DOWNLOAD = """
import hashlib
from google.cloud import storage
print(hashlib.sha256(storage.Client().bucket("fault-drills").blob("{name}").download_as_bytes()).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.parametrize("fault", [("--code", "503", "--times", "2"), ("--cut",), ("--torn",), ("--torn", "1")])
def test_the_storage_client_tries_again_and_finishes(
    drill: Drill, local_cloud: Any, client: storage.Client, bucket: str, fault: tuple[str, ...]
) -> None:
    data = os.urandom(300_000)
    client.bucket(bucket).blob("again").upload_from_string(data)
    drill("storage.objects.get", *fault)
    assert local_cloud.run(_DOWNLOAD.format(name="again")).stdout.strip() == hashlib.sha256(data).hexdigest()
    assert drill.left() == []


@pytest.mark.parametrize(
    ("code", "expected", "words"),
    [
        ("401", exceptions.Unauthorized, "Invalid Credentials"),
        ("403", exceptions.Forbidden, "does not have storage.objects.get access to the Google Cloud Storage object"),
        ("404", exceptions.NotFound, "No such object: fault-drills/b"),
        ("408", exceptions.GoogleAPICallError, "The request timed out."),
        ("429", exceptions.TooManyRequests, "reduce your request rate"),
        ("500", exceptions.InternalServerError, "Backend Error"),
        ("502", exceptions.BadGateway, "The server encountered a temporary error"),
        ("503", exceptions.ServiceUnavailable, "Backend Error"),
        ("504", exceptions.GatewayTimeout, "Gateway Timeout"),
    ],
)
def test_each_code_has_its_class_in_the_storage_client(
    drill: Drill, client: storage.Client, bucket: str, code: str, expected: type[Exception], words: str
) -> None:
    # google-auth answers a 401 with a new token and asks again, twice.
    drill("storage.objects.get", "--code", code, "--times", "3" if code == "401" else "1")
    with pytest.raises(expected, match=words):
        client.bucket(bucket).blob("b").reload(retry=None)  # type: ignore[arg-type]
    assert drill.left() == []


def test_the_xml_api_fails_in_xml(drill: Drill, session: AuthorizedSession, bucket: str) -> None:
    drill("storage.objects.get", "--code", "503")
    refused = session.get(f"https://storage.googleapis.com/{bucket}/nothing")
    assert (refused.status_code, "<Code>ServiceUnavailable</Code>" in refused.text) == (503, True)
    assert refused.headers["content-type"] == "application/xml; charset=UTF-8"


def test_429_says_when_to_come_again(drill: Drill, session: AuthorizedSession) -> None:
    drill("logging.sinks.list", "--code", "429", "--retry-after", "7")
    refused = session.get(SINKS)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    error = refused.json()["error"]
    assert error["status"] == "RESOURCE_EXHAUSTED"
    assert error["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    assert session.get(SINKS).status_code == 200


def test_a_refusal_of_vertex_has_the_permission_in_its_details(drill: Drill, session: AuthorizedSession) -> None:
    drill("aiplatform.customJobs.list", "--code", "403")
    error = session.get(JOBS).json()["error"]
    where = "//aiplatform.googleapis.com/projects/test-project/locations/us-central1"
    assert (
        error["message"]
        == f"Permission 'aiplatform.customJobs.list' denied on resource '{where}' (or it may not exist)."
    )
    assert error["details"][0]["metadata"]["permission"] == "aiplatform.customJobs.list"


def test_an_expired_token_is_refused_until_it_is_renewed(drill: Drill, local_cloud: Any) -> None:
    with local_cloud.session(self_signed=True) as session, local_cloud.plain_session() as plain:
        assert session.get(SINKS).status_code == 200
        headers: dict[str, str] = {}
        session.credentials.apply(headers)
        time.sleep(1.1)  # a token of this very second is its own successor
        drill("logging.sinks.list", "--expired")
        refused = plain.get(SINKS, headers=headers)
        assert refused.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_EXPIRED"
        assert 'realm="https://accounts.google.com/"' in refused.headers["WWW-Authenticate"]
        assert plain.get(SINKS, headers=headers).status_code == 401
        assert drill.left() == []  # counted once
        assert session.get(SINKS).status_code == 200  # google-auth gets a new one by itself


def test_a_cut_connection_leaves_no_answer(drill: Drill, session: AuthorizedSession, bucket: str) -> None:
    url = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o"
    for cut, there in (("before", 404), ("after", 200)):
        name = f"cut-{cut}"
        drill("storage.objects.insert", "--cut", cut)
        with pytest.raises(requests.ConnectionError):
            session.post(url, params={"uploadType": "media", "name": name}, data=b"x")
        found = session.get(f"https://storage.googleapis.com/storage/v1/b/{bucket}/o/{name}")
        assert found.status_code == there


def test_a_torn_download_gives_a_part(
    drill: Drill, session: AuthorizedSession, client: storage.Client, bucket: str
) -> None:
    data = os.urandom(300_000)
    client.bucket(bucket).blob("torn").upload_from_string(data)
    url = f"https://storage.googleapis.com/storage/v1/b/{bucket}/o/torn?alt=media"
    drill("storage.objects.get", "--torn", "100000")
    with session.get(url, stream=True) as response, pytest.raises(requests.exceptions.ChunkedEncodingError) as cut:
        response.content  # noqa: B018
    assert "100000 bytes read, 200000 more expected" in str(cut.value)


def test_an_upload_that_is_torn_in_the_middle_goes_on(drill: Drill, client: storage.Client, bucket: str) -> None:
    data = os.urandom(3 << 20)
    blob = client.bucket(bucket).blob("resumed", chunk_size=1 << 20)
    drill("PUT storage.googleapis.com/*upload*", "--torn", "600000")
    blob.upload_from_file(io.BytesIO(data), retry=DEFAULT_RETRY)  # of unknown size: piece by piece
    assert client.bucket(bucket).blob("resumed").download_as_bytes() == data
    assert drill.left() == []


def test_the_calls_of_a_batch_are_hit_one_by_one(drill: Drill, client: storage.Client, bucket: str) -> None:
    for name in ("one", "two", "three"):
        client.bucket(bucket).blob(name).upload_from_string("x")
    drill("DELETE storage.googleapis.com/storage/v1/b/fault-drills/o/two", "--code", "503")
    with pytest.raises(exceptions.ServiceUnavailable), client.batch():
        for name in ("one", "two", "three"):
            client.bucket(bucket).blob(name).delete()
    assert not client.bucket(bucket).blob("one").exists()
    assert client.bucket(bucket).blob("two").exists()
    drill("storage.objects.delete", "--cut", "after")
    with pytest.raises((requests.ConnectionError, exceptions.GoogleAPICallError)), client.batch():
        client.bucket(bucket).blob("two").delete(retry=None)  # type: ignore[arg-type]
    assert not client.bucket(bucket).blob("two").exists()


def test_only_one_principal_is_hit(drill: Drill, session: AuthorizedSession) -> None:
    drill("logging.sinks.list", "--code", "503", "--principal", "somebody@else.com", "--times", "0")
    assert session.get(SINKS).status_code == 200
    email = session.credentials.service_account_email  # type: ignore[union-attr]
    drill("logging.sinks.list", "--code", "503", "--principal", email)
    assert session.get(SINKS).status_code == 503


def test_a_delay_comes_before_the_answer_and_changes_nothing_else(drill: Drill, session: AuthorizedSession) -> None:
    drill("logging.sinks.list", "--delay", "1.5")
    with pytest.raises(requests.Timeout):
        session.get(SINKS, timeout=(10, 0.2))
    assert session.get(SINKS).status_code == 200


def test_the_token_endpoint_fails_and_google_auth_tries_again(drill: Drill, local_cloud: Any) -> None:
    drill("oauth2.googleapis.com/token", "--code", "503", "--times", "2")
    key = local_cloud.root / "projects" / local_cloud.project / "key.json"
    credentials = service_account.Credentials.from_service_account_file(
        key, scopes=["https://www.googleapis.com/auth/a"]
    )
    with local_cloud.plain_session() as plain:
        credentials.refresh(Request(plain))
    assert credentials.valid
    assert drill.left() == []


_GRPC = """
from google.api_core import exceptions
from google.cloud import logging_v2
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
client = LoggingServiceV2Client()
try:
    client.list_logs(parent="projects/test-project", retry=None)
except exceptions.GoogleAPICallError as error:
    print(type(error).__name__, error.message, [d.reason for d in error.details if hasattr(d, "reason")])
else:
    print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--code", "503"), "ServiceUnavailable The service is currently unavailable. []"),
        (("--code", "429"), "ResourceExhausted Quota exceeded for quota metric"),
        (("--code", "504"), "DeadlineExceeded Deadline expired before operation could complete. []"),
        (("--code", "403"), "PermissionDenied Permission 'logging.logs.list' denied on resource"),
        (("--expired",), "Unauthenticated Request had invalid authentication credentials."),
        (("--cut",), "ServiceUnavailable Socket closed []"),
        (("--cut", "after"), "ServiceUnavailable Socket closed []"),
    ],
)
def test_each_fault_has_its_class_over_grpc(
    drill: Drill, local_cloud: Any, options: tuple[str, ...], expected: str
) -> None:
    drill("logging.logs.list", *options)
    assert local_cloud.run(_GRPC).stdout.startswith(expected)
    assert drill.left() == []


def test_faults_survive_a_restart_and_count_down(new_cloud: Any) -> None:
    cloud = new_cloud()
    drill = Drill(cloud)
    drill("logging.sinks.list", "--code", "503", "--times", "2")
    drill("storage.buckets.list", "--code", "500", "--times", "0")
    with cloud.session(self_signed=True) as session:
        assert session.get(SINKS).status_code == 503
    launch.stop(cloud.root)
    cloud = new_cloud()
    assert [(one["method"], one["left"]) for one in drill.left()] == [
        ("logging.sinks.list", 1),
        ("storage.buckets.list", -1),
    ]
    with cloud.session(self_signed=True) as session:
        assert [session.get(SINKS).status_code for _ in range(2)] == [503, 200]
        buckets = "https://storage.googleapis.com/storage/v1/b?project=test-project"
        assert [session.get(buckets).status_code for _ in range(2)] == [500, 500]
    assert drill("--clear", "2").stdout == "1 cleared\n"
    assert drill("--list").stdout == "no faults\n"
    assert drill("--clear", "2", check=False).returncode == 1


@pytest.mark.parametrize(
    ("options", "error", "hint"),
    [
        ((), "say what is to fail: METHOD", "fault storage.objects.get --code 503, or fault --list"),
        (("storage.objects.get",), "nothing would happen", "--code, --delay, --cut, --torn or --expired"),
        (
            ("storage.object.get", "--code", "503"),
            "the local cloud has no method storage.object.get",
            "did you mean storage.objects.get, storage.objects.insert, storage.objects.delete?",
        ),
        (
            ("google.cloud.aiplatform.v1.JobService/CreateJob", "--cut"),
            "the local cloud has no method google.cloud.aiplatform.v1.JobService/CreateJob",
            "see localcloud/README.md for what it has",
        ),
        (
            ("pulumi.storage.Bukket.create", "--code", "503"),
            "the local cloud has no method pulumi.storage.Bukket.create",
            "did you mean pulumi.storage.Bucket.create, pulumi.storage.Bucket.read, "
            "pulumi.storage.BucketObject.create?",
        ),
        (
            ("pulumi.*.create", "--torn"),
            "--torn does not go with Pulumi's provider",
            "--code, --delay or --cut",
        ),
        (
            ("storage.objects.get", "--code", "418"),
            "--code must be one of 401, 403, 404, 408, 429, 500, 502, 503, 504, not 418",
            "",
        ),
        (
            ("storage.objects.get", "--code", "503", "--cut"),
            "a request fails in one way: --code or --cut",
            "make two faults",
        ),
        (
            ("storage.objects.get", "--code", "503", "--probability", "1.5"),
            "--probability must be more than 0 and at most 1, not 1.5",
            "",
        ),
        (
            ("storage.objects.get", "--code", "503", "--times", "-1"),
            "--times must be 0 or more, not -1",
            "0 is until it is cleared",
        ),
        (("storage.objects.get", "--delay", "-0.5"), "--delay must be 0 or more, not -0.5", ""),
        (("storage.objects.get", "--torn", "-7"), "--torn must be 0 or more, not -7", ""),
        (
            ("storage.objects.get", "--code", "503", "--principal", "nobody"),
            "--principal must be an account's e-mail address, not nobody",
            "",
        ),
        (
            ("--list", "--code", "503"),
            "--list and --clear go without anything else",
            "fault --list, or fault --clear ID",
        ),
    ],
)
def test_what_cant_be_is_refused_with_a_hint(drill: Drill, options: tuple[str, ...], error: str, hint: str) -> None:
    refused = drill(*options, check=False)
    assert refused.returncode == 2
    assert refused.stderr == f"error: {error}\n" + (f"\nhint: {hint}\n" if hint else "")
    assert drill.left() == []


@pytest.mark.slow
def test_the_tasks_make_list_and_clear_faults(tmp_path: Path, make_cloud: Any) -> None:
    make_cloud(tmp_path / "localcloud")

    def invoke(*words: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "invoke", *words]
        environment = {**os.environ, "CLOUDKITE_STATE": str(tmp_path)}
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment)
        return done.returncode, done.stdout, done.stderr

    assert invoke("local.fault", "storage.objects.get", "--code", "503", "--times", "3") == (
        0,
        "fault 1: storage.objects.get: 503, 3 times\n",
        "",
    )
    made = invoke("local.fault", "storage.objects.insert", "--cut=after", "--probability=0.2")
    assert made[1] == "fault 2: storage.objects.insert: cut after, once, with probability 0.2\n"
    assert invoke("local.faults")[1].splitlines() == [
        "   1  storage.objects.get: 503, 3 times; happened 0 times",
        "   2  storage.objects.insert: cut after, once, with probability 0.2; happened 0 times",
    ]
    assert invoke("local.fault", "storage.objects.get", "--code", "418") == (
        2,
        "",
        "error: --code must be one of 401, 403, 404, 408, 429, 500, 502, 503, 504, not 418\n",
    )
    assert invoke("local.faults", "--clear=1")[1] == "1 cleared\n"
    assert invoke("local.faults", "--clear")[1] == "1 cleared\n"
    assert invoke("local.faults")[1] == "no faults\n"


def test_machines_can_be_out_of_stock(drill: Drill) -> None:
    assert drill("stockout", "--region", "us-central1", "--accelerator", "NVIDIA_L4").stdout == (
        "stockout-us-central1-NVIDIA_L4: no NVIDIA_L4 in us-central1, until it is cleared\n"
    )
    drill("stockout", "--region", "europe-west4")
    assert drill("--list").stdout.splitlines() == [
        "stockout-europe-west4: no machines in europe-west4, until it is cleared",
        "stockout-us-central1-NVIDIA_L4: no NVIDIA_L4 in us-central1, until it is cleared",
    ]
    assert [one["id"] for one in drill.left()] == ["stockout-europe-west4", "stockout-us-central1-NVIDIA_L4"]
    assert drill("--clear", "stockout-europe-west4").stdout == "1 cleared\n"
    assert drill("--clear").stdout == "1 cleared\n"
    assert drill("--list").stdout == "no faults\n"


@pytest.mark.parametrize(
    ("options", "error", "hint"),
    [
        (("stockout",), "unknown region (none was named)", "such as us-central1"),
        (
            ("stockout", "--region", "us-central1", "--code", "503"),
            "--code does not go with stockout",
            "fault stockout --region us-central1",
        ),
        (
            ("storage.objects.get", "--code", "503", "--region", "us-central1"),
            "--region goes with stockout only",
            "fault stockout --region us-central1",
        ),
    ],
)
def test_a_stockout_that_cant_be(drill: Drill, options: tuple[str, ...], error: str, hint: str) -> None:
    refused = drill(*options, check=False)
    assert (refused.returncode, refused.stderr) == (2, f"error: {error}\n\nhint: {hint}\n")


def test_a_job_that_is_not_there_can_not_be_preempted(local_cloud: Any) -> None:
    command = [sys.executable, "-m", "localcloud", "preempt", "--root", str(local_cloud.root), "1234567890"]
    refused = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert (refused.returncode, refused.stderr) == (1, "error: no job matches 1234567890\n")


@pytest.mark.slow
def test_a_stream_is_hit_too(drill: Drill, local_cloud: Any) -> None:
    drill("logging.entries.tail", "--code", "503")
    said = local_cloud.run("""
        from google.api_core import exceptions
        from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
        from google.cloud.logging_v2.types import TailLogEntriesRequest
        wanted = TailLogEntriesRequest(resource_names=["projects/test-project"])
        try:
            for answer in LoggingServiceV2Client().tail_log_entries(requests=iter([wanted]), retry=None):
                pass
        except exceptions.ServiceUnavailable as error:
            print(error.message)
    """)
    assert said.stdout == "The service is currently unavailable.\n"
