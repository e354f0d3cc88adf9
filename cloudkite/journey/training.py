"""Trainers and jobs: check, price, submit, follow, fetch, predict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cloudkite import accounts, show
from cloudkite.accounts import Account
from cloudkite.errors import FAILED, UserError
from cloudkite.journey.setup import acting_as
from cloudkite.target import Target, connect
from cloudkite.text import _
from cloudkite.workspace import Workspace, private_folder

if TYPE_CHECKING:
    from cloudkite.check.steps import CheckReport
    from cloudkite.jobs import Job
    from cloudkite.logs import Event
    from cloudkite.plans import Plan, Wishes
    from cloudkite.submit import Submitted
    from cloudkite.trainer import Trainer


# --- check


def check(workspace: Workspace, name: str, account_name: str = "", *, as_json: bool = False) -> None:
    """Check a trainer and show the report; a failed check is exit code 1."""
    from cloudkite import trainer as trainers

    trainer = trainers.find(workspace, name)
    target = None
    if trainer.declared.data.startswith("gs://"):  # only then is a cloud needed
        target = connect(workspace, accounts.load(workspace, account_name or None))
    report = run_check(workspace, trainer, target=target, quiet=as_json)
    if as_json:
        show.as_json(report)
    if not report.ok:
        raise _check_failed(trainer)


def run_check(
    workspace: Workspace, trainer: Trainer, *, image: str = "", target: Target | None = None, quiet: bool = False
) -> CheckReport:
    """Run all steps, for the training image `image` or the usual one, and show them."""
    from cloudkite.check import steps as checking

    images = {"training": image} if image else {}
    with show.waiting(_("checking {name} ...").format(name=trainer.name)) as tell:
        report = checking.check(workspace, trainer, target=target, progress=tell, **images)
    if not quiet:
        show_report(report)
    return report


def _check_failed(trainer: Trainer) -> UserError:
    return UserError(
        _("the check of {name} failed").format(name=trainer.name), _("mend what is listed above; nothing was spent")
    )


def show_report(report: CheckReport) -> None:
    """One line per step, its findings below it."""
    for step in report.steps:
        time = show.duration(step.seconds) if step.seconds >= 1 else ""
        show.say(f"{step.verdict:<8} {step.name}  {step.summary}  {time}".rstrip())
        for line in step.messages:
            show.say(f"         {line}")


# --- train


def train(
    workspace: Workspace,
    name: str,
    account_name: str,
    wishes: Wishes,
    *,
    yes: bool = False,
    follow: bool = True,
    as_json: bool = False,
) -> None:
    """Check if needed, price, gate, ask, submit, follow. Who asks for the trainer's help gets that alone, here."""
    from cloudkite import arguments
    from cloudkite import trainer as trainers

    if arguments.asks_for_help(wishes.arguments):
        _show_help(workspace, trainers.find(workspace, name))
        return
    account = accounts.load(workspace, account_name or None)
    trainer = trainers.find(workspace, name)
    account.outputs()  # an account that is not set up is told before anything takes time
    plan = prepare(workspace, account, trainer, wishes)
    target = connect(workspace, account)
    job = start(workspace, target, plan, yes=yes, quiet=as_json)
    if as_json:
        show.as_json(job)
    elif follow:
        finish(target, job)


def _show_help(workspace: Workspace, trainer: Trainer) -> None:
    """The trainer's own help, from its own environment."""
    from cloudkite import arguments

    python = _environment(workspace, trainer)
    show.say(arguments.help_of(trainer, python, private_folder(workspace.state / "help") / f"{trainer.name}.log"))


def _environment(workspace: Workspace, trainer: Trainer) -> Path:
    """The interpreter of the trainer's environment; says so while it is built."""
    from cloudkite import trainer as trainers

    with show.waiting(_("preparing the trainer's environment ...")) as tell:
        return trainers.environment(trainer, workspace, tell)


def prepare(workspace: Workspace, account: Account, trainer: Trainer, wishes: Wishes) -> Plan:
    """What was asked for, checked against the catalogue and the trainer's own parser; nothing is contacted."""
    from cloudkite import arguments, submit

    plan = submit.plan(account, trainer, wishes)
    arguments.refuse_bad(trainer, _environment(workspace, trainer), plan.arguments)
    return plan


def start(workspace: Workspace, target: Target, plan: Plan, *, yes: bool, quiet: bool = False) -> Submitted:
    """Everything from a plan to a job that is queued: check, price, gate, consent, submission."""
    from cloudkite import gate, submit
    from cloudkite.check import steps as checking

    say = show.note if quiet else show.say
    trainer = plan.trainer
    if checking.passed(workspace, trainer, plan.image):
        say(_("check passed before, nothing has changed since"))
    elif not run_check(workspace, trainer, image=plan.image, target=target, quiet=quiet).ok:
        raise _check_failed(trainer)
    say(acting_as(plan.account, target))
    _show_price(plan, say)
    for line in gate.judge(target, plan).notes:
        say(line)
    gate.consent(plan.account, plan, yes=yes, ask=show.confirm)
    with show.waiting(_("staging ...")) as tell:
        job = submit.submit(workspace, target, plan, progress=tell)
    say(_("job      {name} ({id})").format(name=job.name, id=job.id))
    say(_("staged   {uri} ({sent} sent)").format(uri=job.staged, sent=show.size(job.sent_bytes)))
    say(_("runs     python -m trainer.task {arguments}").format(arguments=" ".join(job.arguments)))
    return job


def _show_price(plan: Plan, say: Callable[[str], None]) -> None:
    price = plan.price
    say(
        _("{machine} in {region}: {hourly} an hour, at most {worst} in {limit} (price of {date})").format(
            machine=plan.describe(),
            region=plan.region,
            hourly=show.money(price.amount, price.currency, 4),
            worst=show.money(plan.worst_case, price.currency),
            limit=show.duration(plan.limit_seconds),
            date=price.as_of,
        )
    )


def finish(target: Target, job: Job, brief: bool = False) -> Job:
    """Follow a job to its end; Ctrl-C leaves it running. A job that failed is exit code 1.

    `brief` shows five of its epochs and no line of the service's own.
    """
    from cloudkite import jobs, logs

    show.note(_("Ctrl-C stops following; the job goes on"))
    try:
        with show.waiting(_("waiting for a machine ..."), live=True) as tell:
            for event in logs.follow(target, job):
                if event.text and not (brief and _skipped(event)):
                    show.say(event.text)
                if event.status:
                    tell(event.status)
    except KeyboardInterrupt:
        show.say()
        show.say(_("the job goes on; uv run invoke logs --follow, uv run invoke cancel"))
        return job
    ended = jobs.get(target, job.id)
    show.say(describe_end(ended))
    if ended.state != "SUCCEEDED":
        raise UserError(
            ended.error or _("job {name} ended as {state}").format(name=ended.name, state=ended.state),
            _("uv run invoke logs --job {id}").format(id=ended.id),
            FAILED,
        )
    return ended


def _skipped(event: Event) -> bool:
    """Lines that a brief account leaves out."""
    epoch, epochs = event.fields.get("epoch"), event.fields.get("epochs")
    if epoch and epochs:
        return epoch != 1 and epoch % -(-epochs // 4) != 0
    return event.task == "service"


def describe_end(job: Job) -> str:
    """One line: how the job ended, how long it ran, what it cost."""
    return _("{state} after {time}, {cost}").format(
        state=job.state, time=show.duration(job.seconds), cost=show.money(job.cost, job.currency, 4)
    )
