"""iamcredentials.googleapis.com/v1: short-lived tokens and signatures of service accounts.

https://cloud.google.com/iam/docs/reference/credentials/rest
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from localcloud.errors import ApiError
from localcloud.iam import access
from localcloud.iam.http import refusal
from localcloud.rest import App, Call, Router, decode_base64
from localcloud.transcoding import Table, transcoded

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

SERVICE = "iamcredentials.googleapis.com"
router = Router(SERVICE, refusal)
Body = dict[str, Any]
_ACCOUNT = "/v1/projects/{project}/serviceAccounts/{account}"


def app(cloud: Cloud) -> App:
    return router.app(cloud)


def table(cloud: Cloud) -> Table:
    return transcoded(cloud, "google.cloud.iam_credentials_v1", router)


def _account(call: Call) -> Body:
    """The account by its e-mail or unique id. Raises 404."""
    found = call.cloud.iam.find_service_account(call.params["account"])
    if found is None:
        raise ApiError(404, "Not found; Gaia id not found for email " + call.params["account"])
    return found


def _where(call: Call) -> access.Resource:
    return access.service_account(_account(call))


def _email(call: Call) -> str:
    return _account(call)["email"]


@router.route("GET", _ACCOUNT + "/allowedLocations", open="where tokens may be used from is public")
async def allowed_locations(call: Call) -> Body:
    """Clients ask where tokens may be used from; "0x0" is everywhere."""
    return {"locations": [], "encodedLocations": "0x0"}


@router.route("POST", _ACCOUNT + ":generateAccessToken", needs="iam.serviceAccounts.getAccessToken", on=_where)
async def generate_access_token(call: Call) -> Body:
    text = str(call.body.get("lifetime", "3600s"))
    seconds = float(text[:-1]) if text.endswith("s") and text[:-1].replace(".", "", 1).isdigit() else 0
    if not 0 < seconds <= 43_200:
        raise ApiError(400, f"Invalid lifetime {text}: it must be between 1s and 43200s.")
    token = call.cloud.tokens.mint(_email(call), int(seconds), scope=" ".join(call.body.get("scope", [])))
    ends = datetime.fromtimestamp(call.cloud.clock.wall() + int(seconds), UTC)
    return {"accessToken": token, "expireTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}


@router.route("POST", _ACCOUNT + ":generateIdToken", needs="iam.serviceAccounts.getOpenIdToken", on=_where)
async def generate_id_token(call: Call) -> Body:
    if not call.body.get("audience"):
        raise ApiError(400, "An audience is required.")
    return {"token": call.cloud.tokens.identity(_email(call), call.body["audience"])}


@router.route("POST", _ACCOUNT + ":signBlob", needs="iam.serviceAccounts.signBlob", on=_where)
async def sign_blob(call: Call) -> Body:
    key_id, signature = call.cloud.iam.sign(_email(call), decode_base64(call.body.get("payload", ""), "payload"))
    return {"keyId": key_id, "signedBlob": base64.b64encode(signature).decode()}


@router.route("POST", _ACCOUNT + ":signJwt", needs="iam.serviceAccounts.signJwt", on=_where)
async def sign_jwt(call: Call) -> Body:
    email = _email(call)
    payload = call.body.get("payload", "").encode()
    key_id = call.cloud.iam.sign(email, b"")[0]
    head = f'{{"alg":"RS256","kid":"{key_id}","typ":"JWT"}}'.encode()
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (head, payload))
    signature = base64.urlsafe_b64encode(call.cloud.iam.sign(email, signed)[1]).rstrip(b"=")
    return {"keyId": key_id, "signedJwt": (signed + b"." + signature).decode()}
