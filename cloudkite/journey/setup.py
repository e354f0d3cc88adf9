"""Accounts: set up, and listed."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from cloudkite.accounts import registry, settings
from cloudkite.accounts import trial as trials
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target, time_at
from cloudkite.journey import outlook, rates, trial
from cloudkite.journey.reach import connect, refuse_shared
from cloudkite.show import amounts, screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace

_NEEDED = "resourcemanager.projects.setIamPolicy"  # by every account, and had by no role of those who only use it

if TYPE_CHECKING:
    from cloudkite.engine import Change, Outcome, Preview, Step
    from cloudkite.money.currency import Rate
    from cloudkite.money.prices import MonthlyRow
    from cloudkite.money.stops import cap


def up(
    workspace: Workspace,
    name: str = "",
    *,
    yes: bool = False,
    as_json: bool = False,
    look: bool = False,
    trial_started: str = "",
    onward: bool = True,
) -> None:
    """Preview, price, consent, then make what is missing; with `look` show what that is, and end.

    Who leads on from here themselves (not `onward`) doesn't have the next command shown.
    """
    account = registry.load(workspace, name or None)
    refuse_shared(workspace, account)
    target = connect(workspace, account, new=True)
    if not look or trial_started:
        target = trial.settle_start(workspace, target, trial_started, may_ask=not (yes or as_json))
    account = target.account
    set_up(workspace, account, target, yes=yes, quiet=as_json, look=look)
    if not look:
        target = trial.settle_start(workspace, target)  # in a new project that can be read only now
        trial.tell_unknown_start(target)
    if not as_json and not look:
        trial.tell_credit(target)
    if as_json and not look:
        screen.as_json(registry.load(workspace, account.name).outputs())
    elif onward:
        screen.say(_("next: {command}").format(command=_after_up(workspace, account)))


def _after_up(workspace: Workspace, account: Account) -> str:
    """Training what there is, or making it first."""
    from cloudkite.trainers import folders

    known = folders.names(workspace)
    if not known:
        return "uv run invoke new NAME"
    trainer = shlex.quote(known[0]) if len(known) == 1 else "NAME"
    return f"uv run invoke train {trainer}{registry.option(workspace, account)}"


def set_up(
    workspace: Workspace,
    account: Account,
    target: Target,
    *,
    yes: bool,
    quiet: bool = False,
    brief: bool = False,
    look: bool = False,
) -> None:
    """The body of `up`, for an account and its target. `brief` tells the result alone, `quiet` nothing.

    With `look` it ends with what would change, in JSON where it is `quiet`; for that nobody needs the right to more.
    """
    from cloudkite.money import prices

    say = (lambda *_a, **_k: None) if quiet else screen.say
    say(acting_as(account, target))
    if not look:
        check_rights(account, target)
    with screen.waiting(_("looking at what is there ...")) as tell:
        report = None if look else outlook.check(account, target)
        preview, step = look_ahead(account, target, tell)
    for warning in preview.warnings:
        screen.warn(warning)
    if look and quiet:
        screen.as_json(preview.changes)
        return
    if not preview.changes:
        say(
            counted(
                "nothing to change: {count} resource is as it should be",
                "nothing to change: {count} resources are as they should be",
                preview.same,
            )
        )
        return
    if not quiet:
        outlook.tell_drift(preview)
    if not quiet and not brief:
        show_changes(preview.changes)
        show_monthly(prices.monthly(preview.resources, account.region), account, rates.shown(target))
        if account.shared:
            kept = _("what is made is written down in gs://{project}-state, for all members: below 0.01 USD a month")
            say(kept.format(project=account.project))
    if report is None:
        say(_("a preview: nothing was changed"))
        return
    if not yes and account.costs_money and not screen.confirm(_("set account {name} up?").format(name=account.name)):
        raise UserError(_("nothing was changed"))
    with screen.waiting(_("setting up ..."), live=brief) as tell:
        outlook.check_the_rest(account, target, report, tell)
        outcome = make(workspace, account, target, preview, step, tell)
    for warning in outcome.warnings:
        screen.warn(warning)
    say(
        counted(
            "{count} change in {time}: account {name} is set up",
            "{count} changes in {time}: account {name} is set up",
            sum(outcome.changes.values()),
            time=amounts.duration(outcome.seconds),
            name=account.name,
        )
    )
    if not quiet:
        _show_outputs(registry.load(workspace, account.name), brief)


def look_ahead(account: Account, target: Target, tell: Callable[[str], None]) -> tuple[Preview, cap.Step | None]:
    """What would be done, and of that the step for the spend cap, of which the engine knows nothing."""
    from cloudkite import engine
    from cloudkite.money.stops import cap

    preview = engine.preview(account, target, progress=tell)
    step = cap.plan(target, settings.check(settings.read(account.settings), account.name))
    return replace(preview, changes=(*preview.changes, *cap_changes(step))), step


def make(
    workspace: Workspace,
    account: Account,
    target: Target,
    preview: Preview,
    step: cap.Step | None,
    tell: Callable[[str], None],
) -> Outcome:
    """Do what was looked ahead to. Raises UserError."""
    from cloudkite import engine
    from cloudkite.money.stops import cap

    outcome = engine.up(account, target, on_step=steps(tell, len(preview.changes)), progress=tell)
    if step:
        cap.carry_out(target, step, registry.load(workspace, account.name).outputs().project_number)
        done = outcome.changes.get(step.op, 0) + 1
        return replace(outcome, changes={**outcome.changes, step.op: done})
    return outcome


def cap_changes(step: cap.Step | None) -> list[Change]:
    """What is done about the spend cap, as a change like the engine's."""
    from cloudkite.engine import Change

    if step is None:
        return []
    amount = "" if step.amount is None else f" {step.amount} {step.currency or ''}".rstrip()
    return [Change(step.op, "SpendCap", f"{step.title}{amount}", "")]


def acting_as(account: Account, target: Target) -> str:
    """Which account, project and identity a command acts as; shown before anything is made or spent."""
    return _("account {name} ({where}), project {project}, as {who}").format(
        name=account.name, where=account.target, project=account.project, who=target.identity
    )


def check_rights(account: Account, target: Target) -> None:
    """Raise UserError unless who is signed in may set the account up: half of it must not be made, or taken down.

    Where that can't be asked (the API is off in a new project) the engine finds out. A class's shared project is the
    teacher's: a learner's settings don't name the others, who would lose their permissions.
    """
    if account.learner and account.learner.shares:
        raise UserError(
            _("account {name} is the one that class {of} shares: its teacher sets it up and takes it down").format(
                name=account.name, of=account.learner.of
            ),
            _("uv run invoke train NAME --account {name}").format(name=account.name),
        )
    from cloudkite.accounts import api

    url = f"https://cloudresourcemanager.googleapis.com/v3/projects/{account.project}:testIamPermissions"
    doing = _("look up the permissions")
    answer = api.send(target, "POST", url, doing, again=True, json={"permissions": [_NEEDED]})
    if answer.ok and _NEEDED not in api.table(answer, doing).get("permissions", ()):
        who = target.identity
        raise UserError(
            _(
                "{who} may not set up or take down account {name}: "
                "the permission '{needed}' on project {project} is denied"
            ).format(who=who, name=account.name, needed=_NEEDED, project=account.project),
            _("an owner of project {project} must do it, or grant {who} roles/owner").format(
                project=account.project, who=who
            ),
        )


def steps(tell: Callable[[str], None], total: int = 0) -> Callable[[Step], None]:
    """What tells each step of the engine: how many are done, of `total` where that is known."""
    done, live = 0, screen.console(error=True).is_terminal  # a pipe gets one line for each resource, when it is done

    def on_step(step: Step) -> None:
        nonlocal done
        if step.phase == "done":
            done += 1
        elif not live:
            return
        of = f"/{total}" if total else ""
        tell(f"{done}{of}  {step.op} {step.kind} {step.name}")

    return on_step


def show_changes(changes: Sequence[Change]) -> None:
    """A table of what an engine would do, by kind."""
    grouped: dict[tuple[str, str], list[str]] = defaultdict(list)
    for change in changes:
        grouped[change.op, change.kind].append(change.name)
    rows = []
    for (op, kind), names in grouped.items():
        shown = ", ".join(names[:4]) + (f", +{len(names) - 4}" if len(names) > 4 else "")
        rows.append((op, kind, len(names), shown))
    screen.heading(_("changes"))
    screen.table([_("change"), _("kind"), _("count"), _("names")], rows, right=[2])


def show_monthly(rows: list[MonthlyRow], account: Account, rate: Rate) -> None:
    """A table of what resources cost in a month, in the account's currency too, with the date of the prices."""
    screen.heading(
        _("price per month") if account.costs_money else _("price per month on Google; here it costs nothing")
    )
    shown = [(row.name, row.note, rate.beside(row.amount)) for row in rows]
    known = [row.amount for row in rows if row.amount is not None]
    total = (_("in all"), "", rate.beside(sum(known, Decimal(0)))) if known else None
    screen.table([_("what"), _("how it is counted"), _("USD per month")], shown, right=[2], total=total)
    dates = sorted({row.as_of for row in rows if row.as_of})
    if dates:
        screen.say(_("prices of {date}, before tax").format(date=dates[0]), style="dim")
    rates.say(rate)


def _show_outputs(account: Account, brief: bool) -> None:
    made = account.outputs()
    if brief:
        screen.say(_("buckets: {names}").format(names=", ".join(made.buckets.values())))
        screen.say(_("jobs run as {who}").format(who=made.trainer))
        return
    screen.table(
        [_("what"), _("name")],
        [
            *((_("bucket for {purpose}").format(purpose=k), v) for k, v in made.buckets.items()),
            (_("jobs run as"), made.trainer),
            (_("region"), made.region),
        ],
    )


def list_accounts(workspace: Workspace, *, as_json: bool = False) -> None:
    """Each account, which is in use, and whether it is set up."""
    accounts, broken = registry.load_all(workspace)
    current = registry.chosen(workspace) if accounts or broken else ""
    by_days = {one.name: trials.by_days(one, time_at(workspace, one).date()) for one in accounts}
    rows = []
    for account in accounts:
        ready = account.outputs_file.is_file()
        rows.append({
            "name": account.name,
            "in_use": account.name == current,
            "target": account.target,
            "project": account.project,
            "region": account.region,
            "tier": account.tier,
            "budget": account.budget,
            "currency": account.currency,
            "set_up": ready,
            "trial_started": account.trial_started,
            "trial_days_left": found.left if (found := by_days[account.name]) and account.trial_started else None,
        })  # fmt: skip
    if as_json:
        nothing = dict.fromkeys(
            ("target", "project", "region", "tier", "budget", "currency", "set_up", "trial_started", "trial_days_left")
        )
        screen.as_json(rows + [
            {"name": name, "in_use": name == current, **nothing, "broken": said.message}
            for name, said in broken.items()
        ])  # fmt: skip
        return
    screen.table(
        ["", _("account"), _("where"), _("project"), _("region"), _("tier"), _("budget"), _("set up")],
        [
            (
                "*" if r["in_use"] else "",
                r["name"],
                r["target"],
                r["project"],
                r["region"],
                trial.short(by_days[r["name"]]) or r["tier"],
                amounts.money(r["budget"], r["currency"]) if r["budget"] is not None else _("none"),
                _("yes") if r["set_up"] else _("no"),
            )
            for r in rows
        ]
        + [("*" if name == current else "", name, _("broken"), *[""] * 5) for name in broken],
    )
    for name, said in broken.items():
        screen.warn(f"{name}: {said.message}" + (f" ({said.hint})" if said.hint else ""))
    if current and current not in registry.names(workspace):
        screen.warn(_("account {name}, which is in use, doesn't exist").format(name=current))
