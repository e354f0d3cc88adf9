"""Object contexts: kept with their times, listed by filters, refused where they can't be."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.storage import Bucket

HOST = "https://storage.googleapis.com"


def custom(session: Any, bucket: Bucket, name: str, **given: Any) -> dict[str, dict[str, str]]:
    """The contexts of an object after a patch of them."""
    answer = session.patch(f"{HOST}/storage/v1/b/{bucket.name}/o/{name}", json={"contexts": {"custom": given}})
    assert answer.status_code == 200, answer.text
    return answer.json().get("contexts", {}).get("custom", {})


def test_contexts_come_change_and_go_with_their_times(bucket: Bucket, session: Any) -> None:
    url = f"{HOST}/upload/storage/v1/b/{bucket.name}/o?uploadType=multipart"
    said = '{"name":"x","contexts":{"custom":{"Team":{"value":"red","createTime":"2000-01-01T00:00:00Z"}}}}'
    body = f"--b\r\n\r\n{said}\r\n--b\r\n\r\nhello\r\n--b--"
    made = session.post(url, data=body, headers={"Content-Type": "multipart/related; boundary=b"}).json()
    first = made["contexts"]["custom"]["Team"]
    assert first == {"value": "red", "createTime": made["timeCreated"], "updateTime": made["timeCreated"]}
    both = custom(session, bucket, "x", Kind={"value": "도표"})
    assert both["Team"] == first and both["Kind"]["createTime"] > first["createTime"]
    changed = custom(session, bucket, "x", Team={"value": "blue"})["Team"]
    assert changed["createTime"] == first["createTime"] and changed["updateTime"] > first["updateTime"]
    assert set(custom(session, bucket, "x", Team=None)) == {"Kind"}
    copy = bucket.copy_blob(bucket.blob("x"), bucket, "y")
    assert copy.contexts.custom["Kind"].value == "도표"
    blob = bucket.get_blob("x")
    assert blob is not None and blob.contexts.custom["Kind"].create_time is not None
    assert custom(session, bucket, "x", Kind=None) == {}


def test_lists_by_contexts(bucket: Bucket, session: Any) -> None:
    for name, team in (("a", "red"), ("b", "blue"), ("c", "")):
        bucket.blob(name).upload_from_string("x")
        if team:
            custom(session, bucket, name, Team={"value": team})
    for text, names in (
        ('contexts."Team":*', ["a", "b"]),
        ('contexts."Team"="red"', ["a"]),
        ('-contexts."Team":*', ["c"]),
        ('-contexts."Team"="red"', ["b", "c"]),
        ('contexts."Nobody":*', []),
    ):
        assert [blob.name for blob in bucket.list_blobs(filter_=text, page_size=1)] == names, text
    for text in ("contexts", "contexts.Team", 'size>"3"', 'contexts."Team"=red'):
        with pytest.raises(exceptions.BadRequest):
            list(bucket.list_blobs(filter_=text))


@pytest.mark.parametrize(
    "given",
    [
        {"k": "plain"},
        {"k": {"value": 1}},
        {"k": {"value": ""}},
        {"-k": {"value": "v"}},
        {"k": {"value": "a/b"}},
        {"k'": {"value": "v"}},
        {"goog-k": {"value": "v"}},
        {"k" * 257: {"value": "v"}},
        {f"k{number}": {"value": "v"} for number in range(51)},
    ],
)
def test_contexts_that_cannot_be_are_refused(bucket: Bucket, session: Any, given: dict[str, Any]) -> None:
    bucket.blob("x").upload_from_string("x")
    answer = session.patch(f"{HOST}/storage/v1/b/{bucket.name}/o/x", json={"contexts": {"custom": given}})
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, "invalid")
