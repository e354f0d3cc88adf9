"""Every callable method of the local cloud, asked by who may not: strangers, nobody, and owners whose API is off."""

from __future__ import annotations

import base64
import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.auth.transport.requests import Request
from google.protobuf import json_format
from google.rpc import status_pb2

from localcloud import launch, transcoding
from localcloud.front import HOSTS
from localcloud.grpc_front import TABLES
from localcloud.logging import methods as logging_methods
from localcloud.logging.messages import message as logging_message
from localcloud.rest import Router
from localcloud.storage import json_api
from localcloud.vertex import messages
from localcloud.vertex import methods as vertex_methods
from localcloud.vertex.http import OPERATION_ROUTES
from localcloud.vertex.http import router as vertex_router

pytestmark = pytest.mark.slow

REGION = "us-central1"
PAYER = "billingAccounts/012345-6789AB-CDEF01"
HTTP = {  # module of a router -> the hosts that it answers
    "localcloud.vertex.http": [f"{REGION}-aiplatform.googleapis.com"],
    "localcloud.logging.http": ["logging.googleapis.com"],
    "localcloud.projects.http": ["cloudresourcemanager.googleapis.com"],
    "localcloud.projects.services_http": ["serviceusage.googleapis.com"],
    "localcloud.iam.http": ["iam.googleapis.com"],
    "localcloud.iam.credentials_http": ["iamcredentials.googleapis.com"],
    "localcloud.billing.http": ["cloudbilling.googleapis.com", "billingbudgets.googleapis.com"],
    "localcloud.quotas.http": ["cloudquotas.googleapis.com"],
    "localcloud.artifacts.http": ["artifactregistry.googleapis.com"],
    "localcloud.monitoring.http": ["monitoring.googleapis.com"],
    "localcloud.pubsub.http": ["pubsub.googleapis.com"],
}
# Walked apart: Storage has no Router, and these tell a caller about its own token.
APART = {"localcloud.storage.http", "localcloud.oauth"}
APIS = (
    "aiplatform artifactregistry billingbudgets cloudbilling cloudquotas cloudresourcemanager compute iam "
    "iamcredentials logging monitoring pubsub storage"
).split()

# What everybody with an account may call, and why. Keys: HTTP method, and a regular expression of host and path.
OPEN = {
    ("GET", r"cloudresourcemanager[^/]+/v[13]/projects(:search)?"): "lists what the caller may see",
    ("POST", r"cloudresourcemanager[^/]+/v[13]/projects"): "a new project of the caller's own",
    ("POST", r".*:testIamPermissions"): "tells the caller its own permissions",
    ("GET", r".*/iam/testPermissions"): "tells the caller its own permissions",
    ("GET", r"cloudbilling[^/]+/v1/billingAccounts"): "lists what the caller may see",
    ("GET", r"cloudbilling[^/]+/v1/services(/[^/]+/skus)?"): "prices are public",
    ("POST", r"iam[.][^/]+/v1/permissions:queryTestablePermissions"): "what there is to permit is public",
    ("GET", r"iam[.][^/]+/v1/roles(/[^/]+)?"): "predefined roles are public",
    ("GET", r"iamcredentials[^/]+/.*/allowedLocations"): "where tokens may be used from is public",
    ("GET", r"logging[^/]+/v2/monitoredResourceDescriptors"): "the same for everybody",
    ("GET", r"serviceusage[^/]+/v1/operations/noop.DONE_OPERATION"): "says nothing of any project",
}


def is_open(method: str, address: str) -> bool:
    return any(method == verb and re.fullmatch(pattern, address) for verb, pattern in OPEN)


@dataclass
class Place:
    """A project with one resource of each kind: `names` in full, `parts` by what comes before it in a path."""

    cloud: Any
    project: str
    names: list[str] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)

    def add(self, name: str) -> None:
        self.names.append(name)
        collection, _, identifier = name.rpartition("/")
        self.parts[collection.rpartition("/")[2]] = identifier

    def fill(self, pattern: str) -> str:
        """The path of a route, with real names in it."""

        def one(match: re.Match[str]) -> str:
            before = pattern[: match.start()].rstrip("/").rpartition("/")[2]
            return self.find(match[1], match[2], before, "v3" if "{version}" in pattern else "v1")

        return re.sub(r"\{([\w.]+)(?:=([^}]*))?\}", one, pattern)

    def find(self, name: str, shape: str | None, before: str, version: str) -> str:
        if name == "version":
            return "v3"
        if name == "operation":
            return self.parts.get(f"operations of {version}", "1")
        if shape in (None, "*"):
            return self.parts.get(before) or {"project": self.project}[name]
        expression = re.escape(shape).replace(r"\*\*", ".+").replace(r"\*", "[^/]+")
        made_up = shape.replace("*", self.project, 1).replace("*", REGION, 1).replace("*", "1")
        return next((known for known in self.names if re.fullmatch(expression, known)), made_up)


def key_of(owner: Any, project: str, name: str) -> dict[str, Any]:
    url = f"https://iam.googleapis.com/v1/projects/{project}/serviceAccounts"
    email = f"{name}@{project}.iam.gserviceaccount.com"
    owner.post(url, json={"accountId": name}).raise_for_status()
    made = owner.post(f"{url}/{email}/keys", json={})
    made.raise_for_status()
    return json.loads(base64.b64decode(made.json()["privateKeyData"]))


def new_place(local_cloud: Any, project: str) -> Place:
    launch.start(local_cloud.root, local_cloud.root / "envs", [project])
    place = Place(type(local_cloud)(local_cloud.root, project), project)
    with place.cloud.session() as owner:
        url = f"https://serviceusage.googleapis.com/v1/projects/{project}/services:batchEnable"
        made = owner.post(url, json={"serviceIds": [f"{name}.googleapis.com" for name in APIS]})
        assert made.ok, made.text
        place.parts["operations of v1"] = made.json()["name"].removeprefix("operations/")
        place.names.append(made.json()["name"])
    return place


@pytest.fixture(scope="module")
def place(local_cloud: Any) -> Place:
    """A project with one of each kind."""
    place = new_place(local_cloud, "walked-project")
    root, here = f"projects/{place.project}", f"projects/{place.project}/locations/{REGION}"
    vertex = f"https://{REGION}-aiplatform.googleapis.com/v1/"
    artifacts, logs = "https://artifactregistry.googleapis.com/v1/", "https://logging.googleapis.com/v2/"
    watch, quotas = "https://monitoring.googleapis.com/v3/", "https://cloudquotas.googleapis.com/v1/"
    storage = "https://storage.googleapis.com/storage/v1/b"
    container = {"imageUri": "gcr.io/nobody/nothing", "command": ["true"]}
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": 1, "containerSpec": container}
    job = {"displayName": "walked", "jobSpec": {"workerPoolSpecs": [pool]}}
    preference = {
        "service": "aiplatform.googleapis.com",
        "quotaId": "CustomModelTrainingT4GPUsPerProjectPerRegion",
        "quotaConfig": {"preferredValue": "12"},
        "dimensions": {"region": REGION},
        "contactEmail": "someone@example.com",
    }
    condition = {"displayName": "c", "conditionMatchedLog": {"filter": "severity>=ERROR"}}
    policy = {"displayName": "p", "combiner": "OR", "conditions": [condition]}
    policy["alertStrategy"] = {"notificationRateLimit": {"period": "300s"}}
    budget = {"displayName": "b", "amount": {"specifiedAmount": {"units": "10", "currencyCode": "USD"}}}
    budget["budgetFilter"] = {"projects": [root]}
    topic, bucket = f"{root}/topics/walked-topic", "walked-bucket"
    account = f"{root}/serviceAccounts/walked@{place.project}.iam.gserviceaccount.com"
    with place.cloud.session() as owner:

        def made(method: str, url: str, body: Any) -> dict[str, Any]:
            answer = owner.request(method, url, json=body)
            assert answer.ok, f"{url}: {answer.text}"
            return answer.json()

        changed = made("PATCH", f"https://cloudresourcemanager.googleapis.com/v3/{root}", {"displayName": "walked"})
        place.parts["operations of v3"] = changed["name"].removeprefix("operations/")
        for name in (root, here, f"{root}/locations/global", PAYER, "roles/viewer"):
            place.add(name)
        key_of(owner, place.project, "walked")
        place.add(account)
        place.add(made("POST", f"https://iam.googleapis.com/v1/{account}/keys", {})["name"])
        made("POST", f"https://iam.googleapis.com/v1/{root}/roles", {"roleId": "walked", "role": {"title": "w"}})
        place.add(f"{root}/roles/walked")
        made("PUT", f"https://pubsub.googleapis.com/v1/{topic}", {})
        made("PUT", f"https://pubsub.googleapis.com/v1/{root}/subscriptions/walked", {"topic": topic})
        place.names += [topic, f"{root}/subscriptions/walked"]
        made("POST", f"{artifacts}{here}/repositories?repositoryId=walked", {"format": "DOCKER"})
        place.add(f"{here}/repositories/walked")
        place.add(made("POST", f"{vertex}{here}/customJobs", job)["name"])
        batch = made("POST", f"{vertex}{here}/endpoints", {"displayName": "gone"})["name"].partition("/operations/")[0]
        place.add(made("DELETE", f"{vertex}{batch}", None)["name"])
        endpoint = made("POST", f"{vertex}{here}/endpoints", {"displayName": "walked"})["name"]
        place.add(endpoint)
        place.names.append(endpoint.partition("/operations/")[0])
        made("POST", f"{storage}?project={place.project}", {"name": bucket, "location": REGION})
        upload = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o?uploadType=media&name=walked"
        owner.post(upload, data=b"kept").raise_for_status()
        sink = {"name": "walked", "destination": f"pubsub.googleapis.com/{topic}", "filter": "severity>=ERROR"}
        made("POST", f"{logs}{root}/sinks", sink)
        made("POST", f"{logs}{root}/metrics", {"name": "walked", "filter": "severity>=ERROR"})
        made("POST", f"{logs}{root}/locations/global/buckets?bucketId=walked", {"retentionDays": 1})
        bucket_of_logs = f"{root}/locations/global/buckets/walked"
        made("POST", f"{logs}{bucket_of_logs}/views?viewId=walked", {})
        made("POST", f"{logs}{root}/exclusions", {"name": "walked", "filter": "severity>=ERROR"})
        place.names += [f"{root}/{kind}/walked" for kind in ("sinks", "metrics", "exclusions")]
        place.names += [bucket_of_logs, f"{bucket_of_logs}/views/walked"]
        entry = {"logName": f"{root}/logs/walked", "resource": {"type": "global"}, "textPayload": "kept"}
        made("POST", f"{logs}entries:write", {"entries": [entry]})
        place.names.append(f"{root}/logs/walked")
        channel = {"type": "email", "labels": {"email_address": "someone@example.com"}}
        place.add(made("POST", f"{watch}{root}/notificationChannels", channel)["name"])
        place.add(made("POST", f"{watch}{root}/alertPolicies", policy)["name"])
        place.add(
            made("POST", f"{quotas}{root}/locations/global/quotaPreferences?quotaPreferenceId=walked", preference)[
                "name"
            ]
        )
        place.parts |= {"quotaInfos": preference["quotaId"], "services": "aiplatform.googleapis.com"}
        place.add(made("POST", f"https://billingbudgets.googleapis.com/v1/{PAYER}/budgets", budget)["name"])
    return place


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

# Bodies that a method looks at before it can know what is asked for.
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v2/entries:list"): {"resourceNames": ["projects/walked-project"]},
    ("POST", "/v2/entries:write"): {"entries": [{"logName": "projects/walked-project/logs/walked"}]},
    ("PUT", "/v1/projects/{project}/billingInfo"): {"billingAccountName": PAYER},
}


def routes() -> Iterator[tuple[str, str, str]]:
    """HTTP method, host, and pattern of everything that a Router answers."""
    for module in dict.fromkeys(loader.partition(":")[0] for _, loader in HOSTS):
        if module in APART:
            continue
        made = vertex_router(messages.load()) if "vertex" in module else importlib.import_module(module).router
        made = made if isinstance(made, Router) else made()
        for route in made.routes:
            for host in HTTP[module]:
                budget = "/budgets" in route.text
                if len(HTTP[module]) == 1 or budget == host.startswith("billingbudgets"):
                    yield route.method, host, re.sub(r"(\w)__(\w)", r"\1.\2", route.text)


ROUTES = sorted(set(routes()))


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

_VERTEX = "google.cloud.aiplatform.v1."
TRANSCODED = {  # loader of a table -> the library whose transports know its methods
    "localcloud.projects.http:table": "google.cloud.resourcemanager_v3",
    "localcloud.projects.services_http:table": "google.cloud.service_usage_v1",
    "localcloud.iam.rpc:table": "google.cloud.iam_admin_v1",
    "localcloud.iam.credentials_http:table": "google.cloud.iam_credentials_v1",
    "localcloud.billing.http:table": "google.cloud.billing.budgets_v1",
    "localcloud.quotas.http:table": "google.cloud.cloudquotas_v1",
    "localcloud.artifacts.http:table": "google.cloud.artifactregistry_v1",
    "localcloud.monitoring.rpc:table": "google.cloud.monitoring_v3",
    "localcloud.pubsub.rpc:table": "google.pubsub_v1",
}


@dataclass(frozen=True)
class Rpc:
    path: str
    request: Any  # a message class
    method: str
    pattern: str
    body: str

    def __str__(self) -> str:
        return self.path


def rpcs() -> Iterator[Rpc]:
    """Every method that is answered over gRPC, with the URL of its REST twin, which says what its names look like."""
    from localcloud.iam.rpc import RULES

    loaded = messages.load()
    for _, loader in TABLES:
        if loader in TRANSCODED:
            routers = importlib.import_module(loader.partition(":")[0]).router
            for rpc in transcoding._methods(TRANSCODED[loader], RULES if "iam_admin" in TRANSCODED[loader] else {}):
                for rule in rpc.rules:
                    path = re.sub(r"\{[^}]*\}", "x", rule["uri"])
                    known = [one for one in routers.routes if one.method == rule["method"].upper()]
                    if any(_alike(one.text, rule["uri"]) for one in known) and path:
                        yield Rpc(rpc.path, rpc.request, rule["method"].upper(), rule["uri"], rule.get("body", ""))
        elif "vertex" in loader:
            for name, method in vertex_methods.OPERATIONS.items():
                for route in OPERATION_ROUTES[name]:
                    path = f"/google.longrunning.Operations/{name}"
                    yield Rpc(path, loaded.message(method.request), route.verb, route.pattern, "")
            for service, table in vertex_methods.services().items():
                for name, method in table.items():
                    for route in loaded.routes[service][name][:1]:
                        path = f"/{_VERTEX}{service}/{name}"
                        yield Rpc(path, loaded.message(method.request), route.verb, route.pattern, route.body)
        else:
            for path, method in logging_methods.by_rpc().items():
                yield Rpc(path, logging_message(method.request), method.verb, method.pattern, method.body)


def _alike(ours: str, theirs: str) -> bool:
    """Whether two patterns are of the same URLs."""

    def shape(pattern: str) -> str:
        named = re.sub(r"\{[\w.]+=([^}]*)\}", r"\1", pattern)
        return re.sub(r"\{[\w.]+\}|\*\*|\*", "*", named)

    return shape(ours) == shape(theirs)


RPCS = sorted({(rpc.path, rpc.pattern): rpc for rpc in rpcs()}.values(), key=lambda rpc: (rpc.path, rpc.pattern))


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
    asked = [rpc for rpc in RPCS if not _is_open_rpc(place, rpc)]
    wrong = []
    for who, session in strangers.items():
        for path, error in asked_over_grpc(place, session.credentials.token, asked).items():
            refused: Any = error
            if refused is None or refused.code() is not grpc.StatusCode.PERMISSION_DENIED:
                wrong.append(f"{who}: {path}: {refused and (refused.code(), refused.details())}")
            elif not infos(refused).get("metadata", {}).get("permission"):
                wrong.append(f"{who}: {path}: no permission is named: {refused.details()}")
    assert not "\n".join(wrong)


def _is_open_rpc(place: Place, rpc: Rpc) -> bool:
    hosts = {"iam.credentials": "iamcredentials", "iam.admin": "iam", "resourcemanager": "cloudresourcemanager"}
    host = next((host for part, host in hosts.items() if part in rpc.path), rpc.path.split(".")[1])
    path = re.sub(r"\{([\w.]+)(?:=([^}]*))?\}", "x", rpc.pattern)
    return is_open(rpc.method, f"{host}.googleapis.com{path}")


def test_without_a_token_nothing_answers_over_grpc(place: Place) -> None:
    for path, error in asked_over_grpc(place, "", RPCS).items():
        refused: Any = error
        assert refused is not None and refused.code() is grpc.StatusCode.UNAUTHENTICATED, path


# Cloud Storage, which has no Router

BUCKET = "walked-bucket"
_MULTIPART = (
    b'--x\r\nContent-Type: application/json\r\n\r\n{"name": "new"}\r\n'
    b"--x\r\nContent-Type: text/plain\r\n\r\nbytes\r\n--x--"
)
_FORM = b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nnew\r\n--x--\r\n'
OTHER_INTERFACES: list[tuple[str, str, bytes | None, dict[str, str]]] = [
    ("GET", "/storage/v1/b/BUCKET/o/walked?alt=media", None, {}),
    ("GET", "/download/storage/v1/b/BUCKET/o/walked?alt=media", None, {}),
    ("POST", "/upload/storage/v1/b/BUCKET/o?uploadType=media&name=new", b"bytes", {}),
    (
        "POST",
        "/upload/storage/v1/b/BUCKET/o?uploadType=multipart",
        _MULTIPART,
        {"Content-Type": "multipart/related; boundary=x"},
    ),
    ("POST", "/upload/storage/v1/b/BUCKET/o?uploadType=resumable&name=new", b"{}", {}),
    ("GET", "/", None, {"x-goog-project-id": "walked-project"}),
    ("GET", "/BUCKET", None, {}),
    ("HEAD", "/BUCKET", None, {}),
    ("GET", "/BUCKET?location", None, {}),
    ("GET", "/BUCKET?versioning", None, {}),
    ("GET", "/BUCKET?uploads", None, {}),
    ("PUT", "/BUCKET?versioning", b"<VersioningConfiguration/>", {}),
    ("PUT", "/new-bucket", None, {"x-goog-project-id": "walked-project"}),
    ("DELETE", "/BUCKET", None, {}),
    ("GET", "/BUCKET/walked", None, {}),
    ("HEAD", "/BUCKET/walked", None, {}),
    ("PUT", "/BUCKET/walked", b"bytes", {}),
    ("PUT", "/BUCKET/new", None, {"x-goog-copy-source": "BUCKET/walked"}),
    ("POST", "/BUCKET/new", None, {"x-goog-resumable": "start"}),
    ("POST", "/BUCKET/new?uploads", None, {}),
    ("PUT", "/BUCKET/new?uploadId=1&partNumber=1", b"bytes", {}),
    ("POST", "/BUCKET/new?uploadId=1", b"<CompleteMultipartUpload/>", {}),
    ("GET", "/BUCKET/new?uploadId=1", None, {}),
    ("DELETE", "/BUCKET/new?uploadId=1", None, {}),
    ("DELETE", "/BUCKET/walked", None, {}),
]


@pytest.fixture(scope="module")
def calls_of_storage(place: Place) -> list[tuple[str, str, bytes | None, dict[str, str]]]:
    """One call of each route of the JSON API, and of the other interfaces."""
    url = "https://storage.googleapis.com/storage/v1"
    with place.cloud.session() as owner:
        made = owner.post(f"{url}/b?project={place.project}", json={"name": "walked-gone", "location": REGION}).json()
        owner.delete(f"{url}/b/walked-gone").raise_for_status()
    values = {"b": BUCKET, "o": "walked", "projects": place.project, "notificationConfigs": "1"}
    calls = []
    for route in json_api._ROUTES:
        text = route.pattern.pattern.replace("([^/]+)", "*").replace("\\", "")
        path = re.sub(r"(\w+)/\*", lambda match: f"{match[1]}/{values[match[1]]}", text)
        query = f"?project={place.project}" if text == "/b" else "?permissions=storage.objects.get"
        if text == "/b/*/restore":
            path, query = "/b/walked-gone/restore", f"?generation={made['generation']}"
        body = b"{}" if route.method not in ("GET", "DELETE") else None
        calls.append((route.method, f"/storage/v1{path}{query}", body, {"Content-Type": "application/json"}))
    return [(verb, path.replace("BUCKET", BUCKET), body, {name: value.replace("BUCKET", BUCKET) for name, value in
             headers.items()}) for verb, path, body, headers in calls + OTHER_INTERFACES]  # fmt: skip


def is_open_storage(method: str, path: str) -> bool:
    return is_open(method, f"storage.googleapis.com{path.partition('?')[0]}")


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
