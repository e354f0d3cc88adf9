"""Many accounts of one owner at once: looked at, shown in one table, asked about once, then set up or taken down.

Four at a time, in threads of this process: what infra/ imports (pulumi_gcp) is then in memory once, and not four times
(docs/performance.md has both measured). An account that fails stops no other.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite import interrupts
from cloudkite.accounts import registry
from cloudkite.accounts import target as targets
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.journey import outlook, setup, teardown, trial
from cloudkite.journey.reach import refuse_shared
from cloudkite.journey.setup import check_rights
from cloudkite.show import amounts, mistakes, screen
from cloudkite.show.errors import FAILED, INTERRUPTED, BadValue, UserError
from cloudkite.show.lines import lines
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from cloudkite.accounts.asked.preflight import Report
    from cloudkite.engine import Preview
    from cloudkite.journey.teardown import Leaving
    from cloudkite.money.stops import cap

AT_ONCE = 4
_LOOK = 0.2  # seconds between two looks for a Ctrl-C, which Windows tells a waiting thread no earlier


@dataclass
class Fate:
    """What becomes of one account. `monthly` is in USD, None where a price is not known."""

    name: str
    account: Account | None = None
    target: Target | None = None
    report: Report | None = None
    preview: Preview | None = None
    step: cap.Step | None = None
    leaving: Leaving | None = None
    monthly: Decimal | None = None
    changes: int = 0
    seconds: float = 0.0
    result: str = ""
    notes: list[str] = field(default_factory=list)
    error: UserError | None = None

    @property
    def connected(self) -> tuple[Account, Target]:
        """Both, once it was looked at."""
        assert self.account and self.target
        return self.account, self.target

    @property
    def project(self) -> str:
        return self.account.project if self.account else ""

    @property
    def who(self) -> str:
        return self.target.identity if self.target else ""


def refuse_everything(given: bool) -> None:
    """Raise BadValue for `down --everything` of several accounts: whose data go is confirmed one by one."""
    if given:
        raise BadValue(
            _("--everything deletes data and models, and is for one account at a time"),
            _("uv run invoke down --everything --account NAME"),
        )


def refuse_start(given: str) -> None:
    """Raise BadValue for `up --trial-started` of several accounts: each trial began on a day of its own."""
    if given:
        raise BadValue(
            _("--trial-started is for one account at a time"),
            _("uv run invoke up --trial-started {day} --account NAME").format(day=given),
        )


def chosen(workspace: Workspace, everything: bool, typed: str, one: str) -> list[str]:
    """The names that `--all` or `--accounts a,b` mean. Raises BadValue."""
    if one or (everything and typed):
        raise BadValue(_("--all, --accounts and --account exclude each other"), _("leave all but one of them out"))
    known = registry.names(workspace)
    if everything:
        return known
    names = list(dict.fromkeys(filter(None, (part.strip() for part in typed.split(",")))))
    if not names:
        raise BadValue(_("--accounts names no account"), _("for example --accounts home,school"))
    for name in names:
        if name not in known:
            registry.load(workspace, name)  # raises, with the names that come near
    return names


def up(workspace: Workspace, names: Sequence[str], *, yes: bool, as_json: bool = False, look: bool = False) -> None:
    """Look at all, show what would change and what that costs a month, ask once, set up.

    Raises UserError at the end when an account failed, or when it was interrupted (130).
    """
    fates = [Fate(name) for name in names]
    with _interruptible():
        _side_by_side(fates, lambda fate, tell: _look_up(workspace, fate, tell, look=look))
        _stop_here(fates, as_json)
        waiting = [fate for fate in fates if fate.preview and fate.preview.changes and not fate.error]
        if not as_json:
            _show_up(fates)
        if look or not waiting:
            _end("up", fates, as_json)
            return
        _consent(waiting, yes, _("set {names} up?"))
        _side_by_side(waiting, lambda fate, tell: _make(workspace, fate, tell))
        _end("up", fates, as_json)


def down(workspace: Workspace, names: Sequence[str], *, save: Path | None, yes: bool, as_json: bool = False) -> None:
    """The same for `down`: data and models stay. Raises as `up` does."""
    fates = [Fate(name) for name in names]
    with _interruptible():
        _side_by_side(fates, lambda fate, tell: _look_down(workspace, fate, tell))
        _stop_here(fates, as_json)
        waiting = [f for f in fates if f.leaving and f.leaving.anything and not f.error]
        if not as_json:
            _show_down(fates)
        if not waiting:
            _end("down", fates, as_json)
            return
        _consent(waiting, yes, _("take {names} down? data and models stay"))
        _side_by_side(waiting, lambda fate, tell: _take_down(fate, save, tell))
        _end("down", fates, as_json)


# --- what is done to one account, in a thread

Tell = Callable[[str], None]


def _look_up(workspace: Workspace, fate: Fate, tell: Tell, *, look: bool) -> str:
    from cloudkite.money import prices

    account, target = _connect(workspace, fate, tell)
    refuse_shared(workspace, account)
    if not look:  # for a look alone nobody needs the right to more
        check_rights(account, target)
        fate.target = target = trial.settle_start(workspace, target)
        fate.account = account = target.account
    tell(_("looking at what is there ..."))
    fate.report = None if look else outlook.check(account, target, fate.notes.append)
    fate.preview, fate.step = setup.look_ahead(account, target, tell)
    preview = fate.preview
    fate.notes += preview.warnings
    known = [row.amount for row in prices.monthly(preview.resources, account.region)]
    fate.monthly = None if any(one is None for one in known) else sum((one or Decimal(0) for one in known), Decimal(0))
    fate.result = _("nothing to change") if not preview.changes else ""
    return fate.result or counted("{count} change", "{count} changes", len(preview.changes))


def _make(workspace: Workspace, fate: Fate, tell: Tell) -> str:
    (account, target), report, preview = fate.connected, fate.report, fate.preview
    assert report and preview
    outlook.check_the_rest(account, target, report, tell, fate.notes.append)
    outcome = setup.make(workspace, account, target, preview, fate.step, tell)
    fate.changes, fate.seconds = sum(outcome.changes.values()), outcome.seconds
    fate.notes += [one for one in outcome.warnings if one not in fate.notes]
    fate.result = _("set up")
    time_ = amounts.duration(outcome.seconds)
    return counted("set up: {count} change in {time}", "set up: {count} changes in {time}", fate.changes, time=time_)


def _look_down(workspace: Workspace, fate: Fate, tell: Tell) -> str:
    account, target = _connect(workspace, fate, tell)
    check_rights(account, target)
    tell(_("looking at what is there ..."))
    fate.leaving = leaving = teardown.look(account, target, everything=False)
    fate.monthly = _sum(one.monthly for one in leaving.bills)
    fate.result = _("nothing to remove") if not leaving.anything else ""
    return fate.result or counted("{count} resource goes", "{count} resources go", len(leaving.goes))


def _take_down(fate: Fate, save: Path | None, tell: Tell) -> str:
    from cloudkite.jobs import service
    from cloudkite.models import fetching
    from cloudkite.money import inventory

    (account, target), leaving = fate.connected, fate.leaving
    assert leaving
    for purpose, bucket in teardown.kept(leaving).items() if save else ():
        tell(_("saving {name} ...").format(name=bucket.name))
        fetching.save(target, bucket.ref, (save or Path()) / account.name / purpose, progress=tell)
    interrupts.refuse()
    for job in leaving.jobs:  # nothing may go on costing
        service.cancel(target, job)
    fate.changes, fate.seconds = teardown.unmake(account, target, False, leaving.watched, tell)
    tell(_("looking at what is left ..."))
    left = inventory.take(target)
    fate.monthly = _sum(one.monthly for one in left.bills)
    fate.notes += [_("not looked at: {what}").format(what=one) for one in left.unseen]
    fate.result = _("taken down")
    return counted(
        "taken down: {count} resource in {time}",
        "taken down: {count} resources in {time}",
        fate.changes,
        time=amounts.duration(fate.seconds),
    )


def _connect(workspace: Workspace, fate: Fate, tell: Tell) -> tuple[Account, Target]:
    tell(_("connecting ..."))
    fate.account = registry.load(workspace, fate.name)
    fate.target = targets.connect(workspace, fate.account)
    fate.notes += fate.target.notes
    fate.target.identity  # noqa: B018  asked for here, where it may take a request, and kept
    fate.notes += filter(None, [trial.said(fate.target)])
    return fate.account, fate.target


def _sum(each: Iterable[Decimal | None]) -> Decimal | None:
    found = list(each)
    return None if any(one is None for one in found) else sum((one or Decimal(0) for one in found), Decimal(0))


def _total(fates: Sequence[Fate]) -> Decimal | None:
    """What all that are billed cost a month; where none is, what they would on Google."""
    billed = [fate for fate in fates if fate.account and fate.account.costs_money]
    return _sum(fate.monthly for fate in billed or fates)


# --- several at once


def _side_by_side(fates: Sequence[Fate], work: Callable[[Fate, Tell], str]) -> None:
    """Do `work` for each, four at a time. What fails is kept in its fate, and a Ctrl-C lets all of them end cleanly."""
    names = [fate.name for fate in fates]
    pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
    with interrupts.heard(), lines(names) as (tell, ended), pool:

        def one(fate: Fate) -> None:
            began = time.monotonic()
            try:
                interrupts.refuse()
                said = work(fate, lambda text: tell(fate.name, text))
            except Exception as problem:
                fate.error = _told(fate.name, problem)
                fate.seconds = time.monotonic() - began
                interrupted = fate.error.code == INTERRUPTED
                fate.result = _("interrupted") if interrupted else _("failed")
                first = fate.error.message.partition("\n")[0]
                said = fate.result if interrupted else _("failed: {why}").format(why=first)
            ended(fate.name, said)

        left, told = {pool.submit(one, fate) for fate in fates}, False
        try:
            while left:
                left = concurrent.futures.wait(left, timeout=_LOOK).not_done
                if interrupts.asked() and not told:
                    told = True
                    screen.note(_("interrupted: what is in flight is finished and saved; again stops it at once"))
        except BaseException:  # the pool waits for all that was begun: let it end, and begin nothing more
            interrupts.ask()
            raise


def _told(name: str, problem: Exception) -> UserError:
    """The mistake in the reader's words; a defect of ours stops no other account either."""
    known = mistakes.explained(problem)
    return known or UserError(
        f"{type(problem).__name__}: {problem}",
        _("uv run invoke --debug up --account {name} shows more").format(name=name),
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """What was interrupted is forgotten at the end: another command of the same process begins anew."""
    interrupts.forget()
    try:
        yield
    finally:
        interrupts.forget()


def _stop_here(fates: Sequence[Fate], as_json: bool) -> None:
    """Raise UserError for a Ctrl-C while all were only looked at: nothing was begun, and nothing is asked."""
    if interrupts.asked():
        if as_json:
            screen.as_json([_as_json(fate) for fate in fates])
        raise UserError(_("interrupted; nothing was changed"), code=INTERRUPTED)


def _consent(fates: Sequence[Fate], yes: bool, question: str) -> None:
    """One question for all. Raises UserError when the answer is no, or nobody can answer."""
    asked = [fate for fate in fates if fate.account and fate.account.costs_money]
    if not asked or yes:
        return
    shown = ", ".join(fate.name for fate in fates[:5]) + (", ..." if len(fates) > 5 else "")
    some = counted("{count} account ({names})", "{count} accounts ({names})", len(fates), names=shown)
    if not screen.confirm(question.format(names=some)):
        raise UserError(_("nothing was changed"))


# --- what is shown


def _show_up(fates: Sequence[Fate]) -> None:
    seen = [fate for fate in fates if fate.preview]
    if not seen:
        return
    changes = sum(len(fate.preview.changes) for fate in seen if fate.preview)
    total = (_("in all"), "", "", changes, "", amounts.money(_total(seen), "USD"))
    screen.heading(_("what would change, and the price per month"))
    screen.table(
        [_("account"), _("project"), _("as"), _("changes"), _("by others"), _("USD per month")],
        [
            (
                fate.name,
                fate.project,
                fate.who,
                len(fate.preview.changes) if fate.preview else "",
                len(fate.preview.drift) or "" if fate.preview else "",
                amounts.money(fate.monthly, "USD"),
            )
            for fate in seen
        ],
        right=[3, 4, 5],
        total=total,
        spare=[2],
    )
    dates = sorted({row.as_of for fate in seen for row in _rows(fate) if row.as_of})
    if dates:
        said = _("prices of {date}, before tax, while nothing is stored; accounts on the local cloud cost nothing")
        screen.say(said.format(date=dates[0]), style="dim")


def _rows(fate: Fate) -> list[Any]:
    from cloudkite.money import prices

    return prices.monthly(fate.preview.resources, fate.account.region) if fate.preview and fate.account else []


def _show_down(fates: Sequence[Fate]) -> None:
    seen = [fate for fate in fates if fate.leaving]
    if not seen:
        return
    screen.heading(_("what goes, what stays, and what goes on costing per month"))
    screen.table(
        [_("account"), _("project"), _("as"), _("goes"), _("stays"), _("jobs cancelled"), _("USD per month")],
        [
            (
                fate.name,
                fate.project,
                fate.who,
                len(fate.leaving.goes) if fate.leaving else "",
                len(fate.leaving.stays) if fate.leaving else "",
                len(fate.leaving.jobs) if fate.leaving else "",
                amounts.money(fate.monthly, "USD"),
            )
            for fate in seen
        ],
        right=[3, 4, 5, 6],
        total=(_("in all"), "", "", "", "", "", amounts.money(_total(seen), "USD")),
        spare=[2],
    )
    dates = sorted({fate.leaving.standing.as_of for fate in seen if fate.leaving})
    if dates:
        screen.say(_("prices of {date}, before tax").format(date=dates[0]), style="dim")


def _end(verb: str, fates: Sequence[Fate], as_json: bool) -> None:
    """How each account ended, and what is wrong with those that failed. Raises UserError for them."""
    if as_json:
        screen.as_json([_as_json(fate) for fate in fates])
    else:
        screen.heading(_("how it ended"))
        rows = [
            (fate.name, fate.project, fate.result or _("as it was"), fate.changes or "", _time(fate)) for fate in fates
        ]
        screen.table([_("account"), _("project"), _("result"), _("changes"), _("time")], rows, right=[3, 4])
    for fate in fates:
        for said in fate.notes:
            screen.warn(f"{fate.name}: {said}")
    failed = [fate for fate in fates if fate.error and fate.error.code != INTERRUPTED]
    for fate in failed:
        assert fate.error
        screen.error(UserError(f"{fate.name}: {fate.error.message}", fate.error.hint))
    broken = [fate for fate in fates if fate.error]
    if not broken:
        return
    hint = _("uv run invoke {verb} --accounts {names} goes on with them")
    names = ",".join(fate.name for fate in broken)
    if interrupts.asked() or len(failed) < len(broken):
        raise UserError(
            _("interrupted; what was done until then is in the state"), hint.format(verb=verb, names=names), INTERRUPTED
        )
    said = counted("{count} of {all} accounts failed", "{count} of {all} accounts failed", len(failed), all=len(fates))
    raise UserError(said, hint.format(verb=verb, names=names), FAILED)


def _time(fate: Fate) -> str:
    return amounts.duration(fate.seconds) if fate.seconds else ""


def _as_json(fate: Fate) -> dict[str, Any]:
    preview, leaving = fate.preview, fate.leaving
    return {
        "account": fate.name,
        "project": fate.project,
        "result": fate.result or _("as it was"),
        "changed": fate.changes,
        "would_change": len(preview.changes) if preview else len(leaving.goes) if leaving else None,
        "by_others": len(preview.drift) if preview else None,
        "usd_per_month": fate.monthly,
        "seconds": round(fate.seconds, 2),
        "error": fate.error.message if fate.error else None,
        "hint": fate.error.hint if fate.error else None,
    }
