"""What a provider makes of a token: attributes by the Common Expression Language, and a condition on them.

https://cloud.google.com/iam/docs/workload-identity-federation#mapping
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.core.errors import ApiError
from localcloud.iam.cel.language import compiled, expression
from localcloud.iam.cel.operations import BadExpression

_TARGET = re.compile(r"google\.(subject|groups)|attribute\.[a-z0-9_]{1,100}")
_NAME = re.compile(r"(assertion|attribute)\.\w+|google\.(subject|groups)")
_SUBJECT = 127  # bytes that a subject may have
# An issuer that signs for everybody: without a condition on its claims everybody would be let in.
_FOR_ALL = ("https://token.actions.githubusercontent.com", "https://gitlab.com", "https://app.terraform.io")


class Rejected(Exception):
    """The condition does not hold for a token."""


class BadMapping(Exception):
    """A token lacks what the mapping takes from it, or gives what can't be."""


class _Names(Mapping[str, str]):
    """Which names an expression may use, all of texts: claims can't be known before there is a token."""

    def __init__(self, *roots: str) -> None:
        self._roots = roots

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(_NAME.fullmatch(name)) and name.partition(".")[0] in self._roots

    def __getitem__(self, name: str) -> str:
        return "string"

    def __iter__(self) -> Iterator[str]:
        return (f"{root}." for root in self._roots)

    def __len__(self) -> int:
        return len(self._roots)


class _Values(dict[str, str]):
    def __missing__(self, name: str) -> str:
        raise BadExpression(f"no such key: {name.rpartition('.')[2]}")


_CLAIMS = _Names("assertion")
_ALL = _Names("assertion", "google", "attribute")


def check(mapping: Any, condition: str, issuer: str) -> None:
    """Raises 400 for a mapping or condition that Google refuses."""
    if not isinstance(mapping, Mapping) or not mapping.get("google.subject"):
        raise ApiError(400, "Attribute mapping must contain google.subject.")
    for target, text in mapping.items():
        if not _TARGET.fullmatch(target):
            raise ApiError(400, f"Invalid attribute mapping key: {target}.")
        try:
            made = expression(str(text), _CLAIMS)
            if made.type != "string":
                raise BadExpression(f"expected type 'string' but found '{made.type}'")
        except BadExpression as error:
            raise ApiError(400, f"Invalid attribute mapping for {target}: {error}") from None
    if not condition:
        if issuer.rstrip("/") in _FOR_ALL:
            raise ApiError(
                400,
                "The attribute condition must reference one of the provider's claims. For more information, see "
                "https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines#conditions",
            )
        return
    try:
        compiled(condition, _ALL)
    except BadExpression as error:
        raise ApiError(400, f"Error in attribute condition: {error}") from None


def mapped(mapping: Mapping[str, str], condition: str, claims: Mapping[str, Any]) -> dict[str, str]:
    """The attributes that a provider gives a token: google.subject and others. Raises BadMapping, Rejected."""
    values = _Values({f"assertion.{name}": _text(value) for name, value in claims.items()})
    try:
        found = {target: expression(text, _CLAIMS).run(values) for target, text in mapping.items()}
    except BadExpression as error:
        raise BadMapping(str(error)) from None
    if not 0 < len(found["google.subject"].encode()) <= _SUBJECT:
        raise BadMapping(f"The size of mapped attribute google.subject exceeds the {_SUBJECT} bytes limit.")
    if condition:
        try:
            holds = compiled(condition, _ALL).run(_Values(values | found))
        except BadExpression:
            holds = False
        if not holds:
            raise Rejected
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def members(pool: str, attributes: Mapping[str, str]) -> frozenset[str]:
    """All by which an allow policy may name who has these attributes; `pool` is the pool's full name.

    https://cloud.google.com/iam/docs/principal-identifiers
    """
    root = f"iam.googleapis.com/{pool}"
    found = {subject(pool, attributes), f"principalSet://{root}/*"}
    return frozenset(
        found | {f"principalSet://{root}/{name}/{value}" for name, value in attributes.items() if _own(name)}
    )


def subject(pool: str, attributes: Mapping[str, str]) -> str:
    """The one who signed in, as a member of allow policies."""
    return f"principal://iam.googleapis.com/{pool}/subject/{attributes['google.subject']}"


def _own(name: str) -> bool:
    return name.startswith("attribute.")
