"""The local cloud: start, memory, latency, throughput, many clients at once."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cloudkite.accounts import local
from cloudkite.bench.measure import Row, paired, seconds
from cloudkite.bench.place import Place

_MIB = 1024 * 1024


def start(place: Place) -> Iterator[Row]:
    """From the command to ready, and the memory once all is loaded."""
    times = []
    _ = place.target
    for _i in range(5):
        local.run(place.space, "stop")
        times.append(seconds(lambda: local.run(place.space, "start", "--project", place.account.project)))
    yield Row(
        "local cloud ready", "s", statistics.median(times), (min(times), max(times)), target="<= 2 s", runs=len(times)
    )
    time.sleep(8)  # the types of Vertex AI and of the engine load in the background
    used = place.memory / _MIB
    yield Row("local cloud memory", "MiB", used, (used, used), target="<= 300 MiB", runs=1)


def storage(place: Place) -> Iterator[Row]:
    """A small read, a large object up and down, and 32 clients at once, through the official client."""
    bucket = place.bucket("bench-storage")
    blob = bucket.blob("small")
    blob.upload_from_string(b"x" * 1024)
    yield _latency("small GET", blob.download_as_bytes, "<= 2 ms")
    with tempfile.TemporaryDirectory() as folder:
        big = Path(folder, "big")
        big.write_bytes(b"0123456789abcdef" * (256 * _MIB // 16))
        up = [256 / seconds(lambda: bucket.blob("big").upload_from_filename(str(big))) for _i in range(3)]
        down = [256 / seconds(lambda: bucket.blob("big").download_to_filename(str(big))) for _i in range(3)]
    for name, rates in (("upload of 256 MiB", up), ("download of 256 MiB", down)):
        yield Row(
            name, "MiB/s", statistics.median(rates), (min(rates), max(rates)), target=">= 200 MiB/s", runs=len(rates)
        )
    yield _many_clients(place)
    yield _listing(bucket)


def _latency(name: str, call: Callable[[], object], target: str) -> Row:
    for _i in range(50):
        call()
    times = [1000 * seconds(call) for _i in range(500)]
    return Row(name, "ms", statistics.median(times), (min(times), max(times)), target=target, runs=len(times))


def _listing(bucket: Any, count: int = 5000) -> Row:
    """All pages of a bucket's folder of `count` objects."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: bucket.blob(f"list/{n:05d}").upload_from_string(b""), range(count)))
    times = [seconds(lambda: list(bucket.list_blobs(prefix="list/"))) for _i in range(5)]
    return Row(f"listing of {count:,} objects", "s", statistics.median(times), (min(times), max(times)), runs=5)


def _many_clients(place: Place, clients: int = 32, requests: int = 2000) -> Row:
    """`clients` threads, each with a session of its own, share `requests` writes and reads; an error counts."""
    from cloudkite.accounts.target import Target

    errors: list[str] = []

    def work(number: int) -> None:
        own = Target(place.account, place.target.environment, {}).storage().bucket("bench-storage")
        for i in range(requests // clients // 2):
            try:
                name, data = f"many/{number}/{i}", b"y" * 512
                own.blob(name).upload_from_string(data)
                if own.blob(name).download_as_bytes() != data:
                    errors.append(f"{name} came back different")
            except Exception as error:  # every kind counts here
                errors.append(repr(error))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = requests // clients * clients / (time.perf_counter() - began)
    note = f"{len(errors)} errors"
    return Row("32 clients at once", "requests/s", rate, (rate, rate), target="no error", runs=1, note=note)


def staging(place: Place) -> Iterator[Row]:
    """1 GB in 2,000 files: first time beside transfer_manager, then unchanged."""
    import os

    from google.cloud.storage import transfer_manager

    from cloudkite.jobs import staging

    target = place.set_up
    made = target.account.outputs()
    rounds = iter(range(1000))
    with tempfile.TemporaryDirectory(dir=place.folder) as folder:
        files = [Path(folder, f"{i:04d}.bin") for i in range(2000)]

        def fill() -> None:
            for file in files:
                file.write_bytes(os.urandom(64) * 8192)

        def ours_once() -> None:
            staging.stage_data(target, made.buckets["staging"], files, place.folder / "hashes.json")

        def peer_once() -> None:
            bucket = target.storage().bucket(made.buckets["staging"].removeprefix("gs://"))
            transfer_manager.upload_many_from_filenames(
                bucket, [f.name for f in files], source_directory=folder, blob_name_prefix=f"peer{next(rounds)}/",
                worker_type=transfer_manager.THREAD, raise_exception=True,
            )  # fmt: skip

        fill()
        yield paired(
            "staging 1 GB in 2,000 files",
            ours_once,
            peer_once,
            runs=1,
            warm=0,
            target="<= 1",
            peer_name="transfer_manager",
        )
        yield paired("staging, unchanged", ours_once, None, runs=3, target="0 bytes sent", peer_name="")


ROWS: dict[str, Callable[[Place], Iterator[Row]]] = {"local cloud": start, "storage": storage, "staging": staging}
