"""Grants on buckets, and a connection on which a test writes each byte itself."""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import urlsplit

from google.cloud.storage import Bucket

from clouds import LocalCloud


def grant(bucket: Bucket, role: str, member: str) -> None:
    """Give `member` a role on a bucket."""
    policy = bucket.get_iam_policy(requested_policy_version=3)
    policy.version = 3
    policy.bindings.append({"role": role, "members": {member}})
    bucket.set_iam_policy(policy)


def connect(cloud: LocalCloud) -> http.client.HTTPSConnection:
    """A connection through the proxy on which a test writes each byte itself."""
    context = ssl.create_default_context(cafile=cloud.environment["REQUESTS_CA_BUNDLE"])
    proxy = urlsplit(cloud.environment["https_proxy"])
    made = http.client.HTTPSConnection(proxy.hostname or "", proxy.port, context=context, timeout=30)
    made.set_tunnel("storage.googleapis.com")
    made.connect()
    return made
