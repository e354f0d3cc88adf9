"""Signed URLs: requests that show a service account's signature in their address in place of a token.

Version 4: https://cloud.google.com/storage/docs/authentication/canonical-requests and .../signatures;
version 2: https://cloud.google.com/storage/docs/access-control/signed-urls-v2
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from localcloud.core.asked.callers import Caller
from localcloud.iam.store import Iam
from localcloud.storage.errors import StorageError, invalid, not_emulated
from localcloud.storage.messages import Request

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

ALGORITHM = "GOOG4-RSA-SHA256"
_HMAC = "GOOG4-HMAC-SHA256"
_WEEK = 7 * 24 * 3600  # seconds that a signature of version 4 holds at most
_SKEW = timedelta(minutes=15)  # that a signer's clock may be ahead
_CREDENTIAL = re.compile(r"([^/]+)/(\d{8})/([^/]+)/storage/goog4_request")
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your Google secret key and signing method."
)
_HOST = ".storage.googleapis.com"


def is_signed(request: Request) -> bool:
    """Whether the request shows a signature; who goes on with a resumable upload needs none."""
    names = {name.lower() for name in request.query}
    return ("x-goog-signature" in names or "googleaccessid" in names) and "upload_id" not in names


@dataclass(frozen=True)
class _Claim:
    """What a request says about its signature: who signed, what, and which texts show it when it is wrong."""

    email: str
    signature: bytes
    texts: tuple[str, ...]  # any of which may be what was signed
    shown: Mapping[str, str]


class Signatures:
    """Verifies by the public keys of one cloud's service accounts."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def verify(self, request: Request) -> Caller:
        """Who signed this request. Raises 400 for an expired or incomplete one, 403 for one that is wrong."""
        now = datetime.fromtimestamp(self._cloud.clock.wall(), UTC)
        query = {name.lower(): value for name, value in request.query.items()}
        claim = _version_4(request, query, now) if "x-goog-signature" in query else _version_2(request, query, now)
        return self.signer(claim.email, claim.signature, claim.texts, claim.shown)

    def signer(self, email: str, signature: bytes, texts: Iterable[str], shown: Mapping[str, str]) -> Caller:
        """The account, when it signed one of the texts with a key of its own. Raises 403 that tells what is `shown`."""
        iam = self._cloud.of(Iam)
        account = iam.find_service_account(email)
        if account is None or account.get("disabled"):
            raise _refused(f"The service account {email} does not exist.", "InvalidAccessKeyId")
        keys = [key["publicPem"] for key in iam.list_keys(account["email"]) if not key.get("disabled")]
        if not any(_holds(pem, signature, text) for text in texts for pem in keys):
            error = _refused(_MISMATCH, "SignatureDoesNotMatch")
            error.extra.update(shown)
            raise error
        return Caller(account["email"], account["projectId"])

    def form(self, fields: Mapping[str, str]) -> Caller:
        """Who signed the policy of a form. Raises 400, 403."""
        needed = [f"x-goog-{name}" for name in ("algorithm", "credential", "date", "signature")]
        if missing := [name for name in needed if not fields.get(name)]:
            raise invalid(f"Missing form field: {missing[0]}")
        if fields["x-goog-algorithm"] == _HMAC:
            raise not_emulated("HMAC keys")
        found = _CREDENTIAL.fullmatch(fields["x-goog-credential"])
        if fields["x-goog-algorithm"] != ALGORITHM or not found or not fields["x-goog-date"].startswith(found[2]):
            raise invalid("Invalid form field: x-goog-credential")
        try:
            signature = binascii.unhexlify(fields["x-goog-signature"])
        except ValueError:
            raise invalid("Invalid form field: x-goog-signature") from None
        return self.signer(found[1], signature, [fields["policy"]], {"StringToSign": fields["policy"]})


def _version_4(request: Request, query: Mapping[str, str], now: datetime) -> _Claim:
    needed = [f"x-goog-{name}" for name in ("algorithm", "credential", "date", "expires", "signedheaders", "signature")]
    if missing := [name for name in needed if not query.get(name)]:
        raise invalid(f"Missing query parameter: {missing[0]}")
    algorithm, credential, date, expires, names, signature = (query[name] for name in needed)
    if algorithm == _HMAC:
        raise not_emulated("HMAC keys")
    found = _CREDENTIAL.fullmatch(credential)
    if algorithm != ALGORITHM or not found or not date.startswith(found[2]):
        raise invalid(f"Invalid query parameter: {'X-Goog-Credential' if algorithm == ALGORITHM else algorithm}")
    try:
        start = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        seconds = int(expires)
        raw = binascii.unhexlify(signature)
    except ValueError:
        raise invalid("Invalid query parameter: X-Goog-Date, X-Goog-Expires or X-Goog-Signature") from None
    if not 0 < seconds <= _WEEK:
        raise invalid(f"Invalid query parameter: X-Goog-Expires must be between 1 and {_WEEK} seconds.")
    if start > now + _SKEW:
        raise _refused("The request was signed for the future.", "RequestTimeTooSkewed")
    check_time(start + timedelta(seconds=seconds), now)
    signed = [name.strip().lower() for name in names.split(";")]
    canonical = _canonical_request(request, request.method, signed)
    scope = f"{found[2]}/{found[3]}/storage/goog4_request"
    texts = [_to_sign(canonical, date, scope)]
    if request.method == "HEAD":  # who may GET may look
        texts.append(_to_sign(_canonical_request(request, "GET", signed), date, scope))
    shown = {"StringToSign": texts[0], "CanonicalRequest": canonical}
    return _Claim(found[1], raw, tuple(texts), shown)


def _to_sign(canonical: str, date: str, scope: str) -> str:
    return f"{ALGORITHM}\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def _canonical_request(request: Request, method: str, signed: Iterable[str]) -> str:
    names = sorted(signed)
    for name in names:
        if name not in request.headers:
            raise _malformed(name, "Header was included in signedheaders, but not in the request.")
    if "host" not in names:
        raise _malformed("host", "Header was not included in signedheaders.")
    for name in request.headers:
        if name.startswith("x-goog-") and name not in names:
            raise _malformed(name, "Header was not included in signedheaders.")
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names)
    pairs = _pairs(request.raw_query, without={"x-goog-signature"})
    text = "&".join(f"{name}={value}" for name, value in sorted(pairs))
    payload = request.headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD")
    return "\n".join([method, request.path, text, headers, ";".join(names), payload])


def _pairs(raw_query: str, without: set[str]) -> list[tuple[str, str]]:
    """The parameters of a query, each encoded in the one way that is signed."""
    pairs = [part.partition("=")[::2] for part in raw_query.split("&") if part]
    decoded = [(unquote_plus(name), unquote_plus(value)) for name, value in pairs]
    return [(quote(n, safe="-_.~"), quote(v, safe="-_.~")) for n, v in decoded if n.lower() not in without]


def _version_2(request: Request, query: Mapping[str, str], now: datetime) -> _Claim:
    own = {"googleaccessid", "expires", "signature"}
    if missing := sorted(name for name in own if not query.get(name)):
        raise invalid(f"Missing query parameter: {missing[0]}")
    try:
        ends = datetime.fromtimestamp(int(query["expires"]), UTC)
        signature = base64.b64decode(query["signature"], validate=True)
    except (ValueError, OverflowError, OSError):
        raise invalid("Invalid query parameter: Expires or Signature") from None
    check_time(ends, now)
    headers = request.headers
    extensions = sorted(
        f"{name}:{' '.join(value.split())}"
        for name, value in headers.items()
        if name.startswith("x-goog-") and not name.startswith("x-goog-encryption")
    )
    path = request.path
    if request.host.endswith(_HOST):
        path = f"/{request.host.removesuffix(_HOST)}{path}"
    rest = sorted((name.lower(), value.strip()) for name, value in request.query.items() if name.lower() not in own)
    paths = [path, *([f"{path}?{urlencode(rest)}"] if rest else [])]
    methods = [request.method, *(["GET"] if request.method == "HEAD" else [])]
    head = (headers.get("content-md5", ""), headers.get("content-type", ""), query["expires"])
    texts = ["\n".join([method, *head, *extensions, resource]) for method in methods for resource in paths]
    return _Claim(query["googleaccessid"], signature, tuple(texts), {"StringToSign": texts[0]})


def check_time(ends: datetime, now: datetime) -> None:
    """Raise 400 for what was signed for a time that is over."""
    if ends <= now:
        moment = ends.isoformat(timespec="seconds")
        message = f"The provided token has expired. Request signature expired at: {moment}"
        raise StorageError(400, message, "invalid", "ExpiredToken")


def _holds(public_pem: str, signature: bytes, text: str) -> bool:
    key = serialization.load_pem_public_key(public_pem.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        key.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _refused(message: str, code: str) -> StorageError:
    return StorageError(403, message, "forbidden", code)


def _malformed(header: str, message: str) -> StorageError:
    error = StorageError(400, message, "invalid", "MalformedSecurityHeader")
    error.extra["ParameterName"] = header
    return error
