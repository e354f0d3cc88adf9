"""How failures that may pass are read: waits, quotas that don't pass, pages instead of JSON, lost connections."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import google.auth.exceptions
import pytest
import requests

from cloudkite.show.errors import from_google, is_quota, retry_after


def answer(code: int, body: Any, **headers: str) -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    return SimpleNamespace(status_code=code, text=text, json=lambda: json.loads(text), headers=headers)


def refused(code: int, message: str, reason: str = "", **headers: str) -> Any:
    info = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    body = {"error": {"code": code, "message": message, "status": "RESOURCE_EXHAUSTED", "details": info}}
    return answer(code, body, **headers)


_EXCEEDED = "The following quota metrics exceed quota limits: aiplatform.googleapis.com/custom_model_training_cpus"
_TOO_FAST = "Quota exceeded for quota metric 'Default requests' and limit 'Default requests per minute'"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({}, 0),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Sat, 01 Jan 2000 00:00:00 GMT"}, 0),
        ({"Retry-After": "x"}, 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(said: dict[str, str], seconds: float) -> None:
    assert retry_after(answer(503, {}, **said)) == seconds


def test_a_date_in_the_future_is_waited_for() -> None:
    assert retry_after(answer(503, {}, **{"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"})) > 10**9


def test_a_quota_that_must_be_raised_does_not_pass() -> None:
    assert is_quota(refused(429, _EXCEEDED))
    assert not is_quota(refused(429, _TOO_FAST, "RATE_LIMIT_EXCEEDED"))
    assert not is_quota(answer(503, "down"))


@pytest.mark.parametrize(
    ("problem", "message", "hint"),
    [
        (
            refused(429, _TOO_FAST, "RATE_LIMIT_EXCEEDED"),
            _TOO_FAST,
            "too many requests: wait a minute and try again",
        ),
        (
            refused(429, _TOO_FAST, "RATE_LIMIT_EXCEEDED", **{"Retry-After": "90"}),
            _TOO_FAST,
            "too many requests: try again in 90 seconds",
        ),
        (
            refused(429, _EXCEEDED, **{"Retry-After": "90"}),
            _EXCEEDED,
            "choose a smaller machine or another region, or ask for quota in the account's settings",
        ),
        (
            answer(502, "<!DOCTYPE html>\n<title>Error 502 (Server Error)!!1</title>"),
            "Error 502 (Server Error)",
            "check the network and try again; `--debug` shows the whole story",
        ),
        (
            answer(
                503,
                "<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>M</Message><Details>a &lt; b 1</Details>",
            ),
            "a < b 1",
            "check the network and try again; `--debug` shows the whole story",
        ),
        (
            answer(503, "<p>"),
            "HTTP 503, and a page instead of an answer",
            "check the network and try again; `--debug` shows the whole story",
        ),
        (
            google.auth.exceptions.RefreshError("the token endpoint is down", retryable=True),
            "the token endpoint is down",
            "check the network and try again; `--debug` shows the whole story",
        ),
    ],
)
def test_what_is_said(problem: Any, message: str, hint: str) -> None:
    told = from_google(problem, "try")
    assert (told.message, told.hint) == (f"try: {message}", hint)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (requests.ReadTimeout("Read timed out."), "x.googleapis.com does not answer"),
        (requests.ConnectionError("NameResolutionError(...)"), "x.googleapis.com can't be found: is there a network?"),
        (requests.ConnectionError("('Connection aborted.', ...)"), "the connection to x.googleapis.com was cut"),
        (
            requests.exceptions.ChunkedEncodingError("IncompleteRead(10 bytes)"),
            "the connection to x.googleapis.com was cut",
        ),
        (requests.exceptions.ProxyError("refused"), "no connection to x.googleapis.com: the proxy does not answer"),
        (
            requests.exceptions.SSLError("CERTIFICATE_VERIFY"),
            "no safe connection to x.googleapis.com: CERTIFICATE_VERIFY",
        ),
        (requests.ConnectionError("[Errno 111] Connection refused"), "no connection to x.googleapis.com"),
    ],
)
def test_a_lost_connection_is_told_in_words(error: requests.RequestException, message: str) -> None:
    error.request = requests.Request("GET", "https://x.googleapis.com/v1/y").prepare()
    assert from_google(error).message == message
