"""The way in: a CONNECT proxy that takes connections to Google's hosts and refuses all others."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
from collections.abc import Callable

from localcloud.transport.listening import CAN_PEEK, Listening, peek, prepare, pump

HOSTS = (
    "googleapis.com",
    "accounts.google.com",
    "metadata.google.internal",
    "vertexai.goog",
    "pkg.dev",
    "gcr.io",
    "a.run.app",
)
_HEAD_LIMIT = 16_384  # bytes
_PATIENCE = 60  # seconds for a client to say what it wants

log = logging.getLogger(__name__)


def allowed(host: str) -> bool:
    """Whether `host` is one of Google's that this cloud answers for (if only by "not emulated")."""
    return any(host == name or host.endswith("." + name) for name in HOSTS)


class Proxy:
    """Takes connections on `listener`: HTTP/1.1 over TLS is served by `protocol` at once, gRPC goes to `grpc_port`.

    Which of both a client wants, its ClientHello says (ALPN): gRPC offers nothing but HTTP/2.
    """

    def __init__(
        self,
        listener: socket.socket,
        tls: ssl.SSLContext,
        protocol: Callable[[], asyncio.Protocol],
        https_port: int,
        grpc_port: int,
        hosts: dict[int, str],
    ) -> None:
        """`hosts` is kept up to date: which of Google's hosts a connection to `grpc_port` is for, by its own port."""
        self._tls = tls
        self._protocol = protocol
        self._https_port = https_port
        self._grpc_port = grpc_port
        self._hosts = hosts
        self._listening = Listening(listener, self._serve)

    async def close(self) -> None:
        """Take no more connections and cut those that are open."""
        await self._listening.close()

    async def _serve(self, connection: socket.socket) -> None:
        handed_over = False
        try:
            prepare(connection)
            async with asyncio.timeout(_PATIENCE):
                found = await self._establish(connection)
                if found is None:
                    return
                host, rest = found
                if not rest and not CAN_PEEK:
                    rest = await asyncio.get_running_loop().sock_recv(connection, _HEAD_LIMIT)
                hello = rest or await peek(connection)
            if _wants_only_http2(hello):
                await self._splice(connection, self._grpc_port, rest, host)
            elif rest:  # what was read can't be put back
                await self._splice(connection, self._https_port, rest)
            else:
                handed_over = True
                loop = asyncio.get_running_loop()
                await loop.connect_accepted_socket(self._protocol, connection, ssl=self._tls)
        except (OSError, TimeoutError, ssl.SSLError) as error:
            log.debug("a connection ended: %s", error)
        finally:
            if not handed_over:
                connection.close()

    async def _establish(self, connection: socket.socket) -> tuple[str, bytes] | None:
        """Answer the CONNECT request: the host, and what came after it (mostly nothing); None when it was refused."""
        loop = asyncio.get_running_loop()
        head = b""
        while b"\r\n\r\n" not in head:
            part = await loop.sock_recv(connection, _HEAD_LIMIT)
            head += part
            if not part or len(head) > _HEAD_LIMIT:
                return None
        head, _, rest = head.partition(b"\r\n\r\n")
        line = head.split(b"\r\n", 1)[0].decode("latin-1")
        method, _, target = line.rpartition(" ")[0].partition(" ")
        host, _, port = target.rpartition(":")
        if method == "CONNECT" and port == "443" and allowed(host.lower()):
            await loop.sock_sendall(connection, b"HTTP/1.1 200 Connection established\r\n\r\n")
            return host.lower(), rest
        # A plain request is mostly a client that looks for a metadata server, again and again.
        log.log(logging.INFO if method == "CONNECT" else logging.DEBUG, "refused %s %s", method, target)
        text = (
            f"The local cloud answers for Google's hosts over https only, and lets nothing out: {target} is refused.\n"
        )
        await loop.sock_sendall(
            connection,
            f"HTTP/1.1 403 Forbidden by the local cloud\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(text.encode())}\r\nConnection: close\r\n\r\n{text}".encode(),
        )
        return None

    async def _splice(self, connection: socket.socket, port: int, first: bytes, host: str = "") -> None:
        """Carry bytes between the client and a port of ours; who serves that port finds `host` by the peer's port."""
        loop = asyncio.get_running_loop()
        with socket.socket() as onward:
            prepare(onward)
            await loop.sock_connect(onward, ("127.0.0.1", port))
            own = onward.getsockname()[1]
            if host:
                self._hosts[own] = host
            try:
                if first:
                    await loop.sock_sendall(onward, first)
                async with asyncio.TaskGroup() as group:
                    group.create_task(pump(connection, onward))
                    group.create_task(pump(onward, connection))
            finally:
                self._hosts.pop(own, None)


def _wants_only_http2(hello: bytes) -> bool:
    offered = alpn(hello)
    return b"h2" in offered and b"http/1.1" not in offered


def alpn(hello: bytes) -> list[bytes]:
    """The protocols that a TLS ClientHello offers (RFC 8446 section 4.1.2, RFC 7301); [] when it offers none."""
    try:
        at = 5 + 4 + 2 + 32  # record and handshake headers, version, random
        at += 1 + hello[at]  # session id
        at += 2 + struct.unpack_from(">H", hello, at)[0]  # cipher suites
        at += 1 + hello[at]  # compression methods
        end = at + 2 + struct.unpack_from(">H", hello, at)[0]
        at += 2
        while at < end:
            kind, length = struct.unpack_from(">HH", hello, at)
            at += 4
            if kind == 16:
                names, at = [], at + 2
                stop = at - 2 + length
                while at < stop:
                    names.append(hello[at + 1 : at + 1 + hello[at]])
                    at += 1 + hello[at]
                return names
            at += length
    except (IndexError, struct.error):
        pass
    return []
