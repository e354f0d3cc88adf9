"""What is told of a free trial: its last days by each command, its end with the way on, what is left of its credit."""

from __future__ import annotations

import dataclasses
import datetime

from cloudkite.accounts import registry, settings
from cloudkite.accounts import trial as trials
from cloudkite.accounts.target import Target
from cloudkite.accounts.trial import Phase, Trial
from cloudkite.show import screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace

_BILLING = "https://console.cloud.google.com/billing"


def tell(target: Target) -> None:
    """One line for an account whose trial is about to end or has ended, by the clock of its cloud."""
    if line := said(target):
        screen.note(line)


def said(target: Target) -> str:
    """That line; "" while there is nothing to say."""
    found = trials.look(target)
    return words(target, found) if found is not None else ""


def words(target: Target, found: Trial) -> str:
    """How far a trial is, with the way on; "" while there is nothing to say."""
    name, pay = target.account.name, way_to_pay(target)
    if found.phase is Phase.LAST and not found.left:
        return _(
            "the free trial of account {name} ends today: then all stops. Upgrade: {pay}, or save data and models: "
            "uv run invoke account.end --account {name}"
        ).format(name=name, pay=pay)
    if found.phase is Phase.LAST:
        return counted(
            "{count} day of the free trial of account {name} is left, until {date}: then all stops. Upgrade: {pay}, or "
            "save data and models: uv run invoke account.end --account {name}",
            "{count} days of the free trial of account {name} are left, until {date}: then all stops. Upgrade: {pay}, "
            "or save data and models: uv run invoke account.end --account {name}",
            found.left,
            name=name,
            date=found.ends,
            pay=pay,
        )
    if found.phase is Phase.CLOSED:
        return _("{closed}: nothing runs, and what it holds can't be read. {until}: {pay}").format(
            closed=_closed(name, found), until=_until(found), pay=pay
        )
    if found.phase is Phase.DELETED:
        return _(
            "{closed}, and its 30 days of grace on {date}: Google deletes what it held, and nothing can be saved any "
            "more. uv run invoke account.add describes another account"
        ).format(closed=_closed(name, found), date=found.deletes)
    if found.phase is Phase.UPGRADED:
        return _(
            "account {name} is described as a free trial, whose 90 days are over, and its billing account is open: "
            "it was upgraded. Set cloudkite:tier to paid in {path}"
        ).format(name=name, path=target.account.settings)
    return ""


def short(found: Trial | None) -> str:
    """A trial in a few words, for a list; "" where nothing is known of its days."""
    if found is None or (found.started is None and found.open is None):
        return ""
    if found.phase in (Phase.CLOSED, Phase.DELETED):
        return _("trial, closed")
    return counted("trial, {count} day left", "trial, {count} days left", found.left)


def way_to_pay(target: Target) -> str:
    """What upgrades the account."""
    return target.unpaid or _BILLING


def _closed(name: str, found: Trial) -> str:
    if found.early:
        said = _("the free trial of account {name} was seen closed on {date} (is its credit used up?)")
    else:
        said = _("the free trial of account {name} ended on {date}")
    return said.format(name=name, date=found.closing)


def _until(found: Trial) -> str:
    days = (found.deletes - found.today).days
    return counted(
        "Upgrade within {count} day, or Google deletes it from {date} on",
        "Upgrade within {count} days, or Google deletes it from {date} on",
        days,
        date=found.deletes,
    )


def settle_start(workspace: Workspace, target: Target, given: str = "", *, may_ask: bool = False) -> Target:
    """The target of an account whose settings say when its trial began, as far as anybody knows that yet.

    `given` is the day as typed with an option, "" for none. Raises BadValue.
    """
    account, today = target.account, target.now().date()
    if account.tier != "trial":
        if given:
            raise BadValue(
                _("--trial-started is for accounts on a free trial, and {name} is described as paid").format(
                    name=account.name
                ),
                _("leave --trial-started out"),
            )
        return target
    if not given and account.trial_started:
        return target
    day = trials.parse_day(given, today) if given else _found_start(target, today, may_ask=may_ask)
    if day is None:
        return target
    settings.put(account.settings, "cloudkite:trialStarted", day.isoformat())
    return dataclasses.replace(target, account=registry.load(workspace, account.name))


def tell_unknown_start(target: Target) -> None:
    """That nobody said when the trial began, with the option that says it."""
    account = target.account
    if account.tier == "trial" and account.trial_started is None:
        screen.note(
            _(
                "it isn't known when the free trial of account {name} began, so its end isn't announced: "
                "uv run invoke up --account {name} --trial-started {day}"
            ).format(name=account.name, day=trials.made_on(target) or "YYYY-MM-DD")
        )


def _found_start(target: Target, today: datetime.date, *, may_ask: bool) -> datetime.date | None:
    """The day on which the trial began: asked, or on a cloud that makes projects with their trials, theirs."""
    account, made = target.account, trials.made_on(target)
    if not account.costs_money:
        if made:
            said = _("the free trial of account {name} began on {day}, with its project")
            screen.note(said.format(name=account.name, day=made))
        return made
    if not (may_ask and screen.can_ask()):
        return None
    while True:
        question = _("on which day did the free trial begin? Billing > Credits shows its end, 90 days later")
        try:
            return trials.parse_day(screen.ask(question, str(made or "")), today)
        except BadValue as mistake:
            screen.error(mistake)


def tell_credit(target: Target) -> None:
    """What is left of a running trial's credit, as far as our own jobs tell: an estimate, and called so."""
    from cloudkite.money import costs, currency

    account = target.account
    if account.tier != "trial" or account.trial_started is None or not account.outputs_file.is_file():
        return
    try:
        spending = costs.spent(target, trial=True)
    except UserError:  # of what is refused, the command itself tells
        return
    used = sum((row.amount for row in spending.rows if row.amount is not None), start=trials.CREDIT * 0)
    rate = currency.of_account(target)[0] or currency.DOLLAR
    said = _(
        "credit of the trial: about {left} of {all} left (an estimate: jobs that Cloudkite started, without storage, "
        "network and tax; no billing export is read)"
    )
    left = max(trials.CREDIT - used, trials.CREDIT * 0)
    screen.say(said.format(left=rate.beside(left), all=f"{trials.CREDIT:,} {currency.PRICES}"), style="dim")
