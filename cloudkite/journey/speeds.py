"""What a run of a trainer takes and costs, by the measured speed of its jobs; and what that tells before consent."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from catalog import machines as shapes
from catalog import run
from cloudkite.accounts import registry, target
from cloudkite.jobs.job import RUN
from cloudkite.journey.pricing import Legend, Wishes, described, foot, offered
from cloudkite.money import currency, measured
from cloudkite.money.currency import Rate
from cloudkite.money.measured import Measurements, Run, Setup, Speed
from cloudkite.money.offered import machines
from cloudkite.money.offered.machines import Offer, Wish
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.trainers import folders
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from cloudkite.jobs.plans import Plan


def show(
    workspace: Workspace, name: str, account_name: str, wishes: Wishes, *, epochs: int = 0, as_json: bool = False
) -> None:
    """What a whole run of a trainer takes and costs, by the price, on the set-ups that its jobs were measured on."""
    wish = wishes.checked()
    if not name:
        raise BadValue(_("--epochs goes with a trainer"), f"uv run invoke prices NAME --epochs {epochs}")
    if epochs < 0:
        raise BadValue(_("--epochs must be 1 or more, not {count}").format(count=epochs))
    trainer = folders.find(workspace, name)
    account = registry.load(workspace, account_name or None)
    region = wishes.region or account.region
    found, notes, rate = measured.Measurements(), [], currency.DOLLAR
    if account.outputs_file.is_file():
        try:
            connected = target.connect(workspace, account)
            found = measured.of_trainer(connected, trainer.name)
            known, why = currency.of_account(connected)
            rate = known or rate
            notes += [why] if why else []
        except UserError as problem:
            said = _("the jobs weren't looked at: {why}")
            notes.append(said.format(why=problem.message.partition("\n")[0]))
    else:
        notes.append(_("account {name} isn't set up: it has no jobs to measure").format(name=account.name))
    newest = found.like({}) or found.runs
    runs = found.same(newest[0]) if newest else ()
    count = epochs or measured.default_epochs(trainer) or (runs[0].epochs if runs else 0)
    offers = machines.first(offered(region, wish, wishes.on))
    table = _priced(measured.speeds(runs), region, wish, wishes.on, count)
    unmeasured = [one for one in offers if not any(_on(one, row) for row in table)]
    if found.unread:
        notes.append(_unread(found.unread))
    if as_json:
        screen.as_json(
            {
                "trainer": trainer.name,
                "account": account.name,
                "region": region,
                "epochs": count,
                "options": runs[0].used if runs else None,
                "rows": next((run.rows for run in runs if run.rows), None),
                "here": not account.costs_money,
                "notes": notes,
                "measured": [dataclasses.asdict(row) for row in table],
                "not_measured": unmeasured,
            }
        )
        return
    legend = Legend([*(row.offer for row in table), *unmeasured])
    _show_runs(table, unmeasured, rate, legend, wish.spot)
    for line in (*_about(table, runs, found, count), *legend.lines(), *foot(rate, wishes.on, region)):
        screen.say(line, style="dim")
    if table and not account.costs_money:
        screen.say(
            _("account {name} is on this machine, and so were its jobs: on Google's machines an epoch takes another "
              "time").format(name=account.name)
        )  # fmt: skip
    if not runs:
        line = f"uv run invoke train {folders.typed(workspace, trainer)}{registry.option(workspace, account)}"
        screen.say(_("nothing is measured yet; a job that succeeds is: {command}").format(command=line))
    for note in notes:
        screen.note(note)


@dataclass(frozen=True)
class _Priced:
    """One measured set-up: `offer` is one machine of it, `seconds` and prices are of the whole run on all of them."""

    offer: Offer
    workers: int
    epoch_seconds: float
    rest_seconds: float
    seconds: float
    cost: Decimal | None
    spot_cost: Decimal | None
    jobs: tuple[str, ...]
    scaled: bool


def _priced(speeds: Sequence[Speed], region: str, wish: Wish, place: str, epochs: int) -> list[_Priced]:
    """The measured set-ups that fulfil the wish, by the price of a run; those without one last."""
    rows = []
    known = {(o.machine, o.accelerator, o.count): o for o in offered(region, replace(wish, everything=True), place)}
    for speed in speeds:
        setup = speed.setup
        offer = known.get((setup.machine, *_chips(setup)))
        if setup.place != place or offer is None:
            continue
        on_demand, spot = (_of_run(speed, offer.hourly(cheap), epochs) for cheap in (False, True))
        rows.append(
            _Priced(offer, setup.workers, speed.epoch_seconds, speed.rest_seconds, speed.seconds(epochs), on_demand,
                    spot, speed.jobs, speed.scaled)
        )  # fmt: skip
    return sorted(rows, key=lambda row: (row.spot_cost if wish.spot else row.cost) or Decimal("Infinity"))


def _chips(setup: Setup) -> tuple[str, int]:
    """Accelerators as an offer tells them: also those that a job doesn't name."""
    shape = shapes.machines().get(setup.machine)
    return (shape.chip, shape.chips) if shape and shape.chip else (setup.accelerator, setup.count)


def _of_run(speed: Speed, hourly: Decimal | None, epochs: int) -> Decimal | None:
    return None if hourly is None else speed.price(hourly * speed.setup.workers, epochs)


def _on(one: Offer, row: _Priced) -> bool:
    return row.workers == 1 and (one.machine, one.accelerator, one.count) == (
        row.offer.machine, row.offer.accelerator, row.offer.count,
    )  # fmt: skip


def _show_runs(table: Sequence[_Priced], unmeasured: Sequence[Offer], rate: Rate, legend: Legend, spot: bool) -> None:
    def cells(one: Offer, workers: int = 1) -> list[str]:
        times = f"{workers} x " if workers > 1 else ""
        price = one.price(spot)
        return [f"{times}{described(one)}", legend.price(price.times(workers) if price else None, rate)]

    rows = [
        [
            *cells(row.offer, row.workers),
            _seconds(row.epoch_seconds),
            amounts.duration(row.seconds),
            rate.beside(row.cost, 4),
            rate.beside(row.spot_cost, 4) if row.spot_cost is not None else "-",
            "~" if row.scaled else "",
        ]
        for row in table
    ]
    rows += [[*cells(one), _("not measured"), "", "", "", ""] for one in unmeasured]
    columns = [_("machine"), _("an hour"), _("an epoch"), _("a run"), _("costs"), _("on Spot"), ""]
    if not any(row.scaled for row in table):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    screen.table(columns, rows, right=[1, 2, 3, 4, 5], spare=[5, 1])


def _seconds(seconds: float) -> str:
    return amounts.duration(seconds) if seconds >= 60 else f"{seconds:.3g}s"


def _about(table: Sequence[_Priced], runs: Sequence[Run], found: Measurements, epochs: int) -> Iterable[str]:
    """What a run is here, and from which jobs it is known."""
    if not table:
        return
    rows = next((run.rows for run in runs if run.rows), None)
    told = counted("a run is {count} epoch", "a run is {count} epochs", epochs)
    if rows:
        told = _("{run} of {rows:,} rows").format(run=told, rows=rows)
    used = " ".join(f"--{name} {value}".rstrip() for name, value in sorted(runs[0].used.items()))
    told = _("{run} with {options}").format(run=told, options=used) if used else told
    said = _("{run}, and start and end ({rest} on {machine}); measured on {jobs}")
    names = list(dict.fromkeys(job for row in table for job in row.jobs))
    yield said.format(run=told, rest=amounts.duration(table[0].rest_seconds), machine=table[0].offer.machine,
                      jobs=", ".join(names[:4]) + (", ..." if len(names) > 4 else ""))  # fmt: skip
    if any(row.scaled for row in table):
        yield _("~ is an estimate: that machine was measured on another number of rows")
    if others := len(found.runs) - len(runs):
        yield counted("{count} job with other options isn't compared",
                      "{count} jobs with other options aren't compared", others)  # fmt: skip


def _unread(count: int) -> str:
    return counted("{count} older job has yet to be read: run this again",
                   "{count} older jobs have yet to be read: run this again", count)  # fmt: skip


# --- before consent


def foreseen(found: Measurements, plan: Plan, rate: Rate | None) -> list[str]:
    """What measured runs tell of a job before it may start: time and cost, whether accelerators or workers pay."""
    rate = rate or currency.DOLLAR
    by_setup = measured.of_plan(found, plan)
    epochs = measured.epochs_of(plan, found.like(measured.options(plan.arguments)))
    lines = []
    if plan.estimate is not None and (own := by_setup.get(measured.setup_of(plan))):
        said = _("such jobs took about {time} and cost about {cost} (measured on {jobs})")
        time, jobs = amounts.duration(own.seconds(epochs)), ", ".join(own.jobs[:2])
        lines.append(_estimated(said.format(time=time, cost=rate.beside(plan.estimate, 4), jobs=jobs), own))
    if plan.accelerator or plan.machine.chip:
        lines += _against_cpus(by_setup, plan, epochs, rate)
    if plan.workers > 1:
        lines.append(_against_one(by_setup, plan, epochs))
    return lines


def _against_cpus(by_setup: Mapping[Setup, Speed], plan: Plan, epochs: int, rate: Rate) -> list[str]:
    """A line where the accelerator doesn't pay: the same run costs no more on the cheapest machine without one."""
    own = by_setup.get(measured.setup_of(plan))
    hourly = plan.price.amount
    plain = [
        (cost, speed)
        for setup, speed in by_setup.items()
        if not setup.accelerator and not _chips(setup)[0] and setup.workers == 1
        if (cost := _cost(setup, plan, speed, epochs)) is not None
    ]
    if own is None or hourly is None or not plain:
        return []
    cost, other = min(plain, key=lambda found: found[0])
    here = own.price(hourly, epochs)
    if here < cost:
        return []
    saved = other.seconds(epochs) - own.seconds(epochs)
    told = (
        _("saves {time}").format(time=amounts.duration(saved))
        if saved > 0
        else _("takes {time} longer").format(time=amounts.duration(-saved))
    )
    said = counted(
        "this GPU or TPU hasn't paid so far: {count} epoch costs about {here} and takes {time} with it, {cost} and "
        "{other} on {machine}, so it {told} (measured on {jobs})",
        "this GPU or TPU hasn't paid so far: {count} epochs cost about {here} and take {time} with it, {cost} and "
        "{other} on {machine}, so it {told} (measured on {jobs})",
        epochs,
        here=rate.beside(here),
        time=amounts.duration(own.seconds(epochs)),
        cost=rate.beside(cost),
        other=amounts.duration(other.seconds(epochs)),
        machine=other.setup.machine,
        told=told,
        jobs=", ".join((own.jobs[0], other.jobs[0])),
    )
    return [_estimated(said, own, other)]


def _cost(setup: Setup, plan: Plan, speed: Speed, epochs: int) -> Decimal | None:
    """What the run costs on a set-up without accelerators; on Spot where the plan is."""
    from cloudkite.money import prices

    if setup.place == RUN:
        hourly = run.hourly(run.shape(setup.machine), plan.region).amount if plan.region in run.regions() else None
    else:
        hourly = prices.job_hour(setup.machine, plan.region, replicas=setup.workers, spot=plan.spot).amount
    return None if hourly is None else speed.price(hourly, epochs)


def _against_one(by_setup: Mapping[Setup, Speed], plan: Plan, epochs: int) -> str:
    """How much faster and dearer several workers were than one of the same machines."""
    several, one = by_setup.get(measured.setup_of(plan)), by_setup.get(measured.setup_of(plan, 1))
    if several is None or one is None:
        lacking = [count for count, speed in ((1, one), (plan.workers, several)) if speed is None]
        return _("whether {workers} workers are faster than 1 was never measured with this trainer: no job with "
                 "{lacking} of {machine} has succeeded").format(
            workers=plan.workers, lacking=_(" or ").join(map(str, lacking)), machine=plan.machine.name
        )  # fmt: skip
    said = _("{workers} workers did an epoch {speed:.2g}x as fast as 1, and a run of {epochs} epochs cost {cost:.2g}x "
             "as much: measured on {jobs}")  # fmt: skip
    faster = one.epoch_seconds / several.epoch_seconds
    dearer = several.seconds(epochs) * plan.workers / one.seconds(epochs)
    jobs = ", ".join((several.jobs[0], one.jobs[0]))
    said = said.format(workers=plan.workers, speed=faster, epochs=epochs, cost=dearer, jobs=jobs)
    return _estimated(said, several, one)


def _estimated(said: str, *speeds: Speed) -> str:
    """The same, with what is to be known of it where a speed is of another number of rows."""
    if not any(speed.scaled for speed in speeds):
        return said
    return _("{said}; an estimate, as they had different numbers of rows").format(said=said)
