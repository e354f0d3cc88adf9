"""What was seen, times the price book: exact amounts in USD for a month, less what is free.

Machines cost while they are there, stored bytes by the time for which they are kept. What is free is the billing
account's, so what other projects of it use is not known here.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from catalog import prices as book
from catalog import regions, run
from cloudkite.jobs.job import RUN
from cloudkite.money.inventory import HOURS, Standing
from cloudkite.money.spent import rows
from cloudkite.money.spent.look import Kept, Machines, Seen
from cloudkite.money.spent.months import Month
from cloudkite.money.spent.rows import Row
from cloudkite.show.text import _, counted

_GIB = 2**30  # bytes; Cloud Storage's prices are by this: https://cloud.google.com/storage/pricing
_TIER_1 = "us-central1"  # at whose prices Cloud Run's free amounts are worth: https://cloud.google.com/run/pricing
_SHAPE = re.compile(r"([0-9.]+)cpu-([0-9.]+)gb")
_IMAGES = "repositories"


@dataclass(frozen=True)
class _Span:
    """From `start` until before `end`."""

    start: datetime.datetime
    end: datetime.datetime

    def share(self, begins: datetime.datetime, ends: datetime.datetime) -> Decimal:
        """For how many seconds of it something was there."""
        lasted = (min(ends, self.end) - max(begins, self.start)) / datetime.timedelta(microseconds=1)
        return max(Decimal(int(lasted)), Decimal(0)) / 1_000_000


def charge(seen: Seen, month: Month, until: datetime.datetime | None = None) -> list[Row]:
    """A row for all that cost something in a month, or was there at no known price; `until`: no later than then."""
    machines = _Span(month.begins, min(month.ends, until or month.ends))
    made = [
        _machines(one, machines, seen.now)
        for one in seen.machines
        if one.going or any(machines.share(*time) for time in one.times)
    ]
    until = min(seen.now, machines.end)
    found = [_kept(one, month, until, seen.now) for one in seen.kept]
    stored = [(one, amount) for one, amount in zip(seen.kept, found, strict=True) if amount.amount != 0]
    others = _others(seen.others, month, until, seen.now)
    return [*made, *(row for _one, row in stored), *others, *_free(seen, machines, month, until)]


def _machines(one: Machines, span: _Span, now: datetime.datetime) -> Row:
    seconds = sum((span.share(*time) for time in one.times), Decimal(0))
    amount = Decimal(0) if not seconds else None if one.hourly is None else one.hourly * seconds / 3600
    running = one.going and bool(one.times) and now < span.end
    hourly = one.hourly if running else Decimal(0)
    return Row(one.kind, one.name, amount, hourly, one.ends, one.why, one.ref, one.labels, one.job)


# --- storage


def level(one: Kept) -> int:
    """How many bytes are there now."""
    return sum(size for _since, until, size in one.objects if until is None)


def gib_months(one: Kept, month: Month, until: datetime.datetime) -> Decimal:
    """GiB-months of what is known to have been kept in a month until then."""
    span = _Span(month.begins, until)
    amount = sum((size * span.share(since, ended or until) for since, ended, size in one.objects), Decimal(0))
    return amount / _GIB / month.seconds


def gib_month(one: Kept) -> Decimal | None:
    """USD for a GiB of a class kept for a month; None where no price is known."""
    return book.storage(one.place, one.storage_class).amount


def _kept(one: Kept, month: Month, until: datetime.datetime, now: datetime.datetime) -> Row:
    each, amount = gib_month(one), gib_months(one, month, until)
    hourly = Decimal(0)
    if now < month.ends:
        hourly = Decimal(level(one)) / _GIB * (each or 0) * 3600 / month.seconds
    why = counted("{count} object", "{count} objects", len(one.objects))
    why += "; " + _("at least: {why}").format(why=one.partial) if one.partial else ""
    known = each is not None or not amount
    return Row(
        rows.STORAGE,
        f"gs://{one.bucket}, {one.storage_class.lower()}",
        (each or Decimal(0)) * amount if known else None,
        hourly if known else None,
        None,
        why,
        one.bucket,
        one.labels,
    )


def _others(found: Iterable[Standing], month: Month, until: datetime.datetime, now: datetime.datetime) -> Iterator[Row]:
    """What costs by being there. Where it isn't known since when it has been, it counts since the month began.

    Of a month that is over nothing is known.
    """
    if now >= month.ends:
        return
    for one in found:
        if not one.running and one.monthly == 0:
            continue
        begins = max(one.since or month.begins, month.begins)
        part = Decimal(max(int((until - begins).total_seconds()), 0)) / month.seconds
        amount = None if one.monthly is None else one.monthly * part
        hourly = None if one.monthly is None else one.monthly / HOURS
        kind = rows.IMAGES if f"/{_IMAGES}/" in one.ref else rows.OTHER
        why = one.why if one.since else _("{why}; as it is now, since the month began").format(why=one.why)
        yield Row(kind, f"{one.kind} {one.name}", amount, hourly, None, why, one.ref)


# --- what is free


def _free(seen: Seen, span: _Span, month: Month, until: datetime.datetime) -> Iterator[Row]:
    """What each billing account has free in a month, as far as this project alone uses it."""
    if off := free_run(seen.machines, span.start, span.end):
        yield Row(rows.FREE, _("Cloud Run's free vCPU and GiB seconds"), -off, ref=rows.JOBS)
    if off := free_storage((one, gib_months(one, month, until)) for one in seen.kept):
        yield Row(
            rows.FREE, _("{count} GiB-months of standard storage").format(count=storage_free()), -off, ref=rows.STORAGE
        )


def storage_free() -> Decimal:
    """GiB-months of standard storage that are free."""
    return book.storage_free(next(name for name, one in regions.regions().items() if one.free_storage))


def free_storage(kept: Iterable[tuple[Kept, Decimal]]) -> Decimal:
    """What the free storage is worth, of buckets with so many GiB-months each.

    Standard storage in three regions of the USA, together: https://cloud.google.com/storage/pricing#cloud-storage-always-free
    """
    left, worth = storage_free(), Decimal(0)
    for one, amount in kept:
        place = regions.regions().get(one.place)
        if one.storage_class == "STANDARD" and place is not None and place.free_storage:
            given = min(left, amount)
            left -= given
            worth += given * (gib_month(one) or 0)
    return worth


def free_run(found: Iterable[Machines], start: datetime.datetime, end: datetime.datetime) -> Decimal:
    """What Cloud Run's free amounts are worth for jobs between two moments."""
    span, cpu, memory = _Span(start, end), Decimal(0), Decimal(0)
    for one in found:
        shape = _SHAPE.fullmatch(one.job.machine) if one.job and one.job.place == RUN else None
        if shape and one.job and one.hourly is not None:
            seconds = sum((span.share(*time) for time in one.times), Decimal(0)) * one.job.replicas
            cpu += seconds * Decimal(shape[1]) * run.cpu_second(one.job.region)
            memory += seconds * Decimal(shape[2]) * run.gib_second(one.job.region)
    free_cpu, free_memory = run.free()
    return min(cpu, free_cpu * run.cpu_second(_TIER_1)) + min(memory, free_memory * run.gib_second(_TIER_1))
