"""Preconditions of requests: generations and metagenerations that must, or must not, be the present ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.storage.errors import condition_failed, invalid, not_modified
from localcloud.storage.records import ObjectRecord

# https://cloud.google.com/storage/docs/xml-api/reference-headers
_XML_HEADERS = {
    "x-goog-if-generation-match": "generation_match",
    "x-goog-if-metageneration-match": "metageneration_match",
}


@dataclass(frozen=True)
class Conditions:
    """What must hold of the present live object; generation 0 stands for "there is none"."""

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None
    etag_match: str = ""
    etag_not_match: str = ""
    xml: bool = False  # the tags are those of the XML API, which are made of the content

    def check(self, record: ObjectRecord | None) -> None:
        """Raise 412 unless all hold of what a write would change."""
        generation = record.generation if record else 0
        self._check(generation, record.metageneration if record else None, self._etag(record) if record else "")

    def check_metageneration(self, metageneration: int, etag: str) -> None:
        """The same for a bucket, which has no generations here."""
        self._check(None, metageneration, etag)

    def check_read(self, record: ObjectRecord) -> None:
        """Raise 412, or 304 when a "not match" says that the reader has this version already."""
        self._check_seen(record.generation, record.metageneration, self._etag(record))
        self.check(record)

    def check_bucket_read(self, metageneration: int, etag: str) -> None:
        """The same for a bucket."""
        self._check_seen(-1, metageneration, etag)
        self.check_metageneration(metageneration, etag)

    def _etag(self, record: ObjectRecord) -> str:
        return record.xml_etag.strip('"') if self.xml else record.etag

    def _check_seen(self, generation: int, metageneration: int, etag: str) -> None:
        if (
            self.generation_not_match == generation
            or self.metageneration_not_match == metageneration
            or (self.etag_not_match and _same(self.etag_not_match, etag))
        ):
            raise not_modified()

    def _check(self, generation: int | None, metageneration: int | None, etag: str) -> None:
        for wanted, present in (
            (self.generation_match, generation),
            (self.metageneration_match, metageneration),
        ):
            if wanted is not None and wanted != present:
                raise condition_failed()
        for refused, present in (
            (self.generation_not_match, generation),
            (self.metageneration_not_match, metageneration),
        ):
            if refused is not None and refused == present:
                raise condition_failed()
        if self.etag_match and not _same(self.etag_match, etag):
            raise condition_failed()
        if self.etag_not_match and _same(self.etag_not_match, etag):
            raise condition_failed()


ANY = Conditions()


def from_request(
    query: Mapping[str, str], headers: Mapping[str, str], prefix: str = "if", xml: bool = False
) -> Conditions:
    """The conditions of a request; `prefix` "ifSource" for those on a copy's source, `xml` for the XML API's.

    Raises 400 for no number.
    """
    texts = {
        "generation_match": query.get(f"{prefix}GenerationMatch"),
        "generation_not_match": query.get(f"{prefix}GenerationNotMatch"),
        "metageneration_match": query.get(f"{prefix}MetagenerationMatch"),
        "metageneration_not_match": query.get(f"{prefix}MetagenerationNotMatch"),
    }
    if prefix != "if":
        return Conditions(**_numbers(texts))
    for header, name in _XML_HEADERS.items():
        texts[name] = headers.get(header, texts[name])
    match, not_match = headers.get("if-match", ""), headers.get("if-none-match", "")
    return Conditions(etag_match=match, etag_not_match=not_match, xml=xml, **_numbers(texts))


def _numbers(texts: Mapping[str, str | None]) -> dict[str, Any]:
    return {name: number(text) for name, text in texts.items() if text is not None}


def number(text: str) -> int:
    """A whole number of a query, of 64 bits. Raises 400."""
    try:
        value = int(text)
    except ValueError:
        value = 1 << 63
    if not -(1 << 63) <= value < 1 << 63:
        raise invalid(f"Invalid unsigned long value: '{text}'")
    return value


def _same(wanted: str, etag: str) -> bool:
    """Whether an If-Match or If-None-Match value covers the etag ("*" covers any that is there)."""
    if wanted.strip() == "*":
        return bool(etag)
    return etag in [part.strip().removeprefix("W/").strip('"') for part in wanted.split(",")]
