"""The end of an account: what it holds is saved, all of it is taken down, that is proven, and how to upgrade or leave.

Whatever interrupts it, the same command goes on: what was saved is not fetched again, and never replaced by less.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite.accounts import api, registry
from cloudkite.accounts import trial as trials
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.accounts.trial import Phase, Trial
from cloudkite.journey import rates, teardown, trial
from cloudkite.journey.reach import connect
from cloudkite.journey.setup import acting_as, check_rights
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace, read_json, write_atomically

if TYPE_CHECKING:
    from cloudkite.engine import Resource
    from cloudkite.journey.teardown import Leaving
    from cloudkite.models.fetching import Fetched
    from cloudkite.money.inventory import Inventory

_KEPT = "ending.json"  # in the account's folder: where its data are saved to, and whether all was done
_MANAGER = "https://cloudresourcemanager.googleapis.com/v3/projects"
_RESTORE_DAYS = 30  # https://cloud.google.com/resource-manager/docs/creating-managing-projects#shutting_down_projects


def end(
    workspace: Workspace,
    name: str = "",
    *,
    save: Path | None = None,
    confirmed: str = "",
    delete_project: bool = False,
    as_json: bool = False,
) -> None:
    """Save data and models, take everything down, show that nothing is left, and say how to go on or to leave.

    `save` is the folder; by default that of the last time, else NAME-saved here. Raises UserError for an account whose
    trial has closed before that was done, and for what is left that costs.
    """
    account = registry.load(workspace, name or None)
    target = connect(workspace, account, new=True)
    if _tell_deleted(target, as_json):
        return
    found = trials.look(target)
    if found is not None and found.phase in (Phase.CLOSED, Phase.DELETED):
        _after_the_closing(target, found, as_json)
        return
    check_rights(account, target)
    say = screen.note if as_json else screen.say
    with screen.waiting(_("looking at what is there ...")):
        leaving = teardown.look(account, target, everything=True)
    screen.note(acting_as(account, target))
    rate = rates.shown(target)
    folder = _folder(account, save)
    if not as_json:
        teardown.show_leaving(account, leaving, True, rate)
    teardown.show_download(account, leaving, folder, rate, say=say)
    if leaving.anything or delete_project:
        _consent(account, confirmed, delete_project)
    delete_project = delete_project or (not (as_json or confirmed) and _also_the_project(account))
    saved = _save(account, target, leaving, folder, say)
    left = teardown.take_down(
        account,
        target,
        everything=True,
        watched=leaving.watched and not delete_project,
        jobs=leaving.jobs,
        quiet=as_json,
    )
    if delete_project:
        _delete_project(target, say)
    standing = _prove(target, left, delete_project, as_json, saved, found)
    if not left and (delete_project or not standing.bills):
        _keep(account, folder=str(folder), done=target.now().date().isoformat())
    if not as_json:
        _say_goodbye(target, found, folder, delete_project)


def _folder(account: Account, save: Path | None) -> Path:
    """Where data and models go: as given, or where an earlier try began to save them."""
    folder = save or Path(_kept(account).get("folder") or f"{account.name}-saved")
    return folder.expanduser().absolute()


def _consent(account: Account, confirmed: str, delete_project: bool) -> None:
    """What goes doesn't come back, so the account's name is typed. Raises BadValue."""
    what = (
        _("this ends account {name}, with its data and models, and project {project}")
        if delete_project
        else _("this ends account {name}: its data and models are deleted once they are saved")
    ).format(name=account.name, project=account.project)
    if not confirmed and not screen.can_ask():
        raise BadValue(what, _("add --confirm {name}").format(name=account.name))
    typed = confirmed or screen.ask(_("{what}; type the account's name").format(what=what))
    if typed != account.name:
        raise BadValue(
            _("{typed!r} isn't the account's name").format(typed=typed), _("--confirm {n}").format(n=account.name)
        )


def _save(
    account: Account, target: Target, leaving: Leaving, folder: Path, say: Callable[[str], None]
) -> Mapping[str, Fetched]:
    _keep(account, folder=str(folder))  # before the first byte: the same command goes on there
    return teardown.save_all(target, leaving, folder, say=say)


def _also_the_project(account: Account) -> bool:
    """Whether a person at a terminal wants the project to go, too."""
    question = _("delete project {project} too, with whatever others made in it? Google keeps it for {days} days")
    return screen.can_ask() and screen.confirm(question.format(project=account.project, days=_RESTORE_DAYS))


def _delete_project(target: Target, say: Callable[[str], None]) -> None:
    project = target.account.project
    api.call(target, "DELETE", f"{_MANAGER}/{project}", _("delete project {project}").format(project=project))
    said = _("project {project} is being deleted: `gcloud projects undelete {project}` brings it back for {days} days")
    say(said.format(project=project, days=_RESTORE_DAYS))


def _prove(
    target: Target,
    left: Sequence[Resource],
    deleted: bool,
    as_json: bool,
    saved: Mapping[str, Fetched],
    found: Trial | None,
) -> Inventory:
    """What the APIs themselves say is left. Raises UserError where something costs, and the project stays."""
    from cloudkite.money import inventory

    empty = inventory.Inventory((), ())
    with screen.waiting(_("looking at what is left ...")):
        standing = empty if deleted else inventory.take(target)
    if as_json:
        screen.as_json(_as_json(target.account, left, standing, saved, deleted, found))
    else:
        for one in standing.unseen:
            screen.warn(_("not looked at: {what}").format(what=one))
        if not deleted and not standing.bills:
            screen.say(_("nothing in the project costs a cent a month"))
    if left or standing.bills:
        if not as_json and standing.bills:
            screen.heading(_("what is in the project and costs"))
            teardown.show_standing(standing.bills, rates.shown(target))
        account = target.account
        raise UserError(
            counted(
                "{count} thing is left in project {project}, and may cost",
                "{count} things are left in project {project}, and may cost",
                max(len(standing.bills), len(left)),
                project=account.project,
            ),
            _("remove what others made, or the whole project: uv run invoke account.end --account {name} {option}")
            .format(name=account.name, option="--delete-project"),
        )  # fmt: skip
    return standing


def _as_json(
    account: Account,
    left: Sequence[Resource],
    standing: Inventory,
    saved: Mapping[str, Fetched],
    deleted: bool,
    found: Trial | None,
) -> dict[str, Any]:
    return {
        "account": account.name,
        "saved": {purpose: {"folder": one.folder, "files": one.files, "bytes": one.bytes}
                  for purpose, one in saved.items()},
        "left": left,
        "standing": standing.found,
        "unseen": standing.unseen,
        "project_deleted": deleted,
        "trial": found and {"phase": found.phase.value, "ends": found.ends, "days_left": found.left},
    }  # fmt: skip


def _say_goodbye(target: Target, found: Trial | None, folder: Path, deleted: bool) -> None:
    account = target.account
    if folder.exists():
        screen.say(_("data and models are in {folder}").format(folder=amounts.short(folder)))
    screen.say(_("account {name} is ended: nothing that `up` made is left").format(name=account.name))
    if found is not None and found.phase is not Phase.UPGRADED and not deleted:
        until = _(" (the trial ends on {date})").format(date=found.ends) if found.ends else ""
        screen.say(
            _("to go on, upgrade: {pay}{until}; then uv run invoke up --account {name}").format(
                pay=trial.way_to_pay(target), until=until, name=account.name
            )
        )
    screen.say(_("to leave, close the billing account: {url}").format(url=_closing_page(account)))
    if not deleted:
        screen.say(
            _("and delete the project: uv run invoke account.end --account {name} --delete-project").format(
                name=account.name
            )
        )


def _closing_page(account: Account) -> str:
    """https://cloud.google.com/billing/docs/how-to/close-or-reopen-billing-account: on its page Account management."""
    base = "https://console.cloud.google.com/billing"
    return f"{base}/{account.payer}/manage" if account.payer else base


def _after_the_closing(target: Target, found: Trial, as_json: bool) -> None:
    """Say what is not saved, if anything is. Raises UserError unless all was saved and taken down in time."""
    account, done = target.account, _kept(target.account).get("done")
    if as_json:
        screen.as_json(_as_json(account, (), _nothing(), {}, False, found) | {"ended": done})
    if done:
        if not as_json:
            screen.say(
                _("account {name} was ended on {date}, in time: it held nothing when the trial closed").format(
                    name=account.name, date=done
                )
            )
            screen.say(_("to leave, there is nothing more to do"))
        return
    held = _("its data, models, jobs and images")
    if found.phase is Phase.DELETED:
        raise UserError(
            _("nothing of account {name} can be saved any more: {what} are deleted").format(
                name=account.name, what=held
            ),
            _("describe another account: uv run invoke account.add"),
        )
    raise UserError(
        _(
            "nothing of account {name} can be saved while its billing account is closed: {what} are deleted from "
            "{date} on"
        ).format(name=account.name, what=held, date=found.deletes),
        _("upgrade before: {pay}; then run the same command again. To leave, there is nothing to do").format(
            pay=trial.way_to_pay(target)
        ),
    )


def _nothing() -> Inventory:
    from cloudkite.money.inventory import Inventory

    return Inventory((), ())


def _tell_deleted(target: Target, as_json: bool) -> bool:
    """Say that the project is being deleted, where it is; gives whether."""
    doing = _("look up project {project}").format(project=target.account.project)
    answer = api.send(target, "GET", f"{_MANAGER}/{target.account.project}", doing, again=True)
    row = api.table(answer, doing) if answer.ok else {}
    if row.get("state") != "DELETE_REQUESTED":
        return False
    if as_json:
        screen.as_json(_as_json(target.account, (), _nothing(), {}, True, None))
    else:
        screen.say(
            _("project {project} is being deleted since {date}: gcloud projects undelete {project} brings it back")
            .format(project=target.account.project, date=str(row.get("deleteTime", ""))[:10] or _("some day"))
        )  # fmt: skip
    return True


def _kept(account: Account) -> dict[str, str]:
    try:
        found = read_json(account.state / _KEPT)
        return {str(key): str(value) for key, value in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _keep(account: Account, **changes: str) -> None:
    """What is kept of an earlier end goes when something new begins: only `changes` count."""
    write_atomically(account.state / _KEPT, json.dumps(changes) + "\n")
