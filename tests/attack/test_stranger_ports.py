"""Another user of this machine at the local cloud's loopback ports: hears nothing, is told nothing, holds up nobody."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from clouds import LocalCloud
from clouds.fixtures import make_cloud, new_cloud
from clouds.vertex import VertexCloud, id_of, pool
from localcloud.containers.relay import Relay
from localcloud.core import peers, ports
from localcloud.vertex.serving import model_http, tensorflow_server
from localcloud.vertex.serving.plan import Door

__all__ = ["make_cloud", "new_cloud"]

# Listens on a port, says whatever may please, and tells what it heard.
LISTEN = """
port, seconds = int(sys.argv[1]), float(sys.argv[2])
try:
    door = socket.create_server(("127.0.0.1", port))
except OSError as error:
    print("taken:", error)
    sys.exit()
print("listens", flush=True)
door.settimeout(seconds)
try:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        one, _ = door.accept()
        one.settimeout(1)
        try:
            heard = one.recv(65536)
            print("heard", heard, flush=True)
            one.sendall(b"HTTP/1.1 200 OK\\r\\nMetadata-Flavor: Google\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
        except OSError:
            print("heard nothing", flush=True)
        one.close()
except TimeoutError:
    pass
"""
ASK = """
answer = b""
try:
    one = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
    one.sendall(sys.argv[2].encode().decode("unicode_escape").encode("latin-1"))
    answer = one.recv(65536)
except ConnectionError:
    pass
print(answer)
"""
# A job that asks for a token every tenth of a second, and says how that went.
ASKING = """
import os, time, urllib.request
address = "http://" + os.environ["GCE_METADATA_HOST"] + "/computeMetadata/v1/instance/service-accounts/default/token"
request = urllib.request.Request(address, headers={"Metadata-Flavor": "Google"})
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
before = ""
for _ in range(600):
    try:
        now = "a token" if b"access_token" in opener.open(request, timeout=30).read() else "something else"
    except urllib.error.HTTPError as error:
        now = str(error.code)
    except OSError as error:
        now = "nothing"
    if now != before:
        print(now, flush=True)
    before = now
    time.sleep(0.1)
"""


@pytest.fixture
def other(stranger: Any) -> Any:
    """Runs code as another user; gives its output, and fails with its errors."""

    def run(code: str, *arguments: object, imports: str = "import socket") -> str:
        done = stranger(code, *arguments, imports=f"import encodings.idna, encodings.unicode_escape\n{imports}")
        assert not done.returncode, done.stderr
        return done.stdout

    return run


class Cloud(VertexCloud):
    """A cloud of the test's own, with what its jobs run in."""

    def secrets(self) -> list[str]:
        kept = json.loads((self.root / "iam" / "metadata.json").read_text(encoding="utf-8"))
        return [job["secret"] for job in kept.values()]


@pytest.mark.slow
def test_after_a_kill_nobody_hears_the_secret_of_a_job_that_goes_on(new_cloud: Any, tmp_path: Path, other: Any) -> None:
    own = Cloud(new_cloud, tmp_path)
    job = id_of(own.post([pool(ASKING)]))
    own.wait_for_lines(job, "a token")
    [secret] = own.secrets()
    numbers = ports.read(own.root)
    environment = _environment_of(job)
    door = int(environment["GCE_METADATA_HOST"].partition("/")[0].rpartition(":")[2])
    assert door not in numbers.values()
    own.kill()
    heard: dict[str, str] = {}

    def listen(use: str, port: int) -> None:
        heard[use] = other(LISTEN, port, 2)

    listeners = [threading.Thread(target=listen, args=one) for one in [*numbers.items(), ("door", door)]]
    for one in listeners:
        one.start()
    for one in listeners:
        one.join()
    assert heard["metadata"].startswith("listens\nheard"), heard  # the relay came, by TLS alone
    assert heard["door"].startswith("taken:")
    assert not any(secret in words or "GET" in words or "Bearer" in words for words in heard.values()), heard
    own.start()
    own.wait_for_lines(job, "a token", 2)  # the job goes on as who it is
    assert [line for line in own.lines(job) if line != "nothing"] == ["a token", "503", "a token"]
    assert own.secrets() == [secret]
    own.cancel(job)
    own.wait(job)


def _environment_of(job: str) -> dict[str, str]:
    for process in psutil.process_iter():
        try:
            found = process.environ()
        except psutil.Error:
            continue
        if job in found.get("LOCALCLOUD_REPLICA", "") and "GCE_METADATA_HOST" in found:
            return found
    raise AssertionError("the job doesn't run")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """One that all tests below share."""
    from clouds import end, started

    root = tmp_path_factory.mktemp("cloud") / "root"
    yield started(root, "test-project")
    end(root)


PREFACE = r"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


def test_a_stranger_is_not_answered_at_the_ports_that_are_for_us_alone(cloud: LocalCloud, other: Any) -> None:
    for use, said in (
        ("provider", PREFACE),
        ("metadata", r"\x16\x03\x01\x00\x05hello"),
        ("metadata", r"GET / HTTP/1.1\r\n\r\n"),
    ):
        assert other(ASK, cloud.server[use], said) == "b''\n", use
    with socket.create_connection(("127.0.0.1", cloud.server["provider"]), 20) as own:
        own.sendall(PREFACE.encode().decode("unicode_escape").encode("latin-1"))
        assert own.recv(9)[3] == 4  # gRPC's settings


def test_the_providers_inner_port_answers_only_what_came_by_the_outer_one(cloud: LocalCloud, other: Any) -> None:
    process = psutil.Process(cloud.server["pid"])
    known = {cloud.server[use] for use in ("proxy", "https", "grpc", "provider", "metadata")}
    [inner] = {one.laddr.port for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN} - known
    code = """
channel = grpc.insecure_channel("127.0.0.1:" + sys.argv[1])
try:
    channel.unary_unary("/pulumirpc.ResourceProvider/GetPluginInfo")(b"", timeout=20)
    print("answered")
except grpc.RpcError as error:
    print(error.code().name)
"""
    assert other(code, inner, imports="import copy, grpc, grpc._channel") == "PERMISSION_DENIED\n"
    assert other(code, cloud.server["provider"], imports="import copy, grpc, grpc._channel") == "UNAVAILABLE\n"


HALVES = (
    b"",
    b"G",
    b"GET / HTT",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Half",
    b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhal",
)


@pytest.mark.parametrize("use", ["metadata", "provider"])
def test_connections_that_say_half_a_thing_hold_up_nobody(cloud: LocalCloud, use: str) -> None:
    """By our own user, whom the ports let in."""
    process = psutil.Process(cloud.server["pid"])
    before = process.memory_info().rss
    with ExitStack() as held:
        for number in range(500):
            one = held.enter_context(socket.create_connection(("127.0.0.1", cloud.server[use]), 5))
            one.sendall(HALVES[number % len(HALVES)])
        assert _answers(cloud)
        assert process.memory_info().rss - before < 150 << 20


def _answers(cloud: LocalCloud) -> bool:
    """Whether others are served: a job by its relay, and an engine."""
    with ports.bind(0) as door:
        threading.Thread(target=Relay(cloud.root, door).run, daemon=True).start()
        with socket.create_connection(door.getsockname(), 20) as job:
            job.sendall(b"GET /nobody/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert job.recv(12) == b"HTTP/1.1 403"
    with socket.create_connection(("127.0.0.1", cloud.server["provider"]), 20) as engine:
        engine.sendall(PREFACE.encode().decode("unicode_escape").encode("latin-1"))
        return engine.recv(9)[3] == 4


SERVE = """
import asyncio, sys
from localcloud.core import ports
from localcloud.server import _Http
from localcloud.transport import http1
from localcloud.transport.rest import read_body, send_bytes

http1.PATIENCE = 0.4

async def app(scope, receive, send):
    try:
        body = await read_body(receive)
    except ConnectionError:
        return
    await send_bytes(send, body, "text/plain")

door = ports.bind(0)
print(door.getsockname()[1], flush=True)
asyncio.run(_Http.make(app).serve([door]))
"""


@pytest.fixture(scope="module")
def front() -> Iterator[int]:
    """The port of a front whose patience is short."""
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest.mark.parametrize(
    "said", [b"", b"G", b"GET / HTTP/1.1\r\nX-Half", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhal"]
)
def test_a_request_that_does_not_come_to_its_end_is_cut(front: int, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", front), 30) as half:
        half.sendall(said)
        with suppress(ConnectionResetError):
            assert half.recv(1000) == b""


def test_a_head_that_comes_by_drops_is_cut_and_a_body_that_does_is_not(front: int) -> None:
    with socket.create_connection(("127.0.0.1", front), 30) as slow, pytest.raises(OSError):
        for byte in b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 1000:
            slow.sendall(bytes([byte]))
            time.sleep(0.05)
    with socket.create_connection(("127.0.0.1", front), 30) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n")
        for _ in range(20):
            slow.sendall(b"a")
            time.sleep(0.05)
        assert slow.recv(12) == b"HTTP/1.1 200"


def test_no_stranger_is_taken_for_a_deployed_model(other: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    heard: list[str] = []
    listening = threading.Thread(target=lambda: heard.append(other(LISTEN, port, 3)))
    listening.start()
    while True:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert listening.is_alive()
        time.sleep(0.05)
    door = Door(port, "the secret")
    assert not model_http.healthy(door, "/health")
    with pytest.raises(model_http.Lost):
        model_http.post(door, "/predict", b"rows", "application/json", 20)
    listening.join()
    [words] = heard
    assert words.startswith("listens\nheard") and "secret" not in words and "health" not in words, words


TENSORFLOW = f"""
import runpy, sys, types
signature = types.SimpleNamespace(structured_input_signature=((), {{}}))
model = types.SimpleNamespace(signatures={{"serving_default": signature}})
tensorflow = types.ModuleType("tensorflow")
tensorflow.saved_model = types.SimpleNamespace(load=lambda folder: model)
sys.modules["tensorflow"] = tensorflow
runpy.run_path({tensorflow_server.__file__!r}, run_name="__main__")
"""


def test_a_deployed_model_answers_the_front_alone(other: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "AIP_HTTP_PORT": str(port), "AIP_STORAGE_URI": "x", "AIP_HEALTH_ROUTE": "/health",
        "AIP_PREDICT_ROUTE": "/predict", tensorflow_server.SECRET: "the secret",
    }  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", TENSORFLOW], env=os.environ | environment) as process:
        try:
            door = Door(port, "the secret")
            while not model_http.healthy(door, "/health"):
                assert process.poll() is None
                time.sleep(0.05)
            for shown in ("", "X-Localcloud-Front: \\r\\n", "X-Localcloud-Front: a guess\\r\\n"):
                for line in ("GET /health", "POST /predict"):
                    answer = other(ASK, port, rf"{line} HTTP/1.1\r\n{shown}Content-Length: 2\r\n\r\n{{}}")
                    assert answer.startswith("b'HTTP/1.1 403"), answer
            assert model_http.post(door, "/predict", b"{}", "application/json", 20).status == 400
            assert model_http.post(Door(port, ""), "/predict", b"{}", "application/json", 20).status == 403
        finally:
            process.kill()


CONNECT = """
one = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
if len(sys.argv) > 2:
    one.close()
else:
    time.sleep(3)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells whose a connection is on Linux; run it there")
@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("gone", [False, True])
def test_a_stranger_is_told_from_us(other: Any, gone: bool, asked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not asked:  # a kernel that has only the table
        monkeypatch.setattr(peers, "_asked", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        words = (port, "gone") if gone else (port,)
        comes = threading.Thread(target=other, args=(CONNECT, *words))
        comes.start()
        door.settimeout(20)
        theirs, _ = door.accept()
        if gone:  # an end that nobody holds any more shows user 0 in the kernel's table
            comes.join()
        assert not peers.is_own(theirs)
        with socket.create_connection(("127.0.0.1", port)) as mine:
            assert peers.answers_own(mine)  # also before it is taken
            taken, _ = door.accept()
            assert peers.is_own(taken) and peers.answers_own(mine)
            taken.close()
        comes.join()
        theirs.close()
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as door,
        socket.create_connection(door.getsockname()[:2]) as mine,
    ):
        taken, _ = door.accept()
        assert peers.is_own(taken) and peers.answers_own(mine)
        taken.close()
