"""The way in: Google's hosts only, gRPC told from HTTP, and the odd heads that TensorFlow sends."""

from __future__ import annotations

import json
import socket
import ssl

import pytest
import requests

from localcloud.transport import proxy


def connect(cloud, target: str) -> tuple[socket.socket, bytes]:
    """A connection through the proxy and the answer to its CONNECT."""
    made = socket.create_connection(("127.0.0.1", cloud.server["proxy"]), timeout=20)
    made.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += made.recv(4096)
    return made, answer


def shake_hands(tls: ssl.SSLObject, incoming: ssl.MemoryBIO, connection: socket.socket) -> None:
    """Read what the server says until the handshake that was begun is over."""
    while True:
        try:
            return tls.do_handshake()
        except ssl.SSLWantReadError:
            incoming.write(connection.recv(65_536))


def trust(cloud, *alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(cloud.root / "ca.pem"))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def secure(cloud, host: str, *alpn: str) -> ssl.SSLSocket:
    made, answer = connect(cloud, f"{host}:443")
    assert answer.startswith(b"HTTP/1.1 200")
    return trust(cloud, *alpn).wrap_socket(made, server_hostname=host)


@pytest.mark.parametrize(
    "target",
    [
        "example.com:443",
        "evilgoogleapis.com:443",
        "googleapis.com.evil.example:443",
        "storage.googleapis.com:80",
        "127.0.0.1:443",
        "metadata.google.internal.:443",
        "[::1]:443",
        "nonsense",
    ],
)
def test_other_hosts_are_refused(local_cloud, target):
    made, answer = connect(local_cloud, target)
    with made:
        while part := made.recv(4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 403 Forbidden by the local cloud\r\n")
    assert answer.endswith(f"and lets nothing out: {target} is refused.\n".encode())


def test_plain_http_is_refused(local_cloud):
    address = local_cloud.environment["https_proxy"]
    answer = requests.get("http://storage.googleapis.com/", proxies={"http": address}, timeout=20)
    assert answer.status_code == 403
    assert answer.text.endswith("http://storage.googleapis.com/ is refused.\n")


def test_who_looks_for_a_metadata_server_waits_for_no_name_server(local_cloud):
    # google-cloud-logging asks for each entry that it lists over REST, and takes any error for "no such server".
    found = local_cloud.run(
        """
        import requests
        answer = requests.get("http://metadata.google.internal./computeMetadata/v1/", timeout=20)
        print(answer.status_code, answer.reason)
        """
    )
    assert found.stdout == "403 Forbidden by the local cloud\n"


def test_a_client_cannot_leave(local_cloud):
    done = local_cloud.run(
        "import requests; requests.get('https://example.com', timeout=20)",
        check=False,
    )
    assert "403 Forbidden by the local cloud" in done.stderr


@pytest.mark.parametrize(
    "garbage", [b"", b"\r\n\r\n", b"CONNECT", b"\x16\x03\x01 not a request\r\n\r\n", b"x" * 20_000]
)
def test_garbage_does_no_harm(local_cloud, garbage):
    with socket.create_connection(("127.0.0.1", local_cloud.server["proxy"]), timeout=20) as made:
        made.sendall(garbage)
        made.shutdown(socket.SHUT_WR)
        try:
            while made.recv(4096):
                pass
        except ConnectionError:
            pass
    with secure(local_cloud, "oauth2.googleapis.com") as good:
        assert good.version() in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["h2"], "h2"),
        (["grpc-exp", "h2"], "h2"),
        (["h2", "http/1.1"], "http/1.1"),
        (["http/1.1"], "http/1.1"),
        ([], None),
    ],
)
def test_what_a_client_offers_decides_what_serves_it(local_cloud, offered, chosen):
    with secure(local_cloud, "us-central1-aiplatform.googleapis.com", *offered) as made:
        assert made.selected_alpn_protocol() == chosen


def test_a_client_that_does_not_wait_for_the_proxy_is_served(local_cloud):
    """Its ClientHello comes in one piece with its CONNECT."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trust(local_cloud).wrap_bio(incoming, outgoing, server_hostname="oauth2.googleapis.com")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection(("127.0.0.1", local_cloud.server["proxy"]), timeout=20) as made:
        made.sendall(b"CONNECT oauth2.googleapis.com:443 HTTP/1.1\r\n\r\n" + outgoing.read())
        answer = b""
        while not answer.partition(b"\r\n\r\n")[2]:
            answer += made.recv(65_536)
        incoming.write(answer.partition(b"\r\n\r\n")[2])
        shake_hands(tls, incoming, made)
    assert tls.version() == "TLSv1.3"


def test_a_hello_in_pieces_is_read_whole(local_cloud):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trust(local_cloud, "h2").wrap_bio(incoming, outgoing, server_hostname="oauth2.googleapis.com")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    made, _answer = connect(local_cloud, "oauth2.googleapis.com:443")
    with made:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(hello), 100):
            made.sendall(hello[at : at + 100])
        shake_hands(tls, incoming, made)
    assert tls.selected_alpn_protocol() == "h2"


@pytest.mark.parametrize("hello", [b"", b"\x16", b"\x16\x03\x01\x00\x05hello", b"\x00" * 50, b"\xff" * 600])
def test_what_is_no_hello_offers_nothing(hello):
    assert proxy.alpn(hello) == []


def test_names_under_a_host_are_allowed():
    assert proxy.allowed("us-central1-aiplatform.googleapis.com")
    assert proxy.allowed("123.us-central1-45.prediction.vertexai.goog")
    assert not proxy.allowed("")


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 0\r\nTransfer-Encoding: identity", b""),
        ("Transfer-Encoding: chunked\r\nContent-Length: 27", b"1b\r\ngrant_type=urn%3Anone&x=1234\r\n0\r\n\r\n"[:0]),
    ],
)
def test_heads_that_tensorflow_sends_are_taken(local_cloud, head, body):
    if "chunked" in head:
        body = b"10\r\ngrant_type=nones\r\n0\r\n\r\n"
    request = (
        f"POST /token HTTP/1.1\r\nHost: oauth2.googleapis.com\r\nUser-Agent: TSL\r\nAccept: */*\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\n{head}\r\n\r\n"
    ).encode() + body
    with secure(local_cloud, "oauth2.googleapis.com") as made:
        # In two pieces, with the cut inside the head.
        made.sendall(request[:40])
        made.sendall(request[40:])
        answer = b""
        while b"error_description" not in answer:
            part = made.recv(65_536)
            assert part, answer
            answer += part
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"unsupported_grant_type" in answer
    assert b"\r\nContent-Type: " in answer  # TensorFlow looks headers up by case


def test_hosts_and_paths_that_are_not_emulated_say_so(local_cloud, session):
    for url in ("https://compute.googleapis.com/compute/v1/projects/p/zones", "https://iam.googleapis.com/v9/x"):
        answer = session.get(url)
        error = answer.json()["error"]
        assert (answer.status_code, error["status"]) == (501, "UNIMPLEMENTED")
        assert error["message"] == f"not emulated by the local cloud: GET {url.removeprefix('https://')}"


@pytest.mark.parametrize("body", ["{nonsense", "[]", '"text"', b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_refused(session, body):
    answer = session.post("https://iam.googleapis.com/v1/projects/test-project/roles", data=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("Invalid JSON payload received. ")


def test_many_clients_at_once(local_cloud, session):
    done = local_cloud.run(
        """
        import json, os
        from concurrent.futures import ThreadPoolExecutor
        import google.auth
        from google.auth.transport.requests import AuthorizedSession
        credentials, project = google.auth.default(["https://www.googleapis.com/auth/cloud-platform"])
        def work(_):
            session = AuthorizedSession(credentials)
            url = f"https://cloudresourcemanager.googleapis.com/v1/projects/{project}"
            return [session.get(url).status_code for _ in range(10)]
        with ThreadPoolExecutor(32) as pool:
            print(json.dumps(sorted({code for codes in pool.map(work, range(32)) for code in codes})))
        """
    )
    assert json.loads(done.stdout) == [200]
