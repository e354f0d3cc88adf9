"""JSON as Google reads it, which is less than Python reads: what else got in could not be written out again."""

from __future__ import annotations

import json
import math
from typing import Any

from localcloud.core.errors import ApiError

_DEEPEST = 100  # https://protobuf.dev/programming-guides/proto-limits/#depth
_LONGEST_NUMBER = 309  # digits of the largest double


def loads(raw: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError.

    Refused are NaN and Infinity, numbers beyond a double, half of a surrogate pair, which is no text, and what nests
    deeper than a message may.
    """
    text = raw if isinstance(raw, str) else raw.decode("utf-8")
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_double, parse_int=_whole)
    except RecursionError:
        raise _too_deep() from None
    if text.count("[") + text.count("{") > _DEEPEST:
        _check_depth(value)
    if "\\u" in text and not is_text(json.dumps(value, ensure_ascii=False)):
        raise ValueError("a string holds half of a surrogate pair")
    return value


def of_message(message: Any) -> dict[str, Any]:
    """A protobuf message in JSON. Raises ApiError 400 for a NaN or an infinity in it, which JSON has not."""
    from google.protobuf import json_format

    try:
        return json_format.MessageToDict(message)
    except (ValueError, json_format.SerializeToJsonError) as error:
        raise ApiError(400, f"Request contains an invalid argument: {error}") from None
    except RecursionError:
        raise ApiError(400, "Request contains an invalid argument: it nests too deeply.") from None


def quoted(value: Any) -> Any:
    """A value without numbers that JSON lacks: they become the texts by which protobuf's JSON names them."""
    if isinstance(value, dict):
        return {name: quoted(one) for name, one in value.items()}
    if isinstance(value, list):
        return [quoted(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def is_text(text: str) -> bool:
    """Whether Unicode has such a text: not with half of a surrogate pair in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} isn't a JSON number")


def _double(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is beyond the range of a double")
    return value


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits is beyond the range of a double")
    value = int(text)
    _double(text)
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEEPEST + 1):
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            return
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError("Message too deep. Max recursion depth reached")
