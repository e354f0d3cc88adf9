"""The first job of a new account: a small trainer on the penguins, for a few cents; followed, and found again."""

from __future__ import annotations

import secrets
import shlex

from cloudkite.accounts import registry
from cloudkite.accounts.beginning import Beginning
from cloudkite.accounts.registry import Account
from cloudkite.journey import training
from cloudkite.journey.reach import connect, look_at_machine
from cloudkite.show import screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace

_TRAINER = "penguins"
_EPOCHS = "10"


def first_job(workspace: Workspace, account: Account, kept: Beginning, most: str) -> None:
    """Submit it, with the journey's own consent, and follow it. One that was submitted before is followed.

    Raises UserError, with the way on where the account can't run it.
    """
    from cloudkite.jobs import choosing, plans, submit
    from cloudkite.trainers import folders, making

    if kept.answers.get("job ended"):
        screen.say(_("the first job has run: {name}").format(name=kept.answers["job"]))
        return
    look_at_machine(workspace)
    if _TRAINER not in folders.names(workspace):
        made = making.new(workspace, _TRAINER)
        screen.say(_("made {folder}: a small trainer, yours to change").format(folder=made.folder))
    # The name is kept before the job is there: whoever is cut off in between finds it by its name.
    if "job" not in kept.answers:
        kept.keep(job=f"first-{secrets.token_hex(3)}")
    name, target = kept.answers["job"], connect(workspace, account)
    there = choosing.called(target, name)
    if there and there[0].active:
        screen.say(_("job {name} was submitted before").format(name=name))
    job = there[0] if there else None
    if job is None:
        wishes = plans.Wishes(max_cost=most, name=name, arguments=("--epochs", _EPOCHS))
        plan = submit.plan(account, folders.find(workspace, _TRAINER), wishes)
        try:
            job = training.start(workspace, target, plan, yes=False)
        except UserError as refused:
            raise UserError(refused.message, _way_on(workspace, account, refused), refused.code) from None
    ended = training.finish(target, job, brief=True)
    if ended.active:
        line = f"uv run invoke logs {shlex.quote(name)} --follow{registry.option(workspace, account)}"
        screen.say(_("next: {command}").format(command=line))
        return
    kept.keep(**{"job ended": ended.state})
    training.after_job(workspace, account, ended)


def _way_on(workspace: Workspace, account: Account, refused: UserError) -> str:
    """Where the account has no room for it, what it can run today says more than the refusal."""
    if "quota" not in refused.message:
        return refused.hint
    return _("uv run invoke account.probe{option} shows what this account can run today").format(
        option=registry.option(workspace, account)
    )
