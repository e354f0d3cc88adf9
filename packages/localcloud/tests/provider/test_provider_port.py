"""The port for Pulumi engines: each connection has to show a token, also one that comes from a known address."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import grpc
import pytest
from google.auth import jwt
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc as services

from localcloud import launch

NOT_CONFIGURED = "this connection was not configured"


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    _end(source)
    _end(sink)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def provider_from(source: int, port: int) -> Iterator[services.ResourceProviderStub]:
    """The provider on `port`, as a process on this machine calls it from the port `source` (0: any)."""
    with socket.create_server(("127.0.0.1", 0)) as door, socket.socket() as onward:
        onward.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        onward.bind(("127.0.0.1", source))
        ends = time.monotonic() + 90
        while (failed := onward.connect_ex(("127.0.0.1", port))) == errno.EADDRNOTAVAIL:
            assert time.monotonic() < ends, "the kernel keeps the address of the connection before"
            time.sleep(0.2)
        assert failed == 0
        channel = grpc.insecure_channel(f"127.0.0.1:{door.getsockname()[1]}")
        ready = grpc.channel_ready_future(channel)
        connection, _ = door.accept()
        pumps = [threading.Thread(target=_pump, args=ends) for ends in ((connection, onward), (onward, connection))]
        for pump in pumps:
            pump.start()
        ready.result(20)
        yield services.ResourceProviderStub(channel)
        channel.close()
        _end(connection)
        for pump in pumps:
            pump.join()
        connection.close()


def project_of(provider: services.ResourceProviderStub) -> str:
    """What the provider answers when it is asked for the project's number: the number, or why not."""
    arguments = struct_pb2.Struct()
    arguments["projectId"] = "test-project"
    try:
        answer = provider.Invoke(pb.InvokeRequest(tok="gcp:organizations/getProject:getProject", args=arguments))
    except grpc.RpcError as refused:
        return refused.details()  # type: ignore[attr-defined]
    return getattr(answer, "return")["number"]


def test_a_connection_is_let_in_by_a_token_and_by_nothing_else(local_cloud):
    port = local_cloud.server["provider"]
    token = local_cloud.token()
    with socket.create_server(("127.0.0.1", 0)) as free:
        source = free.getsockname()[1]
    with provider_from(source, port) as engine:
        assert NOT_CONFIGURED in project_of(engine)
        arguments = struct_pb2.Struct()
        arguments["accessToken"] = "ya29.of-somebody-else"
        with pytest.raises(grpc.RpcError, match="takes only accounts of its own"):
            engine.Configure(pb.ConfigureRequest(args=arguments))
        assert NOT_CONFIGURED in project_of(engine)
        arguments["accessToken"] = token
        engine.Configure(pb.ConfigureRequest(args=arguments))
        assert NOT_CONFIGURED not in project_of(engine)
        with provider_from(0, port) as stranger:
            assert NOT_CONFIGURED in project_of(stranger)
        assert NOT_CONFIGURED not in project_of(engine)
    with provider_from(source, port) as stranger:  # who takes the port of an engine that is gone
        assert NOT_CONFIGURED in project_of(stranger)


def test_a_token_for_the_provider_opens_nothing_else(local_cloud):
    key = local_cloud.root / "projects" / local_cloud.project / "key.json"
    made = jwt.Credentials.from_service_account_file(
        str(key), audience="https://provider.localcloud.internal/", token_lifetime=600
    )
    made.refresh(None)
    token = made.token.decode()
    with provider_from(0, local_cloud.server["provider"]) as engine:
        arguments = struct_pb2.Struct()
        arguments["accessToken"] = token
        engine.Configure(pb.ConfigureRequest(args=arguments))
        assert NOT_CONFIGURED not in project_of(engine)
    email = f"projects/-/serviceAccounts/{made._subject}"
    with local_cloud.plain_session() as plain:
        plain.headers["Authorization"] = f"Bearer {token}"
        for method, url in {
            "GET": f"https://storage.googleapis.com/storage/v1/b?project={local_cloud.project}",
            "POST": f"https://iamcredentials.googleapis.com/v1/{email}:generateAccessToken",
            "PUT": "https://www.googleapis.com/upload/storage/v1/b/some/o?uploadType=media&name=x",
        }.items():
            assert plain.request(method, url, json={"scope": ["a"]}).status_code == 401, url
        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": token}
        assert plain.post("https://oauth2.googleapis.com/token", data=grant).status_code == 400
        assert plain.get("https://oauth2.googleapis.com/tokeninfo", params={"access_token": token}).status_code == 400


@pytest.fixture
def fault(local_cloud):
    """Makes a fault of the provider's calls."""

    def make(method: str, **what: object) -> None:
        launch.ask(local_cloud.root, local_cloud.server, "POST", "/faults", {"method": method, **what})

    yield make
    launch.ask(local_cloud.root, local_cloud.server, "DELETE", "/faults")


@pytest.mark.slow
def test_faults_hit_what_the_provider_asks_of_google_and_it_tries_again(local_cloud, fault):
    asked = "pulumi.organizations.getProject"
    with provider_from(0, local_cloud.server["provider"]) as engine:
        arguments = struct_pb2.Struct()
        arguments["accessToken"] = local_cloud.token()
        engine.Configure(pb.ConfigureRequest(args=arguments))
        number = project_of(engine)

        fault(asked, code=503, times=2)
        began = time.monotonic()
        assert project_of(engine) == number
        assert time.monotonic() - began >= 1.5  # half a second, then twice that

        fault(asked, cut="before")
        fault(asked, cut="after")
        fault(asked, delay=0.2)
        assert project_of(engine) == number

        fault(asked, code=504)
        assert project_of(engine).startswith(
            "googleapi: Error 504: Deadline expired before operation could complete., "
        )
        fault(asked, code=403)
        assert "Error 403: Permission 'cloudresourcemanager.projects.get' denied" in project_of(engine)

        fault("pulumi.storage.*", code=403)  # something else
        assert project_of(engine) == number

        fault(asked, code=500, times=0)
        cancel = threading.Timer(0.3, lambda: engine.Cancel(empty_pb2.Empty()))
        cancel.start()
        assert project_of(engine).endswith(": context canceled")
        cancel.join()
