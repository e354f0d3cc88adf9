"""Cloud Logging by its own client library over gRPC and REST, and by raw requests."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession

BASE = "https://logging.googleapis.com/v2"
PROJECT = "test-project"
DAY = f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}"  # entries older than a month are not kept


def write(session: AuthorizedSession, log: str, entries: list[dict[str, Any]], **extra: Any) -> Any:
    body = {"logName": f"projects/{PROJECT}/logs/{log}", "resource": {"type": "global"}, "entries": entries, **extra}
    return session.post(f"{BASE}/entries:write", json=body)


def listed(session: AuthorizedSession, matching: str, **extra: Any) -> Any:
    body = {"resourceNames": [f"projects/{PROJECT}"], "filter": matching, **extra}
    return session.post(f"{BASE}/entries:list", json=body)


@pytest.fixture
def log() -> str:
    return f"log-{uuid.uuid4().hex[:8]}"


def test_what_is_written_is_listed_in_order_of_time(session: AuthorizedSession, log: str) -> None:
    stamps = [f"{DAY}T10:00:02Z", f"{DAY}T10:00:00.000000001Z", f"{DAY}T10:00:00Z"]
    assert write(session, log, [{"textPayload": s, "timestamp": s} for s in stamps]).json() == {}
    texts = [e["textPayload"] for e in listed(session, f"log_id({log})").json()["entries"]]
    assert texts == sorted(stamps, key=lambda s: (s[:19], "." in s))
    newest = listed(session, f"log_id({log})", orderBy="timestamp desc").json()["entries"]
    assert [e["textPayload"] for e in newest] == texts[::-1]


def test_pages_hold_each_entry_once_though_more_come(session: AuthorizedSession, log: str) -> None:
    write(session, log, [{"textPayload": str(n), "timestamp": f"{DAY}T10:00:{n:02}Z"} for n in range(10)])
    seen: list[str] = []
    token = ""
    while True:
        page = listed(session, f"log_id({log})", pageSize=3, pageToken=token).json()
        seen += [entry["textPayload"] for entry in page["entries"]]
        write(session, log, [{"textPayload": "older", "timestamp": f"{DAY}T09:00:{len(seen):02}Z"}])
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert seen == [str(n) for n in range(10)]


def test_the_same_insert_id_at_the_same_time_is_kept_once(session: AuthorizedSession, log: str) -> None:
    entry = {"textPayload": "once", "insertId": "x", "timestamp": f"{DAY}T10:00:00Z"}
    for _ in range(2):
        write(session, log, [entry, entry, entry | {"timestamp": f"{DAY}T10:00:01Z"}])
    assert len(listed(session, f"log_id({log})").json()["entries"]) == 2


def test_logs_are_listed_and_deleted(session: AuthorizedSession, log: str) -> None:
    write(session, log, [{"textPayload": "x"}])
    name = f"projects/{PROJECT}/logs/{log}"
    assert name in session.get(f"{BASE}/projects/{PROJECT}/logs").json()["logNames"]
    assert session.delete(f"{BASE}/{name}").json() == {}
    assert name not in session.get(f"{BASE}/projects/{PROJECT}/logs").json()["logNames"]
    assert session.delete(f"{BASE}/{name}").status_code == 404


def test_one_bad_entry_keeps_all_out_unless_partial_success_is_asked(session: AuthorizedSession, log: str) -> None:
    entries = [{"textPayload": "good"}, {"textPayload": "bad", "severity": "LOUD"}]
    assert write(session, log, entries).status_code == 400
    assert listed(session, f"log_id({log})").json()["entries"] == []
    answer = write(session, log, entries, partialSuccess=True)
    assert answer.status_code == 400
    assert list(answer.json()["error"]["details"][0]["logEntryErrors"]) == ["1"]
    assert [e["textPayload"] for e in listed(session, f"log_id({log})").json()["entries"]] == ["good"]


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"filter": "severity>="}, 400, "Unparseable filter: syntax error at line 1, column 11"),
        ({"resourceNames": []}, 400, "resource_names must not be empty"),
        ({"resourceNames": ["folders/1"]}, 400, "Invalid resource name"),
        ({"resourceNames": ["projects/nobody-here"]}, 403, "Permission 'logging.logEntries.list' denied on resource"),
        ({"orderBy": "severity"}, 400, "Invalid order_by"),
        ({"pageSize": -1}, 400, "page_size must not be negative"),
        ({"pageSize": "many"}, 400, "Invalid value at 'pageSize'"),
        ({"pageToken": "?"}, 400, "page_token is invalid"),
    ],
)
def test_list_calls_that_cant_be(session: AuthorizedSession, change: dict[str, Any], code: int, said: str) -> None:
    answer = listed(session, "severity>=INFO", **change)
    assert (answer.status_code, answer.json()["error"]["code"]) == (code, code)
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"textPayload": "x", "logName": "nonsense"}, 'Invalid log name "nonsense"'),
        ({"textPayload": "x", "resource": {"labels": {"a": "b"}}}, "Log entry with empty resource type"),
        ({"textPayload": "x", "jsonPayload": {}}, "more than one payload"),
        (
            {"textPayload": "x", "timestamp": "now"},
            "Invalid value at 'entries[0].timestamp' (type.googleapis.com/google.protobuf.Timestamp), \"now\"",
        ),
        (
            {"textPayload": "x", "httpRequest": {"status": "many"}},
            "Invalid value at 'entries[0].httpRequest' (type.googleapis.com/google.logging.type.HttpRequest), "
            '{"status": "many"}',
        ),
        ({"textPayload": "x", "colour": "red"}, 'Unknown name "colour"'),
        ({"textPayload": "x" * 300_000}, "exceeds maximum size of 256.0K"),
    ],
)
def test_entries_that_cant_be(session: AuthorizedSession, log: str, entry: dict[str, Any], said: str) -> None:
    answer = write(session, log, [entry])
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_a_page_token_of_another_filter_is_refused(session: AuthorizedSession, log: str) -> None:
    write(session, log, [{"textPayload": "a"}, {"textPayload": "b"}])
    token = listed(session, f"log_id({log})", pageSize=1).json()["nextPageToken"]
    answer = listed(session, "severity>=INFO", pageSize=1, pageToken=token)
    assert "page_token doesn't match" in answer.json()["error"]["message"]


def test_an_exclusion_keeps_entries_out(session: AuthorizedSession, log: str) -> None:
    exclusions = f"{BASE}/projects/{PROJECT}/exclusions"
    body = {"name": f"no-{log}", "filter": f"log_id({log}) severity=DEBUG"}
    assert session.post(exclusions, json=body).json()["filter"] == body["filter"]
    write(session, log, [{"textPayload": "out", "severity": "DEBUG"}, {"textPayload": "in", "severity": "INFO"}])
    assert [e["textPayload"] for e in listed(session, f"log_id({log})").json()["entries"]] == ["in"]
    session.patch(f"{exclusions}/no-{log}?updateMask=disabled", json={"disabled": True})
    write(session, log, [{"textPayload": "now in", "severity": "DEBUG"}])
    assert len(listed(session, f"log_id({log})").json()["entries"]) == 2
    assert session.delete(f"{exclusions}/no-{log}").json() == {}
    assert session.get(f"{exclusions}/no-{log}").status_code == 404


def test_every_project_has_its_buckets_and_sinks(session: AuthorizedSession) -> None:
    buckets = session.get(f"{BASE}/projects/{PROJECT}/locations/-/buckets").json()["buckets"]
    assert [b["name"].rpartition("/")[2] for b in buckets] == ["_Default", "_Required"]
    assert [s["name"] for s in session.get(f"{BASE}/projects/{PROJECT}/sinks").json()["sinks"]] == [
        "_Default",
        "_Required",
    ]
    name = f"{BASE}/projects/{PROJECT}/locations/global/buckets/_Default"
    assert session.get(name).json()["retentionDays"] == 30
    assert session.patch(f"{name}?updateMask=retentionDays", json={"retentionDays": 90}).json()["retentionDays"] == 90
    assert session.get(name).json()["description"] == "Default bucket"
    assert session.delete(name).status_code == 400


def test_a_sink_with_a_filter_that_cant_be_read_is_refused(session: AuthorizedSession) -> None:
    answer = session.post(f"{BASE}/projects/{PROJECT}/sinks", json={"name": "bad", "filter": "AND"})
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_what_is_not_emulated_says_so(session: AuthorizedSession) -> None:
    answer = session.get(f"{BASE}/projects/{PROJECT}/locations/global/savedQueries")
    assert (answer.status_code, answer.json()["error"]["status"]) == (501, "UNIMPLEMENTED")


@pytest.mark.slow
@pytest.mark.parametrize("use_grpc", [True, False], ids=["grpc", "rest"])
def test_the_client_library(local_cloud: Any, log: str, use_grpc: bool) -> None:
    printed = local_cloud.run(f"""
        import logging
        import google.cloud.logging as gcl
        from google.api_core.exceptions import InvalidArgument, BadRequest
        from google.cloud.logging_v2.handlers import CloudLoggingHandler
        from google.cloud.logging_v2.handlers.transports import SyncTransport

        client = gcl.Client(_use_grpc={use_grpc})
        logger = client.logger("{log}")
        logger.log_text("plain", severity="NOTICE")
        logger.log_struct({{"message": "structured", "epoch": 3}}, severity="WARNING", labels={{"a": "b"}})
        handler = CloudLoggingHandler(client, name="{log}", transport=SyncTransport)
        own = logging.getLogger("own")
        own.setLevel(logging.INFO)
        own.addHandler(handler)
        own.error("handled %s", "well")
        # The library tells about itself in an entry of its own.
        written = 'log_id("{log}") AND NOT jsonPayload."logging.googleapis.com/diagnostic":*'
        for entry in client.list_entries(filter_=written, order_by=gcl.ASCENDING, page_size=2):
            payload = entry.payload if isinstance(entry.payload, str) else entry.payload["message"]
            print(type(entry).__name__, entry.severity, payload)
        try:
            list(client.list_entries(filter_="severity>="))
        except (InvalidArgument, BadRequest) as error:
            print(type(error).__name__, "Unparseable filter" in str(error))
        sink = client.sink("sink-{log}", filter_="severity>=ERROR", destination="storage.googleapis.com/some-bucket")
        sink.create()
        print(sink.exists(), [s.name for s in client.list_sinks()][:2], sink.writer_identity.partition("@")[2])
        sink.delete()
        metric = client.metric("metric-{log}", filter_="severity>=ERROR", description="errors")
        metric.create()
        metric.reload()
        print(metric.description, metric.exists())
        metric.delete()
        print(metric.exists())
        logger.delete()
        print(len(list(client.list_entries(filter_='log_id("{log}")'))))
    """)
    error = "InvalidArgument" if use_grpc else "BadRequest"
    assert printed.stdout.splitlines() == [
        "TextEntry NOTICE plain",
        "StructEntry WARNING structured",
        "TextEntry ERROR handled well",
        f"{error} True",
        "True ['_Default', '_Required'] gcp-sa-logging.iam.gserviceaccount.com",
        "errors True",
        "False",
        "0",
    ]


def test_a_metric_gets_the_descriptor_of_what_it_would_count(session: AuthorizedSession, log: str) -> None:
    metrics = f"{BASE}/projects/{PROJECT}/metrics"
    made = session.post(metrics, json={"name": log, "description": "errors", "filter": "severity>=ERROR"}).json()
    kind = f"logging.googleapis.com/user/{log}"
    assert made["metricDescriptor"] == {
        "name": f"projects/{PROJECT}/metricDescriptors/{kind}",
        "type": kind,
        "metricKind": "DELTA",
        "valueType": "INT64",
        "unit": "1",
        "description": "errors",
    }
    own = {"metricDescriptor": {"metricKind": "DELTA", "valueType": "DISTRIBUTION", "unit": "s"}}
    made = session.put(f"{metrics}/{log}", json=made | own).json()
    assert (made["metricDescriptor"]["valueType"], made["metricDescriptor"]["type"]) == ("DISTRIBUTION", kind)
    assert session.delete(f"{metrics}/{log}").ok


@pytest.mark.slow
def test_an_entry_is_read_as_google_writes_it(session: AuthorizedSession, local_cloud: Any, log: str) -> None:
    request = {"requestMethod": "GET", "requestSize": 12, "latency": "0.5s", "cacheHit": True}
    given = {"httpRequest": request, "sourceLocation": {"file": "a.py", "line": 7}, "jsonPayload": {"n": [1, 2.5]}}
    write(session, log, [given | {"insertId": "a"}])
    local_cloud.run(f"""
        from google.cloud import logging
        logger = logging.Client().logger("{log}")
        logger.log_struct({{"n": [1, 2.5]}}, http_request={{"requestMethod": "GET", "requestSize": 12,
            "latency": "0.5s", "cacheHit": True}}, source_location={{"file": "a.py", "line": 7}}, insert_id="b")
    """)
    found = listed(session, f'log_id("{log}") AND httpRequest.requestMethod="GET"').json()["entries"]
    assert {one["insertId"] for one in found} == {"a", "b"}
    for one in found:
        assert one["httpRequest"] == request | {"requestSize": "12", "latency": "0.500s"}
        assert one["sourceLocation"] == {"file": "a.py", "line": "7"}
        assert "1, 2.5" in str(one["jsonPayload"]["n"])
    body = {"logName": f"projects/{PROJECT}/logs/{log}", "resource": {"type": "global"}}
    odd = session.post(f"{BASE}/entries:write", json=body | {"entries": [{"httpRequest": {"verb": "GET"}}]})
    assert (odd.status_code, "entries[0].httpRequest" in odd.text) == (400, True)


def test_what_json_lacks_gets_into_no_entry(session: AuthorizedSession, log: str, local_cloud: Any) -> None:
    """Else an entry could not be listed again, and no other with it."""
    url = f"{BASE}/entries:write"
    whole = f'{{"logName": "projects/{PROJECT}/logs/{log}", "resource": {{"type": "global"}}, "entries": [ENTRY]}}'
    for payload in ('{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', '{"a":' * 200 + "1" + "}" * 200):
        body = whole.replace("ENTRY", f'{{"jsonPayload": {payload}}}')
        refused = session.post(url, data=body, headers={"Content-Type": "application/json"})
        assert refused.status_code == 400 and refused.json()["error"]["message"].startswith("Invalid JSON payload")
    local_cloud.run(f"""
        from google.api_core.exceptions import InvalidArgument
        from google.cloud import logging
        client = logging.Client()
        for number in ("nan", "inf", "-inf"):
            try:
                client.logger({log!r}).log_struct({{"a": float(number)}})
            except InvalidArgument:
                continue
            raise SystemExit(f"{{number}} was taken")
        client.logger({log!r}).log_struct({{"a": 1.5}})
    """)
    assert [entry["jsonPayload"] for entry in listed(session, f"log_id({log})").json()["entries"]] == [{"a": 1.5}]
