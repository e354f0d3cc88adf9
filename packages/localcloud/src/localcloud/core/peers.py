"""Which user of this machine is at the other end of a loopback connection: a port of ours that serves only us asks.

This keeps other users out, not jobs: they run as the same user as the local cloud, and may do what that user may. Linux
tells whose each connection is; elsewhere only what our own processes have open can be known, which takes longer. An end
that isn't found is a stranger's.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

Address = tuple[str, int]

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENS = b"0A"
_LOOKS = 3  # the kernel writes its table in pieces: a row may be missed while others come and go
_PAUSE = 0.005  # seconds


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
    for number in range(_LOOKS):
        if number:
            time.sleep(_PAUSE)
        if (known := look(there, here, taken_late)) is not None:
            return known
    return False


def _own_on_linux(end: Address, other: Address, taken_late: bool) -> bool | None:
    own = os.geteuid()
    rows = list(_rows(f":{end[1]:04X} ".encode()))
    for local, remote, state, uid, inode in rows:
        if state == _LISTENS or local != _written(end, len(local)) or remote != _written(other, len(remote)):
            continue
        if inode:  # without one nobody holds it: then the table shows user 0, whoever it was
            return uid == own
        # Not yet taken by the process that listens, which thus still does, and alone.
        listeners = [row[3] for row in rows if row[2] == _LISTENS]
        return taken_late and bool(listeners) and all(one == own for one in listeners)
    return None


def _rows(port: bytes) -> Iterator[tuple[bytes, bytes, bytes, int, int]]:
    """Rows whose local end has the port: local and remote end as written, state, user, inode.

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
                    yield words[1], words[2], words[3], int(words[7]), int(words[9])


def _written(address: Address, length: int) -> bytes:
    """As the tables write it: words in the order of this machine's bytes; IPv4 among IPv6 as ::ffff:1.2.3.4."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, address[0].partition("%")[0])
    if len(packed) == 4 and length > 13:
        packed = bytes(10) + b"\xff\xff" + packed
    words = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return f"{b''.join(words).hex().upper()}:{address[1]:04X}".encode()


def _own_elsewhere(end: Address, other: Address, taken_late: bool) -> bool | None:
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
    return None
