"""Many objects at once: batches, the transfer manager, many clients."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core import exceptions
from google.cloud.storage import transfer_manager

MIB = 1 << 20
THREADS = transfer_manager.THREAD


def test_batches_answer_each_call(bucket, client):
    for name in ("a", "b ü", "c/d"):
        bucket.blob(name).upload_from_string("x")
    with client.batch():
        for name in ("a", "b ü"):
            bucket.delete_blob(name)
        patched = bucket.blob("c/d")
        patched.metadata = {"k": "v"}
        patched.patch()
    assert [blob.name for blob in client.list_blobs(bucket)] == ["c/d"] and patched.metadata == {"k": "v"}
    with pytest.raises(exceptions.NotFound, match="No such object"), client.batch():
        bucket.delete_blob("gone")
        bucket.delete_blob("c/d")
    assert not bucket.blob("c/d").exists()  # one refusal stops no other
    bucket.delete_blobs([], on_error=None)


def test_what_is_no_call_is_refused_alone(bucket, session):
    path = f"/storage/v1/b/{bucket.name}/o"
    calls = (
        b"garbage",
        b"\xff\xfe",
        b"GET",
        b"",
        f"GET {path} HTTP/1.1".encode(),
        f"PATCH {path}/x\r\n\r\n\xff".encode("latin-1"),
    )
    parts = b"".join(b"--b\r\nContent-Type: application/http\r\n\r\n" + call + b"\r\n" for call in calls)
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    answer = session.post("https://storage.googleapis.com/batch/storage/v1", data=parts + b"--b--", headers=headers)
    assert re.findall(r"HTTP/1.1 (\d+)", answer.text) == ["400", "400", "400", "400", "200", "400"]


def test_the_transfer_manager_up_and_down(bucket, tmp_path):
    names = [f"dir/{number}.bin" for number in range(20)]
    (tmp_path / "up" / "dir").mkdir(parents=True)
    for name in names:
        (tmp_path / "up" / name).write_bytes(os.urandom(10_000))
    results = transfer_manager.upload_many_from_filenames(
        bucket, names, source_directory=str(tmp_path / "up"), worker_type=THREADS, raise_exception=True
    )
    assert results == [None] * 20
    again = transfer_manager.upload_many_from_filenames(
        bucket, names, source_directory=str(tmp_path / "up"), worker_type=THREADS, skip_if_exists=True
    )
    assert all(isinstance(result, exceptions.PreconditionFailed) for result in again) and len(again) == 20
    transfer_manager.download_many_to_path(
        bucket, names, destination_directory=str(tmp_path / "down"), worker_type=THREADS, raise_exception=True
    )
    for name in names:
        assert (tmp_path / "down" / name).read_bytes() == (tmp_path / "up" / name).read_bytes()


def test_one_large_object_in_parts(bucket, tmp_path):
    data = os.urandom(12 * MIB + 5)
    (tmp_path / "big").write_bytes(data)
    blob = bucket.blob("big ü/x")
    blob.metadata = {"k": "v"}
    transfer_manager.upload_chunks_concurrently(
        str(tmp_path / "big"), blob, content_type="application/x-big", chunk_size=5 * MIB, worker_type=THREADS
    )
    blob.reload()
    assert (blob.size, blob.content_type, blob.md5_hash) == (len(data), "application/x-big", None)
    assert blob.metadata == {"k": "v"}
    transfer_manager.download_chunks_concurrently(blob, str(tmp_path / "back"), chunk_size=5 * MIB, worker_type=THREADS)
    assert (tmp_path / "back").read_bytes() == data


@pytest.mark.slow
def test_thirty_two_clients_at_once(local_cloud, bucket):
    def work(number: int) -> None:
        with local_cloud.session() as session:
            base = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket.name}/o?uploadType=media"
            for turn in range(5):
                name, data = f"w{number}-{turn}", os.urandom(50_000)
                session.post(f"{base}&name={name}", data=data).raise_for_status()
                shared_name = f"shared-{number % 4}"  # one alone would be written too often for Google
                session.post(f"{base}&name={shared_name}", data=data).raise_for_status()
                answer = session.get(f"https://storage.googleapis.com/{bucket.name}/{name}")
                assert answer.content == data
                shared = session.get(f"https://storage.googleapis.com/{bucket.name}/{shared_name}")
                assert shared.status_code == 200 and len(shared.content) == 50_000

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(work, range(32)))
    assert len(list(bucket.list_blobs())) == 164
