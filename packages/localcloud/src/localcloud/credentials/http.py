"""iamcredentials.googleapis.com/v1: short-lived tokens and signatures of service accounts.

https://cloud.google.com/iam/docs/reference/credentials/rest
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.callers import Caller
from localcloud.core.errors import ApiError
from localcloud.iam import access
from localcloud.iam.access import Access
from localcloud.iam.http import denied_by_iam, refusal
from localcloud.iam.store import Iam
from localcloud.identity.tokens import Tokens
from localcloud.transport.rest import App, Call, Router, decode_base64
from localcloud.transport.transcoding import Table, transcoded

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

SERVICE = "iamcredentials.googleapis.com"
router = Router(SERVICE, refusal)
Body = dict[str, Any]
_ASKED = "asked along the chain of delegates"
_ACCOUNT = "/v1/projects/{project}/serviceAccounts/{account}"


def app(cloud: Cloud) -> App:
    return router.app(cloud)


def table(cloud: Cloud) -> Table:
    return transcoded(cloud, "google.cloud.iam_credentials_v1", router)


def _account(call: Call) -> Body:
    """The account by its e-mail or unique id. Raises 404."""
    found = call.cloud.of(Iam).find_managed(call.params["account"])
    if found is None:
        raise ApiError(404, "Not found; Gaia id not found for email " + call.params["account"])
    return found


def _become(call: Call, permission: str) -> str:
    """The e-mail of the account of the path, which the caller acts as, by way of its delegates. Raises 403, 404.

    https://cloud.google.com/iam/docs/create-short-lived-credentials-delegated
    """
    account, who = _account(call), call.caller
    for name in call.body.get("delegates") or []:
        between = call.cloud.of(Iam).find_managed(str(name).rpartition("/")[2])
        if between is None:
            raise denied_by_iam("iam.serviceAccounts.implicitDelegation")
        _require(call, who, "iam.serviceAccounts.implicitDelegation", between)
        who = Caller(between["email"], between["projectId"])
    _require(call, who, permission, account)
    return account["email"]


def _require(call: Call, who: Caller, permission: str, account: Body) -> None:
    if not call.cloud.of(Access).allows(who, permission, access.service_account(account)):
        raise denied_by_iam(permission)


@router.route("GET", _ACCOUNT + "/allowedLocations", open="where tokens may be used from is public")
async def allowed_locations(call: Call) -> Body:
    """Clients ask where tokens may be used from; "0x0" is everywhere."""
    return {"locations": [], "encodedLocations": "0x0"}


@router.route("POST", _ACCOUNT + ":generateAccessToken", open=_ASKED)
async def generate_access_token(call: Call) -> Body:
    email = _become(call, "iam.serviceAccounts.getAccessToken")
    if not call.body.get("scope"):
        raise ApiError(400, "Scope required.")
    text = str(call.body.get("lifetime", "3600s"))
    seconds = float(text[:-1]) if text.endswith("s") and text[:-1].replace(".", "", 1).isdigit() else 0
    if not 1 <= seconds <= 3600:  # longer only where an organisation lets it
        raise ApiError(400, f"Invalid lifetime {text}: it must be between 1s and 3600s.")
    token = call.cloud.of(Tokens).mint(email, int(seconds), scope=" ".join(call.body["scope"]))
    ends = datetime.fromtimestamp(call.cloud.clock.wall() + int(seconds), UTC)
    return {"accessToken": token, "expireTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}


@router.route("POST", _ACCOUNT + ":generateIdToken", open=_ASKED)
async def generate_id_token(call: Call) -> Body:
    email = _become(call, "iam.serviceAccounts.getOpenIdToken")
    if not call.body.get("audience"):
        raise ApiError(400, "An audience is required.")
    return {"token": call.cloud.of(Tokens).identity(email, call.body["audience"])}


@router.route("POST", _ACCOUNT + ":signBlob", open=_ASKED)
async def sign_blob(call: Call) -> Body:
    email = _become(call, "iam.serviceAccounts.signBlob")
    key_id, signature = call.cloud.of(Iam).sign(email, decode_base64(call.body.get("payload", ""), "payload"))
    return {"keyId": key_id, "signedBlob": base64.b64encode(signature).decode()}


@router.route("POST", _ACCOUNT + ":signJwt", open=_ASKED)
async def sign_jwt(call: Call) -> Body:
    email = _become(call, "iam.serviceAccounts.signJwt")
    payload = call.body.get("payload", "").encode()
    key_id = call.cloud.of(Iam).sign(email, b"")[0]
    head = f'{{"alg":"RS256","kid":"{key_id}","typ":"JWT"}}'.encode()
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (head, payload))
    signature = base64.urlsafe_b64encode(call.cloud.of(Iam).sign(email, signed)[1]).rstrip(b"=")
    return {"keyId": key_id, "signedJwt": (signed + b"." + signature).decode()}
