"""What training costs, told before anything is started: machines by the price of an hour."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from catalog import accelerators, regions, run
from catalog.book import UnknownName
from catalog.prices import Price
from cloudkite.accounts import registry, target
from cloudkite.accounts.registry import Account
from cloudkite.jobs.job import RUN, VERTEX
from cloudkite.money import currency
from cloudkite.money.currency import Rate
from cloudkite.money.offered import machines
from cloudkite.money.offered.machines import Offer, Wish
from cloudkite.money.offered.means import Allowance, Means
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, counted, near
from cloudkite.workspace import Workspace

_REGION = "us-central1"  # where there is no account to say another
_SHORTEST = 300  # seconds; no job may be shorter
_OTHERS = 10  # regions that are shown where the account's own has nothing


@dataclass(frozen=True)
class Wishes:
    """What a person asked for, as typed; empty is no wish."""

    gpu: str = ""
    memory: int = 0
    cpus: int = 0
    spot: bool = False
    region: str = ""
    on: str = VERTEX
    everything: bool = False

    def checked(self) -> Wish:
        """The same by the catalogue's names. Raises BadValue."""
        if self.on not in (VERTEX, RUN):
            said = _("--on must be {places}, not {given}")
            raise BadValue(said.format(places=_(" or ").join((VERTEX, RUN)), given=self.on), _("--on run, for example"))
        if self.on == RUN and (self.gpu or self.spot):
            said = _("Cloud Run jobs train on CPUs, one at a time: --{option} is for Vertex AI")
            option = "gpu" if self.gpu else "spot"
            raise BadValue(said.format(option=option), _("leave --{option} out, or --on run").format(option=option))
        known = run.regions() if self.on == RUN else list(regions.regions())
        if self.region and self.region not in known:
            raise BadValue(_("--region: unknown region {name}").format(name=self.region), near(self.region, known))
        return Wish(self._accelerator(), self.memory, self.cpus, self.spot, self.everything)

    def _accelerator(self) -> str:
        try:
            return accelerators.accelerator(self.gpu).name if self.gpu else ""
        except UnknownName as unknown:
            shorts = [one.short for one in accelerators.accelerators().values() if not one.ended]
            said = _("--gpu: unknown accelerator {name}").format(name=self.gpu)
            raise BadValue(said, near(unknown.name, shorts)) from None


def show(workspace: Workspace, account_name: str, wishes: Wishes, *, as_json: bool = False) -> None:
    """Machines of the account's region by price, what its budget and quotas allow, and where they are cheaper."""
    wish = wishes.checked()
    account, notes = _account(workspace, account_name)
    region = wishes.region or (account.region if account else _REGION)
    found = offered(region, wish, wishes.on)
    own = found if wishes.everything or wish.gpu else machines.first(found)
    others = machines.everywhere(wish, wishes.on) if wishes.everything else []
    others = [one for one in others if one.region != region]
    if not own and not others:
        others = machines.elsewhere(wish, wishes.on, region)[:_OTHERS]
    means, more = _means(workspace, account, own, region, wish.spot)
    notes += more
    near_by = {} if wishes.everything else {one: machines.cheaper(one, wish.spot) for one in own}
    if as_json:
        rows = [_as_json(one, means, near_by.get(one), wish.spot) for one in own]
        screen.as_json(
            {
                "account": account.name if account else None,
                "region": region,
                "budget": means.budget,
                "left": means.left,
                "currency": means.rate.currency if means.rate else None,
                "per_dollar": means.rate.per_dollar if means.rate else None,
                "notes": notes,
                "machines": rows,
                "elsewhere": others,
            }
        )
        return
    if not own:
        screen.say(_nothing(wish, region))
    if not own and not others:
        return
    rate, legend = means.rate or currency.DOLLAR, Legend([*own, *others])
    if own:
        screen.say(_heading(account, region, means))
        _table(own, means, rate, legend, wish.spot, near_by)
        if len(own) < len(found):
            said = counted("{count} dearer machine; --all shows it", "{count} dearer machines; --all shows them",
                           len(found) - len(own))  # fmt: skip
            screen.say(said, style="dim")
    if others:
        screen.heading(_("elsewhere"))
        _others(others, rate, legend)
    for line in (*legend.lines(), *foot(rate, wishes.on, region)):
        screen.say(line, style="dim")
    if best := max((found for found in near_by.values() if found), key=lambda one: one[1], default=None):
        screen.say(
            _("a job runs where its account's buckets are; an account there: {command}").format(
                command=f"uv run invoke account.add --region {best[0].region}"
            ),
            style="dim",
        )
    for note in notes:
        screen.note(note)


def _account(workspace: Workspace, name: str) -> tuple[Account | None, list[str]]:
    """The account to look at; none, with a note, where the one in use can't be read. Raises UserError for one that is
    named."""
    try:
        return registry.load(workspace, name or None), []
    except UserError as problem:
        if name:
            raise
        return None, [_("budget and quotas weren't looked at: {why}").format(why=problem.message)]


def offered(region: str, wish: Wish, place: str) -> list[Offer]:
    """What there is in a region, nothing where Cloud Run is not."""
    try:
        return machines.offers(region, wish, place)
    except UnknownName:  # Cloud Run is not everywhere
        return []


def _means(
    workspace: Workspace, account: Account | None, offers: Sequence[Offer], region: str, spot: bool
) -> tuple[Means, list[str]]:
    """What the account has, and what there is to tell of it. Nothing is asked where it isn't set up."""
    if account is None:
        return Means(), []
    if not account.outputs_file.is_file():
        said = _("account {name} isn't set up: its budget and quotas weren't looked at")
        return Means(), [said.format(name=account.name)]
    from cloudkite.money.offered import means

    needs = [need for one in offers for need in one.needs(spot)] if region == account.region else []
    try:
        found = means.look(target.connect(workspace, account), needs)
    except UserError as problem:
        said = _("budget and quotas weren't looked at: {why}")
        return Means(), [said.format(why=problem.message.partition("\n")[0])]
    notes = list(found.notes)
    if region != account.region:
        said = _("account {name} is in {region}: its quotas in {other} weren't looked at")
        notes.append(said.format(name=account.name, region=account.region, other=region))
    return found, notes


def _nothing(wish: Wish, region: str) -> str:
    if wish.gpu and region not in (there := regions.regions_with(wish.gpu)):
        said = _("{gpu} isn't available for training in {region}; regions that have it: {names}")
        return said.format(gpu=accelerators.accelerator(wish.gpu).short, region=region, names=", ".join(there))
    return _("no machine in {region} has that at a known price").format(region=region)


def _heading(account: Account | None, region: str, means: Means) -> str:
    if account is None or means.left is None or means.rate is None or means.budget is None:
        return _("machines in {region}").format(region=region)
    said = (
        _("machines in {region}; of the trial's budget of {budget}, {left} is left")
        if means.trial
        else _("machines in {region}; of the month's budget of {budget}, {left} is left")
    )
    code = means.rate.currency
    left = amounts.money(max(means.left, Decimal(0)), code)
    return said.format(region=region, budget=amounts.money(means.budget, code), left=left)


def _table(
    offers: Sequence[Offer],
    means: Means,
    rate: Rate,
    legend: Legend,
    spot: bool,
    near_by: dict[Offer, tuple[Offer, Decimal] | None],
) -> None:
    columns = [_("machine"), _("vCPUs"), _("memory"), _("an hour"), _("on Spot")]
    cells = [_cells(one, rate, legend) for one in offers]
    right = [1, 2, 3, 4]
    if means.left is not None:
        right.append(len(columns))
        columns.append(_("the budget lasts"))
        for one, row in zip(offers, cells, strict=True):
            row.append(_lasts(means.seconds(one.hourly(spot))))
    if means.limits:
        columns.append(_("quota"))
        for one, row in zip(offers, cells, strict=True):
            row.append(allowed(means.allowance(one.needs(spot))))
    if any(near_by.values()):
        columns.append(_("cheaper in"))
        for one, row in zip(offers, cells, strict=True):
            row.append(_saved(near_by.get(one)))
    screen.table(columns, cells, right=right, spare=[2, 1])


def _cells(one: Offer, rate: Rate, legend: Legend) -> list[object]:
    """What it is, and its two prices."""
    prices = [legend.price(price, rate) for price in (one.on_demand, one.spot)]
    return [described(one), one.vcpus or "", _gigabytes(one.memory_gb), *prices]


def _others(offers: Sequence[Offer], rate: Rate, legend: Legend) -> None:
    screen.table(
        [_("region"), _("machine"), _("vCPUs"), _("memory"), _("an hour"), _("on Spot")],
        [[one.region, *_cells(one, rate, legend)] for one in offers],
        right=[2, 3, 4, 5],
        spare=[3, 2],
    )


def described(one: Offer) -> str:
    """A machine in a few words: n1-standard-4 + 1 T4."""
    chips = f" + {one.count} {accelerators.accelerator(one.accelerator).short}" if one.accelerator else ""
    return f"{one.machine}{chips}"


def _gigabytes(memory: float | None) -> str:
    return "" if memory is None else f"{memory:g} GB"


def _lasts(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return amounts.duration(seconds) if seconds >= _SHORTEST else _("too little")


def allowed(found: Allowance) -> str:
    """What the quotas grant, in a few words."""
    if found.word == "granted":
        return _("granted")
    if found.word == "none":
        return _("no quota ({title})").format(title=found.title)
    if found.word == "short":
        said = _("needs {needed} {title}, has {limit}")
        return said.format(needed=found.needed, title=found.title, limit=found.limit)
    return _("unknown")


def _saved(found: tuple[Offer, Decimal] | None) -> str:
    return f"{found[0].region} -{found[1]:.0%}" if found else ""


def foot(rate: Rate, place: str, region: str) -> Iterable[str]:
    """What else is to be told of prices."""
    if told := rate.told():
        yield _("{rate}, by Google's price list").format(rate=told)
    if place == RUN and region in run.regions():
        cpu, gib = run.free()
        yield _("of each month {cpu:,.0f} vCPU-seconds and {gib:,.0f} GiB-seconds cost nothing where nothing else of "
                "the billing account uses them; the prices count without that").format(cpu=cpu, gib=gib)  # fmt: skip


def _as_json(one: Offer, means: Means, near_by: tuple[Offer, Decimal] | None, spot: bool) -> dict[str, Any]:
    there = None
    if near_by:
        there = {"region": near_by[0].region, "hourly": near_by[0].hourly(spot), "saved": round(near_by[1], 4)}
    return {
        **dataclasses.asdict(one),
        "lasts_seconds": means.seconds(one.hourly(spot)),
        "quota": means.allowance(one.needs(spot)) if means.limits else None,
        "cheaper": there,
    }


class Legend:
    """How sure prices are and of which day, told once: what most of them are needs no mark, others get a letter."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        counts: dict[tuple[str, str], int] = {}
        for price in (price for one in offers for price in (one.on_demand, one.spot)):
            if price and price.amount is not None:
                counts[price.sure, price.as_of] = counts.get((price.sure, price.as_of), 0) + 1
        kinds = sorted(counts, key=lambda kind: -counts[kind])
        self.marks = {kind: chr(ord("a") + number - 1) if number else "" for number, kind in enumerate(kinds)}

    def price(self, price: Price | None, rate: Rate) -> str:
        """The amount with its mark; "-" where there is no such price, or none is known."""
        if price is None or price.amount is None:
            return "-"
        mark = self.marks[price.sure, price.as_of]
        return f"{rate.beside(price.amount, 4)} {mark}".rstrip()

    def lines(self) -> Iterable[str]:
        """What the marks mean, and what is in a price."""
        words = {"confirmed": _("as Google publishes it"), "derived": _("by Google's rule from its list prices"),
                 "estimate": _("an estimate")}  # fmt: skip
        told = [
            (mark, _("{how}, {date}").format(how=words.get(sure, sure), date=date))
            for (sure, date), mark in self.marks.items()
        ]
        if not told:
            return
        rest = "".join(f"; {mark}: {what}" for mark, what in told[1:])
        yield _("prices of an hour, with the disk, before tax and network; {usual}{rest}").format(
            usual=told[0][1], rest=rest
        )
