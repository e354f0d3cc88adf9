"""Objects by the official client: written, read, described, guarded, deleted."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core import exceptions
from google.cloud.storage import Blob
from google.cloud.storage.exceptions import DataCorruption

MIB = 1 << 20


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, MIB, 3 * MIB + 17])
@pytest.mark.parametrize("chunk_size", [None, 256 * 1024])
def test_bytes_come_back_as_they_went(bucket, size, chunk_size):
    data = os.urandom(size)
    blob = bucket.blob("data/file.bin", chunk_size=chunk_size)  # a chunk size makes the client upload resumably
    blob.upload_from_file(io.BytesIO(data), content_type="application/x-test")
    assert blob.size == size and blob.content_type == "application/x-test"
    assert blob.md5_hash == base64.b64encode(hashlib.md5(data).digest()).decode()
    assert bucket.blob("data/file.bin").download_as_bytes() == data


@pytest.mark.parametrize("length_known", [True, False])
def test_a_stream_is_uploaded_with_and_without_its_length(bucket, length_known):
    data = os.urandom(2 * MIB)
    blob = bucket.blob("stream")
    blob.chunk_size = 256 * 1024
    blob.upload_from_file(io.BytesIO(data), size=len(data) if length_known else None)
    with blob.open("rb") as file:
        assert file.read(10) == data[:10]
        file.seek(-10, os.SEEK_END)
        assert file.read() == data[-10:]
    with bucket.blob("written").open("wb", chunk_size=256 * 1024) as file:
        file.write(data)
    assert bucket.blob("written").download_as_bytes() == data


@pytest.mark.parametrize(
    "name", ["plain", "a/b/c", "dir/", "ü ñ 漢字 🎈", "a b+c&d=e?f#g%2F:h;i@j", "..a", "*", "a" * 1024, "q'\"\\"]
)
def test_names_of_all_kinds_work_everywhere(bucket, client, name):
    bucket.blob(name).upload_from_string("x")
    assert [blob.name for blob in client.list_blobs(bucket)] == [name]
    blob = bucket.get_blob(name)
    assert blob is not None and blob.name == name and blob.download_as_bytes() == b"x"
    blob.metadata = {"seen": "yes"}
    blob.patch()
    assert bucket.rename_blob(blob, f"{name[:900]}.new").download_as_bytes() == b"x"
    assert not bucket.blob(name).exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 1025, "The specified object name is not valid."),
        ("ü" * 513, "The specified object name is not valid."),
        (".", "The specified object name is not valid."),
        ("..", "The specified object name is not valid."),
        (".well-known/acme-challenge/x", "The specified object name is not valid."),
        ("a\nb", "Disallowed unicode characters present in object name 'a\nb'"),
        ("a\rb", "Disallowed unicode characters present in object name 'a\rb'"),
    ],
)
def test_object_names_that_cannot_be_are_refused(bucket, name, message):
    with pytest.raises(exceptions.BadRequest) as refused:
        bucket.blob(name).upload_from_string("x")
    entry = {"message": message, "domain": "global", "reason": "invalid"}
    assert refused.value.response.json() == {"error": {"code": 400, "message": message, "errors": [entry]}}


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 0, b"0"), (2, 5, b"2345"), (5, None, b"56789"), (0, 99, b"0123456789"), (-3, None, b"789"), (9, 9, b"9")],
)
def test_ranges(bucket, start, end, expected):
    blob = bucket.blob("digits")
    blob.upload_from_string("0123456789")
    assert blob.download_as_bytes(start=start, end=end) == expected


@pytest.mark.parametrize(("data", "start"), [(b"0123456789", 10), (b"0123456789", 99), (b"", 0)])
def test_a_range_after_the_end_is_refused(bucket, data, start):
    blob = bucket.blob("digits")
    blob.upload_from_string(data)
    with pytest.raises(exceptions.RequestRangeNotSatisfiable, match="Request range not satisfiable"):
        blob.download_as_bytes(start=start, end=start + 5)


@pytest.mark.parametrize("generation", ["x", "1.5", str(1 << 63), "-" + "9" * 30, "9" * 5000])
def test_a_generation_is_a_number_of_64_bits(bucket, session, generation):
    bucket.blob("x").upload_from_string("x")
    url = f"https://storage.googleapis.com/storage/v1/b/{bucket.name}/o/x"
    for query in (f"generation={generation}", f"ifGenerationMatch={generation}"):
        answer = session.get(f"{url}?{query}")
        message = f"Invalid unsigned long value: '{generation}'"
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)


@pytest.mark.parametrize("said", [{"contentType": 5}, {"contentType": ["a/b"]}, {"cacheControl": {}}])
def test_what_is_said_is_text(bucket, session, said):
    bucket.blob("x").upload_from_string("x")
    assert session.patch(f"https://storage.googleapis.com/storage/v1/b/{bucket.name}/o/x", json=said).status_code == 400


def test_an_empty_object_in_chunks(bucket):
    bucket.blob("empty").upload_from_string("")
    into = io.BytesIO()
    bucket.blob("empty", chunk_size=256 * 1024).download_to_file(
        into
    )  # its client knows by the refusal that it is empty
    assert into.getvalue() == b""


def test_a_range_holds_for_the_version_that_is_meant(bucket, session):
    bucket.blob("digits").upload_from_string("0123456789")
    shown = session.get(f"https://storage.googleapis.com/storage/v1/b/{bucket.name}/o/digits")
    url = f"https://storage.googleapis.com/storage/v1/b/{bucket.name}/o/digits?alt=media"
    etag = shown.headers["etag"]
    assert etag == shown.json()["etag"] == session.get(url).headers["etag"]
    for meant, code in ((etag, 206), (f'"{etag}"', 206), ('"another"', 200)):
        answer = session.get(url, headers={"Range": "bytes=2-3", "If-Range": meant})
        assert (answer.status_code, answer.text) == (code, "23" if code == 206 else "0123456789")


def test_what_is_said_about_an_object_is_kept_changed_and_removed(bucket):
    blob = bucket.blob("described")
    blob.metadata = {"Owner": "me", "color": "red"}
    blob.cache_control, blob.content_disposition = "no-store", 'attachment; filename="x"'
    blob.content_language, blob.custom_time = "ko", datetime.now(UTC)
    blob.upload_from_string("x", content_type="text/csv")
    again = bucket.get_blob("described")
    assert again.metadata == {"Owner": "me", "color": "red"} and again.content_language == "ko"
    assert again.custom_time == blob.custom_time and again.content_type == "text/csv"
    assert abs(datetime.now(UTC) - again.time_created) < timedelta(minutes=1)
    again.metadata = {"color": None, "size": "big"}
    again.content_disposition = None
    again.patch()
    assert again.metadata == {"Owner": "me", "size": "big"} and again.metageneration == 2
    bare = bucket.get_blob("described")
    assert bare.content_disposition is None and bare.generation == blob.generation
    bare.metadata = {"only": "this"}
    bare.update()
    assert bucket.get_blob("described").metadata == {"only": "this"}


def test_too_much_metadata_is_refused(bucket):
    blob = bucket.blob("heavy")
    blob.metadata = {"k": "v" * 8192}
    with pytest.raises(exceptions.BadRequest):
        blob.upload_from_string("x")
    assert not blob.exists()


def test_what_is_not_there_is_told_as_google_tells_it(bucket, client):
    missing = bucket.blob("no/such")
    with pytest.raises(exceptions.NotFound) as refused:
        missing.reload()
    assert refused.value.errors[0]["message"] == f"No such object: {bucket.name}/no/such"
    assert refused.value.errors[0]["reason"] == "notFound"
    with pytest.raises(exceptions.NotFound, match=f"No such object: {bucket.name}/no/such"):
        missing.download_as_bytes()
    with pytest.raises(exceptions.NotFound, match="No such object"):
        missing.delete()
    with pytest.raises(exceptions.NotFound, match="The specified bucket does not exist"):
        client.bucket("never-made").blob("x").upload_from_string("x")
    assert bucket.get_blob("no/such") is None and not missing.exists()


def test_preconditions(bucket):
    blob = bucket.blob("guarded")
    blob.upload_from_string("1", if_generation_match=0)
    first = blob.generation
    for refused in (
        lambda: blob.upload_from_string("2", if_generation_match=0),
        lambda: blob.upload_from_string("2", if_generation_match=first + 1),
        lambda: blob.upload_from_file(io.BytesIO(b"2" * MIB), if_generation_match=first + 1),
        lambda: blob.delete(if_generation_match=first + 1),
        lambda: blob.delete(if_metageneration_match=2),
        lambda: blob.patch(if_metageneration_match=2),
        lambda: blob.patch(if_metageneration_not_match=1),
        lambda: blob.download_as_bytes(if_generation_match=first + 1),
        lambda: blob.reload(if_generation_match=first + 1),
        lambda: blob.download_as_bytes(if_metageneration_match=2),
    ):
        with pytest.raises(exceptions.PreconditionFailed, match="pre-conditions you specified did not hold"):
            refused()
    assert blob.download_as_bytes(if_generation_match=first) == b"1"
    with pytest.raises(exceptions.NotModified):
        blob.reload(if_generation_not_match=first)
    blob.upload_from_string("2", if_generation_match=first)
    assert blob.generation > first
    blob.delete(if_generation_match=blob.generation)
    with pytest.raises(exceptions.PreconditionFailed) as error:
        blob.upload_from_string("3", if_generation_not_match=0)
    assert error.value.response.json()["error"]["errors"][0]["reason"] == "conditionNotMet"


def test_generations_only_grow(bucket):
    blob = bucket.blob("again")
    generations = []
    for number in range(20):
        blob.upload_from_string(str(number))
        generations.append(blob.generation)
    assert generations == sorted(set(generations))
    stale = Blob("again", bucket, generation=generations[0])
    with pytest.raises(exceptions.NotFound):
        stale.download_as_bytes()


def test_old_versions_are_kept_where_the_bucket_keeps_them(bucket, client):
    bucket.versioning_enabled = True
    bucket.patch()
    blob = bucket.blob("kept")
    for text in ("one", "two"):
        blob.upload_from_string(text)
    bucket.delete_blob("kept")
    assert not bucket.blob("kept").exists() and list(client.list_blobs(bucket)) == []
    versions = list(client.list_blobs(bucket, versions=True))
    assert [version.time_deleted is not None for version in versions] == [True, True]
    texts = [bucket.blob("kept", generation=version.generation).download_as_bytes() for version in versions]
    assert texts == [b"one", b"two"]
    bucket.copy_blob(blob, bucket, "kept", source_generation=versions[0].generation)  # how one brings it back
    assert bucket.blob("kept").download_as_bytes() == b"one"
    bucket.delete_blob("kept", generation=versions[1].generation)
    assert len(list(client.list_blobs(bucket, versions=True))) == 2
    with pytest.raises(exceptions.Conflict, match="The bucket you tried to delete is not empty"):
        bucket.delete()


@pytest.mark.parametrize("header", ["md5", "crc32c"])
@pytest.mark.parametrize("way", ["media", "multipart"])
def test_wrong_checksums_store_nothing(bucket, session, header, way):
    bucket.blob("sum").upload_from_string("before")
    wrong = {"md5": "1B2M2Y8AsgTpgAmY7PhCfg==", "crc32c": "AAAAAA=="}[header]
    url = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket.name}/o"
    if way == "media":
        answer = session.post(
            f"{url}?uploadType=media&name=sum", data=b"hello", headers={"X-Goog-Hash": f"{header}={wrong}"}
        )
    else:
        field = {"md5": "md5Hash", "crc32c": "crc32c"}[header]
        body = f'--b\r\n\r\n{{"name":"sum","{field}":"{wrong}"}}\r\n--b\r\n\r\nhello\r\n--b--'
        answer = session.post(
            f"{url}?uploadType=multipart", data=body, headers={"Content-Type": "multipart/related; boundary=b"}
        )
    right = {"md5": "XUFAKrxLKna5cZ2REBfFkg==", "crc32c": "mnG7TA=="}[header]
    kind = {"md5": "MD5 hash", "crc32c": "CRC32C"}[header]
    message = f'Provided {kind} "{wrong}" doesn\'t match calculated {kind} "{right}".'
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)
    assert bucket.blob("sum").download_as_bytes() == b"before"


def test_a_checksum_said_at_the_start_counts_beside_the_one_at_the_end(bucket):
    blob = bucket.blob("said")
    with pytest.raises(exceptions.BadRequest, match=r"t match calculated CRC32C \S+mnG7TA=="):
        blob.upload_from_file(io.BytesIO(b"hello"), crc32c_checksum_value="AAAAAA==")  # it sends the right one last
    assert not blob.exists()
    blob.upload_from_file(io.BytesIO(b"hello"), crc32c_checksum_value="mnG7TA==")


def test_a_client_that_sends_the_right_checksum_is_heard(bucket):
    blob = bucket.blob("sum")
    blob.upload_from_string("hello", checksum="crc32c")
    blob.upload_from_file(io.BytesIO(os.urandom(MIB)), checksum="md5")
    blob.reload()
    try:
        blob.download_as_bytes(checksum="md5")
    except DataCorruption:
        pytest.fail("the x-goog-hash header does not fit the bytes")


def test_packed_objects_are_unpacked_for_who_cannot(bucket, session):
    text = b"word " * 100_000
    blob = bucket.blob("packed")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(text), content_type="text/plain")
    assert blob.download_as_bytes() == text
    assert gzip.decompress(blob.download_as_bytes(raw_download=True)) == text
    url = f"https://storage.googleapis.com/{bucket.name}/packed"
    plain = session.get(url, headers={"Accept-Encoding": "identity"})
    assert plain.content == text and "content-encoding" not in plain.headers
    assert plain.headers["x-goog-stored-content-encoding"] == "gzip"


def test_partial_answers(bucket, session):
    bucket.blob("a/b").upload_from_string("x")
    base = f"https://storage.googleapis.com/storage/v1/b/{bucket.name}"
    for path, fields, expected in (
        ("/o/a%2Fb", "name,size", {"name": "a/b", "size": "1"}),
        ("/o", "items/name", {"items": [{"name": "a/b"}]}),
        ("/o", "items(name,size),nextPageToken", {"items": [{"name": "a/b", "size": "1"}]}),
        ("", "iamConfiguration/uniformBucketLevelAccess/enabled,name", None),
    ):
        answer = session.get(base + path, params={"fields": fields}).json()
        wanted = expected or {
            "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": False}},
            "name": bucket.name,
        }
        assert answer == wanted
    assert session.get(f"{base}/o", params={"fields": "items(name"}).status_code == 400


@pytest.mark.parametrize("kind", ["media", "resumable"])
def test_an_upload_with_a_bad_selection_makes_nothing(bucket, session, kind):
    url = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket.name}/o"
    answer = session.post(url, params={"uploadType": kind, "name": "unwanted", "fields": "name,("}, data=b"x")
    assert answer.status_code == 400
    assert not bucket.blob("unwanted").exists()


def test_reading_goes_on_while_the_object_is_overwritten(bucket, session):
    old, new = os.urandom(8 * MIB), os.urandom(8 * MIB)
    blob = bucket.blob("busy")
    blob.upload_from_string(old)
    url = f"https://storage.googleapis.com/{bucket.name}/busy"
    with session.get(url, stream=True) as answer:
        begin = answer.raw.read(1000)
        blob.upload_from_string(new)
        assert begin + answer.raw.read() == old
    blob.delete()
    assert not blob.exists()
