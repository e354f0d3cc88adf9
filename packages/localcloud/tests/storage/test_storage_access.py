"""Who may do what in Cloud Storage: every call with and without its permissions, as service accounts of a project."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from google.api_core import exceptions
from google.auth.transport.requests import AuthorizedSession
from google.cloud import storage

from clouds import opened
from clouds.storage import grant

pytestmark = pytest.mark.slow

HOST = "https://storage.googleapis.com"
IAM = "https://iam.googleapis.com/v1/projects"
ROLE = "callsOfStorage"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def make_account(local_cloud) -> Iterator[Callable[[str], AuthorizedSession]]:
    """make_account("name") gives a session of a new service account with a key and without any role."""
    made: list[AuthorizedSession] = []

    def make(name: str) -> AuthorizedSession:
        made.append(local_cloud.session(local_cloud.key(local_cloud.account(name))))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def account(make_account) -> AuthorizedSession:
    """A service account that only a test gives something."""
    return make_account("asks-for-much")


@pytest.fixture(scope="module")
def role(local_cloud, session) -> str:
    """A role of the project, without permissions so far."""
    body = {"roleId": ROLE, "role": {"title": "x", "includedPermissions": []}}
    answer = session.post(f"{IAM}/{local_cloud.project}/roles", json=body)
    assert answer.status_code == 200, answer.text
    return f"projects/{local_cloud.project}/roles/{ROLE}"


def email(one: AuthorizedSession) -> str:
    return one.credentials.service_account_email


def permit(session, role: str, permissions: list[str]) -> None:
    url = f"https://iam.googleapis.com/v1/{role}?updateMask=includedPermissions"
    answer = session.patch(url, json={"includedPermissions": permissions})
    assert answer.status_code == 200, answer.text


def client_of(local_cloud, one: AuthorizedSession) -> storage.Client:
    return storage.Client(project=local_cloud.project, credentials=one.credentials, _http=one)


def words(who: str, permission: str, noun: str) -> str:
    return (
        f"{who} does not have {permission} access to the Google Cloud {noun}. "
        f"Permission '{permission}' denied on resource (or it may not exist)."
    )


def o(*verbs: str) -> list[str]:
    return [f"storage.objects.{verb}" for verb in verbs]


def b(*verbs: str) -> list[str]:
    return [f"storage.buckets.{verb}" for verb in verbs]


JSON, UPLOAD = "/storage/v1/b/BUCKET", "/upload/storage/v1/b/BUCKET/o"
PRIVATE = {"iamConfiguration": {"publicAccessPrevention": "enforced"}}
PARTS = ["storage.multipartUploads.create", *o("create")]
COPY = {"x-goog-copy-source": "/BUCKET/there"}
DOCUMENT = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
# (what is sent, the permissions that it needs); "there" is an object that is there, "new" one that is not.
CALLS: list[tuple[str, str, Any, dict[str, str], list[str]]] = [
    ("GET", JSON, None, {}, b("get")),
    ("PATCH", JSON, {"labels": {"a": "b"}}, {}, b("update")),
    ("PUT", JSON, {}, {}, b("update")),
    ("PATCH", JSON, PRIVATE, {}, b("update", "setIamPolicy")),
    ("DELETE", JSON, None, {}, b("delete")),
    ("GET", f"{JSON}/iam", None, {}, b("getIamPolicy")),
    ("PUT", f"{JSON}/iam", {"bindings": []}, {}, b("setIamPolicy")),
    ("GET", f"{JSON}/storageLayout", None, {}, o("list")),
    ("GET", f"{JSON}/notificationConfigs", None, {}, b("get")),
    ("GET", f"{JSON}/acl", None, {}, b("getIamPolicy")),
    ("GET", f"{JSON}/o", None, {}, o("list")),
    ("GET", f"{JSON}/o?versions=true", None, {}, o("list")),
    ("GET", f"{JSON}/o/there", None, {}, o("get")),
    ("GET", f"{JSON}/o/there?alt=media", None, {}, o("get")),
    ("GET", f"/download{JSON}/o/there?alt=media", None, {}, o("get")),
    ("GET", f"{JSON}/o/there/acl", None, {}, o("getIamPolicy")),
    ("PATCH", f"{JSON}/o/there", {"contentType": "a/b"}, {}, o("update")),
    ("PUT", f"{JSON}/o/there", {"contentType": "a/b"}, {}, o("update")),
    ("PATCH", f"{JSON}/o/there", {"temporaryHold": False}, {}, o("update")),
    ("PATCH", f"{JSON}/o/there", {"retention": None}, {}, o("update", "setRetention")),
    (
        "PATCH",
        f"{JSON}/o/there?overrideUnlockedRetention=true",
        {"retention": None},
        {},
        o("update", "setRetention", "overrideUnlockedRetention"),
    ),
    ("DELETE", f"{JSON}/o/there", None, {}, o("delete")),
    ("POST", f"{JSON}/o/there/compose", {"sourceObjects": [{"name": "there"}]}, {}, o("get", "create", "delete")),
    ("POST", f"{JSON}/o/new/compose", {"sourceObjects": [{"name": "there"}]}, {}, o("get", "create")),
    ("POST", f"{JSON}/o/there/copyTo/b/BUCKET/o/new", {}, {}, o("get", "create")),
    ("POST", f"{JSON}/o/there/rewriteTo/b/BUCKET/o/new", {}, {}, o("get", "create")),
    ("POST", f"{JSON}/o/there/rewriteTo/b/BUCKET/o/there", {}, {}, o("get", "create", "delete")),
    ("POST", f"{JSON}/o/there/moveTo/o/new", {}, {}, o("get", "delete", "create")),
    ("POST", f"{UPLOAD}?uploadType=media&name=new", b"x", {}, o("create")),
    ("POST", f"{UPLOAD}?uploadType=media&name=there", b"x", {}, o("create", "delete")),
    ("POST", f"{UPLOAD}?uploadType=resumable", {"name": "new"}, {}, o("create")),
    ("POST", f"{UPLOAD}?uploadType=resumable&name=there", {}, {}, o("create", "delete")),
    ("GET", "/BUCKET", None, {}, o("list")),
    ("GET", "/BUCKET?list-type=2", None, {}, o("list")),
    ("GET", "/BUCKET?versions", None, {}, o("list")),
    ("GET", "/BUCKET?location", None, {}, b("get")),
    ("GET", "/BUCKET?versioning", None, {}, b("get")),
    ("PUT", "/BUCKET?versioning", DOCUMENT, {}, b("update")),
    ("GET", "/BUCKET?uploads", None, {}, ["storage.multipartUploads.list"]),
    ("DELETE", "/BUCKET", None, {}, b("delete")),
    ("GET", "/BUCKET/there", None, {}, o("get")),
    ("PUT", "/BUCKET/new", b"x", {}, o("create")),
    ("PUT", "/BUCKET/there", b"x", {}, o("create", "delete")),
    ("PUT", "/BUCKET/new", b"", COPY, o("get", "create")),
    ("PUT", "/BUCKET/there", b"", COPY, o("get", "create", "delete")),
    ("POST", "/BUCKET/new", b"", {"x-goog-resumable": "start"}, o("create")),
    ("POST", "/BUCKET/there", b"", {"x-goog-resumable": "start"}, o("create", "delete")),
    ("POST", "/BUCKET/new?uploads", b"", {}, PARTS),
    ("DELETE", "/BUCKET/there", None, {}, o("delete")),
]
ON_BUCKET = ("objects.list", "multipartUploads.list")


@pytest.mark.parametrize("call", CALLS, ids=[f"{c[0]} {c[1]} {'+'.join(c[4])}" for c in CALLS])
def test_a_call_needs_each_of_its_permissions_and_no_more(client, session, account, role, call):
    method, path, body, headers, needed = call
    bucket = client.create_bucket(f"asked-{next(_numbers)}")
    grant(bucket, role, f"serviceAccount:{email(account)}")
    bucket.blob("there").upload_from_string("hello")
    url = HOST + path.replace("BUCKET", bucket.name)
    sent: dict[str, Any] = {"data": body} if isinstance(body, bytes) or body is None else {"json": body}
    sent["headers"] = {name: value.replace("BUCKET", bucket.name) for name, value in headers.items()}
    for missing in needed:
        permit(session, role, [permission for permission in needed if permission != missing])
        refused = account.request(method, url, **sent)
        on_bucket = missing.startswith("storage.buckets.") or missing.endswith(ON_BUCKET)
        expected = words(email(account), missing, "Storage bucket" if on_bucket else "Storage object")
        assert refused.status_code == 403, refused.text
        if path.startswith("/BUCKET"):
            error = ElementTree.fromstring(refused.text)
            assert [child.tag for child in error] == ["Code", "Message", "Details"]
            assert [child.text for child in error] == ["AccessDenied", "Access denied.", expected]
        elif "alt=media" in path:
            assert refused.text == expected
        else:
            entry = {"message": expected, "domain": "global", "reason": "forbidden"}
            assert refused.json() == {"error": {"code": 403, "message": expected, "errors": [entry]}}
    permit(session, role, needed)
    done = account.request(method, url, **sent)
    # The bucket is not empty; access control lists are not emulated.
    assert done.status_code in (200, 201, 204, 409, 501), done.text


def test_a_head_needs_its_permission(client, session, account, role):
    bucket = client.create_bucket("asked-by-head")
    grant(bucket, role, f"serviceAccount:{email(account)}")
    bucket.blob("there").upload_from_string("hello")
    for path, permission in (("", "storage.buckets.get"), ("/there", "storage.objects.get")):
        permit(session, role, [])
        assert account.head(f"{HOST}/{bucket.name}{path}").status_code == 403
        permit(session, role, [permission])
        assert account.head(f"{HOST}/{bucket.name}{path}").status_code == 200
    bucket.delete(force=True)


def test_parts_of_an_upload_need_their_permissions(client, session, account, role):
    bucket = client.create_bucket("asked-in-parts")
    grant(bucket, role, f"serviceAccount:{email(account)}")
    url = f"{HOST}/{bucket.name}/whole"
    permit(session, role, PARTS)
    upload = account.post(f"{url}?uploads").text.split("<UploadId>")[1].split("<")[0]
    part = f"{url}?partNumber=1&uploadId={upload}"
    permit(session, role, [])
    assert account.put(part, data=b"x").status_code == 403
    permit(session, role, PARTS)
    etag = account.put(part, data=b"x").headers["ETag"]
    listed = account.get(f"{url}?uploadId={upload}")
    assert listed.status_code == 403 and "storage.multipartUploads.listParts" in listed.text
    permit(session, role, ["storage.multipartUploads.listParts"])
    assert account.get(f"{url}?uploadId={upload}").text.count("<Part>") == 1
    aborted = account.delete(f"{url}?uploadId={upload}")
    assert aborted.status_code == 403 and "storage.multipartUploads.abort" in aborted.text
    document = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    document += "</CompleteMultipartUpload>"
    assert account.post(f"{url}?uploadId={upload}", data=document).status_code == 403
    permit(session, role, PARTS)
    assert account.post(f"{url}?uploadId={upload}", data=document).status_code == 200
    bucket.delete(force=True)


def test_a_resumable_session_admits_who_knows_its_address(local_cloud, client, session, account, role):
    bucket = client.create_bucket("asked-once")
    grant(bucket, role, f"serviceAccount:{email(account)}")
    permit(session, role, o("create"))
    start = account.post(f"{HOST}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=x", json={})
    permit(session, role, [])
    with local_cloud.plain_session() as anybody:
        done = anybody.put(start.headers["Location"], data=b"hello")
    assert done.status_code == 200 and done.json()["size"] == "5"
    bucket.delete(force=True)


def test_calls_of_a_batch_are_refused_one_by_one(local_cloud, client, session, account, role):
    bucket = client.create_bucket("asked-in-a-batch")
    grant(bucket, role, f"serviceAccount:{email(account)}")
    for name in ("a", "b"):
        bucket.blob(name).upload_from_string("x")
    permit(session, role, o("delete"))
    theirs = client_of(local_cloud, account)
    with theirs.batch(raise_exception=False) as batch:
        theirs.bucket(bucket.name).blob("a").delete()
        theirs.bucket(bucket.name).blob("b").patch()
    codes = [response.status_code for response in batch._responses]
    assert codes == [204, 403]
    assert words(email(account), "storage.objects.update", "Storage object") in batch._responses[1].text
    bucket.delete(force=True)


def test_a_call_of_a_batch_may_show_a_token_of_its_own(local_cloud, client, session, account, role):
    """Java's client signs each call and not the batch, and writes PATCH so: https://cloud.google.com/storage/docs/batch#overview"""
    bucket = client.create_bucket("signed-in-a-batch")
    grant(bucket, role, f"serviceAccount:{email(account)}")
    bucket.blob("a").upload_from_string("x")
    permit(session, role, o("get"))
    account.get(f"{HOST}/storage/v1/b/{bucket.name}/o/a")
    mine, theirs = session.credentials.token, account.credentials.token
    path = f"/storage/v1/b/{bucket.name}/o/a"
    calls = [
        ("POST", f"authorization: Bearer {mine}\nX-HTTP-Method-Override: PATCH\n"),
        ("PATCH", f"Authorization: Bearer {theirs}\n"),
        ("GET", f"Authorization: Bearer {theirs}\n"),
        ("GET", "Authorization: Bearer ya29.somebody-elses\n"),
        ("GET", "Authorization: Basic x\n"),
        ("GET", ""),
    ]
    parts = "".join(
        f"--b\nContent-Type: application/http\nContent-ID: <{number}>\n\n{verb} {path} HTTP/1.1\n{shown}\n{{}}\n"
        for number, (verb, shown) in enumerate(calls)
    )
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    url = f"{HOST}/batch/storage/v1"
    with local_cloud.plain_session() as anybody:
        answer = anybody.post(url, data=f"{parts}--b--", headers=headers)
    assert re.findall(r"HTTP/1.1 (\d+)", answer.text) == ["200", "403", "200", "401", "401", "401"], answer.text
    assert words(email(account), "storage.objects.update", "Storage object") in answer.text
    assert answer.text.count('"message": "Invalid Credentials"') == 4  # twice in each refusal
    assert "Anonymous caller does not have storage.objects.get access" in answer.text
    signed = session.post(url, data=f"{parts}--b--", headers=headers)
    assert re.findall(r"HTTP/1.1 (\d+)", signed.text) == ["200", "403", "200", "401", "401", "200"], signed.text
    bucket.delete(force=True)


def test_what_is_of_a_project_is_asked_at_the_project(local_cloud, account):
    theirs = client_of(local_cloud, account)
    for permission, call in (
        ("storage.buckets.list", lambda: list(theirs.list_buckets())),
        ("storage.buckets.create", lambda: theirs.create_bucket("not-theirs")),
    ):
        with pytest.raises(exceptions.Forbidden) as refused:
            call()
        assert refused.value.message.endswith(words(email(account), permission, "project"))
    for method, path in (("GET", "/"), ("PUT", "/not-theirs")):
        refused = account.request(method, HOST + path)
        assert refused.status_code == 403 and "access to the Google Cloud project." in refused.text


def test_what_is_missing_is_told_to_who_may_list(client, session, account, role):
    bucket = client.create_bucket("asked-for-nothing")
    grant(bucket, role, f"serviceAccount:{email(account)}")
    json_url, xml_url = f"{HOST}/storage/v1/b/{bucket.name}/o/none", f"{HOST}/{bucket.name}/none"
    permit(session, role, o("get"))
    listing = words(email(account), "storage.objects.list", "Storage bucket")
    assert account.get(json_url).json()["error"]["message"] == listing
    assert (account.get(xml_url).status_code, listing in account.get(xml_url).text) == (403, True)
    assert account.get(f"{json_url}?alt=media").text == listing
    permit(session, role, o("list"))
    assert account.get(json_url).json()["error"]["message"] == words(
        email(account), "storage.objects.get", "Storage object"
    )
    permit(session, role, o("get", "list"))
    assert account.get(json_url).json()["error"]["message"] == f"No such object: {bucket.name}/none"
    assert "<Code>NoSuchKey</Code>" in account.get(xml_url).text
    bucket.delete()


@pytest.mark.parametrize(
    "path", ["/storage/v1/b/no-such-bucket", "/storage/v1/b/no-such-bucket/o/x", "/no-such-bucket"]
)
def test_a_bucket_that_is_not_there_is_told_to_all(account, path):
    answer = account.get(HOST + path)
    assert answer.status_code == 404 and "The specified bucket does not exist." in answer.text


def test_permissions_that_are_tested_are_those_that_are_held(local_cloud, client, session, account, role):
    bucket = client.create_bucket("asked-what-for")
    grant(bucket, role, f"serviceAccount:{email(account)}")
    permit(session, role, o("get", "create"))
    asked = ["storage.objects.get", "storage.objects.delete", "storage.buckets.get"]
    assert client_of(local_cloud, account).bucket(bucket.name).test_iam_permissions(asked) == ["storage.objects.get"]
    permit(session, role, [])
    assert client_of(local_cloud, account).bucket(bucket.name).test_iam_permissions(asked) == []
    assert bucket.test_iam_permissions(asked) == asked
    bucket.delete()


def test_who_made_the_bucket_again_is_asked_again(client, session, account, role):
    url = f"{HOST}/storage/v1/b/asked-again/o/x"
    permit(session, role, o("get"))
    for given in (200, 403, 200):
        bucket = client.create_bucket("asked-again")
        bucket.blob("x").upload_from_string("x")
        if given == 200:
            grant(bucket, role, f"serviceAccount:{email(account)}")
        assert account.get(url).status_code == given
        bucket.delete(force=True)
        assert account.get(url).status_code == 404


def test_another_pays_only_for_whom_they_let(local_cloud, client, session, account):
    bucket = client.create_bucket("asked-to-pay")
    bucket.requester_pays = True
    bucket.patch()
    bucket.blob("x").upload_from_string("x")
    session.post("https://cloudresourcemanager.googleapis.com/v1/projects", json={"projectId": "payers-project"})
    key = json.loads((local_cloud.root / "projects" / "payers-project" / "key.json").read_text(encoding="utf-8"))
    link = "https://cloudbilling.googleapis.com/v1/projects/payers-project/billingInfo"
    with local_cloud.session(key) as payer:
        services = "https://serviceusage.googleapis.com/v1/projects/payers-project/services"
        payer.post(f"{services}/cloudbilling.googleapis.com:enable")
        paying = opened(type(local_cloud)(local_cloud.root, "payers-project"), "ABCDEF-000000-000001")
        linked = payer.put(link, json={"billingAccountName": paying})
        assert linked.status_code == 200, linked.text
        theirs = storage.Client(project="payers-project", credentials=payer.credentials, _http=payer)
        grant(bucket, "roles/storage.objectViewer", f"serviceAccount:{email(payer)}")
        with pytest.raises(exceptions.BadRequest) as refused:
            theirs.bucket(bucket.name).blob("x").download_as_bytes()
        assert "Bucket is a requester pays bucket but no user project provided." in str(refused.value)
        error = payer.get(f"{HOST}/storage/v1/b/{bucket.name}").json()["error"]
        assert error["errors"][0]["reason"] == "required"
        assert "<Code>UserProjectMissing</Code>" in payer.get(f"{HOST}/{bucket.name}/x").text
        blob = theirs.bucket(bucket.name, user_project="payers-project").blob("x")
        assert blob.download_as_bytes() == b"x"
        with pytest.raises(exceptions.Forbidden, match=r"does not have serviceusage\.services\.use access"):
            theirs.bucket(bucket.name, user_project=local_cloud.project).blob("x").download_as_bytes()
    grant(bucket, "roles/storage.objectViewer", f"serviceAccount:{email(account)}")  # of the owner's project
    assert account.get(f"{HOST}/storage/v1/b/{bucket.name}/o/x").status_code == 400
    bucket.delete(force=True)


def calls(theirs: storage.Client, bucket: str) -> dict[str, Callable[[], Any]]:
    """What trainers do, by name."""
    there = theirs.bucket(bucket)
    return {
        "see the bucket": lambda: theirs.get_bucket(bucket),
        "list": lambda: list(theirs.list_blobs(bucket)),
        "read": lambda: there.blob("there").download_as_bytes(),
        "write anew": lambda: there.blob(f"new-{next(_numbers)}").upload_from_string("x"),
        "write again": lambda: there.blob("there").upload_from_string("x"),
        "copy": lambda: there.copy_blob(there.blob("there"), there, f"copy-{next(_numbers)}"),
        "share": lambda: there.get_iam_policy(),
    }


ROLES = {
    "roles/storage.objectViewer": {"list", "read"},
    "roles/storage.objectCreator": {"write anew"},
    "roles/storage.objectUser": {"list", "read", "write anew", "write again", "copy"},
    "roles/storage.objectAdmin": {"list", "read", "write anew", "write again", "copy"},
    "roles/storage.legacyBucketReader": {"see the bucket", "list"},
    "roles/storage.legacyBucketWriter": {"see the bucket", "list", "write anew", "write again"},
    "roles/storage.legacyObjectReader": {"read"},
    "roles/storage.admin": {"see the bucket", "list", "read", "write anew", "write again", "copy", "share"},
}


def allowed(theirs: storage.Client, bucket: str) -> set[str]:
    found = set()
    for name, call in calls(theirs, bucket).items():
        try:
            call()
        except (exceptions.Forbidden, exceptions.Unauthorized):
            continue
        found.add(name)
    return found


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_on_a_bucket_is_good_for(local_cloud, client, account, role):
    bucket = client.create_bucket(f"of-a-role-{next(_numbers)}")
    bucket.blob("there").upload_from_string("hello")
    grant(bucket, role, f"serviceAccount:{email(account)}")
    assert allowed(client_of(local_cloud, account), bucket.name) == ROLES[role]
    bucket.delete(force=True)


ALL = set(calls(storage.Client.create_anonymous_client(), "x"))
BASIC = {
    "roles/owner": ALL,
    "roles/editor": ALL,
    "roles/viewer": {"see the bucket", "list", "read"},
    "roles/aiplatform.user": set[str](),
}


@pytest.mark.parametrize("uniform", ["no", "yes", "later"])
def test_what_basic_roles_of_the_project_are_good_for(local_cloud, client, session, make_account, uniform):
    bucket = client.bucket(f"of-the-project-{uniform}")
    bucket.iam_configuration.uniform_bucket_level_access_enabled = uniform == "yes"
    bucket.create()
    bucket.blob("there").upload_from_string("hello")
    if uniform == "later":
        bucket.iam_configuration.uniform_bucket_level_access_enabled = True
        bucket.patch()
    url = f"https://cloudresourcemanager.googleapis.com/v1/projects/{local_cloud.project}"
    whole = {"options": {"requestedPolicyVersion": 3}}  # or conditions of others could not be written back
    before = session.post(f"{url}:getIamPolicy", json=whole).json()
    one = make_account(f"has-a-basic-role-{uniform}")
    member = f"serviceAccount:{email(one)}"
    try:
        for role, expected in BASIC.items():
            bindings = [*before["bindings"], {"role": role, "members": [member]}]
            answer = session.post(f"{url}:setIamPolicy", json={"policy": {"version": 3, "bindings": bindings}})
            assert answer.status_code == 200, answer.text
            assert allowed(client_of(local_cloud, one), bucket.name) == expected, role
    finally:
        session.post(f"{url}:setIamPolicy", json={"policy": {"version": 3, "bindings": before["bindings"]}})
    bucket.delete(force=True)
