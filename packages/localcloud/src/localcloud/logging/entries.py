"""What a LogEntry is: checked, completed, and its instants as whole nanoseconds.

Source of field names and rules: https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry
"""

from __future__ import annotations

import calendar
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from localcloud.core.errors import ApiError

Entry = dict[str, Any]

SEVERITIES = {
    "DEFAULT": 0,
    "DEBUG": 100,
    "INFO": 200,
    "NOTICE": 300,
    "WARNING": 400,
    "ERROR": 500,
    "CRITICAL": 600,
    "ALERT": 700,
    "EMERGENCY": 800,
}
FIELDS = {
    "logName",
    "resource",
    "timestamp",
    "receiveTimestamp",
    "severity",
    "insertId",
    "httpRequest",
    "labels",
    "metadata",
    "operation",
    "trace",
    "spanId",
    "traceSampled",
    "sourceLocation",
    "split",
    "errorGroups",
    "textPayload",
    "jsonPayload",
    "protoPayload",
}
LARGEST = 256 << 10  # bytes of an entry: https://cloud.google.com/logging/quotas
LARGEST_REQUEST = 10 << 20  # bytes of the entries of one request, from the same page
_DAY = 24 * 3600 * 10**9
_WHOLE = 1e17  # from here on numbers are written with an exponent
_MESSAGES = {
    "httpRequest": "google.logging.type.HttpRequest",
    "operation": "google.logging.v2.LogEntryOperation",
    "sourceLocation": "google.logging.v2.LogEntrySourceLocation",
}
_PAYLOADS = ("textPayload", "jsonPayload", "protoPayload")
_STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:[Zz]|([+-])(\d\d):?(\d\d))?)?"
)
_LOG = re.compile(r"(?:projects|folders|organizations|billingAccounts)/[^/]+/logs/[^/\s]{1,511}")


def nanoseconds(stamp: str) -> int:
    """An instant of RFC 3339 (or a date) as nanoseconds since the epoch. Raises ValueError."""
    match = _STAMP.fullmatch(stamp.strip())
    if match is None:
        raise ValueError(f"Invalid timestamp: {stamp!r}")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.group(1, 2, 3, 4, 5, 6))
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1] and hour < 24 and minute < 60):
        raise ValueError(f"Invalid timestamp: {stamp!r}")
    total = calendar.timegm((year, month, day, hour, minute, second))
    if match[8]:
        offset = 3600 * int(match[9]) + 60 * int(match[10])
        total -= offset if match[8] == "+" else -offset
    return total * 10**9 + int((match[7] or "").ljust(9, "0"))


def timestamp(nanos: int) -> str:
    """Nanoseconds since the epoch as Google's JSON writes a Timestamp: 0, 3, 6 or 9 digits after the point."""
    import time

    seconds, fraction = divmod(nanos, 10**9)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    digits = f"{fraction:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return text + (f".{digits}" if digits else "") + "Z"


def complete(
    given: Mapping[str, Any], defaults: Mapping[str, Any], now: int, ahead: int = 0, insert_id: str = ""
) -> Entry:
    """The entry to keep: `given`, and what it lacks from `defaults` (logName, resource, labels) and the time `now`.

    `ahead` nanoseconds is this cloud's clock ahead of the real time that its clients go by: a timestamp of about now,
    as they see it, is moved by as much. `insert_id` is for an entry that has none. Raises 400 for what can't be.
    """
    if unknown := set(given) - FIELDS:
        raise ApiError(
            400, f"Invalid JSON payload received. Unknown name \"{min(unknown)}\" at 'entries[0]': Cannot find field."
        )
    entry = dict(given)
    entry["logName"] = _log_name(given.get("logName") or defaults.get("logName") or "")
    resource = given.get("resource") or defaults.get("resource") or {}
    if not resource.get("type"):
        raise ApiError(400, "Log entry with empty resource type")
    entry["resource"] = {"type": resource["type"], "labels": dict(resource.get("labels", {}))}
    if labels := {**defaults.get("labels", {}), **given.get("labels", {})}:
        entry["labels"] = labels
    severity = str(given.get("severity", "DEFAULT"))
    if severity.isdigit():
        severity = next((name for name, number in SEVERITIES.items() if number == int(severity)), severity)
    if severity not in SEVERITIES:
        raise ApiError(
            400,
            "Invalid value at 'entries[0].severity' "
            f'(type.googleapis.com/google.logging.type.LogSeverity), "{severity}"',
        )
    entry.pop("severity", None)
    if severity != "DEFAULT":
        entry["severity"] = severity
    if sum(name in given for name in _PAYLOADS) > 1:
        raise ApiError(400, "Log entry has more than one payload")
    for field, kind in _MESSAGES.items():
        if given.get(field) is not None:
            entry[field] = _as_google_writes(field, kind, given[field])
    if "jsonPayload" in given:
        entry["jsonPayload"] = _plain(given["jsonPayload"])
    try:
        stamp = nanoseconds(given["timestamp"]) if given.get("timestamp") else now
    except (ValueError, AttributeError, TypeError):
        raise _invalid("timestamp", "google.protobuf.Timestamp", given["timestamp"]) from None
    if ahead and given.get("timestamp") and abs(now - ahead - stamp) < _DAY:
        stamp += ahead
    entry["timestamp"] = timestamp(stamp)
    entry["receiveTimestamp"] = timestamp(now)
    entry["insertId"] = str(given.get("insertId") or insert_id or secrets.token_hex(8))
    return entry


def _as_google_writes(field: str, kind: str, value: Any) -> Any:
    """A part of an entry in Google's JSON, whichever way it was written: whole numbers of 64 bits are texts in it.

    Raises 400 for what such a part has not.
    """
    from google.protobuf import json_format

    from localcloud.logging.messages import message

    try:
        return json_format.MessageToDict(json_format.ParseDict(value, message(kind)()))
    except (json_format.ParseError, TypeError, AttributeError):
        raise _invalid(field, kind, value) from None


def _invalid(field: str, kind: str, value: Any) -> ApiError:
    shown = json.dumps(value, ensure_ascii=False)
    return ApiError(400, f"Invalid value at 'entries[0].{field}' (type.googleapis.com/{kind}), {shown}")


def _plain(value: Any) -> Any:
    """JSON as Google writes it: a number without a fraction has no point."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE else value


def check_size(entry: Entry, largest: int) -> int:
    """Its bytes, written as JSON. Raises 400 when they are more than `largest`."""
    size = len(json.dumps(entry, ensure_ascii=False).encode(errors="replace"))
    if size > largest:
        raise ApiError(400, f"Log entry with size {size / 1024:.1f}K exceeds maximum size of {largest / 1024:.1f}K")
    return size


def _log_name(name: str) -> str:
    if not _LOG.fullmatch(name):
        raise ApiError(400, f'Invalid log name "{name}". It must be projects/[PROJECT_ID]/logs/[LOG_ID].')
    return name


def log_id(name: str) -> str:
    """The id in a log's name, decoded: "cloudaudit.googleapis.com/activity"."""
    return unquote(name.partition("/logs/")[2])
