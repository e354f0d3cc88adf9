"""What is used and who pays for it, as the APIs tell it and ask about it; Cloud Billing keeps and charges it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from localcloud.core.asked.counts import Counts

DEFAULT_PAYER = "billingAccounts/10CA1C-10D000-000001"  # pays for the projects that the command line makes
Body = dict[str, Any]
Stopper = Callable[[str, str], Awaitable[None]]


@dataclass(frozen=True)
class Pool:
    """Machines of one shape; `disk_gb` 0 where the machine's price has its disk in it."""

    machine: str
    replicas: int
    accelerator: str = ""
    count: int = 0
    spot: bool = False
    disk: str = ""
    disk_gb: int = 0


@dataclass(frozen=True)
class Span:
    """Machines that a resource had from `started` to `ended` (None: it still has), in seconds of the cloud's clock.

    `kind` is "training", "serving" or "run" (a Cloud Run job, whose `machine` is "4cpu BYTES"); `payer` the billing
    account's name; `title` what a person called it.
    """

    resource: str
    kind: str
    project: str
    payer: str
    region: str
    pools: tuple[Pool, ...]
    labels: dict[str, str]
    started: int
    ended: int | None = None
    title: str = ""


class Usage(Protocol):
    """Any thread may call; coroutines in the loop. Projects are named by their id."""

    counts: Counts

    def state(self, project_id: str) -> str:
        """ "absent" or "closed" where nobody pays for a project, "deleted" for one that is being deleted, else ""."""
        ...

    def payer(self, project_id: str) -> str:
        """The billing account that pays for a project now, "" for none."""
        ...

    def on_trial(self, project_id: str) -> bool:
        """Whether a project is on a free trial that was not upgraded."""
        ...

    def forget_states(self) -> None:
        """Something about who pays has changed."""
        ...

    def check_paid(self, project: Body, service: str) -> None:
        """Raises 403 BILLING_DISABLED where `service` needs an open billing account and the project has none."""
        ...

    def check_cap(self, project_id: str, service: str) -> None:
        """Raises 429 where a spend cap of a project pauses `service`: nothing may begin there."""
        ...

    def check_activation(self, project: Body, services: list[str]) -> None:
        """Raises 400 UREQ_PROJECT_BILLING_NOT_FOUND for APIs that can't be turned on without an account."""
        ...

    def note(self, span: Span) -> None:
        """Keep a span, or what is new about it; who pays, and when it began, stay as they were noted first."""
        ...

    def begin(self, resource: str, project: str, region: str, pools: tuple[Pool, ...], body: Body) -> None:
        """Machines that serve are there from now on, idle or not.

        `resource` is a name of one's own such as "locations/R/endpoints/1/deployedModels/2"; `body` has the
        `displayName` and perhaps `labels`.
        """
        ...

    def end(self, resource: str, moment: int | None = None) -> None:
        """They are gone, since `moment` (seconds of the cloud's clock) or now."""
        ...

    def deleted_early(self, bucket: Body, project: str, storage_class: str, size: int, seconds: float) -> None:
        """An object was to be kept for so many seconds more."""
        ...

    def mail(self, receiver: str, subject: str, about: str) -> None:
        """Keep an e-mail that Google would send; `about` is the name of the budget or policy that it comes from."""
        ...

    def sample(self) -> None:
        """Note what is stored at this moment."""
        ...

    async def stop(self, project_id: str, why: str) -> None:
        """End all that costs by the hour in a project that is deleted or nobody pays for. What is stored stays."""
        ...

    def on_unpaid(self, stopper: Stopper) -> None:
        """Await `stopper(project_id, why)` when nobody pays for a project any more; it ends what costs by the hour."""
        ...
