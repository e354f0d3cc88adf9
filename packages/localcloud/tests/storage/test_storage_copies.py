"""Objects made of objects: copied, rewritten, renamed, moved, composed."""

from __future__ import annotations

import json
import os

import pytest
from google.api_core import exceptions

MIB = 1 << 20


def test_copies_keep_bytes_and_what_is_said(bucket, client):
    data = os.urandom(MIB)
    source = bucket.blob("from")
    source.metadata, source.cache_control = {"k": "v"}, "no-store"
    source.upload_from_string(data, content_type="text/csv")
    other = client.create_bucket("copy-target")
    copied = bucket.copy_blob(source, other, "to")
    source.delete()  # the copy stands on its own
    copied = other.get_blob("to")
    assert copied.download_as_bytes() == data and copied.content_type == "text/csv"
    assert copied.metadata == {"k": "v"} and copied.md5_hash == source.md5_hash
    other.delete(force=True)


def test_rewrites(bucket):
    source = bucket.blob("from")
    source.upload_from_string("x" * 1000, content_type="text/plain")
    target = bucket.blob("to")
    target.metadata = {"new": "yes"}
    assert target.rewrite(source) == (None, 1000, 1000)
    assert bucket.get_blob("to").metadata == {"new": "yes"} and bucket.get_blob("to").content_type == "text/plain"
    target.update_storage_class("COLDLINE")
    assert bucket.get_blob("to").storage_class == "COLDLINE"
    assert target.download_as_bytes() == b"x" * 1000  # though it was rewritten onto itself
    with pytest.raises(exceptions.PreconditionFailed):
        target.rewrite(source, if_source_generation_match=1)
    with pytest.raises(exceptions.PreconditionFailed):
        target.rewrite(source, if_generation_match=0)
    with pytest.raises(exceptions.NotFound, match="No such object"):
        target.rewrite(bucket.blob("missing"))


def test_a_rename_and_a_move(bucket, session):
    blob = bucket.blob("old")
    blob.upload_from_string("x")
    new = bucket.rename_blob(blob, "new")
    assert not bucket.blob("old").exists() and new.download_as_bytes() == b"x"
    moved = bucket.move_blob(new, "moved")
    assert moved.download_as_bytes() == b"x" and not new.exists()
    with pytest.raises(exceptions.NotFound):
        bucket.move_blob(new, "again")


def test_composed_objects(bucket):
    parts = []
    for number in range(3):
        part = bucket.blob(f"part-{number}")
        part.upload_from_string(os.urandom(MIB // 2))
        parts.append(part)
    whole = bucket.blob("whole")
    whole.content_type = "application/x-whole"
    whole.compose(parts)
    assert whole.download_as_bytes() == b"".join(part.download_as_bytes() for part in parts)
    assert whole.component_count == 3 and whole.md5_hash is None and whole.content_type == "application/x-whole"
    whole.compose([whole, parts[0]], if_generation_match=whole.generation)
    assert whole.component_count == 4 and whole.size == 4 * (MIB // 2)
    with pytest.raises(exceptions.PreconditionFailed):
        whole.compose(parts, if_generation_match=1)
    with pytest.raises(exceptions.PreconditionFailed):
        whole.compose(parts, if_source_generation_match=[1, None, None])
    with pytest.raises(exceptions.NotFound, match="No such object"):
        whole.compose([parts[0], bucket.blob("missing")])
    with pytest.raises(exceptions.BadRequest, match=r"\(33\) exceeds the maximum \(32\)"):
        whole.compose([parts[0]] * 33)
    with pytest.raises(exceptions.BadRequest, match="at least one source"):
        whole.compose([])


KEY = b"k" * 32
CLOUD_KEY = "projects/p/locations/us/keyRings/r/cryptoKeys/k"


@pytest.mark.parametrize(
    "use",
    [
        lambda bucket: bucket.blob("new", encryption_key=KEY).upload_from_string("x"),
        lambda bucket: bucket.blob("old", encryption_key=KEY).download_as_bytes(),
        lambda bucket: bucket.blob("new").rewrite(bucket.blob("old", encryption_key=KEY)),
        lambda bucket: bucket.blob("new", encryption_key=KEY).rewrite(bucket.blob("old")),
        lambda bucket: bucket.blob("new", kms_key_name=CLOUD_KEY).rewrite(bucket.blob("old")),
        lambda bucket: bucket.blob("new", kms_key_name=CLOUD_KEY).upload_from_string("x"),
    ],
    ids=["up", "down", "from", "to", "rewrite by KMS", "up by KMS"],
)
def test_nothing_seems_encrypted_by_a_key_that_is_not_used(bucket, use):
    bucket.blob("old").upload_from_string("x")
    with pytest.raises(exceptions.MethodNotImplemented, match="encryption with keys of your own"):
        use(bucket)
    assert not bucket.blob("new").exists()


def test_a_rewrite_to_another_class_takes_as_many_calls_as_it_is_told(bucket, session):
    data = os.urandom(2 * MIB + 1)
    bucket.blob("from").upload_from_string(data)
    url = f"https://storage.googleapis.com/storage/v1/b/{bucket.name}/o/from/rewriteTo/b/{bucket.name}/o"
    limit = f"maxBytesRewrittenPerCall={MIB}"

    def call(query: str, name: str = "to", body: dict[str, str] | None = None):
        return session.post(f"{url}/{name}?{query}", json={"storageClass": "NEARLINE"} if body is None else body)

    written, token = [], ""
    while True:
        answer = call(f"{limit}&rewriteToken={token}").json()
        written.append(int(answer["totalBytesRewritten"]))
        if answer["done"]:
            break
        token = answer["rewriteToken"]
        assert not bucket.blob("to").exists() and answer["objectSize"] == str(len(data))
    assert written == [MIB, 2 * MIB, 2 * MIB + 1] and answer["resource"]["storageClass"] == "NEARLINE"
    assert bucket.blob("to").download_as_bytes() == data
    for query, name in (
        ("maxBytesRewrittenPerCall=5", "to"),
        ("rewriteToken=abc", "to"),
        (f"{limit}&rewriteToken={token}", "another"),
    ):
        assert call(query, name).status_code == 400
    assert call(limit, "near", {}).json()["done"]  # in the same place and class it is one call


def test_composed_objects_have_the_class_of_their_sources(bucket):
    bucket.storage_class = "COLDLINE"
    for name, kind in (("a", "NEARLINE"), ("b", "NEARLINE"), ("c", "STANDARD")):
        blob = bucket.blob(name)
        blob.storage_class = kind
        blob.upload_from_string(name)
    made = bucket.blob("ab")
    made.compose([bucket.blob("a"), bucket.blob("b")])
    assert made.storage_class == "NEARLINE"
    with pytest.raises(exceptions.BadRequest, match="must have the same storage class"):
        made.compose([bucket.blob("a"), bucket.blob("c")])


def test_the_sources_of_a_composed_object_go_for_good_when_asked(bucket, client):
    bucket.versioning_enabled = True
    bucket.patch()
    for name in "ab":
        bucket.blob(name).upload_from_string(name)
    held = bucket.blob("b")
    held.temporary_hold = True
    held.patch()
    made = bucket.blob("ab")
    with pytest.raises(exceptions.Forbidden, match="is under active Temporary hold"):
        made.compose([bucket.blob("a"), held], delete_source_objects=True)
    assert not bucket.blob("ab").exists() and bucket.blob("a").exists()
    held.temporary_hold = False
    held.patch()
    made.compose([bucket.blob("a"), bucket.blob("b")], delete_source_objects=True)
    assert made.download_as_bytes() == b"ab"
    assert [blob.name for blob in client.list_blobs(bucket, versions=True)] == ["ab"]
    assert list(client.list_blobs(bucket, soft_deleted=True)) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/o/a/rewriteTo/b/{}/o/b", {"storageClass": ["NEARLINE"]}),
        ("/o/a/rewriteTo/b/{}/o/b", {"metadata": {"k": "\ud800"}}),
        ("/o/b/compose", {"sourceObjects": [{"name": "a"}], "destination": "b"}),
        ("/o/b/compose", {"sourceObjects": [{"name": "a", "objectPreconditions": 5}]}),
        ("/o/b/compose", {"sourceObjects": [{"name": "\ud800"}]}),
    ],
)
def test_values_of_the_wrong_kind_are_refused(bucket, session, path, body):
    bucket.blob("a").upload_from_string("x")
    url = f"https://storage.googleapis.com/storage/v1/b/{bucket.name}{path.format(bucket.name)}"
    assert session.post(url, data=json.dumps(body)).status_code == 400
    assert not bucket.blob("b").exists()
