"""Trainers and jobs: check, price, submit, follow, fetch, predict."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cloudkite.accounts import registry
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.journey import alerts
from cloudkite.journey.reach import check_set_up, connect, look_at_machine
from cloudkite.journey.setup import acting_as
from cloudkite.show import amounts, screen
from cloudkite.show.errors import FAILED, BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace, private_folder

if TYPE_CHECKING:
    from cloudkite.check.steps import CheckReport
    from cloudkite.jobs.logs import Event
    from cloudkite.jobs.plans import Plan, Wishes
    from cloudkite.jobs.service import Job
    from cloudkite.jobs.submit import Submitted
    from cloudkite.money.currency import Rate
    from cloudkite.trainers.folders import Trainer


_NO_STOCK = "Resources are insufficient in region"  # how the service says that it has no machines, in English alone

# --- check


def check(workspace: Workspace, name: str, account_name: str = "", *, as_json: bool = False) -> None:
    """Check a trainer and show the report; a failed check is exit code 1."""
    from cloudkite.trainers import folders, places

    trainer = folders.find(workspace, name)
    look_at_machine(workspace, trainer.requirements)
    places.remember(workspace, trainer)
    target = None
    if trainer.data.startswith("gs://"):  # only then is a cloud needed
        target = connect(workspace, registry.load(workspace, account_name or None))
    report = run_check(workspace, trainer, target=target, quiet=as_json)
    if as_json:
        screen.as_json(report)
    if not report.ok:
        raise check_failed(trainer)
    if not as_json:
        screen.say(_("next: {command}").format(command=_after_check(workspace, trainer, account_name)))


def _after_check(workspace: Workspace, trainer: Trainer, account_name: str) -> str:
    """Training it; where there is no account yet to train it in, that comes first."""
    from cloudkite.trainers import folders

    line = f"uv run invoke train {folders.typed(workspace, trainer)}"
    try:
        account = registry.load(workspace, account_name or None)
        other = registry.option(workspace, account)
    except UserError:  # a check needs no account: `train` says what is wrong with it
        return line
    return f"{line}{other}" if account.outputs_file.is_file() else f"uv run invoke up{other}"


def run_check(
    workspace: Workspace, trainer: Trainer, *, image: str = "", target: Target | None = None, quiet: bool = False
) -> CheckReport:
    """Run all steps, for the training image `image` or the usual one, and show them."""
    from cloudkite.check import steps

    images = {"training": image} if image else {}
    with screen.waiting(_("checking {name} ...").format(name=trainer.name)) as tell:
        report = steps.check(workspace, trainer, target=target, progress=tell, **images)
    if not quiet:
        show_report(report)
    return report


def check_failed(trainer: Trainer) -> UserError:
    return UserError(
        _("the check of {name} failed").format(name=trainer.name), _("fix what is listed above; nothing was spent")
    )


def show_report(report: CheckReport) -> None:
    """One line per step, its findings below it."""
    for step in report.steps:
        time = amounts.duration(step.seconds) if step.seconds >= 1 else ""
        screen.say(f"{step.verdict:<8} {step.name}  {step.summary}  {time}".rstrip())
        for line in step.messages:
            screen.say(f"         {line}")


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
    notify: bool = False,
) -> None:
    """Check if needed, price, gate, ask, submit, follow. Who asks for the trainer's help gets that alone, here."""
    from cloudkite.jobs import body, earlier, submit
    from cloudkite.jobs.places import regions
    from cloudkite.money import limits
    from cloudkite.trainers import arguments, folders

    if arguments.asks_for_help(wishes.arguments):
        show_help(workspace, folders.find(workspace, name))
        return
    account = registry.load(workspace, account_name or None)
    trainer = folders.find(workspace, name)
    if wishes.name:
        body.check_name(wishes.name, folders.names(workspace))
    check_set_up(workspace, account)
    target = None
    if limits.split_currency(wishes.max_cost)[1]:  # only then a rate has to be asked for before there is a plan
        target = connect(workspace, account)
        wishes = dataclasses.replace(wishes, max_cost=in_dollars(target, wishes.max_cost))
    if wishes.also:
        target = target or connect(workspace, account)
        plan = regions.choose(target, trainer, wishes)
    else:
        plan = submit.plan(account, trainer, wishes)
    target = target or connect(workspace, account)
    if wishes.earlier:
        known = folders.names(workspace)
        found = earlier.find(target, trainer, wishes.earlier, known, widen=wishes.widen)
        plan = dataclasses.replace(plan, earlier=found)
    job = start(workspace, target, plan, yes=yes, quiet=as_json)
    if as_json:
        screen.as_json(job)
    elif follow:
        with alerts.when_failed(notify, job.name):
            ended = finish(target, job)
        after_job(workspace, account, ended)
    else:
        line = f"uv run invoke logs {shlex.quote(job.name)} --follow{registry.option(workspace, account)}"
        screen.say(_("next: {command}").format(command=line))


def in_dollars(target: Target, max_cost: str) -> str:
    """--max-cost 1400KRW in dollars, by the price list's rate, which is told. Raises BadValue."""
    from cloudkite.money import currency, limits

    text, code = limits.split_currency(max_cost)
    amount = limits.parse_amount(text)
    if code == currency.PRICES:
        return text
    try:
        rate = currency.look(target, code)
    except UserError as problem:
        raise BadValue(
            _("--max-cost {text} can't be converted: {why}").format(text=max_cost, why=problem.message),
            _("give it in {currency}: --max-cost 1").format(currency=currency.PRICES),
        ) from None
    for line in filter(None, (rate.note,)):
        screen.note(line)
    dollars = rate.dollars(amount)
    said = _("--max-cost {own} is {dollars}, at {rate}")
    screen.note(
        said.format(
            own=amounts.money(amount, code), dollars=amounts.money(dollars, currency.PRICES, 4), rate=rate.told()
        )
    )
    return f"{dollars:f}"


def show_help(workspace: Workspace, trainer: Trainer) -> None:
    """The trainer's own help, from its own environment."""
    from cloudkite.trainers import arguments

    python = environment(workspace, trainer)
    screen.say(arguments.help_of(trainer, python, private_folder(workspace.state / "help") / f"{trainer.file}.log"))


def environment(workspace: Workspace, trainer: Trainer) -> Path:
    """The interpreter of the trainer's environment; says so while it is built."""
    from cloudkite.trainers import folders

    look_at_machine(workspace, trainer.requirements)
    with screen.waiting(_("preparing the trainer's environment ...")) as tell:
        return folders.environment(trainer, workspace, tell)


def start(workspace: Workspace, target: Target, plan: Plan, *, yes: bool, quiet: bool = False) -> Submitted:
    """Everything from a plan to a job that is queued: gate, check, price, consent, submission.

    What a few requests can refuse is refused before anything takes minutes: quotas, budget, what can't run here.
    """
    from cloudkite.check import steps
    from cloudkite.jobs import choosing, submit
    from cloudkite.money import gate
    from cloudkite.trainers import arguments, places

    say = screen.note if quiet else screen.say
    trainer = plan.trainer
    if plan.name:
        choosing.refuse_taken(target, plan.name)
    verdict = gate.judge(target, plan)
    plan = submit.on_this_machine(workspace, plan)
    given = (*plan.arguments, *(plan.earlier.options() if plan.earlier else ()), *_tried(plan))
    arguments.refuse_bad(trainer, environment(workspace, trainer), given)
    if steps.passed(workspace, trainer, plan.image):
        say(_("check passed before, nothing has changed since"))
    elif not run_check(workspace, trainer, image=plan.image, target=target, quiet=quiet).ok:
        raise check_failed(trainer)
    else:
        verdict = gate.judge(target, plan)  # minutes later: other jobs may have taken what was free
    say(acting_as(plan.account, target))
    _show_price(plan, say, verdict.rate)
    if plan.earlier:
        say(_("learns on from {place}").format(place=plan.earlier.shown))
    plan, foreseen = foresee(target, plan, verdict.rate)
    for line in (*plan.notes, *verdict.notes, *foreseen):
        say(line)
    gate.consent(plan.account, plan, yes=yes, ask=screen.confirm, rate=verdict.rate)
    with screen.waiting(_("staging ...")) as tell:
        job = submit.submit(workspace, target, plan, progress=tell)
    places.remember(workspace, trainer, job.name)
    say(_("job      {name} ({id})").format(name=job.name, id=job.id))
    say(_("staged   {uri} ({sent} sent)").format(uri=job.staged, sent=amounts.size(job.sent_bytes)))
    _show_console(job, say)
    say(_("runs     python -m trainer.task {arguments}").format(arguments=" ".join(job.arguments)))
    return job


def _tried(plan: Plan) -> list[str]:
    """One value of each option that a tuning job tries."""
    from cloudkite.tuning import google

    return google.sample(plan.study) if plan.study else []


def foresee(target: Target, plan: Plan, rate: Rate | None) -> tuple[Plan, list[str]]:
    """The plan with what it will probably cost by earlier jobs, and what they tell of it; nothing where there are none.

    A tuning job is not foreseen: its tries differ in what they do.
    """
    from cloudkite.journey import speeds
    from cloudkite.money import measured

    if plan.study:
        return plan, []
    try:
        found = measured.of_trainer(target, plan.trainer.name)
    except UserError:  # it is advice: what stops a job is told by what needs it
        return plan, []
    plan = dataclasses.replace(plan, estimate=measured.estimate(found, plan))
    return plan, speeds.foreseen(found, plan, rate)


def _show_console(job: Job, say: Callable[[str], None]) -> None:
    """Where Google's console shows the job; a local cloud has no console."""
    if job.console:
        say(_("console  {url}").format(url=job.console))
        say(_("logs     {url}").format(url=job.console_logs))


def _show_price(plan: Plan, say: Callable[[str], None], rate: Rate | None) -> None:
    from cloudkite.money import currency

    price, rate = plan.price, rate or currency.DOLLAR
    if plan.study:
        _show_price_of_tries(plan, say, rate)
        return
    say(
        _("{machine} in {region}: {hourly} an hour, at most {worst} in {limit} (price of {date})").format(
            machine=plan.describe(),
            region=plan.region,
            hourly=rate.beside(price.amount, 4),
            worst=rate.beside(plan.worst_case),
            limit=amounts.duration(plan.limit_seconds),
            date="; ".join(filter(None, (price.as_of, rate.told()))),
        )
    )


def _show_price_of_tries(plan: Plan, say: Callable[[str], None], rate: Rate) -> None:
    """What each try and all of them may cost, and what ends them where nobody comes back."""
    limit = amounts.duration(plan.limit_seconds)
    said = _(
        "{tries}, {parallel} at once, each on {machine} in {region}: {hourly} an hour, at most {each} in {limit}; all "
        "of them at most {worst} (price of {date})"
    )
    say(
        said.format(
            tries=counted("{count} try", "{count} tries", plan.tries),
            parallel=plan.parallel,
            machine=plan.describe(),
            region=plan.region,
            hourly=rate.beside(plan.price.amount, 4),
            each=rate.beside(plan.each),
            worst=rate.beside(plan.worst_case),
            limit=limit,
            date="; ".join(filter(None, (plan.price.as_of, rate.told()))),
        )
    )
    said = _(
        "if you don't come back: each try ends after {limit} at the latest, and all of it with the last try; "
        "`uv run invoke cancel {name}` ends it at once"
    )
    say(said.format(limit=limit, name=shlex.quote(plan.name)))


def finish(target: Target, job: Job, brief: bool = False) -> Job:
    """Follow a job to its end; Ctrl-C leaves it running. A job that failed is exit code 1.

    `brief` shows five of its epochs and no line of the service's own.
    """
    from cloudkite.jobs import logs, service

    screen.note(_("Ctrl-C stops following; the job goes on"))
    try:
        with screen.waiting(_("waiting for a machine ..."), live=True) as tell:
            for event in logs.follow(target, job):
                if event.text and not (brief and _skipped(event)):
                    screen.say(event.shown)
                if event.status:
                    tell(event.status)
    except KeyboardInterrupt:
        screen.say()
        screen.say(_("the job goes on; uv run invoke logs --follow, uv run invoke cancel"))
        return job
    ended = service.get(target, job)
    screen.say(describe_end(ended))
    if ended.state != "SUCCEEDED":
        _show_console(ended, screen.say)
        raise UserError(
            ended.error or _("job {name} ended as {state}").format(name=ended.name, state=ended.state),
            _after_failure(target, ended),
            FAILED,
        )
    return ended


def _after_failure(target: Target, job: Job) -> str:
    """What helps a job that failed: its log, or other machines where there were none of these."""
    if _NO_STOCK not in job.error:
        return _("uv run invoke logs --job {id}").format(id=job.id)
    ways = [_("--queue 6h waits for GPUs that Google queues jobs for"), _("another machine")]
    if others := [region for region in (target.account.region, *target.account.also) if region != job.region]:
        ways.insert(0, _("--also looks in {regions}").format(regions=", ".join(others)))
    return "; ".join(ways)


def after_job(workspace: Workspace, account: Account, job: Job) -> None:
    """What comes after a job that was followed to its end."""
    if job.state == "SUCCEEDED":
        line = f"uv run invoke fetch {shlex.quote(job.name)}{registry.option(workspace, account)}"
        screen.say(_("next: {command}").format(command=line))


def _skipped(event: Event) -> bool:
    """Lines that a brief account leaves out."""
    epoch, epochs = event.fields.get("epoch"), event.fields.get("epochs")
    if epoch and epochs:
        return epoch != 1 and epoch % -(-epochs // 4) != 0
    return event.task == "service"


def describe_end(job: Job) -> str:
    """One line: how the job ended, how long it ran, what it cost."""
    return _("{state} after {time}, {cost}").format(
        state=job.state, time=amounts.duration(job.seconds), cost=amounts.money(job.cost, job.currency, 4)
    )
