"""What an account can run today: on this machine, on CPUs, GPUs and TPUs, and as a Cloud Run job. Nothing is changed.

Quotas are read from Cloud Quotas, never taken from documented defaults. While an API is off, what it would tell is not
known, and it is said so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from catalog import accelerators, machines, quotas, tpus
from catalog.quotas import SERVICE
from cloudkite.accounts.asked import preferences, services
from cloudkite.accounts.asked.preferences import UNLIMITED, Book
from cloudkite.accounts.person import payers
from cloudkite.accounts.target import Target
from cloudkite.check.machine import Machine, lacks
from cloudkite.jobs.plans import DEFAULT_MACHINE
from cloudkite.money import prices
from cloudkite.show.text import _

RUN = "run.googleapis.com"
_ENOUGH_MEMORY = 8  # GB; as in cloudkite.money.standing
_ASKED = (*services.FIRST, SERVICE, RUN)


@dataclass(frozen=True)
class Place:
    """One place. `can` is None where it can't be known; `why` says so in a few words.

    `machine` is what a job could have there, with the price of an hour ("" and None where none fits or it is free).
    """

    kind: str  # laptop, cpu, gpu, tpu, run
    can: bool | None
    why: str = ""
    machine: str = ""
    hourly: Decimal | None = None
    currency: str = ""
    as_of: str = ""
    quota: str = ""  # the id of the quota that is too small


CLOUD = ("cpu", "gpu", "tpu", "run")


def laptop(machine: Machine) -> Place:
    """Whether TensorFlow runs here."""
    fatal = [lack for lack in lacks(machine) if lack.fatal]
    return Place("laptop", not fatal, fatal[0].what if fatal else "")


def unknown(why: str) -> list[Place]:
    """The places of a cloud that can't be asked."""
    return [Place(kind, None, why) for kind in CLOUD]


def look(target: Target) -> list[Place]:
    """The places of the account's cloud. Raises UserError where it can't be reached."""
    account = target.account
    found = services.read(target, _ASKED)
    if "cloudbilling.googleapis.com" in found.on:
        linked, pays = payers.of(target, account.project)
        if not pays:
            why = _("its billing account is closed") if linked else _("no billing account is linked")
            return [Place(kind, False, why) for kind in CLOUD]
    return [*_training(target, found.on), _run(found.on)]


def _training(target: Target, on: frozenset[str]) -> Iterator[Place]:
    trial = target.account.tier == "trial"
    book = preferences.read(target, {SERVICE}) if "cloudquotas.googleapis.com" in on else None
    if book is None:
        why = _("not known yet: the API that tells quotas is off until `up` has run")
        yield Place("cpu", None, why)
        yield Place("gpu", False, _("trial")) if trial else Place("gpu", None, why)
        yield Place("tpu", None, why)
        return
    fits = list(_fits(book, target.account.region))
    yield _cpu(book, target.account.region, fits)
    # https://cloud.google.com/free/docs/free-cloud-features#free-trial: no GPUs, and no request for more quota
    yield Place("gpu", False, _("trial")) if trial else _best("gpu", fits, target.account.region)
    yield _best("tpu", fits, target.account.region)


def _fits(book: Book, region: str) -> Iterator[Place]:
    """What the quotas have room for, cheapest first; `kind` by what the machine has."""
    limits: dict[str, int] = {}
    known = {tpu.machine: tpu for tpu in tpus.tpus().values()}
    for row in prices.listing(region):
        shape = machines.machine(row.machine)
        if shape.tpu and row.machine not in known:
            continue  # TensorFlow can't train on it
        needs = quotas.needs(row.machine, row.accelerator, row.count, 1, False)
        for need in needs:
            limits.setdefault(need.meter.id, _limit(book, need.meter, region))
        if not needs or (row.memory_gb or 0) < _ENOUGH_MEMORY:
            continue
        kind = "tpu" if shape.tpu else "gpu" if row.accelerator or shape.chips else "cpu"
        if all(limits[n.meter.id] == UNLIMITED or limits[n.meter.id] >= n.amount for n in needs):
            chip, count = row.accelerator or shape.chip, row.count or shape.chips
            name = f"{row.machine} + {count} {accelerators.accelerator(chip).short}" if chip else row.machine
            price = row.on_demand
            yield Place(kind, True, "", name, price.amount, price.currency, price.as_of)


def _limit(book: Book, meter: quotas.Meter, region: str) -> int:
    info = book.info(SERVICE, meter.id) or book.info(SERVICE, meter.metric) or {}
    return preferences.effective(info, region) or 0


def _cpu(book: Book, region: str, fits: list[Place]) -> Place:
    """The usual machine where it fits, else the cheapest that does."""
    cpus = [fit for fit in fits if fit.kind == "cpu"]
    if cpus:
        return next((fit for fit in cpus if fit.machine == DEFAULT_MACHINE), cpus[0])
    [need, *_rest] = quotas.needs(DEFAULT_MACHINE, "", 0, 1, False)
    why = _("{limit}, needs {needed}").format(limit=_limit(book, need.meter, region), needed=need.amount)
    return Place("cpu", False, why, quota=need.meter.id)


def _best(kind: str, fits: list[Place], region: str) -> Place:
    for fit in fits:
        if fit.kind == kind:
            return fit
    rows = [row for row in prices.listing(region) if (row.accelerator or machines.machine(row.machine).tpu)]
    wanted = [row for row in rows if machines.machine(row.machine).tpu == (kind == "tpu")]
    if not wanted:
        return Place(kind, False, _("none in {region}").format(region=region))
    needs = quotas.needs(wanted[0].machine, wanted[0].accelerator, wanted[0].count, 1, False)
    return Place(kind, False, _("0 in {region}").format(region=region), quota=needs[-1].meter.id if needs else "")


def _run(on: frozenset[str]) -> Place:
    """Cloud Run jobs need no quota that small accounts lack (docs/google.md): where the API is on, they run."""
    if RUN in on:
        return Place("run", True)
    return Place("run", None, _("not known: its API is off"))
