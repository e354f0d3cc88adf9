"""Listings: prefixes, delimiters, offsets, wildcards, pages."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core import exceptions

from localcloud.storage.errors import StorageError
from localcloud.storage.listing import glob_pattern, successor

TREE = ["a.txt", "b/", "b/1.csv", "b/2.csv", "b/c/3.csv", "d/e/f.txt", "Z", "ü/x", "한/글"]


@pytest.fixture
def tree(bucket):
    for name in TREE:
        bucket.blob(name).upload_from_string(name)
    return bucket


def listed(client, bucket, **query):
    found = client.list_blobs(bucket, **query)
    names = [blob.name for blob in found]
    return names, sorted(found.prefixes)


@pytest.mark.parametrize(
    ("query", "names", "prefixes"),
    [
        ({}, ["Z", "a.txt", "b/", "b/1.csv", "b/2.csv", "b/c/3.csv", "d/e/f.txt", "ü/x", "한/글"], []),
        ({"delimiter": "/"}, ["Z", "a.txt"], ["b/", "d/", "ü/", "한/"]),
        ({"delimiter": "/", "include_trailing_delimiter": True}, ["Z", "a.txt", "b/"], ["b/", "d/", "ü/", "한/"]),
        ({"prefix": "b/"}, ["b/", "b/1.csv", "b/2.csv", "b/c/3.csv"], []),
        ({"prefix": "b/", "delimiter": "/"}, ["b/", "b/1.csv", "b/2.csv"], ["b/c/"]),
        ({"prefix": "b", "delimiter": "/"}, [], ["b/"]),
        ({"prefix": "none"}, [], []),
        ({"start_offset": "b/2.csv", "end_offset": "d"}, ["b/2.csv", "b/c/3.csv"], []),
        ({"start_offset": "b/2.csv", "delimiter": "/"}, [], ["b/", "d/", "ü/", "한/"]),
        ({"match_glob": "**.csv"}, ["b/1.csv", "b/2.csv", "b/c/3.csv"], []),
        ({"match_glob": "b/*.csv"}, ["b/1.csv", "b/2.csv"], []),
        ({"match_glob": "**/[12].{csv,txt}"}, ["b/1.csv", "b/2.csv"], []),
        ({"match_glob": "?"}, ["Z"], []),
        ({"max_results": 2}, ["Z", "a.txt"], []),
    ],
)
@pytest.mark.parametrize("page_size", [None, 1, 2])
def test_listings(tree, client, query, names, prefixes, page_size):
    assert listed(client, tree, page_size=page_size, **query) == (names, prefixes)


def test_all_versions_of_a_folder_itself_are_listed_and_no_page_is_too_long(bucket, client, session):
    bucket.versioning_enabled = True
    bucket.patch()
    for name in ("a/", "a/", "a/x", "b/", "b/"):
        bucket.blob(name).upload_from_string("x")
    query = {"delimiter": "/", "include_trailing_delimiter": True, "versions": True}
    for size in (1, 2, 3, None):
        assert listed(client, bucket, page_size=size, **query) == (["a/", "a/", "b/", "b/"], ["a/", "b/"])
    url = f"https://storage.googleapis.com/storage/v1/b/{bucket.name}/o?delimiter=/&includeTrailingDelimiter=true"
    page = session.get(f"{url}&maxResults=1").json()
    assert (page["prefixes"], "items" in page) == (["a/"], False)
    page = session.get(f"{url}&maxResults=1&pageToken={page['nextPageToken']}").json()
    assert ("prefixes" in page, [item["name"] for item in page["items"]]) == (False, ["a/"])


@pytest.mark.slow
def test_a_thousand_a_page_and_folders_are_jumped_over(bucket, client):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: bucket.blob(f"many/{n:04}").upload_from_string(b""), range(1100)))
    bucket.blob("other/x").upload_from_string(b"")
    assert [blob.name for blob in client.list_blobs(bucket, prefix="many/")] == [f"many/{n:04}" for n in range(1100)]
    found = client.list_blobs(bucket, delimiter="/")
    assert list(found) == [] and found.prefixes == {"many/", "other/"}
    bucket.delete_blobs(list(client.list_blobs(bucket, prefix="many/")))


@pytest.mark.parametrize(
    "query",
    [
        {"pageToken": "x"},
        {"pageToken": base64.urlsafe_b64encode(b'["a", 9223372036854775808]').decode()},
        {"maxResults": "-1"},
        {"maxResults": "many"},
        {"maxResults": "9" * 20},
        {"matchGlob": "[a"},
        {"matchGlob": "{a"},
    ],
)
def test_listings_that_cannot_be_are_refused(bucket, session, query):
    answer = session.get(f"https://storage.googleapis.com/storage/v1/b/{bucket.name}/o", params=query)
    assert answer.status_code == 400 and answer.json()["error"]["errors"][0]["reason"] == "invalid"


def test_a_bucket_that_is_not_there(client):
    with pytest.raises(exceptions.NotFound, match="The specified bucket does not exist"):
        list(client.list_blobs("never-made"))


@pytest.mark.parametrize(
    ("prefix", "least"), [("", ""), ("a", "b"), ("a/", "a0"), ("a\U0010ffff", "b"), ("\U0010ffff", ""), ("퟿", "\ue000")]
)
def test_the_least_text_above_a_prefix(prefix, least):
    assert successor(prefix) == least


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("a*", ["a", "abc"], ["a/b", "ba"]),
        ("a**", ["a", "a/b/c"], ["ba"]),
        ("**/x", ["x", "a/x", "a/b/x"], ["ax", "x/a"]),
        ("a?c", ["abc"], ["ac", "a/c"]),
        ("[!a-c]", ["d"], ["a", "dd"]),
        ("{a,b*}.txt", ["a.txt", "bc.txt"], ["c.txt"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_wildcards(glob, yes, no):
    pattern = glob_pattern(glob)
    assert all(pattern.fullmatch(name) for name in yes)
    assert not any(pattern.fullmatch(name) for name in no)


def test_a_wildcard_that_is_not_closed():
    with pytest.raises(StorageError):
        glob_pattern("a[")
