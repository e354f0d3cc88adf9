"""Access tokens: who gets one, and whose request it is when one comes back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm

from localcloud.core.asked.callers import Caller, invalid
from localcloud.core.asked.directory import Directory
from localcloud.core.state.files import write_privately
from localcloud.core.state.kept import Damaged, anew
from localcloud.iam import jwt
from localcloud.iam.federation import attributes
from localcloud.iam.federation.pools import Pools
from localcloud.iam.store import Iam

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from localcloud.core.cloud import Cloud

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
PROVIDER = "https://provider.localcloud.internal/"  # the audience of tokens that only the Pulumi provider takes
TOKEN_URIS = (
    "https://oauth2.googleapis.com/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://accounts.google.com/o/oauth2/token",
)
_OWN_KEY = "localcloud"  # the key id that tokens of this cloud itself name
_ACCESS = "at+jwt"  # header type of access tokens: an ID token can't pass for one (RFC 9068)
_REFRESH = "refresh+jwt"
_HOUR = 3600
_DAY = timedelta(days=1)
_SKEW = 300  # seconds that clocks may differ


class InvalidGrant(Exception):
    """The token endpoint refuses an assertion; the text is Google's error_description, `error` its error."""

    error = "invalid_grant"


class InvalidScope(InvalidGrant):
    """The assertion asks for nothing."""

    error = "invalid_scope"


class Tokens:
    """Mints and verifies tokens of one cloud: nothing that another cloud, Google or anybody else signed is valid here.

    An access token is a JSON Web Token that names the account, its unique id and, when it was bought with a
    service-account key, that key: it ends with any of them.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._seen: dict[bytes, tuple[Caller, float, str]] = {}  # with its end, and the only API that it is for
        self._seen_at = -1
        self._expired: dict[bytes, float] = {}  # by a drill, and when they were issued

    @cached_property
    def _key(self) -> RSAPrivateKey:
        path = self._cloud.root / "signing-key.pem"
        if not path.exists():
            write_privately(path, jwt.private_pem(jwt.new_key()))
        try:
            return jwt.load_private_pem(path.read_text(encoding="ascii"))
        except (ValueError, TypeError, AssertionError, OSError, UnsupportedAlgorithm):
            lost = "all tokens that were given will be worth nothing"
            raise Damaged(path, anew(self._cloud.root, path, lost)) from None

    @cached_property
    def public_pem(self) -> str:
        """The key that ID tokens of this cloud can be verified by."""
        return jwt.public_pem(self._key)

    @cached_property
    def fingerprint(self) -> str:
        """Tells this cloud from others, and from itself after a reset."""
        return hashlib.sha256(self.public_pem.encode()).hexdigest()[:16]

    def certificates(self) -> dict[str, str]:
        """The same key as Google publishes its own: an X.509 certificate by key id, valid for a day."""
        now = self._cloud.clock.now()
        name = "federated-signon.system.gserviceaccount.com"
        return {_OWN_KEY: jwt.certificate_pem(self._key, name, now - _DAY, now + _DAY)}

    def web_keys(self) -> list[dict[str, str]]:
        """The same key as a JSON Web Key."""
        return [jwt.web_key(self._key, _OWN_KEY)]

    def refresh_token(self, email: str) -> str:
        """What a person's credentials hold: it ends with the account only, and is the same each time."""
        claims = {"sub": email, "uid": self._cloud.of(Iam).get_service_account(email)["uniqueId"]}
        return "1//" + jwt.sign(claims, self._key, _OWN_KEY, _REFRESH)

    def refreshed(self, token: str) -> str:
        """Whose refresh token it is. Raises InvalidGrant."""
        try:
            parsed = jwt.parse(token.removeprefix("1//"))
            if parsed.header.get("typ") != _REFRESH:
                raise jwt.BadToken("no refresh token")
            parsed.verify(self.public_pem)
        except jwt.BadToken:
            raise InvalidGrant("Bad Request") from None
        account = self._cloud.of(Iam).find_service_account(str(parsed.claims.get("sub", "")))
        if account is None or account.get("disabled") or account["uniqueId"] != parsed.claims.get("uid"):
            raise InvalidGrant("Token has been expired or revoked.")
        return account["email"]

    def mint(self, email: str, ttl: int = _HOUR, key_id: str = "", scope: str = SCOPE, person: bool = False) -> str:
        """An access token of the service account `email` for `ttl` seconds. Raises 404 for an unknown account."""
        account = self._cloud.of(Iam).get_service_account(email)
        now = int(self._cloud.clock.wall())
        claims = {"sub": email, "uid": account["uniqueId"], "scope": scope, "iat": now, "exp": now + ttl}
        claims |= {"person": True} if person else {}
        return jwt.sign(claims | ({"key": key_id} if key_id else {}), self._key, _OWN_KEY, _ACCESS)

    def mint_federated(self, provider: str, found: Mapping[str, str], scope: str, ttl: int) -> str:
        """An access token of whom a provider vouches for, by the attributes that it gave; it ends with the provider."""
        now = int(self._cloud.clock.wall())
        claims = {"sub": found["google.subject"], "provider": provider, "attributes": dict(found)}
        return jwt.sign(claims | {"scope": scope, "iat": now, "exp": now + ttl}, self._key, _OWN_KEY, _ACCESS)

    def identity(self, email: str, audience: str) -> str:
        """An OpenID Connect ID token: https://cloud.google.com/docs/authentication/token-types#id"""
        account = self._cloud.of(Iam).get_service_account(email)
        now = int(self._cloud.clock.wall())
        unique = account["uniqueId"]
        claims = {"iss": "https://accounts.google.com", "aud": audience, "azp": unique, "sub": unique}
        claims |= {"email": email, "email_verified": True, "iat": now, "exp": now + _HOUR}
        return jwt.sign(claims, self._key, _OWN_KEY)

    def verify(self, bearer: str, host: str = "") -> Caller:
        """Who sent this access token or self-signed token, to `host`. Raises ApiError 401.

        One whose audience is PROVIDER is taken from no other host: others may see it on its way there.
        """
        iam = self._cloud.of(Iam)
        if self._seen_at != iam.generation or len(self._seen) > 4096:
            self._seen.clear()
            self._seen_at = iam.generation
        digest = hashlib.sha256(bearer.encode()).digest()
        now = self._cloud.clock.wall()
        known = self._seen.get(digest)
        if known is None:
            try:
                known = self._verify(jwt.parse(bearer))
            except jwt.BadToken:
                raise invalid() from None
            self._seen[digest] = known
        # One issued in the same second may be its own successor: tokens of one second are the same, to the byte.
        if known[1] <= now or (self._expired and self._expired.get(digest, now) <= now - 1):
            raise invalid(expired=True)
        if known[2] == PROVIDER:
            if host != PROVIDER:
                raise invalid()
        elif known[2] and host and _api(host) not in ("", known[2]):
            raise invalid()
        return known[0]

    def of_key(self, key_file: str) -> str:
        """A self-signed token by the content of a key file, as clients make it. Raises ApiError 401.

        Content only: a path would be read by this process, for somebody who may not read it.
        """
        try:
            key = json.loads(key_file)
            email, now = str(key["client_email"]), int(self._cloud.clock.wall())
            claims = {"iss": email, "sub": email, "iat": now, "exp": now + _HOUR, "scope": SCOPE}
            return jwt.sign(claims, jwt.load_private_pem(key["private_key"]), str(key["private_key_id"]))
        except (ValueError, TypeError, KeyError, AttributeError, AssertionError):
            raise invalid() from None

    def expire(self, bearer: str) -> None:
        """Let a token count as expired from now on, as a drill; its owner must get a new one."""
        issued = jwt.parse(bearer).claims.get("iat", 0)
        self._expired[hashlib.sha256(bearer.encode()).digest()] = float(issued)

    def claims(self, bearer: str) -> dict[str, Any]:
        """What a valid token says (for `tokeninfo`). Raises ApiError 401."""
        self.verify(bearer)
        return dict(jwt.parse(bearer).claims)

    def caller_by_identity(self, bearer: str, audience: str) -> Caller:
        """Who shows this ID token to a service at `audience`. Raises InvalidGrant.

        https://cloud.google.com/run/docs/authenticating/service-to-service
        """
        try:
            token = jwt.parse(bearer)
            token.verify(self.public_pem)
            claims = token.claims
            account = self._cloud.of(Iam).find_service_account(str(claims.get("email", "")))
            good = token.header.get("typ") == "JWT" and claims.get("aud") == audience
            if not good or account is None or account.get("disabled") or account["uniqueId"] != claims.get("sub"):
                raise jwt.BadToken("not an ID token for this audience")
            if _number(claims, "exp") <= self._cloud.clock.wall():
                raise jwt.BadToken("expired")
        except jwt.BadToken as error:
            raise InvalidGrant(str(error)) from None
        return Caller(account["email"], account["projectId"])

    def _verify(self, token: jwt.Token) -> tuple[Caller, float, str]:
        key_id = str(token.header.get("kid", ""))
        claims = token.claims
        email, api = str(claims.get("sub", "")), ""
        if key_id == _OWN_KEY:
            token.verify(self.public_pem)
            if token.header.get("typ") != _ACCESS:
                raise jwt.BadToken("not an access token")
            if _number(claims, "exp") - _number(claims, "iat") > _HOUR:
                raise jwt.BadToken("of an older version, which gave Pulumi tokens without an end")
            if "provider" in claims:
                return self._federated(claims), _number(claims, "exp"), ""
            if bought_with := claims.get("key"):
                self._registered(str(bought_with), email)
        else:
            self._verify_signature(token, email)
            api = self._check_self_signed(claims)
        account = self._cloud.of(Iam).find_service_account(email)
        if account is None or account.get("disabled"):
            raise jwt.BadToken("the account is gone")
        if key_id == _OWN_KEY and claims.get("uid") != account["uniqueId"]:
            raise jwt.BadToken("the token is of an account that was deleted")
        scopes = None if api else frozenset(str(claims.get("scope", "")).split())
        person = bool(claims.get("person"))
        return Caller(email, account["projectId"], scopes, person), _number(claims, "exp"), api

    def _federated(self, claims: Mapping[str, Any]) -> Caller:
        """Who signed in through a workload identity pool."""
        provider, found = str(claims["provider"]), dict(claims["attributes"])
        project = self._cloud.of(Directory).find(provider.split("/")[1])
        if project is None or self._cloud.of(Pools).admitting(provider) is None:
            raise jwt.BadToken("the provider is gone")
        pool = provider.rpartition("/providers/")[0]
        members, scopes = attributes.members(pool, found), frozenset(str(claims.get("scope", "")).split())
        return Caller(attributes.subject(pool, found), project["projectId"], scopes, members=members)

    def _registered(self, key_id: str, email: str) -> str:
        """The public key of the account's key."""
        key = self._cloud.of(Iam).find_key(key_id)
        if key is None or key["email"] != email or key.get("disabled"):
            raise jwt.BadToken("no such key")
        return key["publicPem"]

    def _verify_signature(self, token: jwt.Token, email: str) -> str:
        """The id of the account's key that signed a token. Raises BadToken.

        Go's client names no key, and others one that nobody knows: then each of the account's own keys may be it.
        """
        key_id = str(token.header.get("kid", ""))
        iam = self._cloud.of(Iam)
        if iam.find_key(key_id):
            token.verify(self._registered(key_id, email))
            return key_id
        for key in iam.list_keys(email):
            if not key.get("disabled"):
                with contextlib.suppress(jwt.BadToken):
                    token.verify(key["publicPem"])
                    return key["name"].rpartition("/")[2]
        raise jwt.BadToken("no key of the account signed it")

    def _check_self_signed(self, claims: Any) -> str:
        """Self-signed tokens live an hour and are for an API, by audience or by scope (https://google.aip.dev/auth/4111).

        Gives the one that the audience names, "" for one by scope. One for the token endpoint is an assertion: whoever
        sees it there must not be able to use it here.
        """
        issued, ends = _number(claims, "iat"), _number(claims, "exp")
        if claims.get("iss") != claims.get("sub") or ends - issued > _HOUR + _SKEW:
            raise jwt.BadToken("not a self-signed token")
        if issued > self._cloud.clock.wall() + _SKEW:
            raise jwt.BadToken("issued in the future")
        audience = claims.get("aud")
        if audience == PROVIDER:
            return PROVIDER
        if not audience and claims.get("scope"):
            return ""
        parts = urlsplit(str(audience))
        host = parts.hostname or ""
        if parts.scheme != "https" or not host.endswith(".googleapis.com") or str(audience) in TOKEN_URIS:
            raise jwt.BadToken("for somebody else")
        return _api(host)

    def exchange(self, assertion: str) -> dict[str, Any]:
        """The answer of the token endpoint to the JWT-bearer grant. Raises InvalidGrant.

        https://developers.google.com/identity/protocols/oauth2/service-account#httprest
        """
        try:
            token = jwt.parse(assertion)
        except jwt.BadToken:
            raise InvalidGrant("Bad Request") from None
        claims = token.claims
        email = str(claims.get("iss", ""))
        account = self._cloud.of(Iam).find_service_account(email)
        if account is None or account.get("disabled"):
            raise InvalidGrant("Invalid grant: account not found")
        try:
            key_id = self._verify_signature(token, email)
            issued, ends = _number(claims, "iat"), _number(claims, "exp")
        except jwt.BadToken:
            raise InvalidGrant("Invalid JWT Signature.") from None
        now = self._cloud.clock.wall()
        if not (issued - _SKEW <= now < ends and ends - issued <= _HOUR + _SKEW):
            raise InvalidGrant(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim."
            )
        if claims.get("aud") not in TOKEN_URIS:
            raise InvalidGrant("Invalid JWT: Failed audience check")
        if audience := claims.get("target_audience"):
            return {"id_token": self.identity(email, str(audience))}
        if not claims.get("scope"):
            raise InvalidScope("Invalid OAuth scope or ID token audience provided.")
        access = self.mint(email, key_id=key_id, scope=str(claims["scope"]))
        return {"access_token": access, "expires_in": _HOUR - 1, "token_type": "Bearer"}


def _api(host: str) -> str:
    """The API that a host is of, wherever it stands: "storage"; "" for hosts of several."""
    name = host.removesuffix(".googleapis.com").rpartition(".")[2]
    return "" if name == "www" or name == host else re.sub(r"^[a-z]+-[a-z]+\d+-", "", name)


def _number(claims: Any, name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float):
        raise jwt.BadToken(f"no {name}")
    return float(value)
