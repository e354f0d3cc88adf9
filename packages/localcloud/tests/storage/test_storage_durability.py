"""What was acknowledged survives kill -9, and what was torn is never seen."""

from __future__ import annotations

import hashlib
import io
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests
from google.cloud import storage

MIB = 1 << 20
HOST = "https://storage.googleapis.com"


def kill(cloud) -> None:
    process = psutil.Process(cloud.server["pid"])
    process.kill()
    process.wait(10)


def client_of(cloud) -> storage.Client:
    session = cloud.session()
    return storage.Client(project=cloud.project, credentials=session.credentials, _http=session)


class Interrupted(io.BytesIO):
    """A file whose third chunk is only read after the server was killed and started again."""

    def __init__(self, data: bytes, restart) -> None:
        super().__init__(data)
        self._restart = restart
        self._reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self._reads += 1
        if self._reads == 3:
            self._restart()
        return super().read(size)


@pytest.mark.slow
def test_an_upload_goes_on_after_the_server_was_killed(new_cloud):
    cloud = new_cloud()

    def restart() -> None:
        kill(cloud)
        new_cloud()

    bucket = client_of(cloud).create_bucket("durable")
    data = os.urandom(5 * 256 * 1024 + 17)
    blob = bucket.blob("big", chunk_size=256 * 1024)
    blob.upload_from_file(Interrupted(data, restart), size=len(data), checksum="crc32c")
    assert blob.md5_hash and bucket.blob("big").download_as_bytes() == data
    restart()
    again = client_of(cloud).bucket("durable")
    assert again.blob("big").download_as_bytes(checksum="md5") == data


@pytest.mark.slow
def test_a_question_and_a_part_after_a_kill(new_cloud):
    cloud = new_cloud()
    bucket = client_of(cloud).create_bucket("durable")
    data = os.urandom(MIB)
    url = bucket.blob("x").create_resumable_upload_session()
    target = f"{HOST}/durable/parts"
    with cloud.session() as session:
        session.put(url, data=data[: MIB // 2], headers={"Content-Range": f"bytes 0-{MIB // 2 - 1}/{MIB}"})
        upload = session.post(f"{target}?uploads").text.split("<UploadId>")[1].split("<")[0]
        tag = session.put(f"{target}?partNumber=1&uploadId={upload}", data=data).headers["etag"]
    kill(cloud)
    new_cloud()
    with cloud.session() as session:
        asked = session.put(url, headers={"Content-Range": "bytes */*"})
        assert (asked.status_code, asked.headers["range"]) == (308, f"bytes=0-{MIB // 2 - 1}")
        rest = {"Content-Range": f"bytes {MIB // 2}-{MIB - 1}/{MIB}"}
        done = session.put(url, data=data[MIB // 2 :], headers=rest)
        assert done.json()["md5Hash"] and done.status_code == 200
        part = f"<Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part>"
        document = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>"
        assert session.post(f"{target}?uploadId={upload}", data=document).status_code == 200
        assert session.get(f"{HOST}/durable/x").content == session.get(target).content == data


@pytest.mark.slow
def test_killed_at_any_moment_nothing_acknowledged_is_lost_and_nothing_torn_is_seen(new_cloud):
    cloud = new_cloud()
    client = client_of(cloud)
    made = client.bucket("durable")
    made.soft_delete_policy.retention_duration_seconds = 0  # else what is overwritten keeps its file
    client.create_bucket(made)
    chance = random.Random(7)
    acknowledged: dict[str, int] = {}  # name -> highest turn whose upload was answered
    for round_number in range(6):
        with ThreadPoolExecutor(4) as pool:
            workers = [pool.submit(write, cloud, f"{worker}", round_number, acknowledged) for worker in range(4)]
            time.sleep(chance.uniform(0.05, 0.8))
            kill(cloud)
            for worker in workers:
                worker.result()
        cloud = new_cloud()
        check(cloud, acknowledged)
    files = [path for path in (cloud.root / "storage" / "blobs").rglob("*") if path.is_file()]
    visible = list(client_of(cloud).list_blobs("durable"))
    assert len(files) <= len(visible), "files that no object names were left behind"


def content(name: str, turn: int) -> bytes:
    """Bytes that tell which object and turn they are of, and whether they are all there."""
    size = random.Random(f"{name}/{turn}").choice([10, 5_000, 300_000, 3_000_000])
    body = f"{name}/{turn}/".encode() + os.urandom(size)
    return body + hashlib.sha256(body).digest()


def write(cloud, worker: str, round_number: int, acknowledged: dict[str, int]) -> None:
    """Write objects, new and again, until the server is gone."""
    with cloud.session() as session:
        for turn in range(round_number * 1000, round_number * 1000 + 1000):
            name = f"{worker}-{turn % 5}"
            url = f"{HOST}/upload/storage/v1/b/durable/o?uploadType=media&name={name}"
            try:
                answer = session.post(url, data=content(name, turn))
            except (requests.RequestException, OSError):
                return
            except Exception as error:  # google-auth wraps a lost connection to its token endpoint
                assert "TransportError" in type(error).__name__
                return
            assert answer.status_code == 200
            acknowledged[name] = turn


def check(cloud, acknowledged: dict[str, int]) -> None:
    with cloud.session() as session:
        for name, turn in acknowledged.items():
            data = session.get(f"{HOST}/durable/{name}").content
            body, digest = data[:-32], data[-32:]
            assert hashlib.sha256(body).digest() == digest, f"{name} is torn"
            found_name, found_turn, _ = body.split(b"/", 2)
            # A later write may have been done though its answer was lost; never an earlier one.
            assert found_name.decode() == name and int(found_turn) >= turn


@pytest.mark.slow
def test_memory_does_not_grow_with_an_object(new_cloud):
    cloud = new_cloud()
    client_of(cloud).create_bucket("durable")
    process = psutil.Process(cloud.server["pid"])
    block, count = os.urandom(MIB), 200
    with cloud.session() as session:
        url = f"{HOST}/upload/storage/v1/b/durable/o?uploadType=media&name=big"
        session.post(f"{url}-warm", data=block * 8).raise_for_status()
        before = process.memory_info().rss
        session.post(url, data=(block for _ in range(count))).raise_for_status()
        most = process.memory_info().rss
        with session.get(f"{HOST}/durable/big", stream=True) as answer:
            size = sum(len(piece) for piece in answer.iter_content(MIB))
        most = max(most, process.memory_info().rss)
    assert size == count * MIB
    assert most - before < 48 * MIB
