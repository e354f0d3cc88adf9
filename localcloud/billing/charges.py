"""The lines of the bill: what the ledger has, times the catalogue's prices, less the free tier and the trial's credit.

All money is in whole billionths of a dollar, so that no sum ever drifts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from localcloud.billing import pacific, prices
from localcloud.billing.ledger import Kept, Span
from localcloud.billing.prices import Sku

_GRANULE = 30  # seconds; training and serving are charged by the half minute begun
_GIB = 1 << 30


@dataclass(frozen=True)
class Line:
    """What one resource cost on one Pacific day; `nanos` None where no price is known, `credit` what a credit paid."""

    day: date
    project: str
    payer: str
    service: str
    service_id: str
    sku: str
    resource: str
    unit: str
    amount: Decimal
    nanos: int | None
    labels: Mapping[str, str]
    credit: int = 0

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


def lines(spans: Iterable[Span], kept: Iterable[Kept], now: int, credits: Iterable[Credit] = ()) -> list[Line]:
    """All lines until `now`, by day."""
    found = [line for span in spans for line in _of_span(span, now)] + _of_storage(kept)
    found.sort(key=lambda line: (line.day, line.project, line.service, line.resource, line.sku))
    for credit in credits:
        found = _credited(found, credit)
    return found


def _of_span(span: Span, now: int) -> Iterable[Line]:
    end = now if span.ended is None else span.ended
    granules = -(-max(end - span.started, 0) // _GRANULE)
    for pool in span.pools:
        skus = [prices.machine(span.kind, pool.machine, pool.accelerator, pool.count, pool.spot, span.region)]
        if pool.disk_gb:
            skus.append(prices.disk(pool.disk, pool.disk_gb, span.region))
        for day, seconds in pacific.days(span.started, span.started + granules * _GRANULE):
            amount = Decimal(seconds * pool.replicas) / 3600
            for sku in skus:
                resource = span.resource.partition("#")[0]  # without what tells spans of one apart
                yield _line(day, span.project, span.payer, sku, resource, amount, span.labels)


def _of_storage(kept: Iterable[Kept]) -> list[Line]:
    """Each account's first 5 GB-months of a month are free, in three regions; the earliest count first."""
    left: dict[tuple[str, date], Decimal] = defaultdict(lambda: prices.FREE_GIB)
    found = []
    for one in kept:
        level = one.level
        sku = prices.stored(level.storage_class, level.location)
        month = one.day.replace(day=1)
        amount = Decimal(level.amount) / _GIB / pacific.month_seconds(one.day)
        line = _line(one.day, level.project, level.payer, sku, f"buckets/{level.bucket}", amount, level.labels)
        if prices.free(level.storage_class, level.location) and line.nanos is not None:
            given = min(amount, left[level.payer, month])
            left[level.payer, month] -= given
            line = replace(line, nanos=sku.nanos(amount - given))
        found.append(line)
    return found


def _line(
    day: date, project: str, payer: str, sku: Sku, resource: str, amount: Decimal, labels: Mapping[str, str]
) -> Line:
    return Line(
        day,
        project,
        payer,
        sku.service,
        sku.service_id,
        sku.text,
        resource,
        sku.unit,
        amount,
        sku.nanos(amount),
        labels,
    )


def _credited(found: list[Line], credit: Credit) -> list[Line]:
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
