"""What Cloud Storage allows of one object: sizes, times, how often it changes; versions, conditions, packed bytes."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.storage import Bucket, Client

from clouds import Start
from localcloud.core.errors import ApiError
from localcloud.core.state.kept import Damaged
from localcloud.storage.rate import MutationRate, allowed

HOST = "https://storage.googleapis.com"
TIB = 1 << 40


@pytest.mark.slow
def test_one_object_is_not_changed_hundreds_of_times_in_a_moment(bucket: Bucket, session: Any) -> None:
    upload = f"{HOST}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name="
    codes = [session.post(f"{upload}hot", data=b"x").status_code for _ in range(150)]
    assert codes.index(429) >= 100 and set(codes) == {200, 429}  # on a slow machine one a second more
    while (refused := session.post(f"{upload}hot", data=b"x")).status_code == 200:
        pass
    message = (
        f"The object {bucket.name}/hot exceeded the rate limit for object mutation operations (create, update, and "
        "delete). Please reduce your request rate. See https://cloud.google.com/storage/docs/gcs429."
    )
    entry = {"message": message, "domain": "global", "reason": "rateLimitExceeded"}
    assert refused.json() == {"error": {"code": 429, "message": message, "errors": [entry]}}
    url = f"{HOST}/storage/v1/b/{bucket.name}/o/hot"
    while (changed := session.patch(url, json={"metadata": {"a": "b"}})).status_code == 200:
        pass  # what came back in the meantime
    assert (changed.status_code, session.delete(url).status_code) == (429, 429)
    in_parts = session.put(f"{HOST}/{bucket.name}/hot", data=b"x")
    assert in_parts.status_code == 429 and "<Code>SlowDown</Code>" in in_parts.text
    assert session.post(f"{upload}other", data=b"x").status_code == 200  # others are not meant
    assert session.get(f"{HOST}/{bucket.name}/hot").content == b"x"
    bucket.blob("hot").delete()  # the client waits and tries again


@pytest.mark.slow
def test_a_resumable_upload_that_was_too_often_ends_when_tried_again(bucket: Bucket, session: Any) -> None:
    upload = f"{HOST}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=hot"
    begun = session.post(upload.replace("media", "resumable"), json={})
    while session.post(upload, data=b"x").status_code == 200:
        pass
    answer = session.put(begun.headers["location"], data=b"kept")
    for _ in range(1000):
        if answer.status_code != 429:
            break
        answer = session.put(begun.headers["location"], headers={"Content-Range": "bytes */4"})
    assert answer.status_code == 200 and session.get(f"{HOST}/{bucket.name}/hot").content == b"kept"


def test_the_rate_comes_back_with_time_and_little_is_remembered() -> None:
    now = 0.0
    rate = MutationRate(clock=lambda: now)
    for _ in range(100):
        rate.take("b", "hot")
    with pytest.raises(ApiError):
        rate.take("b", "hot")
    now = 1.0
    rate.take("b", "hot")
    with pytest.raises(ApiError):
        rate.take("b", "hot")
    for number in range(10_000):
        rate.take("b", str(number))
    assert len(rate._left) == 4096
    now = 1e6
    for _ in range(100):
        rate.take("b", "hot")
    with pytest.raises(ApiError):  # a long rest gives no more than at first
        rate.take("b", "hot")


def test_who_owns_the_cloud_says_how_often_an_object_may_change(tmp_path: Path, make_cloud: Start) -> None:
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    (root / "storage.json").write_text('{"changesAtOnce": 2, "changesPerSecond": 0.001}', encoding="utf-8")
    with make_cloud(root).session() as session:
        session.post(f"{HOST}/storage/v1/b?project=test-project", json={"name": "busy"}).raise_for_status()
        upload = f"{HOST}/upload/storage/v1/b/busy/o?uploadType=media&name=hot"
        assert [session.post(upload, data=b"x").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("text", ['{"changesAtOnce": 0}', '{"changesPerSecond": "1"}', '{"changes": 1}', "[]", "{"])
def test_settings_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "storage.json").write_text(text, encoding="utf-8")
    with pytest.raises(Damaged) as told:
        allowed(tmp_path)
    assert "it may have changesAtOnce, changesPerSecond" in str(told.value.hint)


def test_a_custom_time_only_grows(bucket: Bucket, session: Any) -> None:
    blob = bucket.blob("x")
    blob.custom_time = datetime(2026, 3, 1, 12, 0, 0, 500000, tzinfo=UTC)
    blob.upload_from_string("x")
    assert session.get(f"{HOST}/storage/v1/b/{bucket.name}/o/x").json()["customTime"] == "2026-03-01T12:00:00.500Z"
    blob.custom_time = datetime(2026, 2, 1, tzinfo=UTC)
    with pytest.raises(exceptions.BadRequest) as refused:
        blob.patch()
    assert refused.value.errors[0]["message"] == (
        "Custom time cannot be decreased. Previously: 2026-03-01T12:00:00.5+00:00. "
        "Attempting to set: 2026-02-01T00:00:00+00:00."
    )
    blob.custom_time = datetime(2026, 3, 2, tzinfo=UTC)
    blob.patch()
    url = f"{HOST}/storage/v1/b/{bucket.name}/o/x"
    assert session.patch(url, json={"customTime": None}).status_code == 400
    assert session.put(url, json={"metadata": {}}).json()["customTime"] == "2026-03-02T00:00:00Z"
    parse = (
        "Parse Error: Invalid value for type.googleapis.com/google.protobuf.Timestamp field: 'Field 'customTime', "
        "Illegal timestamp format; timestamps must end with 'Z' or have a valid timezone offset.'."
    )
    for wrong in ("2026-04-01", "tomorrow", 5, "2026-13-01T00:00:00Z"):
        assert session.patch(url, json={"customTime": wrong}).json()["error"]["message"] == parse
    bad = {"x-goog-custom-time": "soon"}
    assert session.put(f"{HOST}/{bucket.name}/y", data=b"", headers=bad).status_code == 400


@pytest.mark.parametrize(("size", "code"), [(5 * TIB, 200), (5 * TIB + 1, 413)], ids=["as large as can be", "larger"])
def test_an_object_of_more_than_5_tib_is_refused_before_it_is_sent(
    bucket: Bucket, session: Any, size: int, code: int
) -> None:
    url = f"{HOST}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=x"
    begun = session.post(url, json={}, headers={"X-Upload-Content-Length": str(size)})
    assert begun.status_code == code
    if code == 413:
        assert begun.json()["error"]["errors"][0]["reason"] == "uploadTooLarge"
        begun = session.post(url, json={})
        piece = {"Content-Range": f"bytes 0-0/{size}"}
        assert session.put(begun.headers["location"], data=b"x", headers=piece).status_code == 413


def test_the_answer_to_an_upload_has_the_wanted_fields(bucket: Bucket, session: Any) -> None:
    url = f"{HOST}/upload/storage/v1/b/{bucket.name}/o?name=x&fields=name,size&uploadType="
    assert session.post(f"{url}media", data=b"x").json() == {"name": "x", "size": "1"}
    begun = session.post(f"{url}resumable", json={})
    assert session.put(begun.headers["location"], data=b"xy").json() == {"name": "x", "size": "2"}


def test_etags_are_conditions_too(bucket: Bucket, session: Any) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string("x")
    url, media = f"{HOST}/storage/v1/b/{bucket.name}/o/x", f"{HOST}/storage/v1/b/{bucket.name}/o/x?alt=media"
    etag = session.get(url).json()["etag"]
    for target in (url, media):
        assert session.get(target, headers={"If-Match": etag}).status_code == 200
        assert session.get(target, headers={"If-None-Match": '"other"'}).status_code == 200
        for same in (etag, f'W/"{etag}"', f'"no", "{etag}"', "*"):
            found = session.get(target, headers={"If-None-Match": same})
            assert (found.status_code, found.content) == (304, b"")
        assert session.get(target, headers={"If-Match": "other"}).status_code == 412
        assert (
            session.get(f"{target}{'&' if '?' in target else '?'}ifGenerationNotMatch={blob.generation}").status_code
            == 304
        )
        assert session.get(f"{target}{'&' if '?' in target else '?'}ifMetagenerationNotMatch=1").status_code == 304
    assert session.patch(url, json={"metadata": {"a": "b"}}, headers={"If-Match": "other"}).status_code == 412
    assert session.patch(url, json={"metadata": {"a": "b"}}, headers={"If-Match": etag}).status_code == 200
    assert session.delete(url, headers={"If-Match": etag}).status_code == 412  # its metadata changed
    with pytest.raises(exceptions.PreconditionFailed):
        blob.reload(if_etag_match=etag)
    there = f"{HOST}/storage/v1/b/{bucket.name}"
    bucket_etag = session.get(there).json()["etag"]
    for query, headers, status in (
        ("", {"If-None-Match": bucket_etag}, 304),
        ("", {"If-None-Match": '"other"'}, 200),
        ("?ifMetagenerationNotMatch=1", {}, 304),
        ("?ifMetagenerationNotMatch=2", {}, 200),
        ("?ifMetagenerationMatch=2", {}, 412),
    ):
        assert session.get(f"{there}{query}", headers=headers).status_code == status


def test_etags_of_the_xml_api_are_its_own(bucket: Bucket, session: Any) -> None:
    bucket.blob("x").upload_from_string("x")
    url = f"{HOST}/{bucket.name}/x"
    etag = session.get(url).headers["ETag"]
    of_json = session.get(f"{HOST}/storage/v1/b/{bucket.name}/o/x").json()["etag"]
    assert etag == '"9dd4e461268c8034f5c8564e155c67a6"'
    for method in (session.get, session.head):
        assert method(url, headers={"If-None-Match": etag}).status_code == 304
        assert method(url, headers={"If-Match": etag}).status_code == 200
        assert method(url, headers={"If-None-Match": of_json}).status_code == 200
        assert method(url, headers={"If-Match": of_json}).status_code == 412


def test_generation_zero_means_that_there_is_none(bucket: Bucket) -> None:
    blob = bucket.blob("x")
    with pytest.raises(exceptions.PreconditionFailed):
        blob.upload_from_string("x", if_generation_not_match=0)
    blob.upload_from_string("x", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.copy_blob(blob, bucket, "x", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("x").compose([blob], if_generation_match=0)
    blob.upload_from_string("y", if_generation_not_match=0)
    blob.delete(if_generation_not_match=0)


def test_versions_stay_when_versioning_is_suspended(bucket: Bucket, client: Client) -> None:
    bucket.versioning_enabled = True
    bucket.patch()
    blob = bucket.blob("x")
    for text in ("1", "2"):
        blob.upload_from_string(text)
    bucket.versioning_enabled = False
    bucket.patch()
    blob.upload_from_string("3")  # takes the place of 2, which is not kept
    versions = list(client.list_blobs(bucket, versions=True, fields="items(name,generation,timeDeleted),nextPageToken"))
    assert [one.time_deleted is not None for one in versions] == [True, False]
    texts = [bucket.blob("x", generation=one.generation).download_as_bytes() for one in versions]
    assert texts == [b"1", b"3"]


def test_packed_bytes_by_what_the_reader_takes(bucket: Bucket, session: Any) -> None:
    text = b"word " * 50_000
    packed = gzip.compress(text)
    blob = bucket.blob("packed")
    blob.content_encoding = "gzip"
    blob.upload_from_string(packed, content_type="text/plain")
    url = f"{HOST}/storage/v1/b/{bucket.name}/o/packed?alt=media"
    plain = session.get(url, headers={"Accept-Encoding": "identity", "Range": "bytes=10-19"})
    assert plain.status_code == 200 and plain.content == text  # a range of what is unpacked there is not
    assert "content-encoding" not in plain.headers and "content-range" not in plain.headers
    stored = plain.headers["x-goog-stored-content-encoding"], plain.headers["x-goog-stored-content-length"]
    assert stored == ("gzip", str(len(packed)))
    for read in (
        session.get(url, headers={"Accept-Encoding": "gzip"}, stream=True),
        session.get(url, headers={"Accept-Encoding": "gzip, deflate, br"}, stream=True),
    ):
        assert read.headers["content-encoding"] == "gzip" and read.headers["content-length"] == str(len(packed))
        assert read.raw.read(decode_content=False) == packed
    part = session.get(url, headers={"Accept-Encoding": "gzip", "Range": "bytes=0-1"}, stream=True)
    assert part.status_code == 206 and part.raw.read(decode_content=False) == packed[:2]
    blob.cache_control = "no-transform"
    blob.patch()
    kept = session.get(url, headers={"Accept-Encoding": "identity"}, stream=True)
    assert kept.headers["content-encoding"] == "gzip" and kept.raw.read(decode_content=False) == packed
    assert blob.download_as_bytes(raw_download=True) == packed
    assert blob.download_as_bytes() == text


def test_what_only_says_that_it_is_packed_comes_as_it_is(bucket: Bucket, session: Any) -> None:
    blob = bucket.blob("not-packed")
    blob.content_encoding = "gzip"
    blob.upload_from_string(b"plain")
    url = f"{HOST}/storage/v1/b/{bucket.name}/o/not-packed?alt=media"
    with session.get(url, headers={"Accept-Encoding": "identity"}, stream=True) as answer:
        assert answer.raw.read(decode_content=False) == b"plain"


@pytest.mark.parametrize(
    "change",
    [
        {"autoclass": {"enabled": True}},
        {"hierarchicalNamespace": {"enabled": True}},
        {"encryption": {"defaultKmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}},
        {"ipFilter": {"mode": "Enabled"}},
    ],
)
def test_settings_without_an_effect_here_are_refused(bucket: Bucket, session: Any, change: dict[str, Any]) -> None:
    answer = session.patch(f"{HOST}/storage/v1/b/{bucket.name}", json=change)
    assert answer.status_code == 501
    assert answer.json()["error"]["message"].startswith("not emulated by the local cloud: ")


@pytest.mark.parametrize(
    "change",
    [
        {"versioning": {"enabled": "yes"}},
        {"versioning": True},
        {"defaultEventBasedHold": "yes"},
        {"retentionPolicy": []},
        {"lifecycle": []},
        {"softDeletePolicy": 7},
    ],
)
def test_settings_of_another_shape_are_refused(bucket: Bucket, session: Any, change: dict[str, Any]) -> None:
    answer = session.patch(f"{HOST}/storage/v1/b/{bucket.name}", json=change)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "Invalid argument.")


def test_a_slash_that_is_not_encoded_leads_nowhere(bucket: Bucket, session: Any) -> None:
    bucket.blob("a/b").upload_from_string("x")
    there = f"{HOST}/storage/v1/b/{bucket.name}/o"
    assert session.get(f"{there}/a%2Fb").json()["name"] == "a/b"
    for method, rest in (("GET", "a/b"), ("GET", "a/b?alt=media"), ("DELETE", "a/b"), ("PATCH", "a/b/c")):
        answer = session.request(method, f"{there}/{rest}", json={} if method == "PATCH" else None)
        assert answer.status_code == 404 and "Not Found" in answer.text  # of media it is told as text
    assert session.get(f"{there}/a/watch").status_code == 501
