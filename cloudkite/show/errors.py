"""Mistakes and refusals as people read them: what happened, and the one step that helps.

The refusals follow Google's published error model (google.rpc.Status with ErrorInfo details):
https://cloud.google.com/apis/design/errors
"""

from __future__ import annotations

import email.utils
import html
import re
import time
import urllib.parse
from typing import Any

from cloudkite.show.text import _

# ErrorInfo's and Storage's reasons when nobody pays: google/api/error_reason.proto, and Storage's status codes.
_UNPAID = ("BILLING_DISABLED", "accountDisabled", "UREQ_PROJECT_BILLING_NOT_FOUND")
# What the Gemini API says beyond its cap; the words of Vertex AI beyond one are not known (docs/google.md).
_CAPPED = "monthly spending cap"
FAILED, BAD_VALUE, NOT_SIGNED_IN, INTERRUPTED = 1, 2, 4, 130


class UserError(Exception):
    """Something a person can mend: `message` names the thing, `hint` is one command or one step.

    `code` is the exit code: 1 failed, 2 a value that can't be, 4 not signed in, 130 interrupted.
    """

    def __init__(self, message: str, hint: str = "", code: int = FAILED) -> None:
        super().__init__(message)
        self.message, self.hint, self.code = message, hint, code


class BadValue(UserError):
    """A value that can't be: exit code 2."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, BAD_VALUE)


def from_google(problem: Any, doing: str = "", unpaid: str = "") -> UserError:
    """Google's refusal as `error:` and `hint:`.

    `problem` is a requests.Response that failed, or an exception of google.auth, google.api_core or requests.
    `doing` says what was tried ("submit the job"); it opens the message. `unpaid` is what helps where nobody pays for
    the project, unless it is to link a billing account.
    """
    code, status, message, reason, details = _read(problem)
    said = f"{doing}: {message}" if doing else message
    if getattr(problem, "retryable", False) and status == "RefreshError":  # Google's token endpoint is down
        status = ""
    if unpaid and _is_unpaid(reason, message):
        return UserError(said, unpaid, FAILED)
    hint, exit_code = _advise(code, status, reason, message, details)
    if code == 429 and (wait := retry_after(problem)) > 60 and "quota metrics exceed" not in message:
        hint = _("too many requests: try again in {seconds} seconds").format(seconds=round(wait))
    return UserError(said, hint, exit_code)


def is_quota(response: Any) -> bool:
    """Whether a 429 is for a quota that must be raised, and not for too many requests a minute, which passes."""
    _code, _status, message, reason, _details = _read(response)
    stays = "quota metrics exceed" in message or _CAPPED in message
    return response.status_code == 429 and reason != "RATE_LIMIT_EXCEEDED" and stays


def is_unpaid(response: Any) -> bool:
    """Whether a refusal says that nobody pays for the project."""
    _code, _status, message, reason, _details = _read(response)
    return response.status_code in (400, 403) and _is_unpaid(reason, message)


def is_off(response: Any) -> bool:
    """Whether a refusal says that the API is off in the project, or not on yet."""
    _code, _status, _message, reason, _details = _read(response)
    return response.status_code == 403 and reason in ("SERVICE_DISABLED", "accessNotConfigured")


def retry_after(response: Any) -> float:
    """Seconds to wait by the answer's Retry-After, 0.0 without one: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after"""
    said = str(getattr(response, "headers", {}).get("Retry-After", "")).strip()
    if said.isdecimal():
        return float(said)
    try:
        return max(email.utils.parsedate_to_datetime(said).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return 0.0


def _read(problem: Any) -> tuple[int, str, str, str, dict[str, str]]:
    """(HTTP code or 0, google.rpc status, message, ErrorInfo reason, ErrorInfo metadata)."""
    if hasattr(problem, "status_code") and hasattr(problem, "text"):
        return _read_body(problem.status_code, body(problem), problem.text)
    code = getattr(problem, "code", None)
    response = getattr(problem, "response", None)
    if response is not None and hasattr(response, "text"):
        return _read_body(response.status_code, body(response), response.text)
    message = str(getattr(problem, "message", "") or problem)
    if type(problem).__module__.startswith("requests.") and getattr(problem, "request", None) is not None:
        message = _lost(type(problem).__name__, problem.request.url, message)
    return (int(code) if isinstance(code, int) else 0), type(problem).__name__, message, "", {}


def body(response: Any) -> Any:
    """The JSON of an answer; None where it is none: a login page of some network's, say."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _read_body(code: int, body: Any, text: str) -> tuple[int, str, str, str, dict[str, str]]:
    if isinstance(body, list) and body:
        body = body[0]
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return code, "", _plain(code, text), "", {}
    info = next((d for d in _tables(error.get("details")) if str(d.get("@type", "")).endswith("ErrorInfo")), {})
    legacy = next((str(one.get("reason", "")) for one in _tables(error.get("errors"))), "")
    message = str(error.get("message", text)).strip()
    metadata = info.get("metadata")
    known = {str(k): str(v) for k, v in metadata.items()} if isinstance(metadata, dict) else {}
    return code, str(error.get("status", "")), message, str(info.get("reason", legacy)), known


def _tables(found: Any) -> list[dict[str, Any]]:
    """The JSON objects in what should be a list of them; who answers may be no Google at all."""
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _lost(kind: str, url: str, said: str) -> str:
    """What became of a connection; the library's own text names its classes and objects."""
    host = urllib.parse.urlsplit(url).hostname or url
    if "Timeout" in kind:
        return _("{host} does not answer").format(host=host)
    if re.search("NameResolution|getaddrinfo|Name or service", said):
        return _("{host} can't be found: is there a network?").format(host=host)
    if re.search("RemoteDisconnected|aborted|reset by peer|IncompleteRead|EOF|broken|BrokenPipe", said, re.IGNORECASE):
        return _("the connection to {host} was cut").format(host=host)
    if "Proxy" in kind or "ProxyError" in said:
        return _("no connection to {host}: the proxy does not answer").format(host=host)
    if "SSL" in kind or "CERTIFICATE" in said:
        return _("no safe connection to {host}: {why}").format(host=host, why=said[:200])
    return _("no connection to {host}").format(host=host)


def _plain(code: int, text: str) -> str:
    """What an answer that isn't JSON says: Storage's XML, or a page that Google's front end writes for people."""
    if not text.lstrip().startswith("<"):
        return (text or str(code)).strip()[:500]
    for tag in ("Details", "Message", "title"):
        if found := re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL):
            return html.unescape(found[1]).strip().removesuffix("!!1")[:500]
    return _("HTTP {code}, and a page instead of an answer").format(code=code)


def _is_unpaid(reason: str, message: str) -> bool:
    return reason in _UNPAID or "billing account" in message.lower()


def _advise(code: int, status: str, reason: str, message: str, details: dict[str, str]) -> tuple[str, int]:
    if reason == "SERVICE_DISABLED":
        return _("`uv run invoke up` enables the APIs of the account; then wait a few minutes"), FAILED
    if _is_unpaid(reason, message):
        return _(
            "no open billing account pays for the project (was it unlinked, or did the trial end?): "
            "https://console.cloud.google.com/billing/projects"
        ), FAILED
    if reason == "USER_PROJECT_DENIED":
        return _(
            "the project that calls are charged to wants serviceUsageConsumer; `uv run invoke up` grants it"
        ), FAILED
    if reason == "CONSUMER_INVALID":
        return _("check gcp:project in the account's settings, and that you may use that project"), FAILED
    if "act as service_account" in message:
        return _("`uv run invoke up` gives the submitter that permission; the account's owner must run it"), FAILED
    if code == 401 or status in ("RefreshError", "DefaultCredentialsError") or "invalid_grant" in message:
        return _("sign in again: `gcloud auth application-default login`"), NOT_SIGNED_IN
    if code == 403:
        missing = details.get("permission") or (re.search(r"'([a-z]+\.[A-Za-z.]+)'", message) or ["", ""])[1]
        if missing:
            said = _("the permission {name} is missing; an owner of the project grants what Cloudkite needs: {command}")
            return said.format(name=missing, command="uv run invoke up"), FAILED
        return _(
            "the signed-in identity may not do this; an owner of the project grants what Cloudkite needs: "
            "uv run invoke up"
        ), FAILED
    if _CAPPED in message:
        return _("wait for next month, or lift the spend cap under Billing > Budgets in Google's console"), FAILED
    if code == 429 or status == "RESOURCE_EXHAUSTED":
        if "quota" in message and reason != "RATE_LIMIT_EXCEEDED":
            return _("choose a smaller machine or another region, or ask for quota in the account's settings"), FAILED
        return _("too many requests: wait a minute and try again"), FAILED
    if code == 404 and re.search("bucket does not exist", message):
        return _("`uv run invoke up` makes what is missing of the account"), FAILED
    if code == 404:
        return _("check the name; `uv run invoke jobs` lists what there is"), FAILED
    if code >= 500 or code == 0:
        return _("check the network and try again; `--debug` shows the whole story"), FAILED
    return "", FAILED
