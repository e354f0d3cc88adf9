"""What executions take of the project's quotas: refuses jobs that need more than there is, and lets others wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from catalog import run as book
from localcloud.core.errors import ApiError
from localcloud.quotas.limits import UNLIMITED
from localcloud.quotas.store import effective
from localcloud.run import validation
from localcloud.run.executions.records import RUNNING, Execution, Task

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud


def _wanted(container: dict[str, Any]) -> dict[str, int]:
    """By the quota's id: milli-vCPUs and bytes of one instance."""
    limits = container["resources"]["limits"]
    cpu, memory = book.quotas()
    return {
        cpu.meter.id: int((validation.cpus(limits) or 0) * 1000),
        memory.meter.id: int(validation.quantity(limits["memory"]) or 0),
    }


def check(cloud: Cloud, project: str, region: str, container: dict[str, Any]) -> None:
    """Raises 429 when one instance alone needs more than a quota is.

    The list below "Quota violated" is that of services (reports of `Max instances must be set to ...`); that jobs are
    refused so, and not only held up, is a guess.
    """
    lines = []
    for quota, amount in _wanted(container).items():
        limit = effective(cloud, project, region, quota, book.SERVICE)
        if limit is not None and limit != UNLIMITED and amount > limit:
            lines.append(f"{quota} requested: {amount} allowed: {limit}")
    if lines:
        words = "Quota exceeded for total allowable CPU per project per region." if "Cpu" in lines[0] else ""
        words = words or "Quota exceeded for total allowable memory per project per region."
        raise ApiError(429, "\n".join([words, "Quota violated:", *lines]))


def fits(cloud: Cloud, one: Execution, tasks: Iterable[tuple[Execution, Task]]) -> bool:
    """Whether one more task of an execution fits the quotas beside those tasks that run in its project and region."""
    used: dict[str, int] = {}
    for other, task in tasks:
        if task.state == RUNNING and (other.project, other.region) == (one.project, one.region):
            for quota, amount in _wanted(other.container).items():
                used[quota] = used.get(quota, 0) + amount
    for quota, amount in _wanted(one.container).items():
        limit = effective(cloud, one.project, one.region, quota, book.SERVICE)
        if limit is not None and limit != UNLIMITED and used.get(quota, 0) + amount > limit:
            return False
    return True
