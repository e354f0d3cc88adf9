"""Several jobs by one command: of several trainers, or of one with several seeds. One check, one price, one consent."""

from __future__ import annotations

import dataclasses
import datetime
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cloudkite.accounts import registry
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.journey import alerts, training, watching
from cloudkite.journey.reach import check_set_up, connect
from cloudkite.journey.setup import acting_as
from cloudkite.show import amounts, screen
from cloudkite.show.errors import FAILED, INTERRUPTED, BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from cloudkite.jobs.job import Job
    from cloudkite.jobs.plans import Plan, Wishes
    from cloudkite.jobs.submit import InPlace, Submitted
    from cloudkite.money.gate import Verdict
    from cloudkite.trainers.folders import Trainer

_LOOK_BACK = datetime.timedelta(days=7)  # for jobs that computed the same


@dataclasses.dataclass
class Fate:
    """What becomes of one of the jobs: it was submitted, runs or ran already (`twin`), or was refused."""

    label: str
    plan: Plan
    twin: Job | None = None
    job: Submitted | None = None
    error: UserError | None = None


def train(
    workspace: Workspace,
    names: Sequence[str],
    account_name: str,
    wishes: Wishes,
    *,
    seeds: str = "",
    again: bool = False,
    yes: bool = False,
    follow: bool = True,
    as_json: bool = False,
    notify: bool = False,
) -> None:
    """Plan, judge, check, price, ask, submit one after the other, follow all.

    What computes the same as a job that runs or has succeeded is not started, unless `again` says so: a command that
    was killed between two submissions goes on with those that are missing. Raises UserError at the end where a job was
    not submitted or has failed.
    """
    from cloudkite.jobs import submit
    from cloudkite.jobs.places import regions
    from cloudkite.jobs.together import members
    from cloudkite.money import limits
    from cloudkite.trainers import arguments, folders

    wanted = members.seeds(seeds)
    trainers = [folders.find(workspace, name) for name in names]
    if arguments.asks_for_help(wishes.arguments):
        for trainer in trainers:
            training.show_help(workspace, trainer)
        return
    _refuse_twice(trainers)
    if wishes.earlier and len(trainers) > 1:
        raise BadValue(_("--continue is for one trainer at a time"), _("one trainer, with or without --seeds"))
    account = registry.load(workspace, account_name or None)
    check_set_up(workspace, account)
    target = None
    if limits.split_currency(wishes.max_cost)[1]:
        target = connect(workspace, account)
        wishes = dataclasses.replace(wishes, max_cost=training.in_dollars(target, wishes.max_cost))
    alone = dataclasses.replace(wishes, name="", limit="", max_cost="")
    if wishes.also:
        target = target or connect(workspace, account)
        planned = [regions.choose(target, trainer, alone) for trainer in trainers]
    else:
        planned = [submit.plan(account, trainer, alone) for trainer in trainers]
    plans = members.within(members.members(planned, wanted, wishes.name), wishes.limit, wishes.max_cost)
    _check_names(workspace, plans)
    target = target or connect(workspace, account)
    if wishes.earlier:
        plans = _continued(workspace, target, plans, wishes)
    fates = _start(workspace, target, plans, again=again, yes=yes, quiet=as_json)
    _end(workspace, target, fates, follow=follow, as_json=as_json, notify=notify)


def _refuse_twice(trainers: Sequence[Trainer]) -> None:
    names = [trainer.name for trainer in trainers]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise BadValue(
            _("the trainer {name} is named twice").format(name=twice),
            _("uv run invoke train {name} --seeds 2 trains it with two seeds").format(name=twice),
        )


def _check_names(workspace: Workspace, plans: Sequence[Plan]) -> None:
    from cloudkite.jobs import body
    from cloudkite.trainers import folders

    known = folders.names(workspace)
    for plan in plans:
        if plan.name:
            body.check_name(plan.name, known)


def _continued(workspace: Workspace, target: Target, plans: Sequence[Plan], wishes: Wishes) -> list[Plan]:
    from cloudkite.jobs import earlier
    from cloudkite.trainers import folders

    known = folders.names(workspace)
    found = earlier.find(target, plans[0].trainer, wishes.earlier, known, widen=wishes.widen)
    return [dataclasses.replace(plan, earlier=found) for plan in plans]


# --- from plans to jobs


def _start(
    workspace: Workspace, target: Target, plans: Sequence[Plan], *, again: bool, yes: bool, quiet: bool
) -> list[Fate]:
    """Everything up to the submission of the last; what a few requests can refuse comes before what takes minutes."""
    from cloudkite.jobs import choosing
    from cloudkite.jobs.together import members, verdict
    from cloudkite.money import gate

    say = screen.note if quiet else screen.say
    fates = _looked_up(workspace, target, plans, again)
    _tell_twins(fates, say)
    left = [fate for fate in fates if fate.twin is None]
    if not left:
        return fates
    for fate in left:
        if fate.plan.name:
            choosing.refuse_taken(target, fate.plan.name)
    judged = verdict.judge(target, [fate.plan for fate in left])
    if _check(workspace, target, left, quiet=quiet):  # took minutes: other jobs may have taken what was free
        judged = verdict.judge(target, [fate.plan for fate in left])
    account = left[0].plan.account
    say(acting_as(account, target))
    _show_price(left, judged, quiet=quiet)
    for line in dict.fromkeys(note for fate in left for note in fate.plan.notes):
        say(line)
    for line in judged.notes:
        say(line)
    for fate in left:
        fate.plan, foreseen = training.foresee(target, fate.plan, judged.rate)
        for line in foreseen:
            say(_("{label}: {said}").format(label=fate.label, said=line))
    total = members.total(fate.plan for fate in left)
    gate.consent(account, left[0].plan, yes=yes, ask=screen.confirm, rate=judged.rate, together=total, count=len(left))
    _submit(workspace, target, left, say)
    return fates


def _looked_up(workspace: Workspace, target: Target, plans: Sequence[Plan], again: bool) -> list[Fate]:
    """Each plan as it will run here, with the job that computes the same, if there is one."""
    from cloudkite.jobs import service, submit
    from cloudkite.jobs.body import CONTENT
    from cloudkite.jobs.together import members

    plans = [submit.on_this_machine(workspace, plan) for plan in plans]
    known: dict[str, list[Job]] = {}
    fates = []
    for plan in plans:
        trainer = plan.trainer.name
        if not again and trainer not in known:
            known[trainer] = list(service.search(target, trainer=trainer, since=target.now() - _LOOK_BACK))
        content = "" if again else submit.fingerprint(workspace, plan)
        twin = None if again else members.twin(content, known[trainer], CONTENT)
        fates.append(Fate(plan.name or plan.stem or trainer, plan, twin))
    return fates


def _tell_twins(fates: Sequence[Fate], say: Callable[[str], None]) -> None:
    for fate in fates:
        if fate.twin is None:
            continue
        said = _("{label}: job {name} computes the same and runs already") if fate.twin.active else _(
            "{label}: job {name} has computed the same already; --again computes it anew"
        )  # fmt: skip
        say(said.format(label=fate.label, name=fate.twin.name))


def _check(workspace: Workspace, target: Target, fates: Sequence[Fate], *, quiet: bool) -> bool:
    """Check each trainer once, and the arguments of each job; says whether a check ran. Raises UserError."""
    from cloudkite.check import steps
    from cloudkite.trainers import arguments

    say = screen.note if quiet else screen.say
    ran, seen = False, set()
    for fate in fates:
        plan, trainer = fate.plan, fate.plan.trainer
        given = (*plan.arguments, *(plan.earlier.options() if plan.earlier else ()))
        new = trainer.folder not in seen
        if new or plan.arguments[:-1] != given[:-1]:
            arguments.refuse_bad(trainer, training.environment(workspace, trainer), given)
        if not new:
            continue
        seen.add(trainer.folder)
        if steps.passed(workspace, trainer, plan.image):
            say(_("{name}: check passed before, nothing has changed since").format(name=trainer.name))
        elif training.run_check(workspace, trainer, image=plan.image, target=target, quiet=quiet).ok:
            ran = True
        else:
            raise training.check_failed(trainer)
    return ran


def _show_price(fates: Sequence[Fate], judged: Verdict, *, quiet: bool) -> None:
    """A line a job, and the sum; beside the result where that is JSON."""
    from cloudkite.jobs.together import members
    from cloudkite.money import currency

    rate = judged.rate or currency.DOLLAR
    plans = [fate.plan for fate in fates]
    said = _("{count} jobs in {region}, at most {total} together, each up to {limit} (price of {date})").format(
        count=len(plans),
        region=", ".join(dict.fromkeys(plan.region for plan in plans)),
        total=rate.beside(members.total(plans)),
        limit=amounts.duration(plans[0].limit_seconds),
        date="; ".join(filter(None, (min(plan.price.as_of for plan in plans), rate.told()))),
    )
    if quiet:
        screen.note(said)
        return
    rows = [
        (fate.label, fate.plan.describe(), rate.beside(fate.plan.price.amount, 4), rate.beside(fate.plan.worst_case))
        for fate in fates
    ]
    screen.table([_("job"), _("machine"), _("an hour"), _("at most")], rows, right=[2, 3])
    screen.say(said)


def _submit(workspace: Workspace, target: Target, fates: Sequence[Fate], say: Callable[[str], None]) -> None:
    """One after the other, each with a reservation; one that fails stops no other. Raises UserError for a Ctrl-C."""
    from cloudkite.jobs import submit
    from cloudkite.trainers import places

    staged: dict[Any, InPlace] = {}
    try:
        for fate in fates:
            plan, trainer = fate.plan, fate.plan.trainer
            try:
                if trainer.folder not in staged:
                    with screen.waiting(_("staging {name} ...").format(name=trainer.name)) as tell:
                        put = staged[trainer.folder] = submit.stage(workspace, target, plan, tell)
                    sent = amounts.size(put.sent_bytes)
                    say(_("staged   {uri} ({sent} sent)").format(uri=put.wheel, sent=sent))
                fate.job = submit.create(workspace, target, plan, staged[trainer.folder])
            except UserError as refused:
                fate.error = refused
                say(_("{label}: not submitted: {why}").format(label=fate.label, why=refused.message))
                continue
            places.remember(workspace, trainer, fate.job.name)
            say(_("job      {name} ({id})").format(name=fate.job.name, id=fate.job.id))
    except KeyboardInterrupt:
        done = sum(fate.job is not None for fate in fates)
        raise UserError(
            _("interrupted: {done} of {count} jobs were submitted and go on").format(done=done, count=len(fates)),
            _("the same command submits the others; uv run invoke jobs lists those that run"),
            INTERRUPTED,
        ) from None


# --- from jobs to their end


def _end(
    workspace: Workspace, target: Target, fates: Sequence[Fate], *, follow: bool, as_json: bool, notify: bool
) -> None:
    """Show or follow what was submitted. Raises UserError for what was not, or failed."""
    account = target.account
    refused = [fate for fate in fates if fate.error]
    ours: list[Job] = [fate.job for fate in fates if fate.job]
    running = [*ours, *(fate.twin for fate in fates if fate.twin and fate.twin.active)]
    if as_json:
        told = [{"label": f.label, "error": f.error.message, "hint": f.error.hint} for f in refused if f.error]
        screen.as_json({"jobs": ours, "already": [f.twin for f in fates if f.twin], "refused": told})
    elif running and follow:
        ended = watching.follow(target, running, progress=True, notify=alerts.check(notify))
        if ended is not None:
            watching.summary(ended)
            _next(workspace, account, fates, ended)
            watching.refuse_failed(ended, also=refused[0].error if refused else None)
    elif running:
        names = " ".join(shlex.quote(job.name) for job in running)
        line = f"uv run invoke wait {names}{registry.option(workspace, account)}"
        screen.say(_("next: {command}").format(command=line))
    if refused and (first := refused[0].error):
        said = counted(
            "{count} job was not submitted: {why}",
            "{count} jobs were not submitted; the first: {why}",
            len(refused),
            why=first.message,
        )
        raise UserError(said, first.hint, FAILED)


def _next(workspace: Workspace, account: Account, fates: Sequence[Fate], ended: Sequence[Job]) -> None:
    """Comparing them is what comes after, with those that had computed the same before."""
    known = {job.id: job for job in ended} | {fate.twin.id: fate.twin for fate in fates if fate.twin}
    done = [job.name for job in known.values() if job.state == "SUCCEEDED" or job.id in {j.id for j in ended}]
    if len(done) > 1:
        words = " ".join(map(shlex.quote, dict.fromkeys(done)))
        line = f"uv run invoke jobs --compare {words}{registry.option(workspace, account)}"
        screen.say(_("next: {command}").format(command=line))
