"""Lifecycle rules: which can be, and what they say is to be done with an object.

https://cloud.google.com/storage/docs/lifecycle
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from localcloud.storage import names
from localcloud.storage.errors import invalid, not_emulated
from localcloud.storage.records import LIVE, ObjectRecord
from localcloud.storage.times import later, parse_date, parse_time

DELETE, SET_CLASS, ABORT = "Delete", "SetStorageClass", "AbortIncompleteMultipartUpload"
_DAYS = ("age", "daysSinceCustomTime", "daysSinceNoncurrentTime", "numNewerVersions")
_PASSING = _DAYS[:3]
_DATES = ("createdBefore", "customTimeBefore", "noncurrentTimeBefore")
_AFFIXES = ("matchesPrefix", "matchesSuffix")
_OF_UPLOADS = {"age", *_AFFIXES}
_MOST_RULES = 100
_MOST_AFFIXES = 1000
_LONGEST_AFFIX = 1024
_MOST_DAYS = 2**31 - 1
# From the dearest place to keep something in to the cheapest.
_COLDNESS = {"NEARLINE": 1, "COLDLINE": 2, "ARCHIVE": 3}


@dataclass(frozen=True)
class Rule:
    """One rule; `storage_class` is the one to set, `condition` as the API shows it."""

    action: str
    storage_class: str
    condition: dict[str, Any]

    def holds(self, record: ObjectRecord, newer: int, now: datetime) -> bool:
        """Whether all conditions hold of an object that has `newer` newer versions."""
        return all(_holds(name, wanted, record, newer, now) for name, wanted in self.condition.items())

    def begins(self, record: ObjectRecord, newer: int) -> datetime | None:
        """When the rule holds by the days that pass; None for one that never does, or that asks for no days."""
        moments: list[datetime] = []
        for name, days in self.condition.items():
            if name in _PASSING:
                if (start := _moment(name, record)) is None:
                    return None
                moments.append(later(start, days * 86_400))
        return max(moments) if moments and self.holds(record, newer, max(moments)) else None

    def holds_of_upload(self, name: str, started: datetime, now: datetime) -> bool:
        """The same for an unfinished multipart upload."""
        days = self.condition.get("age", 0)
        return _days_after(started, days, now) and all(
            _affix(kind, self.condition[kind], name) for kind in _AFFIXES if kind in self.condition
        )


@dataclass(frozen=True)
class Step:
    """What is to be done with an object: DELETE, or SET_CLASS to `storage_class`."""

    action: str
    storage_class: str = ""


def rules(bucket: dict[str, Any]) -> list[Rule]:
    """The rules of a bucket's resource."""
    found = (bucket.get("lifecycle") or {}).get("rule") or []
    return [Rule(r["action"]["type"], r["action"].get("storageClass", ""), r["condition"]) for r in found]


def step(of: Sequence[Rule], record: ObjectRecord, newer: int, now: datetime) -> Step | None:
    """What the rules want now: to delete wins, then the coldest class; None when there is nothing to do."""
    due = [rule for rule in of if rule.action != ABORT and rule.holds(record, newer, now)]
    if any(rule.action == DELETE for rule in due):
        return Step(DELETE)
    wanted = max((rule.storage_class for rule in due), key=_coldness, default="")
    if wanted and _may_become(record.storage_class, wanted):
        return Step(SET_CLASS, wanted)
    return None


def checked(lifecycle: Any) -> dict[str, Any] | None:
    """A client's `lifecycle` as it is kept, None for one without rules. Raises 400, 501."""
    if not isinstance(lifecycle, dict):
        raise invalid("Invalid argument.")
    given = lifecycle.get("rule") or []
    if not isinstance(given, list):
        raise invalid("Invalid argument.")
    if len(given) > _MOST_RULES:
        raise invalid(f"Lifecycle configuration cannot have more than {_MOST_RULES} rules.")
    made = [_checked_rule(rule) for rule in given]
    if sum(len(rule["condition"].get(kind, ())) for rule in made for kind in _AFFIXES) > _MOST_AFFIXES:
        raise invalid("Lifecycle matches_suffix and matches_prefix cannot specify more than 1000 rules per config.")
    return {"rule": made} if made else None


def _checked_rule(rule: Any) -> dict[str, Any]:
    action = rule.get("action") if isinstance(rule, dict) else None
    if not isinstance(action, dict) or not isinstance(action.get("type"), str):
        raise invalid("Invalid argument.")
    kind, storage_class = action["type"], action.get("storageClass")
    made: dict[str, Any] = {"type": kind}
    if kind not in (DELETE, SET_CLASS, ABORT):
        raise invalid(f"Invalid value for: {kind} is not a valid value")
    if kind == SET_CLASS:
        if not storage_class:
            raise invalid("Lifecycle storage class rules must specify the destination storage class.")
        made = {"storageClass": str(storage_class).upper(), "type": kind}
        if made["storageClass"] not in names.STORAGE_CLASSES:
            raise invalid(
                f"Unknown storage class '{storage_class}' is not a valid option for SET_STORAGE_CLASS actions."
            )
    elif storage_class:
        raise invalid("Storage class can only be specified for SET_STORAGE_CLASS actions")
    given = rule.get("condition")
    if not isinstance(given, dict):
        raise invalid("Lifecycle rules must have a condition.")
    condition = {name: _checked(name, value) for name, value in given.items() if value is not None}
    condition = {name: value for name, value in condition.items() if value != []}
    if not condition:
        raise invalid("Lifecycle rules must have a condition.")
    if kind == ABORT and not _OF_UPLOADS.issuperset(condition):
        raise invalid(
            "Lifecycle age_days, matches_prefix, and matches_suffix conditions are the only ones allowed for a "
            "ABORT_INCOMPLETE_MULTIPART_UPLOAD rule."
        )
    return {"action": made, "condition": condition}


def _checked(name: str, value: Any) -> Any:
    if name in _DAYS:
        return _number(name, value)
    if name in _DATES:
        parse_date(value)
        return value
    if name == "isLive":
        if not isinstance(value, bool):
            raise invalid("Invalid argument.")
        return value
    if name in _AFFIXES or name == "matchesStorageClass":
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise invalid("Invalid argument.")
        if name == "matchesStorageClass":
            for item in value:
                if item.upper() not in names.STORAGE_CLASSES:
                    raise invalid(f'Invalid storage class "{item}"')
            return [item.upper() for item in value]
        if any(not item or len(item) > _LONGEST_AFFIX for item in value):
            raise invalid(f"Lifecycle {name} cannot contain a string that is empty or longer than {_LONGEST_AFFIX}.")
        return value
    raise not_emulated(f"the lifecycle condition {name}")


def _number(name: str, value: Any) -> int:
    """JSON has these as numbers or, from some clients, as texts or as floats that are whole."""
    try:
        number = int(value)
        if isinstance(value, bool) or (isinstance(value, float) and number != value):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise invalid(f"Parse Error: Invalid value for TYPE_INT32 field: '{value}'.") from None
    if number < 0:
        raise invalid(f"Lifecycle {name} condition must be greater than or equal to 0, but was {number}")
    if number > _MOST_DAYS:
        raise invalid(f"Parse Error: Invalid value for TYPE_INT32 field: '{value}'.")
    return number


def _holds(name: str, wanted: Any, record: ObjectRecord, newer: int, now: datetime) -> bool:
    if name == "isLive":
        return (record.state == LIVE) == wanted
    if name == "matchesStorageClass":
        return record.storage_class in wanted
    if name in _AFFIXES:
        return _affix(name, wanted, record.name)
    if name == "numNewerVersions":
        return newer >= wanted
    moment = _moment(name, record)
    if moment is None:
        return False
    return moment < parse_date(wanted) if name in _DATES else _days_after(moment, wanted, now)


def _moment(name: str, record: ObjectRecord) -> datetime | None:
    """What a condition on a time compares with."""
    custom = record.settings.get("customTime", "")
    text = {"age": record.created, "createdBefore": record.created}.get(name) or (
        custom if "ustomTime" in name else record.deleted
    )
    return parse_time(text, name) if text else None


def _affix(kind: str, wanted: list[str], name: str) -> bool:
    return name.startswith(tuple(wanted)) if kind == "matchesPrefix" else name.endswith(tuple(wanted))


def _days_after(moment: datetime, days: int, now: datetime) -> bool:
    return days <= (now - moment) // timedelta(days=1)


def _coldness(storage_class: str) -> int:
    return _COLDNESS.get(storage_class, 0)


def _may_become(present: str, wanted: str) -> bool:
    """Only colder: https://cloud.google.com/storage/docs/lifecycle#setstorageclass-cost"""
    if _coldness(wanted) != _coldness(present):
        return _coldness(wanted) > _coldness(present)
    return wanted == "STANDARD" and present == "DURABLE_REDUCED_AVAILABILITY"
