"""Signed JSON Web Tokens (RS256), which is all that Google's service accounts use.

PyJWT makes and reads them, and is imported when first needed: a server is up a tenth sooner without it. What they
claim is the callers' to judge, by the clock of the cloud.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_ALGORITHM = "RS256"


class BadToken(ValueError):
    """Not a token, or not signed by the key that it names."""


@dataclass(frozen=True)
class Token:
    """A token as it came: nothing in it may be believed before `verify`."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    text: str

    def verify(self, public_pem: str) -> None:
        """Raises BadToken unless the holder of the private key of `public_pem` signed this token by RS256."""
        import jwt

        try:  # "none" and HS256 with a public key are the classic forgeries
            jwt.PyJWS().decode(self.text, public_pem, algorithms=[_ALGORITHM])
        except jwt.PyJWTError as error:
            raise BadToken("not signed by this key and RS256") from error


def parse(text: str) -> Token:
    """Take a token apart. Raises BadToken."""
    import jwt

    try:
        parts = jwt.decode_complete(text, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError) as error:
        raise BadToken("not a JSON Web Token") from error
    return Token(parts["header"], parts["payload"], text)


def sign(claims: Mapping[str, Any], key: rsa.RSAPrivateKey, key_id: str, kind: str = "JWT") -> str:
    """A token of `claims`. The same claims and key give the same text: PKCS#1 v1.5 has no salt."""
    import jwt

    return jwt.encode(dict(claims), key, _ALGORITHM, {"kid": key_id, "typ": kind})


def new_key() -> rsa.RSAPrivateKey:
    """A fresh 2048-bit key, the size of Google's own service-account keys."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(key: rsa.RSAPrivateKey) -> str:
    """PKCS#8, not encrypted."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    """SubjectPublicKeyInfo."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form).decode()


def certificate_pem(key: rsa.RSAPrivateKey, name: str, start: datetime, end: datetime) -> str:
    """A self-signed X.509 certificate of the key."""
    from cryptography import x509

    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(end)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def web_key(key: rsa.RSAPrivateKey, key_id: str) -> dict[str, str]:
    """The public key as a JSON Web Key (RFC 7517)."""
    from jwt.algorithms import RSAAlgorithm

    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {"kty": "RSA", "alg": _ALGORITHM, "use": "sig", "kid": key_id, "n": public["n"], "e": public["e"]}


def pem_of_web_key(key: Mapping[str, Any]) -> str:
    """The public key of a JSON Web Key (RFC 7517). Raises BadToken for one that isn't of RSA."""
    import jwt
    from jwt.algorithms import RSAAlgorithm

    try:
        found = RSAAlgorithm.from_jwk(dict(key))
    except (jwt.PyJWTError, ValueError) as error:
        raise BadToken("not an RSA key") from error
    if not isinstance(found, rsa.RSAPublicKey):
        raise BadToken("not a public key")
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return found.public_bytes(encoding, form).decode()


def load_private_pem(pem: str) -> rsa.RSAPrivateKey:
    """The inverse of `private_pem`."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key
