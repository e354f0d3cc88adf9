"""sts.googleapis.com/v1: the token of somebody else's issuer against one of this cloud (RFC 8693).

https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from localcloud.core.asked.callers import Caller
from localcloud.core.asked.directory import Directory, Services
from localcloud.core.errors import ApiError, NotEmulated
from localcloud.iam import jwt
from localcloud.iam.federation import attributes
from localcloud.iam.federation.pools import Pools
from localcloud.identity.tokens import Tokens
from localcloud.transport.rest import App, Receive, Scope, Send, parse_json, read_body, send_json

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS = "urn:ietf:params:oauth:token-type:access_token"
_SUBJECTS = ("urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token")
_PREFIX = "//iam.googleapis.com/"
_HOUR, _DAY, _SKEW = 3600, 86_400, 300


class Refused(Exception):
    """`error` of RFC 8693, and Google's description."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


def app(cloud: Cloud) -> App:
    """The endpoint asks for no token: who comes here shows the one it has in the request's body."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        raw = await read_body(receive)
        if (scope["method"], scope["path"]) != ("POST", "/v1/token"):
            error = NotEmulated(f"{scope['method']} {scope['host']}{scope['path']}")
            return await send_json(send, error.body(), error.code)
        try:
            await send_json(send, exchange(cloud, _fields(scope, raw)))
        except Refused as refusal:
            body = {"error": refusal.error, "error_description": str(refusal)}
            await send_json(send, body, 401 if refusal.error == "unauthorized_client" else 400)
        except ApiError as error:
            await send_json(send, error.body(), error.code)

    return application


def _fields(scope: Scope, raw: bytes) -> dict[str, str]:
    """Of a form, or of JSON, which has the same names in camelCase."""
    if dict(scope["headers"]).get(b"content-type", b"").startswith(b"application/json"):
        body = parse_json(raw)
        given = body if isinstance(body, dict) else {}
        return {"".join(f"_{c.lower()}" if c.isupper() else c for c in name): str(v) for name, v in given.items()}
    return {name: values[-1] for name, values in parse_qs(raw.decode("latin-1")).items()}


def exchange(cloud: Cloud, fields: Mapping[str, str]) -> dict[str, Any]:
    """The answer to one request. Raises Refused, ApiError."""
    if fields.get("grant_type") != _GRANT:
        raise Refused("unsupported_grant_type", f"Invalid value for grant_type: {fields.get('grant_type', '')}.")
    if fields.get("requested_token_type") != _ACCESS:
        raise Refused("invalid_request", "Invalid value for requested_token_type.")
    if fields.get("subject_token_type") not in _SUBJECTS:
        raise Refused("invalid_request", "Invalid value for subject_token_type: the local cloud takes JWTs alone.")
    if not fields.get("scope"):
        raise Refused("invalid_scope", "Invalid OAuth scope.")
    named = fields.get("audience", "")
    provider = cloud.of(Pools).admitting(named.removeprefix(_PREFIX)) if named.startswith(_PREFIX) else None
    if provider is None:
        raise Refused(
            "invalid_target",
            'The target service indicated by the "audience" parameters is invalid. This might either be because the '
            "pool or provider is disabled or deleted or because it doesn't exist.",
        )
    charged = cloud.of(Directory).get(provider["name"].split("/")[1])["projectId"]
    cloud.of(Services).require_for(Caller("", charged), "", "sts.googleapis.com")
    claims = _verified(cloud, provider, fields.get("subject_token", ""))
    try:
        found = attributes.mapped(provider["attributeMapping"], provider.get("attributeCondition", ""), claims)
    except attributes.BadMapping as error:
        raise Refused("invalid_request", f"Error in attribute mapping: {error}") from None
    except attributes.Rejected:
        words = "The given credential is rejected by the attribute condition."
        raise Refused("unauthorized_client", words) from None
    # No token outlives what it was bought with by more than the clocks may differ.
    seconds = max(1, min(_HOUR, int(claims["exp"] - cloud.clock.wall())))
    token = cloud.of(Tokens).mint_federated(provider["name"], found, fields["scope"], seconds)
    return {"access_token": token, "issued_token_type": _ACCESS, "token_type": "Bearer", "expires_in": seconds}


def _verified(cloud: Cloud, provider: Mapping[str, Any], text: str) -> Mapping[str, Any]:
    """What a token says that the provider's issuer signed for this provider, and lately. Raises Refused."""
    oidc, name = provider["oidc"], provider["name"]
    try:
        token = jwt.parse(text)
    except jwt.BadToken:
        raise Refused("invalid_request", "Unable to parse the ID Token.") from None
    claims = token.claims
    if claims.get("iss") != oidc["issuerUri"]:
        raise Refused(
            "invalid_grant",
            f"The issuer in ID Token {claims.get('iss')} does not match the expected ones: {oidc['issuerUri']}",
        )
    if not oidc.get("jwksJson"):  # this cloud reaches no network
        raise Refused("invalid_grant", "Error connecting to the given credential's issuer.")
    _check_signature(token, json.loads(oidc["jwksJson"])["keys"])
    audiences = claims.get("aud")
    given = set(audiences if isinstance(audiences, list) else [audiences])
    if given.isdisjoint(oidc.get("allowedAudiences") or _own_audiences(cloud, name)):
        raise Refused("invalid_grant", f"The audience in ID Token [{audiences}] does not match the expected audience.")
    now, issued, ends = cloud.clock.wall(), claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int | float) or not isinstance(ends, int | float) or ends - issued > _DAY:
        raise Refused("invalid_grant", "The ID Token must have iat and exp claims at most 24 hours apart.")
    if issued - _SKEW > now or ends <= now:
        raise Refused("invalid_grant", f"ID Token issued at {int(issued)} is stale to sign-in.")
    return claims


def _check_signature(token: jwt.Token, keys: list[dict[str, Any]]) -> None:
    named = token.header.get("kid")
    for key in keys:
        if named is None or key.get("kid") in (None, named):
            try:
                return token.verify(jwt.pem_of_web_key(key))
            except jwt.BadToken:
                continue
    raise Refused("invalid_grant", "Error verifying the ID Token: invalid signature or unknown key.")


def _own_audiences(cloud: Cloud, name: str) -> set[str]:
    """What an audience may be where none is listed: the provider's own name, with or without https."""
    _projects, number, rest = name.split("/", 2)
    project = cloud.of(Directory).get(number)["projectId"]
    names = [f"{_PREFIX}{name}", f"{_PREFIX}projects/{project}/{rest}"]
    return {*names, *(f"https:{one}" for one in names)}
