"""What a fault is aimed at: an API method's id, a gRPC method or a host/path pattern, and whether a request is such.

Method ids are those of Google's discovery documents ("storage.objects.get", "aiplatform.projects.locations.customJobs.
create"); the collections before the last may be left out ("aiplatform.customJobs.create"). They follow from a request's
verb and path by the rules that Google's APIs are made by (https://google.aip.dev/127, https://google.aip.dev/136).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from localcloud.core.errors import Advised
from localcloud.faults.storage_names import storage_id

# How a gRPC service's name starts -> its API, as in API.googleapis.com; the first that fits.
RPC_APIS = (
    ("google.cloud.aiplatform.", "aiplatform"),
    ("google.cloud.run.", "run"),
    ("google.logging.", "logging"),
    ("google.cloud.resourcemanager.", "cloudresourcemanager"),
    ("google.api.serviceusage.", "serviceusage"),
    ("google.iam.admin.", "iam"),
    ("google.iam.credentials.", "iamcredentials"),
    ("google.cloud.billing.budgets.", "billingbudgets"),
    ("google.cloud.billing.", "cloudbilling"),
    ("google.api.cloudquotas.", "cloudquotas"),
    ("google.devtools.artifactregistry.", "artifactregistry"),
    ("google.monitoring.", "monitoring"),
    ("google.pubsub.", "pubsub"),
)
APIS = ("storage", *dict.fromkeys(api for _, api in RPC_APIS))
PULUMI = "pulumi"  # in the place of an API: what Pulumi's provider asks of Google
_OTHER_HOSTS = ("oauth2.googleapis.com", "www.googleapis.com", "accounts.google.com", "openidconnect.googleapis.com")
METADATA = "metadata.google.internal"
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

# gRPC names that aren't a verb and a noun.
_ODD_RPCS = {
    "Predict": "endpoints.predict",
    "RawPredict": "endpoints.rawPredict",
    "StreamRawPredict": "endpoints.streamRawPredict",
    "ServerStreamingPredict": "endpoints.serverStreamingPredict",
    "Explain": "endpoints.explain",
    "DeployModel": "endpoints.deployModel",
    "UndeployModel": "endpoints.undeployModel",
    "MutateDeployedModel": "endpoints.mutateDeployedModel",
    "GenerateAccessToken": "serviceAccounts.generateAccessToken",
    "GenerateIdToken": "serviceAccounts.generateIdToken",
    "SignBlob": "serviceAccounts.signBlob",
    "SignJwt": "serviceAccounts.signJwt",
    "GetProjectBillingInfo": "projects.getBillingInfo",
    "UpdateProjectBillingInfo": "projects.updateBillingInfo",
    "Publish": "topics.publish",
    "RunJob": "jobs.run",
    "Pull": "subscriptions.pull",
    "Acknowledge": "subscriptions.acknowledge",
    "GetIamPolicy": "*.getIamPolicy",
    "SetIamPolicy": "*.setIamPolicy",
    "TestIamPermissions": "*.testIamPermissions",
}
_CUSTOM = re.compile(r"(?::|%3[Aa])([A-Za-z]+)$")
_NAMESPACED = re.compile(r"^/apis/[^/]+/")  # of Cloud Run's older API
_WORDS = re.compile(r"(Batch[A-Z][a-z]+|[A-Z][a-z]+)(.*)")


@dataclass(frozen=True)
class Seen:
    """A request: REST by verb, host and path (without the query, still encoded), gRPC by "package.Service/Method".

    What Pulumi's provider asks has a `provider` name, "pulumi.storage.Bucket.create".
    """

    verb: str = ""
    host: str = ""
    path: str = ""
    rpc: str = ""
    principal: str = ""
    provider: str = ""

    @property
    def id(self) -> str:
        """The id of the REST method; "" when there is none."""
        return method_id(self.verb, self.host, self.path)

    def __str__(self) -> str:
        return self.provider or (f"gRPC {self.rpc}" if self.rpc else f"{self.verb} {self.host}{self.path}")


@dataclass(frozen=True)
class Aim:
    """What a fault is aimed at: exactly one of a method id, a gRPC method, or `pattern` ("VERB host/path")."""

    id: str = ""
    rpc: str = ""
    pattern: str = ""

    @property
    def of_provider(self) -> bool:
        """Whether it is something of Pulumi's provider."""
        return self.id.startswith(f"{PULUMI}.")

    def fits(self, seen: Seen) -> bool:
        """Whether the request is one of those."""
        if seen.provider or self.of_provider:
            return self.of_provider and bool(seen.provider) and includes(self.id, seen.provider)
        return self._fits_rpc(seen.rpc) if seen.rpc else self._fits_rest(seen)

    def _fits_rest(self, seen: Seen) -> bool:
        if self.pattern:
            return fnmatchcase(f"{seen.verb} {seen.host}{seen.path}", self.pattern)
        found = seen.id
        if self.rpc:
            return bool(found) and same(self.rpc, found)
        return bool(found) and includes(self.id, found)

    def _fits_rpc(self, rpc: str) -> bool:
        if self.rpc:
            return fnmatchcase(rpc, self.rpc)
        api = rpc_api(rpc)
        if self.pattern:
            hosts = [
                f"{api or '*'}.googleapis.com",
                *(["us-central1-aiplatform.googleapis.com"] * (api == "aiplatform")),
            ]
            if any(fnmatchcase(f"POST {host}/{rpc}", self.pattern) for host in hosts):
                return True
            verb, _, target = self.pattern.partition(" ")
            wanted_host, _, path = target.partition("/")
            tail = _tail(verb, path)
            return bool(tail) and any(fnmatchcase(host, wanted_host) for host in hosts) and same(rpc, f"{api}.{tail}")
        if "*" in self.id and includes(self.id, rpc_id(rpc)):
            return True
        return same(rpc, self.id)


def aim(text: str) -> Aim:
    """What METHOD on a command line means. Raises Advised for what can't be."""
    text = text.strip()
    verb, _, rest = text.rpartition(" ")
    verb = verb.strip()
    if verb and verb not in (*VERBS, "*"):
        raise Advised(400, f"{verb!r} isn't an HTTP method", f"one of {', '.join(VERBS)}, before host/path")
    first, slash, after = rest.partition("/")
    if not verb and slash and re.fullmatch(r"google(\.[\w*]+)+", first) and after:
        if not any(first.startswith(start.rstrip(".")) for start, _ in RPC_APIS) and "*" not in first:
            raise Advised(400, f"{first} isn't a service of the local cloud", _EXAMPLES)
        return Aim(rpc=rest)
    if slash or verb or first.endswith((".com", ".internal", ".goog")):
        path = after if slash else "*"
        if not any(fnmatchcase(host, first.lower()) for host in _hosts()):
            raise Advised(400, f"{first or text!r} isn't a host of the local cloud", _EXAMPLES)
        return Aim(pattern=f"{verb or '*'} {first.lower()}/{path}")
    if not re.fullmatch(r"[a-z0-9]+(\.[A-Za-z*]+)+", rest):
        raise Advised(400, f"{text!r} names no method", _EXAMPLES)
    api = rest.partition(".")[0]
    if api not in (*APIS, PULUMI):
        raise Advised(400, f"the local cloud has no API {api}", f"one of {', '.join((*APIS, PULUMI))}")
    return Aim(id=rest)


_EXAMPLES = (
    "storage.objects.get, google.cloud.aiplatform.v1.JobService/CreateCustomJob, or "
    "'POST *aiplatform.googleapis.com/v1/*/customJobs'"
)


def _hosts() -> list[str]:
    apis = [f"{api}.googleapis.com" for api in APIS]
    return [*apis, *_OTHER_HOSTS, METADATA, "us-central1-aiplatform.googleapis.com", "us-central1-run.googleapis.com",
            "bucket.storage.googleapis.com"]  # fmt: skip


def method_id(verb: str, host: str, path: str) -> str:
    """The id of a REST method by verb, host and encoded path; "" for what is no method of an API."""
    if host.endswith("storage.googleapis.com") or "/storage/v1" in path:
        return storage_id(verb, host, path)
    api = "aiplatform" if "aiplatform." in host or host.endswith("vertexai.goog") else host.partition(".")[0]
    api = "run" if host.endswith("-run.googleapis.com") else api
    return rest_id(api, verb, path) if api in APIS else ""


def rest_id(api: str, verb: str, path: str) -> str:
    """The id by the rules that most APIs follow: collections and ids take turns in a path, a custom verb ends it."""
    path = _NAMESPACED.sub("/", path)
    custom = _CUSTOM.search(path)
    parts = [part for part in path[: custom.start() if custom else None].split("/") if part]
    if parts and re.fullmatch(r"v\d\w*", parts[0]):
        parts = parts[1:]
    if not parts:
        return ""
    collections, of_all = parts[0::2], len(parts) % 2 == 1
    if custom:
        name = custom[1]
    elif of_all and len(parts) > 1 and not parts[-1].endswith("s"):  # projects/P/billingInfo
        word = collections.pop()
        name = {"GET": "get", "HEAD": "get"}.get(verb, "update") + word[0].upper() + word[1:]
    elif of_all:
        name = {"POST": "create", "GET": "list", "HEAD": "list", "DELETE": "delete"}.get(verb, "update")
    else:
        name = {"GET": "get", "HEAD": "get", "DELETE": "delete", "POST": "create"}.get(verb, "patch")
    return ".".join([api, *collections, name])


def includes(wanted: str, found: str) -> bool:
    """Whether the id `wanted`, with wildcards and without some collections, means the whole id `found`."""
    wanted, found = _plain(wanted), _plain(found)
    api, *rest = found.split(".")
    return fnmatchcase(found, wanted) or any(
        fnmatchcase(f"{api}.{'.'.join(rest[at:])}", wanted) for at in range(1, len(rest))
    )


def _plain(name: str) -> str:
    """Without what one API calls so and another otherwise: patch is update, and an object's create is insert."""
    name = re.sub(r"\.patch$", ".update", name)
    return re.sub(r"^(storage\.(?:buckets|objects))\.create$", r"\1.insert", name).lower()


def rpc_api(rpc: str) -> str:
    """The API of a gRPC method; "" for services that all APIs have."""
    return next((api for start, api in RPC_APIS if rpc.startswith(start)), "")


def rpc_id(rpc: str) -> str:
    """A method id for a gRPC method: "google.logging.v2.LoggingServiceV2/ListLogs" -> "logging.logs.list"."""
    api, name = rpc_api(rpc) or "*", rpc.rpartition("/")[2]
    if name in _ODD_RPCS:
        return f"{api}.{_ODD_RPCS[name]}"
    words = _WORDS.fullmatch(name)
    if words is None:
        return f"{api}.{name}"
    noun = words[2].removeprefix("Log") if api == "logging" and words[2] not in ("Log", "Logs") else words[2]
    noun = _plural(_singular(noun))
    verb = words[1][0].lower() + words[1][1:]
    return f"{api}.{noun[:1].lower()}{noun[1:]}.{verb}"


def same(rpc: str, wanted: str) -> bool:
    """Whether a gRPC method is the method with the id `wanted`."""
    own_api, _, own = rpc_id(rpc).partition(".")
    own_noun, _, own_verb = _plain(own).rpartition(".")
    api, *collections, verb = _plain(wanted).split(".")
    if own_api not in ("*", api) and api != "*":
        return False
    if verb not in ("*", own_verb):
        return False
    singular = [_singular(collection) for collection in collections]
    joined = {"".join(singular[at:]) for at in range(len(singular))}  # serviceAccounts.keys is ServiceAccountKey
    return own_noun == "*" or "*" in collections[-1:] or _singular(own_noun) in joined


def _tail(verb: str, path: str) -> str:
    """Collection and verb at the end of a path pattern: "POST", "v1/*/customJobs" -> "customJobs.create"."""
    custom = _CUSTOM.search(path)
    parts = path[: custom.start() if custom else None].split("/")
    of_one = not re.fullmatch(r"[A-Za-z]+", parts[-1])
    if of_one:
        parts = parts[:-1]
    if not parts or not re.fullmatch(r"[A-Za-z]+", parts[-1]):
        return ""
    if custom:
        return f"{parts[-1]}.{custom[1]}"
    if verb == "*":
        return f"{parts[-1]}.*"
    return rest_id("any", verb, f"{parts[-1]}/one" if of_one else parts[-1]).partition(".")[2]


def _singular(word: str) -> str:
    if word.lower().endswith("ies"):
        return word[:-3] + "y"
    if word.lower().endswith(("indexes", "ches", "shes")):
        return word[:-2]
    return word.removesuffix("s")


def _plural(word: str) -> str:
    if word.endswith("y") and not word.endswith(("ay", "ey", "oy")):
        return word[:-1] + "ies"
    return word + "s" if word else ""
