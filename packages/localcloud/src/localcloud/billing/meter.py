"""The meter of one cloud: notes what is used, watches trials and budgets, and ends what nobody pays for."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from localcloud.artifacts.store import KIND as REPOSITORY
from localcloud.billing import charges, pacific, report, store
from localcloud.billing.accounts import (
    PAID,
    TRIAL_NANOS,
    Accounts,
    Trial,
    not_activated,
    trial_account,
)
from localcloud.billing.budgets import ahead, alerts, caps
from localcloud.billing.charges import Line, dollars
from localcloud.billing.ledger import Ledger
from localcloud.core.asked.counts import EARLY, Counts, Thing
from localcloud.core.asked.usage import DEFAULT_PAYER, Pool, Span, Stopper
from localcloud.core.errors import ApiError
from localcloud.projects.store import Projects
from localcloud.services.enabled import not_paid
from localcloud.storage.store import Storage

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

log = logging.getLogger(__name__)
Body = dict[str, Any]
_TICK = 30.0  # seconds of real time between two looks


class Billing:
    """Charges, accounts and budgets of one cloud. Methods may be called from any thread, coroutines in the loop."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        folder = cloud.folder("billing")
        self.ledger = Ledger(folder / "ledger.sqlite")
        self.counts = Counts(cloud)
        self.accounts = cloud.of(Accounts)
        self._lock = threading.RLock()
        self._stoppers: list[Stopper] = []
        cloud.clock.before_forward(self.sample)
        cloud.clock.on_forward(self.settle, self.due)
        cloud.on_start(self._watch)
        cloud.on_stop(self._write_down)

    # What is used

    def note(self, span: Span) -> None:
        """Keep a span, or what is new about it."""
        self.ledger.note(span)

    def begin(self, resource: str, project: str, region: str, pools: tuple[Pool, ...], body: Body) -> None:
        """Machines that serve (an endpoint's nodes, a batch prediction's) are there from now on, idle or not.

        `resource` is a name of one's own such as "locations/R/endpoints/1/deployedModels/2"; `project` the id; `body`
        has the `displayName` and perhaps `labels`.
        """
        now = int(self._cloud.clock.time())
        if payer := self.payer(project):
            labels, title = body.get("labels", {}), body.get("displayName", "")
            self.ledger.note(Span(resource, "serving", project, payer, region, pools, labels, now, title=title))

    def end(self, resource: str, moment: int | None = None) -> None:
        """They are gone, since `moment` or now."""
        self.ledger.end(resource, int(self._cloud.clock.time()) if moment is None else moment)

    def mail(self, receiver: str, subject: str, about: str) -> None:
        """Keep an e-mail that Google would send."""
        self.ledger.post(self._cloud.clock.stamp(), receiver, subject, about)

    def sample(self) -> None:
        """Note what is stored at this moment."""
        now = int(self._cloud.clock.time())
        levels: dict[Thing, int] = {}
        for bucket, project, kind, size in self._cloud.of(Storage).usage():
            payer = self.payer(project)
            if payer and size:
                levels[Thing.of_bucket(bucket, project, kind, payer)] = size
        with self._lock:
            self.ledger.sample(now, levels)
            if counted := self.counts.take():
                payers = {thing.project: self.payer(thing.project) for _, thing in counted}
                paid = {
                    (what, replace(thing, payer=payers[thing.project])): amount
                    for (what, thing), amount in counted.items()
                    if payers[thing.project]
                }
                self.ledger.count(pacific.day(now), paid)

    def deleted_early(self, bucket: Body, project: str, storage_class: str, size: int, seconds: float) -> None:
        """An object was to be kept for so many seconds more."""
        self.counts.add(EARLY, Thing.of_bucket(bucket, project, storage_class), size * int(seconds))

    def payer(self, project_id: str) -> str:
        """The billing account that pays for a project now, "" for none."""
        project = self._cloud.of(Projects).find(project_id)
        return project["billingAccount"] if project and not self.accounts.state(project["projectId"]) else ""

    # The bill

    def lines(self) -> list[Line]:
        """All lines until now, by day, with the credits of trials."""
        now = int(self._cloud.clock.time())
        credits = [trial.credit for trial in self.accounts.trials()]
        return charges.lines(self.ledger.spans(), self.ledger.counted(now), now, credits)

    def bill(self, project: str = "", month: str = "") -> Body:
        """What everything has cost, and goes on to cost, in JSON: see report.py."""
        now = int(self._cloud.clock.time())
        wanted = [line for line in self.lines() if project in ("", line.project)]
        hourly = charges.hourly(self.ledger.spans(), self.ledger.levels(), now)
        trials = self.trials()
        shown = [line for line in wanted if line.day.isoformat().startswith(month)]
        payers = {line.payer for line in wanted} | {trial["account"] for trial in trials.values()}
        return report.bill(
            shown,
            [line for line in hourly if project in ("", line.project)],
            [line for line in wanted if line.day.isoformat()[:7] == pacific.day(now).isoformat()[:7]],
        ) | {
            "other_currencies": report.in_currencies(shown, {one: self._currency(one) for one in payers}),
            "trials": trials,
            "mail": self.ledger.mail(),
        }

    def trials(self) -> dict[str, Body]:
        """Project -> what is left of its free trial: credit in dollars, days."""
        all_lines = self.lines() if self.accounts.trials() else []
        return {trial.project: self._trial(trial, all_lines) for trial in self.accounts.trials()}

    def _trial(self, trial: Trial, all_lines: list[Line]) -> Body:
        used = _gross(all_lines, trial)
        seconds = max(trial.ends - self._cloud.clock.time(), 0)
        left = max(TRIAL_NANOS - used, 0) if seconds and trial.closed is None else 0
        return {
            "account": trial.account,
            "credit_left": dollars(left),
            "currency": self._currency(trial.account),
            "days_left": -int(-seconds // 86_400),
            "state": _state(trial),
        }

    def _currency(self, payer: str) -> str:
        return self.accounts.paying(payer)["currencyCode"]

    async def upgrade(self, project_id: str) -> Body:
        """Make a paying account of a trial's; gives what is left of the trial. Raises 400."""
        await self.settle()
        trial = self.accounts.trial(project_id)
        used = _gross(self.lines(), trial) if trial else 0
        self.accounts.upgrade(project_id, max(used - TRIAL_NANOS, 0))
        return self.trials()[project_id]

    # Who pays

    def state(self, project_id: str) -> str:
        """Whether a project is paid for: see Accounts."""
        return self.accounts.state(project_id)

    def on_trial(self, project_id: str) -> bool:
        """Whether a project is on a free trial that was not upgraded."""
        return self.accounts.on_trial(project_id)

    def forget_states(self) -> None:
        """Something about who pays has changed."""
        self.accounts.forget_states()

    def adopt_old(self) -> None:
        """Projects of older local clouds, in which nothing was billed, are paid for as those of today."""
        for project in self._cloud.of(Projects).list():
            if not project.get("linked"):
                payer = project["billingAccount"] or DEFAULT_PAYER
                self._cloud.of(Projects).update(project["projectId"], billingAccount=payer, linked=True)
        self.accounts.forget_states()

    def create_trial(self, project_id: str) -> Body:
        """A project as a new customer has it, on a free trial; one that is there stays as it is. Raises 400."""
        made = self._cloud.of(Projects).create(project_id, payer=trial_account(project_id))
        if made["billingAccount"] == trial_account(project_id) and self.accounts.trial(project_id) is None:
            self.accounts.start_trial(project_id)
        return made

    def open_account(self, project_id: str, name: str, currency: str, is_open: bool = True, pays: bool = True) -> Body:
        """Open a billing account for who owns a project, unless it is there; gives it. Raises 400.

        It `pays` for the project from then on, if it is open and nobody chose who does.
        """
        project = self._cloud.of(Projects).get(project_id)
        found = self.accounts.open(name, project.get("person", ""), currency, is_open)
        if pays and found["open"] and self.accounts.is_of(name, project.get("person", "")):
            self.sample()
            self.accounts.rename(project["projectId"], name)
        return found

    def check_paid(self, project: Body, service: str) -> None:
        """Raises 403 BILLING_DISABLED where `service` needs an open billing account and the project has none."""
        if service in PAID and self.accounts.state(project["projectId"]):
            raise not_paid(project, service)

    def check_cap(self, project_id: str, service: str) -> None:
        """Raises 429 where a spend cap of a project pauses `service`."""
        project = self._cloud.of(Projects).get(project_id)
        if caps.paused(store.all_budgets(self._cloud), project, service):
            raise caps.refusal(project)

    def check_activation(self, project: Body, services: list[str]) -> None:
        """Raises 400 UREQ_PROJECT_BILLING_NOT_FOUND for APIs that can't be turned on without an account."""
        wanted = sorted(set(services) & PAID)
        if wanted and self.accounts.state(project["projectId"]):
            raise not_activated(project, wanted)

    async def link(self, project_id: str, name: str) -> None:
        """Let an account pay for a project, "" for none: then everything in it ends. Raises 400."""
        if name and not self.accounts.get(name)["open"]:
            raise ApiError(400, "Precondition check failed.", "FAILED_PRECONDITION")
        self.sample()
        self._cloud.of(Projects).update(project_id, billingAccount=name)
        self.accounts.forget_states()
        self.sample()
        if not name:
            await self.stop(project_id, "The billing account of the project was unlinked.")

    async def stop(self, project_id: str, why: str) -> None:
        """End all that costs by the hour in a project that is deleted or nobody pays for. What is stored stays."""
        from localcloud.run.store import RunJobs
        from localcloud.vertex.store import Vertex  # its types take seconds: only where something ran

        vertex = self._cloud.of(Vertex)  # first: who must stop something says so when it is loaded
        ends = await asyncio.gather(
            vertex.end_all(project_id, why),
            self._cloud.of(RunJobs).end_all(project_id, why),
            *(stopper(project_id, why) for stopper in self._stoppers),
            return_exceptions=True,
        )
        for error in ends:
            if isinstance(error, BaseException):
                log.error("something of %s can't be stopped", project_id, exc_info=error)

    def on_unpaid(self, stopper: Stopper) -> None:
        """Await `stopper(project_id, why)` when nobody pays for a project any more; it ends what costs by the hour."""
        self._stoppers.append(stopper)

    # By the clock

    async def settle(self) -> None:
        """Everything that the time until now causes: charges, the end of trials, notifications of budgets."""
        for trial in await asyncio.to_thread(self._settle):
            for project in self._cloud.of(Projects).list():
                if project["billingAccount"] == trial.account:
                    await self.stop(project["projectId"], "The free trial is over: its billing account is closed.")
        await self._delete_ended()

    async def _delete_ended(self) -> None:
        """Thirty days after its end, what a trial's projects hold is deleted, and no upgrade brings it back."""
        now = self._cloud.clock.time()
        for trial in self.accounts.trials():
            if trial.deletes is not None and now > trial.deletes:
                for project in self._cloud.of(Projects).list():
                    if project["billingAccount"] == trial.account:
                        await self._delete_all(project)
                self.accounts.note_deleted(trial)

    async def _delete_all(self, project: Body) -> None:
        """Objects, buckets, all of Vertex AI and images of a project; whose accounts and permissions stay."""
        await asyncio.to_thread(self._cloud.of(Storage).forget_project, project["projectId"])
        if (self._cloud.root / "vertex").exists():
            from localcloud.vertex.store import Vertex  # its types take seconds: only where something ran

            self._cloud.of(Vertex).forget_all(project)
        self._cloud.documents.forget(REPOSITORY, f"projects/{project['projectId']}/")
        self.sample()

    def _settle(self) -> list[Trial]:
        """Gives the trials that have ended."""
        with self._lock:
            now = int(self._cloud.clock.time())
            self.sample()
            trials, budgets = self.accounts.trials(), store.all_budgets(self._cloud)
            if not trials and not budgets:
                return []
            found = self.lines()
            for budget in budgets:
                cap = alerts.check(self._cloud, self.ledger, self.accounts.kept, budget, found, now)
                if cap:
                    store.put_cap_state(self._cloud, budget["name"], cap)
            ended = [trial for trial in trials if self._is_over(trial, found)]
            for trial in ended:
                self.accounts.close_trial(trial)
            if ended:
                self.sample()
            return ended

    def due(self, grain: float) -> float | None:
        """When a trial is over, or a budget has something to tell, in seconds, if all goes on as it does now."""
        with self._lock:
            now = int(self._cloud.clock.time())
            trials = [trial for trial in self.accounts.trials() if not trial.upgraded and trial.closed is None]
            budgets = store.all_budgets(self._cloud)
            deletes = [trial.deletes for trial in self.accounts.trials() if trial.deletes is not None]
            if not trials and not budgets and not deletes:
                return None
            found, hourly = self.lines(), charges.hourly(self.ledger.spans(), self.ledger.levels(), now)
            moments: list[float | None] = [trial.ends for trial in trials]
            moments += deletes
            for trial in trials:
                used, rate = (_gross(lines, trial) for lines in (found, hourly))
                moments.append(ahead.reaches(used, rate, TRIAL_NANOS, now))
            for budget in budgets:
                moments.append(alerts.due(self._cloud, self.accounts.kept, budget, found, hourly, now, grain))
            return min((moment for moment in moments if moment is not None and moment > now), default=None)

    def _is_over(self, trial: Trial, found: list[Line]) -> bool:
        if trial.upgraded or trial.closed is not None:
            return False
        return self._cloud.clock.time() >= trial.ends or _gross(found, trial) >= TRIAL_NANOS

    async def _stop_what_was_left(self) -> None:
        """End what still runs because a kill came in the middle of an unlinking, a trial's end or a deletion."""
        if not any((self._cloud.root / api).exists() for api in ("vertex", "run")):
            return
        for project in self._cloud.of(Projects).list():
            if state := self.accounts.state(project["projectId"]):
                gone = f"Project #{project['projectNumber']} has been deleted."
                why = gone if state == "deleted" else f"The billing account of the project is {state}."
                await self.stop(project["projectId"], why)

    async def _write_down(self) -> None:
        await asyncio.to_thread(self.sample)

    async def _watch(self) -> None:
        await self._stop_what_was_left()
        while True:
            try:
                await self.settle()
            except Exception:
                log.exception("charges can't be settled")
            await asyncio.sleep(_TICK)


def _state(trial: Trial) -> str:
    if trial.upgraded:
        return "upgraded"
    return "open" if trial.closed is None else "closed" if trial.deleted is None else "deleted"


def _gross(lines: list[Line], trial: Trial) -> int:
    """What the lines of a trial's account cost, in nanos, before its credit."""
    return sum(line.nanos or 0 for line in lines if line.payer in trial.payers)
