"""Holds and retention by the official client: what is protected stays, and is refused in Google's words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import storage
from google.cloud.storage import Bucket, Client

from clouds import LocalCloud, Start
from localcloud import launch

pytestmark = pytest.mark.slow

DAY = 24 * 3600
HOST = "https://storage.googleapis.com"
PROJECT = "kept-project"


def message(refused: pytest.ExceptionInfo[exceptions.GoogleAPICallError]) -> tuple[int, str, str]:
    assert refused.value.code is not None and refused.value.response is not None
    error = (refused.value.errors or refused.value.response.json()["error"]["errors"])[0]
    return refused.value.code, error["reason"], error["message"]


def ways_to_go(bucket: Bucket, name: str) -> dict[str, Callable[[], Any]]:
    """All that would take an object away."""
    client, blob = bucket.client, bucket.get_blob(name)
    assert blob is not None

    def compose() -> None:
        bucket.blob(name).compose([bucket.blob("source")])

    return {
        "delete": lambda: bucket.blob(name).delete(),
        "delete its generation": lambda: bucket.delete_blob(name, generation=blob.generation),
        "media": lambda: bucket.blob(name).upload_from_string("new"),
        "resumable": lambda: bucket.blob(name, chunk_size=256 * 1024).upload_from_string("new"),
        "compose": compose,
        "copy onto": lambda: bucket.copy_blob(bucket.blob("source"), bucket, name),
        "rewrite in place": lambda: blob.update_storage_class("NEARLINE"),
        "move": lambda: bucket.move_blob(bucket.blob(name), "elsewhere"),
        "batch": lambda: in_batch(client, bucket, name),
    }


def in_batch(client: Client, bucket: Bucket, name: str) -> None:
    with client.batch():
        bucket.blob(name).delete()


@pytest.mark.parametrize(("hold", "kind"), [("temporary_hold", "Temporary"), ("event_based_hold", "Event-Based")])
def test_what_is_held_can_not_go_until_the_hold_is_let_go(bucket: Bucket, hold: str, kind: str) -> None:
    bucket.blob("source").upload_from_string("s")
    held = bucket.blob("held")
    held.upload_from_string("old")
    setattr(held, hold, True)
    held.patch()
    wanted = (
        f"Object '{bucket.name}/held' is under active {kind} hold and cannot be deleted, overwritten or archived until "
        "hold is removed."
    )
    for way, go in ways_to_go(bucket, "held").items():
        with pytest.raises(exceptions.Forbidden) as refused:
            go()
        assert message(refused) == (403, "forbidden", wanted), way
    assert held.download_as_bytes() == b"old"
    held.metadata = {"still": "to be changed"}
    held.patch()
    bucket.versioning_enabled = True  # it may not become noncurrent either
    bucket.patch()
    with pytest.raises(exceptions.Forbidden, match=f"under active {kind} hold"):
        held.delete()
    setattr(held, hold, False)
    held.patch()
    held.reload()
    assert getattr(held, hold) is False and held.metageneration == 4
    held.upload_from_string("new")


def test_the_xml_api_refuses_in_its_own_words(bucket: Bucket, session: Any) -> None:
    blob = bucket.blob("held")
    blob.upload_from_string("x")
    blob.temporary_hold = True  # by a patch: the client leaves holds out of uploads
    blob.patch()
    for answer in (
        session.delete(f"{HOST}/{bucket.name}/held"),
        session.put(f"{HOST}/{bucket.name}/held", data="y"),
    ):
        assert answer.status_code == 403
        assert "<Code>ObjectUnderActiveHold</Code>" in answer.text
        assert (
            "<Message>Object overwrite or deletion is not allowed due to active hold on the object.</Mess"
            in answer.text
        )
        assert "is under active Temporary hold" in answer.text
    blob.temporary_hold = False
    blob.patch()


def test_an_upload_in_parts_over_a_held_object_waits_to_be_aborted(bucket: Bucket, session: Any) -> None:
    url = f"{HOST}/{bucket.name}/held"
    blob = bucket.blob("held")
    blob.upload_from_string("x")
    blob.temporary_hold = True  # by a patch: the client leaves holds out of uploads
    blob.patch()
    upload = session.post(f"{url}?uploads").text.split("<UploadId>")[1].split("<")[0]
    tag = session.put(f"{url}?partNumber=1&uploadId={upload}", data="parts").headers["etag"]
    document = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part></CompleteMultipartUpload>"
    )
    assert session.post(f"{url}?uploadId={upload}", data=document).status_code == 403
    blob.temporary_hold = False
    blob.patch()
    assert session.post(f"{url}?uploadId={upload}", data=document).status_code == 200
    assert bucket.blob("held").download_as_bytes() == b"parts"


def test_the_default_hold_is_for_new_objects_that_say_nothing_and_a_copy_leaves_holds_behind(
    bucket: Bucket, session: Any
) -> None:
    bucket.default_event_based_hold = True
    bucket.patch()
    held = bucket.blob("held")
    held.upload_from_string("x")
    assert held.event_based_hold is True
    url = f"{HOST}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable"
    for name, holds in (("free", {"eventBasedHold": False}), ("both", {"temporaryHold": True})):
        begun = session.post(url, json={"name": name, **holds})
        made = session.put(begun.headers["location"], data="x").json()
        assert {"eventBasedHold": True} | holds == {key: made[key] for key in made if key.endswith("Hold")}
    bucket.default_event_based_hold = False
    bucket.patch()
    both = bucket.get_blob("both")
    assert both is not None
    copy = bucket.copy_blob(both, bucket, "copy")
    assert not copy.temporary_hold and not copy.event_based_hold
    for blob in (held, both):
        blob.event_based_hold = blob.temporary_hold = False
        blob.patch()


def test_a_retention_policy_keeps_old_and_new_objects_for_its_period(owner: Client, cloud: LocalCloud) -> None:
    bucket = owner.create_bucket("policy")
    bucket.blob("source").upload_from_string("s")
    bucket.blob("old").upload_from_string("x")
    bucket.retention_period = 10 * DAY
    bucket.patch()
    assert bucket.retention_policy_effective_time is not None and not bucket.retention_policy_locked
    old = bucket.get_blob("old")
    assert old is not None and old.time_created is not None
    assert old.retention_expiration_time == old.time_created + timedelta(days=10)
    for way, go in ways_to_go(bucket, "old").items():
        with pytest.raises(exceptions.Forbidden) as refused:
            go()
        code, reason, text = message(refused)
        assert (code, reason) == (403, "retentionPolicyNotMet"), way
        start = (
            "Object 'policy/old' is subject to bucket's retention policy or object retention and cannot be deleted or "
        )
        assert text.startswith(f"{start}overwritten until 20"), way
        until = datetime.fromisoformat(text.rsplit(" ", 1)[1])
        assert until == old.retention_expiration_time and until.utcoffset() in (
            timedelta(hours=-7),
            timedelta(hours=-8),
        )
    with pytest.raises(exceptions.PreconditionFailed):  # a condition is looked at first
        bucket.blob("old").upload_from_string("x", if_generation_match=0)
    with pytest.raises(exceptions.Conflict, match="The bucket you tried to delete is not empty"):
        bucket.delete()
    launch.forward(cloud.root, 5 * DAY)
    bucket.blob("new").upload_from_string("x")
    launch.forward(cloud.root, 5 * DAY)
    bucket.blob("old").delete()
    with pytest.raises(exceptions.Forbidden):
        bucket.blob("new").delete()
    bucket.retention_period = None
    bucket.patch()
    for name in ("new", "source"):
        bucket.blob(name).delete()
    bucket.delete()


def test_an_event_based_hold_puts_the_policy_off_and_its_end_starts_the_period(
    owner: Client, cloud: LocalCloud
) -> None:
    bucket = owner.bucket("events")
    bucket.retention_period = 10 * DAY
    owner.create_bucket(bucket)
    blob = bucket.blob("x")
    blob.upload_from_string("x")
    blob.event_based_hold = True
    blob.patch()
    assert blob.retention_expiration_time is None
    launch.forward(cloud.root, 20 * DAY)
    blob.event_based_hold = False
    blob.patch()
    assert blob.retention_expiration_time is not None
    left = blob.retention_expiration_time - (
        datetime.now(UTC) + timedelta(seconds=launch.forward(cloud.root, 0)["ahead_seconds"])
    )
    assert timedelta(days=9, hours=23) < left <= timedelta(days=10)
    with pytest.raises(exceptions.Forbidden, match="cannot be deleted or overwritten until"):
        blob.delete()
    launch.forward(cloud.root, 10 * DAY)
    blob.delete()


def test_with_versions_what_is_retained_becomes_noncurrent_but_does_not_go(owner: Client) -> None:
    bucket = owner.bucket("retained-versions")
    bucket.retention_period = DAY
    bucket.versioning_enabled = True
    owner.create_bucket(bucket)
    blob = bucket.blob("x")
    blob.upload_from_string("1")
    first = blob.generation
    blob.upload_from_string("2")
    with pytest.raises(exceptions.Forbidden) as refused:
        bucket.delete_blob("x", generation=first)
    assert message(refused)[1] == "retentionPolicyNotMet"
    assert [bool(one.time_deleted) for one in bucket.list_blobs(versions=True)] == [True, False]


def test_a_locked_policy_can_only_grow(owner: Client, cloud: LocalCloud) -> None:
    bucket = owner.bucket("locked")
    bucket.retention_period = DAY
    owner.create_bucket(bucket)
    blob = bucket.blob("x")
    blob.upload_from_string("x")
    bucket.lock_retention_policy()
    assert bucket.retention_policy_locked and owner.get_bucket("locked").metageneration == 2
    for period, reason, text in (
        (None, "retentionPolicyNotMet", "Bucket 'locked' has a locked Retention Policy which cannot be removed."),
        (60, "forbidden", "Cannot reduce retention duration of a locked Retention Policy for bucket 'locked'."),
    ):
        bucket.retention_period = period
        with pytest.raises(exceptions.Forbidden) as refused:
            bucket.patch()
        bucket.reload()
        assert message(refused) == (403, reason, text)
    left_out = owner._http.put(f"{HOST}/storage/v1/b/locked", json={"labels": {"a": "b"}})
    assert left_out.status_code == 403 and "which cannot be removed" in left_out.json()["error"]["message"]
    bucket.retention_period = 2 * DAY
    bucket.patch()
    with pytest.raises(exceptions.Conflict):
        bucket.delete(force=False)
    launch.forward(cloud.root, 2 * DAY)
    blob.delete()
    bucket.delete()


def test_locking_asks_for_the_metageneration_and_for_something_to_lock(bucket: Bucket, session: Any) -> None:
    url = f"{HOST}/storage/v1/b/{bucket.name}/lockRetentionPolicy"

    def lock(query: str) -> tuple[int, str, str]:
        error = session.post(url + query).json()["error"]
        return error["code"], error["errors"][0]["reason"], error["message"]

    assert lock("") == (400, "required", "Required parameter: ifMetagenerationMatch")
    nothing = f"Bucket '{bucket.name}' does not have an unlocked retention policy."
    assert lock("?ifMetagenerationMatch=1") == (400, "invalid", nothing)
    bucket.retention_period = 1
    bucket.patch()
    assert lock("?ifMetagenerationMatch=1")[:2] == (412, "conditionNotMet")
    bucket.retention_period = None
    bucket.patch()


@pytest.mark.parametrize("period", [0, -1, 3_155_760_001])
def test_periods_that_can_not_be(bucket: Bucket, session: Any, period: int) -> None:
    url = f"{HOST}/storage/v1/b/{bucket.name}"
    error = session.patch(url, json={"retentionPolicy": {"retentionPeriod": str(period)}}).json()["error"]
    text = "Retention policy must have a retention period greater than 0 and less than 100 years."
    assert (error["code"], error["message"]) == (400, text)


@pytest.fixture(scope="module")
def retaining(owner: Client) -> Bucket:
    """A bucket whose objects may have retentions of their own."""
    return owner.create_bucket("retaining", enable_object_retention=True)


def soon(cloud: LocalCloud, days: float) -> datetime:
    return datetime.fromisoformat(launch.forward(cloud.root, 0)["now"]) + timedelta(days=days)


def test_a_retention_of_an_objects_own(retaining: Bucket, cloud: LocalCloud) -> None:
    assert retaining.object_retention_mode == "Enabled"
    blob = retaining.blob("own")
    blob.upload_from_string("x")
    blob.retention.mode, blob.retention.retain_until_time = "Unlocked", soon(cloud, 10)
    blob.patch()
    blob.reload()
    assert blob.retention_expiration_time is not None and blob.retention.mode == "Unlocked"
    with pytest.raises(exceptions.Forbidden, match="cannot be deleted or overwritten until"):
        blob.delete()
    unlocked = (
        "The unlocked object retention cannot be removed and its retention period cannot be shortened without "
        "overriding unlocked retention intent and permission."
    )
    blob.retention.retain_until_time = soon(cloud, 5)
    with pytest.raises(exceptions.Forbidden) as refused:
        blob.patch()
    assert message(refused) == (403, "forbidden", unlocked)
    blob.retention.retain_until_time = soon(cloud, 5)
    blob.patch(override_unlocked_retention=True)
    blob.retention.mode, blob.retention.retain_until_time = "Locked", soon(cloud, 6)
    with pytest.raises(exceptions.Forbidden) as refused:
        blob.patch()
    assert message(refused) == (403, "forbidden", unlocked)
    blob.retention.mode, blob.retention.retain_until_time = "Locked", soon(cloud, 6)
    blob.patch(override_unlocked_retention=True)
    locked = (
        "The locked object retention cannot be removed. Its retention mode cannot be changed and its retention period "
        "cannot be shortened."
    )
    for mode, until in (("Unlocked", soon(cloud, 7)), ("Locked", soon(cloud, 1)), (None, None)):
        blob.retention.mode, blob.retention.retain_until_time = mode, until
        with pytest.raises(exceptions.Forbidden) as refused:
            blob.patch(override_unlocked_retention=True)
        assert message(refused) == (403, "forbidden", locked)
    blob.retention.mode, blob.retention.retain_until_time = "Locked", soon(cloud, 8)
    blob.patch()
    launch.forward(cloud.root, 8 * DAY)
    blob.delete()


@pytest.mark.parametrize(
    ("retention", "text"),
    [
        (
            {"retainUntilTime": "2999-01-01T00:00:00Z"},
            "Missing retention mode. Both mode and retain until time are required.",
        ),
        ({"mode": "Locked"}, "Missing retain until time. Both mode and retain until time are required."),
        ({"mode": "Soft", "retainUntilTime": "2999-01-01T00:00:00Z"}, "Invalid value for: Soft is not a valid value"),
        ({"mode": "Locked", "retainUntilTime": "2001-01-01T00:00:00Z"}, "Retain until time cannot be in the past."),
        (
            {"mode": "Locked", "retainUntilTime": "2027-01-01"},
            "Parse Error: Invalid value for type.googleapis.com/google.protobuf.Timestamp field: 'Field "
            "'retainUntilTime', Illegal timestamp format; timestamps must end with 'Z' or have a valid timezone "
            "offset.'.",
        ),
    ],
)
def test_retentions_that_can_not_be(retaining: Bucket, owner: Client, retention: dict[str, str], text: str) -> None:
    retaining.blob("bad").upload_from_string("x")
    answer = owner._http.patch(f"{HOST}/storage/v1/b/retaining/o/bad", json={"retention": retention})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, text)


def test_retention_asks_for_a_bucket_that_has_it_and_for_no_event_based_hold(
    retaining: Bucket, owner: Client, bucket: Bucket, session: Any
) -> None:
    bucket.blob("x").upload_from_string("x")
    retention = {"mode": "Unlocked", "retainUntilTime": "2050-01-01T00:00:00Z"}
    answer = session.patch(f"{HOST}/storage/v1/b/{bucket.name}/o/x", json={"retention": retention})
    assert answer.json()["error"]["message"] == "Object retention is not enabled on the bucket."
    blob = retaining.blob("both")
    blob.upload_from_string("x")
    blob.event_based_hold = True
    blob.patch()
    answer = owner._http.patch(f"{HOST}/storage/v1/b/retaining/o/both", json={"retention": retention})
    assert answer.json()["error"]["message"] == "Retention and event based holds cannot be configured together."


def test_what_protects_survives_a_kill(new_cloud: Start) -> None:
    import psutil

    cloud = new_cloud()
    session = cloud.session()
    client = storage.Client(project=cloud.project, credentials=session.credentials, _http=session)
    bucket = client.bucket("kept-over-a-kill")
    bucket.retention_period = DAY
    client.create_bucket(bucket)
    blob = bucket.blob("x")
    blob.upload_from_string("x")
    blob.temporary_hold = True  # by a patch: the client leaves holds out of uploads
    blob.patch()
    process = psutil.Process(cloud.server["pid"])
    process.kill()
    process.wait(10)
    cloud = new_cloud()
    again = cloud.session()
    for hold in (True, False):
        url = f"{HOST}/storage/v1/b/kept-over-a-kill/o/x"
        assert again.patch(url, json={"temporaryHold": hold}).status_code == 200
        error = again.delete(url).json()["error"]
        assert error["errors"][0]["reason"] == ("forbidden" if hold else "retentionPolicyNotMet")
