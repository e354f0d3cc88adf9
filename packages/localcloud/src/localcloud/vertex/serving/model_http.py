"""Asks a model server on its port of this machine, if it is one of ours: anybody can listen where one has died."""

from __future__ import annotations

import http.client
import sys
from dataclasses import dataclass

from localcloud.core import peers
from localcloud.vertex.serving.plan import Door
from localcloud.vertex.serving.tensorflow_server import HEADER

# Seconds: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements#health
_HEALTH_PATIENCE = 10.0


@dataclass(frozen=True)
class Answer:
    """What a model server answered."""

    status: int
    content_type: str
    body: bytes


class Lost(Exception):
    """A model server was not there, or went away in the middle; the text says how."""


def healthy(door: Door, route: str) -> bool:
    """Whether it answers 200 in time."""
    try:
        return _ask("GET", door, route, None, {}, _HEALTH_PATIENCE).status == 200
    except (Lost, TimeoutError):
        return False


def post(door: Door, route: str, body: bytes, content_type: str, timeout: float) -> Answer:
    """Raises Lost, TimeoutError."""
    return _ask("POST", door, route, body, {"Content-Type": content_type}, timeout)


def send(door: Door, path: str, body: bytes, headers: dict[str, str], timeout: float) -> Answer:
    """A POST with headers of one's own. Raises Lost, TimeoutError."""
    return _ask("POST", door, path, body, headers, timeout)


def _ask(method: str, door: Door, route: str, body: bytes | None, headers: dict[str, str], timeout: float) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=timeout)
    shown = {HEADER: door.secret} if door.secret else {}
    # Where a look at whose the port is takes long, health is asked with one and predictions go without.
    looks = sys.platform == "linux" or method == "GET"
    try:
        connection.connect()
        if looks and not peers.answers_own(connection.sock):
            raise Lost("upstream connect error: another user's process listens where the model server should.")
        connection.request(method, route, body, headers | shown)
        answer = connection.getresponse()
        content_type = answer.getheader("Content-Type") or "application/json"
        return Answer(answer.status, content_type, answer.read())
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise Lost(f"upstream connect error or disconnect/reset before headers. {error}") from None
    finally:
        connection.close()
