"""What keeps an object from being deleted or overwritten: holds, its bucket's retention policy, a retention of its own.

https://cloud.google.com/storage/docs/object-holds, .../bucket-lock and .../object-lock
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from localcloud.storage.errors import StorageError, invalid
from localcloud.storage.records import ObjectRecord
from localcloud.storage.times import pacific, parse_time, shown, with_offset

Settings = dict[str, Any]
HOLDS = ("temporaryHold", "eventBasedHold")
PROTECTIONS = (*HOLDS, "retention")  # what a copy does not take over from its source
_TEXTS = ("contentType", "contentEncoding", "contentDisposition", "contentLanguage", "cacheControl")
_MODES = ("Unlocked", "Locked")
_LONGEST = 3_155_760_000  # seconds: 100 years
_LOCKED = (
    "The locked object retention cannot be removed. Its retention mode cannot be changed and its retention period "
    "cannot be shortened."
)
_UNLOCKED = (
    "The unlocked object retention cannot be removed and its retention period cannot be shortened without overriding "
    "unlocked retention intent and permission."
)
_BOTH = "Retention and event based holds cannot be configured together."


def check(record: ObjectRecord, now: datetime, archived: bool = False) -> None:
    """Raise 403 when the object may not go; `archived`: it stays as a noncurrent version, which retention allows."""
    path = f"{record.bucket}/{record.name}"
    for hold, kind in (("temporaryHold", "Temporary"), ("eventBasedHold", "Event-Based")):
        if record.settings.get(hold):
            raise StorageError(
                403,
                f"Object '{path}' is under active {kind} hold and cannot be deleted, overwritten or archived until "
                "hold is removed.",
                "forbidden",
                "ObjectUnderActiveHold",
            )
    until = record.retained_until
    if until is not None and now < until and not archived:
        raise StorageError(
            403,
            f"Object '{path}' is subject to bucket's retention policy or object retention and cannot be deleted or "
            f"overwritten until {pacific(until)}",
            "retentionPolicyNotMet",
            "RetentionPolicyNotMet",
        )


def is_kept(record: ObjectRecord, now: datetime, archived: bool = False) -> bool:
    """Whether `check` would raise."""
    try:
        check(record, now, archived)
    except StorageError:
        return True
    return False


def checked(settings: Settings) -> Settings:
    """What a client says about an object, with its times in one form. Raises 400 for what can't be."""
    if not all(isinstance(settings.get(name), str | None) for name in _TEXTS):
        raise invalid("Invalid argument.")
    for hold in HOLDS:
        if not isinstance(settings.get(hold, False), bool):
            raise invalid(f"Invalid value for: {settings[hold]} is not a valid value")
    if settings.get("customTime") is not None:
        settings = settings | {"customTime": shown(parse_time(settings["customTime"], "customTime"))}
    return settings


def of_new(settings: Settings, bucket: Settings, now: datetime) -> Settings:
    """The settings of a new object: the bucket's default hold, and a retention that may be. Raises 400."""
    if bucket.get("defaultEventBasedHold") and "eventBasedHold" not in settings:
        settings = settings | {"eventBasedHold": True}
    if "retention" in settings:
        settings = settings | {"retention": _parsed(settings["retention"], bucket, now)}
        if settings.get("eventBasedHold"):
            raise invalid(_BOTH)
    return settings


def of_changed(present: Settings, changes: Settings, bucket: Settings, now: datetime, override: bool) -> Settings:
    """`changes` as far as they may be made: holds, custom time, retention (`override`: an unlocked one may be less).

    Raises 400, 403. Null in `changes` removes.
    """
    changes = checked(changes)
    if "retention" in changes:
        changes = changes | {
            "retention": _changed(present.get("retention"), changes["retention"], bucket, now, override)
        }
    before = present.get("customTime")
    if before and "customTime" in changes:
        wanted = changes["customTime"]
        if wanted is None:
            raise invalid("Custom time cannot be removed once it has been set.")
        old, new = parse_time(before, "customTime"), parse_time(wanted, "customTime")
        if new < old:
            texts = with_offset(old), with_offset(new)
            raise invalid("Custom time cannot be decreased. Previously: {}. Attempting to set: {}.".format(*texts))
    after = present | changes
    if after.get("retention") and after.get("eventBasedHold"):
        raise invalid(_BOTH)
    return changes


def _changed(old: Settings | None, new: Any, bucket: Settings, now: datetime, override: bool) -> Settings | None:
    if new == {}:
        return old
    gone = new is None or (isinstance(new, dict) and not any(new.get(key) for key in ("mode", "retainUntilTime")))
    wanted = None if gone else _parsed(new, bucket, now, old)
    if not old or wanted == old:
        return wanted
    shorter = wanted is None or _until(wanted) < _until(old)
    locked = wanted is not None and wanted["mode"] == "Locked"
    if old["mode"] == "Locked":
        if shorter or not locked:
            raise StorageError(403, _LOCKED, "forbidden")
    elif (shorter or locked) and not override:
        raise StorageError(403, _UNLOCKED, "forbidden")
    return wanted


def _parsed(retention: Any, bucket: Settings, now: datetime, old: Settings | None = None) -> Settings:
    if not isinstance(retention, dict):
        raise invalid("Invalid argument.")
    if (bucket.get("objectRetention") or {}).get("mode") != "Enabled":
        raise invalid("Object retention is not enabled on the bucket.")
    mode, until = retention.get("mode"), retention.get("retainUntilTime")
    if mode is None:
        raise invalid("Missing retention mode. Both mode and retain until time are required.")
    if until is None:
        raise invalid("Missing retain until time. Both mode and retain until time are required.")
    if mode not in _MODES:
        raise invalid(f"Invalid value for: {mode} is not a valid value")
    moment = parse_time(until, "retainUntilTime")
    made = {"mode": mode, "retainUntilTime": shown(moment)}
    if made == old:
        return made
    if moment <= now:
        raise invalid("Retain until time cannot be in the past.")
    if (moment - now).total_seconds() > _LONGEST:
        raise invalid("Retain until time cannot be more than 100 years in the future.")
    return made


def _until(retention: Settings) -> datetime:
    return parse_time(retention["retainUntilTime"], "retainUntilTime")
