"""How this person's network leads to the world: by their proxies and certificates, never by those of a local cloud.

A shell that `local.env` made a client of a local cloud has that cloud's in place of the person's own.
"""

from __future__ import annotations

import os
from typing import Any

import environments


def variables() -> dict[str, str]:
    """Proxies and certificates, as child processes need them that work with Google."""
    return environments.network(os.environ)


def lead(session: Any) -> Any:
    """Let a session of `requests` go that way; gives it back.

    requests itself knows nothing of SSL_CERT_FILE and SSL_CERT_DIR, by which OpenSSL, uv and Go go.
    """
    network = variables()
    if bundle := environments.certificates(network):
        session.verify = bundle
    if environments.is_client_of_local_cloud(os.environ):
        session.trust_env = False
        named = {name.lower(): value for name, value in network.items()}
        session.proxies.update({k: v for k in ("http", "https", "all") if (v := named.get(f"{k}_proxy"))})
    return session
