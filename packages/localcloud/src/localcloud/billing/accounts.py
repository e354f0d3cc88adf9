"""Billing accounts: open or closed, which pays for what, and how Google refuses what nobody pays for."""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from localcloud.billing import pacific
from localcloud.billing.charges import Credit
from localcloud.core import hints
from localcloud.core.asked.usage import DEFAULT_PAYER
from localcloud.core.errors import Advised, ApiError, error_info
from localcloud.core.state.documents import Documents
from localcloud.projects.store import Projects

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
KIND = "billing.account"
_NAME = re.compile(r"billingAccounts/[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}")
_TRIAL = "trial"
# https://cloud.google.com/free/docs/free-cloud-features#free-trial
TRIAL_NANOS = 300 * 10**9
TRIAL_DAYS = 90
_ALL = 10**18  # nanos: more than anybody uses
_GRACE = timedelta(days=30).total_seconds()  # after its end, an upgrade still opens the account again
# Which APIs answer only where somebody pays. Pub/Sub is not among them: see README.md.
PAID = frozenset(
    f"{name}.googleapis.com" for name in "aiplatform artifactregistry compute cloudbuild containerregistry run".split()
)


@dataclass(frozen=True)
class Trial:
    """A free trial: `started` and `closed` (None: open) in seconds; `upgraded`: its account is a paying one since.

    `beyond` is what had run beyond the credit when it was upgraded, in nanos of a dollar: nobody is billed for that.
    `deleted`: when what its projects held was deleted, None while it is there.
    """

    project: str
    account: str
    started: float
    upgraded: bool = False
    closed: float | None = None
    beyond: int = 0
    deleted: float | None = None

    @property
    def deletes(self) -> float | None:
        """When its grace is over and what its projects hold goes; None while nothing is to be deleted."""
        return None if self.upgraded or self.closed is None or self.deleted is not None else self.closed + _GRACE

    @property
    def ends(self) -> float:
        """When its 90 days are over."""
        return self.started + TRIAL_DAYS * 86_400

    @property
    def credit(self) -> Credit:
        """What it gives: 300 dollars until day 90, kept by an upgrade. Who was not upgraded is never billed."""
        if self.closed is not None:
            return Credit(self.payers, _ALL, date.max)
        return Credit(self.payers, TRIAL_NANOS + self.beyond, pacific.day(self.ends) + timedelta(days=1))

    @property
    def payers(self) -> frozenset[str]:
        """The account, and the one that it had before a budget named another."""
        return frozenset({self.account, trial_account(self.project)})


class Accounts:
    """The billing accounts of one cloud, and whether a project is paid for. Any thread may call."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.kept = Documents(cloud.folder("billing") / "state.sqlite")
        self._lock = threading.RLock()
        self._states: dict[str, str] = {}

    def get(self, name: str) -> Body:
        """The account. Raises 400 for a name that can't be one, 403 for one that isn't there.

        Google does not tell an account that isn't there from one that the caller may not see.
        """
        if not _NAME.fullmatch(name):
            raise ApiError(400, f"Request contains an invalid argument: {name} isn't the name of a billing account.")
        found = self._cloud.documents.find(name)
        if found is None and name != DEFAULT_PAYER and self.kept.find(f"openers/{name}") is None:
            raise ApiError(403, "The caller does not have permission", reason="forbidden")
        return found or _opened(name)

    def paying(self, name: str) -> Body:
        """The account that pays for something, so it is there."""
        return self._cloud.documents.find(name) or _opened(name)

    def open(self, name: str, person: str, currency: str, is_open: bool = True) -> Body:
        """Open an account for a person (see Projects.create), or a closed one; one that is there stays as it is, and is
        that person's too. Raises 400 for a name that can't be one.
        """
        with self._lock:
            if _NAME.fullmatch(name) and self.kept.find(f"openers/{name}") is None:
                self.kept.put(f"openers/{name}", "opener", {"person": person})
                self.put(_opened(name) | {"currencyCode": currency, "open": is_open})
            found = self.get(name)
            if not self.is_of(name, person):
                first = self.kept.get(f"openers/{name}")
                self.kept.put(f"openers/{name}", "opener", first | {"others": [*first.get("others", []), person]})
            return found

    def put(self, account: Body) -> None:
        """Keep an account that differs from what every account is."""
        self._cloud.documents.put(account["name"], KIND, account)
        self.forget_states()

    def is_of(self, name: str, person: str) -> bool:
        """Whether an account is there and was opened for a person (see Projects.create).

        The one that pays for the command line's projects is their person's, a trial's that of its project.
        """
        if name == DEFAULT_PAYER:
            return person == ""
        found = self.kept.find(f"openers/{name}")
        return found is not None and person in (found["person"], *found.get("others", []))

    def state(self, project_id: str) -> str:
        """ "absent" or "closed" where nobody pays for a project, "deleted" for one that is being deleted, else "".

        Remembered until something changes.
        """
        found = self._states.get(project_id)
        if found is None:
            project = self._cloud.of(Projects).find(project_id)
            name = project["billingAccount"] if project else ""
            found = "absent" if not name else "" if self.paying(name)["open"] else "closed"
            if project and project["state"] != "ACTIVE":
                found = "deleted"
            self._states[project_id] = found
        return found

    def forget_states(self) -> None:
        """Something about who pays has changed."""
        self._states = {}

    # Free trials

    def start_trial(self, project_id: str) -> None:
        """The project's account is on a free trial from now on."""
        name = trial_account(project_id)
        with self._lock:
            self.kept.put(f"openers/{name}", "opener", {"person": project_id})
            self.put(self.get(name) | {"displayName": "My Billing Account"})
            self._put_trial(Trial(project_id, name, self._cloud.clock.time()))

    def trial(self, project_id: str) -> Trial | None:
        """The free trial that a project was made on, if it was."""
        found = self.kept.find(f"trials/{project_id}")
        return Trial(**found) if found else None

    def trials(self) -> list[Trial]:
        """All, by project."""
        return [Trial(**found) for found in self.kept.list(_TRIAL)]

    def on_trial(self, project_id: str) -> bool:
        """Whether a project is on a free trial that was not upgraded."""
        trial = self.trial(project_id)
        return trial is not None and not trial.upgraded

    def rename(self, project_id: str, name: str) -> bool:
        """Let `name` be the account that pays for a project, if this cloud itself chose which does; gives whether.

        Whoever sets a budget for a project says by which account it is paid. Nobody asked for the one of the command
        line, or knew the name of the trial's.
        """
        project = self._cloud.of(Projects).get(project_id)
        trial = self.trial(project_id)
        chosen = {DEFAULT_PAYER} | ({trial_account(project_id)} if trial and trial.closed is None else set())
        if project["billingAccount"] not in chosen - {name}:
            return False
        with self._lock:
            if trial and project["billingAccount"] == trial.account:
                self._put_trial(replace(trial, account=name))
                self.put(self.get(name))
            self._cloud.of(Projects).update(project_id, billingAccount=name)
            self.forget_states()
        return True

    def close_trial(self, trial: Trial) -> None:
        """Its credit or its time is over: the account closes."""
        with self._lock:
            self._put_trial(replace(trial, closed=self._cloud.clock.time()))
            self.put(self.get(trial.account) | {"open": False})

    def note_deleted(self, trial: Trial) -> None:
        """What its projects held is gone."""
        self._put_trial(replace(trial, deleted=self._cloud.clock.time()))

    def upgrade(self, project_id: str, beyond: int = 0) -> Trial:
        """Make a paying account of a trial's; what is left of the credit stays until day 90. Raises 400.

        `beyond` is what it used beyond the credit, in nanos.
        """
        with self._lock:
            trial = self.trial(project_id)
            if trial is None:
                made = hints.Command("start", options={"trial": "PROJECT"})
                raise Advised(400, f"{project_id} is on no free trial", (made, " makes one that is"))
            if trial.upgraded:
                raise ApiError(400, f"the account of {project_id} is upgraded already", "FAILED_PRECONDITION")
            if trial.deleted or (trial.closed is not None and self._cloud.clock.time() > trial.closed + _GRACE):
                words = f"the trial of {project_id} ended more than 30 days ago: Google has deleted what it held"
                raise ApiError(400, words, "FAILED_PRECONDITION")
            trial = replace(trial, upgraded=True, closed=None, beyond=beyond)
            self._put_trial(trial)
            self.put(self.get(trial.account) | {"open": True})
            return trial

    def _put_trial(self, trial: Trial) -> None:
        self.kept.put(f"trials/{trial.project}", _TRIAL, dict(vars(trial)))


def _opened(name: str) -> Body:
    """What an account is as long as nothing else is known of it."""
    return {
        "name": name,
        "open": True,
        "displayName": "Billing account of the local cloud",
        "masterBillingAccount": "",
        "currencyCode": "USD",
    }


def trial_account(project_id: str) -> str:
    """The name of the billing account that is on a free trial for a project."""
    digest = hashlib.sha256(f"trial of {project_id}".encode()).hexdigest()[:18].upper()
    return f"billingAccounts/{digest[:6]}-{digest[6:12]}-{digest[12:]}"


def not_activated(project: Body, services: list[str]) -> ApiError:
    """400 UREQ_PROJECT_BILLING_NOT_FOUND: APIs that need billing are not turned on without."""
    number, names = project["projectNumber"], ",".join(services)
    subject = f"?error_code=390001&project={number}&services={'&services='.join(services)}"
    message = (
        f"Billing account for project '{number}' is not found. Billing must be enabled for activation of service(s) "
        f"'{names}' to proceed.\nHelp Token: local"
    )
    failure = {"type": "googleapis.com/billing-enabled", "subject": subject}
    details = [
        {"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": [failure]},
        error_info(
            "UREQ_PROJECT_BILLING_NOT_FOUND",
            "serviceusage.googleapis.com/billing-enabled",
            project=number,
            services=names,
        ),
    ]
    return ApiError(400, message, "FAILED_PRECONDITION", details=details)
