"""What a custom job is charged by: the machines of each attempt, and nothing while it waits for them.

https://cloud.google.com/vertex-ai/docs/training/use-spot-vms
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.usage import Pool, Span, Usage

if TYPE_CHECKING:
    from localcloud.vertex.jobs.records import Job

Body = dict[str, Any]
_SPOT = (
    "SPOT",
    "LOW_COST",
)  # what FLEX_START costs is not known, but that it is less than on demand, as it counts here


def note(usage: Usage, job: Job) -> None:
    """Tell from when to when a job had its machines; called before each change of one is kept."""
    if "startTime" not in job.body:
        return
    if "began" not in job.run:  # it waits, or has ended while it did
        usage.end(attempt(job, job.attempt - 1), seconds(job.body["updateTime"]))
        return
    machines = span(job, usage.payer(job.project))
    if machines.ended is not None:
        usage.end(machines.resource, machines.ended)  # also where meanwhile nobody pays any more
    if machines.payer:
        usage.note(machines)


def attempt(job: Job, number: int) -> str:
    """What an attempt of a job is called in the ledger; bills name the job."""
    _, _, _, region, *rest = job.body["name"].split("/")
    return f"locations/{region}/{'/'.join(rest)}" + (f"#{number}" if number > 1 else "")


def span(job: Job, payer: str) -> Span:
    """The machines of the attempt that runs, or ran last."""
    body, spec = job.body, job.body["jobSpec"]
    began, ended = seconds(job.run["began"]), None
    if "endTime" in body:  # one that is out of time ends a little later; one that began has its first half minute
        ended = max(began + 1, min(seconds(body["endTime"]), seconds(body["startTime"]) + _timeout(spec)))
    spot = spec.get("scheduling", {}).get("strategy", "") in _SPOT
    return Span(
        resource=attempt(job, job.attempt),
        kind="training",
        project=job.project,
        payer=payer,
        region=body["name"].split("/")[3],
        pools=tuple(_pool(pool, spot) for pool in spec["workerPoolSpecs"] if pool),
        labels=body.get("labels", {}),
        started=began,
        ended=ended,
        title=body["displayName"],
    )


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


def seconds(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp())
