"""Which names, places, classes and sizes Cloud Storage accepts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from localcloud.storage.errors import StorageError, invalid, required

STORAGE_CLASSES = {
    "STANDARD",
    "NEARLINE",
    "COLDLINE",
    "ARCHIVE",
    "MULTI_REGIONAL",
    "REGIONAL",
    "DURABLE_REDUCED_AVAILABILITY",
}
# https://cloud.google.com/storage/docs/locations
MULTI_REGIONS = {"US", "EU", "ASIA"}
DUAL_REGIONS = {"NAM4", "EUR4", "EUR5", "EUR7", "EUR8", "ASIA1"}
_REGION = re.compile(r"[A-Z]{2,}(-[A-Z]+)+[0-9]{1,2}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_LABEL = re.compile(r"[\w-]{0,63}")
_LONGEST_OBJECT_NAME = 1024  # bytes of UTF-8
_LARGEST_OBJECT = 5 << 40  # bytes: https://cloud.google.com/storage/quotas#objects
_LARGEST_METADATA = 8 * 1024  # bytes of all custom keys and values


def check_bucket_name(name: Any) -> str:
    """The name, or 400: https://cloud.google.com/storage/docs/buckets#naming"""
    if not name:
        raise required("Required parameter: name")
    parts = name.split(".") if isinstance(name, str) else []
    if (
        not parts
        or not _BUCKET.fullmatch(name)
        or any(not part or len(part) > 63 or part.startswith("-") or part.endswith("-") for part in parts)
        or _is_address(name)
        or name.startswith("goog")
        or re.search(r"g[o0]{2}g[l1]e", name)
    ):
        raise invalid(f"Invalid bucket name: '{name}'", "InvalidBucketName")
    return name


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def check_object_name(name: Any) -> str:
    """The name, or 400: https://cloud.google.com/storage/docs/objects#naming"""
    if not name:
        raise required("Required parameter: name")
    if not isinstance(name, str):
        raise invalid("The specified object name is not valid.", "InvalidObjectName")
    if "\r" in name or "\n" in name:
        raise invalid(f"Disallowed unicode characters present in object name '{name}'", "InvalidObjectName")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:  # half a surrogate pair
        size = _LONGEST_OBJECT_NAME + 1
    if size > _LONGEST_OBJECT_NAME or name in (".", "..") or name.startswith(".well-known/acme-challenge/"):
        raise invalid("The specified object name is not valid.", "InvalidObjectName")
    return name


def check_size(size: int) -> None:
    """413 for more than an object can have, as soon as a client says that it has so many bytes."""
    if size > _LARGEST_OBJECT:
        message = f"The object would have {size} bytes, more than the maximum of {_LARGEST_OBJECT} (5 TiB)."
        raise StorageError(413, message, "uploadTooLarge", "EntityTooLarge")


def check_custom_metadata(metadata: Any) -> None:
    """400 for keys and values that are no strings, or more than 8 KiB together."""
    if metadata is None:
        return
    if not isinstance(metadata, Mapping) or not all(isinstance(v, str | None) for v in metadata.values()):
        raise invalid("Invalid argument.")
    size = sum(len(key.encode()) + len((value or "").encode()) for key, value in metadata.items())
    if size > _LARGEST_METADATA:
        raise invalid(f"The total size of the metadata, {size} bytes, is over 8192 bytes.", "MetadataTooLarge")


def check_storage_class(storage_class: Any) -> str:
    if not isinstance(storage_class, str) or storage_class not in STORAGE_CLASSES:
        raise invalid("Invalid argument.")
    return storage_class


def check_location(location: Any) -> tuple[str, str]:
    """(location in capitals, its type), or 400."""
    upper = str(location).upper()
    if upper in MULTI_REGIONS:
        return upper, "multi-region"
    if upper in DUAL_REGIONS:
        return upper, "dual-region"
    if _REGION.fullmatch(upper):
        return upper, "region"
    raise invalid("The specified location constraint is not valid.", "InvalidLocationConstraint")


def check_placement(location: str, placement: Any) -> list[str]:
    """The two regions of a dual-region of one's own, in capitals, or 400.

    https://cloud.google.com/storage/docs/locations#location-dr
    """
    given = placement.get("dataLocations") if isinstance(placement, Mapping) else None
    regions = [str(region).upper() for region in given] if isinstance(given, list) else []
    start = {"US": "US-", "EU": "EUROPE-", "ASIA": "ASIA-"}.get(location)
    fits = all(_REGION.fullmatch(region) and region.startswith(start or "") for region in regions)
    if start is None or len(set(regions)) != 2 or len(regions) != 2 or not fits:
        raise invalid("The specified location constraint is not valid.", "InvalidLocationConstraint")
    return regions


def check_labels(labels: Any) -> None:
    """400 for bucket labels that can't be: https://cloud.google.com/storage/docs/tags-and-labels#bucket-labels"""
    if labels is None:
        return
    if not isinstance(labels, Mapping) or len(labels) > 64:
        raise invalid("Invalid argument.")
    for key, value in labels.items():
        right_key = _LABEL.fullmatch(key) and key[:1].isalpha() and key == key.lower()
        if not right_key or not (value is None or (isinstance(value, str) and _LABEL.fullmatch(value))):
            raise invalid("Invalid argument.")
        if value is not None and value != value.lower():
            raise invalid("Invalid argument.")
