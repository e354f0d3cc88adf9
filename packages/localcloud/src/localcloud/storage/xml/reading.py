"""XML that a client sent."""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

from localcloud.storage.errors import StorageError, invalid


def malformed() -> StorageError:
    return invalid("The XML you provided was not well-formed.", "MalformedXML")


def parsed(raw: bytes) -> Element:
    """The root element. Raises 400, also for a document type: entities could grow without end, or name files."""
    try:
        return fromstring(raw, forbid_dtd=True)
    except (ParseError, ValueError, LookupError):  # the last: of encodings
        raise malformed() from None


def plain(tag: str) -> str:
    """A tag without its namespace."""
    return tag.rpartition("}")[2]
