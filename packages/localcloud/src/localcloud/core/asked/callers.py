"""Who sends requests, and how those are refused of whom nobody knows who they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from localcloud.core.errors import ApiError, error_info

_EXPECTED = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. "
    "See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'}


@dataclass(frozen=True)
class Caller:
    """Who sent a request, verified: the e-mail of a service account and the project it belongs to.

    `scopes` are those of its token; None where there are none, and it may all that it has roles for. A `person` signed
    in with credentials of their own: such calls are charged to no project unless they name one. Who signed in through
    a workload identity pool has no e-mail: in its place stands its "principal://...", and `members` are all by which
    policies may name it.
    """

    email: str
    project: str
    scopes: frozenset[str] | None = field(default=None, compare=False)
    person: bool = field(default=False, compare=False)
    members: frozenset[str] = field(default=frozenset(), compare=False)


ANONYMOUS = Caller("", "")  # a request without a credential, where an API takes such


class Verifier(Protocol):
    """Knows whose a token is."""

    def verify(self, bearer: str, host: str = "") -> Caller:
        """Who sent this token to `host`. Raises ApiError 401."""
        ...


def shown(verifier: Verifier, header: str, host: str) -> Caller:
    """Whose Authorization header this is. Raises ApiError 401."""
    kind, _, bearer = header.partition(" ")
    if not kind:
        raise missing()
    if kind.lower() not in ("bearer", "oauth") or not bearer:
        raise invalid()
    return verifier.verify(bearer.strip(), host)


def missing() -> ApiError:
    """401 for a request without a credential."""
    details = [error_info("CREDENTIALS_MISSING", "googleapis.com")]
    message = f"Request is missing required authentication credential. {_EXPECTED}"
    return ApiError(401, message, reason="required", details=details, headers=_CHALLENGE)


def invalid(expired: bool = False) -> ApiError:
    """401 for a credential that is foreign, forged, revoked or `expired`."""
    reason = "ACCESS_TOKEN_EXPIRED" if expired else "ACCESS_TOKEN_TYPE_UNSUPPORTED"
    message = f"Request had invalid authentication credentials. {_EXPECTED}"
    return ApiError(401, message, details=[error_info(reason, "googleapis.com")], headers=_CHALLENGE)
