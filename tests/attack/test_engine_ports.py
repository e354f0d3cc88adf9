"""Another user of the machine and the ports of an engine at work: its program's, its events', and its own."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests

from cloudkite.accounts import settings
from cloudkite.engine import served, state
from cloudkite.engine.failures import Foreign
from tests.attack import engines

attacked = engines.attacked
pytestmark = pytest.mark.slow

IMPORTS = """
import encodings.idna, grpc
from concurrent import futures
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import events_pb2, events_pb2_grpc, language_pb2, language_pb2_grpc
from pulumi.runtime.proto import resource_pb2 as pb, resource_pb2_grpc
"""

# Waits for the engine of the account, and reads its command line: any user may.
FIND = """
name = sys.argv[1]
socket.create_connection(("127.0.0.1", int(sys.argv[3]))).close()  # ready

def engine():
    for _ in range(1500):
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_text().split("\\0")
            except OSError:
                continue
            if name in words and any(word.startswith("--client=") for word in words):
                return words
        time.sleep(0.02)
    sys.exit("no engine was found")

def call(what):
    try:
        return what() or "answered"
    except grpc.RpcError as error:
        return error.code().name
"""

PROGRAM = (
    FIND
    + """
class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    def SupportsFeature(self, request, context):
        return pb.SupportsFeatureResponse(hasSupport=True)
    def RegisterResource(self, request, context):
        if "accessToken" in request.object:
            stolen.append(True)
        return pb.RegisterResourceResponse(urn="urn:pulumi:a::b::" + request.type + "::" + request.name)

stolen = []
server = grpc.server(futures.ThreadPoolExecutor(4))
resource_pb2_grpc.add_ResourceMonitorServicer_to_server(Monitor(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
words = engine()
client = next(word for word in words if word.startswith("--client=")).partition("=")[2]
log = next(word for word in words if "tcp://" in word).partition("tcp://")[2]
language = language_pb2_grpc.LanguageRuntimeStub(grpc.insecure_channel(client))
asked = language_pb2.RunRequest(project="cloudkite", stack=name, monitor_address=f"127.0.0.1:{port}", dryRun=True,
    config=json.loads(sys.argv[4]))
run = call(lambda: language.Run(asked, timeout=20).error)
about = call(lambda: language.About(empty_pb2.Empty(), timeout=20).version)
events = events_pb2_grpc.EventsStub(grpc.insecure_channel(log))
said = json.dumps({"sequence": 1, "timestamp": 1, "diagnosticEvent":
    {"message": "forged", "color": "never", "severity": "warning"}})
told = call(lambda: events.StreamEvents(iter([events_pb2.EventRequest(event=said)]), timeout=20) and "")
print(json.dumps({"run": run, "about": about, "events": told, "stolen": stolen}))
"""
)

# Finds the engine's own port among all that are open, reads the provider and its token there, and makes resources.
MONITOR = (
    FIND
    + """
def listening():
    rows = [line.split() for line in open("/proc/net/tcp").readlines()[1:]]
    return {int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and row[1].startswith("0100007F")}

def monitor(before):
    for _ in range(500):
        for port in listening() - before:
            stub = resource_pb2_grpc.ResourceMonitorStub(grpc.insecure_channel(f"127.0.0.1:{port}"))
            try:
                if stub.GetDeploymentInfo(empty_pb2.Empty(), timeout=1).stack == name:
                    return stub  # and not another engine that happens to be at work
            except grpc.RpcError:
                continue
        time.sleep(0.02)
    sys.exit("no monitor was found")

def struct(**values):
    made = struct_pb2.Struct()
    made.update(values)
    return made

before = listening()
engine()
stub = monitor(before)
start = f"urn:pulumi:{name}::cloudkite::"
ours = start + "pulumi:providers:gcp::gcp"
look = pb.ResourceInvokeRequest(tok="pulumi:pulumi:getResource", args=struct(urn=ours))
for _ in range(500):
    try:
        found = getattr(stub.Invoke(look, timeout=5), "return")
        break
    except grpc.RpcError:
        time.sleep(0.02)
token = str(found["state"]["accessToken"]["value"] if "value" in found["state"]["accessToken"] else "")
common = dict(acceptSecrets=True, supportsPartialValues=True)
def register(kind, label, **more):
    return call(lambda: stub.RegisterResource(pb.RegisterResourceRequest(type=kind, name=label, **common, **more),
        timeout=30).urn)
told = [
    register("evil:index:Thing", "evil-thing"),
    register("pulumi:providers:gcp", "evil-provider", custom=True,
        object=struct(accessToken=token, project=sys.argv[2]),),
    register("gcp:storage/bucket:Bucket", "evil-bucket", custom=True, provider=ours + "::" + found["id"],
        object=struct(name=name + "-evil", location="US"), protect=True, retainOnDelete=True),
]
print(json.dumps({"told": told, "token": token}))
"""
)


@pytest.fixture
def under_attack(stranger, attacked, monkeypatch):
    """Runs code of a stranger while an engine is at work: `with under_attack(code) as attack`; the engine waits."""

    @contextmanager
    def begin(code, *more):
        with socket.create_server(("127.0.0.1", 0)) as ready, ThreadPoolExecutor(1) as pool:
            arguments = attacked.account.name, attacked.account.project, ready.getsockname()[1], *more
            attack = pool.submit(stranger, code, *arguments, imports=IMPORTS)
            ready.settimeout(60)
            ready.accept()[0].close()
            monkeypatch.setattr(served._Noted, "RegisterResource", later(served._Noted.RegisterResource, attack))
            yield attack
            monkeypatch.undo()
        assert attack.result().stderr == ""

    return begin


def later(register, attack):
    """The program's own resources, but for its provider, come when the attack is over."""

    def wait(self, request):
        if not request.type.startswith("pulumi:"):
            attack.exception(60)
        return register(self, request)

    return wait


# Has the engine take our bucket for one of theirs.
ALIAS = (
    MONITOR.partition("told = [")[0]
    + """
told = register("gcp:storage/bucket:Bucket", "evil-alias", custom=True, provider=ours + "::" + found["id"],
    object=struct(**json.loads(sys.argv[5])), aliasURNs=[sys.argv[4]], protect=True)
print(json.dumps({"told": told}))
"""
)


def test_nobody_but_the_engine_is_answered_by_the_program_and_the_events(under_attack, attacked):
    config = {
        k: v if isinstance(v, str) else json.dumps(v) for k, v in settings.read(attacked.account.settings).items()
    }
    with under_attack(PROGRAM, json.dumps(config)) as attack:
        outcome = attacked.up()
    assert json.loads(attack.result().stdout) == {
        "run": "PERMISSION_DENIED", "about": "PERMISSION_DENIED", "events": "PERMISSION_DENIED", "stolen": [],
    }  # fmt: skip
    assert "forged" not in outcome.warnings
    assert attacked.up().changes == {}


@pytest.mark.parametrize("verb", ["preview", "up"])
def test_what_the_program_does_not_declare_fails_the_run_and_is_removed(under_attack, attacked, verb):
    if verb == "preview":
        attacked.up()
    with under_attack(MONITOR) as attack, pytest.raises(Foreign) as told:
        getattr(attacked, verb)()
    assert "evil-thing (evil:index:Thing)" in told.value.message
    assert "evil-provider (pulumi:providers:gcp)" in told.value.message
    assert "evil-bucket (gcp:storage/bucket:Bucket)" in told.value.message
    assert "another user of this machine" in told.value.hint
    rows = state.read(attacked.folder).rows
    assert not [row["urn"] for row in rows if "evil" in row["urn"]]
    names = [bucket.name for bucket in attacked.target.storage().list_buckets()]
    assert f"{attacked.account.name}-evil" not in names
    attacked.up()
    assert attacked.up().changes == {}
    assert_worthless(attacked, json.loads(attack.result().stdout)["token"])


def test_a_resource_of_ours_that_a_stranger_claims_is_not_deleted(under_attack, attacked):
    attacked.up()
    data = next(each for each in attacked.left() if (each.kind, each.name) == ("Bucket", "data"))
    attacked.target.storage().bucket(data.id).blob("kept").upload_from_string("x")
    with under_attack(ALIAS, data.urn, json.dumps(data.inputs)), pytest.raises(Foreign):
        attacked.up()
    attacked.up()
    assert attacked.up().changes == {}
    assert data in attacked.left()
    assert attacked.target.storage().bucket(data.id).blob("kept").exists()


def assert_worthless(attacked, token):
    """What they saw of our token on the way opens nothing."""
    assert token.count(".") == 2
    session = attacked.target.session()
    url = f"https://storage.googleapis.com/storage/v1/b?project={attacked.account.project}"
    assert session.get(url).status_code == 200
    with requests.Session() as theirs:
        theirs.trust_env = False
        theirs.proxies.update(session.proxies)
        theirs.verify = session.verify
        assert theirs.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 401
