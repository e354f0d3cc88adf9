"""Times as clients send them and Cloud Storage shows them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from localcloud.storage.errors import invalid

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def parse_time(text: object, field: str) -> datetime:
    """An RFC 3339 time in UTC, to the microsecond. Raises 400 in the words of Google's JSON parser."""
    try:
        if not isinstance(text, str) or not _TIME.fullmatch(text):
            raise ValueError
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.upper())).astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(
            "Parse Error: Invalid value for type.googleapis.com/google.protobuf.Timestamp field: "
            f"'Field '{field}', Illegal timestamp format; timestamps must end with 'Z' or have a valid timezone "
            "offset.'."
        ) from None


def parse_date(text: object) -> datetime:
    """Midnight in UTC of a date such as 2026-01-31. Raises 400."""
    try:
        if not isinstance(text, str) or not _DATE.fullmatch(text):
            raise ValueError
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise invalid(f'Invalid value for: Invalid format: "{text}"') from None


def shown(moment: datetime) -> str:
    """RFC 3339 with as many digits as needed of 0, 3 and 6, as Google's JSON shows a client's own time."""
    digits = "" if not moment.microsecond else f".{moment.microsecond:06d}"
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") + re.sub(r"(\.\d{3})000$", r"\1", digits) + "Z"


def with_offset(moment: datetime) -> str:
    """2026-01-31T12:00:00.5+00:00, as some refusals say a time."""
    digits = "" if not moment.microsecond else f".{moment.microsecond:06d}".rstrip("0")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") + digits + "+00:00"


def pacific(moment: datetime) -> str:
    """2026-01-31T04:00:00.000000-08:00: refusals by a retention policy say their time so, wherever the bucket is."""
    try:
        local = moment.astimezone(ZoneInfo("America/Los_Angeles"))
    except ZoneInfoNotFoundError:  # Windows has no zones of its own
        local = moment.astimezone(UTC)
    return local.isoformat(timespec="microseconds")


def later(moment: datetime, seconds: float) -> datetime:
    """`seconds` after `moment`, or the end of time."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
