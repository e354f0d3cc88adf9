"""Cloud Billing Catalog: the price list of what this cloud charges for, from the catalogue.

https://cloud.google.com/billing/docs/reference/rest/v1/services.skus/list. The rate of another currency is the
catalogue's, of one day. Simplified: a machine is one SKU, where Google sells its cores and its memory apart; only
regions of training; ids are this cloud's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

from catalog import run
from catalog.book import read
from catalog.currencies import Rate
from catalog.machines import machines
from catalog.prices import disk, disk_kinds
from catalog.regions import regions
from localcloud.billing import currency, prices
from localcloud.billing.prices import NANOS
from localcloud.core.errors import ApiError

Body = dict[str, Any]
SERVICES = {
    prices.VERTEX[1]: prices.VERTEX[0],
    "6F81-5844-456A": "Compute Engine",
    prices.STORAGE[1]: prices.STORAGE[0],
    prices.RUN[1]: prices.RUN[0],
}
# unit of the line -> (usageUnit, its name, baseUnit, conversion)
_UNITS = {
    "hour": ("h", "hour", "s", 3600),
    "vCPU second": ("s", "second", "s", 1),
    "gibibyte second": ("GiBy.s", "gibibyte second", "By.s", 2**30),
    "gibibyte month": ("GiBy.mo", "gibibyte month", "By.s", 2**30 * 730 * 3600),
}


def services() -> list[Body]:
    """The services that have prices here."""
    return [
        {"name": f"services/{key}", "serviceId": key, "displayName": name, "businessEntityName": "businessEntities/GCP"}
        for key, name in SERVICES.items()
    ]


def skus(service_id: str, stamp: str, wanted: str) -> list[Body]:
    """The SKUs of a service in the currency `wanted` ("": USD), valid from `stamp`.

    Raises 404, 400 for a currency of which no rate is known.
    """
    if service_id not in SERVICES:
        raise ApiError(404, f"Service {service_id} is not found.")
    found = currency.rate(wanted or "USD")
    if not found.as_of:
        raise ApiError(400, f"Request contains an invalid argument: the local cloud knows no rate of {wanted}.")
    return [sku | {"pricingInfo": [price | {"effectiveTime": stamp}]} for sku, price in _all(service_id, found)]


@cache
def _all(service_id: str, rate: Rate) -> list[tuple[Body, Body]]:
    made = {prices.VERTEX[1]: _vertex, "6F81-5844-456A": _compute, prices.STORAGE[1]: _storage, prices.RUN[1]: _run}[
        service_id
    ]
    return [_sku(service_id, rate, *row) for row in made()]


Row = tuple[str, str, str, bool, str, str, Decimal, Decimal]  # text, family, group, spot, region, unit, price, free


def _vertex() -> Iterator[Row]:
    for region in regions():
        for name, shape in machines().items():
            if shape.family == "tpu":  # its board has the price
                continue
            for spot in (False, True):
                sku = prices.machine("training", name, "", 0, spot, region)
                if sku.price is not None:
                    yield sku.text, "ApplicationServices", "Training", spot, region, sku.unit, sku.price, Decimal(0)
        for name in read("prices.json")["gpu_on_demand"]:
            for spot in (False, True):
                price = _accelerator(name, region, spot)
                if price is not None:
                    text = f"{'Spot ' if spot else ''}Vertex AI: Training/Pipelines on {name} in {region}"
                    yield text, "ApplicationServices", "GPU", spot, region, "hour", price, Decimal(0)
        for kind in disk_kinds():
            price = disk(kind, 1).amount
            if price is not None:
                text = f"Vertex AI: Training/Pipelines on {kind} per GB in {region}"
                yield text, "ApplicationServices", "Disk", False, region, "hour", price, Decimal(0)


def _accelerator(name: str, region: str, spot: bool) -> Decimal | None:
    """One of it for an hour, without its machine."""
    rows = read("prices.json")
    listed = rows["gpu_on_demand"][name].get(region)
    if not spot or listed is None:
        return None if listed is None else Decimal(listed) * rows["vertex_factor"]
    cheap = rows["gpu_spot"].get(name, {}).get(region)
    return None if cheap is None else Decimal(cheap) + Decimal(listed) * rows["spot_fee"]


def _compute() -> Iterator[Row]:
    rows = read("prices.json")
    for table, where, spot in (("on_demand", "on_demand_regions", False), ("spot", "spot_regions", True)):
        for name, amounts in rows[table].items():
            for region, amount in zip(rows[where], amounts, strict=True):
                if amount is not None:
                    text = f"{'Spot Preemptible ' if spot else ''}{name} running in {region}"
                    yield text, "Compute", "Machine", spot, region, "hour", Decimal(amount), Decimal(0)


def _storage() -> Iterator[Row]:
    for storage_class in ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"):
        for region in (*regions(), "us", "eu", "asia"):
            sku = prices.stored(storage_class, region)
            if sku.price is not None:
                free = sku.free.amount if sku.free else Decimal(0)
                group = f"{storage_class.capitalize()}Storage"
                yield sku.text, "Storage", group, False, region, sku.unit, sku.price, free


def _run() -> Iterator[Row]:
    for region in run.regions():
        for sku in (prices.run_cpu(region), prices.run_memory(region)):
            assert sku.price is not None and sku.free is not None
            free = sku.free.amount / sku.free.weight
            yield sku.text, "Compute", "Jobs", False, region, sku.unit, sku.price, free


def _sku(
    service_id: str,
    rate: Rate,
    text: str,
    family: str,
    group: str,
    spot: bool,
    region: str,
    unit: str,
    price: Decimal,
    free: Decimal,
) -> tuple[Body, Body]:
    digest = hashlib.sha256(f"{service_id} {text}".encode()).hexdigest()[:12].upper()
    sku_id = f"{digest[:4]}-{digest[4:8]}-{digest[8:]}"
    usage_unit, words, base, factor = _UNITS[unit]
    rates = [{"startUsageAmount": float(free), "unitPrice": _money(price, rate)}]
    if free:
        rates.insert(0, {"startUsageAmount": 0, "unitPrice": _money(Decimal(0), rate)})
    sku = {
        "name": f"services/{service_id}/skus/{sku_id}",
        "skuId": sku_id,
        "description": text,
        "category": {
            "serviceDisplayName": SERVICES[service_id],
            "resourceFamily": family,
            "resourceGroup": group,
            "usageType": "Preemptible" if spot else "OnDemand",
        },
        "serviceRegions": [region],
        "serviceProviderName": "Google",
        "geoTaxonomy": {"type": "REGIONAL", "regions": [region]},
    }
    expression = {
        "usageUnit": usage_unit,
        "displayQuantity": 1,
        "tieredRates": rates,
        "usageUnitDescription": words,
        "baseUnit": base,
        "baseUnitDescription": {"s": "second", "By.s": "byte second"}[base],
        "baseUnitConversionFactor": factor,
    }
    return sku, {"summary": "", "pricingExpression": expression, "currencyConversionRate": float(rate.per_dollar)}


def _money(price: Decimal, rate: Rate) -> Body:
    nanos = int((price * rate.per_dollar * NANOS).to_integral_value())
    return {"currencyCode": rate.currency, "units": str(nanos // NANOS), "nanos": nanos % NANOS}
