"""Calls to Google's APIs as JSON, by a session that signs them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Protocol

_PATIENCE = 60  # seconds of one request
_PAUSES = (0.5, 2.0)  # seconds before a call is made again that met a passing fault
_NOT_THERE = {"SERVICE_DISABLED", "LOCATION_POLICY_VIOLATED"}
_PASSING = frozenset({429, 500, 502, 503, 504})


class Session(Protocol):
    """A requests.Session whose requests are signed, as google-auth's AuthorizedSession is."""

    def request(self, method: str, url: str, **more: Any) -> Any: ...


class Refused(Exception):
    """An API refused a call; `code` is its HTTP status, `off` whether the API is off, so that it holds nothing."""

    def __init__(self, code: int, message: str, off: bool = False) -> None:
        super().__init__(message)
        self.code, self.off = code, off


def send(session: Session, method: str, url: str, **more: Any) -> Any:
    """One call, made again where a fault may pass; its whole answer, whatever that is."""
    for pause in (*_PAUSES, None):
        answer = session.request(method, url, timeout=_PATIENCE, **more)
        if answer.status_code not in _PASSING or pause is None:
            return answer
        time.sleep(pause)
    raise AssertionError("not reached: the last round returns")


def call(session: Session, method: str, url: str, **more: Any) -> dict[str, Any]:
    """One call's answer. Raises Refused."""
    answer = send(session, method, url, **more)
    if answer.ok:
        return answer.json() if answer.content else {}
    raise refusal(answer)


def refusal(answer: Any) -> Refused:
    """What an answer that isn't OK says."""
    try:
        error = answer.json()["error"]
        details = error.get("details", [])
        reasons = {one.get("reason") for one in details if isinstance(one, dict)}
        # An API that is off has nothing running, and neither has a place that the project may not use; 501 is a local
        # cloud's word for an API that it does not have.
        off = bool(reasons & _NOT_THERE) or answer.status_code == 501
        return Refused(answer.status_code, str(error["message"]), off)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Refused(answer.status_code, str(answer.text)[:200])


def pages(session: Session, url: str, key: str, strict: bool = False, **params: Any) -> Iterator[dict[str, Any]]:
    """The entries of all pages of a list. Raises Refused; where the API is off, only if it is `strict`."""
    token = ""
    while True:
        try:
            page = call(session, "GET", url, params={**params, **({"pageToken": token} if token else {})})
        except Refused as refused:
            if refused.off and not strict:
                return
            raise
        yield from page.get(key, [])
        token = page.get("nextPageToken", "")
        if not token:
            return
