"""What a bucket is made with: uniform access and lists of access, conditions, two regions, restricted encryption."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.storage import Bucket, Client
from google.cloud.storage.bucket import EncryptionEnforcementConfig

from localcloud.core.cloud import Cloud
from localcloud.storage.errors import StorageError
from localcloud.storage.store import Storage

PROJECT = "uniform-project"
HOST = "https://storage.googleapis.com"
UNIFORM = {"uniformBucketLevelAccess": {"enabled": True}}
CONDITION = {"title": "always", "expression": "true"}


@pytest.fixture
def uniform(client: Client) -> Iterator[Bucket]:
    made = client.bucket("with-uniform-access")
    made.iam_configuration.uniform_bucket_level_access_enabled = True
    made.create()
    made.blob("x").upload_from_string("x")
    yield made
    made.delete(force=True)


def calls(session: Any, bucket: str) -> dict[str, tuple[Callable[[], Any], str]]:
    """What names a list of access -> what Google says of it where access is uniform."""
    url, acl = f"{HOST}/storage/v1/b/{bucket}", [{"entity": "allUsers", "role": "READER"}]
    upload = f"{HOST}/upload/storage/v1/b/{bucket}/o?uploadType=media&name=y"
    get, update = "Cannot get legacy ACL for", "Cannot update access control for an object"
    insert, whole = "Cannot insert legacy ACL for an object", "Cannot use ACL API to update bucket policy"
    return {
        "read a bucket's": (lambda: session.get(f"{url}/acl"), f"{get} a bucket"),
        "read an object's": (lambda: session.get(f"{url}/o/x/acl/allUsers"), f"{get} an object"),
        "add to a bucket's": (lambda: session.post(f"{url}/defaultObjectAcl", json=acl[0]), whole),
        "add to an object's": (lambda: session.post(f"{url}/o/x/acl", json=acl[0]), update),
        "patch a bucket": (lambda: session.patch(url, json={"acl": acl}), whole),
        "patch a bucket by name": (lambda: session.patch(f"{url}?predefinedAcl=publicRead", json={}), whole),
        "patch an object": (lambda: session.patch(f"{url}/o/x", json={"acl": acl}), update),
        "put an object": (lambda: session.put(f"{url}/o/x?predefinedAcl=publicRead", json={}), update),
        "upload": (lambda: session.post(f"{upload}&predefinedAcl=publicRead", data=b"y"), insert),
        "copy": (
            lambda: session.post(f"{url}/o/x/rewriteTo/b/{bucket}/o/y?destinationPredefinedAcl=publicRead", json={}),
            insert,
        ),
        "compose": (
            lambda: session.post(
                f"{url}/o/y/compose", json={"sourceObjects": [{"name": "x"}], "destination": {"acl": acl}}
            ),
            insert,
        ),
    }


@pytest.mark.parametrize("way", calls(None, ""))
def test_lists_of_access_are_refused_everywhere(session: Any, uniform: Bucket, bucket: Bucket, way: str) -> None:
    call, words = calls(session, str(uniform.name))[way]
    error = call().json()["error"]
    assert error["code"] == 400 and error["message"].startswith(f"{words} when uniform bucket-level access is enabled.")
    bucket.blob("x").upload_from_string("x")
    error = calls(session, str(bucket.name))[way][0]().json()["error"]
    assert (error["code"], error["message"]) == (501, "not emulated by the local cloud: access control lists")


def test_a_private_list_by_its_name_is_only_refused_where_access_is_uniform(
    client: Client, session: Any, bucket: Bucket, uniform: Bucket, local_cloud: Any
) -> None:
    bucket.blob("x").upload_from_string("x", predefined_acl="projectPrivate")
    with pytest.raises(exceptions.BadRequest, match="Cannot insert legacy ACL for an object"):
        uniform.blob("x").upload_from_string("x", predefined_acl="projectPrivate")
    url = f"{HOST}/storage/v1/b?project={local_cloud.project}&predefinedAcl=projectPrivate"
    listed = f"{url}&predefinedDefaultObjectAcl=bucketOwnerFullControl"  # as gcsfs makes a bucket
    assert session.post(listed, json={"name": "with-lists"}).status_code == 200
    client.bucket("with-lists").delete()
    assert session.post(url, json={"name": "without", "iamConfiguration": UNIFORM}).status_code == 400
    public = url.replace("projectPrivate", "publicRead")
    assert session.post(public, json={"name": "without"}).status_code == 501


def test_conditions_need_uniform_access_and_keep_it(bucket: Bucket) -> None:
    policy = bucket.get_iam_policy(requested_policy_version=3)
    binding = {"role": "roles/storage.objectViewer", "members": {"user:me@example.com"}, "condition": CONDITION}
    policy.bindings.append(binding)
    with pytest.raises(exceptions.PreconditionFailed, match="first enable uniform bucket-level access"):
        bucket.set_iam_policy(policy)
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.patch()
    policy = bucket.get_iam_policy(requested_policy_version=3)
    policy.bindings.append(binding)
    with pytest.raises(exceptions.BadRequest, match="must be at least 3"):
        bucket.set_iam_policy(policy)
    policy.version = 3
    assert bucket.set_iam_policy(policy).bindings == policy.bindings
    bucket.iam_configuration.uniform_bucket_level_access_enabled = False
    with pytest.raises(exceptions.PreconditionFailed, match="whose policy has conditions"):
        bucket.patch()
    policy.bindings = [one for one in policy.bindings if "condition" not in one]
    policy.etag = None
    bucket.set_iam_policy(policy)
    bucket.iam_configuration.uniform_bucket_level_access_enabled = False
    bucket.patch()


def test_uniform_access_is_for_good_after_90_days(inside: Cloud) -> None:
    store = inside.of(Storage)
    store.create_bucket(PROJECT, {"name": "for-good", "iamConfiguration": UNIFORM})
    off = {"iamConfiguration": {"uniformBucketLevelAccess": {"enabled": False}}}
    store.patch_bucket("for-good", off)
    store.patch_bucket("for-good", {"iamConfiguration": UNIFORM})
    asyncio.run(inside.clock.forward(timedelta(days=91)))
    with pytest.raises(StorageError, match="after its locked time"):
        store.patch_bucket("for-good", off)


def test_uniform_access_by_its_older_name(bucket: Bucket, session: Any) -> None:
    url = f"{HOST}/storage/v1/b/{bucket.name}"
    for on in (True, False):
        answer = session.patch(url, json={"iamConfiguration": {"bucketPolicyOnly": {"enabled": on}}})
        assert answer.json()["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"] is on


def test_two_regions_of_ones_own(client: Client, session: Any, local_cloud: Any) -> None:
    made = client.create_bucket("in-two", location="US", data_locations=["us-east1", "US-WEST1"])
    assert (made.location, made.location_type, made.data_locations) == ("US", "dual-region", ["US-EAST1", "US-WEST1"])
    again = session.patch(f"{HOST}/storage/v1/b/in-two", json={"customPlacementConfig": {"dataLocations": ["A", "B"]}})
    assert again.status_code == 400
    made.delete()
    url = f"{HOST}/storage/v1/b?project={local_cloud.project}"
    for location, regions in (
        ("US", ["US-EAST1"]),
        ("US", ["US-EAST1", "US-EAST1"]),
        ("US", ["US-EAST1", "EUROPE-WEST1"]),
        ("US-EAST1", ["US-EAST1", "US-WEST1"]),
        ("EU", "EUROPE-WEST1"),
    ):
        placement = {"dataLocations": regions}
        answer = session.post(url, json={"name": "in-two", "location": location, "customPlacementConfig": placement})
        error = answer.json()["error"]
        assert (error["code"], error["message"]) == (400, "The specified location constraint is not valid.")


def test_a_restricted_encryption_says_since_when_and_holds(client: Client, bucket: Bucket, session: Any) -> None:
    name = "google_managed_encryption_enforcement_config"
    bucket.blob("x").upload_from_string("x")
    url = f"{HOST}/storage/v1/b/{bucket.name}"
    setattr(bucket.encryption, name, EncryptionEnforcementConfig(restriction_mode="FullyRestricted"))
    bucket.patch()
    since = getattr(bucket.encryption, name).effective_time
    assert since is not None
    bucket.labels = {"a": "b"}
    bucket.patch()
    assert getattr(client.get_bucket(bucket.name).encryption, name).effective_time == since
    with pytest.raises(
        exceptions.PreconditionFailed, match="does not allow new objects with Google-managed encryption"
    ):
        bucket.blob("y").upload_from_string("y")
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.copy_blob(bucket.blob("x"), bucket, "y")
    setattr(bucket.encryption, name, EncryptionEnforcementConfig(restriction_mode="NotRestricted"))
    bucket.patch()
    assert getattr(bucket.encryption, name).effective_time is None
    bucket.blob("y").upload_from_string("y")
    bad = session.patch(
        url, json={"encryption": {"googleManagedEncryptionEnforcementConfig": {"restrictionMode": "A"}}}
    )
    assert bad.status_code == 400
