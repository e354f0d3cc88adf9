"""What it costs to keep data in an account's bucket, to send them there, and to get them out of the cloud again."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from catalog import prices as book
from catalog.prices import Price

_GIB = 2**30  # bytes; Cloud Storage's prices are by this: https://cloud.google.com/storage/pricing
_IN_PARTS, _PART = 64 * 2**20, 32 * 2**20  # bytes: how jobs/staging.py sends large files


def month(region: str, count: int) -> Price:
    """The price of keeping `count` bytes for a month; unknown where the region's price is."""
    return book.storage(region).times(Decimal(count) / _GIB, "month")


def sending(region: str, sizes: Iterable[int]) -> Price:
    """The price of sending files of these sizes, once: a request for each, and for each part of a large one."""
    requests = 1 + sum(1 if size < _IN_PARTS else 2 + -(-size // _PART) for size in sizes)  # and the record
    return book.operation(region, "STANDARD", reads=False).times(requests, "once")


def receiving(region: str, sizes: list[int]) -> Price:
    """The price of getting files of these sizes out of the cloud, once: what leaves Google, and a request for each."""
    leaving = book.egress().times(Decimal(sum(sizes)) / _GIB, "once")
    return leaving.plus(book.operation(region, "STANDARD", reads=True).times(len(sizes), "once"))
