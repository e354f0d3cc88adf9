"""Large objects and long listings: what fits into memory is not asked for."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from google.cloud import storage
from google.cloud.storage import Bucket, transfer_manager

from clouds import LocalCloud, Start

MIB = 1 << 20
SIZE = 1 << 30
GROWTH = 96 * MIB  # what the server may take more while a gigabyte goes through it


@contextmanager
def watched(cloud: LocalCloud) -> Iterator[None]:
    """The server's memory stays about what it was while the block runs."""
    process = psutil.Process(cloud.server["pid"])
    before = most = process.memory_info().rss
    ended = threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.02):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    assert most - before < GROWTH, f"{(most - before) / MIB:.0f} MiB more"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.slow
def test_a_gigabyte_goes_up_and_down_with_little_memory(new_cloud: Start, tmp_path: Path) -> None:
    cloud = new_cloud()
    session = cloud.session()
    client = storage.Client(project=cloud.project, credentials=session.credentials, _http=session)
    bucket = client.bucket("gigabytes")
    bucket.soft_delete_policy.retention_duration_seconds = 0
    client.create_bucket(bucket)
    bucket.blob("warm").upload_from_string(bytes(16 * MIB))
    source, back = tmp_path / "source", tmp_path / "back"
    block = hashlib.shake_256(b"seed").digest(4 * MIB)
    with source.open("wb") as file:
        for number in range(SIZE // len(block)):
            file.write(number.to_bytes(8, "big") + block[8:])
    wanted = digest(source)

    def by_one_session() -> None:
        blob = bucket.blob("big", chunk_size=32 * MIB)
        blob.upload_from_filename(str(source), checksum="crc32c")
        blob.download_to_filename(str(back), checksum="crc32c")

    def by_parts() -> None:
        threads = transfer_manager.THREAD
        blob = bucket.blob("big")
        transfer_manager.upload_chunks_concurrently(
            str(source), blob, chunk_size=64 * MIB, max_workers=4, worker_type=threads
        )
        transfer_manager.download_chunks_concurrently(
            blob, str(back), chunk_size=64 * MIB, max_workers=4, worker_type=threads
        )

    ways: list[Callable[[], None]] = [by_one_session, by_parts]
    for way in ways:
        with watched(cloud):
            way()
        assert back.stat().st_size == SIZE and digest(back) == wanted, way.__name__
        back.unlink()
        bucket.blob("big").delete()


@pytest.mark.slow
def test_five_thousand_objects_are_listed_in_pages(bucket: Bucket) -> None:
    names = [f"many/{number % 7}/{number:05d}" for number in range(5000)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: bucket.blob(name).upload_from_string(b""), names))
    pages = list(bucket.list_blobs(prefix="many/", fields="items(name),nextPageToken").pages)
    assert [page.num_items for page in pages] == [1000] * 5
    for size in (999, 1000, 70_000):
        assert [blob.name for blob in bucket.list_blobs(page_size=size)] == sorted(names)
    folders = bucket.list_blobs(prefix="many/", delimiter="/")
    assert list(folders) == [] and folders.prefixes == {f"many/{number}/" for number in range(7)}
    bucket.delete_blobs(list(bucket.list_blobs(max_results=2000)))
    left = [blob.name for blob in bucket.list_blobs()]
    assert left == sorted(names)[2000:]
    gone = [blob.name for blob in bucket.list_blobs(soft_deleted=True)]
    assert gone == sorted(names)[:2000]
