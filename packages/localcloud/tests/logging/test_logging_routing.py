"""Where log entries go and how long they stay: sinks, log buckets, views, retention, exports, limits."""

from __future__ import annotations

import base64
import json
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession

from clouds import PROJECT, LocalCloud

pytestmark = pytest.mark.slow

BASE = "https://logging.googleapis.com/v2"
PARENT = f"{BASE}/projects/{PROJECT}"
LOGGING_AGENT = "gcp-sa-logging.iam.gserviceaccount.com"


def write(session: AuthorizedSession, log: str, *entries: dict[str, Any], **extra: Any) -> Any:
    body = {"logName": f"projects/{PROJECT}/logs/{log}", "resource": {"type": "global"}, "entries": entries, **extra}
    return session.post(f"{BASE}/entries:write", json=body)


def texts(session: AuthorizedSession, log: str, *resources: str, **extra: Any) -> list[str]:
    body = {"resourceNames": resources or [f"projects/{PROJECT}"], "filter": f"log_id({log})", **extra}
    answer = session.post(f"{BASE}/entries:list", json=body)
    assert answer.ok, answer.text
    return [entry["textPayload"] for entry in answer.json()["entries"]]


def stamp(**ago: float) -> str:
    return f"{datetime.now(UTC) - timedelta(**ago):%Y-%m-%dT%H:%M:%S.%fZ}"


def forward(cloud: LocalCloud, by: str) -> None:
    command = [sys.executable, "-m", "localcloud", "clock", "--root", str(cloud.root), "--forward", by]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def log() -> str:
    return f"log-{uuid.uuid4().hex[:8]}"


def make(session: AuthorizedSession, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = session.post(f"{PARENT}/{path}", json=body)
    assert answer.ok, answer.text
    return answer.json()


@pytest.fixture
def own(new_cloud: Callable[[], LocalCloud]) -> Iterator[AuthorizedSession]:
    """A session with a cloud of its own."""
    with new_cloud().session(self_signed=True) as session:
        yield session


def test_a_sink_brings_entries_to_a_bucket_and_a_view_shows_some(own: AuthorizedSession, log: str) -> None:
    session = own
    make(session, f"locations/us-central1/buckets?bucketId=b-{log}", {"retentionDays": 5})
    bucket = f"projects/{PROJECT}/locations/us-central1/buckets/b-{log}"
    sink = {
        "name": f"s-{log}",
        "filter": f"log_id({log}) severity>=WARNING",
        "destination": f"logging.googleapis.com/{bucket}",
    }
    sink["exclusions"] = [{"name": "no-noise", "filter": "textPayload:noise"}]  # type: ignore[assignment]
    make(session, "sinks", sink)
    view = {"filter": 'resource.type = "gce_instance" AND NOT LOG_ID("other")'}
    make(session, f"locations/us-central1/buckets/b-{log}/views?viewId=machines", view)
    make(session, f"locations/us-central1/buckets/b-{log}/views?viewId=all", {})
    for text, severity in (("info", "INFO"), ("warning", "WARNING"), ("error", "ERROR"), ("noise", "ERROR")):
        resource = {"type": "gce_instance" if text == "error" else "global"}
        write(session, log, {"textPayload": text, "severity": severity, "resource": resource})
    assert texts(session, log, f"{bucket}/views/all") == ["warning", "error"]
    assert texts(session, log, f"{bucket}/views/machines") == ["error"]
    assert texts(session, log) == ["info", "warning", "error", "noise"]  # each once, though in two buckets
    assert texts(session, log, pageSize=4, orderBy="timestamp desc") == ["noise", "error", "warning", "info"]
    default = f"projects/{PROJECT}/locations/global/buckets/_Default/views/_AllLogs"
    assert len(texts(session, log, default, f"{bucket}/views/all")) == 4

    listed = session.get(f"{PARENT}/logs", params={"resourceNames": f"{bucket}/views/all"}).json()["logNames"]
    assert listed == [f"projects/{PROJECT}/logs/{log}"]
    assert session.delete(f"{PARENT}/logs/{log}").ok  # of the _Default bucket only
    assert texts(session, log) == ["warning", "error"]

    session.patch(f"{PARENT}/sinks/s-{log}?updateMask=disabled", json={"disabled": True})
    write(session, log, {"textPayload": "later", "severity": "ERROR"})
    assert texts(session, log, f"{bucket}/views/all") == ["warning", "error"]
    missing = session.post(f"{BASE}/entries:list", json={"resourceNames": [f"{bucket}/views/none"]})
    assert missing.status_code == 404


def test_audit_entries_are_kept_in_the_required_bucket(session: AuthorizedSession) -> None:
    log = "cloudaudit.googleapis.com%2Factivity"
    mark = uuid.uuid4().hex
    write(session, log, {"textPayload": mark})
    required = f"projects/{PROJECT}/locations/global/buckets/_Required/views/_AllLogs"
    default = f"projects/{PROJECT}/locations/global/buckets/_Default/views/_AllLogs"
    name = '"cloudaudit.googleapis.com/activity"'
    assert mark in texts(session, name, required)
    assert mark not in texts(session, name, default)


def test_the_exclusions_of_the_default_sink_hold(new_cloud: Callable[[], LocalCloud]) -> None:
    cloud = new_cloud()
    with cloud.session(self_signed=True) as session:
        body = {"exclusions": [{"name": "debug", "filter": "severity=DEBUG"}]}
        assert session.patch(f"{PARENT}/sinks/_Default?updateMask=exclusions", json=body).ok
        write(session, "a", {"textPayload": "out", "severity": "DEBUG"}, {"textPayload": "in", "severity": "INFO"})
        assert texts(session, "a") == ["in"]
        assert session.patch(f"{PARENT}/sinks/_Default?updateMask=disabled", json={"disabled": True}).ok
        write(session, "a", {"textPayload": "lost"})
        assert texts(session, "a") == ["in"]


def test_every_log_bucket_has_a_view_of_all_that_is_in_it(session: AuthorizedSession, log: str) -> None:
    """https://cloud.google.com/logging/docs/logs-views: it can be deleted, and not modified."""
    make(session, f"locations/eu/buckets?bucketId=b-{log}", {})
    bucket = f"projects/{PROJECT}/locations/eu/buckets/b-{log}"
    sink = {"name": f"s-{log}", "destination": f"logging.googleapis.com/{bucket}", "filter": f"log_id({log})"}
    make(session, "sinks", sink)
    write(session, log, {"textPayload": "seen"})
    assert texts(session, log, f"{bucket}/views/_AllLogs") == ["seen"]
    defaults = f"projects/{PROJECT}/locations/global/buckets"
    for parent, names in (
        (bucket, ["_AllLogs"]),
        (f"{defaults}/_Default", ["_AllLogs", "_Default"]),
        (f"{defaults}/_Required", ["_AllLogs"]),
    ):
        listed = session.get(f"{BASE}/{parent}/views").json()["views"]
        assert [view["name"] for view in listed] == [f"{parent}/views/{name}" for name in names]
        for view in listed:
            assert session.get(f"{BASE}/{view['name']}").json() == view
            changed = session.patch(f"{BASE}/{view['name']}?updateMask=filter", json={"filter": "LOG_ID(a)"})
            assert changed.json()["error"]["status"] == "FAILED_PRECONDITION", changed.text
    assert session.delete(f"{BASE}/{defaults}/_Default/views/_Default").status_code == 400
    assert session.post(f"{BASE}/{bucket}/views?viewId=_AllLogs", json={}).status_code == 409

    assert session.delete(f"{BASE}/{bucket}/views/_AllLogs").ok
    assert session.get(f"{BASE}/{bucket}/views").json().get("views", []) == []
    assert session.get(f"{BASE}/{bucket}/views/_AllLogs").status_code == 404
    assert session.delete(f"{BASE}/{bucket}/views/_AllLogs").status_code == 404
    assert session.post(f"{BASE}/{bucket}/views?viewId=_AllLogs", json={}).ok
    assert texts(session, log, f"{bucket}/views/_AllLogs") == ["seen"]

    nowhere = f"{BASE}/projects/{PROJECT}/locations/eu/buckets/none/views"
    for answer in (
        session.get(nowhere), session.get(f"{nowhere}/_AllLogs"), session.post(f"{nowhere}?viewId=a", json={}),
    ):  # fmt: skip
        assert answer.status_code == 404


def test_a_projects_exclusions_are_those_of_its_default_sink(own: AuthorizedSession) -> None:
    """https://cloud.google.com/logging/docs/reference/v2/rest/v2/projects.exclusions/create"""
    sink, exclusions = f"{PARENT}/sinks/_Default", f"{PARENT}/exclusions"

    def shown() -> list[tuple[str, str]]:
        found = [(one["name"], one["filter"]) for one in own.get(sink).json().get("exclusions", [])]
        listed = own.get(exclusions).json().get("exclusions", [])
        assert sorted(found) == [(one["name"], one["filter"]) for one in listed]
        for one in listed:
            assert own.get(f"{exclusions}/{one['name']}").json() == one
        return found

    make(own, "exclusions", {"name": "b", "filter": "severity=DEBUG"})
    make(own, "exclusions", {"name": "a", "filter": "textPayload:noise"})
    assert shown() == [("b", "severity=DEBUG"), ("a", "textPayload:noise")]
    assert own.patch(f"{exclusions}/b?updateMask=filter", json={"filter": "severity<=INFO"}).ok
    assert shown() == [("b", "severity<=INFO"), ("a", "textPayload:noise")]
    write(own, "x", {"textPayload": "a noise", "severity": "ERROR"}, {"textPayload": "kept", "severity": "ERROR"})
    assert texts(own, "x") == ["kept"]
    put = {"exclusions": [{"name": "c", "filter": "textPayload:kept"}]}
    assert own.patch(f"{sink}?updateMask=exclusions", json=put).ok
    assert shown() == [("c", "textPayload:kept")]
    assert own.post(exclusions, json={"name": "c", "filter": "x"}).status_code == 409
    assert own.delete(f"{exclusions}/c").ok and own.delete(f"{exclusions}/c").status_code == 404
    assert shown() == []

    for name in "abcdefghij":
        make(own, "exclusions", {"name": name, "filter": f"textPayload:{name}"})
    refused = own.post(exclusions, json={"name": "k", "filter": "textPayload:k"})
    said = "Existing exclusions count: 10 is greater than the limit: 10."
    assert (refused.status_code, refused.json()["error"]["message"]) == (429, said)
    assert len(shown()) == 10


def test_exclusions_that_an_older_version_kept_by_themselves_hold(new_cloud: Callable[[], LocalCloud]) -> None:
    cloud = new_cloud()
    body = {"name": "old", "filter": "severity=DEBUG"}
    row = (f"projects/{PROJECT}/exclusions/old", "logging-exclusion", json.dumps(body))
    with closing(sqlite3.connect(cloud.root / "documents" / "documents.sqlite")) as database, database:
        database.execute("INSERT INTO documents VALUES (?, ?, ?)", row)
    with cloud.session(self_signed=True) as session:
        assert session.get(f"{PARENT}/exclusions").json()["exclusions"] == [body]
        write(session, "a", {"textPayload": "out", "severity": "DEBUG"}, {"textPayload": "in"})
        assert texts(session, "a") == ["in"]
        make(session, "exclusions", {"name": "new", "filter": "textPayload:b"})
        shown = session.get(f"{PARENT}/sinks/_Default").json()["exclusions"]
        assert [one["name"] for one in shown] == ["old", "new"]
        assert session.delete(f"{PARENT}/exclusions/old").ok
        assert [one["name"] for one in session.get(f"{PARENT}/exclusions").json()["exclusions"]] == ["new"]


def test_what_a_sink_cant_exclude(session: AuthorizedSession, log: str) -> None:
    """https://cloud.google.com/logging/quotas: 50 exclusions in a sink; each must have a filter."""
    sink = {"name": f"s-{log}", "destination": "storage.googleapis.com/b"}
    some = [{"name": f"e{number}", "filter": f"textPayload:{number}"} for number in range(50)]
    assert len(make(session, "sinks", {**sink, "exclusions": some})["exclusions"]) == 50
    for exclusions, said in (
        ([*some, {"name": "more", "filter": "x"}], "Too many exclusions: a sink can have at most 50, not 51."),
        ([{"name": "open"}], "Exclusion 'open' must have a filter."),
        ([{"name": "open", "filter": " "}], "Exclusion 'open' must have a filter."),
        ([some[0], some[0]], "Duplicate exclusion name: 'e0'"),
        ([{"name": "-a", "filter": "x"}], "Invalid exclusion name: '-a'"),
        ("all", "Invalid value at 'sink.exclusions'"),
    ):
        for answer in (
            session.post(f"{PARENT}/sinks", json={**sink, "name": f"t-{log}", "exclusions": exclusions}),
            session.patch(f"{PARENT}/sinks/s-{log}?updateMask=exclusions", json={"exclusions": exclusions}),
        ):
            error = answer.json()["error"]
            assert (error["code"], error["status"], error["message"]) == (400, "INVALID_ARGUMENT", said)
    for body in ({"name": f"e-{log}"}, {"name": f"e-{log}", "filter": ""}):
        answer = session.post(f"{PARENT}/exclusions", json=body)
        assert answer.json()["error"]["message"] == f"Exclusion 'e-{log}' must have a filter."
    assert session.post(f"{PARENT}/exclusions", json={"name": "a b", "filter": "x"}).status_code == 400


def test_what_is_too_old_or_of_the_future_is_not_kept(session: AuthorizedSession, log: str) -> None:
    entries = [
        {"textPayload": text, "timestamp": at}
        for text, at in {
            "ancient": stamp(days=400),
            "last week": stamp(days=7),
            "in an hour": stamp(hours=-1),
            "in two days": stamp(days=-2),
        }.items()
    ]
    assert write(session, log, *entries).json() == {}
    assert texts(session, log) == ["last week", "in an hour"]


def test_after_a_month_of_the_clouds_clock_entries_are_gone(new_cloud: Callable[[], LocalCloud]) -> None:
    cloud = new_cloud()
    with cloud.session(self_signed=True) as session:
        make(session, "locations/global/buckets?bucketId=long", {"retentionDays": 100})
        destination = f"logging.googleapis.com/projects/{PROJECT}/locations/global/buckets/long"
        make(session, "sinks", {"name": "keep", "filter": "severity=ERROR", "destination": destination})
        write(session, "a", {"textPayload": "info"}, {"textPayload": "error", "severity": "ERROR"})
        forward(cloud, "29d")
        assert texts(session, "a") == ["info", "error"]
        forward(cloud, "2d")
        assert texts(session, "a") == ["error"]
        # A client's clock knows nothing of that: what it writes now is of now.
        write(session, "a", {"textPayload": "now", "timestamp": stamp()})
        assert texts(session, "a") == ["error", "now"]
        forward(cloud, "70d")
        assert texts(session, "a") == []


@pytest.mark.parametrize(
    ("destination", "code", "said"),
    [
        (f"bigquery.googleapis.com/projects/{PROJECT}/datasets/d", 501, "log sinks to bigquery.googleapis.com"),
        (f"logging.googleapis.com/projects/{PROJECT}", 501, "log sinks to logging.googleapis.com"),
        ("ftp://somewhere", 400, "Invalid sink destination: 'ftp://somewhere'"),
        ("", 400, "Invalid sink destination: ''"),
    ],
)
def test_sinks_to_where_nothing_can_go(
    session: AuthorizedSession, log: str, destination: str, code: int, said: str
) -> None:
    answer = session.post(f"{PARENT}/sinks", json={"name": f"s-{log}", "destination": destination})
    assert (answer.status_code, said in answer.json()["error"]["message"]) == (code, True)
    assert session.get(f"{PARENT}/sinks/s-{log}").status_code == 404


def test_a_sink_to_cloud_storage_writes_a_file_an_hour(new_cloud: Callable[[], LocalCloud]) -> None:
    cloud = new_cloud()
    storage = "https://storage.googleapis.com/storage/v1/b"
    with cloud.session(self_signed=True) as session:
        assert session.post(f"{storage}?project={PROJECT}", json={"name": "log-export"}).ok
        sink = make(
            session, "sinks", {"name": "s", "filter": "log_id(a)", "destination": "storage.googleapis.com/log-export"}
        )
        member = sink["writerIdentity"]
        assert member.endswith(LOGGING_AGENT)
        write(session, "a", {"textPayload": "refused"})
        forward(cloud, "2h")
        errors = texts(session, '"logging.googleapis.com/sink_error"')
        assert errors == [f"Cloud Logging sink configuration error in {PROJECT}, sink s: bucket_permission_denied ()"]
        policy = session.get(f"{storage}/log-export/iam").json()
        policy["bindings"].append({"role": "roles/storage.objectCreator", "members": [member]})
        assert session.put(f"{storage}/log-export/iam", json=policy).ok
        for text in ("one", "two"):
            write(session, "a", {"textPayload": text})
        forward(cloud, "2h")
        objects = session.get(f"{storage}/log-export/o").json()["items"]
        assert len(objects) == 1
        assert objects[0]["name"].startswith("a/20") and objects[0]["name"].endswith("_S0.json")
        lines = session.get(objects[0]["mediaLink"]).text.splitlines()
        assert [json.loads(line)["textPayload"] for line in lines] == ["one", "two"]


def test_a_sink_to_a_topic_publishes(new_cloud: Callable[[], LocalCloud]) -> None:
    cloud = new_cloud()
    cloud.enable("pubsub")
    pubsub, topic = "https://pubsub.googleapis.com/v1", f"projects/{PROJECT}/topics/logs"
    subscription = f"{pubsub}/projects/{PROJECT}/subscriptions/logs"
    with cloud.session(self_signed=True) as session:
        sink = make(
            session, "sinks", {"name": "s", "filter": "log_id(a)", "destination": f"pubsub.googleapis.com/{topic}"}
        )
        errors = '"logging.googleapis.com/sink_error"'
        write(session, "a", {"textPayload": "nowhere"})
        assert texts(session, errors)[-1].endswith("sink s: topic_not_found ()")
        assert session.put(f"{pubsub}/{topic}", json={}).ok
        assert session.put(subscription, json={"topic": topic}).ok
        write(session, "a", {"textPayload": "forbidden"})
        policy = {"bindings": [{"role": "roles/pubsub.publisher", "members": [sink["writerIdentity"]]}]}
        assert session.post(f"{pubsub}/{topic}:setIamPolicy", json={"policy": policy}).ok
        write(session, "a", {"textPayload": "sent"})
        pulled = session.post(f"{subscription}:pull", json={"maxMessages": 10}).json()["receivedMessages"]
        entries = [json.loads(base64.b64decode(one["message"]["data"])) for one in pulled]
        assert [entry["textPayload"] for entry in entries] == ["sent"]
        assert pulled[0]["message"]["attributes"]["logging.googleapis.com/timestamp"] == entries[0]["timestamp"]


def test_a_dry_run_checks_and_keeps_nothing(session: AuthorizedSession, log: str) -> None:
    assert write(session, log, {"textPayload": "x"}, dryRun=True).json() == {}
    assert texts(session, log) == []
    refused = write(session, log, {"textPayload": "x", "severity": "LOUD"}, dryRun=True)
    assert (refused.status_code, "LOUD" in refused.json()["error"]["message"]) == (400, True)


def test_a_request_of_more_than_ten_megabytes_is_refused(session: AuthorizedSession, log: str) -> None:
    entries = [{"textPayload": "x" * 200_000} for _ in range(60)]
    refused = write(session, log, *entries)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == "Request payload size exceeds the limit: 10485760 bytes."
    assert texts(session, log) == []


def test_logs_and_descriptors_come_in_pages(session: AuthorizedSession, log: str) -> None:
    for number in range(3):
        write(session, f"{log}-{number}", {"textPayload": "x"})
    names: list[str] = []
    token = ""
    while True:
        page = session.get(f"{PARENT}/logs", params={"pageSize": 2, "pageToken": token}).json()
        assert len(page["logNames"]) <= 2
        names += page["logNames"]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert [name for name in names if log in name] == [f"projects/{PROJECT}/logs/{log}-{n}" for n in range(3)]
    kinds = session.get(f"{BASE}/monitoredResourceDescriptors").json()["resourceDescriptors"]
    assert next(kind for kind in kinds if kind["type"] == "ml_job")["labels"][1] == {"key": "job_id"}


_TAIL = """
import sys, threading, time
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.types import TailLogEntriesRequest
from google.cloud import logging

client = LoggingServiceV2Client()
wanted = TailLogEntriesRequest(
    resource_names=["projects/test-project"], filter='log_id("LOG") severity>=INFO', buffer_window={"seconds": 1}
)
done = threading.Event()

def requests():
    yield wanted
    done.wait()

def write():
    logger = logging.Client(_use_grpc=False).logger("LOG")
    time.sleep(1.0)
    import datetime
    now = datetime.datetime.now(datetime.timezone.utc)
    logger.log_text("second", severity="INFO", timestamp=now)
    logger.log_text("unheard", severity="DEBUG", timestamp=now)
    logger.log_text("first", severity="ERROR", timestamp=now - datetime.timedelta(seconds=1))

threading.Thread(target=write, daemon=True).start()
seen = []
stream = client.tail_log_entries(requests=requests())
for answer in stream:
    seen += [entry.text_payload for entry in answer.entries]
    if len(seen) == 2:
        break
stream.cancel()
done.set()
print(seen)
try:
    wrong = TailLogEntriesRequest(resource_names=["projects/test-project"], filter="severity>=")
    for answer in client.tail_log_entries(requests=iter([wrong])):
        pass
except Exception as error:
    print(type(error).__name__, error.message)
"""


@pytest.mark.slow
def test_entries_are_tailed_in_order_of_their_time(local_cloud: LocalCloud, log: str) -> None:
    said = local_cloud.run(_TAIL.replace("LOG", log)).stdout.splitlines()
    assert said[0] == "['first', 'second']"
    assert said[1].startswith("InvalidArgument Unparseable filter: syntax error at line 1, column 11")


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", "/entries:list", {"resourceName": "x"}, 'Unknown name "resourceName": Cannot find field.'),
        ("POST", "/entries:write", {"entry": {}}, 'Unknown name "entry": Cannot find field.'),
        ("POST", f"/projects/{PROJECT}/sinks", {"name": "s", "target": "x"}, "Unknown name \"target\" at 'sink'"),
        (
            "GET",
            f"/projects/{PROJECT}/sinks?pagesize=3",
            None,
            "Field 'pagesize' could not be found in request message.",
        ),
        (
            "PATCH",
            f"/projects/{PROJECT}/locations/global/buckets/_Required?updateMask=retentionDays",
            {"retentionDays": 7},
            "_Required bucket and sink can't be changed",
        ),
        (
            "POST",
            f"/projects/{PROJECT}/locations/global/buckets?bucketId=forever",
            {"retentionDays": 4000},
            "Invalid retention_days: 4000. It must be between 1 and 3650 days.",
        ),
        (
            "POST",
            f"/projects/{PROJECT}/locations/mars/buckets?bucketId=far",
            {},
            "Location 'mars' is not supported for log buckets.",
        ),
        (
            "POST",
            f"/projects/{PROJECT}/locations/global/buckets/_Default/views?viewId=some",
            {"filter": "severity=ERROR"},
            "Invalid filter for a log view: 'severity=ERROR'",
        ),
        (
            "POST",
            f"/projects/{PROJECT}/locations/global/buckets/_Default/views?viewId=some",
            {"filter": 'LOG_ID("a") OR LOG_ID("b")'},
            "joined by AND",
        ),
    ],
)
def test_requests_that_cant_be(session: AuthorizedSession, method: str, path: str, body: Any, said: str) -> None:
    answer = session.request(method, f"{BASE}{path}", json=body)
    assert (answer.status_code, said in answer.json()["error"]["message"]) == (400, True), answer.text


@pytest.mark.slow
def test_a_jobs_lines_are_of_the_clouds_time(new_cloud: Callable[[], LocalCloud]) -> None:
    cloud = new_cloud()
    cloud.enable("aiplatform")
    jobs = f"https://us-central1-aiplatform.googleapis.com/v1/projects/{PROJECT}/locations/us-central1/customJobs"
    with cloud.session(self_signed=True) as session:
        forward(cloud, "3d")
        container = {"imageUri": "python:3.11", "command": ["python", "-c", "print('a line')"]}
        pool = {"machineSpec": {"machineType": "e2-standard-4"}, "replicaCount": 1, "containerSpec": container}
        made = session.post(jobs, json={"displayName": "j", "jobSpec": {"workerPoolSpecs": [pool]}})
        assert made.ok, made.text
        job = made.json()
        while job["state"] not in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED"):
            time.sleep(0.2)
            job = session.get(f"{jobs}/{job['name'].rpartition('/')[2]}").json()
        body = {
            "resourceNames": [f"projects/{PROJECT}"],
            "filter": f'resource.type="ml_job" timestamp>="{job["createTime"]}" timestamp<="{job["updateTime"]}"',
        }
        entries = session.post(f"{BASE}/entries:list", json=body).json()["entries"]
        assert "a line" in [entry.get("jsonPayload", {}).get("message") for entry in entries], (job, entries)


def test_a_bucket_that_is_deleted_is_kept_for_a_week(new_cloud: Callable[[], LocalCloud]) -> None:
    cloud = new_cloud()
    with cloud.session(self_signed=True) as session:
        make(session, "locations/global/buckets?bucketId=old", {})
        make(session, "locations/global/buckets/old/views?viewId=all", {})
        bucket = f"{PARENT}/locations/global/buckets/old"
        assert session.post(f"{bucket}:undelete").status_code == 400
        for _ in range(2):
            assert session.delete(bucket).ok
            assert session.get(bucket).json()["lifecycleState"] == "DELETE_REQUESTED"
        assert session.post(f"{PARENT}/locations/global/buckets?bucketId=old", json={}).status_code == 409
        assert session.post(f"{bucket}:undelete").ok
        assert session.get(bucket).json()["lifecycleState"] == "ACTIVE"
        session.delete(bucket)
        forward(cloud, "6d")
        assert session.get(bucket).ok
        forward(cloud, "2d")
        deadline = time.monotonic() + 20
        while session.get(bucket).status_code != 404:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert session.get(f"{bucket}/views/all").status_code == 404


def test_a_sink_to_a_bucket_of_its_project_needs_no_writer(session: AuthorizedSession, log: str) -> None:
    home = f"logging.googleapis.com/projects/{PROJECT}/locations/global/buckets/_Default"
    made = make(session, "sinks", {"name": f"home-{log}", "destination": home})
    assert "writerIdentity" not in made
    made = session.patch(
        f"{PARENT}/sinks/home-{log}?updateMask=destination", json={"destination": "storage.googleapis.com/b"}
    )
    assert "gcp-sa-logging" in made.json()["writerIdentity"]
    assert session.delete(f"{PARENT}/sinks/home-{log}").ok


def test_log_analytics_and_own_keys_are_not_emulated(session: AuthorizedSession) -> None:
    answer = session.post(f"{PARENT}/locations/global/buckets?bucketId=sql", json={"analyticsEnabled": True})
    assert (answer.status_code, "analyticsEnabled" in answer.text) == (501, True)


def test_an_entry_says_of_which_project_its_resource_is(session: AuthorizedSession, log: str) -> None:
    write(session, log, {"textPayload": "mine"})
    body = {"resourceNames": [f"projects/{PROJECT}"], "filter": f'log_id("{log}")'}
    (entry,) = session.post(f"{BASE}/entries:list", json=body).json()["entries"]
    assert entry["resource"] == {"type": "global", "labels": {"project_id": PROJECT}}
