"""What the other APIs of the local cloud call in process, and what a restart finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.apis import assemble
from localcloud.core.cloud import Cloud
from localcloud.core.errors import ApiError
from localcloud.core.ports import Ports
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects
from localcloud.storage.copies import Source
from localcloud.storage.store import Storage

PROJECT = "store-project"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = assemble(tmp_path / "root", tmp_path / "envs", Ports(1, 2, 3, 4, 5))
    made.of(Projects).create(PROJECT)
    yield made
    made.of(Storage).close()


def test_buckets_and_objects(cloud):
    storage = cloud.of(Storage)
    made = storage.create_bucket(PROJECT, {"name": "inside", "location": "us-central1"})
    assert made["location"] == "US-CENTRAL1" and storage.get_bucket("inside") == made
    assert storage.patch_bucket("inside", {"labels": {"a": "b"}})["labels"] == {"a": "b"}
    assert [bucket["name"] for bucket in storage.list_buckets(PROJECT)] == ["inside"]
    resource = storage.put_object("inside", "dir/x", b"hello", "text/plain")
    assert (resource["size"], resource["contentType"]) == ("5", "text/plain")
    assert storage.get_object("inside", "dir/x") == b"hello"
    assert storage.get_object_resource("inside", "dir/x") == resource
    storage.put_object("inside", "y", b"")
    assert [one["name"] for one in storage.list_objects("inside", "dir/")] == ["dir/x"]
    assert {name: count() for name, count in cloud.counters.items() if name in ("buckets", "objects")} == {
        "buckets": 1,
        "objects": 2,
    }
    assert cloud.counters["stored bytes"]() == 5
    storage.delete_object("inside", "y")
    with pytest.raises(ApiError) as refused:
        storage.delete_bucket("inside")
    assert (refused.value.code, refused.value.reason) == (409, "conflict")
    storage.delete_bucket("inside", force=True)
    for gone in (storage.get_bucket, storage.list_objects, storage.get_bucket_policy, storage.delete_bucket):
        with pytest.raises(ApiError, match="The specified bucket does not exist"):
            gone("inside")


def test_members_are_seen_in_the_policy_and_a_new_bucket_starts_afresh(cloud):
    storage = cloud.of(Storage)
    storage.create_bucket(PROJECT, {"name": "inside"})
    cloud.of(Iam).add_member("buckets/inside", "roles/storage.objectViewer", "user:me@example.com")
    viewer = {"role": "roles/storage.objectViewer", "members": ["user:me@example.com"]}
    assert viewer in storage.get_bucket_policy("inside")["bindings"]
    storage.delete_bucket("inside")
    storage.create_bucket(PROJECT, {"name": "inside"})
    assert viewer not in storage.get_bucket_policy("inside")["bindings"]


def test_a_restart_keeps_what_is_named_and_removes_the_rest(cloud):
    storage = cloud.of(Storage)
    storage.create_bucket(PROJECT, {"name": "inside"})
    storage.put_object("inside", "kept", b"kept")
    stray = storage.blobs.create()
    stray.write(b"a server was killed before it could say what this is")
    stray.close()
    storage.close()
    again = cloud.__dict__["storage"] = Storage(cloud)
    assert again.get_object("inside", "kept") == b"kept"
    assert not again.blobs.path(stray.blob).exists()


def test_copies_share_their_bytes_until_the_last_is_gone(cloud):
    storage = cloud.of(Storage)
    storage.create_bucket(PROJECT, {"name": "inside", "softDeletePolicy": {"retentionDurationSeconds": 0}})
    storage.put_object("inside", "one", b"x" * 1000)
    storage.copies.copy(Source("inside", "one"), "inside", "two", {})
    blob = storage.objects.get("inside", "two").blob
    assert blob == storage.objects.get("inside", "one").blob
    storage.delete_object("inside", "one")
    assert storage.get_object("inside", "two") == b"x" * 1000
    storage.copies.copy(Source("inside", "two"), "inside", "two", {"metadata": {"a": "b"}})  # onto itself
    assert storage.get_object("inside", "two") == b"x" * 1000
    storage.delete_object("inside", "two")
    storage.blobs.close()
    assert not storage.blobs.path(blob).exists()
