"""A layer of the price book from the SKUs of a price list; what isn't mapped or isn't believed is told beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from catalog.gathering import amounts, names
from catalog.gathering.amounts import Reason, Refused
from catalog.listed import TABLES

_LONGEST = 300  # characters of a description that are kept


@dataclass(frozen=True)
class Told:
    """A SKU that was not used: `why` is "" where the book has no place for it; `region` if only that was left out."""

    service: str
    sku: str
    description: str
    why: Reason | str = ""
    region: str = ""


@dataclass(frozen=True)
class Gathered:
    """What a price list gave: `layer` for catalog.listed, from `used` SKUs. `since` is when its newest price began."""

    layer: dict[str, Any]
    used: int
    since: str
    unmapped: tuple[Told, ...]
    refused: tuple[Told, ...]


@dataclass(frozen=True)
class _Priced:
    told: Told
    dollars: Decimal
    free: Decimal


def gather(lists: Mapping[str, Sequence[Any]], now: datetime, source: str, currency: str = "USD") -> Gathered:
    """A layer of what costs what at `now`, an aware time, by the SKUs of each service (by its id) in `currency`.

    A price is used that is in force, whole, above zero, in a unit that is known, and that no other SKU contradicts.
    """
    cells: dict[tuple[str, str, str], list[_Priced]] = {}
    unmapped, refused, newest = [], [], ""
    for service, sku in ((service, sku) for service, skus in lists.items() for sku in skus):
        told = _told(service, sku)
        try:
            known = names.known(service, sku)
            if known is None:
                unmapped.append(told)
                continue
            amount = amounts.read(sku, known.measure, currency, now)
        except Refused as problem:
            refused.append(Told(told.service, told.sku, told.description, problem.why))
            continue
        except (KeyError, TypeError, AttributeError):
            refused.append(Told(told.service, told.sku, told.description, "torn"))
            continue
        newest = max(newest, amount.since)
        for region in known.regions:
            priced = _Priced(told, amount.dollars, amount.free)
            cells.setdefault((known.table, known.name, region), []).append(priced)
    layer: dict[str, Any] = {"as_of": now.date().isoformat(), "source": source, "sure": "confirmed"}
    used: set[tuple[str, str]] = set()
    for (table, name, region), found in sorted(
        cells.items(), key=lambda item: (TABLES.index(item[0][0]), *item[0][1:])
    ):
        if len({(one.dollars, one.free) for one in found}) > 1:
            refused += _contradicting(found, region)
            continue
        used |= {(one.told.service, one.told.sku) for one in found}
        layer.setdefault(table, {}).setdefault(name, {})[region] = found[0].dollars
        if found[0].free and table in ("storage", "operation", "run"):
            layer.setdefault("free", {}).setdefault(name, {})[region] = found[0].free
    return Gathered(layer, len(used), newest, tuple(unmapped), tuple(refused))


def _contradicting(found: Sequence[_Priced], region: str) -> Iterator[Told]:
    for one in found:
        yield Told(one.told.service, one.told.sku, one.told.description, "two prices", region)


def _told(service: str, sku: Any) -> Told:
    """What a SKU is called, however torn it is."""
    said = sku if isinstance(sku, Mapping) else {}
    return Told(service, str(said.get("skuId", ""))[:40], str(said.get("description", ""))[:_LONGEST])
