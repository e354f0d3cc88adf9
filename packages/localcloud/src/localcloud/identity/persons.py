"""A person's own credentials, as `gcloud auth application-default login` leaves them on a machine.

All callers here are service accounts; the owner of a project stands for the person at this machine. With the file
`projects/<ID>/adc.json` a client signs in as that person does on Google: with a refresh token instead of a key.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from localcloud.core.state.files import write_privately
from localcloud.iam.store import Iam
from localcloud.identity.tokens import SCOPE, InvalidGrant, Tokens

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

# gcloud's own client, public as those of all programs that people install; its project is 764086051850.
_CLIENT = "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com"
_CLIENT_SECRET = "none-is-asked-for"  # noqa: S105  (here nothing depends on it)
EMAIL = "https://www.googleapis.com/auth/userinfo.email"
_GRANTED = f"openid {EMAIL} {SCOPE}"


def write(cloud: Cloud, project_id: str) -> None:
    """Write the credentials of a project's person, without a quota project, as gcloud does where it may name none."""
    found = {
        "account": "",
        "client_id": _CLIENT,
        "client_secret": _CLIENT_SECRET,
        "refresh_token": cloud.of(Tokens).refresh_token(cloud.of(Iam).owner(project_id)),
        "type": "authorized_user",
        "universe_domain": "googleapis.com",
    }
    path, text = cloud.folder("projects") / project_id / "adc.json", json.dumps(found, indent=2)
    if not path.is_file() or path.read_bytes() != text.encode():
        write_privately(path, text)


def refresh(cloud: Cloud, client: str, refresh_token: str, scope: str) -> dict[str, Any]:
    """The answer of the token endpoint to the refresh grant: for all that was granted, or less. Raises InvalidGrant.

    https://developers.google.com/identity/protocols/oauth2/web-server#offline
    """
    if client != _CLIENT:
        raise InvalidGrant("Unauthorized")
    email = cloud.of(Tokens).refreshed(refresh_token)
    granted = _GRANTED.split()
    wanted = scope.split() or granted
    if not set(wanted) <= set(granted):
        raise InvalidGrant("Bad Request")
    token = cloud.of(Tokens).mint(email, scope=" ".join(wanted), person=True)
    return {"access_token": token, "expires_in": 3599, "scope": " ".join(wanted), "token_type": "Bearer"}
