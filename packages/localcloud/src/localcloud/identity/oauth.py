"""Google's token endpoint and what tells about a token: oauth2.googleapis.com, accounts.google.com, OpenID Connect."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from localcloud.core.asked.callers import invalid
from localcloud.core.errors import ApiError, NotEmulated
from localcloud.iam.store import Iam
from localcloud.identity import persons
from localcloud.identity.tokens import InvalidGrant, Tokens
from localcloud.transport.rest import App, Call, Receive, Router, Scope, Send, parse_json, read_body, send_json

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKEN_PATHS = ("/token", "/oauth2/v4/token", "/oauth2/v3/token", "/o/oauth2/token")


def app(cloud: Cloud) -> App:
    """The endpoints that ask for no token: who comes here shows what it has in the request's body."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        raw = await read_body(receive)
        if method == "POST" and path in _TOKEN_PATHS:
            return await _token(cloud, _fields(scope, raw), send)
        if path in ("/tokeninfo", "/oauth2/v1/tokeninfo", "/oauth2/v3/tokeninfo"):
            query = parse_qs(scope["query_string"].decode("latin-1"))
            return await _tokeninfo(cloud, (query | _fields(scope, raw)).get("access_token", [""])[-1], send)
        # https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken
        if method == "GET" and path == "/oauth2/v1/certs":
            return await send_json(send, cloud.of(Tokens).certificates())
        if method == "GET" and path == "/oauth2/v3/certs":
            return await send_json(send, {"keys": cloud.of(Tokens).web_keys()})
        error = NotEmulated(f"{method} {scope['host']}{path}")
        await send_json(send, error.body(), error.code)

    return application


def user_app(cloud: Cloud) -> App:
    """Who the caller is: https://developers.google.com/identity/openid-connect/openid-connect#obtainuserinfo"""
    router = Router()

    async def userinfo(call: Call) -> dict:
        scopes = call.caller.scopes or frozenset()
        if call.caller.person and persons.EMAIL not in scopes:  # who asked for less is told nothing
            raise invalid()
        account = call.cloud.of(Iam).get_service_account(call.caller.email)
        return {"sub": account["uniqueId"], "email": account["email"], "email_verified": True}

    for path in ("/v1/userinfo", "/oauth2/v1/userinfo", "/oauth2/v3/userinfo"):
        router.route("GET", path)(userinfo)
        router.route("POST", path)(userinfo)
    return router.app(cloud)


def _fields(scope: Scope, raw: bytes) -> dict[str, list[str]]:
    headers = dict(scope["headers"])
    if headers.get(b"content-type", b"").startswith(b"application/json"):
        try:
            body = parse_json(raw)
        except ApiError:
            return {}
        return {name: [str(value)] for name, value in body.items()} if isinstance(body, dict) else {}
    return parse_qs(raw.decode("latin-1"))


async def _token(cloud: Cloud, fields: dict[str, list[str]], send: Send) -> None:
    grant, client, refresh, scope, assertion = (
        fields.get(name, [""])[-1] for name in ("grant_type", "client_id", "refresh_token", "scope", "assertion")
    )
    if grant not in (_GRANT, "refresh_token"):
        text = f"Invalid grant_type: {grant}. The local cloud takes service-account assertions and refresh tokens only."
        return await send_json(send, {"error": "unsupported_grant_type", "error_description": text}, 400)
    try:
        if grant == _GRANT:
            await send_json(send, cloud.of(Tokens).exchange(assertion))
        else:
            await send_json(send, persons.refresh(cloud, client, refresh, scope))
    except InvalidGrant as refusal:
        await send_json(send, {"error": refusal.error, "error_description": str(refusal)}, 400)


async def _tokeninfo(cloud: Cloud, token: str, send: Send) -> None:
    try:
        claims = cloud.of(Tokens).claims(token)
        if "provider" in claims:  # of a workload identity pool: no account of Google's
            raise ApiError(400, "Invalid Value")
    except ApiError:
        body = {"error": "invalid_token", "error_description": "Invalid Value"}
        return await send_json(send, body, 400)
    told = not claims.get("person") or persons.EMAIL in str(claims.get("scope", ""))
    left = int(claims["exp"] - cloud.clock.wall())
    await send_json(
        send,
        {
            "azp": claims.get("uid", claims["sub"]),
            "aud": claims.get("uid", claims["sub"]),
            "scope": claims.get("scope", ""),
            "exp": str(int(claims["exp"])),
            "expires_in": str(left),
            **({"email": claims["sub"], "email_verified": "true"} if told else {}),
            "access_type": "online",
        },
    )
