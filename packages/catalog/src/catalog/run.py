"""Cloud Run jobs: shapes of their instances, prices, free amounts, limits and quotas, each with its date and source.

A shape is written as "4cpu-8gb": vCPUs, and memory in GiB. Everything was read in copies of Google's pages and in
public reports; nothing was tried on Google.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from catalog import listed
from catalog.book import UnknownName, read
from catalog.listed import Cell
from catalog.prices import Price
from catalog.quotas import Meter, Need

SERVICE = "run.googleapis.com"
DEFAULT = "4cpu-8gb"
_SHAPE = re.compile(r"([0-9]{1,3})cpu(?:-([0-9]{1,3}(?:\.5)?)gi?b)?")
_GIB = 1 << 30
_TIER_1 = "us-central1"


class BadShape(LookupError):
    """A shape that Cloud Run does not have. `cpus` is the number of its vCPUs if they exist, else 0.

    `least` and `most` are the GiB that go with them.
    """

    def __init__(self, name: str, cpus: int = 0, least: Decimal = Decimal(0), most: Decimal = Decimal(0)) -> None:
        super().__init__(f"Cloud Run has no {name}")
        self.name, self.cpus, self.least, self.most = name, cpus, least, most


@dataclass(frozen=True)
class Shape:
    """vCPUs and memory (GiB) of each instance of a job."""

    cpus: int
    memory_gib: Decimal

    @property
    def name(self) -> str:
        """As it is typed: 4cpu-8gb."""
        return f"{self.cpus}cpu-{self.memory_gib.normalize():f}gb"

    @property
    def memory(self) -> str:
        """As the API writes it: 8Gi, 512Mi."""
        return f"{int(self.memory_gib)}Gi" if self.memory_gib % 1 == 0 else f"{int(self.memory_gib * 1024)}Mi"


@dataclass(frozen=True)
class Limits:
    """What a job may ask for. Times in seconds."""

    longest: int
    timeout: int
    most_retries: int
    retries: int
    most_tasks: int
    jobs: int


def is_shape(name: str) -> bool:
    """Whether it is written as a shape of Cloud Run, existing or not."""
    return _SHAPE.fullmatch(name.lower()) is not None


def shape(name: str) -> Shape:
    """The shape called "4cpu-8gb"; "4cpu" has 2 GiB for each vCPU. Raises BadShape."""
    found = _SHAPE.fullmatch(name.lower())
    if found is None:
        raise BadShape(name)
    cpus = int(found[1])
    memory = Decimal(found[2]) if found[2] else Decimal(2 * cpus)
    if cpus not in cpu_counts():
        raise BadShape(name)
    least, most = memory_range(cpus)
    if not least <= memory <= most:
        raise BadShape(name, cpus, least, most)
    return Shape(cpus, memory)


def cpu_counts() -> tuple[int, ...]:
    """How many vCPUs an instance may have."""
    return tuple(int(count) for count in read("run.json")["shapes"]["memory_gib"])


def memory_range(cpus: int) -> tuple[Decimal, Decimal]:
    """The least and the most GiB that go with so many vCPUs. Raises KeyError."""
    least, most = read("run.json")["shapes"]["memory_gib"][str(cpus)]
    return Decimal(least), Decimal(most)


def limits() -> Limits:
    """What a job may ask for."""
    rows = read("run.json")["limits"]
    return Limits(
        longest=rows["timeout_seconds"][1],
        timeout=rows["timeout_default"],
        most_retries=rows["retries"][1],
        retries=rows["retries_default"],
        most_tasks=rows["tasks"],
        jobs=rows["jobs_per_region"],
    )


def tier(region: str) -> str:
    """ "1" or "2", by which a region is priced. Raises UnknownName where Cloud Run is not, as far as is known."""
    tiers = read("run.json")["tiers"]
    found = next((name for name, regions in tiers.items() if region in regions), "")
    if not found:
        raise UnknownName("region of Cloud Run", region, regions())
    return found


def regions() -> list[str]:
    """Where Cloud Run is, those of tier 1 first."""
    return [region for names in read("run.json")["tiers"].values() for region in names]


def cpu_second(region: str) -> Decimal:
    """USD for a second of a vCPU of a job, beyond the free amount. Raises UnknownName."""
    return _second("cpu", region).amount


def gib_second(region: str) -> Decimal:
    """USD for a second of a GiB of a job, beyond the free amount. Raises UnknownName."""
    return _second("memory", region).amount


def hourly(wanted: Shape, region: str) -> Price:
    """The price of an instance for an hour, without the free amounts. Raises UnknownName."""
    cpu, memory = (
        Price(cell.amount * amount * 3600, read("run.json")["currency"], "hour", cell.as_of, cell.sure, cell.source)
        for cell, amount in ((_second("cpu", region), wanted.cpus), (_second("memory", region), wanted.memory_gib))
    )
    return cpu.plus(memory)


def _second(name: str, region: str) -> Cell:
    """A second of a vCPU or of a GiB: by the price list where that was read, else by the region's tier."""
    book, within = read("run.json"), tier(region)
    row = book[{"cpu": "cpu_second", "memory": "gib_second"}[name]]
    return listed.find("run", name, region) or Cell(Decimal(row[within]), book["as_of"], "confirmed", book["source"])


def least_seconds() -> int:
    """For how long an instance is charged at least."""
    return read("run.json")["least_seconds"]


def free() -> tuple[Decimal, Decimal]:
    """(vCPU-seconds, GiB-seconds) that cost nothing, of each billing account and month, at tier 1 prices."""
    rows = read("run.json")["free"]
    cpu, gib = (listed.find("free", name, _TIER_1) for name in ("cpu", "memory"))
    return (
        cpu.amount if cpu else Decimal(rows["cpu_seconds"]),
        gib.amount if gib else Decimal(rows["gib_seconds"]),
    )


def free_hours(wanted: Shape) -> Decimal:
    """For how many hours a month a shape costs nothing in tier 1, where nothing else uses the free amounts."""
    cpu, gib = free()
    return min(cpu / wanted.cpus, gib / wanted.memory_gib) / 3600


@dataclass(frozen=True)
class Quota:
    """A quota of a region: what counts, and what new projects are reported to have. Not what an account has."""

    meter: Meter
    reported: int


def quotas() -> tuple[Quota, Quota]:
    """Those of milli-vCPUs and of bytes of memory, that all instances of a region take from together."""
    rows = read("run.json")["quotas"]
    cpu, memory = (
        Quota(Meter(row["title"], row["metric"], row["id"], row["sure"], SERVICE), row["reported"])
        for row in (rows["cpu"], rows["memory"])
    )
    return cpu, memory


def needs(wanted: Shape, instances: int = 1) -> list[Need]:
    """What so many instances take of each quota while they run."""
    cpu, memory = quotas()
    return [
        Need(cpu.meter, 1000 * wanted.cpus * instances),
        Need(memory.meter, int(wanted.memory_gib * _GIB) * instances),
    ]
