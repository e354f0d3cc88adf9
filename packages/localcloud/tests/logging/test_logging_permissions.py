"""Who may write, read and configure logs, and what a job's log has of an account that may not."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession

from clouds import PROJECT, LocalCloud

BASE = "https://logging.googleapis.com/v2"
IAM = f"https://iam.googleapis.com/v1/projects/{PROJECT}/serviceAccounts"
POLICY = f"https://cloudresourcemanager.googleapis.com/v1/projects/{PROJECT}"
JOBS = f"https://us-central1-aiplatform.googleapis.com/v1/projects/{PROJECT}/locations/us-central1/customJobs"


@pytest.fixture
def sign_in(local_cloud: LocalCloud) -> Iterator[Callable[..., AuthorizedSession]]:
    """`sign_in(role, ...)` gives the session of a new account that has just those roles."""
    opened: list[AuthorizedSession] = []

    def start(*roles: str) -> AuthorizedSession:
        key = local_cloud.key(local_cloud.account(f"log-{uuid.uuid4().hex[:8]}", *roles))
        opened.append(local_cloud.session(key, self_signed=True))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def write(session: AuthorizedSession) -> Any:
    body = {"logName": f"projects/{PROJECT}/logs/x", "resource": {"type": "global"}, "entries": [{"textPayload": "x"}]}
    return session.post(f"{BASE}/entries:write", json=body)


def read(session: AuthorizedSession, resource: str = f"projects/{PROJECT}") -> Any:
    return session.post(f"{BASE}/entries:list", json={"resourceNames": [resource], "pageSize": 1})


VIEW = f"projects/{PROJECT}/locations/global/buckets/_Default/views/_AllLogs"
CALLS: dict[str, Callable[[AuthorizedSession], Any]] = {
    "logging.logEntries.create": write,
    "logging.logEntries.list": read,
    "logging.views.access": lambda session: read(session, VIEW),
    "logging.logs.list": lambda session: session.get(f"{BASE}/projects/{PROJECT}/logs"),
    "logging.logs.delete": lambda session: session.delete(f"{BASE}/projects/{PROJECT}/logs/none-of-that-name"),
    "logging.sinks.list": lambda session: session.get(f"{BASE}/projects/{PROJECT}/sinks"),
    "logging.sinks.create": lambda session: session.post(f"{BASE}/projects/{PROJECT}/sinks", json={"name": "s"}),
    "logging.buckets.update": lambda session: session.patch(
        f"{BASE}/projects/{PROJECT}/locations/global/buckets/_Default?updateMask=description", json={"description": "d"}
    ),
    "logging.logMetrics.get": lambda session: session.get(f"{BASE}/projects/{PROJECT}/metrics/none"),
}


@pytest.mark.parametrize(
    ("role", "permitted"),
    [
        ("roles/logging.logWriter", {"logging.logEntries.create"}),
        (
            "roles/logging.viewer",
            {"logging.logEntries.list", "logging.logs.list", "logging.sinks.list", "logging.logMetrics.get"},
        ),
        ("roles/storage.admin", set()),
    ],
)
def test_a_role_permits_what_it_says(sign_in: Callable[..., AuthorizedSession], role: str, permitted: set[str]) -> None:
    own = sign_in(role)
    for permission, call in CALLS.items():
        answer = call(own)
        if permission in permitted:
            assert answer.status_code != 403, (permission, answer.text)
            continue
        error = answer.json()["error"]
        assert (answer.status_code, error["status"]) == (403, "PERMISSION_DENIED"), permission
        assert error["message"] == f"Permission '{permission}' denied on resource (or it may not exist)."
        assert error["details"][0]["reason"] == "IAM_PERMISSION_DENIED"
        assert error["details"][0]["metadata"] == {"permission": permission}


def test_it_is_refused_where_the_api_is_off(new_cloud: Callable[[], LocalCloud]) -> None:
    cloud = new_cloud()
    cloud.enable("logging")
    with cloud.session(self_signed=True) as session:
        assert write(session).ok
        url = f"https://serviceusage.googleapis.com/v1/projects/{PROJECT}/services/logging.googleapis.com:disable"
        assert session.post(url, json={}).ok
        error = write(session).json()["error"]
        assert (error["code"], error["details"][0]["reason"]) == (403, "SERVICE_DISABLED")


_PROGRAM = """
import json, os, urllib.error, urllib.request
host = os.environ["GCE_METADATA_HOST"]
url = "http://" + host + "/computeMetadata/v1/instance/service-accounts/default/token"
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
token = json.load(direct.open(urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})))["access_token"]
body = {"logName": "projects/test-project/logs/own-library", "resource": {"type": "global"},
        "entries": [{"textPayload": "by " + os.environ["CLOUD_ML_JOB_ID"]}]}
request = urllib.request.Request("https://logging.googleapis.com/v2/entries:write", json.dumps(body).encode(), {
    "Authorization": "Bearer " + token, "Content-Type": "application/json"})
try:
    urllib.request.urlopen(request)
    print("written")
except urllib.error.HTTPError as error:
    print("refused", error.code)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("roles", "said"), [((), "refused 403"), (("roles/logging.logWriter",), "written")])
def test_a_jobs_output_is_logged_by_the_service_and_its_librarys_lines_by_its_account(
    local_cloud: LocalCloud, session: AuthorizedSession, roles: tuple[str, ...], said: str
) -> None:
    local_cloud.enable("aiplatform")
    email = local_cloud.account(f"job-{uuid.uuid4().hex[:8]}", *roles)
    container = {"imageUri": "python:3.11", "command": ["python", "-c", _PROGRAM]}
    pool = {"machineSpec": {"machineType": "e2-standard-4"}, "replicaCount": 1, "containerSpec": container}
    made = session.post(
        JOBS, json={"displayName": "j", "jobSpec": {"workerPoolSpecs": [pool], "serviceAccount": email}}
    )
    assert made.ok, made.text
    number = made.json()["name"].rpartition("/")[2]
    while session.get(f"{JOBS}/{number}").json()["state"] not in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED"):
        time.sleep(0.2)

    def logged(matching: str) -> list[dict[str, Any]]:
        body = {"resourceNames": [f"projects/{PROJECT}"], "filter": matching}
        return session.post(f"{BASE}/entries:list", json=body).json()["entries"]

    output = [entry.get("jsonPayload", {}).get("message") for entry in logged(f'resource.labels.job_id="{number}"')]
    assert said in output, output
    assert len(logged(f'log_id("own-library") textPayload="by {number}"')) == (1 if roles else 0)
