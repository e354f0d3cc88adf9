"""Buckets by the official client: names, settings, policies, refusals."""

from __future__ import annotations

import json

import pytest
from google.api_core import exceptions
from google.cloud import storage

from localcloud import launch


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "Capital",
        "under_score_",
        "-start",
        "end-",
        "a..b",
        "a.-b",
        "192.168.0.1",
        "goog-bucket",
        "my-google-data",
        "my-g00gle-data",
        "space in",
        "sla\\sh",
        "a" * 64 + ".com",
    ],
)
def test_bucket_names_that_cannot_be_are_refused(session, local_cloud, name):
    url = f"https://storage.googleapis.com/storage/v1/b?project={local_cloud.project}"
    answer = session.post(url, json={"name": name})  # the client itself refuses some of them
    error = answer.json()["error"]
    assert error["errors"] == [{"message": f"Invalid bucket name: '{name}'", "domain": "global", "reason": "invalid"}]
    assert answer.status_code == error["code"] == 400


@pytest.mark.parametrize("name", ["abc", "0-9_z", "a" * 63, "with.dots.example"])
def test_bucket_names_that_can_be(client, name):
    made = client.create_bucket(name)
    assert client.get_bucket(name).name == name
    made.delete()
    with pytest.raises(exceptions.NotFound, match="The specified bucket does not exist"):
        client.get_bucket(name)


def test_a_bucket_as_google_shows_it(client):
    made = client.create_bucket("shown", location="EU")
    assert (made.location, made.location_type, made.storage_class) == ("EU", "multi-region", "STANDARD")
    assert made.metageneration == 1 and made.project_number > 10**11 and made.etag == "CAE="
    assert made.iam_configuration.public_access_prevention == "inherited"
    assert made.soft_delete_policy.retention_duration_seconds == 7 * 24 * 3600
    assert made.versioning_enabled is False and made.labels == {}
    made.delete()


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        ({"name": "bad-place", "location": "nowhere"}, "The specified location constraint is not valid."),
        ({"name": "bad-class", "storageClass": "HOT"}, "Invalid argument."),
        ({"name": "bad-label", "labels": {"Upper": "x"}}, "Invalid argument."),
        ({"name": "bad-cors", "cors": {}}, "Invalid argument."),
        ({"name": "bad-cors", "cors": [{"origin": "*"}]}, "Invalid argument."),
        ({"name": "bad-site", "website": "index.html"}, "Invalid argument."),
        ({"name": "bad-turbo", "location": "US", "rpo": "ASYNC_TURBO"}, "Invalid argument."),
        ({"name": "bad-soft", "softDeletePolicy": {"retentionDurationSeconds": "long"}}, "Invalid argument."),
        ({}, "Required parameter: name"),
    ],
)
def test_buckets_that_cannot_be_are_refused(session, local_cloud, resource, message):
    url = f"https://storage.googleapis.com/storage/v1/b?project={local_cloud.project}"
    answer = session.post(url, json=resource)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)


def test_a_storage_class_may_be_written_small(session, local_cloud):
    url = "https://storage.googleapis.com/storage/v1/b"
    made = session.post(
        f"{url}?project={local_cloud.project}", json={"name": "small-class", "storageClass": "nearline"}
    )
    assert made.json()["storageClass"] == "NEARLINE"
    changed = session.patch(f"{url}/small-class", json={"storageClass": "coldline"})
    assert changed.json()["storageClass"] == "COLDLINE"
    session.delete(f"{url}/small-class")


def test_names_are_taken_once_for_all_projects(local_cloud, client, bucket):
    with pytest.raises(exceptions.Conflict, match="you already own it"):
        client.create_bucket(bucket.name)
    launch.start(local_cloud.root, local_cloud.root / "envs", ["other-project"])
    with pytest.raises(exceptions.Forbidden, match=r"storage\.buckets\.create access to the Google Cloud project"):
        client.create_bucket("not-of-ours", project="other-project")
    key = json.loads((local_cloud.root / "projects" / "other-project" / "key.json").read_text(encoding="utf-8"))
    with local_cloud.session(key) as theirs:
        other = storage.Client(project="other-project", credentials=theirs.credentials, _http=theirs)
        with pytest.raises(exceptions.Conflict, match="The requested bucket name is not available"):
            other.create_bucket(bucket.name)


def test_an_unknown_project_is_refused(client):
    with pytest.raises(exceptions.Forbidden) as refused:
        client.create_bucket("lost", project="no-such-project")
    assert "does not have storage.buckets.create access to the Google Cloud project" in str(refused.value)
    with pytest.raises(exceptions.Forbidden, match=r"storage\.buckets\.list"):
        list(client.list_buckets(project="no-such-project"))


def test_settings_are_kept_changed_and_removed(bucket, client):
    bucket.labels = {"team": "blue", "stage": "test"}
    bucket.versioning_enabled = True
    bucket.add_lifecycle_delete_rule(age=30)
    bucket.storage_class = "NEARLINE"
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.soft_delete_policy.retention_duration_seconds = 0
    bucket.patch()
    again = client.get_bucket(bucket.name)
    assert again.labels == {"team": "blue", "stage": "test"} and again.versioning_enabled
    assert next(iter(again.lifecycle_rules))["action"] == {"type": "Delete"}
    assert again.iam_configuration.uniform_bucket_level_access_locked_time is not None
    assert again.soft_delete_policy.retention_duration_seconds == 0 and again.metageneration == 2
    labels = again.labels
    del labels["team"]
    again.labels = labels
    again.clear_lifecycle_rules()
    again.patch()
    fresh = client.get_bucket(bucket.name)
    assert fresh.labels == {"stage": "test"} and list(fresh.lifecycle_rules) == []
    assert fresh.etag != again.etag or fresh.metageneration == again.metageneration
    assert bucket.blob("x").exists() is False
    blob = bucket.blob("x")
    blob.upload_from_string("x")
    assert blob.storage_class == "NEARLINE"
    with pytest.raises(exceptions.PreconditionFailed):
        fresh.patch(if_metageneration_match=1)


def test_what_never_changes_is_refused(bucket, session):
    url = f"https://storage.googleapis.com/storage/v1/b/{bucket.name}"
    assert session.patch(url, json={"location": "EU"}).status_code == 400
    assert session.patch(url, json={"location": "us-central1", "labels": {"a": "b"}}).status_code == 200


def test_buckets_are_listed_in_pages(client):
    made = [client.create_bucket(f"list-{letter}") for letter in "abcd"]
    assert [b.name for b in client.list_buckets(prefix="list-", page_size=2)] == [b.name for b in made]
    for one in made:
        one.delete()


def test_only_an_empty_bucket_is_deleted(bucket):
    blob = bucket.blob("x")
    blob.upload_from_string("x")
    with pytest.raises(exceptions.Conflict) as refused:
        bucket.delete()
    assert refused.value.errors[0]["message"] == "The bucket you tried to delete is not empty."
    blob.delete()


def test_policies(bucket):
    policy = bucket.get_iam_policy(requested_policy_version=3)
    roles = {binding["role"] for binding in policy.bindings}
    assert roles == {"roles/storage.legacyBucketOwner", "roles/storage.legacyBucketReader"}
    policy.bindings.append({"role": "roles/storage.objectViewer", "members": {"user:me@example.com"}})
    stale = policy.etag
    bucket.set_iam_policy(policy)
    again = bucket.get_iam_policy()
    assert {"role": "roles/storage.objectViewer", "members": {"user:me@example.com"}} in again.bindings
    again.etag = stale
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.set_iam_policy(again)
    again.etag = None
    again.bindings.append({"role": "no-role", "members": {"user:me@example.com"}})
    with pytest.raises(exceptions.BadRequest):
        bucket.set_iam_policy(again)
    asked = ["storage.objects.get", "storage.buckets.delete"]
    assert bucket.test_iam_permissions(asked) == asked


def test_what_is_not_emulated_says_so(bucket, client):
    blob = bucket.blob("x")
    blob.upload_from_string("x")
    for call in (
        blob.make_public,
        lambda: blob.upload_from_string("x", predefined_acl="publicRead"),
        lambda: client.create_hmac_key("me@example.com"),
    ):
        with pytest.raises(exceptions.MethodNotImplemented, match="not emulated by the local cloud"):
            call()


def test_storage_has_a_service_account_of_its_own(client):
    assert client.get_service_account_email().endswith("@gs-project-accounts.iam.gserviceaccount.com")
