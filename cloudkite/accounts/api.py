"""One call to a Google API over the target's session: JSON in, JSON out, refusals as `error:` and `hint:`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cloudkite.accounts.target import Target
from cloudkite.show import errors
from cloudkite.show.errors import UserError, from_google, is_quota, retry_after
from cloudkite.show.text import _
from cloudkite.workspace import read_json

TIMEOUT = 60  # seconds without an answer
_PAUSES = (0.4, 1.0, 2.5)  # seconds before each new attempt, or more where the service says so
LONGEST = 30  # seconds; who is to wait longer than that is told so
_PASSING = frozenset({408, 429, 500, 502, 503, 504})  # https://cloud.google.com/storage/docs/retry-strategy


class Passing(UserError):
    """A failure that may pass; `http` is the code that the service answered, `wait` the seconds it asked for."""

    http = 0
    wait = 0.0


class NoAnswer(Passing):
    """The network failed: whether the service did what was asked is not known."""


def call(
    target: Target,
    method: str,
    url: str,
    doing: str,
    *,
    body: Any = None,
    params: Mapping[str, Any] | None = None,
    again: bool | None = None,
) -> dict[str, Any]:
    """The answer's JSON. `doing` opens the message of a refusal.

    A passing failure (network, 429, 5xx) is tried again when that can't do the thing twice: `again`, by default only
    GET. Raises UserError for what remains, Passing when it is such a failure.
    """
    response = send(
        target, method, url, doing, params=params, json=body, again=method == "GET" if again is None else again
    )
    return _json(target, response, doing)


def _json(target: Target, response: Any, doing: str) -> dict[str, Any]:
    """The JSON of an answer, {} for an empty one. Raises as `call` does."""
    if not response.ok:
        if errors.is_unpaid(response):
            _forget_open(target)
        told = from_google(response, doing, target.unpaid)
        if response.status_code in _PASSING and not is_quota(response):
            passing = Passing(told.message, told.hint, told.code)
            passing.http, passing.wait = response.status_code, retry_after(response)
            raise passing
        raise told
    return table(response, doing) if response.content else {}


def _forget_open(target: Target) -> None:
    """A trial that was seen open today has closed since: the next command looks again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if not read_json(target.account.trial_file).get("closed"):
            target.account.trial_file.unlink(missing_ok=True)


def table(response: Any, doing: str) -> dict[str, Any]:
    """The JSON object of an answer that `send` gave. Raises UserError for anything else: a page of some network's."""
    found = errors.body(response)
    if not isinstance(found, dict):
        said = _("{doing}: the answer is not what Google's API gives: {said}")
        raise UserError(
            said.format(doing=doing, said=repr(response.text[:80])), _("is a proxy or a login page in between?")
        )
    return found


def send(
    target: Target,
    method: str,
    url: str,
    doing: str,
    *,
    again: bool,
    **arguments: Any,
) -> Any:
    """The requests.Response, whatever its code; for callers to whom a 404 or a 412 means something."""
    import google.auth.exceptions
    import requests

    pauses = _PAUSES if again else ()
    for pause in (*pauses, None):
        wait = 0.0
        try:
            response = target.session().request(method, url, timeout=TIMEOUT, **arguments)
            wait = retry_after(response)
            if pause is None or response.status_code not in _PASSING or wait > LONGEST:
                return response
        except (requests.RequestException, google.auth.exceptions.GoogleAuthError) as error:
            final = isinstance(error, google.auth.exceptions.RefreshError) and not error.retryable
            if pause is None or final:
                told = from_google(error, doing)
                lost = isinstance(error, requests.RequestException)
                raise (NoAnswer if lost else UserError if final else Passing)(
                    told.message, told.hint, told.code
                ) from None
        time.sleep(max(pause, wait))
    raise UserError(doing)  # not reached: the last round returns or raises


def put_object(
    target: Target,
    bucket: str,
    name: str,
    data: bytes,
    doing: str,
    generation: int = 0,
    headers: Mapping[str, str] | None = None,
) -> bool:
    """Write an object of Cloud Storage in one request, if it has that generation (0: if there is none) until then.

    Says whether it did; False is that somebody was quicker. Raises UserError for anything else. The condition makes a
    second try of the same upload harmless.
    """
    answer = send(
        target,
        "POST",
        f"https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o",
        doing,
        again=True,
        params={"uploadType": "media", "name": name, "ifGenerationMatch": str(generation), "fields": "size"},
        data=data,
        headers={"Content-Type": "application/octet-stream", **(headers or {})},
    )
    if not answer.ok and answer.status_code != 412:
        raise from_google(answer, doing)
    return answer.ok


def pages(
    target: Target,
    url: str,
    key: str,
    doing: str,
    params: Mapping[str, Any] | None = None,
    absent: Callable[[Any], bool] = lambda _response: False,
) -> Iterator[dict[str, Any]]:
    """The entries under `key` of all pages of a list; none where `absent` takes a refusal for "there is none of it"."""
    token = ""
    while True:
        asked = {**(params or {}), **({"pageToken": token} if token else {})}
        response = send(target, "GET", url, doing, again=True, params=asked)
        if absent(response):
            return
        page = _json(target, response, doing)
        yield from page.get(key, [])
        token = page.get("nextPageToken", "")
        if not token:
            return
