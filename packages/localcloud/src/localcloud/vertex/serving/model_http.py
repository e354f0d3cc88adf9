"""Asks a model server on its port of this machine."""

from __future__ import annotations

import http.client
from dataclasses import dataclass

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


def healthy(port: int, route: str) -> bool:
    """Whether it answers 200 in time."""
    try:
        return _ask("GET", port, route, None, {}, _HEALTH_PATIENCE).status == 200
    except (Lost, TimeoutError):
        return False


def post(port: int, route: str, body: bytes, content_type: str, timeout: float) -> Answer:
    """Raises Lost, TimeoutError."""
    return _ask("POST", port, route, body, {"Content-Type": content_type}, timeout)


def _ask(method: str, port: int, route: str, body: bytes | None, headers: dict[str, str], timeout: float) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, route, body, headers)
        answer = connection.getresponse()
        content_type = answer.getheader("Content-Type") or "application/json"
        return Answer(answer.status, content_type, answer.read())
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise Lost(f"upstream connect error or disconnect/reset before headers. {error}") from None
    finally:
        connection.close()
