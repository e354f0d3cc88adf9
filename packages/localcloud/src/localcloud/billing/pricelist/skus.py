"""Cloud Billing Catalog: the price list of what this cloud charges for, in Google's shape and words.

https://cloud.google.com/billing/docs/reference/rest/v1/services.skus/list. A machine's cores and memory are sold apart,
an accelerator, a disk and Vertex AI's fee too; regions that pay the same share a SKU where Google has a name for them
together. The rate of another currency is the catalogue's, of one day. Simplified: only what training and storage use;
ids are this cloud's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Any

from catalog import listed, run
from catalog import prices as book
from catalog.currencies import Rate
from catalog.gathering import names
from catalog.regions import regions
from localcloud.billing import currency, prices
from localcloud.billing.pricelist import places
from localcloud.billing.prices import NANOS
from localcloud.core.errors import ApiError

Body = dict[str, Any]
# usageUnit -> (its name, baseUnit, conversion)
_UNITS = {
    "h": ("hour", "s", 3600),
    "s": ("second", "s", 1),
    "GiBy.s": ("gibibyte second", "By.s", 2**30),
    "GiBy.h": ("gibibyte hour", "By.s", 2**30 * 3600),
    "GiBy.mo": ("gibibyte month", "By.s", 2**30 * 31 * 86400),
    "GiBy": ("gibibyte", "By", 2**30),
    "count": ("count", "count", 1),
}
_BASES = {"s": "second", "By.s": "byte second", "By": "byte", "count": "count"}
_HOURS = 730  # of a month, as Google's price pages turn the price of a month into that of an hour
_CLASSES = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE")
_MULTI_REGIONS = {"us": ("US", "us"), "eu": ("Europe", "europe"), "asia": ("Asia", "asia")}


def services() -> list[Body]:
    """The services that have prices here."""
    return [
        {"name": f"services/{key}", "serviceId": key, "displayName": name, "businessEntityName": "businessEntities/GCP"}
        for key, name in names.SERVICES.items()
    ]


def skus(service_id: str, stamp: str, wanted: str) -> list[Body]:
    """The SKUs of a service in the currency `wanted` ("": USD), valid from `stamp`.

    Raises 404, 400 for a currency of which no rate is known.
    """
    if service_id not in names.SERVICES:
        raise ApiError(404, f"Service {service_id} is not found.")
    found = currency.rate(wanted or "USD")
    if not found.as_of:
        raise ApiError(400, f"Request contains an invalid argument: the local cloud knows no rate of {wanted}.")
    return [sku | {"pricingInfo": [price | {"effectiveTime": stamp}]} for sku, price in _all(service_id, found)]


@cache
def _all(service_id: str, rate: Rate) -> list[tuple[Body, Body]]:
    made = {names.VERTEX: _vertex, names.COMPUTE: _compute, names.STORAGE: _storage, names.RUN: _run}
    return [_sku(service_id, rate, row) for row in made[service_id]()]


@dataclass(frozen=True)
class _Row:
    """One SKU: USD for a `unit` beyond `free` of them."""

    text: str
    family: str
    group: str
    unit: str
    price: Decimal
    where: tuple[str, ...]
    free: Decimal = Decimal(0)
    spot: bool = False


def _vertex() -> Iterator[_Row]:
    for name, text, group, unit in _sold():
        for table, price in (("on", book.unit), ("management fee on", book.fee)):
            for place, where, amount in _shared((r, price(name, r).amount) for r in regions()):
                words = f"Vertex AI: Training/Pipelines {table} {text} in {place}"
                yield _Row(words, "ApplicationServices", group, unit, amount, where)
    for kind in book.disk_kinds():
        text = f"Vertex AI: Training/Pipelines on {names.DISKS[kind]}"
        for _place, where, amount in _alike((r, book.disk(kind, 1, r).amount) for r in regions()):
            yield _Row(text, "ApplicationServices", "Disk", "GiBy.mo", amount * _HOURS, where)


def _compute() -> Iterator[_Row]:
    for name, text, group, unit in _sold(tpus=True):
        for table in ("compute", "spot"):
            found = ((r, listed.find(table, name, r)) for r in listed.regions(table, name))
            for place, where, amount in _shared((r, cell and cell.amount) for r, cell in found):
                words = f"{text} running in {place}"
                if table == "spot":
                    cores = group in ("CPU", "RAM")
                    behind = f"{text} attached to Spot Preemptible VMs running in {place}"
                    words = f"Spot Preemptible {words}" if cores else behind
                yield _Row(words, "Compute", group, unit, amount, where, spot=table == "spot")


def _sold(*, tpus: bool = False) -> Iterator[tuple[str, str, str, str]]:
    """(name in the book, words, resource group, unit) of cores, memory and accelerators."""
    for family, text in names.FAMILIES.items():
        yield f"{family} core", f"{text} Core", "CPU", "h"
        yield f"{family} memory", f"{text} Ram", "RAM", "GiBy.h"
    for name, text in names.GPUS.items():
        yield name, text, "GPU", "h"
    for name, text in names.TPUS.items() if tpus else ():
        yield name, text, "TPU", "h"


def _storage() -> Iterator[_Row]:
    for storage_class in _CLASSES:
        text, group = f"{storage_class.capitalize()} Storage", f"{storage_class.capitalize()}Storage"
        for _place, where, (price, free) in _shared(_stored(storage_class)):
            place = places.name(where[0]) if len(where) == 1 else "US Regional"
            yield _Row(f"{text} {place}", "Storage", group, "GiBy.mo", price, where, free)
        for ours, (name, region) in _MULTI_REGIONS.items():
            price = prices.stored(storage_class, ours).price
            if price is not None:
                words = f"{text} {name} Multi-region"
                yield _Row(words, "Storage", "MultiRegionalStorage", "GiBy.mo", price, (region,))
        for reads in (False, True):
            kind = "Class B Operations" if reads else "Class A Operations"
            for where, region, ops in (
                ("Regional", "us-central1", "RegionalOps"),
                ("Multi-Region", "us", "StandardOps"),
            ):
                sku = prices.operation(storage_class, region, reads)
                assert sku.price is not None
                words = f"{where} {storage_class.capitalize()} {kind}"
                free = sku.free.amount if sku.free else Decimal(0)
                yield _Row(words, "Storage", ops, "count", sku.price, ("global",), free)
    leaving = book.egress().amount
    assert leaving is not None
    text = "Download Worldwide Destinations (excluding Asia & Australia)"
    yield _Row(text, "Network", "PremiumInternetEgress", "GiBy", leaving, ("global",))


def _stored(storage_class: str) -> Iterator[tuple[str, tuple[Decimal, Decimal] | None]]:
    for region in regions():
        sku = prices.stored(storage_class, region)
        free = sku.free.amount if sku.free else Decimal(0)
        yield region, None if sku.price is None else (sku.price, free)


def _run() -> Iterator[_Row]:
    for region in run.regions():
        for sku, unit in ((prices.run_cpu(region), "s"), (prices.run_memory(region), "GiBy.s")):
            assert sku.price is not None and sku.free is not None
            yield _Row(
                sku.text,
                "ApplicationServices",
                "Compute",
                unit,
                sku.price,
                (region,),
                sku.free.amount / sku.free.weight,
            )


def _shared(found: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """(name of the place, its regions, what it costs): "Americas" and its like where all of theirs cost the same."""
    costs = {region: cost for region, cost in found if cost is not None}
    for place, members in places.GROUPS.items():
        if len({costs.get(region) for region in members}) == 1 and members[0] in costs:
            yield place, members, costs[members[0]]
            for region in members:
                del costs[region]
    for region, cost in costs.items():
        yield places.name(region), (region,), cost


def _alike(found: Iterable[tuple[str, Decimal | None]]) -> Iterator[tuple[str, tuple[str, ...], Decimal]]:
    """The same for what has no place in its name: all regions that pay the same."""
    by_cost: dict[Decimal, list[str]] = {}
    for region, cost in found:
        if cost is not None:
            by_cost.setdefault(cost, []).append(region)
    for cost, members in by_cost.items():
        yield "", tuple(members), cost


def _sku(service_id: str, rate: Rate, row: _Row) -> tuple[Body, Body]:
    digest = hashlib.sha256(f"{service_id} {row.text} {row.where}".encode()).hexdigest()[:12].upper()
    sku_id = f"{digest[:4]}-{digest[4:8]}-{digest[8:]}"
    words, base, factor = _UNITS[row.unit]
    rates = [{"startUsageAmount": float(row.free), "unitPrice": _money(row.price, rate)}]
    if row.free:
        rates.insert(0, {"startUsageAmount": 0, "unitPrice": _money(Decimal(0), rate)})
    kind = {1: "REGIONAL"}.get(len(row.where), "MULTI_REGIONAL")
    taxonomy = {"type": "GLOBAL"} if row.where == ("global",) else {"type": kind, "regions": list(row.where)}
    sku = {
        "name": f"services/{service_id}/skus/{sku_id}",
        "skuId": sku_id,
        "description": row.text,
        "category": {
            "serviceDisplayName": names.SERVICES[service_id],
            "resourceFamily": row.family,
            "resourceGroup": row.group,
            "usageType": "Preemptible" if row.spot else "OnDemand",
        },
        "serviceRegions": list(row.where),
        "serviceProviderName": "Google",
        "geoTaxonomy": taxonomy,
    }
    expression = {
        "usageUnit": row.unit,
        "displayQuantity": 1,
        "tieredRates": rates,
        "usageUnitDescription": words,
        "baseUnit": base,
        "baseUnitDescription": _BASES[base],
        "baseUnitConversionFactor": factor,
    }
    return sku, {"summary": "", "pricingExpression": expression, "currencyConversionRate": float(rate.per_dollar)}


def _money(price: Decimal, rate: Rate) -> Body:
    nanos = int((price * rate.per_dollar * NANOS).to_integral_value(ROUND_HALF_EVEN))
    return {"currencyCode": rate.currency, "units": str(nanos // NANOS), "nanos": nanos % NANOS}
