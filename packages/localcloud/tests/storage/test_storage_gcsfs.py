"""gcsfs and pandas, unmodified, as people use them in a notebook; led here by environment variables only."""

from __future__ import annotations

from pathlib import Path

import pytest

from clouds import ENVS
from environments import environment

pytestmark = pytest.mark.slow
_PINS = ("gcsfs==2026.10.1", "pandas==3.1.1", "pyarrow==26.0.1")


@pytest.fixture(scope="session")
def notebook_python() -> Path:
    """An interpreter with gcsfs and pandas; built once, by uv."""
    return environment(ENVS, _PINS, "3.11")


@pytest.fixture
def notebook(local_cloud, notebook_python, bucket):
    """notebook(script) runs it with `fs` and `BUCKET` at hand; gives what it printed."""

    def run(script: str) -> str:
        start = f"import gcsfs, pandas as pd\nBUCKET = {bucket.name!r}\nfs = gcsfs.GCSFileSystem()\n"
        return local_cloud.run(start + script, python=notebook_python).stdout

    return run


def test_files_and_folders(notebook, bucket):
    notebook(
        """
assert fs.ls(BUCKET) == []
with fs.open(f"{BUCKET}/a/one.txt", "w") as file:
    file.write("one")
fs.pipe(f"{BUCKET}/a/two.bin", b"2" * 10)
assert fs.ls(f"{BUCKET}/a") == [f"{BUCKET}/a/one.txt", f"{BUCKET}/a/two.bin"]
assert fs.cat(f"{BUCKET}/a/one.txt") == b"one"
assert fs.info(f"{BUCKET}/a/two.bin")["size"] == 10 and fs.isdir(f"{BUCKET}/a")
assert fs.cat_file(f"{BUCKET}/a/two.bin", start=3, end=5) == b"22"
assert fs.glob(f"{BUCKET}/**/*.txt") == [f"{BUCKET}/a/one.txt"]
fs.cp(f"{BUCKET}/a/one.txt", f"{BUCKET}/b/copy ü.txt")
fs.mv(f"{BUCKET}/a/two.bin", f"{BUCKET}/b/moved.bin")
assert sorted(fs.find(BUCKET)) == [f"{BUCKET}/a/one.txt", f"{BUCKET}/b/copy ü.txt", f"{BUCKET}/b/moved.bin"]
fs.setxattrs(f"{BUCKET}/a/one.txt", content_type="text/plain", owner="me")
fs.invalidate_cache()  # of gcsfs itself
assert fs.getxattr(f"{BUCKET}/a/one.txt", "owner") == "me"
fs.rm(f"{BUCKET}/b", recursive=True)
fs.invalidate_cache()
assert fs.find(BUCKET) == [f"{BUCKET}/a/one.txt"]
"""
    )
    blob = bucket.get_blob("a/one.txt")
    assert (blob.content_type, blob.metadata) == ("text/plain", {"owner": "me"})


def test_large_files_go_up_in_parts(notebook, bucket):
    printed = notebook(
        """
import hashlib, os
data = os.urandom(12_000_000)
with fs.open(f"{BUCKET}/big", "wb", block_size=5 * 2**20) as file:
    for at in range(0, len(data), 1_000_000):
        file.write(data[at : at + 1_000_000])
with fs.open(f"{BUCKET}/big", "rb") as file:
    file.seek(7_000_000)
    assert file.read(1000) == data[7_000_000:7_001_000]
print(hashlib.sha256(fs.cat(f"{BUCKET}/big")).hexdigest() == hashlib.sha256(data).hexdigest())
"""
    )
    assert printed.strip() == "True" and bucket.get_blob("big").size == 12_000_000


def test_tables(notebook, bucket):
    notebook(
        """
table = pd.DataFrame({"island": ["Torgersen", "Biscoe"], "mass": [3750.0, None]})
for ending, write, read in (
    ("csv", lambda t, p: t.to_csv(p, index=False), pd.read_csv),
    ("csv.gz", lambda t, p: t.to_csv(p, index=False), pd.read_csv),
    ("parquet", lambda t, p: t.to_parquet(p), pd.read_parquet),
    ("jsonl", lambda t, p: t.to_json(p, orient="records", lines=True), lambda p: pd.read_json(p, lines=True)),
):
    path = f"gs://{BUCKET}/tables/penguins.{ending}"
    write(table, path)
    pd.testing.assert_frame_equal(read(path), table, check_dtype=False)
parts = pd.concat(pd.read_csv(f"gs://{name}") for name in fs.glob(f"{BUCKET}/tables/*.csv"))
assert len(parts) == 2
"""
    )
    assert bucket.blob("tables/penguins.csv").download_as_text().startswith("island,mass\n")


def test_what_is_not_there_and_what_is_not_allowed(notebook, local_cloud):
    key = local_cloud.key(local_cloud.account("notebook-nobody"))
    printed = notebook(
        f"""
try:
    fs.cat(f"{{BUCKET}}/no")
except FileNotFoundError as error:
    print("missing", BUCKET in str(error))
try:
    pd.read_csv("gs://a-bucket-of-nobody/x.csv")
except FileNotFoundError as error:
    print("no bucket")
fs.pipe(f"{{BUCKET}}/secret", b"x")
stranger = gcsfs.GCSFileSystem(
    token={key!r}, session_kwargs={{"trust_env": True}}, skip_instance_cache=True)
try:
    stranger.cat(f"{{BUCKET}}/secret")
except OSError as error:
    print("refused", "storage.objects.get" in str(error))
"""
    )
    assert printed.split("\n")[:3] == ["missing True", "no bucket", "refused True"]
