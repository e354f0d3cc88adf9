"""The price book: what an hour of training, disk and storage cost, each with its date, source and how sure it is.

The rule of on-demand training, confirmed on published prices of N1 and H100: Compute Engine's list price x 1.15. On
spot: Compute Engine's spot price + 15 % of the on-demand list price as a management fee. Where Vertex AI's own price
list was read, its prices stand in place of the rule. Taxes and network are not in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from catalog import listed
from catalog.book import read
from catalog.listed import SURENESS, Cell
from catalog.machines import Machine
from catalog.machines import machine as known_machine

_NANO = Decimal("1e-9")  # price lists have no smaller step
_MULTI_REGIONS = ("us", "eu", "asia")


@dataclass(frozen=True)
class Price:
    """An amount per unit. `amount` None means unknown, which is never 0.

    `as_of` is the date of the oldest number in it. `sure` is "confirmed" (on the price list as read that day),
    "derived" (by the rule above), "estimate" or "unknown".
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
            max(self.sure, other.sure, key=SURENESS.index),
            source,
        )


def hourly(machine: str, region: str, accelerator: str = "", count: int = 0, spot: bool = False) -> Price:
    """The price of one machine with `count` accelerators for an hour of training, without its disk.

    Raises catalog.book.UnknownName for an unknown machine; a price that is not known has amount None.
    """
    shape = known_machine(machine)
    parts = [unit(name, region, spot).times(amount) for name, amount in _composition(shape, region)]
    if accelerator:
        parts.append(unit(accelerator, region, spot).times(count))
    together = parts[0] if parts else _unknown()
    for part in parts[1:]:
        together = together.plus(part)
    return together if together.amount is not None else replace(together, sure="unknown")


def unit(name: str, region: str, spot: bool = False) -> Price:
    """The price of an hour of training: of a core ("n1 core"), a GiB of memory, an accelerator, a GB of "pd-ssd"."""
    found = _spot(name, region) if spot else _on_demand(name, region)
    return _unknown() if found is None else _price(found, "hour")


def fee(name: str, region: str) -> Price:
    """Vertex AI's fee for an hour of what is paid to Compute Engine, on spot: by its price list, else by the rule."""
    found = _fee(name, region)
    return _unknown() if found is None else _price(found, "hour")


def family(shape: Machine) -> str:
    """The name under which cores and memory of a machine are sold: "n1"."""
    for name in ("a3-mega", "a3-ultra"):
        if shape.name.startswith(name):
            return name
    return shape.family


def disk(kind: str, gigabytes: int, region: str = listed.ANYWHERE) -> Price:
    """The price of an hour of a boot disk: `kind` pd-ssd or pd-standard; another kind is unknown."""
    return unit(kind, region).times(gigabytes)


def disk_kinds() -> tuple[str, ...]:
    """Kinds of boot disk whose price is known."""
    return tuple(name for name in listed.names("training") if name.startswith("pd-"))


def storage(region: str, storage_class: str = "STANDARD") -> Price:
    """The price of a GB of storage of a class for a month in `region` (or "us", "eu", "asia")."""
    book = read("resources.json")
    rows = book["storage_gb_month"] if storage_class == "STANDARD" else book["cold_gb_month"].get(storage_class, {})
    bundled = next((Decimal(a) for a, names in rows.items() if region in names), None)
    return _listed("storage", storage_class, region, bundled, "GB-month")


def storage_free(region: str) -> Decimal:
    """The GB-months of Standard storage that cost nothing in a month, where the region counts for them.

    Of each billing account, over all of its projects.
    """
    found = listed.find("free", "STANDARD", region)
    return found.amount if found else Decimal(read("resources.json")["storage_free_gb"])


def operation(region: str, storage_class: str, reads: bool) -> Price:
    """The price of one operation of Cloud Storage: class B, which reads, or class A."""
    where = "multi-region" if region in _MULTI_REGIONS else "region"
    row = read("resources.json")["operations_per_1000"].get(storage_class)
    bundled = Decimal(row[where][int(reads)]) / 1000 if row else None
    return _listed("operation", f"{storage_class} {'B' if reads else 'A'} {where}", region, bundled, "operation")


def operations_free(reads: bool) -> Decimal:
    """How many operations of a class on Standard storage cost nothing in a month, where the region counts for them."""
    found = listed.find("free", f"STANDARD {'B' if reads else 'A'} region", listed.ANYWHERE)
    return found.amount if found else Decimal(read("resources.json")["operations_free"][int(reads)])


def egress() -> Price:
    """The price of a GiB that leaves Google for the internet: the first TiB of a month, to most of the world.

    To China and Australia it is dearer.
    """
    return _listed("egress", "internet", listed.ANYWHERE, Decimal(read("resources.json")["egress_gib"]), "GiB")


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


def _composition(shape: Machine, region: str) -> list[tuple[str, Decimal]]:
    """What of a machine is sold, and how much of it; what isn't there, or of unknown shape, is one unknown part."""
    if shape.chips:
        return [(shape.chip, Decimal(shape.chips))]
    if shape.tpu:  # the price of a v2 or v3 board includes its host
        return []
    if shape.vcpus is None or shape.memory_gb is None or region in read("prices.json")["absent"].get(shape.name, ()):
        return [(shape.name, Decimal(1))]
    sold = family(shape)
    return [(f"{sold} core", Decimal(shape.vcpus)), (f"{sold} memory", Decimal(str(shape.memory_gb)))]


def _on_demand(name: str, region: str) -> Cell | None:
    own, compute = listed.find("training", name, region), listed.find("compute", name, region)
    if own is not None and (compute is None or own.as_of >= compute.as_of):
        return own
    if compute is None:
        return None
    # That the rule holds for TPUs is from memory.
    return _by_rule(compute, read("prices.json")["vertex_factor"], "estimate" if name.startswith("TPU_") else "derived")


def _spot(name: str, region: str) -> Cell | None:
    cheap, beside = listed.find("spot", name, region), _fee(name, region)
    if cheap is None or beside is None:
        return None
    both = _price(cheap, "hour").plus(_price(beside, "hour"))
    assert both.amount is not None
    sure = "confirmed" if cheap.sure == beside.sure == "confirmed" else "estimate"
    return Cell(both.amount, both.as_of, sure, both.source)


def _fee(name: str, region: str) -> Cell | None:
    own, compute = listed.find("fee", name, region), listed.find("compute", name, region)
    if own is not None and (compute is None or own.as_of >= compute.as_of):
        return own
    return None if compute is None else _by_rule(compute, read("prices.json")["spot_fee"], "derived")


def _by_rule(cell: Cell, factor: Decimal, sure: str) -> Cell:
    amount = (cell.amount * factor).quantize(_NANO, ROUND_HALF_UP)
    return replace(cell, amount=amount, sure=max(cell.sure, sure, key=SURENESS.index))


def _listed(table: str, name: str, region: str, bundled: Decimal | None, unit: str) -> Price:
    """A price of Cloud Storage: from the price list where that was read, else the bundled one."""
    found = listed.find(table, name, region)
    if found is not None:
        return _price(found, unit)
    book = read("resources.json")
    return Price(
        bundled, book["currency"], unit, book["as_of"], "unknown" if bundled is None else "estimate", book["source"]
    )


def _price(cell: Cell, unit: str) -> Price:
    return Price(cell.amount, read("prices.json")["currency"], unit, cell.as_of, cell.sure, cell.source)


def _unknown() -> Price:
    return Price(None, read("prices.json")["currency"], "hour", listed.oldest(), "unknown", "")
