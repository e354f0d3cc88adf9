"""Machines with their prices in each region, cheapest first: the price book asked from the other side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from catalog import accelerators, quotas, run
from catalog import machines as shapes
from catalog import regions as places
from catalog.machines import Machine
from catalog.prices import Price
from catalog.quotas import Need
from cloudkite.jobs.job import RUN, VERTEX
from cloudkite.money import prices

FIRST = 10  # machines without accelerators that are shown where nothing was asked for
_LOSES_LINES = "n1-highmem-2"  # with a GPU it may lose lines of its log (documentation of shapes)
_LEAST_SAVED = Decimal("0.01")  # of a price; a region that is cheaper by less isn't worth an account


@dataclass(frozen=True)
class Wish:
    """What a machine must have: an accelerator by Google's name, GB of memory, vCPUs. Empty: whatever it has.

    `spot` is whether prices on Spot decide; `everything` also wants machines that another one beats.
    """

    gpu: str = ""
    memory_gb: float = 0
    cpus: int = 0
    spot: bool = False
    everything: bool = False


@dataclass(frozen=True)
class Offer:
    """One machine in one region, with the prices of an hour; amount None where one is unknown, None for no Spot.

    `place` is where it runs: "vertex" or "run". Memory is in GB, on Cloud Run in GiB. `accelerator` and `count` are
    what it has, also where a job doesn't name it.
    """

    place: str
    region: str
    machine: str
    vcpus: int | None
    memory_gb: float | None
    accelerator: str
    count: int
    on_demand: Price
    spot: Price | None

    def price(self, spot: bool = False) -> Price | None:
        """Its price on demand, or on Spot."""
        return self.spot if spot else self.on_demand

    def hourly(self, spot: bool = False) -> Decimal | None:
        """The amount of that."""
        price = self.price(spot)
        return price.amount if price else None

    def needs(self, spot: bool = False) -> list[Need]:
        """What a job on one takes from each quota that is known."""
        if self.place == RUN:
            return run.needs(run.shape(self.machine))
        return quotas.needs(self.machine, self.accelerator, self.count, 1, spot)


def offers(region: str, wish: Wish, place: str = VERTEX) -> list[Offer]:
    """What fulfils the wish in a region at a known price, cheapest first.

    Unless `everything` is wanted: no machine that another beats, which costs no more and has no less; and of each
    accelerator that wasn't asked for the smallest number. Raises catalog.book.UnknownName for a region.
    """
    found = [one for one in _all(region, wish, place) if one.hourly(wish.spot) is not None]
    found.sort(key=lambda one: (one.hourly(wish.spot), -(one.vcpus or 0), -(one.memory_gb or 0), one.machine))
    return found if wish.everything else _unbeaten(found, wish)


def first(found: list[Offer]) -> list[Offer]:
    """Of those without accelerators the cheapest few, and all others."""
    plain = [one for one in found if not one.accelerator][FIRST:]
    return [one for one in found if one not in plain]


def elsewhere(wish: Wish, place: str = VERTEX, but: str = "") -> list[Offer]:
    """The cheapest offer of each region but one, cheapest first."""
    names = run.regions() if place == RUN else list(places.regions())
    found = [offers(name, wish, place)[:1] for name in names if name != but]
    return sorted((one for some in found for one in some), key=lambda one: (one.hourly(wish.spot), one.region))


def everywhere(wish: Wish, place: str = VERTEX) -> list[Offer]:
    """All of all regions, cheapest first."""
    names = run.regions() if place == RUN else list(places.regions())
    found = [one for name in names for one in offers(name, wish, place)]
    return sorted(found, key=lambda one: (one.hourly(wish.spot), one.region))


def cheaper(offer: Offer, spot: bool = False) -> tuple[Offer, Decimal] | None:
    """(the same machine where it is cheapest, how much cheaper: 0.12 is 12 %); None where it is nowhere cheaper."""
    here = offer.hourly(spot)
    if here is None:
        return None
    best: tuple[Decimal, str] | None = None
    for name in run.regions() if offer.place == RUN else places.regions():
        there = _price(offer.place, name, offer.machine, *_named(offer), spot).amount
        if there is not None and (best is None or there < best[0]):
            best = there, name
    if best is None or (saved := 1 - best[0] / here) < _LEAST_SAVED:
        return None
    prices_there = [_price(offer.place, best[1], offer.machine, *_named(offer), cheap) for cheap in (False, True)]
    spot_there = prices_there[1] if offer.spot else None
    return replace(offer, region=best[1], on_demand=prices_there[0], spot=spot_there), saved


def _all(region: str, wish: Wish, place: str) -> Iterator[Offer]:
    if place == RUN:
        yield from _shapes(region, wish)
        return
    there = [kind for kind in places.region(region).accelerators if not accelerators.accelerator(kind).ended]
    for machine in shapes.machines().values():
        if wish.cpus > (machine.vcpus or 0) or wish.memory_gb > (machine.memory_gb or 0):
            continue
        kinds: list[tuple[str, int]] = []
        if not machine.fixed and not machine.tpu:
            kinds.append(("", 0))
        elif machine.chip:
            kinds.append((machine.chip, machine.chips))
        for kind, counts in machine.gpus.items():
            if not machine.name.startswith(_LOSES_LINES):
                kinds += [(kind, count) for count in counts]
        for kind, count in kinds:
            if (not kind or kind in there) and wish.gpu in ("", kind):
                yield _offer(region, machine, kind, count)


def _offer(region: str, machine: Machine, kind: str, count: int) -> Offer:
    named = ("", 0) if machine.chip else (kind, count)
    on_demand, spot = (_price(VERTEX, region, machine.name, *named, cheap) for cheap in (False, True))
    return Offer(VERTEX, region, machine.name, machine.vcpus, machine.memory_gb, kind, count, on_demand, spot)


def _shapes(region: str, wish: Wish) -> Iterator[Offer]:
    """Of each number of vCPUs of Cloud Run the least memory that is enough, or 2 GiB for each; none on Spot."""
    run.tier(region)  # raises UnknownName where Cloud Run isn't
    wanted = Decimal(str(wish.memory_gb))
    for cpus in run.cpu_counts() if not wish.gpu and not wish.spot else ():
        least, most = run.memory_range(cpus)
        memory = max(least, min(most, wanted or Decimal(2 * cpus)))
        if wish.cpus <= cpus and wanted <= memory:
            shape = run.Shape(cpus, memory)
            yield Offer(RUN, region, shape.name, cpus, float(memory), "", 0, run.hourly(shape, region), None)


def _price(place: str, region: str, machine: str, accelerator: str, count: int, spot: bool) -> Price:
    if place == RUN:
        return run.hourly(run.shape(machine), region)
    return prices.job_hour(machine, region, accelerator, count, spot=spot)


def _named(offer: Offer) -> tuple[str, int]:
    """The accelerators that a job must name beside the machine."""
    own = offer.place == RUN or shapes.machine(offer.machine).chip
    return ("", 0) if own else (offer.accelerator, offer.count)


def _unbeaten(found: list[Offer], wish: Wish) -> list[Offer]:
    """Those that none before them beats: of the same accelerators, and unless there are some with as much else."""
    fewest = {}
    for one in found:
        fewest[one.accelerator] = min(one.count, fewest.get(one.accelerator, one.count))
    kept: list[Offer] = []
    for one in found:
        same = [other for other in kept if (other.accelerator, other.count) == (one.accelerator, one.count)]
        more = not one.accelerator and not any(_as_much(other, one) for other in same)
        few = wish.gpu or one.count == fewest[one.accelerator]
        if few and (not same or more):
            kept.append(one)
    return kept


def _as_much(one: Offer, other: Offer) -> bool:
    """Whether it has no less of anything."""
    return (one.vcpus or 0) >= (other.vcpus or 0) and (one.memory_gb or 0) >= (other.memory_gb or 0)
