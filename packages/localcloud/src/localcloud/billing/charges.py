"""The lines of the bill: what the ledger has, times the catalogue's prices, less the free tier and the trial's credit.

All money is in whole billionths of a dollar, so that no sum ever drifts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from catalog import run
from localcloud.billing import pacific, prices
from localcloud.billing.ledger import STORAGE, Counted
from localcloud.billing.prices import Sku
from localcloud.core.asked.counts import CLASS_A, CLASS_B, EARLY, LOGS, Thing
from localcloud.core.asked.usage import Span

RUN = "run"  # kind of the spans of Cloud Run jobs
GRANULE = 30  # seconds; training and serving are charged by the half minute begun
_GIB = 1 << 30


@dataclass(frozen=True)
class Line:
    """What one resource cost on one Pacific day, sold as `of`; `nanos` None where no price is known.

    `title` is what a person called the resource, `credit` what a credit paid, `free` how much of the amount costs
    nothing.
    """

    day: date
    project: str
    payer: str
    of: Sku
    resource: str
    amount: Decimal
    nanos: int | None
    labels: Mapping[str, str]
    title: str = ""
    credit: int = 0
    free: Decimal = Decimal(0)

    @property
    def service(self) -> str:
        return self.of.service

    @property
    def sku(self) -> str:
        return self.of.text

    @property
    def unit(self) -> str:
        return self.of.unit

    @property
    def net(self) -> int:
        """What is left to pay, in nanos."""
        return (self.nanos or 0) - self.credit


@dataclass(frozen=True)
class Credit:
    """What billing accounts do not pay: up to `nanos` together, for days before `ends`."""

    payers: frozenset[str]
    nanos: int
    ends: date


def lines(spans: Iterable[Span], counted: Iterable[Counted], now: int, credits: Iterable[Credit] = ()) -> list[Line]:
    """All lines until `now`, by day."""
    found = [line for span in spans for line in _of_span(span, now)] + [of_counted(one) for one in counted]
    found.sort(key=lambda line: (line.day, line.project, line.service, line.resource, line.sku))
    found = less_free(found)
    for credit in credits:
        found = credited(found, credit)
    return found


def _of_span(span: Span, now: int) -> Iterable[Line]:
    for day, seconds in pacific.days(span.started, span.started + length(span, now)):
        for amount, sku in skus(span, seconds):
            yield of_machines(day, span, sku, amount)


def length(span: Span, now: int) -> int:
    """For how many seconds a span is charged until `now`."""
    end = now if span.ended is None else span.ended
    if span.kind == RUN:  # each attempt counts a minute at least; by 100 ms then, here by the second
        return max(end - span.started, run.least_seconds())
    return -(-max(end - span.started, 0) // GRANULE) * GRANULE


def hourly(spans: Iterable[Span], levels: Mapping[Thing, int], now: int) -> list[Line]:
    """What each thing that is there now costs in an hour, before the free tier and credits."""
    found, today = [], pacific.day(now)
    for span in spans:
        if span.ended is None:
            for amount, sku in skus(span, 3600):
                found.append(of_machines(today, span, sku, amount))
    for thing, size in levels.items():
        found.append(of_counted(Counted(today, STORAGE, thing, size * 3600)))
    return found


def skus(span: Span, seconds: int) -> Iterator[tuple[Decimal, Sku]]:
    """(hours, what is sold) of machines and disks that a span has for so many seconds."""
    for pool in span.pools:
        if span.kind == RUN:
            cpus, memory = pool.machine.split("cpu ")
            yield Decimal(seconds) * Decimal(cpus), prices.run_cpu(span.region)
            yield Decimal(seconds) * Decimal(memory) / _GIB, prices.run_memory(span.region)
            continue
        amount = Decimal(seconds * pool.replicas) / 3600
        yield amount, prices.machine(span.kind, pool.machine, pool.accelerator, pool.count, pool.spot, span.region)
        if pool.disk_gb:
            yield amount, prices.disk(pool.disk, pool.disk_gb, span.region)


def less_free(lines: Iterable[Line]) -> list[Line]:
    """Of what is free in each month, the earliest counts first."""
    left: dict[tuple[str, str, date], Decimal] = {}
    found = []
    for line in lines:
        free = line.of.free
        if free is not None:
            key = (free.name, line.project if free.per_project else line.payer, line.day.replace(day=1))
            rest = left.get(key, free.amount)
            given = min(line.amount, rest / free.weight)
            left[key] = rest - given * free.weight
            line = replace(line, nanos=line.of.nanos(line.amount - given), free=given)
        found.append(line)
    return found


def of_counted(one: Counted) -> Line:
    """What a day had by the piece or the byte."""
    thing, amount = one.thing, Decimal(one.amount)
    if one.what == STORAGE:
        sku = prices.stored(thing.storage_class, thing.location)
        amount = amount / _GIB / pacific.month_seconds(one.day)
    elif one.what == EARLY:
        sku = prices.early_deletion(thing.storage_class, thing.location)
        amount = amount / _GIB / pacific.month_seconds(one.day)
    elif one.what in (CLASS_A, CLASS_B):
        sku = prices.operation(thing.storage_class, thing.location, one.what == CLASS_B)
    else:
        sku = prices.logs() if one.what == LOGS else prices.messages()
        amount = amount / _GIB
    resource = f"buckets/{thing.bucket}" if thing.bucket else one.what
    labels, nanos = json.loads(thing.labels), sku.nanos(amount)
    return Line(one.day, thing.project, thing.payer, sku, resource, amount, nanos, labels)


def of_machines(day: date, span: Span, sku: Sku, amount: Decimal) -> Line:
    """What machines of a span cost on a day."""
    nanos, resource = sku.nanos(amount), span.resource.partition("#")[0]  # without what tells spans of one apart
    return Line(day, span.project, span.payer, sku, resource, amount, nanos, span.labels, span.title)


def credited(found: list[Line], credit: Credit) -> list[Line]:
    """The same lines, of which a credit pays the earliest."""
    left, made = credit.nanos, []
    for line in found:
        if line.payer in credit.payers and line.day < credit.ends and line.nanos:
            given = min(left, line.net)
            left -= given
            line = replace(line, credit=line.credit + given)
        made.append(line)
    return made


def dollars(nanos: int) -> str:
    """An exact amount in dollars as text: "0.218498850"."""
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    return f"{sign}{nanos // prices.NANOS}.{nanos % prices.NANOS:09d}"
