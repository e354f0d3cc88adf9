"""The XML API's buckets, lists, copies, resumable uploads and lists of uploads, as any HTTP client may use them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

HOST = "https://storage.googleapis.com"
LISTS = "{http://doc.s3.amazonaws.com/2006-03-01}"
UPLOADS = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def read(answer) -> ElementTree.Element:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/xml; charset=UTF-8"
    return ElementTree.fromstring(answer.content)


def texts(root: ElementTree.Element, path: str) -> list[str]:
    return [found.text or "" for found in root.findall("/".join(f"{LISTS}{part}" for part in path.split("/")))]


@pytest.fixture(scope="module")
def full(client) -> Iterator[str]:
    """The name of a bucket with some objects."""
    made = client.create_bucket("listed-as-xml", location="us-central1")
    for name in ("a", "b/1", "b/2", "c & <d>/x", "e", "한글"):
        made.blob(name).upload_from_string("hello")
    yield made.name
    made.delete(force=True)


def pages(session, bucket: str, query: dict[str, str], marker: str, following: str) -> tuple[list[str], list[str]]:
    """(keys, prefixes) of all pages."""
    keys, prefixes, more = [], [], {}
    while True:
        root = read(session.get(f"{HOST}/{bucket}", params=query | more))
        keys += texts(root, "Contents/Key")
        prefixes += texts(root, "CommonPrefixes/Prefix")
        assert len(texts(root, "Contents/Key")) + len(texts(root, "CommonPrefixes/Prefix")) <= int(query["max-keys"])
        if texts(root, "IsTruncated") == ["false"]:
            assert not texts(root, following)
            return keys, prefixes
        more = {marker: texts(root, following)[0]}


@pytest.mark.parametrize(
    ("version", "marker", "following"),
    [({}, "marker", "NextMarker"), ({"list-type": "2"}, "continuation-token", "NextContinuationToken")],
)
@pytest.mark.parametrize("size", ["1", "2", "3", "1000", "5000"])
def test_a_list_goes_on_page_by_page(session, full, version, marker, following, size):
    query = {"max-keys": size} | version
    keys, prefixes = pages(session, full, query, marker, following)
    assert (keys, prefixes) == (["a", "b/1", "b/2", "c & <d>/x", "e", "한글"], [])
    keys, prefixes = pages(session, full, query | {"delimiter": "/"}, marker, following)
    assert (keys, prefixes) == (["a", "e", "한글"], ["b/", "c & <d>/"])
    keys, prefixes = pages(session, full, query | {"prefix": "b/"}, marker, following)
    assert keys == ["b/1", "b/2"]


def test_a_list_tells_what_is_known_of_each(client, session, full):
    root = read(session.get(f"{HOST}/{full}?list-type=2&start-after=b/2&encoding-type=url&max-keys=1&prefix=c"))
    shown = [(child.tag.removeprefix(LISTS), child.text) for child in root if not len(child)]
    assert [pair for pair in shown if pair[0] != "NextContinuationToken"] == [
        ("Name", full),
        ("Prefix", "c"),
        ("StartAfter", "b/2"),
        ("KeyCount", "1"),
        ("MaxKeys", "1"),
        ("EncodingType", "url"),
        ("IsTruncated", "false"),
    ]
    (entry,) = root.findall(f"{LISTS}Contents")
    values = {child.tag.removeprefix(LISTS): child.text or "" for child in entry}
    assert unquote(values["Key"]) == "c & <d>/x" and "&" not in values["Key"]
    blob = client.bucket(full).get_blob("c & <d>/x")
    assert (values["Generation"], values["MetaGeneration"], values["Size"]) == (str(blob.generation), "1", "5")
    assert values["ETag"] == '"5d41402abc4b2a76b9719d911017c592"' and values["StorageClass"] == "STANDARD"
    assert values["LastModified"].endswith("Z")


def test_a_marker_need_not_be_there(session, full):
    assert texts(read(session.get(f"{HOST}/{full}?marker=b/15")), "Contents/Key") == ["b/2", "c & <d>/x", "e", "한글"]


@pytest.mark.parametrize("query", ["max-keys=x", "max-keys=-1", "encoding-type=x", "list-type=2&continuation-token=x"])
def test_a_bad_list_is_refused(session, full, query):
    answer = session.get(f"{HOST}/{full}?{query}")
    assert answer.status_code == 400 and "<Code>InvalidArgument</Code>" in answer.text


def test_a_bucket_is_made_shown_and_removed(client, session, local_cloud):
    url = f"{HOST}/made-by-xml"
    gone = session.get(url)
    assert gone.status_code == 404 and "<Code>NoSuchBucket</Code>" in gone.text
    body = (
        "<CreateBucketConfiguration><LocationConstraint>us-central1</LocationConstraint>"
        "<StorageClass>NEARLINE</StorageClass></CreateBucketConfiguration>"
    )
    assert session.put(url, data=body, headers={"x-goog-project-id": local_cloud.project}).status_code == 200
    made = client.get_bucket("made-by-xml")
    assert (made.location, made.storage_class) == ("US-CENTRAL1", "NEARLINE")
    again = session.put(url)
    assert again.status_code == 409 and "<Code>BucketAlreadyOwnedByYou</Code>" in again.text
    assert session.head(url).status_code == 200
    assert read(session.get(f"{url}?location")).text == "US-CENTRAL1"
    assert not list(read(session.get(f"{url}?versioning")))
    status = "<VersioningConfiguration><Status>{}</Status></VersioningConfiguration>"
    assert session.put(f"{url}?versioning", data=status.format("Enabled")).status_code == 200
    assert texts(read(session.get(f"{url}?versioning")), "Status") == ["Enabled"]
    assert session.put(f"{url}?versioning", data=status.format("On")).status_code == 400
    assert "made-by-xml" in texts(read(session.get(f"{HOST}/")), "Buckets/Bucket/Name")
    session.put(f"{url}/x", data=b"x")
    full = session.delete(url)
    assert full.status_code == 409 and "<Code>BucketNotEmpty</Code>" in full.text
    for version in texts(read(session.get(f"{url}?versions")), "Version/Generation"):
        assert session.delete(f"{url}/x?generation={version}").status_code == 204
    assert session.delete(url).status_code == 204
    assert session.head(url).status_code == 404
    for data in ("<a>", "no xml"):
        bad = session.put(url, data=data)
        assert bad.status_code == 400 and "<Code>MalformedXML</Code>" in bad.text


BOMB = '<!DOCTYPE a [<!ENTITY b0 "ha">{}]>'.format(
    "".join(f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 10))
)
FILE = '<!DOCTYPE a [<!ENTITY b9 SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    "head",
    [BOMB, FILE, "<!DOCTYPE a>", '<!DOCTYPE a SYSTEM "http://x.example/">', '<?xml version="1.0" encoding="none"?>'],
)
def test_a_document_type_is_malformed(client, session, head):
    bucket = client.bucket("never-made-by-xml")
    made = "<CreateBucketConfiguration><LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>"
    inner = "US" if "b9" not in head else "&b9;"
    refused = [session.put(f"{HOST}/{bucket.name}", data=head + made.format(inner))]
    there = client.bucket(f"typed-{len(head)}")
    there.create()
    upload = session.post(f"{HOST}/{there.name}/x?uploads").text.split("<UploadId>")[1].split("<")[0]
    parts = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>"
    refused.append(session.post(f"{HOST}/{there.name}/x?uploadId={upload}", data=head + parts.format(inner)))
    for answer in refused:
        assert answer.status_code == 400 and "<Code>MalformedXML</Code>" in answer.text
        assert "The XML you provided was not well-formed." in answer.text
    assert not bucket.exists()


def test_versions_are_listed(client, session):
    bucket = client.create_bucket("versions-as-xml")
    bucket.versioning_enabled = True
    bucket.patch()
    for _ in range(2):
        bucket.blob("x").upload_from_string("x")
    bucket.blob("y").upload_from_string("y")
    url = f"{HOST}/{bucket.name}?versions"
    root = read(session.get(url))
    assert root.tag == f"{LISTS}ListVersionsResult"
    assert list(zip(texts(root, "Version/Key"), texts(root, "Version/IsLatest"), strict=True)) == [
        ("x", "false"),
        ("x", "true"),
        ("y", "true"),
    ]
    every, seen, more = texts(root, "Version/Generation"), [], ""
    while True:
        page = read(session.get(f"{url}&max-keys=1{more}"))
        seen += texts(page, "Version/Generation")
        if texts(page, "IsTruncated") == ["false"]:
            break
        more = (
            f"&key-marker={texts(page, 'NextKeyMarker')[0]}&version-id-marker={texts(page, 'NextVersionIdMarker')[0]}"
        )
    assert seen == every
    bucket.versioning_enabled = False
    bucket.patch()
    for blob in client.list_blobs(bucket, versions=True):
        bucket.delete_blob(blob.name, generation=blob.generation)
    bucket.delete()


def test_an_object_is_copied(bucket, session):
    source = bucket.blob("from & where")
    source.metadata = {"k": "v"}
    source.upload_from_string("hello", content_type="text/x")
    copy = {"x-goog-copy-source": f"/{bucket.name}/from%20%26%20where"}
    root = read(session.put(f"{HOST}/{bucket.name}/to", headers=copy))
    assert root.tag == f"{LISTS}CopyObjectResult" and texts(root, "ETag") == ['"5d41402abc4b2a76b9719d911017c592"']
    made = bucket.get_blob("to")
    assert (made.content_type, made.metadata, made.download_as_bytes()) == ("text/x", {"k": "v"}, b"hello")
    changed = copy | {"x-goog-metadata-directive": "REPLACE", "Content-Type": "text/y", "x-goog-meta-n": "1"}
    read(session.put(f"{HOST}/{bucket.name}/to", headers=changed))
    made = bucket.get_blob("to")
    assert (made.content_type, made.metadata) == ("text/y", {"n": "1"})
    source.reload()
    for headers, status, code in (
        ({"x-goog-copy-source-if-generation-match": "1"}, 412, "PreconditionFailed"),
        ({"x-goog-if-generation-match": "0"}, 412, "PreconditionFailed"),
        ({"x-goog-copy-source-if-modified-since": "x"}, 501, "NotImplemented"),
        ({"x-amz-copy-source": "/b/x"}, 501, "NotImplemented"),
        ({"x-goog-copy-source-generation": "1"}, 404, "NoSuchKey"),
        ({"x-goog-copy-source": f"/{bucket.name}"}, 400, "InvalidArgument"),
        ({"x-goog-copy-source": "/no-such-bucket/x"}, 404, "NoSuchBucket"),
    ):
        refused = session.put(f"{HOST}/{bucket.name}/to", headers=copy | headers)
        assert (refused.status_code, f"<Code>{code}</Code>" in refused.text) == (status, True), refused.text
    exact = {"x-goog-copy-source-if-generation-match": str(source.generation)}
    read(session.put(f"{HOST}/{bucket.name}/to", headers=copy | exact))


def test_a_resumable_upload_goes_piece_by_piece(bucket, session):
    url = f"{HOST}/{bucket.name}/dir/a%20b"
    started = session.post(url, headers={"x-goog-resumable": "start", "Content-Type": "text/x", "x-goog-meta-k": "v"})
    assert started.status_code == 201
    place = started.headers["Location"]
    assert place.startswith(f"{url}?upload_id=")
    first, second = b"x" * 262_144, b"y" * 10
    size = len(first + second)
    part = session.put(place, data=first, headers={"Content-Range": f"bytes 0-{len(first) - 1}/{size}"})
    assert (part.status_code, part.headers["Range"]) == (308, f"bytes=0-{len(first) - 1}")
    done = session.put(place, data=second, headers={"Content-Range": f"bytes {len(first)}-{size - 1}/{size}"})
    assert done.status_code == 200 and done.text == "" and "X-Goog-Generation" in done.headers
    made = bucket.get_blob("dir/a b")
    assert (made.size, made.content_type, made.metadata) == (size, "text/x", {"k": "v"})
    refused = session.post(url, headers={"x-goog-resumable": "start", "x-goog-if-generation-match": "0"})
    assert refused.status_code == 412
    cancelled = session.post(url, headers={"x-goog-resumable": "start"}).headers["Location"]
    assert session.delete(cancelled).status_code == 499
    gone = session.put(cancelled, data=b"x")
    assert gone.status_code == 404 and "<Code>NoSuchUpload</Code>" in gone.text


def test_unfinished_uploads_and_their_parts_are_listed(bucket, session):
    url = f"{HOST}/{bucket.name}"
    uploads = []
    for name in ("a", "b", "c"):
        uploads.append(session.post(f"{url}/{name}?uploads").text.split("<UploadId>")[1].split("<")[0])
    for number in (1, 2, 3):
        session.put(f"{url}/a?partNumber={number}&uploadId={uploads[0]}", data=b"x" * number)

    def found(answer, path: str) -> list[str]:
        names = "/".join(f"{UPLOADS}{part}" for part in path.split("/"))
        return [one.text or "" for one in read(answer).findall(names)]

    every = session.get(f"{url}?uploads")
    assert (found(every, "Upload/Key"), found(every, "Upload/UploadId")) == (["a", "b", "c"], uploads)
    assert found(every, "IsTruncated") == ["false"]
    assert found(session.get(f"{url}?uploads&prefix=b"), "Upload/Key") == ["b"]
    page = session.get(f"{url}?uploads&max-uploads=2")
    assert (found(page, "Upload/Key"), found(page, "IsTruncated")) == (["a", "b"], ["true"])
    marker = f"key-marker={found(page, 'NextKeyMarker')[0]}&upload-id-marker={found(page, 'NextUploadIdMarker')[0]}"
    assert found(session.get(f"{url}?uploads&{marker}"), "Upload/Key") == ["c"]
    parts = session.get(f"{url}/a?uploadId={uploads[0]}&max-parts=2")
    assert (found(parts, "Part/Size"), found(parts, "IsTruncated")) == (["1", "2"], ["true"])
    marker = found(parts, "NextPartNumberMarker")[0]
    assert found(session.get(f"{url}/a?uploadId={uploads[0]}&part-number-marker={marker}"), "Part/PartNumber") == ["3"]
    assert session.get(f"{url}/a?uploadId=none").status_code == 404
    for name, upload in zip(("a", "b", "c"), uploads, strict=True):
        session.delete(f"{url}/{name}?uploadId={upload}")
    assert found(session.get(f"{url}?uploads"), "Upload/Key") == []


@pytest.mark.parametrize("header", ["x-goog-if-generation-match", "x-goog-if-metageneration-match"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_conditions_of_headers_hold(bucket, session, method, header):
    bucket.blob("x").upload_from_string("x")
    url = f"{HOST}/{bucket.name}/x"
    refused = session.request(method, url, headers={header: "7"}, data=b"y" if method == "PUT" else None)
    assert refused.status_code == 412 and "<Code>PreconditionFailed</Code>" in refused.text
    assert bucket.blob("x").download_as_bytes() == b"x"


def test_an_object_that_has_not_changed_is_not_sent_again(bucket, session):
    bucket.blob("x").upload_from_string("x")
    url = f"{HOST}/{bucket.name}/x"
    changed = session.get(url).headers["Last-Modified"]
    old = "Thu, 01 Jan 2015 00:00:00 GMT"
    assert session.get(url, headers={"If-Modified-Since": changed}).status_code == 304
    assert session.get(url, headers={"If-Modified-Since": old}).status_code == 200
    assert session.get(url, headers={"If-Unmodified-Since": changed}).status_code == 200
    assert session.get(url, headers={"If-Unmodified-Since": old}).status_code == 412
    assert session.get(url, headers={"If-Modified-Since": "yesterday"}).status_code == 200
