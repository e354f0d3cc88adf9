"""Loopback ports that stay the same from one start to the next."""

from __future__ import annotations

import json
import random
import socket
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from localcloud.core import hints
from localcloud.core.state.files import write_privately
from localcloud.core.state.kept import anew, read_json, whole

# Below what Linux, macOS and Windows hand out to outgoing connections, so that nobody takes a port by chance between
# two starts, and above what services commonly use.
_RANGE = range(20_000, 32_000)


@dataclass(frozen=True)
class Ports:
    """Loopback TCP ports; kept over restarts."""

    proxy: int
    https: int
    grpc: int
    provider: int
    metadata: int


class PortTaken(Exception):
    """Another program listens on a port that this cloud had before."""

    def __init__(self, port: int, use: str, root: Path) -> None:
        words = f"end that program, or delete {root / 'ports.json'} for new ports (open shells need `"
        self.hint: hints.Hint = (words, hints.Command("env"), "` again)")
        super().__init__(f"port {port}, the {use} port of the local cloud in {root}, is taken by another program")


def bind(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1. Raises OSError when the port is taken."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform == "win32":  # there SO_REUSEADDR would let two programs share the port
        made.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
        made.listen(1024)
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made


def read(root: Path) -> dict[str, int]:
    """The ports that the cloud in `root` had before, by their use; {} for a new one. Raises Damaged."""
    path = root / "ports.json"
    try:
        return read_json(path, _shape, anew(root, path, "there will be new ports: open shells need `env` again"))
    except FileNotFoundError:
        return {}


def _shape(value: Any) -> dict[str, int]:
    ports = {str(use): whole(port, 1, 65_535) for use, port in value.items()}
    if len(set(ports.values())) < len(ports):
        raise ValueError("a port for two uses")
    return ports


def claim(root: Path) -> tuple[Ports, dict[str, socket.socket]]:
    """The ports of the cloud in `root`, and a listening socket for each. Raises PortTaken, Damaged."""
    path, kept = root / "ports.json", read(root)
    sockets: dict[str, socket.socket] = {}
    for use in (field.name for field in fields(Ports)):
        if use in kept:
            try:
                sockets[use] = bind(kept[use])
            except OSError:
                for opened in sockets.values():
                    opened.close()
                raise PortTaken(kept[use], use, root) from None
        else:
            sockets[use] = _bind_any()
    ports = Ports(**{use: made.getsockname()[1] for use, made in sockets.items()})
    if asdict(ports) != kept:
        write_privately(path, json.dumps(asdict(ports)))
    return ports, sockets


def _bind_any() -> socket.socket:
    for port in random.sample(_RANGE, 1000):
        try:
            return bind(port)
        except OSError:
            continue
    raise OSError("no free port on 127.0.0.1")
