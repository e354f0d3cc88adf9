"""Signed URLs of the official client, fetched by a plain HTTP client; and what is for everybody."""

from __future__ import annotations

import base64
import datetime
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import pytest
from google.api_core import exceptions
from google.auth.transport.requests import AuthorizedSession
from google.cloud import storage
from requests import Session

from clouds.storage import grant

pytestmark = pytest.mark.slow

HOST = "https://storage.googleapis.com"
IAM = "https://iam.googleapis.com/v1/projects"
ROLE = "rolesOfSigners"
HOUR = datetime.timedelta(hours=1)
NAME = "a folder/한글 & <b>+c~d'é.txt"


@pytest.fixture
def plain(local_cloud) -> Iterator[Session]:
    with local_cloud.plain_session() as made:
        yield made


@pytest.fixture(scope="module")
def signer(local_cloud, session) -> Iterator[AuthorizedSession]:
    """A service account with a key, whose role `ROLE` a test fills."""
    key = local_cloud.key(local_cloud.account("signs-urls"))
    body = {"roleId": ROLE, "role": {"title": "x", "includedPermissions": []}}
    assert session.post(f"{IAM}/{local_cloud.project}/roles", json=body).status_code == 200
    with local_cloud.session(key) as made:
        yield made


@pytest.fixture
def permit(local_cloud, session, bucket, signer) -> Callable[..., None]:
    """permit("storage.objects.get") lets the signer do that, and nothing else, in `bucket`."""
    name = f"projects/{local_cloud.project}/roles/{ROLE}"
    grant(bucket, name, f"serviceAccount:{signer.credentials.service_account_email}")

    def set_to(*permissions: str) -> None:
        url = f"https://iam.googleapis.com/v1/{name}?updateMask=includedPermissions"
        assert session.patch(url, json={"includedPermissions": list(permissions)}).status_code == 200

    return set_to


@pytest.fixture
def blob(local_cloud, bucket, signer):
    """The object of an awkward name as the signer has it."""
    theirs = storage.Client(project=local_cloud.project, credentials=signer.credentials, _http=signer)
    bucket.blob(NAME).upload_from_string("hello", content_type="text/plain")
    return theirs.bucket(bucket.name).blob(NAME)


VERSIONS = pytest.mark.parametrize("version", ["v2", "v4"])


@pytest.mark.parametrize(("version", "virtual"), [("v2", False), ("v4", False), ("v4", True)])
def test_a_signed_url_is_read_by_anybody(plain, blob, permit, version, virtual):
    permit("storage.objects.get")
    url = blob.generate_signed_url(
        expiration=HOUR,
        version=version,
        virtual_hosted_style=virtual,
        response_disposition="attachment; filename=x y.txt",
        response_type="text/x",
        generation=blob_generation(blob),
    )
    answer = plain.get(url)
    assert (answer.status_code, answer.text) == (200, "hello"), answer.text
    assert answer.headers["Content-Disposition"] == "attachment; filename=x y.txt"
    assert answer.headers["Content-Type"] == "text/x"
    assert plain.head(url).status_code == 200
    assert plain.get(url, headers={"Range": "bytes=1-2"}).text == "el"


def blob_generation(blob) -> int:
    blob.reload()
    return blob.generation


@VERSIONS
def test_what_signed_urls_can_do(plain, blob, permit, bucket, version):
    permit("storage.objects.create", "storage.objects.delete")
    headers = {"Content-Type": "text/y", "x-goog-meta-k": "a  b"}
    signed = {"x-goog-meta-k": "a  b"}
    url = blob.generate_signed_url(HOUR, method="PUT", content_type="text/y", headers=signed, version=version)
    assert plain.put(url, data=b"written", headers=headers).status_code == 200
    made = bucket.get_blob(NAME)
    assert (made.download_as_bytes(), made.content_type, made.metadata) == (b"written", "text/y", {"k": "a  b"})
    url = blob.generate_signed_url(HOUR, method="RESUMABLE", version=version)
    started = plain.post(url, headers={"x-goog-resumable": "start"})
    assert started.status_code == 201, started.text
    assert plain.put(started.headers["Location"], headers={"Content-Range": "bytes */6"}).status_code == 308
    done = plain.put(started.headers["Location"], data=b"in one", headers={"Content-Range": "bytes 0-5/6"})
    assert (done.status_code, bucket.blob(NAME).download_as_bytes()) == (200, b"in one")
    url = blob.generate_signed_url(HOUR, method="DELETE", version=version)
    assert plain.delete(url).status_code == 204 and not bucket.blob(NAME).exists()


def test_the_iam_api_signs_for_who_has_no_key(local_cloud, session, plain, blob, permit, signer):
    permit("storage.objects.get")
    email = signer.credentials.service_account_email
    owner = f"serviceAccount:owner@{local_cloud.project}.iam.gserviceaccount.com"
    binding = {"role": "roles/iam.serviceAccountTokenCreator", "members": [owner]}
    allowed = session.post(
        f"{IAM}/{local_cloud.project}/serviceAccounts/{email}:setIamPolicy", json={"policy": {"bindings": [binding]}}
    )
    assert allowed.status_code == 200, allowed.text
    done = local_cloud.run(
        f"""
        import datetime, google.auth
        from google.auth.transport.requests import Request
        from google.cloud import storage

        credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        credentials.refresh(Request())
        blob = storage.Client(project, credentials).bucket({blob.bucket.name!r}).blob({NAME!r})
        for version in ("v2", "v4"):
            hour, token = datetime.timedelta(hours=1), credentials.token
            print(blob.generate_signed_url(hour, version=version, service_account_email={email!r}, access_token=token))
        """
    )
    for url in done.stdout.split():
        assert plain.get(url).text == "hello"


def test_curl_fetches_a_signed_url(local_cloud, blob, permit):
    permit("storage.objects.get")
    url = blob.generate_signed_url(HOUR, version="v4")
    environment = {"https_proxy": local_cloud.environment["https_proxy"]}
    words = ["curl", "-sS", "--cacert", local_cloud.environment["CURL_CA_BUNDLE"], url]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("hello", "")


@VERSIONS
def test_the_signers_own_permissions_count(plain, blob, permit, version):
    permit("storage.objects.list")
    answer = plain.get(blob.generate_signed_url(HOUR, version=version))
    error = ElementTree.fromstring(answer.text)
    assert (answer.status_code, error.findtext("Code")) == (403, "AccessDenied")
    assert (error.findtext("Details") or "").startswith(
        "signs-urls@test-project.iam.gserviceaccount.com does not have storage.objects.get access"
    )


@VERSIONS
def test_an_expired_url_says_when_it_ended(plain, blob, permit, version, monkeypatch):
    permit("storage.objects.get")
    from google.cloud.storage import _signing

    past = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    monkeypatch.setattr(_signing, "_NOW", lambda tz=None: past)
    url = blob.generate_signed_url(expiration=past + HOUR, version=version)
    answer = plain.get(url)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/xml; charset=UTF-8")
    assert answer.text == (
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>ExpiredToken</Code><Message>Invalid argument.</Message>"
        "<Details>The provided token has expired. Request signature expired at: 2026-01-02T04:04:05+00:00</Details>"
        "</Error>"
    )


WRONG: dict[str, Callable[[str], str]] = {
    "another object": lambda url: url.replace(quote(NAME), "other"),
    "a longer time": lambda url: url.replace("X-Goog-Expires=3600", "X-Goog-Expires=7200"),
    "another parameter": lambda url: f"{url}&generation=1",
    "another signature": lambda url: url[:-4] + ("0000" if not url.endswith("0000") else "1111"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_what_was_not_signed_is_refused(plain, blob, permit, change):
    permit("storage.objects.get", "storage.objects.list")
    url = change(blob.generate_signed_url(HOUR, version="v4"))
    answer = plain.get(url)
    error = ElementTree.fromstring(answer.text)
    assert (answer.status_code, error.findtext("Code"), error.findtext("Message")) == (
        403,
        "SignatureDoesNotMatch",
        "Access denied.",
    )
    assert (error.findtext("Details") or "").startswith("The request signature we calculated does not match")
    assert (error.findtext("StringToSign") or "").startswith("GOOG4-RSA-SHA256\n")
    lines = (error.findtext("CanonicalRequest") or "").split("\n")
    assert (lines[0], lines[1], lines[-1]) == ("GET", urlsplit(url).path, "UNSIGNED-PAYLOAD")
    assert lines[3:5] == ["host:storage.googleapis.com", ""]


def test_another_method_is_not_signed(plain, blob, permit):
    permit("storage.objects.get", "storage.objects.create", "storage.objects.delete")
    for version in ("v2", "v4"):
        url = blob.generate_signed_url(HOUR, version=version)
        assert plain.put(url, data=b"x").status_code == 403
        assert plain.delete(url).status_code == 403
    assert plain.get(url).text == "hello"


@pytest.mark.parametrize(
    ("change", "status", "code", "text"),
    [
        (("X-Goog-Expires=3600", "X-Goog-Expires=604801"), 400, "InvalidArgument", "between 1 and 604800"),
        (("X-Goog-Expires=3600", "X-Goog-Expires=x"), 400, "InvalidArgument", "X-Goog-Expires"),
        (("X-Goog-Algorithm=GOOG4-RSA-SHA256", "X-Goog-Algorithm=NONE"), 400, "InvalidArgument", "NONE"),
        (("GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256"), 501, "NotImplemented", "HMAC keys"),
        (("goog4_request", "aws4_request"), 400, "InvalidArgument", "X-Goog-Credential"),
        (("&X-Goog-Date=", "&X-Other="), 400, "InvalidArgument", "x-goog-date"),
        (("signs-urls%40", "signs-nothing%40"), 403, "InvalidAccessKeyId", "does not exist"),
        (
            ("SignedHeaders=host", "SignedHeaders=content-md5%3Bhost"),
            400,
            "MalformedSecurityHeader",
            "Header was included in signedheaders, but not in the request.",
        ),
    ],
)
def test_odd_signatures_are_refused(plain, blob, permit, change, status, code, text):
    permit("storage.objects.get")
    answer = plain.get(blob.generate_signed_url(HOUR, version="v4").replace(*change))
    error = ElementTree.fromstring(answer.text)
    assert (answer.status_code, error.findtext("Code")) == (status, code), answer.text
    assert text in (error.findtext("Details") or "")


def test_a_deleted_key_signs_no_more(local_cloud, session, plain, bucket):
    name = f"projects/{local_cloud.project}/serviceAccounts/owner@{local_cloud.project}.iam.gserviceaccount.com"
    made = session.post(f"https://iam.googleapis.com/v1/{name}/keys", json={}).json()
    bucket.blob("x").upload_from_string("hello")
    with local_cloud.session(json.loads(base64.b64decode(made["privateKeyData"]))) as owner:
        blob = storage.Client(local_cloud.project, owner.credentials, _http=owner).bucket(bucket.name).blob("x")
        url = blob.generate_signed_url(HOUR, version="v4")
    assert plain.get(url).text == "hello"
    session.delete(f"https://iam.googleapis.com/v1/{made['name']}")
    assert "<Code>SignatureDoesNotMatch</Code>" in plain.get(url).text


def test_a_public_object_is_read_without_credentials(local_cloud, plain, bucket):
    bucket.blob("x y").upload_from_string("hello")
    script = f"""
        from google.auth.exceptions import InvalidOperation
        from google.cloud import storage

        client = storage.Client.create_anonymous_client()
        try:
            print(client.bucket({bucket.name!r}).blob("x y").download_as_bytes())
            print([found.name for found in client.list_blobs({bucket.name!r})])
        except InvalidOperation as error:  # what the client makes of a 401
            print(error)
    """
    assert "Anonymous credentials cannot be refreshed" in local_cloud.run(script).stdout
    answer = plain.get(f"{HOST}/storage/v1/b/{bucket.name}/o/x%20y")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (401, 401)
    assert error["errors"] == [
        {
            "message": error["message"],
            "domain": "global",
            "reason": "required",
            "locationType": "header",
            "location": "Authorization",
        }
    ]
    refused_xml = plain.get(f"{HOST}/{bucket.name}/x%20y")
    assert refused_xml.status_code == 403
    assert f"<Code>AccessDenied</Code><Message>Access denied.</Message><Details>{error['message']}" in refused_xml.text

    grant(bucket, "roles/storage.objectViewer", "allUsers")
    assert local_cloud.run(script).stdout.splitlines() == ["b'hello'", "['x y']"]
    shown = plain.get(bucket.blob("x y").public_url)
    assert (shown.text, shown.headers["Cache-Control"]) == ("hello", "public, max-age=3600")
    assert plain.get(f"https://{bucket.name}.storage.googleapis.com/x%20y").text == "hello"
    assert plain.put(f"{HOST}/{bucket.name}/new", data=b"x").status_code == 403
    bad = plain.get(f"{HOST}/{bucket.name}/x%20y", headers={"Authorization": "Bearer x"})
    assert bad.status_code == 401, "a bad token is worse than none"


def test_public_access_is_prevented(local_cloud, session, plain, bucket, signer):
    bucket.blob("x").upload_from_string("hello")
    grant(bucket, "roles/storage.objectViewer", "allUsers")
    grant(bucket, "roles/storage.objectViewer", "allAuthenticatedUsers")
    url = f"{HOST}/{bucket.name}/x"
    assert (plain.get(url).status_code, signer.get(url).status_code) == (200, 200)
    bucket.iam_configuration.public_access_prevention = "enforced"
    bucket.patch()
    assert (plain.get(url).status_code, signer.get(url).status_code) == (403, 403)
    policy = bucket.get_iam_policy(requested_policy_version=3)
    with pytest.raises(exceptions.PreconditionFailed) as refused:
        bucket.set_iam_policy(policy)
    assert refused.value.message.endswith(
        "The member bindings allUsers and allAuthenticatedUsers are not allowed "
        "since public access prevention is enforced."
    )
    bucket.iam_configuration.public_access_prevention = "inherited"
    bucket.patch()
    assert plain.get(url).text == "hello"


FORM = {"Content-Type": "text/x", "x-goog-meta-k": "v"}


def form(local_cloud, blob, signer, fields=None, conditions=None, expiration=HOUR, key=NAME):
    client = storage.Client(local_cloud.project, signer.credentials, _http=signer)
    return client.generate_signed_post_policy_v4(blob.bucket.name, key, expiration, conditions, fields)


def test_a_form_makes_an_object(local_cloud, plain, blob, permit, signer, bucket):
    permit("storage.objects.create", "storage.objects.delete")
    policy = form(local_cloud, blob, signer, dict(FORM), [["content-length-range", 1, 2_000_000]])
    for data in (b"x", os.urandom(1_500_000), b"\r\n--\r\n"):
        done = plain.post(policy["url"], data=policy["fields"], files={"file": ("a.bin", data)})
        assert done.status_code == 204, done.text
        made = bucket.get_blob(NAME)
        assert (made.content_type, made.metadata) == ("text/x", {"k": "v"})
        assert made.download_as_bytes() == data
    policy = form(local_cloud, blob, signer, {"success_action_status": "201"}, key="dir/${filename}")
    done = plain.post(policy["url"], data=policy["fields"], files={"file": ("a.bin", b"x")})
    assert done.status_code == 201 and ElementTree.fromstring(done.text).findtext("Key") == "dir/a.bin"
    assert bucket.blob("dir/a.bin").exists()


def test_a_form_is_refused_for_what_its_policy_does_not_allow(local_cloud, plain, blob, permit, signer, monkeypatch):
    permit("storage.objects.create", "storage.objects.delete")

    def refusal(policy, changes: dict[str, str], data: bytes = b"hello") -> tuple[int, str, str]:
        files = {"file": ("a.bin", data)}
        answer = plain.post(policy["url"], data=policy["fields"] | changes, files=files)
        error = ElementTree.fromstring(answer.text)
        return answer.status_code, error.findtext("Code") or "", error.findtext("Details") or ""

    policy = form(local_cloud, blob, signer, dict(FORM), [["content-length-range", 2, 5], ["starts-with", "$a", "b"]])
    policy["fields"]["a"] = "bc"
    assert plain.post(policy["url"], data=policy["fields"], files={"file": ("a", b"hello")}).status_code == 204
    for changes, data, code, text in (
        ({}, b"x", "EntityTooSmall", "2"),
        ({}, b"hello!", "EntityTooLarge", "5"),
        ({"key": "another"}, b"hello", "InvalidPolicyDocument", "key"),
        ({"a": "cb"}, b"hello", "InvalidPolicyDocument", "a"),
        ({"cache-control": "no-store"}, b"hello", "InvalidPolicyDocument", "cache-control"),
        ({"x-goog-credential": "x"}, b"hello", "InvalidArgument", "x-goog-credential"),
    ):
        status, told, details = refusal(policy, changes, data)
        assert (status, told, text in details) == (400, code, True), (changes, details)
    odd = form(local_cloud, blob, signer, {"x-goog-random": "x"})  # the policy names it, but nothing is known of it
    assert refusal(odd, {}) == (400, "InvalidArgument", "Invalid form field: x-goog-random")
    other = base64.b64encode(b'{"conditions": [], "expiration": "2099-01-01T00:00:00Z"}').decode()
    assert refusal(policy, {"policy": other})[:2] == (403, "SignatureDoesNotMatch")
    permit("storage.objects.create")
    status, code, details = refusal(policy, {})
    assert (status, code) == (403, "AccessDenied") and "does not have storage.objects.delete access" in details
    past = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    from google.cloud.storage import client as module

    monkeypatch.setattr(module, "_NOW", lambda tz=None: past)
    monkeypatch.setattr(module, "get_expiration_seconds_v4", lambda expiration: 3600)
    assert refusal(form(local_cloud, blob, signer), {})[:2] == (400, "ExpiredToken")


def test_a_form_without_a_policy_needs_what_everybody_has(plain, bucket):
    answer = plain.post(f"{HOST}/{bucket.name}", data={"key": "x"}, files={"file": ("a", b"x")})
    assert answer.status_code == 403 and "Anonymous caller does not have storage.objects.create" in answer.text
    grant(bucket, "roles/storage.objectCreator", "allUsers")
    answer = plain.post(f"{HOST}/{bucket.name}", data={"key": "x"}, files={"file": ("a", b"x")})
    assert answer.status_code == 204 and bucket.blob("x").download_as_bytes() == b"x"


@VERSIONS
def test_a_bucket_is_listed_by_a_signed_url(local_cloud, plain, signer, permit, bucket, version):
    permit("storage.objects.list")
    bucket.blob("x").upload_from_string("hello")
    theirs = storage.Client(local_cloud.project, signer.credentials, _http=signer).bucket(bucket.name)
    assert "<Key>x</Key>" in plain.get(theirs.generate_signed_url(HOUR, version=version)).text
    query = {"prefix": "y", "list-type": "2"}
    listed = plain.get(theirs.generate_signed_url(HOUR, version=version, query_parameters=query)).text
    assert "<KeyCount>0</KeyCount>" in listed, listed


@pytest.mark.parametrize("bad", ["x", {"uniformBucketLevelAccess": "x"}, {"publicAccessPrevention": "x"}])
def test_access_that_cannot_be_is_refused(session, bucket, bad):
    answer = session.patch(f"{HOST}/storage/v1/b/{bucket.name}", json={"iamConfiguration": bad})
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, "invalid")


VIEWER = {"role": "roles/storage.objectViewer"}


@pytest.mark.parametrize(
    "bad",
    [
        {"bindings": "x"},
        {"bindings": ["x"]},
        {"bindings": [{"members": 5}]},
        {"bindings": [VIEWER | {"members": ["x"]}]},
        {"bindings": [VIEWER | {"members": [5]}]},
        {"bindings": [{"role": 5, "members": ["user:me@example.com"]}]},
        {"bindings": [VIEWER | {"members": ["user:me@example.com"], "condition": "x"}]},
        {"version": 2, "bindings": []},
        {"version": "x", "bindings": []},
        {"etag": 5, "bindings": []},
    ],
)
def test_policies_of_buckets_that_cannot_be_are_refused(session, bucket, bad):
    answer = session.put(f"{HOST}/storage/v1/b/{bucket.name}/iam", json=bad)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, "invalid")
