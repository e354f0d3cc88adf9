"""A throw-away certificate authority, and the certificate by which this machine is Google for those who trust it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from localcloud.core.environment import JAVA_PASSWORD
from localcloud.core.state.files import write_privately

NAMES = (
    "googleapis.com",
    "*.googleapis.com",
    "*.storage.googleapis.com",
    "accounts.google.com",
    "metadata.google.internal",
    "*.prediction.vertexai.goog",
    "*.a.run.app",
    "localhost",
    "127.0.0.1",
)
_LIFE = timedelta(days=397)  # Apple's clients refuse longer ones: https://support.apple.com/en-us/102028
_MARGIN = timedelta(days=30)
_NEVER = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)


def ensure(root: Path, now: datetime | None = None) -> None:
    """Write ca.pem, cert.pem and key.pem (0600) in `root` unless they are there, valid now and for 30 more days.

    The authority's own key is never written: nobody can sign another certificate in its name.
    """
    now = now or datetime.now(UTC)
    begins, ends = _validity(root)
    if begins <= now and ends > now + _MARGIN:  # a clock that was set back may be before their time
        return
    import trustme

    authority = trustme.CA(organization_name="local cloud", key_type=trustme.KeyType.ECDSA)
    leaf = authority.issue_cert(*NAMES, not_before=now - timedelta(days=1), not_after=now + _LIFE)
    write_privately(root / "key.pem", leaf.private_key_pem.bytes())
    write_privately(root / "cert.pem", b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    write_privately(root / "ca.pem", authority.cert_pem.bytes())


def _validity(root: Path) -> tuple[datetime, datetime]:
    """From when until when both certificates are valid; never when one is missing or torn."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        leaf, authority = (
            x509.load_pem_x509_certificate((root / name).read_bytes()) for name in ("cert.pem", "ca.pem")
        )
        key = load_pem_private_key((root / "key.pem").read_bytes(), None)
        leaf.verify_directly_issued_by(authority)  # a kill between two files leaves parts of two authorities
        if key.public_key() != leaf.public_key():
            return _NEVER
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if not set(NAMES) <= {str(name.value) for name in names}:  # of an older version, for fewer names
            return _NEVER
        begins = max(leaf.not_valid_before_utc, authority.not_valid_before_utc)
        return begins, min(leaf.not_valid_after_utc, authority.not_valid_after_utc)
    except Exception:  # whatever is wrong with what is there, a new authority is the answer
        return _NEVER


def write_java_trust(root: Path) -> None:
    """Write the authority as Java takes it, ca.p12 (PKCS #12), which is as public as ca.pem is."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

    authority = x509.load_pem_x509_certificate((root / "ca.pem").read_bytes())
    entry = PKCS12Certificate(authority, b"local cloud")
    protection = BestAvailableEncryption(JAVA_PASSWORD.encode())  # Java reads nothing without one
    write_privately(root / "ca.p12", serialize_java_truststore([entry], protection))
