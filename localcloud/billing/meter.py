"""The meter of one cloud: notes what is used, watches trials and budgets, and ends what nobody pays for."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localcloud.billing import alerts, charges, store
from localcloud.billing.accounts import (
    DEFAULT,
    PAID,
    TRIAL_NANOS,
    Accounts,
    Trial,
    not_activated,
    not_paid,
    trial_account,
)
from localcloud.billing.charges import Line, dollars
from localcloud.billing.ledger import Ledger, Level, Pool, Span
from localcloud.documents import Documents
from localcloud.errors import ApiError

if TYPE_CHECKING:
    from localcloud.cloud import Cloud
    from localcloud.vertex.jobs import Job

log = logging.getLogger(__name__)
Body = dict[str, Any]
Stopper = Callable[[str, str], Awaitable[None]]
_TICK = 30.0  # seconds of real time between two looks
_SAMPLE = 600  # seconds between two samples of what is stored
_SPOT = ("SPOT", "FLEX_START", "LOW_COST")


class Billing:
    """Charges, accounts and budgets of one cloud. Methods may be called from any thread, coroutines in the loop."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        folder = cloud.folder("billing")
        self.ledger = Ledger(folder / "ledger.sqlite")
        self._kept = Documents(folder / "state.sqlite")
        self.accounts = Accounts(cloud, self._kept)
        self._lock = threading.RLock()
        self._sampled = 0
        self._stoppers: list[Stopper] = []
        cloud.clock.before_forward(self.sample)
        cloud.clock.on_forward(self.settle)
        cloud.on_start(self._watch)

    # What is used

    def note_job(self, job: Job) -> None:
        """Keep from when to when a job had its machines; called before each change of one is kept.

        Each attempt is charged by itself: nothing is paid while a job waits for machines, again or the first time.
        https://cloud.google.com/vertex-ai/docs/training/use-spot-vms
        """
        body = job.body
        if "startTime" not in body:
            return
        _, _, _, region, *rest = body["name"].split("/")
        resource = f"locations/{region}/{'/'.join(rest)}"
        now = _seconds(body["updateTime"])
        if "began" not in job.run:  # it waits, or has ended while it did
            self.ledger.end(_attempt(resource, job.attempt - 1), now)
            return
        resource, began = _attempt(resource, job.attempt), _seconds(job.run["began"])
        ended = None
        if "endTime" in body:  # one that is out of time ends a little later, or after a jump of the clock much later
            ended = max(began, min(_seconds(body["endTime"]), _seconds(body["startTime"]) + _timeout(body["jobSpec"])))
            self.ledger.end(resource, ended)  # also where meanwhile nobody pays any more
        if payer := self._payer(job.project):
            spot = body["jobSpec"].get("scheduling", {}).get("strategy", "") in _SPOT
            pools = tuple(_pool(pool, spot) for pool in body["jobSpec"]["workerPoolSpecs"] if pool)
            labels = body.get("labels", {})
            self.ledger.note(Span(resource, "training", job.project, payer, region, pools, labels, began, ended))

    def begin(
        self, resource: str, project: str, region: str, pools: tuple[Pool, ...], labels: dict[str, str] | None = None
    ) -> None:
        """Machines that serve (an endpoint's nodes, a batch prediction's) are there from now on, idle or not.

        `resource` is a name of one's own such as "locations/R/endpoints/1/deployedModels/2"; `project` the id.
        """
        now = int(self._cloud.clock.time())
        payer = self._payer(project)
        if payer:
            self.ledger.note(Span(resource, "serving", project, payer, region, pools, labels or {}, now))

    def end(self, resource: str) -> None:
        """They are gone."""
        self.ledger.end(resource, int(self._cloud.clock.time()))

    def sample(self) -> None:
        """Note what is stored at this moment."""
        now = int(self._cloud.clock.time())
        levels = []
        for bucket, project, kind, size in self._cloud.storage.usage():
            payer = self._payer(project)
            if payer and size:
                labels = bucket.get("labels", {})
                levels.append(Level(bucket["name"], kind, bucket["location"], project, payer, labels, size))
        with self._lock:
            self.ledger.sample(now, levels)
            self._sampled = now

    def _payer(self, project_id: str) -> str:
        project = self._cloud.projects.find(project_id)
        return project["billingAccount"] if project and not self.accounts.state(project["projectId"]) else ""

    # The bill

    def lines(self) -> list[Line]:
        """All lines until now, by day, with the credits of trials."""
        now = int(self._cloud.clock.time())
        credits = [trial.credit for trial in self.accounts.trials()]
        return charges.lines(self.ledger.spans(), self.ledger.kept(), now, credits)

    def bill(self, project: str = "", month: str = "") -> Body:
        """Lines, total, credits, trials and e-mails in JSON; amounts of money are exact texts in dollars."""
        found = [
            line
            for line in self.lines()
            if project in ("", line.project) and line.day.isoformat().startswith(month or "")
        ]
        gross = sum(line.nanos or 0 for line in found)
        credit = sum(line.credit for line in found)
        currencies = {self.accounts.get(line.payer)["currencyCode"] for line in found} - {"USD"}
        return {
            "lines": [_shown(line) for line in found],
            "cost": dollars(gross),
            "credit": dollars(-credit),
            "total": dollars(gross - credit),
            "currency": "USD",
            "unpriced": sorted({line.sku for line in found if line.nanos is None}),
            "other_currencies": sorted(currencies),
            "trials": self.trials(),
            "mail": self.ledger.mail(),
        }

    def trials(self) -> dict[str, Body]:
        """Project -> what is left of its free trial: credit in dollars, days."""
        all_lines = self.lines() if self.accounts.trials() else []
        return {trial.project: self._trial(trial, all_lines) for trial in self.accounts.trials()}

    def _trial(self, trial: Trial, all_lines: list[Line]) -> Body:
        used = sum(line.nanos or 0 for line in all_lines if line.payer in trial.payers)
        seconds = max(trial.ends - self._cloud.clock.time(), 0)
        left = max(TRIAL_NANOS - used, 0) if seconds and trial.closed is None else 0
        return {
            "account": trial.account,
            "credit_left": dollars(left),
            "days_left": -int(-seconds // 86_400),
            "state": "upgraded" if trial.upgraded else "closed" if trial.closed is not None else "open",
        }

    async def upgrade(self, project_id: str) -> Body:
        """Make a paying account of a trial's; gives what is left of the trial. Raises 400."""
        await self.settle()
        trial = self.accounts.trial(project_id)
        used = sum(line.nanos or 0 for line in self.lines() if trial and line.payer in trial.payers)
        self.accounts.upgrade(project_id, max(used - TRIAL_NANOS, 0))
        return self.trials()[project_id]

    # Who pays

    def adopt_old(self) -> None:
        """Projects of older local clouds, in which nothing was billed, are paid for as those of today."""
        for project in self._cloud.projects.list():
            if not project.get("linked"):
                payer = project["billingAccount"] or DEFAULT
                self._cloud.projects.update(project["projectId"], billingAccount=payer, linked=True)
        self.accounts.forget_states()

    def create_trial(self, project_id: str) -> Body:
        """A project as a new customer has it, on a free trial; one that is there stays as it is. Raises 400."""
        made = self._cloud.projects.create(project_id, payer=trial_account(project_id))
        if made["billingAccount"] == trial_account(project_id) and self.accounts.trial(project_id) is None:
            self.accounts.start_trial(project_id)
        return made

    def check_paid(self, project: Body, service: str) -> None:
        """Raises 403 BILLING_DISABLED where `service` needs an open billing account and the project has none."""
        if service in PAID and self.accounts.state(project["projectId"]):
            raise not_paid(project, service)

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
        self._cloud.projects.update(project_id, billingAccount=name)
        self.accounts.forget_states()
        self.sample()
        if not name:
            await self.stop(project_id, "The billing account of the project was unlinked.")

    async def stop(self, project_id: str, why: str) -> None:
        """End all that costs by the hour in a project that is deleted or nobody pays for. What is stored stays."""
        vertex = self._cloud.vertex  # first: who must stop something says so when it is loaded
        ends = await asyncio.gather(
            vertex.end_all(project_id, why),
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
            for project in self._cloud.projects.list():
                if project["billingAccount"] == trial.account:
                    await self.stop(project["projectId"], "The free trial is over: its billing account is closed.")

    def _settle(self) -> list[Trial]:
        """Gives the trials that have ended."""
        with self._lock:
            now = int(self._cloud.clock.time())
            if now - self._sampled >= _SAMPLE:
                self.sample()
            trials, budgets = self.accounts.trials(), store.all_budgets(self._cloud)
            if not trials and not budgets:
                return []
            found = self.lines()
            for budget in budgets:
                alerts.check(self._cloud, self.ledger, self._kept, budget, found, now)
            ended = [trial for trial in trials if self._is_over(trial, found)]
            for trial in ended:
                self.sample()
                self.accounts.close_trial(trial)
            return ended

    def _is_over(self, trial: Trial, found: list[Line]) -> bool:
        if trial.upgraded or trial.closed is not None:
            return False
        used = sum(line.nanos or 0 for line in found if line.payer in trial.payers)
        return self._cloud.clock.time() >= trial.ends or used >= TRIAL_NANOS

    async def _stop_what_was_left(self) -> None:
        """End what still runs because a kill came in the middle of an unlinking, a trial's end or a deletion."""
        if not (self._cloud.root / "vertex").exists():
            return
        for project in self._cloud.projects.list():
            if state := self.accounts.state(project["projectId"]):
                gone = f"Project #{project['projectNumber']} has been deleted."
                why = gone if state == "deleted" else f"The billing account of the project is {state}."
                await self.stop(project["projectId"], why)

    async def _watch(self) -> None:
        await self._stop_what_was_left()
        while True:
            try:
                await self.settle()
            except Exception:
                log.exception("charges can't be settled")
            await asyncio.sleep(_TICK)


def _attempt(resource: str, number: int) -> str:
    """What an attempt of a job is called in the ledger; bills name the job."""
    return f"{resource}#{number}" if number > 1 else resource


def _pool(given: Body, spot: bool) -> Pool:
    machine, disk = given["machineSpec"], given.get("diskSpec", {})
    return Pool(
        machine["machineType"],
        int(given.get("replicaCount", 1)),
        machine.get("acceleratorType", ""),
        int(machine.get("acceleratorCount", 0)),
        spot,
        disk.get("bootDiskType", "pd-ssd"),
        int(disk.get("bootDiskSizeGb", 100)),
    )


def _timeout(spec: Body) -> int:
    """The most seconds that a job runs: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec#Scheduling"""
    given = str(spec.get("scheduling", {}).get("timeout", "")).removesuffix("s")
    return int(float(given or 0)) or 7 * 86_400


def _seconds(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp())


def _shown(line: Line) -> Body:
    return {
        "day": line.day.isoformat(),
        "project": line.project,
        "account": line.payer,
        "service": line.service,
        "sku": line.sku,
        "resource": line.resource,
        "amount": str(line.amount.quantize(Decimal("1e-9"))),
        "unit": line.unit,
        "cost": None if line.nanos is None else dollars(line.nanos),
        "credit": dollars(-line.credit),
    }
