"""Which quotas of the service jobs and deployed models count against: metrics and quota ids, on demand and on spot.

The documented defaults are in the data for reference only. What small accounts really have differs (field reports:
often 0), so nothing may show them as a person's own: `cloudkite.money.quota` reads the project's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from catalog.accelerators import accelerator as known_accelerator
from catalog.book import read
from catalog.machines import machine as known_machine

SERVICE = "aiplatform.googleapis.com"


@dataclass(frozen=True)
class Meter:
    """One quota. `metric` ("" when not known) is what Google's refusals name; `id` is Cloud Quotas' name ("" likewise).

    `sure` is "documented", "reported" (field reports) or "guess"; `service` is whose quota it is.
    """

    title: str
    metric: str
    id: str
    sure: str
    service: str = SERVICE


@dataclass(frozen=True)
class Need:
    """How much of a quota a job takes while it runs: vCPUs or accelerators."""

    meter: Meter
    amount: int


@cache
def vcpus(family: str, spot: bool) -> Meter | None:
    """The quota of vCPUs that machines of `family` count against; one for all families on spot. None: not known."""
    for title, row in read("quotas.json")["vcpus"].items():
        if (title == "spot vCPUs") if spot else (family in row["families"]):
            return Meter(title, row["metric"] or "", row["id"] or "", row["sure"])
    return None


@cache
def accelerators(name: str, spot: bool) -> Meter | None:
    """The quota that accelerators of type `name` count against. None: not known."""
    row = read("quotas.json")["accelerators"].get(name)
    if row is None:
        return None
    metric, quota = (row["spot_metric"], row["spot_id"]) if spot else (row["metric"], row["id"])
    title = f"{'spot ' if spot else ''}{known_accelerator(name).short}"
    return Meter(title, metric or "", quota or "", "documented" if metric else "guess")


def documented_default(name: str, region: str) -> int | None:
    """The documented default of an accelerator in a region, -1 for unlimited, None where it says nothing.

    Not what an account has: see the module's text.
    """
    for value, names in read("quotas.json")["accelerators"].get(name, {}).get("documented", {}).items():
        if region in names:
            return int(value)
    return None


def needs(machine: str, accelerator: str, count: int, replicas: int, spot: bool) -> list[Need]:
    """What a job of `replicas` machines, each with `count` accelerators, takes from each quota that is known."""
    shape = known_machine(machine)
    found: list[Need] = []
    cpu = vcpus(shape.family, spot)
    if cpu and shape.vcpus and not shape.tpu:
        found.append(Need(cpu, shape.vcpus * replicas))
    kind, each = (shape.chip, shape.chips) if shape.chips else (accelerator, count)
    gpu = accelerators(kind, spot) if kind else None
    if gpu:
        found.append(Need(gpu, each * replicas))
    return found


def serving_needs(family: str, vcpus: int, accelerator: str, count: int, replicas: int) -> list[Need]:
    """What `replicas` machines that serve, each with `vcpus` and `count` accelerators, take from each known quota."""
    book = read("quotas.json")["serving"]
    rows = [(title, row, vcpus) for title, row in book["vcpus"].items() if family in row["families"]]
    if accelerator in book["accelerators"]:
        title = f"serving {known_accelerator(accelerator).short}"
        rows.append((title, book["accelerators"][accelerator], count))
    return [
        Need(Meter(title, row["metric"] or "", row["id"], row["sure"]), amount * replicas)
        for title, row, amount in rows
        if amount
    ]
