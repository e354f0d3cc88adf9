"""Signed JSON Web Tokens (RS256), which is all that Google's service accounts use."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class BadToken(ValueError):
    """Not a token, or not signed by the key that it names."""


@dataclass(frozen=True)
class Token:
    """A token as it came: nothing in it may be believed before `verify`."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    def verify(self, public_pem: str) -> None:
        """Raises BadToken unless the holder of the private key of `public_pem` signed this token by RS256."""
        if self.header.get("alg") != "RS256":  # "none" and HS256 with a public key are the classic forgeries
            raise BadToken("not signed by RS256")
        key = serialization.load_pem_public_key(public_pem.encode())
        assert isinstance(key, rsa.RSAPublicKey)
        try:
            key.verify(self.signature, self.signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise BadToken("the signature is not of this key") from None


def parse(text: str) -> Token:
    """Take a token apart. Raises BadToken."""
    try:
        head, body, signature = text.split(".")
        header, claims = json.loads(_decode(head)), json.loads(_decode(body))
        if not isinstance(header, dict) or not isinstance(claims, dict):
            raise BadToken("not a JSON Web Token")
        return Token(header, claims, f"{head}.{body}".encode(), _decode(signature))
    except (ValueError, binascii.Error) as error:
        raise BadToken("not a JSON Web Token") from error


def sign(claims: Mapping[str, Any], key: rsa.RSAPrivateKey, key_id: str, kind: str = "JWT") -> str:
    """A token of `claims`. The same claims and key give the same text: PKCS#1 v1.5 has no salt."""
    header = {"alg": "RS256", "kid": key_id, "typ": kind}
    signed = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(dict(claims)).encode())}"
    return f"{signed}.{_encode(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


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
    numbers = key.public_key().public_numbers()
    parts = {
        name: _encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        for name, value in (("n", numbers.n), ("e", numbers.e))
    }
    return {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": key_id, **parts}


def load_private_pem(pem: str) -> rsa.RSAPrivateKey:
    """The inverse of `private_pem`."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
