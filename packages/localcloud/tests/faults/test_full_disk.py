"""A disk that is full: said plainly and at once, nothing torn, and all goes on when there is room again."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from google.api_core import exceptions
from google.cloud import storage

from localcloud import launch
from localcloud.containers import spool
from localcloud.core.state import database, disk

MIB = 1 << 20
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the files of another process")
WORDS = "The disk that the local cloud is on is full: nothing was stored."


@contextmanager
def largest_file(size: int, pid: int = 0) -> Iterator[None]:
    """For as long as the block runs a process can make no file larger than `size` bytes."""
    import resource

    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


@linux
@pytest.mark.slow
@pytest.mark.parametrize(("size", "chunk"), [(5 * MIB, None), (12 * MIB, MIB)], ids=["multipart", "resumable"])
def test_an_upload_is_refused_at_once_and_leaves_nothing(new_cloud, size, chunk):
    cloud = new_cloud()
    session = cloud.session()
    bucket = storage.Client(cloud.project, session.credentials, _http=session).create_bucket("small")
    blob = bucket.blob("large", chunk_size=chunk)
    data = os.urandom(size)
    with largest_file(3 * MIB, cloud.server["pid"]):
        with pytest.raises(exceptions.GoogleAPICallError, match=WORDS) as refused:
            blob.upload_from_string(data)
        assert refused.value.code == 413  # which no client tries again
        assert not blob.exists()
        bucket.blob("small").upload_from_string("x")
    blob = bucket.blob("large", chunk_size=chunk)
    blob.upload_from_string(data)
    assert blob.download_as_bytes() == data
    launch.stop(cloud.root)
    kept = [path.stat().st_size for path in (cloud.root / "storage" / "blobs").glob("*/*")]
    assert sorted(kept) == [1, size]


def test_objects_leave_room_to_note_what_is_deleted(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    disk.check_room(tmp_path, 1)
    with pytest.raises(OSError) as full:
        disk.check_room(tmp_path, free)
    assert disk.is_full(full.value)


def test_a_database_goes_on_after_a_commit_that_failed(tmp_path):
    connection = database.connect(tmp_path / "some.sqlite", "CREATE TABLE some (text TEXT);")
    connection.execute("PRAGMA max_page_count = 4")
    with pytest.raises(sqlite3.OperationalError) as full, database.transaction(connection):
        connection.execute("INSERT INTO some VALUES (?)", ("x" * 100_000,))
    assert disk.is_full(full.value)
    connection.execute("PRAGMA max_page_count = 1000")
    with database.transaction(connection):
        connection.execute("INSERT INTO some VALUES ('y')")
    assert connection.execute("SELECT text FROM some").fetchall() == [("y",)]
    connection.close()


def lines(path: Path) -> list[str]:
    read: list[spool.Line] = []
    while more := list(spool.read(path, read[-1].end if read else 0)):
        read += more
    return [line.text for line in read]


@linux
def test_the_output_of_a_job_has_whole_lines_and_says_how_many_are_missing(tmp_path):
    path = tmp_path / "output"
    writer = spool.Writer(path)
    with largest_file(1000):
        for number in range(100):
            writer.feed("stdout", f"line {number}\n".encode())
        assert not writer.close()
    kept = lines(path)
    assert kept == [f"line {number}" for number in range(len(kept))] and 10 < len(kept) < 90
    missing = f"Lines that are not here, because the disk was full: {100 - len(kept)}."
    writer.feed("stdout", b"after\n")
    assert lines(path) == [*kept, missing, "after"]
    assert writer.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 48 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("no disk can be mounted here: that needs Linux and its root")
    yield folder
    # A process that has ended just now may hold its folder for another moment.
    deadline = time.monotonic() + 20
    while subprocess.run(["umount", str(folder)], capture_output=True).returncode != 0:
        assert time.monotonic() < deadline, _who_is_in(folder)
        time.sleep(0.1)


def _who_is_in(folder: Path) -> list[str]:
    """Processes that keep a disk from going."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            used = [process.cwd(), *(file.path for file in process.open_files())]
            if any(path.startswith(str(folder)) for path in used):
                found.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
    return found


TALKS = "import time\nfor n in range(25): print(n, 'x' * 2000); time.sleep(0.1)"
JOBS = "https://us-central1-aiplatform.googleapis.com/v1/projects/small-project/locations/us-central1/customJobs"


def until(done: Callable[[], Any]) -> Any:
    ends = time.monotonic() + 60
    while not (found := done()):
        assert time.monotonic() < ends
        time.sleep(0.1)
    return found


@pytest.mark.slow
def test_a_job_goes_on_while_the_disk_is_full(small_disk, make_cloud):
    cloud = make_cloud(small_disk / "root", "small-project")
    session = cloud.session()
    assert session.post(
        "https://serviceusage.googleapis.com/v1/projects/small-project/services/aiplatform.googleapis.com:enable"
    ).ok
    container = {"imageUri": "python:3.11", "command": ["python", "-c", TALKS]}
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": 1, "containerSpec": container}
    body = {"displayName": "talks", "jobSpec": {"workerPoolSpecs": [pool]}}
    name = session.post(JOBS, json=body).json()["name"]
    address = f"https://us-central1-aiplatform.googleapis.com/v1/{name}"
    job_id = name.rpartition("/")[2]
    output = small_disk / "root" / "vertex" / "jobs" / job_id / "workerpool0-0" / "output"
    until(lambda: output.exists() and output.stat().st_size > 4000)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(4096))
    refused = session.post(JOBS, json=body)
    assert (refused.status_code, refused.json()["error"]["status"]) == (413, "RESOURCE_EXHAUSTED")
    until(lambda: _ended(job_id))
    assert session.get(address).json()["state"] == "JOB_STATE_RUNNING"  # nobody could note anything else
    filler.unlink()
    until(lambda: session.get(address).json()["state"] == "JOB_STATE_SUCCEEDED")
    query = {"resourceNames": ["projects/small-project"], "filter": f'resource.labels.job_id="{job_id}"'}
    entries = session.post("https://logging.googleapis.com/v2/entries:list", json=query).json()["entries"]
    said = [entry.get("jsonPayload", {}).get("message", entry.get("textPayload", "")) for entry in entries]
    assert said[-1] == "Job completed successfully."
    assert said[-2].startswith("Lines that are not here, because the disk was full: ")


def _ended(job_id: str) -> bool:
    """Whether the program of the job runs no more."""
    import psutil

    for process in psutil.process_iter():
        try:
            if process.cmdline()[-1:] == [TALKS] and job_id in process.environ().get("CLOUD_ML_JOB_ID", ""):
                return False
        except (psutil.Error, OSError):
            continue
    return True
