"""What is deleted or overwritten waits in soft deletion, can come back, and goes for good when its time is over."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.storage import Bucket, Client

from clouds import LocalCloud
from localcloud import launch
from localcloud.apis import assemble
from localcloud.core.cloud import Cloud
from localcloud.core.ports import Ports
from localcloud.projects.store import Projects
from localcloud.storage.store import Storage

pytestmark = pytest.mark.slow

DAY = 24 * 3600
HOST = "https://storage.googleapis.com"
PROJECT = "soft-project"


def soft(bucket: Bucket) -> list[str]:
    return [blob.name for blob in bucket.list_blobs(soft_deleted=True)]


def large_files(cloud: LocalCloud) -> int:
    return sum(path.stat().st_size == 100_000 for path in (cloud.root / "storage" / "blobs").rglob("*"))


def test_what_is_deleted_and_overwritten_is_listed_shown_and_restored(owner: Client, cloud: LocalCloud) -> None:
    bucket = owner.create_bucket("restores")
    blob = bucket.blob("x")
    blob.metadata = {"k": "v"}
    blob.upload_from_string("one", content_type="text/one")
    first = blob.generation
    blob.upload_from_string("two")
    blob.delete()
    kept = list(bucket.list_blobs(soft_deleted=True))
    assert [one.generation for one in kept] == [first, blob.generation]
    assert kept[0].hard_delete_time - kept[0].soft_delete_time == timedelta(days=7)
    assert list(bucket.list_blobs()) == list(bucket.list_blobs(versions=True)) == []
    shown = bucket.get_blob("x", generation=first, soft_deleted=True)
    assert shown is not None and shown.soft_delete_time == kept[0].soft_delete_time and shown.size == 3
    for gone in (lambda: bucket.blob("x", generation=first).download_as_bytes(), lambda: bucket.blob("x").reload()):
        with pytest.raises(exceptions.NotFound, match="No such object: restores/x"):
            gone()
    assert bucket.get_blob("x", generation=first) is None
    back = bucket.restore_blob("x", generation=first)
    assert (
        int(back.generation or 0) > int(blob.generation or 0)
        and back.metageneration == 1
        and back.soft_delete_time is None
    )
    assert (back.content_type, back.metadata) == ("text/one", {"k": "v"})
    assert bucket.blob("x").download_as_bytes() == b"one"
    assert [one.generation for one in bucket.list_blobs(soft_deleted=True)] == [first, blob.generation]
    again = bucket.restore_blob("x", generation=blob.generation)  # pushes the live one into soft deletion
    assert soft(bucket) == ["x"] * 3 and bucket.blob("x").download_as_bytes() == b"two"
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.restore_blob("x", generation=first, if_generation_match=0)
    for wrong in (again.generation, 1):
        with pytest.raises(exceptions.NotFound, match="No such object: restores/x"):
            bucket.restore_blob("x", generation=wrong)


def test_it_is_gone_for_good_when_its_time_is_over(owner: Client, cloud: LocalCloud) -> None:
    bucket = owner.bucket("ends")
    bucket.soft_delete_policy.retention_duration_seconds = 8 * DAY
    owner.create_bucket(bucket)
    blob = bucket.blob("x")
    blob.upload_from_string("x" * 100_000)
    blob.delete()
    generation = blob.generation
    bucket.soft_delete_policy.retention_duration_seconds = 90 * DAY  # is for what is deleted from now on
    bucket.patch()
    launch.forward(cloud.root, 8 * DAY - 60)
    assert soft(bucket) == ["x"] and large_files(cloud) == 1
    launch.forward(cloud.root, 60)
    assert soft(bucket) == []
    with pytest.raises(exceptions.NotFound):
        bucket.restore_blob("x", generation=generation)
    launch.stop(cloud.root)  # ends what is removed in the background
    assert large_files(cloud) == 0
    launch.start(cloud.root, cloud.root / "envs", [PROJECT])
    bucket.delete()


def test_with_versions_only_what_is_deleted_by_its_generation_is_soft_deleted(owner: Client) -> None:
    bucket = owner.bucket("soft-versions")
    bucket.versioning_enabled = True
    owner.create_bucket(bucket)
    blob = bucket.blob("x")
    blob.upload_from_string("one")
    first = blob.generation
    blob.upload_from_string("two")
    bucket.blob("x").delete()  # `blob.delete()` would name the generation
    assert soft(bucket) == [] and len(list(bucket.list_blobs(versions=True))) == 2
    bucket.delete_blob("x", generation=first)
    (gone,) = bucket.list_blobs(soft_deleted=True)
    assert gone.generation == first and gone.time_deleted is not None and gone.soft_delete_time is not None
    bucket.restore_blob("x", generation=first)
    assert bucket.blob("x").download_as_bytes() == b"one"


def test_without_a_policy_nothing_is_kept_and_asking_is_refused(owner: Client) -> None:
    bucket = owner.bucket("no-soft-deletion")
    bucket.soft_delete_policy.retention_duration_seconds = 0
    owner.create_bucket(bucket)
    blob = bucket.blob("x")
    blob.upload_from_string("x")
    blob.delete()
    for ask in (lambda: soft(bucket), lambda: bucket.restore_blob("x", generation=blob.generation)):
        with pytest.raises(exceptions.BadRequest) as refused:
            ask()
        assert refused.value.errors[0]["message"] == "bucket soft delete policy must be set."
    bucket.delete()
    assert all(one.name != "no-soft-deletion" for one in owner.list_buckets(soft_deleted=True))


@pytest.mark.parametrize(
    ("query", "code"),
    [("softDeleted=true", 400), ("softDeleted=true&generation=x", 400), ("softDeleted=true&generation=1", 404)],
)
def test_a_soft_deleted_object_is_asked_for_by_its_generation(
    bucket: Bucket, session: Any, query: str, code: int
) -> None:
    assert session.get(f"{HOST}/storage/v1/b/{bucket.name}/o/x?{query}").status_code == code
    listed = session.get(f"{HOST}/storage/v1/b/{bucket.name}/o?softDeleted=true&versions=true")
    assert listed.status_code == 400
    bulk = session.post(f"{HOST}/storage/v1/b/{bucket.name}/o/bulkRestore", json={"allowOverwrite": False})
    assert bulk.status_code == 501


@pytest.mark.parametrize(
    ("seconds", "allowed"),
    [(0, True), (604_799, False), (604_800, True), (7_776_000, True), (7_776_001, False), (1, False)],
)
def test_durations(bucket: Bucket, session: Any, seconds: int, allowed: bool) -> None:
    policy = {"softDeletePolicy": {"retentionDurationSeconds": str(seconds)}}
    answer = session.patch(f"{HOST}/storage/v1/b/{bucket.name}", json=policy)
    if allowed:
        assert answer.json()["softDeletePolicy"]["retentionDurationSeconds"] == str(seconds)
        assert ("effectiveTime" in answer.json()["softDeletePolicy"]) == bool(seconds)
    else:
        text = "Soft delete policy must have a retention duration between 7 days and 90 days."
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, text)


def test_taking_the_policy_away_puts_the_default_back(bucket: Bucket, session: Any) -> None:
    url = f"{HOST}/storage/v1/b/{bucket.name}"
    session.patch(url, json={"softDeletePolicy": {"retentionDurationSeconds": "0"}})
    made = session.patch(url, json={"softDeletePolicy": None}).json()
    assert made["softDeletePolicy"]["retentionDurationSeconds"] == str(7 * DAY)


def test_soft_deleted_objects_are_listed_in_pages_with_prefixes(bucket: Bucket) -> None:
    for name in ("a/1", "a/2", "b/1", "c"):
        blob = bucket.blob(name)
        blob.upload_from_string("x")
        blob.upload_from_string("y")
        blob.delete()
    every = [(blob.name, blob.generation) for blob in bucket.list_blobs(soft_deleted=True, page_size=3)]
    assert [name for name, _ in every] == [name for name in ("a/1", "a/2", "b/1", "c") for _ in range(2)]
    assert every == sorted(every)
    found = bucket.list_blobs(soft_deleted=True, delimiter="/")
    assert [blob.name for blob in found] == ["c", "c"] and found.prefixes == {"a/", "b/"}


def test_a_deleted_bucket_comes_back_with_what_was_soft_deleted_in_it(owner: Client, cloud: LocalCloud) -> None:
    bucket = owner.bucket("comes-back")
    bucket.labels = {"k": "v"}
    owner.create_bucket(bucket)
    policy = bucket.get_iam_policy(requested_policy_version=3)
    policy.bindings.append({"role": "roles/storage.objectViewer", "members": {"user:me@example.com"}})
    bucket.set_iam_policy(policy)
    blob = bucket.blob("x")
    blob.upload_from_string("x")
    blob.delete()
    generation = owner.get_bucket("comes-back").generation
    bucket.delete()
    assert owner.lookup_bucket("comes-back") is None
    (gone,) = [one for one in owner.list_buckets(soft_deleted=True) if one.name == "comes-back"]
    assert gone.generation == generation and gone.hard_delete_time - gone.soft_delete_time == timedelta(days=7)
    shown = owner.get_bucket("comes-back", soft_deleted=True, generation=generation)
    assert shown.soft_delete_time == gone.soft_delete_time
    other = owner.create_bucket("comes-back")  # the name is free
    assert soft(other) == []
    with pytest.raises(exceptions.Conflict, match="A live bucket with this name already exists"):
        owner.restore_bucket("comes-back", generation=generation)
    other.soft_delete_policy.retention_duration_seconds = 0
    other.patch()
    other.delete()
    back = owner.restore_bucket("comes-back", generation=generation)
    assert back.labels == {"k": "v"} and back.soft_delete_time is None
    assert soft(back) == ["x"]
    back.restore_blob("x", generation=blob.generation)
    roles = {binding["role"] for binding in back.get_iam_policy(requested_policy_version=3).bindings}
    assert "roles/storage.objectViewer" in roles
    with pytest.raises(exceptions.NotFound, match="The specified bucket does not exist"):
        owner.restore_bucket("comes-back", generation=generation)
    back.delete(force=True)
    launch.forward(cloud.root, 8 * DAY)
    assert "comes-back" not in [one.name for one in owner.list_buckets(soft_deleted=True)]
    with pytest.raises(exceptions.NotFound):
        owner.restore_bucket("comes-back", generation=generation)


def test_all_that_is_kept_is_charged(inside: Cloud) -> None:
    store = inside.of(Storage)
    store.create_bucket(PROJECT, {"name": "charged", "storageClass": "NEARLINE", "versioning": {"enabled": True}})
    store.put_object("charged", "x", b"1")
    first = store.objects.get("charged", "x").generation
    store.put_object("charged", "x", b"22")
    store.put_object("charged", "x", b"4444")
    store.objects.delete("charged", "x", first)  # soft-deleted
    store.create_bucket(PROJECT, {"name": "deleted"})
    store.put_object("deleted", "y", b"88888888")
    store.delete_object("deleted", "y")
    store.delete_bucket("deleted")  # soft-deleted with what is in it
    store.create_bucket(PROJECT, {"name": "empty"})
    found = {(bucket["name"], project, kind): size for bucket, project, kind, size in store.usage()}
    assert found == {("charged", PROJECT, "NEARLINE"): 7, ("deleted", PROJECT, "STANDARD"): 8}
    assert inside.counters["stored bytes"]() == 15
    assert (inside.counters["objects"](), inside.counters["soft-deleted objects"]()) == (2, 2)


def test_a_folder_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    import sqlite3

    folder = tmp_path / "root" / "storage"
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "storage.sqlite") as old:
        old.executescript(
            """
            CREATE TABLE buckets (name TEXT PRIMARY KEY, project TEXT, resource TEXT NOT NULL) WITHOUT ROWID;
            CREATE TABLE objects (
                bucket TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, metageneration INTEGER NOT NULL,
                state TEXT NOT NULL, size INTEGER NOT NULL, blob TEXT NOT NULL, crc32c INTEGER NOT NULL,
                md5 BLOB NOT NULL, components INTEGER NOT NULL, storage_class TEXT NOT NULL, created TEXT NOT NULL,
                updated TEXT NOT NULL, deleted TEXT NOT NULL, settings TEXT NOT NULL,
                PRIMARY KEY (bucket, name, generation));
            INSERT INTO buckets VALUES ('old', 'soft-project', '{"name": "old", "softDeletePolicy":
                {"retentionDurationSeconds": "604800"}, "metageneration": "1", "etag": "CAE="}');
            INSERT INTO objects VALUES ('old', 'x', 7, 1, 'live', 3, 'abc', 0, x'', 0, 'STANDARD',
                '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z', '', '{"contentType": "text/old"}');
            """
        )
    old.close()
    (folder / "blobs" / "ab").mkdir(parents=True)
    (folder / "blobs" / "ab" / "abc").write_bytes(b"old")
    made = assemble(tmp_path / "root", tmp_path / "envs", Ports(1, 2, 3, 4, 5))
    made.of(Projects).create(PROJECT)
    assert made.of(Storage).get_object("old", "x") == b"old"
    assert made.of(Storage).get_object_resource("old", "x")["contentType"] == "text/old"
    made.of(Storage).delete_object("old", "x")
    assert made.of(Storage).objects.restore("old", "x", 7).settings == {"contentType": "text/old"}
    made.of(Storage).close()
