"""Which user of this machine is at the other end of a loopback connection: a port of ours that serves only us asks.

This keeps other users out, not jobs: they run as the same user as the local cloud, and may do what that user may. Linux
tells whose each connection is; elsewhere only what our own processes have open can be known, which takes longer. An end
that isn't found is a stranger's.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Address = tuple[str, int]

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENS = 10  # as the kernel counts the states of a connection
_ANY = ("0.0.0.0", 0)  # noqa: S104 (what a port that listens has as its other end)


@dataclass(frozen=True)
class _End:
    """What Linux tells of a socket. Nobody holds one without an inode: its user is 0 then, whoever it was."""

    state: int
    user: int
    inode: int


def is_own(connection: socket.socket) -> bool:
    """Whether a process of our own user holds the other end of a connection that was taken here."""
    return _is_own(connection, taken_late=False)


def answers_own(connection: socket.socket) -> bool:
    """Whether a process of our own user holds the port that this connection was made to."""
    return _is_own(connection, taken_late=True)


def _is_own(connection: socket.socket, taken_late: bool) -> bool:
    try:
        here, there = connection.getsockname()[:2], connection.getpeername()[:2]
    except OSError:  # gone already
        return False
    look = _own_on_linux if sys.platform == "linux" else _own_elsewhere
    return look(there, here, taken_late)


def _own_on_linux(end: Address, other: Address, taken_late: bool) -> bool:
    # Our own end is there for sure: a kernel that doesn't find it doesn't answer such questions.
    find = _asked if _asked(other, end) else _listed
    found = find(end, other)
    if found is None or found.state == _LISTENS:
        return False
    if not found.inode and taken_late:  # not yet taken by the process that listens, which thus still does, and alone
        found = find(end, _ANY)
    return found is not None and bool(found.inode) and found.user == os.geteuid()


def _asked(end: Address, other: Address) -> _End | None:
    """The socket with these ends, as the kernel finds it in no time.

    https://man7.org/linux/man-pages/man7/sock_diag.7.html
    """
    family = socket.AF_INET6 if ":" in end[0] else socket.AF_INET
    if other == _ANY and family == socket.AF_INET6:
        other = ("::", 0)
    here, there = _packed(end[0]), _packed(other[0])
    ends = struct.pack("!HH16s16s", end[1], other[1], here, there) + struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
    request = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + ends
    head = struct.pack("=IHHII", 16 + len(request), 20, 1, 0, 0)  # SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 4) as kernel:  # NETLINK_SOCK_DIAG
            kernel.settimeout(1)
            kernel.send(head + request)
            answer = kernel.recv(4096)
    except OSError:
        return None
    if len(answer) < 88 or struct.unpack_from("=H", answer, 4)[0] != 20:  # an error: it isn't there
        return None
    user, inode = struct.unpack_from("=II", answer, 80)
    return _End(answer[17], user, inode)


def _packed(host: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host.partition("%")[0])


def _listed(end: Address, other: Address) -> _End | None:
    """The same from a table of all sockets, which takes a tenth of a second on some machines."""
    for here, there, found in _rows(f":{end[1]:04X} ".encode()):
        if other == _ANY:
            if found.state == _LISTENS:
                return found
        elif here == _written(end, len(here)) and there == _written(other, len(there)):
            return found
    return None


def _rows(port: bytes) -> Iterator[tuple[bytes, bytes, _End]]:
    """Rows whose own end has the port: both ends as written, and the socket.

    https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
    """
    for table in _TABLES:
        try:
            lines = Path(table).read_bytes().splitlines()
        except OSError:  # no IPv6
            continue
        for line in lines:
            if port in line:
                words = line.split()
                if words[1].endswith(port[:-1]):
                    yield words[1], words[2], _End(int(words[3], 16), int(words[7]), int(words[9]))


def _written(address: Address, length: int) -> bytes:
    """As the tables write it: words in the order of this machine's bytes; IPv4 among IPv6 as ::ffff:1.2.3.4."""
    packed = _packed(address[0])
    if len(packed) == 4 and length > 13:
        packed = bytes(10) + b"\xff\xff" + packed
    words = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return f"{b''.join(words).hex().upper()}:{address[1]:04X}".encode()


def _own_elsewhere(end: Address, other: Address, taken_late: bool) -> bool:
    """By what our own processes have open; those of others no system shows to an ordinary user."""
    import psutil

    own = psutil.Process().username()
    for process in psutil.process_iter(["username"]):
        if process.info["username"] != own:
            continue
        try:
            connections = process.net_connections("tcp")
        except psutil.Error:
            continue
        for one in connections:
            listens = taken_late and one.status == psutil.CONN_LISTEN and one.laddr[1] == end[1]
            if listens or (tuple(one.laddr) == end and tuple(one.raddr) == other):
                return True
    return False
