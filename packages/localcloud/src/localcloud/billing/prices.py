"""What a machine-hour, a disk and a stored byte cost: the catalogue's prices, as lines of a bill name them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache

from catalog import prices, run
from catalog.book import UnknownName, read

NANOS = 10**9
VERTEX, STORAGE = ("Vertex AI", "C7E2-9256-1C43"), ("Cloud Storage", "95FF-2EF5-5EA1")
RUN = ("Cloud Run", "152E-C115-5142")
LOGGING, PUBSUB = ("Cloud Logging", "5490-F7B7-8DF6"), ("Cloud Pub/Sub", "A1E8-BE35-7EBC")
_TIER_1 = "us-central1"
_FREE_REGIONS = ("us-east1", "us-west1", "us-central1")
_VERBS = {"training": "Training/Pipelines", "serving": "Online/Batch Prediction"}


@dataclass(frozen=True)
class Free:
    """So many units cost nothing in each month, of all that shares `name`: for each account, or for each project.

    https://cloud.google.com/free/docs/free-cloud-features
    """

    name: str
    amount: Decimal
    per_project: bool = False
    weight: Decimal = Decimal(1)  # how much of the amount a unit takes


@dataclass(frozen=True)
class Sku:
    """What is sold: `price` is in USD per `unit`, None where no price is known (which is never 0)."""

    service: str
    service_id: str
    text: str
    unit: str
    price: Decimal | None
    free: Free | None = None

    def nanos(self, amount: Decimal) -> int | None:
        """What `amount` units cost, in billionths of a dollar."""
        if self.price is None:
            return None
        return int((self.price * amount * NANOS).to_integral_value(ROUND_HALF_EVEN))


@cache
def machine(kind: str, name: str, accelerator: str, count: int, spot: bool, region: str) -> Sku:
    """An hour of one machine; `kind` is "training" or "serving".

    Serving is priced as training: both are Compute Engine's prices and 15 percent, as the price lists of 2025 show.
    """
    words = f"{name} with {count} {accelerator}" if accelerator else name
    text = f"{'Spot ' if spot else ''}Vertex AI: {_VERBS[kind]} on {words} in {region}"
    return Sku(*VERTEX, text, "hour", _hourly(name, region, accelerator, count, spot))


def _hourly(name: str, region: str, accelerator: str, count: int, spot: bool) -> Decimal | None:
    try:
        return prices.hourly(name, region, accelerator, count, spot).amount
    except UnknownName:
        pass
    # Machines that only serving takes: predefined shapes cost the same per vCPU in all sizes.
    sized = re.fullmatch(r"((?:n1|n2|e2|c2)-(?:standard|highmem|highcpu))-(\d+)", name)
    if sized is None or accelerator:
        return None
    for known in (4, 8, 16):
        try:
            amount = prices.hourly(f"{sized[1]}-{known}", region, spot=spot).amount
        except UnknownName:
            continue
        return None if amount is None else amount * int(sized[2]) / known
    return None


@cache
def run_cpu(region: str) -> Sku:
    """A second of a vCPU of a Cloud Run job. What is free is worth tier 1 prices: https://cloud.google.com/run/pricing"""
    price, amount = run.cpu_second(region), run.free()[0]
    weight = price / run.cpu_second(_TIER_1)
    free = Free("Cloud Run vCPU seconds", amount, weight=weight)
    return Sku(*RUN, f"Jobs CPU in {region}", "vCPU second", price, free)


@cache
def run_memory(region: str) -> Sku:
    """A second of a GiB of a Cloud Run job."""
    price, amount = run.gib_second(region), run.free()[1]
    weight = price / run.gib_second(_TIER_1)
    free = Free("Cloud Run GiB seconds", amount, weight=weight)
    return Sku(*RUN, f"Jobs Memory in {region}", "gibibyte second", price, free)


@cache
def disk(kind: str, gigabytes: int, region: str) -> Sku:
    """An hour of a boot disk of a training replica."""
    text = f"Vertex AI: Training/Pipelines on {kind} of {gigabytes} GB in {region}"
    return Sku(*VERTEX, text, "hour", prices.disk(kind, gigabytes, region).amount)


@cache
def stored(storage_class: str, location: str) -> Sku:
    """A GiB kept for a month."""
    text = f"{storage_class.capitalize()} Storage in {location.lower()}"
    price = prices.storage(location.lower(), storage_class).amount
    free = _free(storage_class, location, "bytes", prices.storage_free(location.lower()))
    return Sku(*STORAGE, text, "gibibyte month", price, free)


@cache
def early_deletion(storage_class: str, location: str) -> Sku:
    """A GiB that was to be kept for a month more: https://cloud.google.com/storage/pricing#early-delete"""
    text = f"{storage_class.capitalize()} Storage Early Deletion in {location.lower()}"
    return Sku(*STORAGE, text, "gibibyte month", prices.storage(location.lower(), storage_class).amount)


@cache
def operation(storage_class: str, location: str, reads: bool) -> Sku:
    """One operation of class A, or of class B, which reads."""
    kind = "Class B" if reads else "Class A"
    text = f"{storage_class.capitalize()} {kind} Operations in {location.lower()}"
    price = prices.operation(location.lower(), storage_class, reads).amount
    free = _free(storage_class, location, kind, prices.operations_free(reads))
    return Sku(*STORAGE, text, "operation", price, free)


@cache
def logs() -> Sku:
    """A GiB of log entries that are kept for 30 days."""
    book = read("resources.json")
    free = Free("logs", Decimal(book["logs_free_gib"]), per_project=True)
    return Sku(*LOGGING, "Log Storage cost", "gibibyte", Decimal(book["logs_gib"]), free)


@cache
def messages() -> Sku:
    """A GiB that was published or delivered."""
    book = read("resources.json")
    free = Free("messages", Decimal(book["messages_free_gib"]))
    return Sku(*PUBSUB, "Message Delivery Basic", "gibibyte", Decimal(book["messages_tib"]) / 1024, free)


def _free(storage_class: str, location: str, name: str, amount: Decimal) -> Free | None:
    """The free tier is for Standard storage in three regions, together."""
    return Free(name, amount) if storage_class == "STANDARD" and location.lower() in _FREE_REGIONS else None
