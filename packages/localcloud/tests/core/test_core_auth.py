"""Who calls is checked: only what this very cloud gave out opens it."""

from __future__ import annotations

import base64
import json
from xml.etree import ElementTree

import grpc
import pytest
from google.auth import jwt as google_jwt
from google.auth.crypt import RSASigner

from localcloud.iam import jwt

PROJECT = "https://cloudresourcemanager.googleapis.com/v3/projects/test-project"
TOKEN = "https://oauth2.googleapis.com/token"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def key_of(cloud) -> dict:
    return json.loads((cloud.root / "projects" / cloud.project / "key.json").read_text(encoding="utf-8"))


def now(cloud) -> int:
    import time

    return int(time.time())


def claims_of(cloud, **changes) -> dict:
    email = key_of(cloud)["client_email"]
    claims = {"iss": email, "sub": email, "aud": "https://storage.googleapis.com/"}
    claims |= {"iat": now(cloud), "exp": now(cloud) + 3600, **changes}
    return {name: value for name, value in claims.items() if value is not None}


def signed(cloud, key: dict | None = None, **changes) -> str:
    key = key or key_of(cloud)
    return google_jwt.encode(RSASigner.from_service_account_info(key), claims_of(cloud, **changes)).decode()


def unsigned(cloud) -> str:
    parts = [{"alg": "none", "typ": "JWT", "kid": key_of(cloud)["private_key_id"]}, claims_of(cloud)]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def by_hmac(cloud) -> str:
    """Signed by HS256 with the public key as its secret: the classic confusion of algorithms."""
    import hashlib
    import hmac

    key = key_of(cloud)
    public = jwt.public_pem(jwt.load_private_pem(key["private_key"]))
    head = {"alg": "HS256", "typ": "JWT", "kid": key["private_key_id"]}
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (head, claims_of(cloud))
    ]
    mac = hmac.new(public.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, base64.urlsafe_b64encode(mac).decode().rstrip("=")])


def of_a_stranger(cloud) -> str:
    """The right names, signed by another key."""
    return signed(cloud, {**key_of(cloud), "private_key": jwt.private_pem(jwt.new_key())})


def by_its_own_key_id(cloud) -> str:
    key = {**key_of(cloud), "private_key": jwt.private_pem(jwt.new_key()), "private_key_id": "localcloud"}
    return signed(cloud, key)


def identity_token(cloud) -> str:
    """An ID token of this cloud: proof of who one is, no leave to act."""
    answer = cloud.plain_session().post(
        TOKEN,
        data={"grant_type": GRANT, "assertion": signed(cloud, aud=TOKEN, target_audience="https://example.com")},
    )
    return answer.json()["id_token"]


def test_others_can_verify_an_identity_by_the_published_keys(local_cloud):
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import load_pem_x509_certificate
    from google.auth.transport.requests import Request
    from google.oauth2 import id_token

    token = identity_token(local_cloud)
    plain = local_cloud.plain_session()
    claims = id_token.verify_oauth2_token(token, Request(plain), "https://example.com")
    assert claims["email"] == key_of(local_cloud)["client_email"]
    assert claims["azp"] == claims["sub"]
    (published,) = plain.get("https://www.googleapis.com/oauth2/v3/certs").json()["keys"]
    (certificate,) = plain.get("https://www.googleapis.com/oauth2/v1/certs").json().values()
    key = load_pem_x509_certificate(certificate.encode()).public_key()
    assert isinstance(key, RSAPublicKey)
    assert int.from_bytes(base64.urlsafe_b64decode(published["n"] + "=="), "big") == key.public_numbers().n
    with pytest.raises(ValueError, match="Token has wrong audience"):
        id_token.verify_oauth2_token(token, Request(plain), "https://example.org")


FOREIGN = {
    "random": lambda cloud: "ya29.a0AfB_byRandomTokenOfSomebody",
    "empty": lambda cloud: "",
    "not ascii": lambda cloud: "t\xf6ken",
    "unsigned": unsigned,
    "by HMAC": by_hmac,
    "of a stranger": of_a_stranger,
    "by its own key id": by_its_own_key_id,
    "expired": lambda cloud: signed(cloud, iat=now(cloud) - 4000, exp=now(cloud) - 400),
    "of the future": lambda cloud: signed(cloud, iat=now(cloud) + 2000, exp=now(cloud) + 5000),
    "for a year": lambda cloud: signed(cloud, exp=now(cloud) + 365 * 86_400),
    "without an end": lambda cloud: signed(cloud, exp=None),
    "an assertion": lambda cloud: signed(cloud, aud=TOKEN),
    "for somebody else": lambda cloud: signed(cloud, aud="https://example.com/"),
    "for nobody": lambda cloud: signed(cloud, aud=None),
    "for another account": lambda cloud: signed(cloud, sub="somebody@else.iam.gserviceaccount.com"),
    "an ID token": identity_token,
}


@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_credentials_are_refused_over_rest(local_cloud, what):
    shown = FOREIGN[what](local_cloud)
    answer = local_cloud.plain_session().get(PROJECT, headers={"Authorization": f"Bearer {shown}".encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="https://accounts.google.com/"'
    error = answer.json()["error"]
    assert error["status"] == "UNAUTHENTICATED"
    assert error["details"][0]["domain"] == "googleapis.com"
    log = (local_cloud.root / "server.log").read_text(encoding="utf-8")
    assert not shown or shown not in log


@pytest.mark.parametrize("what", [w for w in FOREIGN if w != "not ascii"])
def test_foreign_credentials_are_refused_over_grpc(local_cloud, what):
    trust = grpc.ssl_channel_credentials((local_cloud.root / "ca.pem").read_bytes())
    with grpc.secure_channel(f"localhost:{local_cloud.server['grpc']}", trust) as channel:
        call = channel.unary_unary("/google.cloud.resourcemanager.v3.Projects/GetProject")
        with pytest.raises(grpc.RpcError) as refused:
            call(b"", metadata=[("authorization", f"Bearer {FOREIGN[what](local_cloud)}")], timeout=20)
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_token_of_another_local_cloud_is_refused(local_cloud, new_cloud):
    other = new_cloud()
    theirs = other.session()
    assert theirs.get(PROJECT).status_code == 200
    mine = local_cloud.plain_session()
    for token in (theirs.credentials.token, signed(other, aud="https://cloudresourcemanager.googleapis.com/")):
        assert other.plain_session().get(PROJECT, headers={"Authorization": f"Bearer {token}"}).ok
        assert mine.get(PROJECT, headers={"Authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize(
    ("shown", "reason", "message"),
    [
        (None, "CREDENTIALS_MISSING", "Request is missing required authentication credential. Expected OAuth 2"),
        ("Basic dTpw", "ACCESS_TOKEN_TYPE_UNSUPPORTED", "Request had invalid authentication credentials. Expected"),
        ("Bearer x", "ACCESS_TOKEN_TYPE_UNSUPPORTED", "Request had invalid authentication credentials. Expected"),
        ("Bearer", "ACCESS_TOKEN_TYPE_UNSUPPORTED", "Request had invalid authentication credentials. Expected"),
    ],
)
def test_refusals_say_what_google_says(local_cloud, shown, reason, message):
    answer = local_cloud.plain_session().get(PROJECT, headers={"Authorization": shown} if shown else {})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"][0]["reason"]) == (401, 401, reason)
    assert error["message"].startswith(message)


@pytest.mark.parametrize(
    ("url", "shown", "type_", "body"),
    [
        (
            "https://storage.googleapis.com/storage/v1/b?project=test-project",
            None,
            "application/json; charset=UTF-8",
            "Anonymous caller does not have storage.buckets.list access to the Google Cloud project.",
        ),
        ("https://storage.googleapis.com/storage/v1/b", "x", "application/json; charset=UTF-8", "Invalid Credentials"),
        ("https://www.googleapis.com/storage/v1/b", "x", "application/json; charset=UTF-8", "Invalid Credentials"),
        ("https://a-bucket.storage.googleapis.com/o", "x", "application/xml; charset=UTF-8", "Invalid Credentials"),
    ],
)
def test_storage_refuses_in_its_own_shape(local_cloud, url, shown, type_, body):
    headers = {"Authorization": f"Bearer {shown}"} if shown else {}
    answer = local_cloud.plain_session().get(url, headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, type_)
    assert body in answer.text
    if "json" in type_:
        assert answer.json()["error"]["errors"][0]["reason"] == ("authError" if shown else "required")


@pytest.mark.parametrize("kind", ["AWS", "GOOG1", "AWS4-HMAC-SHA256", "GOOG4-HMAC-SHA256"])
def test_hmac_keys_are_refused_by_their_name(local_cloud, kind):
    headers = {"Authorization": f"{kind} GOOG1EXAMPLE:c2lnbmF0dXJl"}
    answer = local_cloud.plain_session().get("https://storage.googleapis.com/some-bucket/x", headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (501, "application/xml; charset=UTF-8")
    found = ElementTree.fromstring(answer.text)
    assert found.findtext("Code") == "NotImplemented"
    assert found.findtext("Message", "").startswith("not emulated by the local cloud: HMAC keys (GET storage.")


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        ({"exp": -1}, "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."),
        ({"iat": 5000, "exp": 8000}, "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable"),
        ({"exp": 90_000}, "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."),
        ({"aud": "https://example.com"}, "Invalid JWT: Failed audience check"),
        ({"iss": "no-such-account@test-project.iam.gserviceaccount.com"}, "Invalid grant: account not found"),
        ({"key": True}, "Invalid JWT Signature."),
    ],
)
def test_the_token_endpoint_refuses_as_google_does(local_cloud, changes, description):
    changes = {"aud": TOKEN, **changes}
    key = {**key_of(local_cloud), "private_key": jwt.private_pem(jwt.new_key())} if changes.pop("key", None) else None
    for name in ("iat", "exp"):
        if name in changes:
            changes[name] += now(local_cloud)
    answer = local_cloud.plain_session().post(
        TOKEN, data={"grant_type": GRANT, "assertion": signed(local_cloud, key, **changes)}
    )
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_grant"
    assert answer.json()["error_description"].startswith(description)


@pytest.mark.slow
@pytest.mark.parametrize("kid", [None, "nobody-knows-this-one", ""])
def test_a_key_need_not_be_named(local_cloud, session, kid):
    """Go's client names none: then each enabled key of the account may have signed, and no other."""
    email = local_cloud.account(f"unnamed-{len(str(kid))}", "roles/viewer")
    keys = [local_cloud.key(email) for _ in range(2)]

    def shown(key: dict, **changes) -> str:
        claims = claims_of(local_cloud, iss=email, sub=email, **changes)
        return google_jwt.encode(RSASigner(*unnamed(key)), claims, key_id=kid).decode()

    def unnamed(key: dict) -> tuple:
        return jwt.load_private_pem(key["private_key"]), kid

    def exchanged(key: dict):
        told = {
            "grant_type": GRANT,
            "assertion": shown(key, aud=TOKEN, scope="https://www.googleapis.com/auth/cloud-platform"),
        }
        return local_cloud.plain_session().post(TOKEN, data=told)

    def called(bearer: str) -> int:
        return local_cloud.plain_session().get(PROJECT, headers={"Authorization": f"Bearer {bearer}"}).status_code

    for key in keys:
        assert called(exchanged(key).json()["access_token"]) == 200
        assert called(shown(key, aud="https://cloudresourcemanager.googleapis.com/")) == 200
    others = local_cloud.key(local_cloud.account(f"else-{len(str(kid))}", "roles/viewer"))
    disabled, kept = keys
    url = (
        f"https://iam.googleapis.com/v1/projects/test-project/serviceAccounts/{email}/keys/{disabled['private_key_id']}"
    )
    session.post(f"{url}:disable", json={}).raise_for_status()
    for key in (others, disabled):
        assert exchanged(key).json()["error_description"] == "Invalid JWT Signature."
        assert (
            called(shown(key, aud="https://cloudresourcemanager.googleapis.com/", exp=now(local_cloud) + 3000)) == 401
        )
    bought = exchanged(kept).json()["access_token"]
    assert called(bought) == 200
    session.delete(url.replace(disabled["private_key_id"], kept["private_key_id"])).raise_for_status()
    assert called(bought) == 401  # it ends with the key that it was bought with


def test_an_empty_audience_is_as_good_as_none(local_cloud):
    scope = "https://www.googleapis.com/auth/cloud-platform"
    for changes, status in (({"aud": "", "scope": scope}, 200), ({"aud": "", "scope": None}, 401)):
        bearer = {"Authorization": f"Bearer {signed(local_cloud, **changes)}"}
        assert local_cloud.plain_session().get(PROJECT, headers=bearer).status_code == status


def test_other_grants_are_refused(local_cloud):
    answer = local_cloud.plain_session().post(TOKEN, data={"grant_type": "password", "username": "x"})
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


@pytest.mark.parametrize("self_signed", [False, True])
def test_tokens_end_with_their_key_and_their_account(local_cloud, session, self_signed):
    accounts = "https://iam.googleapis.com/v1/projects/test-project/serviceAccounts"
    account = session.post(accounts, json={"accountId": f"ending-{int(self_signed)}"}).json()
    base = f"https://iam.googleapis.com/v1/{account['name']}"
    local_cloud.grant("roles/viewer", f"serviceAccount:{account['email']}")

    def new_session():
        made = session.post(f"{base}/keys", json={}).json()
        client = local_cloud.session(json.loads(base64.b64decode(made["privateKeyData"])), self_signed)
        assert client.get(PROJECT).status_code == 200
        return made["name"], {"Authorization": f"Bearer {client.credentials.token}"}

    name, shown = new_session()
    assert session.delete(f"https://iam.googleapis.com/v1/{name}").status_code == 200
    assert local_cloud.plain_session().get(PROJECT, headers=shown).status_code == 401

    _name, shown = new_session()
    session.post(f"{base}:disable")
    assert local_cloud.plain_session().get(PROJECT, headers=shown).status_code == 401
    session.post(f"{base}:enable")
    assert local_cloud.plain_session().get(PROJECT, headers=shown).status_code == 200

    session.delete(base).raise_for_status()
    assert local_cloud.plain_session().get(PROJECT, headers=shown).status_code == 401
    again = session.post(accounts, json={"accountId": f"ending-{int(self_signed)}"}).json()
    assert again["uniqueId"] != account["uniqueId"]
    assert local_cloud.plain_session().get(PROJECT, headers=shown).status_code == 401


def test_who_a_token_is_of(local_cloud, session):
    session.get(PROJECT)
    email = key_of(local_cloud)["client_email"]
    about = local_cloud.plain_session().get(
        "https://oauth2.googleapis.com/tokeninfo", params={"access_token": session.credentials.token}
    )
    assert about.json()["email"] == email
    assert about.json()["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert session.get("https://openidconnect.googleapis.com/v1/userinfo").json()["email"] == email
    assert session.get("https://www.googleapis.com/oauth2/v3/userinfo").json()["email"] == email
    assert local_cloud.plain_session().get("https://openidconnect.googleapis.com/v1/userinfo").status_code == 401
    unknown = local_cloud.plain_session().get("https://oauth2.googleapis.com/tokeninfo?access_token=x")
    assert (unknown.status_code, unknown.json()["error"]) == (400, "invalid_token")


def test_the_control_is_for_the_owner_of_the_folder(local_cloud, session):
    url = f"https://127.0.0.1:{local_cloud.server['https']}/stop"
    direct = local_cloud.plain_session()
    direct.proxies = {}
    for shown in ("", "Bearer x", f"Bearer {session.credentials.token}"):
        assert direct.post(url, headers={"Authorization": shown}).status_code == 401
    assert local_cloud.plain_session().post("https://oauth2.googleapis.com/stop").status_code == 501


@pytest.mark.slow
def test_no_token_is_in_the_most_talkative_log(new_cloud, monkeypatch):
    monkeypatch.setenv("LOCALCLOUD_DEBUG", "1")
    cloud = new_cloud()
    session = cloud.session()
    answer = session.get(PROJECT + "?access_token=in-the-query")
    assert answer.status_code == 200
    log = (cloud.root / "server.log").read_text(encoding="utf-8")
    assert "GET cloudresourcemanager.googleapis.com/v3/projects/test-project" in log
    for secret in (session.credentials.token, signed(cloud)[-40:], "in-the-query", "Bearer"):
        assert secret not in log
