"""Object contexts: keys and values that classify an object, and lists of the objects that have them.

https://cloud.google.com/storage/docs/object-contexts and .../listing-objects#filter-by-object-contexts-syntax
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.storage.errors import invalid

Settings = Mapping[str, Any]
_MOST = 50
_LONGEST = 256  # bytes of UTF-8 of a key or a value
_LARGEST = 25 * 1024  # bytes of all of them
_FORBIDDEN = set("'\"\\/")
_FILTER = re.compile(r'(-?)contexts\."([^"]+)"(?::\*|="([^"]+)")')


def stamped(settings: dict[str, Any], before: Settings, now: str) -> dict[str, Any]:
    """The settings with contexts that say when they came and changed; `before` are those they replace. Raises 400."""
    given = settings.get("contexts")
    if given is None:
        return settings
    custom = given.get("custom") if isinstance(given, dict) else given
    if not isinstance(custom, dict | None):
        raise invalid("Invalid argument.")
    present = _custom(before)
    made = {key: _payload(payload, present.get(key), now) for key, payload in (custom or {}).items()}
    _check({key: payload["value"] for key, payload in made.items()})
    rest = {key: value for key, value in settings.items() if key != "contexts"}
    return rest | ({"contexts": {"custom": made}} if made else {})


def matcher(text: str) -> Callable[[Settings], bool]:
    """Whether an object's settings are as a filter wants them. Raises 400 for one that can't be."""
    found = _FILTER.fullmatch(text.strip())
    if not found:
        raise invalid("Invalid argument.")
    negated, key, value = found.groups()

    def matches(settings: Settings) -> bool:
        payload = _custom(settings).get(key)
        return (payload is not None and value in (None, payload["value"])) != bool(negated)

    return matches


def _custom(settings: Settings) -> dict[str, dict[str, str]]:
    return (settings.get("contexts") or {}).get("custom") or {}


def _payload(given: Any, present: dict[str, str] | None, now: str) -> dict[str, str]:
    value = given.get("value") if isinstance(given, dict) else None
    if not isinstance(value, str):
        raise invalid("Invalid argument.")
    if present and present["value"] == value:
        return present
    return {"value": value, "createTime": present["createTime"] if present else now, "updateTime": now}


def _check(values: dict[str, str]) -> None:
    """Raise 400 for what can't be."""
    texts = [*values, *values.values()]
    sizes = [len(text.encode(errors="surrogatepass")) for text in texts]
    if (
        len(values) > _MOST
        or sum(sizes) > _LARGEST
        or not all(0 < size <= _LONGEST for size in sizes)
        or not all(text[0].isalnum() and not _FORBIDDEN.intersection(text) for text in texts)
        or any(key.startswith("goog") for key in values)
    ):
        raise invalid("Invalid argument.")
