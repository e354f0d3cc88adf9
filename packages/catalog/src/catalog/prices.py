"""The price book: what an hour of training, disk and storage cost, each with its date, source and how sure it is.

The rule of on-demand training, confirmed on published prices of N1 and H100: Compute Engine's list price x 1.15. On
spot: Compute Engine's spot price + 15 % of the on-demand list price as a management fee. Taxes and network are not in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from catalog.book import read
from catalog.machines import machine as known_machine

_SURENESS = ("confirmed", "derived", "estimate", "unknown")


@dataclass(frozen=True)
class Price:
    """An amount per unit. `amount` None means unknown, which is never 0.

    `sure` is "confirmed" (seen on a price list), "derived" (by the rule above), "estimate" or "unknown"; `as_of` the
    date of the oldest number in it.
    """

    amount: Decimal | None
    currency: str
    unit: str
    as_of: str
    sure: str
    source: str

    def times(self, factor: int | Decimal, unit: str = "") -> Price:
        """The price of `factor` units; unknown stays unknown."""
        return replace(self, amount=None if self.amount is None else self.amount * factor, unit=unit or self.unit)

    def plus(self, other: Price) -> Price:
        """Both together: as old as the older and as sure as the less sure; unknown when one is."""
        known = self.amount is not None and other.amount is not None
        source = self.source if other.source in self.source else f"{self.source}; {other.source}"
        return Price(
            (self.amount or Decimal(0)) + (other.amount or Decimal(0)) if known else None,
            self.currency,
            self.unit,
            min(self.as_of, other.as_of),
            max(self.sure, other.sure, key=_SURENESS.index),
            source,
        )


def hourly(machine: str, region: str, accelerator: str = "", count: int = 0, spot: bool = False) -> Price:
    """The price of one machine with `count` accelerators for an hour of training, without its disk.

    Raises catalog.book.UnknownName for an unknown machine; a price that is not known has amount None.
    """
    book = read("prices.json")
    shape = known_machine(machine)
    parts = []
    if shape.family != "tpu":  # the price of a v2 or v3 board includes its host
        parts.append(_machine(book, machine, region) if not shape.tpu else _tpu(book, shape.chip, shape.chips, region))
    if accelerator.startswith("TPU_"):
        parts.append(_tpu(book, accelerator, count, region))
    elif accelerator:
        parts.append(_gpu(book, accelerator, count, region))
    listed = sum((p.on_demand for p in parts), Decimal(0)) if all(p.on_demand is not None for p in parts) else None
    sources = "; ".join(dict.fromkeys(p.source(spot) for p in parts))
    as_of = min((p.as_of(spot) for p in parts), default=book["as_of"])
    if not spot:
        sure = "confirmed" if machine in book["confirmed"] and region == "us-central1" and not count else "derived"
        if shape.tpu:
            sure = "estimate"  # that the rule holds for TPUs is from memory
        amount = None if listed is None else listed * book["vertex_factor"]
        return Price(amount, book["currency"], "hour", as_of, sure if amount is not None else "unknown", sources)
    cheap = sum((p.spot for p in parts), Decimal(0)) if all(p.spot is not None for p in parts) else None
    amount = None if listed is None or cheap is None else cheap + listed * book["spot_fee"]
    return Price(amount, book["currency"], "hour", as_of, "unknown" if amount is None else "estimate", sources)


def disk(kind: str, gigabytes: int) -> Price:
    """The price of an hour of a boot disk: `kind` pd-ssd or pd-standard; another kind is unknown."""
    book = read("prices.json")
    each = book["disk_per_gb_hour"].get(kind)
    return Price(
        None if each is None else each * gigabytes,
        book["currency"],
        "hour",
        "2026",
        "unknown" if each is None else "confirmed" if kind == "pd-ssd" else "derived",
        book["disk_source"],
    )


def disk_kinds() -> tuple[str, ...]:
    """Kinds of boot disk whose price is known."""
    return tuple(read("prices.json")["disk_per_gb_hour"])


def storage(region: str, storage_class: str = "STANDARD") -> Price:
    """The price of a GB of storage of a class for a month in `region` (or "us", "eu", "asia")."""
    book = read("resources.json")
    rows = book["storage_gb_month"] if storage_class == "STANDARD" else book["cold_gb_month"].get(storage_class, {})
    found = next((Decimal(a) for a, names in rows.items() if region in names), None)
    return Price(
        found, book["currency"], "GB-month", book["as_of"], "unknown" if found is None else "estimate", book["source"]
    )


def operation(region: str, storage_class: str, reads: bool) -> Price:
    """The price of one operation of Cloud Storage: class B, which reads, or class A."""
    book = read("resources.json")
    where = "multi-region" if region in ("us", "eu", "asia") else "region"
    row = book["operations_per_1000"].get(storage_class)
    amount = Decimal(row[where][int(reads)]) / 1000 if row else None
    return Price(
        amount, book["currency"], "operation", book["as_of"], "unknown" if row is None else "estimate", book["source"]
    )


def egress() -> Price:
    """The price of a GiB that leaves Google for the internet: the first TiB of a month, to most of the world.

    To China and Australia it is dearer.
    """
    book = read("resources.json")
    return Price(Decimal(book["egress_gib"]), book["currency"], "GiB", book["as_of"], "estimate", book["source"])


def between(start: str, end: str) -> Price:
    """The price of a GiB that a bucket in one region sends into another; 0 within a region.

    Of regions on other continents than North America, Europe and Asia the dearest known price is given.
    """
    book = read("resources.json")["between_regions_gib"]
    areas = sorted(
        next((name for name, heads in book["areas"].items() if region.startswith(tuple(heads))), "")
        for region in (start, end)
    )
    if start == end:
        amount = "0"
    elif "" in areas:
        amount = book["elsewhere"]
    else:
        amount = book["within"][areas[0]] if areas[0] == areas[1] else book["across"][", ".join(areas)]
    return Price(Decimal(amount), read("resources.json")["currency"], "GiB", book["as_of"], "estimate", book["source"])


def least_days(storage_class: str) -> int:
    """For how many days an object of a class is charged at least, 0 for as long as it is there."""
    return read("resources.json")["least_days"].get(storage_class, 0)


@dataclass(frozen=True)
class _Part:
    """One summand: Compute Engine's prices for an hour, None where the book has none."""

    book: Any
    name: str
    on_demand: Decimal | None
    spot: Decimal | None

    def _newer(self, spot: bool) -> bool:
        newer = self.book["newer"]
        # A spot price holds the fee, a share of the on-demand price, so both dates count.
        return self.name in newer["on_demand"] and (not spot or self.name in newer["spot"])

    def source(self, spot: bool) -> str:
        return self.book["newer"]["source"] if self._newer(spot) else self.book["source"]

    def as_of(self, spot: bool) -> str:
        return self.book["newer"]["as_of"] if self._newer(spot) else self.book["as_of"]


def _machine(book: Any, name: str, region: str) -> _Part:
    return _Part(
        book,
        name,
        _cell(book["on_demand"].get(name), book["on_demand_regions"], region),
        _cell(book["spot"].get(name), book["spot_regions"], region),
    )


def _cell(row: list[Decimal | None] | None, regions: list[str], region: str) -> Decimal | None:
    value = row[regions.index(region)] if row and region in regions else None
    return None if value is None else Decimal(value)


def _gpu(book: Any, name: str, count: int, region: str) -> _Part:
    return _Part(
        book,
        name,
        _times(book["gpu_on_demand"].get(name, {}).get(region), count),
        _times(book["gpu_spot"].get(name, {}).get(region), count),
    )


def _tpu(book: Any, name: str, count: int, region: str) -> _Part:
    row = book["tpu"].get(name, {"per": 1, "on_demand": {}, "spot": {}})
    share = Decimal(count) / row["per"]
    return _Part(book, name, _times(row["on_demand"].get(region), share), _times(row["spot"].get(region), share))


def _times(value: Decimal | int | None, factor: int | Decimal) -> Decimal | None:
    return None if value is None else Decimal(value) * factor
