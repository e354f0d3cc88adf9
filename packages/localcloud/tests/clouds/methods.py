"""Every method that the local cloud answers, as tables: over REST, over gRPC, and Cloud Storage's interfaces.

They are read from the routers and handler tables themselves, so that a new method is walked without being named here.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clouds.walked import BUCKET, PAYER, REGION, Place
from localcloud.apis import HOSTS, TABLES
from localcloud.iam.rpc import RULES
from localcloud.logging import methods as logging_methods
from localcloud.logging.messages import message as logging_message
from localcloud.storage.json import api as json_api
from localcloud.transport import transcoding
from localcloud.transport.rest import Router
from localcloud.vertex import methods as vertex_methods
from localcloud.vertex.http import OPERATION_ROUTES
from localcloud.vertex.http import router as vertex_router
from localcloud.vertex.wire import messages

# What everybody with an account may call, and why. Keys: HTTP method, and a regular expression of host and path.
OPEN = {
    ("GET", r"cloudresourcemanager[^/]+/v[13]/projects(:search)?"): "lists what the caller may see",
    ("POST", r"cloudresourcemanager[^/]+/v[13]/projects"): "asks who calls: only people make projects",
    ("POST", r".*:testIamPermissions"): "tells the caller its own permissions",
    ("GET", r".*/iam/testPermissions"): "tells the caller its own permissions",
    ("GET", r"cloudbilling[^/]+/v1/billingAccounts"): "lists what the caller may see",
    ("GET", r"cloudbilling[^/]+/v1/services(/[^/]+/skus)?"): "prices are public",
    ("POST", r"iam[.][^/]+/v1/permissions:queryTestablePermissions"): "what there is to permit is public",
    ("POST", r"iam[.][^/]+/v1/roles:queryGrantableRoles"): "predefined roles are the same for everybody",
    ("GET", r"iam[.][^/]+/v1/roles(/[^/]+)?"): "predefined roles are public",
    ("GET", r"iamcredentials[^/]+/.*/allowedLocations"): "where tokens may be used from is public",
    ("GET", r"logging[^/]+/v2/monitoredResourceDescriptors"): "the same for everybody",
    ("GET", r"serviceusage[^/]+/v1/operations/noop.DONE_OPERATION"): "says nothing of any project",
}


def is_open(method: str, address: str) -> bool:
    return any(method == verb and re.fullmatch(pattern, address) for verb, pattern in OPEN)


# REST

HTTP = {  # module of a router -> the hosts that it answers
    "localcloud.vertex.http": [f"{REGION}-aiplatform.googleapis.com"],
    "localcloud.logging.http": ["logging.googleapis.com"],
    "localcloud.projects.http": ["cloudresourcemanager.googleapis.com"],
    "localcloud.services.http": ["serviceusage.googleapis.com"],
    "localcloud.iam.http": ["iam.googleapis.com"],
    "localcloud.iam.federation.http": ["iam.googleapis.com"],
    "localcloud.credentials.http": ["iamcredentials.googleapis.com"],
    "localcloud.billing.http": ["cloudbilling.googleapis.com", "billingbudgets.googleapis.com"],
    "localcloud.quotas.http": ["cloudquotas.googleapis.com"],
    "localcloud.quotas.metrics": ["serviceusage.googleapis.com"],
    "localcloud.artifacts.http": ["artifactregistry.googleapis.com"],
    "localcloud.monitoring.http": ["monitoring.googleapis.com"],
    "localcloud.pubsub.http": ["pubsub.googleapis.com"],
    "localcloud.functions.http": ["cloudfunctions.googleapis.com"],
    "localcloud.assets.http": ["cloudasset.googleapis.com"],
    "localcloud.run.http": ["run.googleapis.com"],
    "localcloud.bigquery.http": ["bigquery.googleapis.com"],
}
# Left out here: Storage has no Router (below), and these tell a caller about its own token.
APART = {"localcloud.storage.http", "localcloud.identity.oauth", "localcloud.identity.sts"}
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
                if "/namespaces/" in route.text:
                    host = f"{REGION}-{host}"  # the older API of Cloud Run has its regions in its hosts alone
                if len(HTTP[module]) == 1 or budget == host.startswith("billingbudgets"):
                    yield route.method, host, re.sub(r"(\w)__(\w)", r"\1.\2", route.text)


ROUTES = sorted(set(routes()))


# gRPC

TRANSCODED = {  # loader of a table -> the library whose transports know its methods
    "localcloud.projects.http:table": "google.cloud.resourcemanager_v3",
    "localcloud.services.http:table": "google.cloud.service_usage_v1",
    "localcloud.iam.rpc:table": "google.cloud.iam_admin_v1",
    "localcloud.credentials.http:table": "google.cloud.iam_credentials_v1",
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
                        path = f"/google.cloud.aiplatform.v1.{service}/{name}"
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


def is_open_rpc(rpc: Rpc) -> bool:
    hosts = {"iam.credentials": "iamcredentials", "iam.admin": "iam", "resourcemanager": "cloudresourcemanager"}
    host = next((host for part, host in hosts.items() if part in rpc.path), rpc.path.split(".")[1])
    path = re.sub(r"\{([\w.]+)(?:=([^}]*))?\}", "x", rpc.pattern)
    return is_open(rpc.method, f"{host}.googleapis.com{path}")


# Cloud Storage, which has no Router

_MULTIPART = (
    b'--x\r\nContent-Type: application/json\r\n\r\n{"name": "new"}\r\n'
    b"--x\r\nContent-Type: text/plain\r\n\r\nbytes\r\n--x--"
)
_FORM = (
    b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nnew\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nbytes\r\n--x--\r\n'
)
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
    ("POST", "/BUCKET", _FORM, {"Content-Type": "multipart/form-data; boundary=x"}),
    ("POST", "/BUCKET/new", None, {"x-goog-resumable": "start"}),
    ("POST", "/BUCKET/new?uploads", None, {}),
    ("PUT", "/BUCKET/new?uploadId=1&partNumber=1", b"bytes", {}),
    ("POST", "/BUCKET/new?uploadId=1", b"<CompleteMultipartUpload/>", {}),
    ("GET", "/BUCKET/new?uploadId=1", None, {}),
    ("DELETE", "/BUCKET/new?uploadId=1", None, {}),
    ("DELETE", "/BUCKET/walked", None, {}),
]


def storage_calls(place: Place) -> list[tuple[str, str, bytes | None, dict[str, str]]]:
    """One call of each route of the JSON API, and of the other interfaces."""
    url = "https://storage.googleapis.com/storage/v1"
    with place.cloud.session() as owner:
        made = owner.post(f"{url}/b?project={place.project}", json={"name": "walked-gone", "location": REGION}).json()
        owner.delete(f"{url}/b/walked-gone").raise_for_status()
    values = {"b": BUCKET, "o": "walked", "projects": place.project, "notificationConfigs": "1"}
    values |= {"acl": "allUsers", "defaultObjectAcl": "allUsers"}
    calls = []
    for route in json_api.ROUTES:
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
