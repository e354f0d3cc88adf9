"""An upload that is cut off never shows: not by the client, not by a kill of the server, whatever way it takes."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from google.auth.transport.requests import AuthorizedSession
from google.cloud import storage
from google.cloud.storage import Bucket

from clouds import LocalCloud, Start
from clouds.storage import connect
from localcloud import launch
from localcloud.storage.blobs import BlobWriter
from localcloud.storage.uploads.intake import Intake

MIB = 1 << 20
HOST = "https://storage.googleapis.com"
SIZE = 6 * MIB
PATIENCE = 20  # seconds
DATA = os.urandom(SIZE)
_HEAD, _TAIL = b'--b\r\n\r\n{"name":"cut"}\r\n--b\r\n\r\n', b"\r\n--b--"


def request(session: AuthorizedSession, bucket: str, way: str) -> tuple[bytes, bytes]:
    """(head, whole body) of an upload of DATA as "cut", as a client would send it."""
    session.get(f"{HOST}/storage/v1/b/none")  # so that it has a token
    upload = f"/upload/storage/v1/b/{bucket}/o"
    lines, body = [f"Content-Length: {SIZE}"], DATA
    if way == "media":
        line = f"POST {upload}?uploadType=media&name=cut"
    elif way == "chunked":
        line = f"POST {upload}?uploadType=media&name=cut"
        pieces = [DATA[at : at + 100_000] for at in range(0, SIZE, 100_000)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        lines = ["Transfer-Encoding: chunked"]
    elif way == "multipart":
        line, body = f"POST {upload}?uploadType=multipart", _HEAD + DATA + _TAIL
        lines = [f"Content-Length: {len(body)}", "Content-Type: multipart/related; boundary=b"]
    elif way == "xml":
        line = f"PUT /{bucket}/cut"
    elif way == "part":
        started = session.post(f"{HOST}/{bucket}/cut?uploads").text.split("<UploadId>")[1].split("<")[0]
        line = f"PUT /{bucket}/cut?partNumber=1&uploadId={started}"
    else:
        begun = session.post(f"{HOST}{upload}?uploadType=resumable&name=cut", json={})
        line = f"PUT {begun.headers['location'].removeprefix(HOST)}"
        lines.append(f"Content-Range: bytes 0-{SIZE - 1}/{SIZE}")
    token = session.credentials.token
    head = [f"{line} HTTP/1.1", "Host: storage.googleapis.com", f"Authorization: Bearer {token}", *lines, "", ""]
    return "\r\n".join(head).encode(), body


WAYS = ("media", "chunked", "multipart", "xml", "part", "resumable")


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.999999])
@pytest.mark.parametrize("way", WAYS)
def test_what_its_client_cuts_off_is_never_seen(
    bucket: Bucket, session: Any, local_cloud: LocalCloud, way: str, part: float
) -> None:
    before = bucket.blob("cut")
    before.upload_from_string("before")
    head, body = request(session, str(bucket.name), way)
    cut = connect(local_cloud)
    assert cut.sock is not None
    cut.sock.sendall(head + body[: int(len(body) * part)])
    cut.close()
    blob = bucket.get_blob("cut")
    assert blob is not None and blob.generation == before.generation
    assert blob.download_as_bytes() == b"before"
    if way == "part":
        upload = head.split(b"uploadId=")[1].split(b" ")[0].decode()
        document = (
            '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"x"</ETag></Part></CompleteMultipartUpload>'
        )
        answer = session.post(f"{HOST}/{bucket.name}/cut?uploadId={upload}", data=document)
        assert answer.status_code == 400 and "<Code>InvalidPart</Code>" in answer.text
    if way == "resumable":
        address = HOST + head.split(b" ")[1].decode()
        have = kept(session, address)
        rest = session.put(address, data=DATA[have:], headers={"Content-Range": f"bytes {have}-{SIZE - 1}/{SIZE}"})
        assert rest.status_code == 200 and bucket.blob("cut").download_as_bytes() == DATA


def kept(session: Any, address: str) -> int:
    """How many bytes of a resumable upload are safe."""
    asked = session.put(address, headers={"Content-Range": f"bytes */{SIZE}"})
    assert asked.status_code == 308
    return int(asked.headers.get("range", "bytes=0--1").removeprefix("bytes=0-")) + 1


def test_what_was_told_to_be_kept_is_kept(bucket: Bucket, session: Any, local_cloud: LocalCloud) -> None:
    """Chunk after chunk is cut off; the next goes on from the Range of the one before."""
    begun = session.post(f"{HOST}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=x", json={})
    address, have = begun.headers["location"], 0
    session.get(f"{HOST}/storage/v1/b/none")
    for _ in range(6):
        lines = [f"PUT {address.removeprefix(HOST)} HTTP/1.1", "Host: storage.googleapis.com"]
        lines += [f"Authorization: Bearer {session.credentials.token}", f"Content-Length: {SIZE - have}"]
        lines += [f"Content-Range: bytes {have}-{SIZE - 1}/{SIZE}", "", ""]
        cut = connect(local_cloud)
        assert cut.sock is not None
        cut.sock.sendall("\r\n".join(lines).encode() + DATA[have : have + 700_001])
        cut.close()
        now = kept(session, address)
        assert have <= now <= have + 700_001
        have = now
    rest = {"Content-Range": f"bytes {have}-{SIZE - 1}/{SIZE}"}
    assert session.put(address, data=DATA[have:], headers=rest).status_code == 200
    assert bucket.blob("x").download_as_bytes() == DATA


@pytest.mark.slow
def test_what_a_kill_cuts_off_is_never_seen_and_leaves_no_file(new_cloud: Start) -> None:
    cloud = new_cloud()
    session = cloud.session()
    client = storage.Client(project=cloud.project, credentials=session.credentials, _http=session)
    bucket = client.create_bucket("killed")
    bucket.blob("cut").upload_from_string("before")
    addresses = []
    for way in WAYS:
        head, body = request(session, "killed", way)
        if way == "resumable":
            addresses.append(HOST + head.split(b" ")[1].decode())
        cut = connect(cloud)
        assert cut.sock is not None
        cut.sock.sendall(head + body[: len(body) // 2])
        if way == "resumable":
            wait_for_bytes(cloud)
        process = psutil.Process(cloud.server["pid"])
        process.kill()
        process.wait(10)
        cut.close()
        cloud = new_cloud()
        assert session.get(f"{HOST}/killed/cut").content == b"before", way
    (address,) = addresses
    have = kept(session, address)
    assert 0 < have <= SIZE // 2
    done = session.put(address, data=DATA[have:], headers={"Content-Range": f"bytes {have}-{SIZE - 1}/{SIZE}"})
    assert done.status_code == 200 and session.get(f"{HOST}/killed/cut").content == DATA
    launch.stop(cloud.root)
    new_cloud()  # sweeps what nothing names
    files = [path.stat().st_size for path in (cloud.root / "storage" / "blobs").rglob("*") if path.is_file()]
    assert sorted(files) == [6, SIZE]  # the one that was overwritten is soft-deleted


def wait_for_bytes(cloud: LocalCloud) -> None:
    """Until some of a resumable upload is in its file."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        sizes = [path.stat().st_size for path in (cloud.root / "storage" / "blobs").rglob("*") if path.is_file()]
        if max(sizes) > MIB:
            return
        time.sleep(0.01)
    pytest.fail(f"nothing was kept within {PATIENCE} s")


def test_who_is_ended_twice_while_its_bytes_are_written_ends_after_them(tmp_path: Path) -> None:
    """Else the next request would write into the same file beside it."""

    async def ended() -> tuple[bool, int]:
        writer, slow = BlobWriter(tmp_path / "blob"), threading.Event()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(slow.wait)  # a disk that takes its time
            intake = Intake(writer, pool)
            await intake.write(DATA[:MIB])
            keeping = asyncio.ensure_future(intake.keep())
            for _ in range(2):
                await asyncio.sleep(0)
                keeping.cancel()
            await asyncio.sleep(0.05)
            early = keeping.done()
            slow.set()
            await asyncio.wait([keeping])
            return early, writer.hashes.size

    assert asyncio.run(ended()) == (False, MIB)
    assert (tmp_path / "blob").read_bytes() == DATA[:MIB]


@pytest.mark.parametrize("header", ["crc32c=AAAAAA==", "md5=1B2M2Y8AsgTpgAmY7PhCfg=="])
def test_parts_and_sessions_with_a_wrong_checksum_store_nothing(bucket: Bucket, session: Any, header: str) -> None:
    bucket.blob("sum").upload_from_string("before")
    url = f"{HOST}/{bucket.name}/sum"
    wrong = {"X-Goog-Hash": header}
    in_xml = session.put(url, data=b"hello", headers=wrong)
    assert in_xml.status_code == 400 and ("<Code>BadDigest" in in_xml.text or "<Code>CrcMismatch" in in_xml.text)
    upload = session.post(f"{url}?uploads").text.split("<UploadId>")[1].split("<")[0]
    assert session.put(f"{url}?partNumber=1&uploadId={upload}", data=b"hello", headers=wrong).status_code == 400
    begun = session.post(f"{HOST}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=sum", json={})
    address = begun.headers["location"]
    piece = MIB // 4
    first = {"Content-Range": f"bytes 0-{piece - 1}/{piece + 3}"}
    assert session.put(address, data=DATA[:piece], headers=first).status_code == 308
    rest = {"Content-Range": f"bytes {piece}-{piece + 2}/{piece + 3}", **wrong}
    assert session.put(address, data=b"llo", headers=rest).status_code == 400
    assert session.put(address, headers={"Content-Range": f"bytes */{piece + 3}"}).status_code == 404  # it is over
    assert bucket.blob("sum").download_as_bytes() == b"before"
    listed = session.get(f"{HOST}/storage/v1/b/{bucket.name}/o?versions=true").json()["items"]
    assert [one["name"] for one in listed] == ["sum"]
