"""Scripts as people write them, each in a process of its own that knows this cloud by its environment only."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.mark.slow
def test_a_data_folder_is_kept_in_step_with_a_bucket(local_cloud):
    done = local_cloud.run(
        """
        import base64, tempfile
        from pathlib import Path
        import google_crc32c
        from google.cloud import storage

        client = storage.Client()
        bucket = client.create_bucket("daily-data", location="us-central1")

        def push(folder):
            blobs = client.list_blobs(bucket, fields="items(name,crc32c),nextPageToken")
            there = {blob.name: blob.crc32c for blob in blobs}
            sent = []
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                name = path.relative_to(folder).as_posix()
                crc = base64.b64encode(google_crc32c.value(path.read_bytes()).to_bytes(4, "big")).decode()
                if there.pop(name, None) != crc:
                    bucket.blob(name).upload_from_filename(str(path))
                    sent.append(name)
            bucket.delete_blobs([bucket.blob(name) for name in there])
            return sent, sorted(there)

        folder = Path(tempfile.mkdtemp())
        for year in (2024, 2025):
            for month in range(1, 4):
                path = folder / str(year) / f"{month:02}.csv"
                path.parent.mkdir(exist_ok=True)
                path.write_text(f"{year},{month}")
        assert len(push(folder)[0]) == 6
        assert push(folder) == ([], [])
        (folder / "2025" / "02.csv").write_text("changed")
        (folder / "2024" / "01.csv").unlink()
        assert push(folder) == (["2025/02.csv"], ["2024/01.csv"])
        years = client.list_blobs(bucket, delimiter="/")
        assert list(years) == [] and sorted(years.prefixes) == ["2024/", "2025/"]
        for blob in client.list_blobs(bucket, match_glob="2025/*.csv"):
            blob.download_to_filename(folder / "copy.csv")
        assert bucket.blob("2025/02.csv").download_as_text() == "changed"
        bucket.delete(force=True)
        print("in step")
        """
    )
    assert done.stdout.strip() == "in step"


@pytest.mark.slow
def test_two_people_write_a_counter_and_nobody_loses_a_count(local_cloud, bucket):
    script = f"""
        from google.api_core.exceptions import NotFound, PreconditionFailed
        from google.cloud import storage

        blob = storage.Client().bucket("{bucket.name}").blob("counter")
        counted = 0
        while counted < 20:
            try:
                present = blob.bucket.get_blob("counter")
                number = int(present.download_as_bytes(if_generation_match=present.generation))
                blob.upload_from_string(str(number + 1), if_generation_match=present.generation)
            except (NotFound, PreconditionFailed):  # the other wrote in between
                continue
            counted += 1
    """
    bucket.blob("counter").upload_from_string("0")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: local_cloud.run(script), range(2)))
    assert bucket.blob("counter").download_as_text() == "40"
