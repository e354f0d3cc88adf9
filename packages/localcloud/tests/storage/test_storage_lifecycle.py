"""Lifecycle rules take effect when their time comes, set with the official client's helpers."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import psutil
import pytest
from google.api_core import exceptions
from google.cloud import storage
from google.cloud.storage import Bucket, Client

from clouds import LocalCloud, Start
from localcloud import launch
from localcloud.core.cloud import Cloud
from localcloud.storage.store import Storage

pytestmark = pytest.mark.slow

DAY = 24 * 3600
HOST = "https://storage.googleapis.com"
PROJECT = "cycle-project"


def client_of(cloud: LocalCloud) -> Client:
    session = cloud.session()
    return storage.Client(project=cloud.project, credentials=session.credentials, _http=session)


def names(bucket: Bucket, **query: Any) -> list[str]:
    return [blob.name for blob in bucket.list_blobs(**query)]


def test_old_objects_go_by_the_clock_unless_they_are_held(owner: Client, cloud: LocalCloud) -> None:
    bucket = owner.bucket("old-ones-go")
    bucket.add_lifecycle_delete_rule(age=30, matches_prefix=["tmp/"])
    owner.create_bucket(bucket)
    for name in ("tmp/a", "tmp/held", "kept"):
        bucket.blob(name).upload_from_string("x")
    held = bucket.blob("tmp/held")
    held.temporary_hold = True
    held.patch()
    launch.forward(cloud.root, 29 * DAY)
    bucket.blob("tmp/new").upload_from_string("x")
    assert names(bucket) == ["kept", "tmp/a", "tmp/held", "tmp/new"]
    launch.forward(cloud.root, DAY)
    assert names(bucket) == ["kept", "tmp/held", "tmp/new"]
    assert names(bucket, soft_deleted=True) == ["tmp/a"]  # it can be restored
    held.temporary_hold = False
    held.patch()
    launch.forward(cloud.root, 0)
    assert names(bucket) == ["kept", "tmp/new"]


def test_classes_change_once_their_time_comes(owner: Client, cloud: LocalCloud) -> None:
    bucket = owner.bucket("colder")
    bucket.add_lifecycle_set_storage_class_rule("NEARLINE", age=10)
    bucket.add_lifecycle_set_storage_class_rule("COLDLINE", age=20)
    owner.create_bucket(bucket)
    blob = bucket.blob("x")
    blob.upload_from_string("bytes")
    made = blob.generation, blob.time_created
    for days, wanted in ((9, "STANDARD"), (1, "NEARLINE"), (9, "NEARLINE"), (1, "COLDLINE"), (99, "COLDLINE")):
        launch.forward(cloud.root, days * DAY)
        blob.reload()
        assert blob.storage_class == wanted
    assert (blob.generation, blob.time_created) == made and blob.download_as_bytes() == b"bytes"
    changed = datetime.fromisoformat(blob._properties["timeStorageClassUpdated"])
    assert blob.time_created is not None
    assert timedelta(days=19, hours=23) < changed - blob.time_created < timedelta(days=21)


def test_versions_are_counted_and_aged(owner: Client, cloud: LocalCloud) -> None:
    bucket = owner.bucket("versions-go")
    bucket.versioning_enabled = True
    bucket.add_lifecycle_delete_rule(number_of_newer_versions=2, is_live=False)
    bucket.add_lifecycle_delete_rule(days_since_noncurrent_time=7)
    owner.create_bucket(bucket)
    blob = bucket.blob("x")
    for turn in range(4):
        blob.upload_from_string(str(turn))
    launch.forward(cloud.root, 0)
    assert [one.download_as_bytes() for one in bucket.list_blobs(versions=True)] == [b"2", b"3"]
    launch.forward(cloud.root, 8 * DAY)
    assert [one.download_as_bytes() for one in bucket.list_blobs(versions=True)] == [b"3"]


def test_a_live_version_first_becomes_noncurrent(owner: Client, cloud: LocalCloud) -> None:
    bucket = owner.bucket("two-steps")
    bucket.versioning_enabled = True
    bucket.add_lifecycle_delete_rule(age=3, is_live=True)
    owner.create_bucket(bucket)
    bucket.blob("x").upload_from_string("x")
    launch.forward(cloud.root, 3 * DAY)
    assert names(bucket) == [] and names(bucket, versions=True) == ["x"]


def test_unfinished_uploads_in_parts_are_aborted(owner: Client, cloud: LocalCloud) -> None:
    bucket = owner.bucket("aborts")
    bucket.add_lifecycle_abort_incomplete_multipart_upload_rule(age=2)
    owner.create_bucket(bucket)
    with cloud.session() as session:
        url = f"{HOST}/aborts/x"
        upload = session.post(f"{url}?uploads").text.split("<UploadId>")[1].split("<")[0]
        part = f"{url}?partNumber=1&uploadId={upload}"
        assert session.put(part, data=b"x").status_code == 200
        launch.forward(cloud.root, 2 * DAY)
        gone = session.put(part, data=b"x")
        assert gone.status_code == 404 and "<Code>NoSuchUpload</Code>" in gone.text
    bucket.delete()


def test_custom_times(owner: Client, cloud: LocalCloud) -> None:
    bucket = owner.bucket("customs")
    bucket.add_lifecycle_delete_rule(days_since_custom_time=5)
    owner.create_bucket(bucket)
    now = datetime.fromisoformat(launch.forward(cloud.root, 0)["now"])
    for name, moment in (("due", now - timedelta(days=5)), ("later", now), ("none", None)):
        blob = bucket.blob(name)
        blob.custom_time = moment
        blob.upload_from_string("x")
    launch.forward(cloud.root, 0)
    assert names(bucket) == ["later", "none"]


def test_what_is_retained_is_not_deleted_by_a_rule(owner: Client, cloud: LocalCloud) -> None:
    bucket = owner.bucket("retained-against-rules")
    bucket.retention_period = 10 * DAY
    bucket.add_lifecycle_delete_rule(age=1)
    bucket.add_lifecycle_set_storage_class_rule("NEARLINE", age=1, matches_suffix=[".none"])
    owner.create_bucket(bucket)
    bucket.blob("x").upload_from_string("x")
    launch.forward(cloud.root, 9 * DAY)
    assert names(bucket) == ["x"]
    launch.forward(cloud.root, DAY)
    assert names(bucket) == []


def test_bad_rules_are_refused_when_they_are_set(bucket: Bucket, session: Any) -> None:
    url = f"{HOST}/storage/v1/b/{bucket.name}"
    rule = {"action": {"type": "SetStorageClass"}, "condition": {"age": 1}}
    answer = session.patch(url, json={"lifecycle": {"rule": [rule]}})
    error = {
        "message": "Lifecycle storage class rules must specify the destination storage class.",
        "domain": "global",
        "reason": "invalid",
    }
    assert (answer.status_code, answer.json()["error"]["errors"]) == (400, [error])
    with pytest.raises(exceptions.BadRequest, match="Lifecycle rules must have a condition"):
        bucket.lifecycle_rules = [{"action": {"type": "Delete"}, "condition": {}}]
        bucket.patch()


def test_what_was_due_while_the_server_was_down_is_done_after_its_start(new_cloud: Start) -> None:
    cloud = new_cloud()
    client = client_of(cloud)
    bucket = client.bucket("while-down")
    bucket.add_lifecycle_delete_rule(age=1)
    client.create_bucket(bucket)
    bucket.blob("x").upload_from_string("x")
    launch.stop(cloud.root)
    (cloud.root / "clock.json").write_text('{"ahead": 100000}', encoding="utf-8")  # a day later
    cloud = new_cloud()
    launch.forward(cloud.root, 0)  # returns when all is done
    assert names(client_of(cloud).bucket("while-down")) == []


@pytest.mark.slow
def test_rules_of_many_objects_go_on_after_a_kill(new_cloud: Start) -> None:
    cloud = new_cloud()
    client = client_of(cloud)
    bucket = client.bucket("many-due")
    bucket.soft_delete_policy.retention_duration_seconds = 0
    client.create_bucket(bucket)
    upload = f"{HOST}/upload/storage/v1/b/many-due/o?uploadType=media&name="
    with cloud.session() as session:
        for number in range(600):
            assert session.post(f"{upload}{number:04d}", data=b"x").status_code == 200
        rule = {"action": {"type": "Delete"}, "condition": {"age": 1}}
        session.patch(f"{HOST}/storage/v1/b/many-due", json={"lifecycle": {"rule": [rule]}})
        process = psutil.Process(cloud.server["pid"])

        threading.Timer(0.03, process.kill).start()
        with pytest.raises(launch.Failed):
            while True:
                launch.forward(cloud.root, DAY)
        process.wait(10)
    cloud = new_cloud()
    launch.forward(cloud.root, DAY)
    assert names(client_of(cloud).bucket("many-due")) == []
    launch.stop(cloud.root)
    files = [path for path in (cloud.root / "storage" / "blobs").rglob("*") if path.is_file()]
    assert files == []


def test_a_rule_never_acts_on_an_object_that_has_changed_since(inside: Cloud) -> None:
    from localcloud.storage.lifecycle import DELETE, Step

    store = inside.of(Storage)
    store.create_bucket(PROJECT, {"name": "changing"})
    store.put_object("changing", "x", b"old")
    seen = store.objects.get("changing", "x")
    store.objects.change("changing", "x", {"temporaryHold": True})
    assert store.objects.take_step(seen, Step(DELETE)) is False
    store.objects.change("changing", "x", {"temporaryHold": False})
    seen = store.objects.get("changing", "x")
    store.put_object("changing", "x", b"new")
    assert store.objects.take_step(seen, Step(DELETE)) is False
    assert store.get_object("changing", "x") == b"new"


@pytest.mark.slow
def test_more_versions_than_a_page_are_counted_right(inside: Cloud) -> None:
    store = inside.of(Storage)
    rule = {"action": {"type": "Delete"}, "condition": {"numNewerVersions": 3}}
    resource = {"name": "pages", "versioning": {"enabled": True}, "lifecycle": {"rule": [rule]}}
    store.create_bucket(PROJECT, resource)
    for number in range(2300):
        store.put_object("pages", f"o{number // 23:03d}", b"")
    assert len(store.metadata.scan("pages", ("", -1), "", True, 9999)) == 2300
    store.upkeep.once()
    left = store.metadata.scan("pages", ("", -1), "", True, 9999)
    assert len(left) == 300 and len(store.list_objects("pages")) == 100
    assert {record.state for record in left[2::3]} == {"live"}


def test_what_falls_due_between_a_look_and_the_next_question_is_due_at_once(inside: Cloud) -> None:
    store = inside.of(Storage)
    rule = {"action": {"type": "Delete"}, "condition": {"age": 3}}
    store.create_bucket(PROJECT, {"name": "meanwhile", "lifecycle": {"rule": [rule]}})
    store.put_object("meanwhile", "x", b"")
    inside.clock.nudge(3 * DAY - 5)
    store.upkeep.once()
    inside.clock.nudge(10)
    due = store.upkeep.due(0)
    assert due is not None and 0 < due - inside.clock.time() < 60
    inside.clock.nudge(60)
    store.upkeep.once()
    assert store.list_objects("meanwhile") == []
