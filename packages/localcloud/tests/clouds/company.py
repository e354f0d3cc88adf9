"""A company's network: its package index, behind its proxy, under its own certificate authority."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

HOST = "packages.company.invalid"  # which only the proxy can find


@dataclass(frozen=True)
class Company:
    """What a person there has in their environment, and whom the proxy connected."""

    variables: dict[str, str]
    connected: list[str] = field(default_factory=list)


class _Index(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class _Proxy(BaseHTTPRequestHandler):
    """Connects whoever asks for the index; anybody else gets nothing."""

    protocol_version = "HTTP/1.1"

    def do_CONNECT(self) -> None:
        self.server.connected.append(self.path)  # type: ignore[attr-defined]
        if self.path != f"{HOST}:443":
            return self.send_error(403)
        with socket.create_connection(("127.0.0.1", self.server.behind)) as there:  # type: ignore[attr-defined]
            self.send_response(200)
            self.end_headers()
            both = {self.connection: there, there: self.connection}
            with contextlib.suppress(OSError):
                while ready := select.select([*both], [], [], 60)[0]:
                    for one in ready:
                        if not (data := one.recv(65_536)):
                            return None
                        both[one].sendall(data)
        return None

    def log_message(self, format: str, *args: object) -> None:
        pass


def _wheel(path: Path) -> None:
    info = "sparrow-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sparrow.py", "FROM = 'the company'\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: sparrow\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"sparrow.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@contextlib.contextmanager
def company(folder: Path) -> Iterator[Company]:
    """A network in which the package sparrow==1.0 is to be had, by those who know proxy, authority and index."""
    (folder / "index" / "sparrow").mkdir(parents=True)
    _wheel(folder / "index" / "sparrow" / "sparrow-1.0-py3-none-any.whl")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "company.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    index = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Index, directory=str(folder / "index")))
    index.socket = context.wrap_socket(index.socket, server_side=True)
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    proxy.behind, proxy.connected = index.server_port, []  # type: ignore[attr-defined]
    for server in (index, proxy):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    variables = {
        "HTTPS_PROXY": f"http://user:secret@127.0.0.1:{proxy.server_port}",
        "SSL_CERT_FILE": str(folder / "company.pem"),
        "REQUESTS_CA_BUNDLE": str(folder / "company.pem"),
        "UV_DEFAULT_INDEX": f"https://{HOST}",
        "UV_CACHE_DIR": str(folder / "cache"),
    }
    try:
        yield Company(variables, proxy.connected)  # type: ignore[attr-defined]
    finally:
        for server in (proxy, index):
            server.shutdown()
            server.server_close()
