"""What an execution is charged by: the vCPUs and the memory of each attempt of each of its tasks while it runs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from localcloud.core.asked.usage import Pool, Span, Usage
from localcloud.run import validation

if TYPE_CHECKING:
    from localcloud.run.executions.records import Execution, Task

KIND = "run"


def note(usage: Usage, one: Execution, task: Task) -> None:
    """Tell from when to when the attempt of a task that runs, or ran last, had its instance."""
    if not task.began:
        return
    payer = usage.payer(one.project)
    resource = f"locations/{one.region}/jobs/{one.job}/executions/{one.id}#{task.index}.{task.attempt}"
    ended = _seconds(task.ended) if task.ended else None
    if ended is not None:
        usage.end(resource, ended)  # also where meanwhile nobody pays any more
    if payer:
        usage.note(
            Span(
                resource=resource,
                kind=KIND,
                project=one.project,
                payer=payer,
                region=one.region,
                pools=(Pool(machine(one), 1),),
                labels=one.body.get("labels", {}),
                started=_seconds(task.began),
                ended=ended,
                title=one.job,
            )
        )


def machine(one: Execution) -> str:
    """vCPUs and bytes of an instance, as the ledger keeps them: "4cpu 8589934592"."""
    limits = one.container["resources"]["limits"]
    cpus, memory = validation.cpus(limits), validation.quantity(limits["memory"])
    return f"{cpus or Decimal(1):f}cpu {int(memory or 0)}"


def _seconds(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp())
