"""Every callable method of the local cloud, asked by who may not: strangers, nobody, and owners whose API is off."""

from __future__ import annotations

import re
from typing import Any

import grpc
import pytest
from google.auth.transport.requests import Request
from google.protobuf import json_format
from google.rpc import status_pb2

from clouds.methods import (
    BODIES,
    OTHER_INTERFACES,
    ROUTES,
    RPCS,
    Rpc,
    is_open,
    is_open_rpc,
    is_open_storage,
    storage_calls,
)
from clouds.walked import APIS, PAYER, REGION, Place, furnish, key_of, new_place

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(local_cloud: Any) -> Place:
    """A project with one of each kind."""
    made = new_place(local_cloud, "walked-project")
    furnish(made)
    return made


@pytest.fixture(scope="module")
def strangers(local_cloud: Any, place: Place) -> dict[str, Any]:
    """Sessions of a role-less account of the project, and of an account that owns another one."""
    with place.cloud.session() as owner:
        key = key_of(owner, place.project, "stranger")
    other = new_place(local_cloud, "strange-project")
    with other.cloud.session() as owner:
        visitor = key_of(owner, other.project, "visitor")
    other.cloud.grant("roles/owner", f"serviceAccount:{visitor['client_email']}")
    made = {"no role": place.cloud.session(key), "other project": place.cloud.session(visitor)}
    for session in made.values():
        session.credentials.refresh(Request(place.cloud.plain_session()))
    return made


# REST


def call(place: Place, session: Any, method: str, host: str, pattern: str) -> tuple[str, Any]:
    """The address that was asked, and the answer."""
    path = place.fill(pattern)
    body = BODIES.get((method, pattern), {}) if method not in ("GET", "DELETE") else None
    return f"{host}{path}", session.request(method, f"https://{host}{path}", json=body)


def complaint(address: str, answer: Any) -> str:
    """What is wrong with a refusal; "" for nothing."""
    said = f"{answer.request.method} {address}: {answer.status_code} {answer.text[:300]}"
    if answer.status_code != 403:
        return said
    error = answer.json()["error"]
    if error.get("status") != "PERMISSION_DENIED":
        return said
    if address.startswith("cloudresourcemanager.googleapis.com/v1/"):
        return "" if error["message"] == "The caller does not have permission" else said
    if "run.googleapis.com/" in address:  # it says no more than this
        return "" if re.match(r"Permission 'run\.\w+\.\w+' denied on resource 'projects/", error["message"]) else said
    if address.startswith("bigquery.googleapis.com/"):
        words = r"Access Denied: \w+ \S+: Permission bigquery\.\w+\.\w+ denied on "
        return "" if re.match(words, error["message"]) else said
    reasons = {"IAM_PERMISSION_DENIED", "AUTH_PERMISSION_DENIED"}
    told = [detail for detail in error.get("details", []) if detail.get("reason") in reasons]
    return "" if told and told[0]["metadata"].get("permission") else said


@pytest.mark.parametrize("who", ["no role", "other project"])
def test_strangers_are_refused_over_rest(place: Place, strangers: dict[str, Any], who: str) -> None:
    wrong, used = [], set()
    for method, host, pattern in ROUTES:
        address = f"{host}{place.fill(pattern)}"
        if is_open(method, address):
            used.add(address)
            continue
        address, answer = call(place, strangers[who], method, host, pattern)
        wrong.append(complaint(address, answer))
    assert len(ROUTES) > 250
    assert not "\n".join(one for one in wrong if one)
    assert used


def test_without_a_token_nothing_answers(place: Place) -> None:
    with place.cloud.plain_session() as session:
        answers = [call(place, session, *route) for route in ROUTES]
    assert [address for address, answer in answers if answer.status_code != 401] == []
    assert {answer.json()["error"]["status"] for _, answer in answers} == {"UNAUTHENTICATED"}


# gRPC


def request_of(place: Place, rpc: Rpc) -> Any:
    """The request with the names that its URL would have."""
    body = BODIES.get((rpc.method, rpc.pattern), {})
    request = json_format.ParseDict(body, rpc.request())
    for match in re.finditer(r"\{([\w.]+)(?:=([^}]*))?\}", rpc.pattern):
        before = rpc.pattern[: match.start()].rstrip("/").rpartition("/")[2]
        *outer, last = match[1].split(".")
        target = request
        for name in outer:
            target = getattr(target, name)
        last = re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", last)
        setattr(target, last, place.find(match[1], match[2], before, "v1"))
    return request


def asked_over_grpc(place: Place, token: str, rpcs: list[Rpc]) -> dict[str, grpc.RpcError | None]:
    """What each method answered: its refusal, or None."""
    root = place.cloud.root
    credentials = grpc.ssl_channel_credentials((root / "ca.pem").read_bytes())
    options = [("grpc.ssl_target_name_override", "pubsub.googleapis.com")]
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    answers: dict[str, grpc.RpcError | None] = {}
    with grpc.secure_channel(f"127.0.0.1:{place.cloud.server['grpc']}", credentials, options) as channel:
        for rpc in rpcs:
            call = channel.unary_unary(rpc.path, _serialized, lambda raw: raw)
            try:
                call(request_of(place, rpc), metadata=metadata, timeout=60)
                answers[f"{rpc.path} {rpc.pattern}"] = None
            except grpc.RpcError as error:
                answers[f"{rpc.path} {rpc.pattern}"] = error
    return answers


def _serialized(message: Any) -> bytes:
    return message.SerializeToString()


def infos(error: Any) -> dict[str, Any]:
    """The ErrorInfo of a refusal over gRPC, as JSON."""
    raw = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
    details = json_format.MessageToDict(status_pb2.Status.FromString(raw)).get("details", [])
    return next((one for one in details if one["@type"].endswith("ErrorInfo")), {})


def test_strangers_are_refused_over_grpc(place: Place, strangers: dict[str, Any]) -> None:
    assert len(RPCS) > 120
    asked = [rpc for rpc in RPCS if not is_open_rpc(rpc)]
    wrong = []
    for who, session in strangers.items():
        for path, error in asked_over_grpc(place, session.credentials.token, asked).items():
            refused: Any = error
            if refused is None or refused.code() is not grpc.StatusCode.PERMISSION_DENIED:
                wrong.append(f"{who}: {path}: {refused and (refused.code(), refused.details())}")
            elif not infos(refused).get("metadata", {}).get("permission"):
                wrong.append(f"{who}: {path}: no permission is named: {refused.details()}")
    assert not "\n".join(wrong)


def test_without_a_token_nothing_answers_over_grpc(place: Place) -> None:
    for path, error in asked_over_grpc(place, "", RPCS).items():
        refused: Any = error
        assert refused is not None and refused.code() is grpc.StatusCode.UNAUTHENTICATED, path


# Cloud Storage


@pytest.fixture(scope="module")
def calls_of_storage(place: Place) -> list[tuple[str, str, bytes | None, dict[str, str]]]:
    return storage_calls(place)


@pytest.mark.parametrize("who", ["no role", "other project", "nobody"])
def test_strangers_are_refused_by_storage(
    place: Place, strangers: dict[str, Any], calls_of_storage: list[Any], who: str
) -> None:
    session = strangers.get(who) or place.cloud.plain_session()
    wrong = []
    for method, path, body, headers in calls_of_storage:
        answer = session.request(method, f"https://storage.googleapis.com{path}", data=body, headers=headers)
        json_api_call = "/storage/v1/" in path
        codes = (401,) if who == "nobody" and json_api_call else (401, 403) if who == "nobody" else (403,)
        told = method == "HEAD" or "storage." in answer.text or "resourcemanager.projects.get" in answer.text
        if not is_open_storage(method, path) and (answer.status_code not in codes or not told):
            wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
    assert len(calls_of_storage) > 50
    assert not "\n".join(wrong)


def batch_of(calls: list[Any]) -> bytes:
    parts = [
        f"--x\r\nContent-Type: application/http\r\n\r\n{method} {path} HTTP/1.1\r\n"
        f"Content-Type: application/json\r\n\r\n{(body or b'').decode()}\r\n"
        for method, path, body, _headers in calls
    ]
    return ("".join(parts) + "--x--").encode()


@pytest.mark.parametrize(("who", "code"), [("no role", "403"), ("other project", "403"), ("nobody", "401")])
def test_strangers_are_refused_in_a_batch(
    place: Place, strangers: dict[str, Any], calls_of_storage: list[Any], who: str, code: str
) -> None:
    session = strangers.get(who) or place.cloud.plain_session()
    asked = [one for one in calls_of_storage if one[1].startswith("/storage/v1/") and "alt=media" not in one[1]]
    asked = [one for one in asked if not is_open_storage(one[0], one[1])]
    url, headers = "https://storage.googleapis.com/batch/storage/v1", {"Content-Type": "multipart/mixed; boundary=x"}
    answer = session.post(url, data=batch_of(asked), headers=headers)
    codes = re.findall(r"^HTTP/1.1 (\d+)", answer.text, re.MULTILINE)
    wrong = [(one[0], one[1], got) for one, got in zip(asked, codes, strict=True) if got != code]
    assert wrong == []


# Owners whose API is off, and whom nobody pays for


@pytest.fixture(scope="module")
def off(local_cloud: Any) -> Place:
    """A project with its account as owner, in which no API is on any more."""
    place = new_place(local_cloud, "switched-off")
    for name in (f"projects/{place.project}", f"projects/{place.project}/locations/global", PAYER, "roles/viewer"):
        place.add(name)
    place.parts |= {
        "serviceAccounts": f"owner@{place.project}.iam.gserviceaccount.com",
        "locations": REGION,
        "services": "storage.googleapis.com",
    }
    place.parts |= dict.fromkeys(("keys", "repositories", "notificationChannels", "alertPolicies"), "1")
    place.parts["notificationChannelDescriptors"] = "email"
    place.parts |= dict.fromkeys(("quotaInfos", "quotaPreferences"), "1")
    return place


def reasons(answer: Any) -> list[str]:
    details = answer.json().get("error", {}).get("details", [])
    return [detail["reason"] for detail in details if "reason" in detail]


def test_what_nobody_pays_for_and_what_is_off_answers_its_owner_neither(off: Place, local_cloud: Any) -> None:
    usage = f"https://serviceusage.googleapis.com/v1/projects/{off.project}/services"
    bucket = f"https://storage.googleapis.com/storage/v1/b?project={off.project}"
    with off.cloud.session() as owner:
        info = f"https://cloudbilling.googleapis.com/v1/projects/{off.project}/billingInfo"
        owner.put(info, json={"billingAccountName": ""}).raise_for_status()
        wrong = []
        for method, host, pattern in ROUTES:
            if "aiplatform" in host or "artifactregistry" in host:
                address, answer = call(off, owner, method, host, pattern)
                if answer.status_code != 403 or "BILLING_DISABLED" not in reasons(answer):
                    wrong.append(f"{method} {address}: {answer.status_code} {answer.text[:200]}")
        assert not "\n".join(wrong)
        refused = owner.post(bucket, json={"name": "unpaid-bucket"})
        assert (refused.status_code, refused.json()["error"]["errors"][0]["reason"]) == (403, "accountDisabled")
        owner.put(info, json={"billingAccountName": PAYER}).raise_for_status()

        for name in APIS:
            owner.post(f"{usage}/{name}.googleapis.com:disable", json={}).raise_for_status()
        for method, host, pattern in ROUTES:
            if host.startswith("serviceusage"):
                continue  # the one that is always there
            address, answer = call(off, owner, method, host, pattern)
            if answer.status_code != 403 or "SERVICE_DISABLED" not in reasons(answer):
                wrong.append(f"{method} {address}: {answer.status_code} {answer.text[:200]}")
        assert not "\n".join(wrong)
        owner.credentials.refresh(Request(off.cloud.plain_session()))
        for path, error in asked_over_grpc(off, owner.credentials.token, RPCS).items():
            if (
                "serviceusage" not in path
                and "Operations/" not in path
                and infos(error).get("reason") != "SERVICE_DISABLED"
            ):
                wrong.append(f"{path}: {error}")
        assert not "\n".join(wrong)
        for method, path, body, headers in OTHER_INTERFACES:
            answer = owner.request(method, f"https://storage.googleapis.com{path}", data=body, headers=headers)
            assert answer.status_code == 403, (method, path, answer.text)
            assert method == "HEAD" or "has not been used in project switched-off" in answer.text
        refused = owner.post(bucket, json={"name": "off-bucket"}).json()["error"]["errors"][0]
        assert refused["reason"] == "accessNotConfigured"
