"""What other clients send: gcloud's and TensorFlow's odd requests, the XML API, cut and resumed uploads."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import os
from collections.abc import Iterator

import pytest
from google.api_core import exceptions
from google.auth.transport.requests import AuthorizedSession

from clouds.storage import connect
from localcloud.storage.errors import StorageError
from localcloud.storage.messages import Body
from localcloud.storage.uploads.multipart import MultipartReader, boundary

MIB = 1 << 20
HOST = "https://storage.googleapis.com"


@pytest.fixture
def raw(local_cloud, session) -> Iterator[http.client.HTTPSConnection]:
    """A connection on which a test writes each byte itself."""
    made = connect(local_cloud)
    yield made
    made.close()


def head(session: AuthorizedSession, line: str, *headers: str) -> bytes:
    """A request head with the session's token."""
    session.get(f"{HOST}/storage/v1/b/none")  # so that it has one
    lines = [f"{line} HTTP/1.1", "Host: storage.googleapis.com", f"Authorization: Bearer {session.credentials.token}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


def read(connection: http.client.HTTPSConnection, method: str = "POST") -> http.client.HTTPResponse:
    answer = http.client.HTTPResponse(connection.sock, method=method)
    answer.begin()
    return answer


def test_tensorflow_starts_an_upload(bucket, session, raw):
    line = f"POST /upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=dir%2Fa%20b"
    headers = ("User-Agent: TSL", "Content-Length: 0", "Transfer-Encoding: identity", "X-Upload-Content-Length: 5")
    raw.sock.sendall(head(session, line, *headers))
    answer = read(raw)
    names = [name for name, _ in answer.getheaders()]
    assert answer.status == 200 and "Location" in names, "TensorFlow minds the case of header names"
    location = answer.getheader("Location")
    answer.read()
    done = session.put(location, data=b"hello", headers={"Content-Range": "bytes 0-4/5"})
    assert done.status_code == 200 and done.json()["name"] == "dir/a b"


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("data", [b"", b"plain", b"ends with a return\r", b"\n\r\n", b"--bound", b"\r\n--boundar\r\n"])
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_multipart_bodies_of_all_clients(bucket, session, newline, data, quote):
    document = json.dumps({"name": "x", "contentType": "text/x"}).encode()
    head_of = [b"--boundary", b"Content-Type: application/json", b"", document, b"--boundary"]
    body = newline.join([*head_of, b"Content-Type: text/y", b"", data, b"--boundary--"])
    answer = session.post(
        f"{HOST}/upload/storage/v1/b/{bucket.name}/o?uploadType=multipart",
        data=body,
        headers={"Content-Type": f"multipart/related; boundary={quote}boundary{quote}"},
    )
    assert answer.status_code == 200 and answer.json()["contentType"] == "text/x"
    assert bucket.blob("x").download_as_bytes() == data


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_multipart_body_in_pieces(size, newline):
    data = b"x\r\n--b" * 50
    body = newline.join([b"--bb", b"A: b", b"", b"{}", b"--bb", b"Content-Type: t/t", b"", data, b"--bb--", b""])
    assert asyncio.run(taken(body, size)) == (b"{}", "t/t", data)


@pytest.mark.parametrize("cut", [3, 20, 60, -3])
def test_a_multipart_body_that_ends_too_soon_is_refused(cut):
    body = b"--bb\r\nA: b\r\n\r\n{}\r\n--bb\r\nContent-Type: t/t\r\n\r\nthe data\r\n--bb--"
    with pytest.raises(StorageError, match="Missing end boundary"):
        asyncio.run(taken(body[:cut], 5))


async def taken(body: bytes, size: int) -> tuple[bytes, str, bytes]:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]

    async def receive() -> dict[str, object]:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    reader = MultipartReader(Body(receive), boundary("multipart/related; boundary=bb"))
    document, content_type = await reader.metadata()
    return document, content_type, b"".join([piece async for piece in reader.data()])


def test_media_by_its_path(bucket, session):
    url = f"{HOST}/{bucket.name}/dir/a%20b"
    made = session.put(url, data=b"0123456789", headers={"Content-Type": "text/x", "X-Goog-Meta-Color": "red"})
    assert made.status_code == 200 and made.headers["etag"] == '"781e5e245d69b566979b86e28d23f2c7"'
    got = session.get(url, headers={"Range": "bytes=2-4"})
    assert (got.status_code, got.content, got.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    looked = session.head(url)
    assert looked.headers["content-length"] == "10" and looked.headers["x-goog-meta-color"] == "red"
    assert looked.headers["x-goog-hash"] == "crc32c=KAwGng==,md5=eB5eJF1ptWaXm4bijSPyxw=="
    assert session.get(f"https://{bucket.name}.storage.googleapis.com/dir/a%20b").content == b"0123456789"
    beyond = session.get(url, headers={"Range": "bytes=10-"})
    assert beyond.status_code == 416 and "<Code>InvalidRange</Code>" in beyond.text
    in_json = session.get(f"{HOST}/storage/v1/b/{bucket.name}/o/dir%2Fa%20b?alt=media", headers={"Range": "bytes=10-"})
    assert (in_json.status_code, in_json.text) == (416, "Request range not satisfiable")
    refused = session.put(url, data=b"x", headers={"x-goog-if-generation-match": "0"})
    assert refused.status_code == 412 and "<Code>PreconditionFailed</Code>" in refused.text
    assert session.delete(url).status_code == 204
    gone = session.get(url)
    assert gone.status_code == 404 and gone.headers["content-type"] == "application/xml; charset=UTF-8"
    assert "<Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>" in gone.text
    assert f"<Details>No such object: {bucket.name}/dir/a b</Details>" in gone.text


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/", {}),
        ("GET", "/BUCKET?acl", {}),
        ("GET", "/BUCKET?cors", {}),
        ("GET", "/BUCKET?lifecycle", {}),
        ("PUT", "/BUCKET?lifecycle", {}),
        ("PUT", "/BUCKET?location", {}),
        ("GET", "/BUCKET?uploads&delimiter=/", {}),
        ("POST", "/BUCKET?delete", {}),
        ("PUT", "/another", {"x-goog-acl": "public-read"}),
        ("GET", "/BUCKET/x?acl", {}),
        ("GET", "/BUCKET/x?tagging", {}),
        ("POST", "/BUCKET/x", {}),
        ("PUT", "/BUCKET/x", {"x-goog-resumable": "start"}),
        ("PUT", "/BUCKET/x", {"x-goog-acl": "public-read"}),
        ("PUT", "/BUCKET/x", {"x-goog-encryption-algorithm": "AES256"}),
    ],
)
def test_what_the_xml_api_lacks_it_says(bucket, session, method, path, headers):
    answer = session.request(method, HOST + path.replace("BUCKET", bucket.name), headers=headers)
    assert answer.status_code == 501 and "not emulated by the local cloud" in answer.text
    assert not bucket.blob("x").exists()


def test_parts_that_do_not_fit_are_refused(bucket, session):
    url = f"{HOST}/{bucket.name}/whole"
    upload = session.post(f"{url}?uploads").text.split("<UploadId>")[1].split("<")[0]
    tags = [
        session.put(f"{url}?partNumber={number}&uploadId={upload}", data=b"x" * 10).headers["etag"] for number in (1, 2)
    ]

    def complete(*parts: tuple[int, str]) -> tuple[int, str]:
        inner = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in parts)
        answer = session.post(
            f"{url}?uploadId={upload}", data=f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>"
        )
        return answer.status_code, answer.text

    for parts, code in (
        ([(1, tags[0]), (3, tags[1])], "InvalidPart"),
        ([(1, '"00"')], "InvalidPart"),
        ([(1, tags[0]), (2, tags[1])], "EntityTooSmall"),
        ([], "MalformedXML"),
    ):
        status, text = complete(*parts)
        assert status == 400 and f"<Code>{code}</Code>" in text
    wrong = session.put(f"{url}?partNumber=1&uploadId={upload}", data=b"y", headers={"Content-MD5": "AAAA"})
    assert wrong.status_code == 400 and "<Code>BadDigest</Code>" in wrong.text
    assert session.put(f"{url}?partNumber=0&uploadId={upload}", data=b"y").status_code == 400
    assert not bucket.blob("whole").exists()
    assert complete((1, tags[0]))[0] == 200
    assert bucket.blob("whole").download_as_bytes() == b"x" * 10
    other = session.post(f"{url}?uploads").text.split("<UploadId>")[1].split("<")[0]
    assert session.delete(f"{url}?uploadId={other}").status_code == 204
    assert session.put(f"{url}?partNumber=1&uploadId={other}", data=b"x").status_code == 404


def test_a_resumable_upload_step_by_step(bucket, session):
    data = os.urandom(MIB)
    bucket.blob("steps").upload_from_string("before")
    url = bucket.blob("steps").create_resumable_upload_session(content_type="text/x", size=len(data))

    def put(start: int, end: int, total: int | str = len(data)):
        return session.put(url, data=data[start:end], headers={"Content-Range": f"bytes {start}-{end - 1}/{total}"})

    def ask():
        return session.put(url, headers={"Content-Range": "bytes */*"})

    assert ask().status_code == 308 and "range" not in ask().headers
    half = put(0, MIB // 2)
    assert half.status_code == 308 and half.headers["range"] == f"bytes=0-{MIB // 2 - 1}"
    gap = put(MIB // 2 + 10, MIB)  # bytes are missing in between
    assert gap.status_code == 503 and gap.text.startswith("Invalid request.  According to the Content-Range header")
    # Sent again in part; of a piece in the middle whole 256 KiB are kept.
    assert put(1000, MIB // 2 + MIB // 4 + 1000).headers["range"] == f"bytes=0-{MIB * 3 // 4 - 1}"
    assert ask().headers["range"] == f"bytes=0-{MIB * 3 // 4 - 1}"
    assert bucket.blob("steps").download_as_bytes() == b"before"
    assert put(MIB // 2, MIB).json()["size"] == str(MIB)
    assert bucket.blob("steps").download_as_bytes() == data
    assert ask().status_code == 200 and ask().json()["name"] == "steps"  # for who missed the answer


def test_a_resumable_upload_without_redirects_and_without_an_end(bucket, session):
    """As Go's client asks for it (no 308), and Node's (a body whose end is not told)."""
    data = os.urandom(MIB)
    plain = {"X-GUploader-No-308": "yes"}

    def opened(name: str) -> str:
        return bucket.blob(name).create_resumable_upload_session(content_type="text/x")

    url = opened("go")
    half = session.put(url, data=data[: MIB // 2], headers={**plain, "Content-Range": f"bytes 0-{MIB // 2 - 1}/*"})
    asked = session.put(url, headers={**plain, "Content-Range": "bytes */*"})
    for answer in (half, asked):
        assert (answer.status_code, answer.headers["X-Http-Status-Code-Override"]) == (200, "308")
        assert answer.headers["Range"] == f"bytes=0-{MIB // 2 - 1}"
    end = {**plain, "Content-Range": f"bytes {MIB // 2}-{MIB - 1}/{MIB}"}
    done = session.put(url, data=data[MIB // 2 :], headers=end)
    assert "X-Http-Status-Code-Override" not in done.headers and done.json()["size"] == str(MIB)

    assert session.put(opened("node"), data=data, headers={"Content-Range": "bytes 0-*/*"}).json()["size"] == str(MIB)
    url = opened("continued")
    session.put(url, data=data[: MIB // 2], headers={"Content-Range": f"bytes 0-{MIB // 2 - 1}/*"})
    rest = session.put(url, data=iter([data[MIB // 2 :]]), headers={"Content-Range": f"bytes {MIB // 2}-*/*"})
    assert rest.json()["size"] == str(MIB)
    known = session.put(opened("known"), data=data, headers={"Content-Range": f"bytes 0-*/{MIB}"})
    assert known.json()["size"] == str(MIB)
    for name in ("go", "node", "continued", "known"):
        assert bucket.blob(name).download_as_bytes() == data


def test_bodies_may_come_packed(bucket, session):
    """As Java's clients send all of theirs; in the XML API it is the object that is packed."""
    packed = {"Content-Encoding": "gzip"}
    base, upload = (
        f"https://storage.googleapis.com/storage/v1/b/{bucket.name}",
        f"https://storage.googleapis.com/upload/storage/v1/b/{bucket.name}/o",
    )
    text = b"many words, " * 100_000

    media = session.post(f"{upload}?uploadType=media&name=media", data=gzip.compress(text), headers=packed)
    assert media.json()["size"] == str(len(text)) and "contentEncoding" not in media.json()
    lines = [
        b"--b",
        b"Content-Type: application/json",
        b"",
        b'{"name": "parts"}',
        b"--b",
        b"Content-Type: text/x",
        b"",
        text,
        b"--b--",
        b"",
    ]
    kind = {"Content-Type": "multipart/related; boundary=b"}
    parts = session.post(
        f"{upload}?uploadType=multipart", data=gzip.compress(b"\r\n".join(lines)), headers={**packed, **kind}
    )
    assert parts.json()["size"] == str(len(text))
    json_type = {"Content-Type": "application/json"}
    changed = session.patch(
        f"{base}/o/media", data=gzip.compress(b'{"metadata": {"a": "b"}}'), headers={**packed, **json_type}
    )
    assert changed.json()["metadata"] == {"a": "b"}
    call = f"GET /storage/v1/b/{bucket.name} HTTP/1.1\r\n\r\n".encode()
    calls = b"\r\n".join([b"--c", b"Content-Type: application/http", b"Content-ID: <1>", b"", call, b"--c--", b""])
    for slashes in ("/", "//"):
        batch = session.post(
            f"https://storage.googleapis.com{slashes}batch/storage/v1", data=gzip.compress(calls),
            headers={**packed, "Content-Type": "multipart/mixed; boundary=c"},
        )  # fmt: skip
        assert batch.status_code == 200 and f'"name":"{bucket.name}"' in batch.text.replace(" ", "")

    url, raw = f"https://storage.googleapis.com/{bucket.name}/xml", gzip.compress(text)
    assert session.put(url, data=raw, headers={**packed, "Content-Type": "application/json"}).status_code == 200
    kept = session.get(f"{base}/o/xml").json()
    assert (kept["size"], kept["contentEncoding"]) == (str(len(raw)), "gzip")

    for broken, told in ((b"no gzip", "isn't gzip"), (gzip.compress(text)[:-9], "ends in the middle")):
        refused = session.patch(f"{base}/o/media", data=broken, headers={**packed, **json_type})
        assert refused.status_code == 400 and told in refused.json()["error"]["message"]


def test_checksums_may_come_in_two_headers(bucket, raw, session):
    session.get(f"{HOST}/storage/v1/b/none")  # so that it has a token
    for crc32c, code in (("AAAAAA==", 400), ("mnG7TA==", 200)):
        raw.putrequest("PUT", f"/{bucket.name}/sums")
        for value in ("md5=XUFAKrxLKna5cZ2REBfFkg==", f"crc32c={crc32c}"):
            raw.putheader("x-goog-hash", value)
        raw.putheader("Authorization", f"Bearer {session.credentials.token}")
        raw.putheader("Content-Length", "5")
        raw.endheaders(b"hello")
        answer = raw.getresponse()
        answer.read()
        assert answer.status == code


def test_a_path_may_end_with_a_slash(bucket, session):
    assert session.get(f"{HOST}/storage/v1/b/{bucket.name}/").json()["name"] == bucket.name
    assert session.get(f"{HOST}/storage/v1/b/{bucket.name}/o/").json() == {"kind": "storage#objects"}


def test_a_piece_in_the_middle_has_256_kib_or_more(bucket, session):
    url = bucket.blob("crumbs").create_resumable_upload_session()
    for piece, span in ((b"x" * 1024, "0-1023/2048"), (b"x" * MIB, f"0-{MIB - 1}/{MIB}")):
        refused = session.put(url, data=piece, headers={"Content-Range": f"bytes {span}"})
        assert refused.status_code == 400  # a session that was used wrongly is over
        assert refused.text.startswith("Invalid request.  The number of bytes uploaded is required to be equal or")
        assert "contained 1024 bytes" in refused.text
    assert not bucket.blob("crumbs").exists()


def test_resumable_uploads_end_when_cancelled_or_refused(bucket, session):
    blob = bucket.blob("never")
    url = blob.create_resumable_upload_session()
    session.put(url, data=b"x" * (MIB // 4), headers={"Content-Range": f"bytes 0-{MIB // 4 - 1}/*"})
    assert session.delete(url).status_code == 499
    assert session.put(url, headers={"Content-Range": "bytes */*"}).status_code == 404
    url = blob.create_resumable_upload_session()
    refused = session.put(url, data=b"hello", headers={"X-Goog-Hash": "crc32c=AAAAAA=="})
    assert refused.status_code == 400 and "doesn't match calculated CRC32C" in refused.json()["error"]["message"]
    assert session.put(url, data=b"hello").status_code == 404
    url = blob.create_resumable_upload_session(if_generation_match=0)
    blob.upload_from_string("somebody else's")
    assert session.put(url, data=b"hello").status_code == 412
    url = blob.create_resumable_upload_session(size=5)
    assert session.put(url, data=b"hello!").status_code == 400
    assert session.put(url, data=b"hello").status_code == 404
    for bad in ("bytes 5-1/10", "bytes 0-9/5", "0-9/10"):
        url = blob.create_resumable_upload_session()
        assert session.put(url, data=b"x" * 10, headers={"Content-Range": bad}).status_code == 400
    assert blob.download_as_bytes() == b"somebody else's"
    with pytest.raises(exceptions.PreconditionFailed):
        blob.create_resumable_upload_session(if_generation_match=0)


def test_who_looks_at_a_session_does_not_end_it(bucket, session):
    url = bucket.blob("looked-at").create_resumable_upload_session()
    assert session.get(url).status_code == 405 and session.head(url).status_code == 405
    assert not bucket.blob("looked-at").exists()
    assert session.put(url, data=b"hello").json()["size"] == "5"


@pytest.mark.parametrize("empty", [{"Content-Range": "bytes */0"}, {}])
def test_an_empty_resumable_upload(bucket, session, empty):
    url = bucket.blob("empty").create_resumable_upload_session()
    assert session.put(url, headers={**empty, "Content-Length": "0"}).json()["size"] == "0"
    assert bucket.blob("empty").download_as_bytes() == b""


@pytest.mark.parametrize("path", ["?uploadType=media&name=cut", "?uploadType=multipart"])
def test_an_upload_cut_in_the_middle_leaves_what_was(bucket, session, local_cloud, path):
    bucket.blob("cut").upload_from_string("before")
    cut = connect(local_cloud)
    line = f"POST /upload/storage/v1/b/{bucket.name}/o{path}"
    headers = (f"Content-Length: {2 * MIB}", "Content-Type: multipart/related; boundary=b")
    start = b'--b\r\n\r\n{"name":"cut"}\r\n--b\r\n\r\n'
    cut.sock.sendall(head(session, line, *headers) + start + b"x" * MIB)
    cut.close()
    assert bucket.blob("cut").download_as_bytes() == b"before"
    bucket.blob("cut").upload_from_string("after")
    assert bucket.blob("cut").download_as_bytes() == b"after"


def test_a_newer_request_goes_on_where_an_older_one_hangs(bucket, session, raw):
    data = os.urandom(2 * MIB)
    url = bucket.blob("hung").create_resumable_upload_session()
    target = url.removeprefix(HOST)
    content = (f"Content-Range: bytes 0-{2 * MIB - 1}/{2 * MIB}", f"Content-Length: {2 * MIB}")
    raw.sock.sendall(head(session, f"PUT {target}", *content) + data[:MIB])
    asked = session.put(url, headers={"Content-Range": f"bytes */{2 * MIB}"})
    assert asked.status_code == 308
    have = int(asked.headers.get("range", "bytes=0--1").removeprefix("bytes=0-")) + 1
    assert have <= MIB
    done = session.put(url, data=data[have:], headers={"Content-Range": f"bytes {have}-{2 * MIB - 1}/{2 * MIB}"})
    assert done.status_code == 200
    assert bucket.blob("hung").download_as_bytes() == data


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/storage/v1/b", 400),
        ("POST", "/storage/v1/b/BUCKET/o", 400),
        ("POST", "/upload/storage/v1/b/BUCKET/o?uploadType=odd&name=x", 400),
        ("POST", "/upload/storage/v1/b/BUCKET/o?uploadType=media", 400),
        ("GET", "/storage/v1/b/BUCKET/o/x?generation=abc", 400),
        ("GET", "/storage/v1/b/BUCKET/o/x?ifGenerationMatch=abc", 404),
        ("PUT", "/upload/storage/v1/b/BUCKET/o?upload_id=none", 404),
        ("GET", "/storage/v1/nothing", 404),
        ("POST", "/storage/v1/b/BUCKET/restore", 400),
        ("POST", "/storage/v1/b/BUCKET/o/bulkRestore", 501),
    ],
)
def test_requests_that_make_no_sense(bucket, session, method, path, status):
    answer = session.request(method, HOST + path.replace("BUCKET", bucket.name))
    assert answer.status_code == answer.json()["error"]["code"] == status


def test_refusals_of_media_are_bare_text(bucket, session):
    answer = session.get(f"{HOST}/download/storage/v1/b/{bucket.name}/o/gone?alt=media")
    assert (answer.status_code, answer.text) == (404, f"No such object: {bucket.name}/gone")
    assert answer.headers["content-type"] == "text/html; charset=UTF-8"


def test_a_download_that_nobody_takes_ends(bucket, session, local_cloud):
    bucket.blob("left").upload_from_string(os.urandom(40 * MIB))
    left = connect(local_cloud)
    left.sock.sendall(head(session, f"GET /{bucket.name}/left"))
    assert read(left, "GET").read(1000)
    left.close()
    blob = bucket.blob("left")
    blob.delete()
    assert not blob.exists()
