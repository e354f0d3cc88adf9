"""Accounts that leave this computer, and those that come to it from another."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from cloudkite.accounts import registry, settings
from cloudkite.accounts import target as targets
from cloudkite.accounts.registry import Account
from cloudkite.journey.reach import connect
from cloudkite.show import amounts, screen
from cloudkite.show.errors import NOT_SIGNED_IN, BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from cloudkite.engine import Copy


def remove(workspace: Workspace, name: str, *, yes: bool = False) -> None:
    """Forget an account that is taken down; never while it is set up, or anything of it is left that may cost."""
    if name == registry.DEFAULT:
        raise BadValue(
            _("account {name} is the one that every checkout has").format(name=name),
            _("uv run invoke local.reset empties the local cloud"),
        )
    account = registry.load(workspace, name)
    _refuse_standing(workspace, account)
    after = registry.DEFAULT if registry.current(workspace) == name else ""
    screen.say(_("removed with account {name}:").format(name=name))
    screen.say(f"  {amounts.short(account.settings)}")
    screen.say(f"  {amounts.short(account.state)}" + _(" (its state, and its sign-in if it has one)"))
    screen.say(_("project {project} stays as it is").format(project=account.project))
    if after:
        screen.say(_("{name} is in use; after it, {after} is").format(name=name, after=after))
    if not yes and not screen.confirm(_("remove account {name} from this computer?").format(name=name)):
        raise UserError(_("nothing was changed"))
    registry.remove(workspace, name, account.state)
    (workspace.home / ".cloudkite" / "plain" / account.settings.name).unlink(missing_ok=True)
    screen.say(_("removed account {name}").format(name=name))
    if after:
        screen.say(_("in use: {name}").format(name=after))


def _refuse_standing(workspace: Workspace, account: Account) -> None:
    """Raise UserError for an account of which something is there: forgotten, nobody would take it down."""
    from cloudkite import engine

    option = f" --account {shlex.quote(account.name)}"
    if account.shared:  # whether colleagues have taken it down only the bucket knows
        engine.fetch(account, connect(workspace, account, new=True))
    left = engine.left(account)
    if account.outputs_file.is_file() or engine.leaving(account)[0]:
        raise UserError(_("account {name} is set up").format(name=account.name), f"uv run invoke down{option}")
    if left:
        raise UserError(
            counted(
                "{count} resource of account {name} is left, and may cost: {what}",
                "{count} resources of account {name} are left, and may cost: {what}",
                len(left),
                name=account.name,
                what=", ".join(one.name for one in left[:4]) + (", ..." if len(left) > 4 else ""),
            ),
            _(
                "uv run invoke down --everything{option} removes them; --save DIR downloads data and models first"
            ).format(option=option),
        )
    _refuse_unknown(workspace, account, option)


def _refuse_unknown(workspace: Workspace, account: Account, option: str) -> None:
    """An account that this computer never set up may have been, from another one."""
    from cloudkite import engine

    try:
        found = engine.copies(connect(workspace, account, new=True), account.project)
    except UserError as refused:
        why = _("no one is signed in") if refused.code == NOT_SIGNED_IN else refused.message
        screen.warn(_("project {project} was not looked at: {why}").format(project=account.project, why=why))
        return
    if any(one.account == account.name for one in found):
        raise UserError(
            _("account {name} was set up from another computer: gs://{bucket} has its state").format(
                name=account.name, bucket=found[0].bucket
            ),
            _("uv run invoke account.recover {project}, then uv run invoke down --everything{option}").format(
                project=f"{account.project}{'' if account.costs_money else ' --local'}", option=option
            ),
        )


# --- from another computer


def recover(workspace: Workspace, project: str, name: str = "", *, local: bool = False, yes: bool = False) -> None:
    """Bring an account here that was set up from another computer: its settings, and its state."""
    from cloudkite import engine

    where = "local" if local else "google"
    settings.check_answer("project", project)
    described = _described(workspace, where, project)
    draft = registry.draft(workspace, name or "recovered", where, project, state=workspace.state)
    target = targets.connect(workspace, described or draft)
    with screen.waiting(_("looking for the state of an account in project {project} ...").format(project=project)):
        found = engine.copies(target, project)
    wanted = name or (described.name if described else "")
    one = _chosen(project, [each for each in found if wanted in ("", each.account)], found)
    _check(workspace, one, where, project, described)
    screen.say(
        _("account {name} of project {project}, as {who}: {count} resources, state of {date} UTC in gs://{bucket}").format(
            name=one.account, project=project, who=target.identity, count=one.resources, date=one.updated,
            bucket=one.bucket,
        )
    )  # fmt: skip
    screen.say(_("who may write to that bucket could have changed it: `up` shows what it would do before it does it"))
    if not yes and not screen.confirm(_("bring account {name} to this computer?").format(name=one.account)):
        raise UserError(_("nothing was changed"))
    path = workspace.accounts / f"Pulumi.{one.account}.yaml"
    account = described or registry.draft(workspace, one.account, where, project)
    config = settings.read(described.settings) if described else settings.parsed(one.settings, path.name)
    if config.get("cloudkite:state") != "bucket":  # else the team's own bucket has it
        with screen.waiting(_("preparing the state of account {name} ...").format(name=one.account)) as tell:
            engine.bring(account, target, one, config, tell)
    if not described:  # last: who is cut off before can do it again
        settings.keep(path, one.settings)
    account = registry.load(workspace, one.account)
    screen.say(_("account {name} is here: {path}").format(name=account.name, path=amounts.short(path)))
    screen.say(_("next: {command}").format(command=f"uv run invoke up --account {shlex.quote(account.name)}"))


def _described(workspace: Workspace, where: str, project: str) -> Account | None:
    """The account here that has the project, if it knows nothing of what was made. Raises BadValue where it does."""
    from cloudkite import engine

    for other in registry.sharing(workspace, "", where, project):
        if other.outputs_file.is_file() or engine.left(other):
            raise BadValue(
                _("account {name} of project {project} is on this computer already").format(
                    name=other.name, project=project
                ),
                f"uv run invoke up --account {shlex.quote(other.name)}",
            )
        return other
    return None


def _chosen(project: str, fitting: list[Copy], found: list[Copy]) -> Copy:
    names = sorted({one.account for one in found})
    if len(names) > 1 and len({one.account for one in fitting}) != 1:
        raise BadValue(
            _("project {project} has the state of several accounts").format(project=project),
            _("--name one of: {names}").format(names=", ".join(names)),
        )
    if not fitting:
        there = _("there is one of: {names}").format(names=", ".join(names)) if names else _(
            "`up` leaves a copy in the account's bucket of models; describe the account (uv run invoke account.add), "
            "and `up` takes over what exists"
        )  # fmt: skip
        raise UserError(_("project {project} has no copy of an account's state").format(project=project), there)
    return max(fitting, key=lambda one: one.updated)


def _check(workspace: Workspace, one: Copy, where: str, project: str, described: Account | None) -> None:
    """Raise BadValue unless the copy is what it is called, and can be an account here."""
    if (one.target, one.project) != (where, project):
        raise BadValue(
            _("the state in gs://{bucket} is of project {other} ({target}), not of {project}").format(
                bucket=one.bucket, other=one.project or "?", target=one.target or "?", project=project
            ),
            _("uv run invoke account.recover {other}").format(other=one.project) if one.project else "",
        )
    if described:
        return
    registry.check_free(workspace, one.account)
    if not one.settings:
        raise UserError(
            _("gs://{bucket} has the state of account {name}, and not its settings: `up` was older").format(
                bucket=one.bucket, name=one.account
            ),
            _("uv run invoke account.add --name {name} --project {project}, then the same command again").format(
                name=one.account, project=project
            ),
        )
    checked = settings.check(settings.parsed(one.settings, f"Pulumi.{one.account}.yaml"), one.account)
    if (checked.target, checked.project) != (where, project):
        raise BadValue(
            _("the settings in gs://{bucket} are of project {other}, not of {project}").format(
                bucket=one.bucket, other=checked.project, project=project
            )
        )
