"""Taking an account down: what goes, what stays and what that costs; consent; and a look at what is left.

The engine's state knows what `up` made. What the project holds is asked of the APIs, before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite.accounts import registry
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.journey import rates
from cloudkite.journey.reach import connect
from cloudkite.journey.setup import acting_as, cap_changes, check_rights, show_changes, show_monthly, steps
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from cloudkite.engine import Resource
    from cloudkite.jobs.service import Job
    from cloudkite.models.fetching import Fetched
    from cloudkite.money.currency import Rate
    from cloudkite.money.inventory import Inventory, Standing
    from cloudkite.money.stops.cap import Step


@dataclass(frozen=True)
class Leaving:
    """What `down` would do: resources of the state that go and stay, jobs that are cancelled, and all that stands.

    `bills` is what goes on costing when it is done, `watched` that the budget and its alerts therefore stay. `cap` is
    what goes of the spend cap.
    """

    goes: Sequence[Resource]
    stays: Sequence[Resource]
    jobs: Sequence[Job]
    standing: Inventory
    bills: Sequence[Standing]
    cap: Step | None = None

    @property
    def watched(self) -> bool:
        return bool(self.bills)

    @property
    def anything(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.goes or self.jobs or self.cap)


def down(
    workspace: Workspace,
    name: str = "",
    *,
    everything: bool = False,
    save: Path | None = None,
    yes: bool = False,
    confirmed: str = "",
    as_json: bool = False,
) -> None:
    """Show what goes, what stays and what that costs; with consent take the account down, and show what is left.

    `save` is a folder that data and models are downloaded to before anything goes.
    """
    from cloudkite.money import currency

    account = registry.load(workspace, name or None)
    target = connect(workspace, account, new=True)
    check_rights(account, target)
    with screen.waiting(_("looking at what is there ...")):
        leaving = look(account, target, everything)
    screen.note(acting_as(account, target))
    rate = currency.DOLLAR if as_json else rates.shown(target)
    if not as_json:
        show_leaving(account, leaving, everything, rate)
    if save:
        show_download(account, leaving, save, rate, say=screen.note if as_json else screen.say)
    if leaving.anything:
        _consent(account, everything, yes, confirmed)
    if save:
        save_all(target, leaving, save, say=screen.note if as_json else screen.say)
    left = take_down(account, target, everything=everything, watched=leaving.watched, jobs=leaving.jobs, quiet=as_json)
    _show_left(account, target, left, everything, as_json, rate)


def look(account: Account, target: Target, everything: bool) -> Leaving:
    """Ask the state and the APIs what there is. Raises UserError."""
    from cloudkite import engine
    from cloudkite.jobs import service
    from cloudkite.money import inventory

    engine.fetch(account, target)
    goes, _stays = engine.leaving(account, everything)
    # Who joined a team's account has no outputs yet, and what they take down may have jobs all the same.
    ready = account.outputs_file.is_file() or (account.shared and goes)
    jobs = service.running(target) if ready else []
    gone = {*map(_place, (one.id for one in goes)), *(_place(job.resource) for job in jobs)}
    standing = inventory.take(target)
    bills = [one for one in standing.bills if _place(one.ref) not in gone]
    goes, stays = engine.leaving(account, everything, watched=bool(bills))
    return Leaving(goes, stays, jobs, standing, bills, _cap(account, target))


def _place(name: str) -> str:
    """A resource's name without its project, which has an id and a number."""
    parts = name.split("/", 2)
    return parts[2] if len(parts) == 3 and parts[0] == "projects" else name


def show_leaving(account: Account, leaving: Leaving, everything: bool, rate: Rate) -> None:
    """What goes, what stays, and what goes on costing."""
    from cloudkite import engine
    from cloudkite.money import prices

    if leaving.goes or leaving.cap:
        gone = [engine.Change("delete", one.kind, one.name, one.urn) for one in leaving.goes]
        show_changes([*gone, *cap_changes(leaving.cap)])
    if leaving.jobs:
        names = ", ".join(job.name for job in leaving.jobs)
        screen.say(_("jobs that are cancelled first: {names}").format(names=names))
    going = {_place(one.id) for one in leaving.goes}
    held = [one for one in leaving.standing.found if one.size and _place(one.ref) in going]
    if held:
        screen.heading(_("what is in them, and goes too"))
        rows = [(one.kind, one.name, one.why, amounts.size(one.size)) for one in held]
        screen.table([_("what"), _("name"), _("content"), _("size")], rows, right=[3])
    if leaving.stays:
        title = _("what stays") if everything else _("what stays: data, models and what they need, unless --everything")
        screen.heading(title)
        show_monthly(prices.monthly(leaving.stays, account.region), account, rate)
    elif days := undelete_days(leaving.goes):
        screen.say(_kept_by_google(days))
    if leaving.bills:
        screen.heading(_("what goes on costing; the budget and its alerts stay with it"))
        show_standing(leaving.bills, rate)


def _consent(account: Account, everything: bool, yes: bool, confirmed: str) -> None:
    if everything:
        if not confirmed and not screen.can_ask():
            raise BadValue(
                _("--everything deletes data and models of {name}").format(name=account.name),
                _("add --confirm {name}").format(name=account.name),
            )
        typed = confirmed or screen.ask(
            _("this deletes data and models of {name}; type the account's name").format(name=account.name)
        )
        if typed != account.name:
            raise BadValue(
                _("{typed!r} isn't the account's name").format(typed=typed), _("--confirm {n}").format(n=account.name)
            )
    elif not yes and not screen.confirm(_("take account {name} down? data and models stay").format(name=account.name)):
        raise UserError(_("nothing was changed"))


def kept(leaving: Leaving) -> dict[str, Standing]:
    """The account's own buckets that hold a person's work, by what is in them."""
    by_name = {one.ref: one for one in leaving.standing.found if one.size}
    made = {one.name: one.id for one in (*leaving.goes, *leaving.stays) if one.kind == "Bucket"}
    purposes = [purpose for purpose in made if purpose == "data" or purpose.startswith("models")]
    return {purpose: by_name[made[purpose]] for purpose in purposes if made[purpose] in by_name}


def show_download(account: Account, leaving: Leaving, folder: Path, rate: Rate, say: Callable[[str], None]) -> None:
    """What will be saved to a folder, and the price of the download."""
    from cloudkite.money import stored

    held = kept(leaving)
    if not held:
        say(_("data and models are empty: there is nothing to save"))
        return
    price = stored.receiving(account.region, [one.size for one in held.values()])
    told = rate.told()
    say(
        _("first saved to {folder}: {size} of data and models, about {price} for the download").format(
            folder=amounts.short(folder),
            size=amounts.size(sum(one.size for one in held.values())),
            price=rate.beside(price.amount),
        )
        + (f" ({told})" if told else "")
    )


def save_all(target: Target, leaving: Leaving, folder: Path, say: Callable[[str], None]) -> dict[str, Fetched]:
    """What was saved, by purpose. Raises UserError before anything is taken down when something can't be."""
    from cloudkite.models import fetching

    made = {}
    for purpose, bucket in kept(leaving).items():
        with screen.waiting(_("saving {name} ...").format(name=bucket.name)) as tell:
            saved = fetching.save(target, bucket.ref, folder / purpose, progress=tell)
        said = counted(
            "saved {count} file, {size}, in {path}",
            "saved {count} files, {size}, in {path}",
            saved.files,
            size=amounts.size(saved.bytes),
            path=amounts.short(saved.folder),
        )
        say(said)
        made[purpose] = saved
    return made


def take_down(
    account: Account,
    target: Target,
    *,
    everything: bool,
    watched: bool = False,
    jobs: Sequence[Job] | None = None,
    quiet: bool = False,
    brief: bool = False,
) -> list[Resource]:
    """The body of `down`; gives the resources that are left. `jobs` are those to cancel, by default all that run."""
    from cloudkite import engine
    from cloudkite.jobs import service

    say = (lambda *_a, **_k: None) if quiet else screen.say
    if jobs is None:
        jobs = service.running(target) if account.outputs_file.is_file() else []
    for job in jobs:  # nothing may go on costing
        service.cancel(target, job)
        say(_("cancelled job {name}").format(name=job.name))
    # They are the ledger of this month, so they stay with data and models.
    if everything and account.outputs_file.is_file() and (kept := service.forget(target)):
        say(counted("{count} Cloud Run job deleted", "{count} Cloud Run jobs deleted", kept))
    days = undelete_days(engine.leaving(account, everything, watched)[0])
    with screen.waiting(_("taking down ..."), live=brief) as tell:
        removed, seconds = unmake(account, target, everything, watched, tell)
    time = amounts.duration(seconds)
    removed_ = counted("{count} resource removed in {time}", "{count} resources removed in {time}", removed, time=time)
    say(removed_ if removed else _("nothing to remove"))
    left = engine.left(account)
    if not left:
        say(_("nothing is left of what `up` made"))
        if removed and days and brief:  # else it was said before
            say(_kept_by_google(days))
    return left


def _cap(account: Account, target: Target) -> Step | None:
    """What goes of Google's spend cap, which the engine knows nothing of."""
    from cloudkite.accounts import settings
    from cloudkite.money.stops import cap

    return cap.removal(target, settings.check(settings.read(account.settings), account.name))


def unmake(
    account: Account, target: Target, everything: bool, watched: bool, tell: Callable[[str], None]
) -> tuple[int, float]:
    """Take away what `up` made, its spend cap too: (how much that was, seconds). Raises UserError."""
    from cloudkite import engine
    from cloudkite.money.stops import cap

    outcome = engine.down(account, target, everything=everything, on_step=steps(tell), watched=watched)
    if step := _cap(account, target):
        cap.carry_out(target, step, "")
    return sum(outcome.changes.values()) + bool(step), outcome.seconds


def _show_left(
    account: Account, target: Target, left: Sequence[Resource], everything: bool, as_json: bool, rate: Rate
) -> None:
    """What the APIs say after all is done: the proof, with what could not be looked at."""
    from cloudkite.money import inventory, prices

    with screen.waiting(_("looking at what is left ...")):
        standing = inventory.take(target)
    costing = standing.bills
    if as_json:
        screen.as_json(_as_json(left, standing))
        return
    if left:
        screen.heading(_("left on purpose"))
        show_monthly(prices.monthly(left, account.region), account, rate)
        if not everything:
            screen.say(_("remove them too: uv run invoke down --everything"))
    if costing:
        screen.heading(_("what is in the project and costs"))
        show_standing(costing, rate)
    else:
        rest = len(standing.found) - len(costing)
        said = _("nothing in the project costs a cent a month")
        free = counted("{count} thing is there and costs nothing", "{count} things are there and cost nothing", rest)
        screen.say(f"{said} ({free})" if rest else said)
    for one in standing.unseen:
        screen.warn(_("not looked at: {what}").format(what=one))


def show_standing(rows: Sequence[Standing], rate: Rate) -> None:
    """A table of what is there and what each costs a month."""
    known = [one.monthly for one in rows if one.monthly is not None]
    total = (_("in all"), "", "", rate.beside(sum(known, Decimal(0)))) if len(known) > 1 else None
    shown = [(one.kind, one.name, one.why, rate.beside(one.monthly)) for one in rows]
    screen.table([_("what"), _("name"), _("how it is counted"), _("USD per month")], shown, right=[3], total=total)


def _as_json(left: Sequence[Resource], standing: Inventory) -> dict[str, Any]:
    return {"left": left, "standing": standing.found, "unseen": standing.unseen, "prices_of": standing.as_of}


def _kept_by_google(days: int) -> str:
    said = _("Google keeps what is in data and models for another {days} days, to be restored, and bills it")
    return said.format(days=days)


def undelete_days(resources: Sequence[Resource]) -> int:
    """For so many days Cloud Storage keeps, and bills, what was in those buckets when they are deleted; 0 for none."""
    policies = [one.inputs.get("softDeletePolicy") for one in resources if one.kind == "Bucket"]
    return max((int(p["retentionDurationSeconds"]) // 86400 for p in policies if p), default=0)
