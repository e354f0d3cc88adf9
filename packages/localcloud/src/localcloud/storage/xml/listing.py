"""Lists of objects in the XML API: version 1, version 2 (list-type=2), and of all versions.

https://cloud.google.com/storage/docs/xml-api/get-bucket-list
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote
from xml.sax.saxutils import escape

from localcloud.storage.conditions import number
from localcloud.storage.errors import invalid
from localcloud.storage.listing import Page, Query, from_request, page, successor
from localcloud.storage.records import LIVE, ObjectRecord
from localcloud.storage.store import Storage

NAMESPACE = "http://doc.s3.amazonaws.com/2006-03-01"
_LARGEST_PAGE = 1000
_LAST = (1 << 63) - 1  # after all generations of a name


def whole(query: Mapping[str, str], name: str, default: int) -> int:
    """A number of a query. Raises 400."""
    text = query.get(name) or str(default)
    if not text.isdecimal():
        raise invalid("Invalid argument.")
    return number(text)


def listed(storage: Storage, bucket: str, query: Mapping[str, str]) -> str:
    """The document that lists a bucket. Reads many rows: call it in a thread. Raises 404, 400."""
    storage.buckets.get(bucket)
    if query.get("encoding-type", "url") != "url":
        raise invalid("Invalid argument.")
    shown = _encoded if "encoding-type" in query else escape
    second = query.get("list-type") == "2"
    limit = min(whole(query, "max-keys", _LARGEST_PAGE), _LARGEST_PAGE)
    wanted = Query(
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        versions="versions" in query,
        limit=limit,
    )
    wanted = replace(wanted, after=_start(query, wanted, second))
    found = page(storage.metadata, bucket, wanted) if limit else Page()
    given = [("Name", bucket), ("Prefix", wanted.prefix)]
    given += [("Delimiter", wanted.delimiter)] if wanted.delimiter else []
    given += _markers(query, found, wanted, second)
    head = "".join(f"<{name}>{shown(value)}</{name}>" for name, value in given)
    if second:
        head += f"<KeyCount>{found.size}</KeyCount>"
    encoding = "<EncodingType>url</EncodingType>" if "encoding-type" in query else ""
    head += f"<MaxKeys>{limit}</MaxKeys>{encoding}<IsTruncated>{str(bool(found.token)).lower()}</IsTruncated>"
    items = "".join(_entry(record, shown, wanted.versions) for record in found.items)
    groups = "".join(f"<CommonPrefixes><Prefix>{shown(name)}</Prefix></CommonPrefixes>" for name in found.prefixes)
    root = "ListVersionsResult" if wanted.versions else "ListBucketResult"
    return f"<{root} xmlns='{NAMESPACE}'>{head}{items}{groups}</{root}>"


def _start(query: Mapping[str, str], wanted: Query, second: bool) -> tuple[str, int] | None:
    """What the page comes after."""
    if second and query.get("continuation-token"):
        return from_request({"pageToken": query["continuation-token"]}).after
    if wanted.versions:
        marker, generation = (
            query.get("key-marker", ""),
            query.get("version-id-marker") or query.get("generation-marker"),
        )
        last = whole({"g": generation}, "g", 0) if generation else _LAST
    else:
        marker, last = query.get("start-after" if second else "marker", ""), _LAST
    if not marker:
        return None
    ends_group = wanted.delimiter and marker.endswith(wanted.delimiter) and len(marker) > len(wanted.prefix)
    # The marker of version 1 may be a group that the last page ended with.
    after = (successor(marker), -1) if ends_group and not second else (marker, last)
    return max(after, (wanted.prefix, -1))


def _markers(query: Mapping[str, str], found: Page, wanted: Query, second: bool) -> list[tuple[str, str]]:
    """Where this page began and the next begins."""
    last = max([record.name for record in found.items[-1:]] + found.prefixes[-1:], default="")
    if second:
        names = [
            ("ContinuationToken", query.get("continuation-token", "")),
            ("StartAfter", query.get("start-after", "")),
        ]
        return [pair for pair in [*names, ("NextContinuationToken", found.token)] if pair[1]]
    if not wanted.versions:
        return [("Marker", query.get("marker", "")), *([("NextMarker", last)] if found.token else [])]
    markers = [("KeyMarker", query.get("key-marker", ""))]
    if found.token:
        markers.append(("NextKeyMarker", last))
        if found.items and found.items[-1].name == last:
            markers.append(("NextVersionIdMarker", str(found.items[-1].generation)))
    return markers


def _entry(record: ObjectRecord, shown: object, versions: bool) -> str:
    encode = _encoded if shown is _encoded else escape
    latest = f"<IsLatest>{str(record.state == LIVE).lower()}</IsLatest>" if versions else ""
    version = f"<VersionId>{record.generation}</VersionId>" if versions else ""
    tag = "Version" if versions else "Contents"
    return (
        f"<{tag}><Key>{encode(record.name)}</Key>{version}{latest}<Generation>{record.generation}</Generation>"
        f"<MetaGeneration>{record.metageneration}</MetaGeneration><LastModified>{record.updated}</LastModified>"
        f"<ETag>{escape(record.xml_etag)}</ETag><Size>{record.size}</Size>"
        f"<StorageClass>{record.storage_class}</StorageClass></{tag}>"
    )


def _encoded(text: str) -> str:
    return escape(quote(text, safe="/*-._~"))
