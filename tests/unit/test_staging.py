"""Hashes of files, remembered; addresses for one file and for many."""

import json
import os

import pytest

from cloudkite.jobs import staging


@pytest.mark.parametrize(
    "names, expected",
    [
        (["a.csv"], "gs://b/data/k/a.csv"),
        (["a.csv", "b.csv"], "gs://b/data/k/*.csv"),
        (["a.csv", "b.txt"], "gs://b/data/k/*"),
        (["a", "b"], "gs://b/data/k/*"),
    ],
)
def test_one_address_for_all_files(names, expected):
    assert staging.pattern("gs://b/data/k", names) == expected


def test_files_are_read_once(tmp_path, monkeypatch):
    file, cache = tmp_path / "a.csv", tmp_path / "hashes.json"
    file.write_text("x", encoding="utf-8")
    first = staging.hash_files([file], cache)
    monkeypatch.setattr(staging, "sha256", lambda _file: pytest.fail("read again"))
    assert staging.hash_files([file], cache) == first


def test_a_change_is_seen_and_the_old_hash_forgotten(tmp_path):
    file, cache = tmp_path / "a.csv", tmp_path / "hashes.json"
    file.write_text("x", encoding="utf-8")
    first = staging.hash_files([file], cache)
    file.write_text("y", encoding="utf-8")
    os.utime(file, ns=(1, file.stat().st_mtime_ns + 1))
    second = staging.hash_files([file], cache)
    assert first[file] != second[file]
    assert len(json.loads(cache.read_text(encoding="utf-8"))) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", "\x00"])
def test_a_damaged_memory_is_no_trouble(tmp_path, damage):
    file, cache = tmp_path / "a.csv", tmp_path / "hashes.json"
    file.write_text("x", encoding="utf-8")
    cache.write_text(damage, encoding="utf-8")
    assert len(staging.hash_files([file], cache)[file]) == 64


def test_the_place_of_several_files_depends_on_names_and_contents(tmp_path):
    def key(**contents):
        for name, text in contents.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        return staging.content_key({name: staging.sha256(tmp_path / name) for name in contents})

    assert key(a="1", b="2") == key(b="2", a="1")
    assert len({key(a="1", b="2"), key(a="2", b="1"), key(a="1", c="2"), key(a="1", b="2", c="")}) == 4


def test_two_files_of_one_name_are_refused(tmp_path):
    files = [tmp_path / "x" / "a.csv", tmp_path / "y" / "a.csv"]
    with pytest.raises(staging.BadValue, match="two data files are called"):
        staging.stage_data(None, "gs://b", files, tmp_path / "hashes.json")  # type: ignore[arg-type]
