"""What a job costs in an hour, and what an account's resources cost in a month: the price book applied."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from catalog import accelerators, listed, machines
from catalog import prices as book
from catalog import regions as places
from catalog.book import UnknownName, read
from catalog.prices import Price
from cloudkite.show.text import _

DISK_GB = 100  # https://cloud.google.com/vertex-ai/docs/training/configure-compute: default boot disk
DISK_KIND = "pd-ssd"


def job_hour(
    machine: str,
    region: str,
    accelerator: str = "",
    count: int = 0,
    replicas: int = 1,
    spot: bool = False,
    disk_gb: int = DISK_GB,
    disk_kind: str = DISK_KIND,
) -> Price:
    """The price of an hour of a whole job: `replicas` machines with their accelerators and boot disks.

    Unknown parts make it unknown. Raises catalog.book.UnknownName for an unknown machine.
    """
    return (
        book.hourly(machine, region, accelerator, count, spot)
        .plus(book.disk(disk_kind, disk_gb, region))
        .times(replicas)
    )


_SHAPE = re.compile(r"((?:n1|n2|e2|c2)-(?:standard|highmem|highcpu))-([0-9]+)")


def serving_hour(spec: Mapping[str, Any], region: str) -> Price:
    """The price of an hour of one machine (a MachineSpec) that serves, asked or not; unknown where its parts are.

    Predictions are priced as training is, without a disk. Of a predefined family only serving has the small sizes, and
    all sizes cost the same for each vCPU: https://cloud.google.com/vertex-ai/pricing#prediction-prices
    """
    kind = spec.get("acceleratorType", "")
    kind = "" if kind == "ACCELERATOR_TYPE_UNSPECIFIED" else kind
    machine, count = spec.get("machineType", "n1-standard-2"), int(spec.get("acceleratorCount", 0)) if kind else 0
    try:
        return book.hourly(machine, region, kind, count)
    except UnknownName:
        pass
    if not kind and (sized := _SHAPE.fullmatch(machine)):
        for size in (4, 8, 16):
            try:
                return book.hourly(f"{sized[1]}-{size}", region).times(Decimal(sized[2]) / size)
            except UnknownName:
                continue
    return Price(None, "USD", "hour", listed.oldest(), "unknown", "")


@dataclass(frozen=True)
class MachineRow:
    """One line of the list of machines: prices of an hour with the default disk, None where unknown."""

    machine: str
    vcpus: int | None
    memory_gb: float | None
    accelerator: str
    count: int
    on_demand: Price
    spot: Price


def listing(region: str) -> list[MachineRow]:
    """What can be had in `region` with a known price, cheapest first; each accelerator on its smallest machine.

    Raises catalog.book.UnknownName for an unknown region.
    """
    offered = places.region(region).accelerators
    wanted: list[tuple[str, str, int]] = [(m.name, "", 0) for m in machines.machines().values() if not m.fixed]
    for kind in offered:
        for count in (1, 2, 4, 8):
            shape = machines.smallest_with(kind, count)
            if shape and not accelerators.accelerator(kind).ended:
                wanted.append((shape.name, kind, count))
    rows = []
    for name, kind, count in wanted:
        shape = machines.machine(name)
        if shape.tpu and "TPU_V5E" not in offered and not kind:
            continue
        price = job_hour(name, region, kind, count)
        if price.amount is not None:
            cheap = job_hour(name, region, kind, count, spot=True)
            rows.append(MachineRow(name, shape.vcpus, shape.memory_gb, kind, count, price, cheap))
    return sorted(rows, key=lambda row: row.on_demand.amount or Decimal(0))


@dataclass(frozen=True)
class MonthlyRow:
    """One line of an account's monthly price. `amount` None is unknown; `note` says what it counts by."""

    name: str
    note: str
    amount: Decimal | None
    currency: str
    as_of: str
    sure: str


class Typed(Protocol):
    """A resource that says its Pulumi type."""

    @property
    def type(self) -> str: ...


def monthly(resources: Iterable[Typed], region: str) -> list[MonthlyRow]:
    """What resources cost in a month while nothing is stored in them, one row a kind, the dearest first.

    Each resource has a `type`, Pulumi's ("gcp:storage/bucket:Bucket"). A type that the catalogue lacks is unknown,
    never free.
    """
    priced = read("resources.json")
    counts = Counter(r.type for r in resources)
    rows: dict[str, MonthlyRow] = {}
    for kind, count in counts.items():
        entry = priced["kinds"].get(kind)
        what = entry["what"] if entry else kind
        amount = Decimal(str(entry["amount"])) * count if entry else None
        note = _resource_note(entry["note"], region) if entry else _("no price is known for this kind")
        before = rows.get(what)
        if before is not None:  # permissions come in several kinds
            count += int(before.name.split(" ", 1)[0])
            amount = None if amount is None or before.amount is None else amount + before.amount
        rows[what] = MonthlyRow(
            f"{count} {_several(what) if entry and count > 1 else what}",
            note,
            amount,
            priced["currency"],
            priced["as_of"],
            entry["sure"] if entry else "unknown",
        )
    return sorted(rows.values(), key=lambda row: (row.amount is not None, -(row.amount or 0), row.name))


def _several(what: str) -> str:
    """The plural of a kind's name in the catalogue."""
    if what.endswith("y"):
        return f"{what[:-1]}ies"
    return f"{what}es" if what.endswith("s") else f"{what}s"


def _resource_note(note: str, region: str) -> str:
    if "{storage}" not in note:
        return note
    price = book.storage(region)
    known = places.regions().get(region)
    free = _("; {gigabytes} GB a month free in this region").format(gigabytes=f"{book.storage_free(region):f}")
    return note.format(
        storage=_("unknown") if price.amount is None else f"{price.amount:.3f}",
        free=free if known and known.free_storage else "",
    )
