"""A budget that is used up, rehearsed: a GPU forgotten for a weekend, hour by hour by a local cloud's clock.

Everything is the real thing on a throw-away account: the engine sets it up, the budget's messages come by charges
alone, and the function acts. Of an account on Google it says what its stops would do today, by reading only.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from cloudkite import workspace
from cloudkite.accounts import local, registry, settings
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.journey import setup
from cloudkite.journey.reach import connect
from cloudkite.show import amounts, screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import CLONE, Workspace, throw_away, write_atomically

PLACES = CLONE / ".cloudkite" / "rehearsals"
_MACHINE, _GPU, _REGION = "n1-standard-4", "NVIDIA_TESLA_T4", "us-central1"
_IMAGE = "cloudkite/forgotten:1"
_HOURS = 62  # from Friday 18:00 to Monday 08:00
_USUAL = 10.0  # USD, of accounts without a budget


@dataclass(frozen=True)
class Event:
    """What happened: so many hours after the job began, with what was spent by then."""

    hours: float
    spent: Decimal
    what: str


def rehearse(workspace_: Workspace, name: str = "", *, as_json: bool = False) -> None:
    """Tell what happens, when, and what it would have cost without a stop. Raises UserError."""
    account = registry.load(workspace_, name or None)
    wanted = settings.check(settings.read(account.settings), account.name)
    if account.costs_money:
        _tell_today(account, connect(workspace_, account), wanted, as_json)
        return
    sweep()
    workspace.private_folder(PLACES)
    space = throw_away(Path(tempfile.mkdtemp(dir=PLACES, prefix=f"{os.getpid()}-")))
    try:
        _weekend(space, wanted, as_json)
    finally:
        _close(space)  # the job, the function and all that was made end with it


# Of an account on Google


def _tell_today(account: Account, target: Target, wanted: Any, as_json: bool) -> None:
    from cloudkite.money.stops import stages

    screen.note(setup.acting_as(account, target))
    if wanted.budget is None or wanted.stops is None:
        raise UserError(
            _("account {name} has no stops").format(name=account.name),
            _("set cloudkite:budget and cloudkite:stops in {path}; see docs/stops.md").format(path=account.settings),
        )
    with screen.waiting(_("looking at what is there ...")):
        today = stages.look(target, wanted)
    if as_json:
        screen.as_json({"stops": wanted.stops.model_dump(), "today": today})
        return
    screen.say(_("a dry run: nothing is changed; if the budget of {amount} were used up today:").format(
        amount=amounts.money(wanted.budget.amount, wanted.budget.currency or "")))  # fmt: skip
    rows = [
        (_("50 %, 80 %"), _("told by e-mail and in the function's log; nothing is stopped")),
        ("90 %", _what_ends(wanted, today.ours)),
        ("100 %", _what_unlinks(wanted, today)),
    ]
    if (cap := wanted.stops.capped(wanted.budget)) is not None:
        said = _("at {amount} of Vertex AI's own costs new jobs are refused; what runs goes on")
        rows.append((_("spend cap"), said.format(amount=amounts.money(cap, wanted.budget.currency or ""))))
    screen.table([_("at"), _("what happens")], rows)
    for one in today.others:
        screen.note(_("left, since it isn't ours: {what}").format(what=one))


def _what_ends(wanted: Any, ours: Any) -> str:
    if not (wanted.stops and wanted.stops.jobs):
        return _("nothing: cloudkite:stops.jobs is not on")
    return _("stopped: {what}").format(what=", ".join(ours)) if ours else _("nothing of ours runs")


def _what_unlinks(wanted: Any, today: Any) -> str:
    if not (wanted.stops and wanted.stops.billing):
        return _("nothing: cloudkite:stops.billing is not on")
    if today.unseen:
        return _("billing stays linked: what the project holds can't be told: {why}").format(why=today.unseen)
    if today.foreign:
        return _("billing stays linked, since not all is ours: {what}").format(what=", ".join(today.foreign[:5]))
    return _("billing is unlinked: everything in the project stops, and what is stored may be lost")


# On this machine


def _weekend(space: Workspace, wanted: Any, as_json: bool) -> None:
    from cloudkite.money import prices

    say: Callable[..., None] = screen.note if as_json else screen.say
    account, target = _set_up(space, wanted)
    hourly = prices.job_hour(_MACHINE, _REGION, _GPU, 1)
    assert hourly.amount is not None
    begins = _friday(_clock(space))
    _forward(space, begins - _clock(space))
    budget = f"{account.budget:.2f} {account.currency}"
    said = _(
        "Friday 18:00: a job on {machine} with a T4 is started, {price} an hour, and forgotten; the budget is {budget}"
    )
    say(said.format(machine=_MACHINE, price=amounts.money(hourly.amount, hourly.currency), budget=budget))
    job = _start(target)
    ended = 0.0
    with screen.waiting(_("the weekend passes ...")) as tell:
        for hour in range(1, _HOURS + 1):
            _forward(space, datetime.timedelta(hours=1))
            tell(_("hour {hour} of {hours}").format(hour=hour, hours=_HOURS))
            if (end := _ended(target, job)) is not None:
                ended = (end - begins).total_seconds() / 3600
                break
        events = _heard(target, begins, hourly.amount)
    without = hourly.amount * _HOURS
    spent = hourly.amount * Decimal(ended or _HOURS)
    if as_json:
        facts = {"events": events, "stopped_after_hours": round(ended, 2) or None}
        screen.as_json({**facts, "spent": round(spent, 2), "without_stop": round(without, 2), "hourly": hourly.amount})
    else:
        rows = [(_when(one.hours), amounts.money(one.spent, "USD"), one.what) for one in events]
        screen.table([_("when"), _("spent"), _("what happened")], rows, right=[1])
        _conclude(ended, spent, without, hourly.as_of)


def _conclude(ended: float, spent: Decimal, without: Decimal, as_of: str) -> None:
    until = _("without a stop until Monday 08:00: {cost} (prices of {date}, before tax)")
    money = amounts.money(without, "USD")
    if ended:
        said = _("stopped after {time}, at {spent}").format(
            time=amounts.duration(ended * 3600), spent=amounts.money(spent, "USD")
        )
        screen.say(f"{said}; {until.format(cost=money, date=as_of)}", style="bold")
    else:
        screen.say(_("nothing stopped it; {until}").format(until=until.format(cost=money, date=as_of)), style="bold")
    screen.say(_("on Google a budget hears of costs hours late, up to a day: see docs/stops.md for what stops sooner"))


def _set_up(space: Workspace, wanted: Any) -> tuple[Account, Target]:
    """The throw-away account, with the stops that the person's own has, or with jobs on where it has none."""
    amount = float(wanted.budget.amount) if wanted.budget else _USUAL
    if wanted.budget and wanted.budget.currency not in (None, "USD"):
        amount = _USUAL  # prices here are in dollars
    described = settings.describe(
        "cloudkite-weekend", target="local", tier="paid", billing_account="012345-ABCDEF-012345", budget=amount
    )
    described["cloudkite:stops"] = {"jobs": True, "billing": bool(wanted.stops and wanted.stops.billing)}
    workspace.private_folder(space.localcloud)
    write_atomically(space.localcloud / "images.json", json.dumps({_IMAGE: {}}), 0o600)
    account = registry.add(space, "weekend", described)
    target = connect(space, account, new=True)
    setup.set_up(space, account, target, yes=True, quiet=True)
    return registry.load(space, "weekend"), target


def _start(target: Target) -> str:
    """The job that is forgotten: it waits until somebody ends it."""
    from cloudkite.accounts.api import call

    wait = "import time\nwhile True: time.sleep(60)"
    pool = {
        "machineSpec": {"machineType": _MACHINE, "acceleratorType": _GPU, "acceleratorCount": 1},
        "replicaCount": 1,
        "containerSpec": {"imageUri": _IMAGE, "command": ["python", "-c", wait]},
    }
    body = {
        "displayName": "forgotten",
        "labels": {"managed-by": "cloudkite"},
        "jobSpec": {
            "workerPoolSpecs": [pool],
            "serviceAccount": target.account.outputs().trainer,
            "scheduling": {"timeout": "604800s"},
        },
    }
    place = f"projects/{target.account.project}/locations/{_REGION}"
    name = call(target, "POST", f"{_url(place)}/customJobs", _("start the job"), body=body)["name"]
    while call(target, "GET", _url(name), _("look up the job"))["state"] != "JOB_STATE_RUNNING":
        time.sleep(0.1)
    return name


def _ended(target: Target, job: str) -> datetime.datetime | None:
    """When the job ended, by the cloud's clock; None while it runs. One that is being ended is waited for."""
    from cloudkite.accounts.api import call

    while True:
        found = call(target, "GET", _url(job), _("look up the job"))
        if "endTime" in found:
            return datetime.datetime.fromisoformat(found["endTime"])
        if found["state"] == "JOB_STATE_RUNNING":
            return None
        time.sleep(0.1)


def _url(name: str) -> str:
    return f"https://{_REGION}-aiplatform.googleapis.com/v1/{name}"


def _heard(target: Target, begins: datetime.datetime, hourly: Decimal) -> list[Event]:
    """What the function said, in its order."""
    from cloudkite.accounts.api import call

    wanted = {
        "resourceNames": [f"projects/{target.account.project}"],
        "filter": 'resource.type="cloud_run_revision" AND jsonPayload.message:* AND severity>=NOTICE',
        "orderBy": "timestamp asc",
        "pageSize": 200,
    }
    url = "https://logging.googleapis.com/v2/entries:list"
    found = call(target, "POST", url, _("read the function's log"), body=wanted, again=True).get("entries", [])
    rows = []
    for one in found:
        at = (datetime.datetime.fromisoformat(one["timestamp"]) - begins).total_seconds() / 3600
        rows.append(Event(at, max(hourly * Decimal(at), Decimal(0)), str(one["jsonPayload"]["message"])))
    return rows


def _when(hours: float) -> str:
    """Day and time so many hours after Friday 18:00."""
    minutes = round(hours * 60) + 18 * 60
    days = (_("Friday"), _("Saturday"), _("Sunday"), _("Monday"))
    return f"{days[min(minutes // 1440, 3)]} {minutes % 1440 // 60:02d}:{minutes % 60:02d}"


def _clock(space: Workspace) -> datetime.datetime:
    return datetime.datetime.fromisoformat(json.loads(local.run(space, "clock", "--json"))["now"])


def _friday(now: datetime.datetime) -> datetime.datetime:
    """The next Friday, 18:00, whose Monday is in the same month: budgets begin anew with each."""
    day = now.replace(hour=18, minute=0, second=0, microsecond=0) + datetime.timedelta(days=(4 - now.weekday()) % 7)
    while day < now or (day + datetime.timedelta(days=4)).month != day.month:
        day += datetime.timedelta(days=7)
    return day


def _forward(space: Workspace, by: datetime.timedelta) -> None:
    local.run(space, "clock", "--forward", f"{max(round(by.total_seconds()), 1)}s")


def sweep() -> None:
    """Remove what a rehearsal left behind that was killed: its local cloud first, then its files."""
    import psutil

    for folder in PLACES.glob("*-*") if PLACES.is_dir() else ():
        owner = folder.name.partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            _close(throw_away(folder))


def _close(space: Workspace) -> None:
    """Stop the local cloud whatever state it is in; delete the files."""
    if (space.localcloud / "server.json").is_file():
        with contextlib.suppress(UserError):
            local.run(space, "stop")
    shutil.rmtree(space.state, ignore_errors=True)
