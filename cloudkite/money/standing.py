"""How a project stands with its quotas: asked for, granted, in use; what a job could have now, and its price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from catalog import accelerators, machines, quotas, regions
from catalog.book import UnknownName
from catalog.quotas import SERVICE, Meter
from cloudkite.accounts.asked import preferences
from cloudkite.accounts.asked.preferences import UNLIMITED, Book
from cloudkite.accounts.target import Target
from cloudkite.jobs import service
from cloudkite.jobs.service import Job
from cloudkite.money import prices
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from infra.known import written

if TYPE_CHECKING:
    from infra.settings import Settings

_ENOUGH_MEMORY = 8  # GB; the service's own agents take up to 40 % (documentation of shapes)


@dataclass(frozen=True)
class Standing:
    """One quota in one region: -1 is unlimited, None is not known, not asked for or not pending.

    `reset` is what it is without any preference; `reason` says why Google grants no more, "" where it may.
    """

    title: str
    quota_id: str
    region: str
    asked: int | None
    granted: int | None
    pending: int | None
    used: int
    reset: int | None
    eligible: bool
    reason: str

    @property
    def matters(self) -> bool:
        """Whether there is anything to see but that there is nothing."""
        return bool(self.granted or self.used or self.reset) or self.asked is not None


@dataclass(frozen=True)
class Fit:
    """A machine that a job could have now, with the price of an hour of it."""

    machine: str
    accelerator: str
    count: int
    spot: bool
    hourly: Decimal
    currency: str
    as_of: str


def read(target: Target, settings: Settings) -> tuple[list[Standing], list[Fit]]:
    """The quotas of training jobs, and what fits: with a GPU or TPU and without one. Raises UserError."""
    asked = written(settings)
    book = preferences.read(target, {SERVICE, *(one.service for one in asked)})
    if book is None:
        raise UserError(
            _("the quotas of project {project} can't be read yet: their API is off").format(project=settings.project),
            _("uv run invoke up --account {name} turns it on").format(name=target.account.name),
        )
    used = _used(service.running(target))
    meters = {(meter, settings.region): None for meter in _meters(settings.region)}
    rows = [_standing(book, SERVICE, meter, region, settings, used) for meter, region in meters]
    shown = {(row.quota_id, row.region) for row in rows}
    for quota, one in zip(settings.quotas, asked, strict=True):
        row = _standing(book, one.service, Meter("", quota.names()[1], one.quota_id, ""), one.region, settings, used)
        if (row.quota_id, row.region) not in shown:
            shown.add((row.quota_id, row.region))
            rows.append(row)
    return rows, list(_fits(rows, settings.region))


def _meters(region: str) -> Iterator[Meter]:
    """What training jobs count against in a region, on demand and on Spot."""
    families = dict.fromkeys(machine.family for machine in machines.machines().values())
    known = accelerators.accelerators()
    for spot in (False, True):
        for family in families:
            if meter := quotas.vcpus(family, spot):
                yield meter
        for kind in regions.region(region).accelerators:
            if kind in known and not known[kind].ended and (meter := quotas.accelerators(kind, spot)):
                yield meter


def _standing(
    book: Book, of: str, meter: Meter, region: str, settings: Settings, used: Mapping[tuple[str, str], int]
) -> Standing:
    info = book.info(of, meter.id) or book.info(of, meter.metric) or {}
    quota_id = str(info.get("quotaId", meter.id))
    present = book.preference(of, quota_id, region)
    wishes = {
        (one.quota_id or quota.names()[1], one.region): one.value
        for quota, one in zip(settings.quotas, written(settings), strict=True)
    }
    reason = preferences.ineligible(info)
    return Standing(
        meter.title or quota_id or meter.metric,
        quota_id,
        region,
        wishes.get((quota_id, region), wishes.get((meter.metric, region))),
        preferences.effective(info, region),
        preferences.preferred(present) if present and present.get("reconciling") else None,
        used.get((meter.title, region), 0),
        preferences.reset(info, region, present) if info else None,
        not reason,
        reason,
    )


def _used(jobs: Sequence[Job]) -> Counter[tuple[str, str]]:
    """What the jobs that haven't ended take, by the quota's title and region."""
    used: Counter[tuple[str, str]] = Counter()
    for job in jobs:
        try:
            needs = quotas.needs(job.machine, job.accelerator, job.count, job.replicas, job.spot)
        except UnknownName:  # another tool's machine
            continue
        for need in needs:
            used[need.meter.title, job.region] += need.amount * job.parallel
    return used


def _fits(rows: Sequence[Standing], region: str) -> Iterator[Fit]:
    """The cheapest machine with an accelerator and the cheapest without one that the quotas have room for."""
    room = {row.title: _room(row) for row in rows if row.region == region}
    for wanted in (True, False):
        found = [
            Fit(row.machine, row.accelerator, row.count, spot, price.amount, price.currency, price.as_of)
            for row in prices.listing(region)
            if bool(row.accelerator) is wanted and (row.memory_gb or 0) >= _ENOUGH_MEMORY
            for spot, price in ((False, row.on_demand), (True, row.spot))
            if price.amount is not None and _has_room(room, row.machine, row.accelerator, row.count, spot)
        ]
        if found:
            yield min(found, key=lambda fit: fit.hourly)


def _room(row: Standing) -> int | None:
    """How much is free; None without an end."""
    if row.granted == UNLIMITED:
        return None
    return max((row.granted or 0) - row.used, 0)


def _has_room(room: Mapping[str, int | None], machine: str, accelerator: str, count: int, spot: bool) -> bool:
    needs = quotas.needs(machine, accelerator, count, 1, spot)
    free = [(room.get(need.meter.title, 0), need.amount) for need in needs]
    return bool(free) and all(there is None or there >= amount for there, amount in free)
