"""A page of somebody else in the person's browser, which may send requests to ports of this machine but has no token.

A browser lets a page ask any port in plain HTTP; by DNS rebinding the page's own name leads to 127.0.0.1, too.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack
from typing import Any

import pytest

from clouds import LocalCloud
from clouds.fixtures import local_cloud, new_cloud

__all__ = ["local_cloud", "new_cloud"]

PAGE = {"Origin": "https://evil.example", "Referer": "https://evil.example/page", "Sec-Fetch-Site": "cross-site"}
RESET = "POST /reset HTTP/1.1"


def asked(port: int, first_line: str, host: str, tls: ssl.SSLContext | None = None, name: str = "") -> bytes:
    """The answer to a request as a browser sends it for a page; b"" when the connection ends without one."""
    headers = "".join(f"{key}: {value}\r\n" for key, value in {"Host": host, **PAGE, "Content-Length": "0"}.items())
    with ExitStack() as opened:
        one = opened.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        if tls:
            one = opened.enter_context(tls.wrap_socket(one, server_hostname=name))
        one.settimeout(5)
        try:
            one.sendall(f"{first_line}\r\n{headers}Connection: close\r\n\r\n".encode())
            return one.recv(65536)
        except OSError:
            return b""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "evil.example", "storage.googleapis.com"])
def test_plain_requests_of_a_page_reach_nothing(local_cloud: LocalCloud, host: str) -> None:
    numbers: dict[str, Any] = local_cloud.server
    for kind in ("proxy", "https", "grpc", "metadata", "provider"):
        for line in (
            "GET / HTTP/1.1",
            RESET,
            "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1",
        ):
            answer = asked(numbers[kind], line, host)
            assert not answer.startswith(b"HTTP/1.1 2"), (kind, line, answer)
            assert b"access_token" not in answer and b"Access-Control-Allow-Origin" not in answer


def test_no_browser_trusts_the_certificate(local_cloud: LocalCloud) -> None:
    port = local_cloud.server["https"]
    with pytest.raises(ssl.SSLCertVerificationError):
        asked(port, "GET / HTTP/1.1", "localhost", ssl.create_default_context(), "localhost")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "evil.example", "storage.googleapis.com"])
def test_a_page_that_went_past_the_warning_still_has_no_token(local_cloud: LocalCloud, host: str) -> None:
    trust = ssl.create_default_context(cafile=str(local_cloud.root / "ca.pem"))
    trust.check_hostname = False
    for line in (
        "GET /status HTTP/1.1",
        RESET,
        "POST /clock HTTP/1.1",
        "GET /storage/v1/b?project=test-project HTTP/1.1",
    ):
        answer = asked(local_cloud.server["https"], line, host, trust, "localhost")
        status = answer.split(b" ", 2)[1]
        assert status in (b"401", b"403", b"404", b"501"), (line, answer)
    assert local_cloud.server["pid"]  # it runs on
