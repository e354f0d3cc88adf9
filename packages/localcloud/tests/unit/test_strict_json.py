"""What is taken for JSON, and what gets in nowhere."""

import math

import pytest
from google.protobuf import struct_pb2

from localcloud.core import strict_json
from localcloud.core.errors import ApiError


@pytest.mark.parametrize(
    "text",
    [
        "{}", "[1, 2.5, -3e8, null, true]", '{"한글": "\\ud83d\\ude00 \\u0000"}', "18446744073709551616", "1e308",
        "[" * 100 + "]" * 100, "[" + "[]," * 500 + "[]]",
    ],
)  # fmt: skip
def test_what_json_is(text):
    import json

    assert strict_json.loads(text) == strict_json.loads(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "[Infinity]", '{"a": -Infinity}', "1e999", "-1e999", "9" * 310, "9" * 5000, '"\\ud800"',
        '{"\\udc00x": 1}',
        "[" * 101 + "]" * 101, '{"a":' * 101 + "1" + "}" * 101, "[" * 100_000 + "]" * 100_000, "", "{", b"\xff",
        b"\xed\xa0\x80",
    ],
    ids=range(16),
)  # fmt: skip
def test_what_json_is_not(text):
    with pytest.raises(ValueError):
        strict_json.loads(text)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_message_with_a_number_that_json_lacks_is_refused(number):
    message = struct_pb2.Struct()
    message["a"] = number
    with pytest.raises(ApiError) as refused:
        strict_json.of_message(message)
    assert refused.value.code == 400


def test_numbers_that_json_lacks_are_quoted_where_they_must_be_shown():
    shown = strict_json.quoted({"a": [math.nan, 1.5, {"b": math.inf}], "c": -math.inf, "d": "NaN"})
    assert shown == {"a": ["NaN", 1.5, {"b": "Infinity"}], "c": "-Infinity", "d": "NaN"}
